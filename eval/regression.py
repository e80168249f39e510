"""Regression on frozen embeddings: valence and arousal, or the intensities of action units.

Ridge on what the vision tower pools and on the mean of its patches, as linear probes of DINOv2 have it; one singular
value decomposition for all penalties, and each target's is chosen by CCC on a validation split.

emocapclip eval regression --model M --benchmark affectnet-va --data-dir /data/AffectNet
python -m emocapclip_hf.eval.regression --model M --benchmark affectnet-va --data-dir /data/AffectNet
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from .benchmarks import protocol_of
from .checkpoint import Checkpoint
from .metrics.functions import ccc, pcc, rmse, sagr
from .results import Metric, Result, bootstrap
from .scored_rows import MEAN_OVER_FOLDS
from .splits import Fold, Part, Vectors

ALPHAS = np.logspace(-6, 6, 45)  # penalty for each row, for features of mean square 1
CCC_OVER = ("all", "sequence")
_SIGNED = ("valence", "arousal")


@dataclass(frozen=True)
class Ridge:
    """Predicts `features @ weight + bias`: weight (width, targets), bias (targets,); `alphas`: what was chosen."""

    weight: np.ndarray
    bias: np.ndarray
    alphas: np.ndarray

    def predict(self, features: torch.Tensor) -> np.ndarray:
        return features.double().numpy() @ self.weight + self.bias


class RidgePath:
    """
    Ridge for every penalty of ALPHAS: mean squared error + alpha · |weight|², the bias free.

    Args:
        features: (rows, width).
        targets: (rows, targets); rows with nan are left out for that target.

    >>> path = RidgePath(torch.tensor([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [5.0]]))
    >>> path.fit([1e-9]).predict(torch.tensor([[3.0]])).round(3)
    array([[7.]])
    """

    def __init__(self, features: torch.Tensor, targets: np.ndarray):
        features, targets = features.double().numpy(), np.asarray(targets, dtype=float)
        self.parts = []  # targets with the same rows share a decomposition
        known = ~np.isnan(targets)
        for pattern in np.unique(known, axis=1).T:
            chosen = np.flatnonzero((known == pattern[:, None]).all(axis=0))
            self.parts.append((chosen, _Decomposition(features[pattern], targets[pattern][:, chosen])))
        self.shape = features.shape[1], targets.shape[1]

    def fit(self, alphas: Sequence[float]) -> Ridge:
        """One penalty for each target."""
        alphas = np.broadcast_to(alphas, self.shape[1])
        weight, bias = np.zeros(self.shape), np.zeros(self.shape[1])
        for chosen, decomposition in self.parts:
            weight[:, chosen], bias[chosen] = decomposition.solve(alphas[chosen])
        return Ridge(weight, bias, np.array(alphas))


class _Decomposition:
    """Centred, scaled features as U S Vᵀ: a penalty then only shrinks S."""

    def __init__(self, features: np.ndarray, targets: np.ndarray):
        self.mean, self.target_mean = features.mean(axis=0), targets.mean(axis=0)
        centred = features - self.mean
        self.scale = max(np.sqrt(np.mean(centred**2)), 1e-12)
        left, self.values, self.right = np.linalg.svd(centred / self.scale, full_matrices=False)
        self.projected = left.T @ (targets - self.target_mean)  # (directions, targets)
        self.rows = len(features)

    def solve(self, alphas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shrunk = self.values[:, None] / (self.values[:, None] ** 2 + alphas * self.rows)  # (directions, targets)
        weight = self.right.T @ (shrunk * self.projected) / self.scale
        return weight, self.target_mean - self.mean @ weight


def fit_ridge(
    train: tuple[torch.Tensor, np.ndarray],
    validation: tuple[torch.Tensor, np.ndarray],
    kind: str = "biased",
    refit: bool = False,
) -> Ridge:
    """
    Each target's penalty is the one whose predictions have the highest CCC on `validation`.

    Args:
        train, validation: features (rows, width) and targets (rows, targets), nan where one is not annotated.
        kind: of CCC.
        refit: fit the chosen penalties once more to both, where validation is but a part of train.
    """
    path = RidgePath(*train)
    scores = []  # (alphas, targets)
    for alpha in ALPHAS:
        predicted = path.fit([alpha]).predict(validation[0])
        scores.append(
            [_of_known(partial(ccc, kind=kind), *pair) for pair in zip(predicted.T, validation[1].T, strict=True)]
        )
    chosen = ALPHAS[np.argmax(scores, axis=0)]
    if refit:
        path = RidgePath(torch.cat([train[0], validation[0]]), np.concatenate([train[1], validation[1]]))
    return path.fit(chosen)


def run(
    checkpoint: Checkpoint,
    folds: Sequence[Fold],
    *,
    ccc_kind: str = "biased",
    ccc_over: str = "all",
    **embedding: Any,
) -> Result:
    """
    Fit, choose and score on every fold (`load_folds`).

    Args:
        ccc_kind: "biased" or "unbiased"; it is named in the result.
        ccc_over: "all" rows as one series, or the mean over each video ("sequence"; a video is a `subject`).
        embedding: what `embed_images` takes.
    """
    if ccc_over not in CCC_OVER:
        raise ValueError(f"ccc_over={ccc_over!r}: choose from {', '.join(CCC_OVER)}")
    first = folds[0].test.dataset
    names, protocol = target_names(first), protocol_of(first)
    vectors = Vectors(checkpoint, patch_mean=True, **embedding)
    predicted, truth, sequences, alphas = [], [], [], []
    for fold in folds:
        parts = [vectors.of(part) for part in (fold.train, fold.validation, fold.test)]
        train, validation, test = ((features, _targets(part, names)) for features, part in parts)
        ridge = fit_ridge(train, validation, ccc_kind, refit=bool(fold.held_out))
        predicted.append(ridge.predict(test[0]))
        truth.append(test[1])
        sequences.append(_sequences(parts[2][1]) if ccc_over == "sequence" else np.zeros(len(test[1])))
        alphas.append(dict(zip(names, ridge.alphas.tolist(), strict=True)))
    metrics = _metrics(names, predicted, truth, sequences, ccc_kind, ccc_over)
    if len(folds) > 1:
        protocol["fold"] = MEAN_OVER_FOLDS
    settings = {
        "features": "pooled output of the vision tower, before the projection, and the mean of its patches",
        "ccc": f"{ccc_kind}, over {'all rows' if ccc_over == 'all' else 'each video, then the mean'}",
        "alphas": alphas,
        "validation": folds[0].held_out or "the benchmark's own",
        "refitted_on_validation": bool(folds[0].held_out),
        "folds": [fold.number for fold in folds],
    }
    return Result(
        "regression",
        protocol["benchmark"],
        metrics,
        n=sum(map(len, truth)),
        model=checkpoint.name,
        revision=checkpoint.revision,
        fingerprint=first._fingerprint,
        protocol=protocol | {"regression": settings},
        details={"targets": names},
        skipped=vectors.skipped(),
    )


def target_names(dataset: Any) -> list[str]:
    """What is to be predicted: valence and arousal, or an intensity for each action unit."""
    columns, protocol = dataset.column_names, protocol_of(dataset)
    if "intensities" in columns:
        return list(protocol["labels"])
    names = [name for name in _SIGNED if name in columns]
    if not names:
        raise ValueError(
            f"{protocol['title']} has nothing to regress: no column valence, arousal or intensities in "
            f"{', '.join(columns)}"
        )
    return names


def _targets(part: Part, names: Sequence[str]) -> np.ndarray:
    """(rows, targets), with nan where one is not annotated."""
    if "intensities" in part.dataset.column_names:
        return part.column("intensities").astype(float)
    return np.stack([part.column(name).astype(float) for name in names], axis=1)


def _sequences(part: Part) -> np.ndarray:
    if "subject" not in part.dataset.column_names:
        raise ValueError("ccc_over='sequence' needs the video of every row in a column subject; there is none")
    return part.column("subject")


def _metrics(names, predicted, truth, sequences, kind: str, over: str) -> dict[str, Metric]:
    """CCC, PCC, RMSE and SAGR of each target, and of action units the means."""
    folds = np.repeat(range(len(truth)), list(map(len, truth))) if len(truth) > 1 else None
    predicted, truth, sequences = map(np.concatenate, (predicted, truth, sequences))
    _, sequences = np.unique(sequences, return_inverse=True)

    def concordance(ours, theirs, videos):
        return ccc(ours, theirs, kind, videos if over == "sequence" else None)

    measures = {"ccc": concordance, "pcc": _of_two(pcc), "rmse": _of_two(rmse), "sagr": _of_two(sagr)}
    metrics: dict[str, Metric] = {}
    for place, name in enumerate(names):
        known = ~np.isnan(truth[:, place])
        columns = predicted[known, place], truth[known, place], sequences[known]
        found = bootstrap(measures, *columns, folds=None if folds is None else folds[known])
        metrics |= {f"{name}_{measure}": metric for measure, metric in found.items()}
    if not set(names) <= set(_SIGNED):  # an action unit's intensity is never negative
        metrics = {name: metric for name, metric in metrics.items() if not name.endswith("_sagr")}
        for measure in ("ccc", "pcc", "rmse"):
            metrics[f"mean_{measure}"] = Metric(float(np.mean([metrics[f"{name}_{measure}"].value for name in names])))
    return metrics


def _of_two(metric):
    return lambda ours, theirs, videos: metric(ours, theirs)


def _of_known(metric, predicted: np.ndarray, truth: np.ndarray) -> float:
    known = ~np.isnan(truth)
    return metric(predicted[known], truth[known])


if __name__ == "__main__":
    from .command import main

    sys.exit(main("regression"))
