"""From which score on a label counts as present, chosen for the best F1."""

from __future__ import annotations

import numpy as np
import torch


def best_thresholds(scores: torch.Tensor, targets: np.ndarray) -> torch.Tensor:
    """
    The threshold with the best F1 for each label: (labels,). It stands in the middle between two scores.

    Args:
        scores: (rows, labels).
        targets: 1, 0, or nan where a label was not annotated. A label that is nowhere present is never predicted.

    >>> best_thresholds(torch.tensor([[0.1], [0.4], [0.6], [0.9]]), np.array([[0.0], [0.0], [1.0], [1.0]]))
    tensor([0.5000])
    """
    pairs = zip(scores.double().numpy().T, np.asarray(targets, dtype=float).T, strict=True)
    return torch.tensor([_best(*pair) for pair in pairs], dtype=torch.float32)


def _best(scores: np.ndarray, targets: np.ndarray) -> float:
    known = ~np.isnan(targets)
    order = np.argsort(-scores[known], kind="stable")
    scores, present = scores[known][order], targets[known][order] == 1
    if not present.any():
        return float("inf")
    claimed = np.arange(1, len(scores) + 1)
    f1 = 2 * np.cumsum(present) / (claimed + present.sum())  # if the first rows, by score, are claimed
    ends = np.append(scores[1:] < scores[:-1], True)  # equal scores are claimed together
    best = int(np.argmax(np.where(ends, f1, -1)))
    return float((scores[best] + scores[best + 1]) / 2 if best + 1 < len(scores) else scores[best] - 1e-3)
