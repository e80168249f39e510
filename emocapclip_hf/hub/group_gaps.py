"""How much better a model recognises emotions in some groups of people than in others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 2000


@dataclass(frozen=True)
class GroupRecall:
    """UAR (mean recall over the classes) among the faces of one group, with its 95 % bootstrap interval."""

    attribute: str
    group: str
    faces: int
    uar: float
    low: float
    high: float


def group_recalls(
    truth: Sequence[Any], predicted: Sequence[Any], attributes: Mapping[str, Sequence[Any]], seed: int = 0
) -> list[GroupRecall]:
    """
    UAR of each group of each attribute.

    Args:
        truth, predicted: the class of each face, and what it was taken for.
        attributes: name → group of each face, for instance `{"glasses": [True, False, ...]}`. Groups are compared
            over the classes that occur in all groups of the attribute; another set of classes would be another task.

    Returns:
        The groups, attribute by attribute, each sorted by name.

    ```python
    >>> smiles = ["happy", "happy", "happy", "sad", "sad"]
    >>> found = ["happy", "happy", "sad", "sad", "sad"]
    >>> recalls = group_recalls(smiles, found, {"glasses": [False, False, True, False, True]})
    >>> [(recall.group, recall.faces, recall.uar) for recall in recalls]
    [('False', 3, 1.0), ('True', 2, 0.5)]

    ```"""
    truth, right = np.asarray(truth), np.asarray(truth) == np.asarray(predicted)
    recalls = []
    for attribute, values in attributes.items():
        groups = np.asarray([str(value) for value in values])
        if len(groups) != len(truth):
            raise ValueError(f"{attribute} has {len(groups)} values for {len(truth)} faces; each face needs one")
        names = sorted(set(groups))
        classes = sorted(set.intersection(*(set(truth[groups == name]) for name in names)))
        if not classes:
            continue  # no class is shown by all groups: nothing to compare
        for name in names:
            of_class = [right[(groups == name) & (truth == each)] for each in classes]
            uar, low, high = _mean_recall(of_class, np.random.default_rng(seed))
            recalls.append(GroupRecall(attribute, name, sum(map(len, of_class)), uar, low, high))
    return recalls


def largest_gaps(recalls: Sequence[GroupRecall]) -> dict[str, float]:
    """Attribute → UAR of its best group minus that of its worst."""
    by_attribute: dict[str, list[float]] = {}
    for recall in recalls:
        by_attribute.setdefault(recall.attribute, []).append(recall.uar)
    return {attribute: max(uars) - min(uars) for attribute, uars in by_attribute.items()}


def _mean_recall(right: list[np.ndarray], rng: np.random.Generator) -> tuple[float, float, float]:
    """The mean over classes of the share recognised, and its interval; `right` has one array of booleans a class."""
    shares = np.array([each.mean() for each in right])
    counts = np.array([len(each) for each in right])
    # Drawing a class's faces again with replacement makes the number recognised binomial.
    resampled = (rng.binomial(counts, shares, (RESAMPLES, len(counts))) / counts).mean(axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return float(shares.mean()), float(low), float(high)
