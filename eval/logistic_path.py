"""Linear classifiers for a whole path of L2 penalties, at little more than the cost of one.

For each penalty the minimum of: mean loss over rows + penalty / 2 · |weight|², the bias free. Three things make the
path cheap. Features are turned into the eigenvectors of their Gram matrix, once, where a diagonal is a good
preconditioner for every penalty. From the strongest penalty to the weakest, each solution is where the next one
starts, moved on as far as it moved last. And what L-BFGS learned of the curvature stays true from one penalty to the
next, but for the penalty itself, whose curvature is known.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from emocapclip_hf.onednn import OneDNNLinear

LOSSES = ("softmax", "sigmoid")
_TOLERANCE = 1e-6  # how much lower the mean loss might still get, by the curvature known
_MOST_STEPS = 200
_MOST_HALVINGS = 12
_REMEMBERED = 10  # pairs of L-BFGS
_LEAST_SPREAD = 1e-7  # directions with less of the largest variance are noise of float32: their weight is 0

# Logits and targets (rows, labels) → mean loss, its gradient by the logits, and its mean curvature for each label.
Loss = Callable[[torch.Tensor, torch.Tensor], tuple[float, torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class LinearHead:
    """`features @ weight.T + bias`: weight (labels, dim), bias (labels,)."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        return F.linear(features, self.weight, self.bias)


@torch.no_grad()
def logistic_path(
    features: torch.Tensor,
    targets: torch.Tensor,
    penalties: Sequence[float],
    loss: str = "softmax",
    labels: int | None = None,
) -> list[LinearHead]:
    """
    The best linear head for every penalty.

    Args:
        features: (rows, dim).
        targets: class numbers, (rows,), for `softmax`; (rows, labels) of 0, 1 and nan (unknown) for `sigmoid`.
        penalties: in scikit-learn's terms 1 / (C · rows).
        loss: "softmax", or "sigmoid" for labels that do not exclude each other.
        labels: how many classes there are; default: as many as the largest number in `targets` says.

    >>> features, classes = torch.tensor([[-1.0], [0.0], [1.0]]), torch.tensor([0, 0, 1])
    >>> strong, weak = logistic_path(features, classes, [10.0, 0.1])
    >>> strong(features).argmax(dim=1).tolist(), weak(features).argmax(dim=1).tolist()
    ([0, 0, 0], [0, 0, 1])
    """
    if loss not in LOSSES:
        raise ValueError(f"loss={loss!r}: choose from {', '.join(LOSSES)}")
    if min(penalties) <= 0:
        raise ValueError(f"a penalty of {min(penalties)} has no unique solution: penalties must be positive")
    if not features.sum().isfinite():  # a look at every number would take as long as a step
        bad = (~features.isfinite().all(dim=1)).nonzero()[:, 0]
        raise ValueError(f"{len(bad)} rows of features are not finite, first row {bad[0]}")
    basis = _Basis(features.float())
    targets = F.one_hot(targets, labels or -1).float() if loss == "softmax" else targets.float()
    path = _Path(basis, targets, _softmax if loss == "softmax" else _sigmoid)
    order = sorted(range(len(penalties)), key=lambda place: -penalties[place])
    solved = {place: basis.head(path.solve(penalties[place])) for place in order}
    return [solved[place] for place in range(len(penalties))]


class _Basis:
    """Centred features in the eigenvectors of their Gram matrix, and a constant column for the bias."""

    def __init__(self, features: torch.Tensor):
        self.mean = features.mean(dim=0)
        centred = features - self.mean
        spread, vectors = torch.linalg.eigh((centred.T @ centred).double() / len(centred))
        kept = spread > spread.max() * _LEAST_SPREAD
        self.vectors = vectors[:, kept].float()  # (dim, directions)
        ones = centred.new_ones(len(centred), 1)
        self.rows = torch.cat([centred @ self.vectors, ones], dim=1)  # (rows, directions + 1)
        self.spread = torch.cat([spread[kept].float(), ones[0]])  # mean square of each column
        self.penalised = torch.ones_like(self.spread)
        self.penalised[-1] = 0

    def head(self, weight: torch.Tensor) -> LinearHead:
        """Back to the features as they were given."""
        turned = weight[:, :-1] @ self.vectors.T
        return LinearHead(turned, weight[:, -1] - turned @ self.mean)


@dataclass
class _Curvature:
    """What L-BFGS remembers: its last steps, and how the gradient changed along each."""

    steps: list[torch.Tensor] = field(default_factory=list)
    changes: list[torch.Tensor] = field(default_factory=list)

    def add(self, step: torch.Tensor, change: torch.Tensor) -> None:
        if (step * change).sum() > 0:  # rounding alone can make it negative
            self.steps = [*self.steps, step][-_REMEMBERED:]
            self.changes = [*self.changes, change][-_REMEMBERED:]

    def add_penalty(self, penalty: torch.Tensor) -> None:
        """The curvature of a penalty is the penalty."""
        self.changes = [change + penalty * step for step, change in zip(self.steps, self.changes, strict=True)]

    def direction(self, gradient: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
        """The inverse curvature times the gradient: `inverse`, a diagonal, corrected by what is remembered."""
        result, shares = gradient.clone(), []
        pairs = list(zip(self.steps, self.changes, strict=True))
        for step, change in reversed(pairs):
            shares.append((step * result).sum() / (step * change).sum())
            result -= shares[-1] * change
        if pairs:
            step, change = pairs[-1]
            inverse = inverse * (step * change).sum() / (change * inverse * change).sum()
        result *= inverse
        for (step, change), share in zip(pairs, reversed(shares), strict=True):
            result += (share - (change * result).sum() / (step * change).sum()) * step
        return result


@dataclass(frozen=True)
class _Point:
    """A weight (labels, directions + 1), the objective there, its gradient, and the loss's curvature by label."""

    weight: torch.Tensor
    value: float
    gradient: torch.Tensor
    bends: torch.Tensor


class _Path:
    """Solves one penalty after the other, from the strongest to the weakest."""

    def __init__(self, basis: _Basis, targets: torch.Tensor, loss: Loss):
        self.basis, self.targets, self.loss = basis, targets, loss
        self.weight = basis.rows.new_zeros(targets.shape[1], basis.rows.shape[1])  # (labels, directions + 1)
        self.moved = torch.zeros_like(self.weight)
        self.curvature = _Curvature()
        self.penalty = 0.0

    def solve(self, penalty: float) -> torch.Tensor:
        penalised = self.basis.penalised
        self.curvature.add_penalty((penalty - self.penalty) * penalised)
        self.penalty, before = penalty, self.weight
        here = self._at(before + self.moved)
        # (labels, directions + 1): the curvature's diagonal, were features and errors independent
        diagonal = here.bends[:, None].clamp(min=1e-6) * self.basis.spread + penalty * penalised
        for _ in range(_MOST_STEPS):
            direction = self.curvature.direction(here.gradient, 1 / diagonal)
            descent = (here.gradient * direction).sum().item()
            if descent / 2 < _TOLERANCE:
                break
            there = self._search(here, direction, descent)
            self.curvature.add(there.weight - here.weight, there.gradient - here.gradient)
            here = there
        else:
            warnings.warn(f"penalty {penalty:.3g}: not solved in {_MOST_STEPS} steps", RuntimeWarning, stacklevel=3)
        self.weight, self.moved = here.weight, here.weight - before
        return here.weight

    def _search(self, here: _Point, direction: torch.Tensor, descent: float) -> _Point:
        """Halve the step until the objective falls; the first one nearly always does."""
        for halvings in range(_MOST_HALVINGS):
            step = 0.5**halvings
            there = self._at(here.weight - step * direction)
            if there.value <= here.value - 1e-4 * step * descent:
                break
        return there

    def _at(self, weight: torch.Tensor) -> _Point:
        rows, shrink = self.basis.rows, self.penalty * self.basis.penalised * weight
        with OneDNNLinear():
            logits = F.linear(rows, weight)  # (rows, labels)
        value, residuals, bends = self.loss(logits, self.targets)
        gradient = residuals.T.contiguous() @ rows / len(rows) + shrink
        return _Point(weight, value + 0.5 * (weight * shrink).sum().item(), gradient, bends)


def _softmax(logits: torch.Tensor, targets: torch.Tensor) -> tuple[float, torch.Tensor, torch.Tensor]:
    logs = logits.log_softmax(dim=1)
    probabilities = logs.exp()
    value = -(logs * targets).sum(dim=1).double().mean().item()
    return value, probabilities - targets, (probabilities * (1 - probabilities)).mean(dim=0)


def _sigmoid(logits: torch.Tensor, targets: torch.Tensor) -> tuple[float, torch.Tensor, torch.Tensor]:
    known, targets = ~targets.isnan(), targets.nan_to_num()
    losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none") * known
    probabilities = logits.sigmoid()
    value = losses.sum(dim=1).double().mean().item()
    return value, (probabilities - targets) * known, (probabilities * (1 - probabilities) * known).mean(dim=0)
