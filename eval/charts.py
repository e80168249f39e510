"""The pictures of a report: radar chart, confusion matrices, bars by label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt

from .results import Metric

# Told apart by people with any colour vision (Okabe and Ito), and each with a marker of its own.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vP*"
_DPI = 150
_MOST_NUMBERS = 16  # labels up to which a confusion matrix has its numbers written in


def draw_radar(spokes: Mapping[str, Mapping[str, Metric]], path: Path) -> Path:
    """A spoke for each task and benchmark, from 0 in the centre to 1; a line a model, open where it has no value."""
    models = list(dict.fromkeys(model for values in spokes.values() for model in values))
    angles = np.linspace(0, 2 * np.pi, len(spokes), endpoint=False)
    figure, axes = plt.subplots(figsize=(9, 9), subplot_kw={"projection": "polar"})
    axes.set_theta_offset(np.pi / 2)
    axes.set_theta_direction(-1)
    for number, model in enumerate(models):
        values = np.array([spoke[model].value if model in spoke else np.nan for spoke in spokes.values()])
        colour, marker = COLOURS[number % len(COLOURS)], _MARKERS[number % len(_MARKERS)]
        axes.plot([*angles, angles[0]], [*values, values[0]], color=colour, marker=marker, label=model, linewidth=2)
        if not np.isnan(values).any():
            axes.fill(angles, values, color=colour, alpha=0.1)
    axes.set_ylim(0, 1)
    axes.set_yticks([0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_yticklabels(["0.2", "0.4", "0.6", "0.8", "1"], color="#555555", fontsize=9)
    axes.set_rlabel_position(180 / len(spokes))
    axes.set_xticks(angles)
    axes.set_xticklabels([])
    for angle, name in zip(angles, spokes, strict=True):
        side = "center" if abs(np.sin(angle)) < 0.1 else "left" if np.sin(angle) > 0 else "right"
        axes.text(angle, 1.07, name, ha=side, va="center", fontsize=10)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=min(3, len(models)), frameon=False, fontsize=11)
    return _save(figure, path)


def draw_confusions(details: Mapping[str, Mapping[str, Any]], path: Path) -> Path:
    """For each model, of every true class (row) the share in per cent that was taken for each class (column)."""
    labels = next(iter(details.values()))["labels"]
    few = len(labels) <= _MOST_NUMBERS
    side = max(4.2, (0.52 if few else 0.2) * len(labels) + 1.6)
    down, across = (1, len(details)) if few else (len(details), 1)  # large ones below each other, to fit a page
    figure, places = plt.subplots(down, across, figsize=(side * across, side * down), squeeze=False)
    for number, (axes, (model, one)) in enumerate(zip(places.flat, details.items(), strict=True)):
        counts = np.array(one["confusion"], dtype=float)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_title(model, fontsize=12)
        turn = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if few else {"rotation": 90}
        axes.set_xticks(range(len(labels)), labels, **turn)
        axes.set_yticks(range(len(labels)), labels if number == 0 or not few else [])
        axes.set(xlabel="predicted", ylabel="true" if number == 0 or not few else "")
        axes.tick_params(labelsize=9 if few else 7.5, length=0)
        for (true, predicted), share in np.ndenumerate(shares) if few else ():
            colour = "white" if share > 0.5 else "#333333" if share >= 0.005 else "#BBBBBB"
            axes.text(predicted, true, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=8.5)
    figure.tight_layout()
    return _save(figure, path)


def draw_per_class(values: Mapping[str, Mapping[str, float]], title: str, path: Path) -> Path:
    """A group of bars for each label, a bar for each model."""
    labels = list(dict.fromkeys(label for one in values.values() for label in one))
    width = 0.8 / len(values)
    figure, axes = plt.subplots(figsize=(8, len(labels) * (0.2 * len(values) + 0.14) + 0.9))
    for number, (model, one) in enumerate(values.items()):
        lengths = [one.get(label, np.nan) for label in labels]
        places = np.arange(len(labels)) + (number - (len(values) - 1) / 2) * width
        bars = axes.barh(places, lengths, width * 0.92, color=COLOURS[number % len(COLOURS)], label=model)
        written = [f"{100 * length:.0f}" if np.isfinite(length) else "" for length in lengths]
        axes.bar_label(bars, written, fontsize=8, padding=2)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(0, 1.05)
    axes.set_xlabel(title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.grid(color="#DDDDDD")
    axes.set_axisbelow(True)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(values), frameon=False)
    return _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> Path:
    figure.savefig(path, dpi=_DPI, bbox_inches="tight", facecolor="white")
    plt.close(figure)
    return path
