"""A contact sheet of zero-shot results: faces with the model's best answers, right or wrong at a glance."""

from __future__ import annotations

import math
import os

import datasets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .zero_shot_answers import ZeroShotAnswers

FACES_OF_EACH, EMOTIONS_A_LINE, ANSWERS = 4, 2, 3
RIGHT, WRONG, OTHER = "#2a9d4a", "#d1392b", "#b8bcc2"


def draw_contact_sheet(table: datasets.Dataset, answers: ZeroShotAnswers, path: str | os.PathLike) -> None:
    """Some faces of each emotion, the first ones of the table, whatever the model says of them.

    The frame is green where the best answer is right. Below each face its best answers: the right one's bar is green,
    a wrong best answer's red.
    """
    faces_of = [(answers.truth == label).nonzero()[:FACES_OF_EACH, 0].tolist() for label in range(len(answers.labels))]
    lines = math.ceil(len(faces_of) / EMOTIONS_A_LINE)
    width = EMOTIONS_A_LINE * FACES_OF_EACH
    figure = Figure(figsize=(1.9 * width + 0.4, 2.75 * lines + 0.5), layout="constrained")
    right = (answers.predicted == answers.truth).float().mean().item()
    figure.suptitle(
        f"Zero-shot: {right:.0%} of {len(answers.rows):,} faces right. The first {FACES_OF_EACH} of each emotion, "
        "not chosen; green: right, red: wrong.",
        fontsize=12,
    )
    strips = figure.subfigures(lines, EMOTIONS_A_LINE, squeeze=False, wspace=0.03).flat
    for strip, label, faces in zip(strips, answers.labels, faces_of, strict=False):
        strip.suptitle(label, x=0.01, ha="left", fontsize=11, fontweight="bold")
        grid = strip.subplots(2, FACES_OF_EACH, gridspec_kw={"height_ratios": [3, 1]}, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for column, face in enumerate(faces):
            _draw_face(grid[0, column], table[answers.rows[face]]["image"], answers, face)
            _draw_answers(grid[1, column], answers, face)
    figure.savefig(path, dpi=110)


def _draw_face(axes: Axes, image, answers: ZeroShotAnswers, face: int) -> None:
    axes.set_axis_on()
    axes.imshow(image.convert("RGB"))
    axes.set(xticks=[], yticks=[])
    is_right = bool(answers.predicted[face] == answers.truth[face])
    for side in axes.spines.values():
        side.set(linewidth=3, color=RIGHT if is_right else WRONG)


def _draw_answers(axes: Axes, answers: ZeroShotAnswers, face: int) -> None:
    best = answers.scores[face].topk(min(ANSWERS, len(answers.labels)))
    for place, (score, label) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
        truly = label == int(answers.truth[face])
        colour = RIGHT if truly else WRONG if place == 0 else OTHER
        axes.barh(-place, score, height=0.8, color=colour, alpha=0.6)
        axes.text(0.02, -place, answers.labels[label], va="center", fontsize=8)
        axes.text(1.0, -place, f"{score:.0%}", va="center", ha="right", fontsize=8)
    axes.set(xlim=(0, 1), ylim=(0.5 - ANSWERS, 0.5))
