"""Texts through the text tower without waste: each distinct one once, and with others of its length.

A batch's captions repeat, and their lengths differ: encoded as they come, padded to the longest, more than half of the
tower's work on short captions goes into repetition and padding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch.nn import functional as F

GROUPS = 4
FEW = 32  # texts: grouping so few costs more than it saves


class Texts(NamedTuple):
    """input_ids, attention_mask (texts, length), 1s before 0s in each row; keys (texts,), equal for equal texts."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    keys: torch.Tensor


def encode_distinct(
    encode: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], texts: Sequence[Texts]
) -> list[torch.Tensor]:
    """
    What `encode` makes of each text, for several sets of texts at once.

    Args:
        encode: input ids and attention mask (texts, length) → (texts, dim), whatever stands behind a text.
        texts: the sets.

    Returns:
        for each set (texts, dim); the gradient flows to every repetition's single source.
    """
    longest = max(some.input_ids.shape[1] for some in texts)
    input_ids, attention_mask = (
        torch.cat([F.pad(getattr(some, name), (0, longest - some.input_ids.shape[1])) for some in texts])
        for name in ("input_ids", "attention_mask")
    )
    distinct, numbers = torch.cat([some.keys for some in texts]).unique(return_inverse=True)
    first = torch.empty_like(distinct).scatter_(0, numbers, torch.arange(len(numbers), device=numbers.device))
    lengths, order = attention_mask[first].sum(dim=1).sort()
    groups = order.chunk(GROUPS if len(order) >= FEW else 1)
    ends = [group_lengths[-1] for group_lengths in lengths.chunk(len(groups))]
    encoded = torch.cat(
        [
            encode(input_ids[first[group], :end], attention_mask[first[group], :end])
            for group, end in zip(groups, torch.stack(ends).tolist(), strict=True)
        ]
    )
    places = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
    return list(encoded[places[numbers]].split([len(some.keys) for some in texts]))
