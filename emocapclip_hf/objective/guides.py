"""Guides: whose embeddings say which captions and which images are alike.

The model itself needs no class: pass no guide. The others are called with the batch and give its embeddings:

    objective(embedder(batch), step, guide=guide(batch))
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from .embeddings import LEVELS, Captions, Embedder, Embeddings, caption_keys, present_captions

_TEXT_COLUMNS = {"global": "global_caption", "summary": "summary_caption", "local": "local_captions"}


class EmaGuide(nn.Module):
    """A teacher: the exponential moving average of the model, steadier than the model itself.

    Call `update` after each optimizer step. A `nn.Module`, so that its state saves and loads like any other.

    Args:
        embedder: the model in training, unwrapped; a copy of it is made.
        decay: how much of the old average stays at each update.
        chunk_size: how many images are embedded at once.
    """

    def __init__(self, embedder: Embedder, decay: float = 0.999, chunk_size: int = 64):
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}; it must be in [0, 1), for instance 0.999")
        self.teacher = copy.deepcopy(embedder).requires_grad_(False).eval()
        self.decay = decay
        self.chunk_size = chunk_size

    def train(self, mode: bool = True) -> EmaGuide:
        return self  # a teacher has no dropout

    @torch.no_grad()
    def update(self, embedder: Embedder, step: int | None = None) -> None:
        """Move the average towards the model.

        Args:
            step: of training, if the decay is to grow with it up to its value, (1 + step) / (10 + step), so that the
                weights of the beginning are soon forgotten.
        """
        decay = self.decay if step is None else min(self.decay, (1 + step) / (10 + step))
        for ours, theirs in zip(self.teacher.parameters(), embedder.parameters(), strict=True):
            ours.lerp_(theirs.to(ours.dtype), 1 - decay)
        for ours, theirs in zip(self.teacher.buffers(), embedder.buffers(), strict=True):
            ours.copy_(theirs)

    @torch.no_grad()
    def forward(self, batch: Mapping[str, Any]) -> Embeddings:
        parts = [self.teacher(chunk) for chunk in split_batch(batch, self.chunk_size)]
        for part in parts:
            part.patches = part.patch_mask = None  # a guide compares pooled embeddings only
        return Embeddings.cat(parts)


class FrozenGuide:
    """Embeddings that training does not change: from any text encoder, or from columns computed beforehand.

    Args:
        encode: a list of texts → (texts, dim), for instance `SentenceTransformer(...).encode`. Each batch must then
            hold the texts as `global_caption`, `summary_caption` and `local_captions` (the collator's label_columns);
            with `unsampled_captions` all that is said of an image is compared.
            Default: each batch holds `global_guide_embeds`, `summary_guide_embeds` (images, dim) and
            `local_guide_embeds`, of each image one vector a sentence; those that are there are used. In both cases
            `image_guide_embeds` (images, dim) may be there too.

    >>> import torch
    >>> guide = FrozenGuide(lambda texts: torch.tensor([[float(len(text)), 1.0] for text in texts]))
    >>> batch = {"input_ids": torch.tensor([[1, 2], [1, 3]]), "global_caption": ["happy", "very sad"]}
    >>> guide(batch).captions["global"].embeds.tolist()
    [[5.0, 1.0], [8.0, 1.0]]
    """

    def __init__(self, encode: Callable[[list[str]], Any] | None = None):
        self.encode = encode

    @torch.no_grad()
    def __call__(self, batch: Mapping[str, Any]) -> Embeddings:
        columns = _TEXT_COLUMNS if self.encode else {level: f"{level}_guide_embeds" for level in LEVELS}
        found = {level: column for level, column in columns.items() if column in batch}
        if not found:
            raise ValueError(
                f"The frozen guide finds none of {sorted(columns.values())} in the batch, which has {sorted(batch)}. "
                "Add them to the collator's label_columns."
            )
        image = batch.get("image_guide_embeds")
        return Embeddings(
            None if image is None else torch.as_tensor(image),
            {level: self._captions(batch, level, column) for level, column in found.items()},
            unsampled=self._unsampled(batch) if self.encode else None,
        )

    def _unsampled(self, batch: Mapping[str, Any]) -> Captions | None:
        if "unsampled_captions" not in batch or not any(batch["unsampled_captions"]):
            return None
        input_ids, owners, attention_mask = present_captions(batch, "unsampled")
        texts = [text for texts in batch["unsampled_captions"] for text in texts]
        embeds = self._encode_distinct(texts)
        return Captions(embeds.to(owners.device), owners, caption_keys(input_ids, attention_mask))

    def _captions(self, batch: Mapping[str, Any], level: str, column: str) -> Captions:
        input_ids, owners, attention_mask = present_captions(batch, level)
        values = _present_values(batch[column], batch, level)
        if len(values) != len(owners):
            raise ValueError(
                f"The column {column} has {len(values)} entries in this batch, which has {len(owners)} {level} "
                "captions. A column of local sentences must be sampled with them: its name begins with local_."
            )
        embeds = self._encode_distinct(values) if self.encode else torch.as_tensor(values)
        return Captions(embeds.to(owners.device), owners, caption_keys(input_ids, attention_mask))

    def _encode_distinct(self, texts: Sequence[str]) -> torch.Tensor:
        distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        embeds = torch.as_tensor(self.encode(list(distinct)))
        return embeds[[distinct[text] for text in texts]]


def _present_values(column: Any, batch: Mapping[str, Any], level: str) -> Any:
    """One value a caption: a local column is flattened, without padding."""
    if level != "local":
        return column
    if isinstance(column, torch.Tensor) and "local_mask" in batch:  # (images, sentences, dim), padded like the tokens
        return column[batch["local_mask"].bool()]
    rows = [value for values in column for value in values]
    return torch.stack([torch.as_tensor(row) for row in rows]) if rows and not isinstance(rows[0], str) else rows


def split_batch(batch: Mapping[str, Any], size: int) -> list[dict[str, Any]]:
    """Consecutive pieces of at most `size` images; what is no tensor is left out, the embedder reads none."""
    images = len(batch["pixel_values"])
    tensors = {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}
    return [{name: value[start : start + size] for name, value in tensors.items()} for start in range(0, images, size)]
