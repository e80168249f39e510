"""Where the local head looks for each sentence of a face's caption."""

from __future__ import annotations

import os
import textwrap

import datasets
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..modeling import EmoCapCLIPModel
from ..processing import EmoCapCLIPProcessor

FACES, SENTENCES = 4, 4
LINE_LENGTH, LINES = 34, 4  # of a sentence below its picture


def draw_attention_maps(
    model: EmoCapCLIPModel, processor: EmoCapCLIPProcessor, table: datasets.Dataset, path: str | os.PathLike
) -> None:
    """A line a face: the picture, then one map for each of its first local sentences, the sentence below.

    The faces are the first of the table that have so many sentences.
    """
    faces = [row for row in range(min(len(table), 50 * FACES)) if len(table[row]["local_captions"]) >= SENTENCES]
    faces = faces[:FACES] or [0]
    figure = Figure(figsize=(2.5 * (SENTENCES + 1), 3.25 * len(faces) + 0.5), layout="constrained")
    figure.suptitle(
        "Where each sentence looks: the local head's attention over the patches, each map on its own scale",
        fontsize=12,
    )
    grid = figure.subplots(len(faces), SENTENCES + 1, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for line, row in zip(grid, faces, strict=True):
        face = table[row]
        sentences = face["local_captions"][:SENTENCES]
        picture, attention = attention_of(model, processor, face["image"], sentences)
        line[0].imshow(picture)
        line[0].set_title(face.get("emotion") or "", fontsize=10, loc="left", fontweight="bold")
        for axes, sentence, weights in zip(line[1:], sentences, attention, strict=False):
            draw_map(axes, picture, sentence, weights)
    figure.savefig(path, dpi=110)


@torch.no_grad()
def attention_of(
    model: EmoCapCLIPModel, processor: EmoCapCLIPProcessor, image, sentences: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The picture as the model sees it (height, width, 3); attention of each sentence (sentences, rows, columns)."""
    inputs = processor(images=image, text=sentences, return_tensors="pt").to(model.device)
    attention = model.explain(**inputs)[0].float().cpu().numpy()
    image_processor = processor.image_processor
    if "spatial_shapes" in inputs:  # SigLIP 2 takes the whole picture, at its own proportions
        return np.asarray(image.convert("RGB")), attention
    pixels = inputs["pixel_values"][0].float().cpu().permute(1, 2, 0).numpy()
    if image_processor.do_normalize:
        pixels = pixels * image_processor.image_std + image_processor.image_mean
    return pixels.clip(0, 1), attention


def draw_map(axes: Axes, picture: np.ndarray, sentence: str, weights: np.ndarray) -> None:
    height, width = picture.shape[:2]
    grey, extent = picture.mean(axis=2), (0, width, height, 0)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255 if grey.max() > 1 else 1, extent=extent)
    axes.imshow(
        weights, cmap="inferno", extent=extent, interpolation="bilinear", vmin=0, vmax=weights.max(), alpha=0.55
    )
    axes.set(xlim=(0, width), ylim=(height, 0))
    lines = textwrap.wrap(sentence, LINE_LENGTH, max_lines=LINES, placeholder=" ...")
    axes.text(0, 1.03 * height, "\n".join(lines), va="top", fontsize=8)
