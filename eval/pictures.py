"""From rows of a benchmark to batches of model inputs; what cannot be read is named and left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
from PIL import Image
from torch.utils.data import DataLoader
from transformers import BatchFeature

from emocapclip_hf.data.bad_rows import BadRowError
from emocapclip_hf.data.image_reading import read_image
from emocapclip_hf.processing import EmoCapCLIPProcessor
from emocapclip_hf.processing.video_frames_emocapclip import sample_clips, segment_centres

_MEDIA = ("image", "frames", "video")


@dataclass
class PictureBatch:
    """
    Args:
        inputs: the pictures of all rows, one after the other; None if none can be read.
        rows: where the rows stand in the dataset, and `names`: what messages call them.
        frames: how many pictures each has.
        skipped: (name, trouble) of the rows that are not here.
    """

    inputs: BatchFeature | None
    rows: list[int]
    names: list[str]
    frames: list[int]
    skipped: list[tuple[str, str]]


class PictureBatches:
    """Reads rows with `image`, `frames` or `video`; `num_frames` pictures of each clip."""

    def __init__(self, dataset: datasets.Dataset, processor: EmoCapCLIPProcessor, num_frames: int):
        columns = [name for name in (*_MEDIA, "face_box", "id") if name in dataset.column_names]
        if not set(columns) & set(_MEDIA):
            several = " (questions about several pictures at once cannot be embedded)" * (
                "images" in dataset.column_names
            )
            raise ValueError(f"no column {', '.join(_MEDIA)} in {', '.join(dataset.column_names)}{several}")
        self.are_images = "image" in columns
        self.processor, self.num_frames = processor, num_frames
        self.rows = dataset.select_columns(columns)
        if self.are_images:
            self.rows = self.rows.cast_column("image", datasets.Image(decode=False))

    def loader(self, shards: Sequence[range], batch_rows: int, num_workers: int) -> Iterator[PictureBatch]:
        """The batches of each shard in turn; none reaches into the next shard."""
        batches = [list(shard[at : at + batch_rows]) for shard in shards for at in range(0, len(shard), batch_rows)]
        loader = DataLoader(self, batch_sampler=batches, num_workers=num_workers, collate_fn=lambda batch: batch)
        return iter(loader)

    def __getitems__(self, rows: list[int]) -> PictureBatch:
        batch, pictures = PictureBatch(None, [], [], [], []), []
        for number, row in zip(rows, self._read(rows), strict=True):
            name = row.get("id") or f"row {number}"
            try:
                found = self._pictures(row)
            except BadRowError as error:
                batch.skipped.append((name, str(error)))
                continue
            pictures += found
            batch.rows.append(number)
            batch.names.append(name)
            batch.frames.append(len(found))
        if pictures:
            batch.inputs = self.processor(images=pictures, return_tensors="pt")
        return batch

    def _read(self, rows: list[int]) -> list[dict[str, Any]]:
        columns = self.rows[rows]
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def _pictures(self, row: dict[str, Any]) -> list[Image.Image]:
        if row.get("video") is not None:
            return _frames_of_file(row["video"], self.num_frames)
        if row.get("frames"):
            chosen = segment_centres(len(row["frames"]), self.num_frames)
            read = {index: read_image({"path": row["frames"][index]}) for index in set(chosen)}
            return [read[index] for index in chosen]
        picture = read_image(row.get("image") or {})
        return [picture if row.get("face_box") is None else _cut(picture, row["face_box"])]


def _frames_of_file(path: str, num_frames: int) -> list[Image.Image]:
    try:
        return sample_clips(path, num_frames)[0]
    except (OSError, ValueError) as error:
        raise BadRowError("corrupt_video", str(error)) from error


def _cut(picture: Image.Image, box: Sequence[float]) -> Image.Image:
    """The part of the picture inside the box (x0, y0, x1, y1), as far as it reaches into the picture."""
    left, top, right, bottom = (round(side) for side in box)
    inside = (max(left, 0), max(top, 0), min(right, picture.width), min(bottom, picture.height))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise BadRowError("empty_face_box", f"the face box {list(box)} lies outside the {picture.size} picture")
    return picture.crop(inside)
