"""Linear probe: how much of the labels a linear head finds in the frozen vision tower.

CLIP's protocol: the features are what the tower pools, before the projection; the L2 penalty is chosen among 45 values
on a validation split. Beside it, probes of a few examples a class and k nearest neighbours; and for action units,
which do not exclude each other, a threshold for each unit that the validation split chooses too.

emocapclip eval linear-probe --model M --benchmark rafdb --data-dir /data/RAF-DB
python -m emocapclip_hf.eval.linear_probe --model M --benchmark rafdb --data-dir /data/RAF-DB
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from .benchmarks import protocol_of
from .checkpoint import Checkpoint
from .classifier_head import save_classifier
from .few_shot import SHOTS, few_shot_uars
from .logistic_path import LinearHead, logistic_path
from .metrics.functions import action_unit_f1, f1_per_label, uar, war
from .nearest import nearest
from .results import Metric, Result, bootstrap
from .scored_rows import MEAN_OVER_FOLDS
from .splits import Fold, Part, Vectors
from .thresholds import best_thresholds
from .zero_shot import class_list, classification_metrics

CS = np.logspace(-6, 6, 45)  # 1 / (penalty · rows), as scikit-learn counts it, for features of mean square 1
NEIGHBOURS, TEMPERATURE = 20, 0.07  # neighbours vote with exp(cosine / temperature)


@dataclass(frozen=True)
class Probe:
    """
    A fitted head.

    Args:
        head: for features as the tower gives them.
        c: what was chosen of CS.
        scores: on validation, one a value of CS.
        thresholds: of labels that do not exclude each other: from which logit on each is present.
    """

    head: LinearHead
    c: float
    scores: list[float]
    thresholds: torch.Tensor | None = None

    def predict(self, features: torch.Tensor) -> np.ndarray:
        """Class numbers (rows,), or 0 and 1 for each label (rows, labels)."""
        logits = self.head(features)
        found = logits.argmax(dim=1) if self.thresholds is None else (logits >= self.thresholds).long()
        return found.numpy()


def fit_probe(
    train: tuple[torch.Tensor, np.ndarray],
    validation: tuple[torch.Tensor, np.ndarray],
    labels: int,
    refit: bool = False,
) -> Probe:
    """
    A head on `train`, with the penalty that does best on `validation`: by UAR, or by mean F1 where `targets` are a
    table of labels that do not exclude each other. Of equals the strongest penalty is chosen.

    Args:
        train, validation: features (rows, width), and class numbers (rows,) or a table (rows, labels) with nan.
        labels: how many there are.
        refit: fit the chosen penalty once more to both, where validation is but a part of train. Only where no
            thresholds are chosen: they belong to the head they were chosen for.
    """
    features, targets = train
    multi_label = targets.ndim == 2
    loss = "sigmoid" if multi_label else "softmax"
    standard = _Standard(features)

    def fit(features: torch.Tensor, targets: np.ndarray, cs: Sequence[float]) -> list[LinearHead]:
        penalties = [1 / (c * len(features)) for c in cs]
        heads = logistic_path(standard(features), torch.from_numpy(targets), penalties, loss, labels)
        return [standard.undo(head) for head in heads]

    heads = fit(features, targets, CS)
    scorer: Callable[..., float] = _best_f1 if multi_label else _uar_of_logits
    scores = [scorer(head(validation[0]), validation[1]) for head in heads]
    best = int(np.argmax(scores))
    head = heads[best]
    thresholds = best_thresholds(head(validation[0]), validation[1]) if multi_label else None
    if refit and not multi_label:
        both = torch.cat([features, validation[0]]), np.concatenate([targets, validation[1]])
        (head,) = fit(*both, [CS[best]])
    return Probe(head, float(CS[best]), scores, thresholds)


class _Standard:
    """Brings features to mean 0 and mean square 1 by one shift and one scale, so that CS means the same for all towers
    and the penalty keeps its shape."""

    def __init__(self, features: torch.Tensor):
        self.mean = features.mean(dim=0)
        self.scale = (features - self.mean).square().mean().sqrt().clamp(min=1e-12)

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        return (features - self.mean) / self.scale

    def undo(self, head: LinearHead) -> LinearHead:
        weight = head.weight / self.scale
        return LinearHead(weight, head.bias - weight @ self.mean)


def _uar_of_logits(logits: torch.Tensor, targets: np.ndarray) -> float:
    return uar(logits.argmax(dim=1).numpy(), targets)


def _best_f1(logits: torch.Tensor, targets: np.ndarray) -> float:
    return action_unit_f1((logits >= best_thresholds(logits, targets)).numpy(), targets)


def neighbours_say(train: tuple[torch.Tensor, np.ndarray], test: torch.Tensor, labels: int) -> np.ndarray:
    """The class that the nearest of `train`, by cosine, vote for: (rows,)."""
    features, classes = train
    k = min(NEIGHBOURS, len(features))
    cosines, places = nearest(F.normalize(test, dim=1), F.normalize(features, dim=1), k)
    votes = torch.zeros(len(test), labels)
    votes.scatter_add_(1, torch.from_numpy(classes)[places], (cosines / TEMPERATURE).exp())
    return votes.argmax(dim=1).numpy()


def run(
    checkpoint: Checkpoint,
    folds: Sequence[Fold],
    *,
    save_to: str | os.PathLike | None = None,
    few_shot: bool = True,
    **embedding: Any,
) -> Result:
    """
    Fit, choose and score a probe on every fold (`load_folds`).

    Args:
        save_to: a folder for the fitted head with its tower, as `EmoCapCLIPForImageClassification`; with several folds
            each in a folder of its own below.
        few_shot: also fit heads on a few faces a class.
        embedding: what `embed_images` takes.
    """
    first = folds[0].test.dataset
    labels = class_list(first)
    multi_label = "label_id" not in first.column_names
    vectors = Vectors(checkpoint, **embedding)
    found = [_probe_fold(vectors, fold, labels, multi_label, few_shot and not multi_label) for fold in folds]
    summarise = _multi_label_metrics if multi_label else _class_metrics
    metrics, details = summarise(found, labels)
    if save_to is not None:
        for fold, one in zip(folds, found, strict=True):
            folder = Path(save_to) if len(folds) == 1 else Path(save_to) / f"fold{fold.number}"
            save_classifier(checkpoint, one.probe.head, labels, folder, one.probe.thresholds)
    protocol = protocol_of(first)
    settings = {
        "features": "pooled output of the vision tower, before the projection",
        "cs": [float(c) for c in CS],
        "chosen_c": [one.probe.c for one in found],
        "validation": folds[0].held_out or "the benchmark's own",
        "refitted_on_validation": bool(folds[0].held_out) and not multi_label,
        "folds": [fold.number for fold in folds],
    }
    if len(folds) > 1:
        protocol["fold"] = MEAN_OVER_FOLDS
    return Result(
        "linear-probe",
        protocol["benchmark"],
        metrics,
        n=sum(len(one.truth) for one in found),
        model=checkpoint.name,
        revision=checkpoint.revision,
        fingerprint=first._fingerprint,
        protocol=protocol | {"probe": settings},
        details=details,
        skipped=vectors.skipped(),
    )


@dataclass(frozen=True)
class _Found:
    """What the probe of one fold says about its test rows."""

    probe: Probe
    logits: np.ndarray  # (rows, labels)
    predicted: np.ndarray
    truth: np.ndarray
    neighbours: np.ndarray | None
    few_shot: dict[int, list[float]]


def _probe_fold(vectors: Vectors, fold: Fold, labels: Sequence[str], multi_label: bool, few_shot: bool) -> _Found:
    train, validation, test = (
        (x, _targets(part)) for x, part in map(vectors.of, (fold.train, fold.validation, fold.test))
    )
    probe = fit_probe(train, validation, len(labels), refit=bool(fold.held_out))
    return _Found(
        probe,
        probe.head(test[0]).double().numpy(),
        probe.predict(test[0]),
        test[1],
        None if multi_label else neighbours_say(train, test[0], len(labels)),
        few_shot_uars(fit_probe, train, test, len(labels)) if few_shot else {},
    )


def _targets(part: Part) -> np.ndarray:
    """Class numbers (rows,), or 1, 0 and nan for each label (rows, labels)."""
    if "label_id" in part.dataset.column_names:
        return part.column("label_id").astype(np.int64)
    return part.column("labels").astype(np.float32)


def _class_metrics(found: Sequence[_Found], labels: Sequence[str]) -> tuple[dict[str, Metric], dict[str, Any]]:
    logits = np.concatenate([one.logits for one in found])
    truth = np.concatenate([one.truth for one in found])
    folds = _fold_of_rows(found)
    metrics, details = classification_metrics(_softmax(logits), truth, labels, folds)
    neighbours = np.concatenate([one.neighbours for one in found])
    by_neighbours = bootstrap({"war": war, "uar": uar}, neighbours, truth, folds=folds)
    metrics |= {f"knn_{name}": metric for name, metric in by_neighbours.items()}
    for shots in SHOTS if found[0].few_shot else ():
        metrics[f"uar_{shots}_shot"] = Metric(float(np.mean([one.few_shot[shots] for one in found])))
    if found[0].few_shot:  # for each fold: examples a class → one UAR a draw
        details["few_shot_uars"] = [{str(shots): values for shots, values in one.few_shot.items()} for one in found]
    return metrics, details


def _multi_label_metrics(found: Sequence[_Found], labels: Sequence[str]) -> tuple[dict[str, Metric], dict[str, Any]]:
    predicted = np.concatenate([one.predicted for one in found])
    truth = np.concatenate([one.truth for one in found])
    metrics = bootstrap({"f1": action_unit_f1}, predicted, truth, folds=_fold_of_rows(found))
    each = np.mean([f1_per_label(one.predicted, one.truth) for one in found], axis=0)
    details = {
        "labels": list(labels),
        "f1": dict(zip(labels, each.tolist(), strict=True)),
        "thresholds": [one.probe.thresholds.tolist() for one in found],  # logits
    }
    return metrics, details


def _fold_of_rows(found: Sequence[_Found]) -> np.ndarray | None:
    return np.repeat(range(len(found)), [len(one.truth) for one in found]) if len(found) > 1 else None


def _softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).softmax(dim=1).numpy()


if __name__ == "__main__":
    from .command import main

    sys.exit(main("linear-probe"))
