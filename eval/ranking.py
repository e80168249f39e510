"""Where the right answers stand in a ranking, when scores may tie.

Equal scores are in no order, so each figure is its mean over all orders of what ties, in closed form: a model that
gives every pair the same score is at chance exactly, and neither the order of the gallery nor luck can help it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

KS = (1, 5, 10)
TIED = 1e-6  # cosines closer than this are equal: float32 cannot tell them apart
_FEW = 16  # right answers up to which counting is quicker than sorting


@dataclass(frozen=True)
class Ranking:
    """
    For each query, on average over the orders of what ties.

    Args:
        hits: (queries, KS), whether a right answer is among the first k.
        first: (queries,), the rank of the best right answer, from 1.
        precision: (queries,), average precision over all right answers.
    """

    hits: np.ndarray
    first: np.ndarray
    precision: np.ndarray


def rank(blocks: Iterable[np.ndarray], right: Sequence[np.ndarray]) -> Ranking:
    """
    Rank a gallery for each query.

    Args:
        blocks: scores (some queries, gallery), one block after the other; only one is held at a time.
        right: for each query, the places of its right answers in the gallery; at least one.

    >>> ranking = rank([np.array([[0.1, 0.9, 0.5]])], [np.array([2])])
    >>> ranking.hits[0].tolist(), ranking.first.tolist(), ranking.precision.tolist()
    ([0.0, 1.0, 1.0], [2.0], [0.5])
    """
    rows, harmonic = [], np.zeros(1)
    queries = iter(right)
    for block in blocks:
        if len(harmonic) <= block.shape[1]:
            harmonic = _harmonic(block.shape[1])
        rows += [_figures(scores, next(queries), harmonic) for scores in block]
    if len(rows) != len(right):
        raise ValueError(f"{len(right)} queries have right answers, but {len(rows)} have scores")
    return _table(rows)


def chance(gallery: int, right: Sequence[np.ndarray]) -> Ranking:
    """What a model without any preference gets."""
    harmonic, nothing, all_of_it = _harmonic(gallery), np.zeros(1), np.full(1, gallery)
    return _table([_of_group(nothing, all_of_it, nothing, np.full(1, len(own)), harmonic) for own in right])


def _table(rows: Sequence[Sequence[float]]) -> Ranking:
    table = np.array(rows).reshape(-1, len(KS) + 2)
    return Ranking(table[:, : len(KS)], table[:, -2], table[:, -1])


def _harmonic(count: int) -> np.ndarray:
    """Sums of 1 / i, from none of them to `count`."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, count + 1))])


def _figures(scores: np.ndarray, answers: np.ndarray, harmonic: np.ndarray) -> list[float]:
    """Hits at KS, first rank and average precision of one query."""
    if len(answers) == 0:
        raise ValueError("a query has no right answer in the gallery: leave it out")
    values = scores[answers]
    if not np.isfinite(values).all():
        raise ValueError("scores are not finite: the embeddings hold NaN or infinity")
    before, through = _count(scores, values)
    own_before, own_through = _count(values, values)
    return _of_group(before, through - before, own_before, own_through - own_before, harmonic)


def _count(scores: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many scores are above each value, and how many above it or equal."""
    if len(values) <= _FEW:
        above = [np.count_nonzero(scores > value + TIED) for value in values]
        equal_too = [np.count_nonzero(scores >= value - TIED) for value in values]
        return np.array(above), np.array(equal_too)
    ordered = np.sort(scores)
    above = len(scores) - np.searchsorted(ordered, values + scores.dtype.type(TIED), side="right")
    return above, len(scores) - np.searchsorted(ordered, values - scores.dtype.type(TIED), side="left")


def _of_group(
    before: np.ndarray, size: np.ndarray, own_before: np.ndarray, own: np.ndarray, harmonic: np.ndarray
) -> list[float]:
    """
    Each right answer stands anywhere in its group of `size` equal scores, of which `own` are right; `before` are
    better than the group, of which `own_before` are right. All (right answers,).
    """
    best = int(np.argmin(before))
    hits = [1 - _all_miss(min(max(k - before[best], 0), size[best]), size[best], own[best]) for k in KS]
    first = before[best] + (size[best] + 1) / (own[best] + 1)
    # The mean over places i = 1..size of (right ones up to i, itself included) / (before + i).
    inverse = harmonic[(before + size).astype(int)] - harmonic[before.astype(int)]  # the sum of 1 / (before + i)
    others = (own - 1) / np.maximum(size - 1, 1)
    precision = ((own_before + 1) * inverse + others * (size - (before + 1) * inverse)) / size
    return [*hits, first, float(precision.mean())]


def _all_miss(drawn: float, size: float, own: float) -> float:
    """The chance that the first `drawn` of a group hold none of its right answers."""
    places = np.arange(drawn)
    return float(np.prod(np.maximum(size - own - places, 0) / (size - places)))
