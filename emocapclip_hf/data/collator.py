"""From rows to the inputs of a training step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import default_collate

from ..processing import EmoCapCLIPProcessor
from ..processing.caption_inputs_emocapclip import caption_inputs, read_captions, sentence_inputs
from .augmentation import Change, FaceAugmentation, apply_change, row_generator
from .caption import LEVELS
from .image_cache import middle_square
from .sides import swap_sides
from .token_memory import TokenMemory

_SENTENCES, _PIXELS = 0, 1  # purposes of random numbers
MARGIN = 8 / 7  # pixels beyond the model's size to crop from, as in 256 for 224
_MIRRORED = {"left": "right", "right": "left"}


class EmoCapCollator:
    """Samples local sentences, changes pictures and makes tensors, the same in any worker and any order.

    Args:
        processor: gives the tokens and says how the model wants its pictures.
        sentences_per_caption: how many local sentences of each caption are sampled (K); a caption with fewer gives all
            it has, and `local_mask` is False for the rest.
        augmentation: None to prepare pictures as for evaluation.
        seed: of sentences and changes.
        label_columns: columns to pass on. Numbers become tensors, the rest lists. Where a picture is mirrored, a label
            "left" becomes "right", and a column whose name begins with `local_`, one entry a local sentence, is
            sampled with the sentences. A caption level is passed on as the words that are tokenized.
        unsampled: also pass on the local sentences that were not sampled, for mining, which compares captions with all
            sentences of a face: as tokens (`unsampled_input_ids` ...) and as words (`unsampled_captions`).

    Rows are dicts with `row` (an integer that stands for the row), `image` (a picture, or a uint8 array of
    (height, width, 3)) and the caption levels: those of `CachedRows`, or of `load_emocap(..., streaming=True)`.
    A caption without a summary has its global sentence stand in for it.

    The batch holds what `processor(images=..., captions=...)` makes, the `row` numbers, and the labels.

        loader = DataLoader(rows, batch_size=64, shuffle=True, collate_fn=collator, num_workers=2)
        for epoch in range(10):
            collator.set_epoch(epoch)
            for batch in loader: ...
    """

    def __init__(
        self,
        processor: EmoCapCLIPProcessor,
        sentences_per_caption: int = 4,
        augmentation: FaceAugmentation | None = None,
        seed: int = 0,
        label_columns: Sequence[str] = (),
        unsampled: bool = False,
    ):
        if sentences_per_caption < 1:
            raise ValueError(f"sentences_per_caption must be at least 1, got {sentences_per_caption}")
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}")
        if augmentation is not None and "regions" in label_columns:
            raise ValueError("regions are boxes in the unchanged picture: leave them out, or set augmentation=None")
        self.processor = processor
        self.sentences_per_caption = sentences_per_caption
        self.augmentation = augmentation
        self.seed = seed
        self.label_columns = tuple(label_columns)
        self.unsampled = unsampled
        self._tokens = TokenMemory(processor.tokenizer)
        # In shared memory, so that workers that live on (persistent_workers) learn of the next epoch.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Call it before each epoch: sentences and changes are drawn anew. Reaches the worker processes."""
        self._epoch.fill_(epoch)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        epoch = int(self._epoch)
        changes = [self._draw_change(epoch, row["row"]) for row in rows]
        chosen = [self._choose_sentences(epoch, row) for row in rows]
        captions = [_caption(*each) for each in zip(rows, chosen, changes, strict=True)]
        batch = self._pixels([row["image"] for row in rows], changes)
        batch |= caption_inputs(read_captions(captions), self._tokens)
        if self.unsampled:
            rest = [_unsampled(*each) for each in zip(rows, chosen, changes, strict=True)]
            batch |= sentence_inputs(rest, self._tokens, "unsampled_") | {"unsampled_captions": rest}
        batch["row"] = torch.tensor([row["row"] for row in rows])
        for column in self.label_columns:
            batch[column] = (
                [caption[column] for caption in captions]
                if column in LEVELS
                else _stack([_label(column, *each) for each in zip(rows, chosen, changes, strict=True)])
            )
        return batch

    def _draw_change(self, epoch: int, row: int) -> Change | None:
        return self.augmentation and self.augmentation.draw(row_generator(self.seed, epoch, row, _PIXELS))

    def _choose_sentences(self, epoch: int, row: Mapping[str, Any]) -> list[int]:
        """Which local sentences, in the order of the caption."""
        count = len(row["local_captions"])
        if count <= self.sentences_per_caption:
            return list(range(count))
        order = row_generator(self.seed, epoch, row["row"], _SENTENCES).permutation(count)
        return sorted(order[: self.sentences_per_caption].tolist())

    def _pixels(self, images: list[Image.Image | np.ndarray], changes: list[Change | None]) -> dict[str, torch.Tensor]:
        image_processor = self.processor.image_processor
        size = output_size(image_processor)
        in_patches = "pixel_attention_mask" in image_processor.model_input_names  # SigLIP 2 cuts pictures itself
        if self.augmentation is None:
            if not in_patches and all(getattr(image, "shape", None) == (*size, 3) for image in images):
                pictures = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2)).float()
                return {"pixel_values": normalise(pictures.contiguous(), image_processor)}
            return dict(self.processor(images=images, return_tensors="pt"))
        margin = round(MARGIN * max(size))
        arrays = [image if isinstance(image, np.ndarray) else middle_square(image, margin) for image in images]
        interpolation = "bilinear" if image_processor.resample == Image.Resampling.BILINEAR else "bicubic"
        pictures = [apply_change(*each, size, interpolation) for each in zip(arrays, changes, strict=True)]
        if in_patches:
            return dict(self.processor(images=[picture.round_().byte() for picture in pictures], return_tensors="pt"))
        # In a worker process default_collate stacks right into the memory that the main process reads.
        return {"pixel_values": default_collate([normalise(picture, image_processor) for picture in pictures])}


def output_size(image_processor: Any) -> tuple[int, int]:
    """Height and width of the pictures that a processor hands to the model."""
    if "pixel_attention_mask" in image_processor.model_input_names:
        side = math.isqrt(image_processor.max_num_patches) * image_processor.patch_size
        return side, side
    size = image_processor.crop_size if getattr(image_processor, "do_center_crop", False) else image_processor.size
    side = size.get("shortest_edge")
    return (side, side) if side else (size["height"], size["width"])


def normalise(pixels: torch.Tensor, image_processor: Any) -> torch.Tensor:
    """Pictures (..., 3, height, width) from 0..255 to what the model was made for, in place."""
    if image_processor.do_rescale:
        pixels.mul_(image_processor.rescale_factor)
    if image_processor.do_normalize:
        pixels.sub_(torch.tensor(image_processor.image_mean).view(3, 1, 1))
        pixels.div_(torch.tensor(image_processor.image_std).view(3, 1, 1))
    return pixels


def _unsampled(row: Mapping[str, Any], chosen: list[int], change: Change | None) -> list[str]:
    adapt = _adapting(change)
    return [adapt(sentence) for index, sentence in enumerate(row["local_captions"]) if index not in chosen]


def _adapting(change: Change | None) -> Callable[[str], str]:
    """What makes a sentence true of the changed picture."""
    return swap_sides if change is not None and change.flip else str


def _caption(row: Mapping[str, Any], chosen: list[int], change: Change | None) -> dict[str, Any]:
    adapt = _adapting(change)
    return {
        "global_caption": adapt(row["global_caption"]),
        "local_captions": [adapt(row["local_captions"][index]) for index in chosen],
        "summary_caption": adapt(row["summary_caption"] or row["global_caption"]),
    }


def _label(column: str, row: Mapping[str, Any], chosen: list[int], change: Change | None) -> Any:
    value = row[column]
    if column.startswith("local_") and value is not None:
        value = [value[index] for index in chosen]
    return _mirrored(value) if change is not None and change.flip else value


def _mirrored(value: Any) -> Any:
    """Every "left" becomes "right" and the other way round, in lists and dicts too."""
    if isinstance(value, str):
        return _MIRRORED.get(value, value)
    if isinstance(value, list):
        return [_mirrored(item) for item in value]
    if isinstance(value, dict):
        return {name: _mirrored(item) for name, item in value.items()}
    return value


def _stack(values: list[Any]) -> torch.Tensor | list[Any]:
    """Numbers as a tensor (a missing one is NaN), anything else as it is."""
    if any(value is not None and not isinstance(value, (int, float)) for value in values):
        return values
    return torch.tensor([math.nan if value is None else value for value in values])
