"""Names of checkpoints: folders, and ids on the Hub."""

from __future__ import annotations

import re
from pathlib import Path

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def check_checkpoint_name(name: str) -> None:
    """Stop at a folder that is not there; transformers would speak of ill-formed repository ids.

    >>> check_checkpoint_name("somebody/faces")
    >>> check_checkpoint_name("runs/faces/model")
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no folder runs/faces/model, and it is no id of a model on the Hub
    """
    if not Path(name).is_dir() and not _HUB_ID.fullmatch(name):
        raise FileNotFoundError(f"there is no folder {name}, and it is no id of a model on the Hub")
