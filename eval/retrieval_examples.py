"""A few queries with what a model found for them, small pictures included, so that a report can show them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import torch
from PIL import Image

from .embed import Embedded
from .nearest import nearest

if TYPE_CHECKING:
    from .retrieval import Pairs

ANSWERS, SIDE = 5, 96  # answers of an example, and the longer side of a picture in pixels


def show_examples(
    dataset: datasets.Dataset, embedded: Embedded, texts: torch.Tensor, pairs: Pairs, count: int
) -> list[dict[str, Any]]:
    """
    `count` queries of each way, evenly over the dataset and not chosen by how well they went.

    Returns:
        `way`, `query` and `answers`, best first, each with `score` and `right`. A face is its `id` and a `picture`, in
        base64; a text is its `text`.
    """
    if count == 0:
        return []
    images = _Faces(dataset, embedded.rows[pairs.faces].tolist())
    faces = embedded.embeds[pairs.faces]
    shown = []
    queries = _evenly(len(pairs.faces), count)
    for query, scores, places in zip(queries, *_found(faces[queries], texts), strict=True):
        right = set(pairs.texts_of[query].tolist())
        answers = [
            {"text": pairs.texts.texts[place], "score": score, "right": place in right}
            for score, place in zip(scores, places, strict=True)
        ]
        shown.append({"way": "image_to_text", "query": images[query], "answers": answers})
    queries = _evenly(len(pairs.asked), count)
    for query, scores, places in zip(queries, *_found(texts[pairs.asked[queries]], faces), strict=True):
        right = set(pairs.faces_of[query].tolist())
        answers = [
            images[place] | {"score": score, "right": place in right}
            for score, place in zip(scores, places, strict=True)
        ]
        text = pairs.texts.texts[pairs.asked[query]]
        shown.append({"way": "text_to_image", "query": {"text": text}, "answers": answers})
    return shown


def _found(queries: torch.Tensor, gallery: torch.Tensor) -> tuple[list, list]:
    scores, places = nearest(queries, gallery, min(ANSWERS, len(gallery)))
    return scores.tolist(), places.tolist()


def _evenly(rows: int, count: int) -> Sequence[int]:
    return np.unique(np.linspace(0, rows - 1, min(count, rows)).round().astype(int)).tolist()


class _Faces:
    """The faces of a dataset as dicts of `id` and `picture`."""

    def __init__(self, dataset: datasets.Dataset, rows: Sequence[int]):
        self.dataset, self.rows = dataset, rows

    def __getitem__(self, place: int) -> dict[str, str]:
        row = self.dataset[self.rows[place]]
        found = {"id": str(row.get("id", self.rows[place]))}
        if row.get("image") is not None:
            found["picture"] = _thumbnail(row["image"])
        elif row.get("frames"):
            with Image.open(row["frames"][len(row["frames"]) // 2]) as frame:
                found["picture"] = _thumbnail(frame)
        return found  # of a video file the id alone: decoding it for a thumbnail is not worth the time


def _thumbnail(image: Image.Image) -> str:
    """A small JPEG in base64."""
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return base64.b64encode(buffer.getvalue()).decode()
