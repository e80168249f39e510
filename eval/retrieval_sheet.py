"""Retrieval examples as one picture: each query with its answers, what is right in green and what is wrong in red."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from PIL import Image

RIGHT, WRONG = "#009E73", "#D55E00"
_TEXT_WIDTH, _QUERY_WIDTH, _MOST_LINES = 100, 34, 6
_DPI = 130


def draw_examples(examples: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """The faces with the texts found for them, then the texts with the faces found for them."""
    for_faces = [example for example in examples if example["way"] == "image_to_text"]
    for_texts = [example for example in examples if example["way"] == "text_to_image"]
    kinds = [(draw, some) for draw, some in ((_faces_with_texts, for_faces), (_texts_with_faces, for_texts)) if some]
    figure = plt.figure(figsize=(11, 1.85 * len(examples) + 0.5), layout="constrained")
    parts = figure.subfigures(len(kinds), 1, height_ratios=[len(some) for _, some in kinds], squeeze=False)[:, 0]
    for part, (draw, some) in zip(parts, kinds, strict=True):
        draw(part, some)
    figure.savefig(path, dpi=_DPI, bbox_inches="tight", facecolor="white")
    plt.close(figure)
    return path


def _faces_with_texts(figure, examples: Sequence[Mapping[str, Any]]) -> None:
    rows = figure.subplots(len(examples), 2, width_ratios=[1, 4.6], squeeze=False)
    for (left, right), example in zip(rows, examples, strict=True):
        _face(left, example["query"])
        _bare(right)
        height = 0.98
        for number, answer in enumerate(example["answers"], start=1):
            lines = textwrap.wrap(answer["text"], _TEXT_WIDTH, max_lines=2, placeholder=" …")
            mark, colour = ("✓", RIGHT) if answer["right"] else ("✗", WRONG)
            text = f"{mark} {number}. {answer['score']:.2f}  " + "\n          ".join(lines)
            right.text(0, height, text, color=colour, fontsize=9.5, va="top", transform=right.transAxes)
            height -= 0.1 * len(lines) + 0.03
    rows[0][1].set_title("Texts found for a face, best first", loc="left", fontsize=12)


def _texts_with_faces(figure, examples: Sequence[Mapping[str, Any]]) -> None:
    answers = max(len(example["answers"]) for example in examples)
    rows = figure.subplots(len(examples), answers + 1, width_ratios=[2.1, *[1] * answers], squeeze=False)
    for (left, *places), example in zip(rows, examples, strict=True):
        _bare(left)
        text = textwrap.fill(example["query"]["text"], _QUERY_WIDTH, max_lines=_MOST_LINES, placeholder=" …")
        left.text(0, 0.5, text, fontsize=9.5, va="center", transform=left.transAxes)
        for axes in places:
            _bare(axes)
        for axes, answer in zip(places, example["answers"], strict=False):
            _face(axes, answer, RIGHT if answer["right"] else WRONG)
            mark = "✓" if answer["right"] else "✗"
            axes.set_title(
                f"{mark} {answer['score']:.2f}", fontsize=9, color=RIGHT if answer["right"] else WRONG, pad=3
            )
    rows[0][0].set_title("Faces found for a text, best first", loc="left", fontsize=12)


def _face(axes, face: Mapping[str, Any], frame: str | None = None) -> None:
    _bare(axes)
    if "picture" in face:
        axes.imshow(Image.open(io.BytesIO(base64.b64decode(face["picture"]))))
    else:  # a video file: the result has its name alone
        axes.text(0.5, 0.5, textwrap.fill(face["id"], 14), ha="center", va="center", transform=axes.transAxes)
    if frame:
        for spine in axes.spines.values():
            spine.set(visible=True, edgecolor=frame, linewidth=3)


def _bare(axes) -> None:
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
