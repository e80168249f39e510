"""Metrics as plain functions: `metric(predictions, references) -> float`. Imports numpy alone.

They are short sums over arrays, so that a bootstrap can call them a thousand times; scikit-learn and scipy confirm
them in the tests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

CCC_KINDS = ("biased", "unbiased")
ECE_BINS = 15


def uar(predictions: ArrayLike, references: ArrayLike) -> float:
    """Unweighted average recall: the mean of the recalls of the classes that occur in `references`.

    >>> uar([0, 0, 1], [0, 0, 0])
    0.6666666666666666
    """
    return float(np.mean(list(recall_per_class(predictions, references).values())))


def recall_per_class(predictions: ArrayLike, references: ArrayLike) -> dict[int, float]:
    """Class → the share of its rows that was recognised, for the classes that occur in `references`."""
    predictions, references = _paired(predictions, references)
    classes, places = np.unique(references, return_inverse=True)
    hits = np.bincount(places, weights=predictions == references, minlength=len(classes))
    return dict(zip(classes.tolist(), (hits / np.bincount(places)).tolist(), strict=True))


def war(predictions: ArrayLike, references: ArrayLike) -> float:
    """Weighted average recall, the field's name for accuracy."""
    predictions, references = _paired(predictions, references)
    return float(np.mean(predictions == references))


def ccc(
    predictions: ArrayLike, references: ArrayLike, kind: str = "biased", sequences: ArrayLike | None = None
) -> float:
    """Lin's concordance correlation coefficient.

    Args:
        kind: `biased` divides variances and covariance by n, as Lin did; `unbiased` divides by n - 1. Both are
            published, so a figure says which.
        sequences: the video of every row. Without it all rows are one sequence (concatenated); with it every video
            has a coefficient of its own, and the result is their mean.

    >>> round(ccc([0.0, 0.5, 1.0], [0.1, 0.5, 0.7]), 4), round(ccc([0, 0.5, 1], [0.1, 0.5, 0.7], "unbiased"), 4)
    (0.8571, 0.8626)
    """
    if kind not in CCC_KINDS:
        raise ValueError(f"CCC kind {kind!r}: choose from {', '.join(CCC_KINDS)}")
    predictions, references = _numbers(predictions, references)
    if sequences is None:
        return _concordance(predictions, references, kind)
    _, places = np.unique(np.asarray(sequences), return_inverse=True)
    order = np.argsort(places, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(places))[:-1])
    return float(np.mean([_concordance(predictions[part], references[part], kind) for part in parts]))


def _concordance(predictions: np.ndarray, references: np.ndarray, kind: str) -> float:
    freedom = len(references) - (kind == "unbiased")
    ours, theirs = predictions - predictions.mean(), references - references.mean()
    spread = (ours @ ours + theirs @ theirs) / max(freedom, 1) + (predictions.mean() - references.mean()) ** 2
    if spread == 0:  # two constants, and the same: they agree
        return 1.0
    return float(2 * (ours @ theirs) / max(freedom, 1) / spread)


def pcc(predictions: ArrayLike, references: ArrayLike) -> float:
    """Pearson's correlation; 0 where one side is constant, so that a constant guess earns nothing."""
    predictions, references = _numbers(predictions, references)
    ours, theirs = predictions - predictions.mean(), references - references.mean()
    norm = np.sqrt((ours @ ours) * (theirs @ theirs))
    return float(ours @ theirs / norm) if norm > 0 else 0.0


def rmse(predictions: ArrayLike, references: ArrayLike) -> float:
    """Root of the mean squared error."""
    predictions, references = _numbers(predictions, references)
    return float(np.sqrt(np.mean((predictions - references) ** 2)))


def sagr(predictions: ArrayLike, references: ArrayLike) -> float:
    """Sign agreement: the share of rows where prediction and reference have the same sign; 0 agrees with 0 alone."""
    predictions, references = _numbers(predictions, references)
    return float(np.mean(np.sign(predictions) == np.sign(references)))


def ece(predictions: ArrayLike, references: ArrayLike, bins: int = ECE_BINS) -> float:
    """Expected calibration error: how far confidence is from accuracy, on average over bins of equal width.

    Args:
        predictions: probabilities, (rows, classes). The largest is the confidence; a bin holds (low, high].
        references: class numbers, (rows,).
    """
    probabilities, references = _finite("predictions", predictions), np.asarray(references)
    if probabilities.ndim != 2 or len(probabilities) != len(references) or not len(references):
        raise ValueError(
            f"expected probabilities (rows, classes) and as many labels, got {probabilities.shape} and "
            f"{references.shape}"
        )
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == references
    places = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(places, weights=confidence - correct, minlength=bins)
    return float(np.abs(gaps).sum() / len(references))


def action_unit_f1(predictions: ArrayLike, references: ArrayLike) -> float:
    """The mean over action units of F1."""
    return float(np.mean(f1_per_label(predictions, references)))


def f1_per_label(predictions: ArrayLike, references: ArrayLike) -> np.ndarray:
    """F1 of every column: (labels,). A reference that is nan was not annotated, and does not count.

    A label that is neither present nor predicted has F1 0, as in scikit-learn.
    """
    predictions, references = np.asarray(predictions, dtype=float), np.asarray(references, dtype=float)
    if predictions.shape != references.shape or references.ndim != 2 or not len(references):
        raise ValueError(f"expected two tables of (rows, labels), got {predictions.shape} and {references.shape}")
    known = ~np.isnan(references)
    hits = (predictions * (references == 1) * known).sum(axis=0)
    claims = (predictions * known).sum(axis=0) + (references == 1).sum(axis=0)
    return np.divide(2 * hits, claims, out=np.zeros(references.shape[1]), where=claims > 0)


def _paired(predictions: ArrayLike, references: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    predictions, references = np.asarray(predictions), np.asarray(references)
    if predictions.shape != references.shape or references.ndim != 1 or not len(references):
        raise ValueError(f"expected as many predictions as references, got {predictions.shape} and {references.shape}")
    return predictions, references


def _numbers(predictions: ArrayLike, references: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    predictions, references = _paired(predictions, references)
    return _finite("predictions", predictions), _finite("references", references)


def _finite(name: str, values: ArrayLike) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1)) if len(values) else []
    if len(bad):
        raise ValueError(f"{name} has {len(bad)} rows that are not finite, first row {bad[0]}")
    return values
