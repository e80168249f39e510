"""Tokens of texts that come again: a caption in each epoch, a sentence in many captions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


class TokenMemory:
    """Gives what `tokenizer(texts, padding=True, return_tensors="pt")` gives, without reading a text anew each time.

    Args:
        tokenizer: with a padding token.
        capacity: how many texts to remember, the latest.
    """

    def __init__(self, tokenizer: Any, capacity: int = 2**15):
        self.tokenizer, self.capacity = tokenizer, capacity
        self._known: OrderedDict[str, dict[str, np.ndarray]] = OrderedDict()  # text → what the tokenizer makes of it

    def __call__(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """By name, (texts, tokens of the longest)."""
        rows = self._rows(texts)
        lengths = np.array([len(row["input_ids"]) for row in rows])
        places = np.arange(lengths.max())
        if self.tokenizer.padding_side == "left":
            places = places[::-1]
        present = places < lengths[:, None]  # (texts, tokens)
        return {name: self._padded(name, [row[name] for row in rows], present) for name in rows[0]}

    def _rows(self, texts: Sequence[str]) -> list[dict[str, np.ndarray]]:
        unknown = [text for text in dict.fromkeys(texts) if text not in self._known]
        if unknown:
            # SigLIP's reads the full context, padding too: its rows are remembered with it. Others are padded later.
            always_padded = self.tokenizer.init_kwargs.get("padding") == "max_length"
            encoding = self.tokenizer(unknown, padding=always_padded)
            for row, text in enumerate(unknown):
                self._known[text] = {name: np.array(ids[row], dtype=np.int32) for name, ids in encoding.items()}
        found = [self._known[text] for text in texts]
        for text in texts:
            self._known.move_to_end(text)
        while len(self._known) > self.capacity:
            self._known.popitem(last=False)
        return found

    def _padded(self, name: str, rows: list[np.ndarray], present: np.ndarray) -> torch.Tensor:
        padding = self.tokenizer.pad_token_id if name == "input_ids" else 0
        values = np.full(present.shape, padding, dtype=np.int64)
        values[present] = np.concatenate(rows)
        return torch.from_numpy(values)
