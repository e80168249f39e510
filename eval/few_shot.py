"""Probes of a few examples a class: drawn several times, the penalty chosen on as few others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from .metrics.functions import uar

SHOTS, SEEDS = (1, 2, 4, 8, 16), 5
_VALIDATION_SHOTS = 4  # at most: whoever has few examples has no large validation split either

Rows = tuple[torch.Tensor, np.ndarray]


def few_shot_uars(fit: Callable[..., object], train: Rows, test: Rows, labels: int) -> dict[int, list[float]]:
    """
    Examples a class → the UAR on `test` for each of SEEDS draws.

    Args:
        fit: `fit(train, validation, labels)` returns something with `predict`.
        train, test: features and class numbers.
    """
    features, classes = train
    found: dict[int, list[float]] = {shots: [] for shots in SHOTS}
    for shots in SHOTS:
        for seed in range(SEEDS):
            chosen, held = draw(classes, shots, seed)
            few, validation = (features[chosen], classes[chosen]), (features[held], classes[held])
            probe = fit(few, validation, labels)
            found[shots].append(uar(probe.predict(test[0]), test[1]))
    return found


def draw(classes: np.ndarray, shots: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """
    Rows to fit on, `shots` a class, and other rows to choose on, as many but at most four a class. Of a class that has
    too few, at least one is fitted on, and one more is chosen on where there is one; if no class has more than one
    row, the penalty is chosen on the rows it is fitted on.
    """
    draws = np.random.default_rng((seed, shots))
    chosen, held = [], []
    for label in np.unique(classes):
        rows = draws.permutation(np.flatnonzero(classes == label))
        used = min(shots, max(1, len(rows) - 1))
        chosen.append(rows[:used])
        held.append(rows[used : used + min(shots, _VALIDATION_SHOTS)])
    return np.concatenate(chosen), np.concatenate(held if any(map(len, held)) else chosen)
