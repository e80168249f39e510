"""What an evaluation found: one `Result` a run, written as one JSON file that says how it came about."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

RESAMPLES = 1000
CONFIDENCE = 0.95
_SETTINGS = ("split", "fold", "options", "encoding", "prompt_set", "scoring")  # of a protocol, that name a file
_LONGEST_WORD = 80  # of a file's name
_PACKAGES = ("emocapclip-hf", "torch", "transformers", "datasets", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Metric:
    """A number and, where rows were resampled, its 95 % bootstrap interval."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass
class Result:
    """
    One task on one benchmark by one model.

    Args:
        task: "zero-shot", "retrieval", "linear-probe", "regression", "choice" or "captioning".
        benchmark: its name, for instance "rafdb".
        metrics: name → number.
        n: rows that were scored.
        model: Hub id or folder, and `revision`: the commit on the Hub, or the fingerprint of the weights.
        fingerprint: of the dataset.
        protocol: what was read and by which rules (`protocol_of`), and the task's own settings.
        prompts: label → the exact texts that stood for it.
        details: what tables and pictures are drawn from: labels, confusion matrix, recalls, examples.
        skipped: (id, reason) of the rows that could not be scored.
        versions, command: filled in here.

    >>> import tempfile
    >>> result = Result("zero-shot", "rafdb", {"uar": Metric(0.5, 0.4, 0.6)}, n=3068, model="somebody/faces")
    >>> Result.load(result.save(tempfile.mkdtemp())) == result, result.flat()
    (True, {'zero-shot/rafdb/uar': 0.5})
    """

    task: str
    benchmark: str
    metrics: dict[str, Metric]
    n: int
    model: str = ""
    revision: str = ""
    fingerprint: str = ""
    protocol: dict[str, Any] = field(default_factory=dict)
    prompts: dict[str, list[str]] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    skipped: list[list[str]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=lambda: _versions())
    command: str = field(default_factory=lambda: shlex.join(sys.argv))

    def flat(self) -> dict[str, float]:
        """task/benchmark/metric → number."""
        return {f"{self.task}/{self.benchmark}/{name}": metric.value for name, metric in self.metrics.items()}

    def file_name(self) -> str:
        """One name a model, task, benchmark and settings, so that no run overwrites another's but its own."""
        settings = {name: self.protocol[name] for name in _SETTINGS if name in self.protocol}
        digest = hashlib.blake2b(json.dumps(settings, sort_keys=True, default=str).encode(), digest_size=4).hexdigest()
        words = (self.model, self.task, self.benchmark, *(settings.get(name) for name in ("prompt_set", "scoring")))
        readable = [re.sub(r"[^\w.-]+", "_", str(word)).strip("_.")[-_LONGEST_WORD:] for word in words if word]
        return "--".join([*readable, digest]) + ".json"

    def save(self, folder: str | os.PathLike) -> Path:
        """Write it into a folder, aside and renamed; returns the file."""
        path = Path(folder) / self.file_name()
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        aside.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        aside.replace(path)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike) -> Result:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        try:
            metrics = {name: Metric(**metric) for name, metric in content.pop("metrics").items()}
            return cls(metrics=metrics, **content)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no result of an evaluation: {error!r}") from error


def bootstrap(
    metrics: Mapping[str, Callable[..., float]],
    *arrays: np.ndarray,
    folds: np.ndarray | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Metric]:
    """
    Each metric of the rows of `arrays`, with the percentile interval over rows drawn again with replacement.

    Args:
        metrics: name → function of the arrays.
        arrays: of equal length; row i of all of them belongs together.
        folds: the fold that tests each row. A metric is then the mean over folds, and rows are drawn within folds.
        resamples: 0 leaves out the intervals.

    >>> truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    >>> bootstrap({"war": lambda t, p: (t == p).mean().item()}, truth, predicted)
    {'war': Metric(value=0.75, low=0.25, high=1.0)}
    """
    rows = np.arange(len(arrays[0]))
    groups = [rows] if folds is None else [rows[folds == fold] for fold in np.unique(folds)]
    whole = _measure(metrics, arrays, groups)
    rng = np.random.default_rng(seed)
    drawn = [
        _measure(metrics, arrays, [group[rng.integers(len(group), size=len(group))] for group in groups])
        for _ in range(resamples)
    ]
    if not drawn:
        return {name: Metric(value) for name, value in whole.items()}
    tail = 100 * (1 - CONFIDENCE) / 2
    found = {}
    for name, value in whole.items():
        low, high = np.nanpercentile([sample[name] for sample in drawn], [tail, 100 - tail])
        found[name] = Metric(value, float(low), float(high))
    return found


def _measure(metrics: Mapping[str, Callable[..., float]], arrays, groups: list[np.ndarray]) -> dict[str, float]:
    """The mean over groups of rows of each metric."""
    return {
        name: float(np.mean([metric(*(array[group] for array in arrays)) for group in groups]))
        for name, metric in metrics.items()
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # a bare checkout is not installed
            continue
    return found
