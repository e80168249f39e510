"""The options of a run as a YAML file that `train.py --config` reads again."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path

import yaml

from .arguments import TrainingArguments

# Where a run stands and what is published of it is no part of how its model came about.
_LEFT_OUT = {"output_dir", "resume", "dry_run"}


def recipe(args: TrainingArguments) -> str:
    """
    What differs from the defaults, by group.

    A path on this machine is cut to its last name: the text is published with the model.

    ```python
    >>> from emocapclip_hf.training import parse_arguments
    >>> print(recipe(parse_arguments(["--max-steps", "20", "--dataset", "/home/me/faces", "--seed", "1"])))
    data:
      dataset: faces
    optimisation:
      max_steps: 20
    run:
      seed: 1

    ```"""
    changed = {}
    for group in fields(args):
        if group.name == "hub":
            continue
        options = getattr(args, group.name)
        changed[group.name] = {
            option.name: _without_path(getattr(options, option.name))
            for option in fields(options)
            if option.name not in _LEFT_OUT and getattr(options, option.name) != _default(option)
        }
    return yaml.safe_dump({name: group for name, group in changed.items() if group}, sort_keys=False).strip()


def _default(option):
    return option.default_factory() if option.default is MISSING else option.default


def _without_path(value):
    return Path(value).name if isinstance(value, str) and Path(value).exists() | Path(value).is_absolute() else value
