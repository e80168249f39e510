"""A metric as the folder of a Space, which is where `evaluate.load("somebody/uar")` finds it on the Hub."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

_HERE = Path(__file__).parent
_SHARED = re.compile(r"^from \.(\w+) import", re.MULTILINE)  # what evaluate copies along with a module
_MODULE = re.compile(r"^class \w+\(evaluate\.Metric\)", re.MULTILINE)
_APP = """\
import evaluate
from evaluate.utils import launch_gradio_widget

launch_gradio_widget(evaluate.load({name!r}))
"""
_CARD = """\
---
title: {name}
sdk: gradio
app_file: app.py
tags:
- evaluate
- metric
---
# {name}

{description}
```
{arguments}
```
"""


def names() -> list[str]:
    """The metrics that are `evaluate` modules."""
    return sorted(path.stem for path in _HERE.glob("*.py") if _MODULE.search(path.read_text(encoding="utf-8")))


def write_space(name: str, folder: str | os.PathLike) -> Path:
    """
    Write metric `name` and what it needs to `folder / name`, which then loads by its path and can be uploaded:

        hf upload somebody/uar spaces/uar --repo-type space
    """
    import evaluate

    source = _HERE / f"{name}.py"
    if name not in names():
        raise ValueError(f"there is no metric {name!r}; there are {', '.join(names())}")
    space = Path(folder) / name
    space.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, space)
    for shared in _SHARED.findall(source.read_text(encoding="utf-8")):
        shutil.copy(_HERE / f"{shared}.py", space)
    metric = evaluate.load(str(source))
    card = _CARD.format(name=name, description=metric.description, arguments=metric.inputs_description.strip())
    (space / "README.md").write_text(card, encoding="utf-8")
    (space / "app.py").write_text(_APP.format(name=name), encoding="utf-8")
    (space / "requirements.txt").write_text("evaluate\nnumpy\n", encoding="utf-8")
    return space
