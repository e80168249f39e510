"""A picture of how a run went, from its log."""

from __future__ import annotations

import json
import os
from pathlib import Path

from matplotlib.figure import Figure

COLOURS = {"loss": "black", "global_loss": "tab:blue", "summary_loss": "tab:orange", "local_loss": "tab:green"}


def read_log(path: str | os.PathLike) -> list[dict]:
    """The lines of `log.jsonl` by step; of steps that were run again after a resume, what was said last.

    A last line that a kill cut short is left out.
    """
    lines: dict[tuple[int, bool], dict] = {}
    for text in Path(path).read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        lines[line["step"], "loss" in line] = line
    return [lines[key] for key in sorted(lines)]


def draw_loss_curves(log: str | os.PathLike, path: str | os.PathLike) -> None:
    """Losses of the levels on the left, evaluations on the validation split on the right."""
    lines = read_log(log)
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    trained = [line for line in lines if "loss" in line]
    for name, colour in COLOURS.items():
        points = [(line["step"], line[name]) for line in trained if line.get(name) is not None]
        if points:
            label = "total" if name == "loss" else name.removesuffix("_loss")
            left.plot(*zip(*points, strict=True), color=colour, linewidth=1.8 if name == "loss" else 1.2, label=label)
    left.set(title="training loss", xlabel="step", ylim=(0, None))

    evaluated = [line for line in lines if "loss" not in line]
    for name in dict.fromkeys(name for line in evaluated for name in line if "/" in name):
        points = [(line["step"], line[name]) for line in evaluated if line.get(name) is not None]
        right.plot(*zip(*points, strict=True), marker="o", markersize=3, label=short_name(name))
    right.set(title="validation split", xlabel="step", ylim=(0, 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=130)


def short_name(metric: str) -> str:
    """
    >>> short_name("zero-shot/validation-emotion8/uar"), short_name("retrieval/validation/image_to_text_r1")
    ('zero-shot emotion8 uar', 'retrieval image_to_text_r1')
    """
    return metric.replace("/validation-", " ").replace("/validation/", " ").replace("/", " ")
