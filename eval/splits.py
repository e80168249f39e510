"""What a probe is fitted on, chosen on and scored on: the folds of a benchmark, or its splits as the only fold."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import datasets
import numpy as np
import torch

from .benchmarks import get_benchmark, load_benchmark
from .benchmarks.own_data import BENCHMARKS as OWN_DATA
from .checkpoint import Checkpoint
from .embed import Embedded, embed_images

HELD_OUT = 0.2  # of train, where there is no validation split


@dataclass(frozen=True)
class Part:
    """Rows of a dataset. The dataset is embedded as a whole, so that folds of it share their vectors."""

    dataset: datasets.Dataset
    rows: np.ndarray

    @classmethod
    def whole(cls, dataset: datasets.Dataset) -> Part:
        return cls(dataset, np.arange(len(dataset)))

    def column(self, name: str) -> np.ndarray:
        return np.asarray(self.dataset[name])[self.rows]

    def __len__(self) -> int:
        return len(self.rows)


class Vectors:
    """
    What the vision tower makes of the rows of a part; every dataset is encoded once, however many parts it has.

    Args:
        patch_mean: beside what the tower pools, the mean of its patches, as linear probes of DINOv2 have it.
    """

    def __init__(self, checkpoint: Checkpoint, patch_mean: bool = False, **embedding: Any):
        self.checkpoint, self.patch_mean, self.embedding = checkpoint, patch_mean, embedding
        self._known: dict[str, Embedded] = {}

    def of(self, part: Part) -> tuple[torch.Tensor, Part]:
        """(rows, width), and the rows that could be read."""
        key = part.dataset._fingerprint
        if key not in self._known:
            model, processor = self.checkpoint.model, self.checkpoint.processor
            self._known[key] = embed_images(model, processor, part.dataset, **self.embedding)
        embedded = self._known[key]
        chosen = torch.isin(embedded.rows, torch.from_numpy(part.rows))
        vectors = torch.cat([embedded.pooled, embedded.patch_mean], dim=1) if self.patch_mean else embedded.pooled
        return vectors[chosen], Part(part.dataset, embedded.rows[chosen].numpy())

    def skipped(self) -> list[list[str]]:
        return [list(entry) for embedded in self._known.values() for entry in embedded.skipped]


@dataclass(frozen=True)
class Fold:
    """
    Args:
        train, validation, test: fitted on, chosen on, scored on.
        held_out: how `validation` was taken from the train split, "" if it is the benchmark's own.
        number: of the fold, None if there is but one.
    """

    train: Part
    validation: Part
    test: Part
    held_out: str = ""
    number: int | None = None


def load_folds(
    name: str,
    data_dir: str | os.PathLike | None = None,
    fold: int | None = None,
    strict: bool = False,
    **options: Any,
) -> list[Fold]:
    """
    Every fold of a benchmark, or the one asked for.

    Without a validation split, a fifth of train is one: whole subjects where they are known, so that no face is on
    both sides; else a fifth of each class.
    """
    benchmark = get_benchmark(name)
    if "train" not in benchmark.splits:
        raise ValueError(f"{benchmark.title} has no train split to fit on; it has {', '.join(benchmark.splits)}")
    load = partial(load_benchmark, name, data_dir, strict=strict, **options)
    if benchmark.folds_by_subject:
        whole = load(split="all")
        tested_in = np.asarray(whole["fold"])
        numbers = sorted(set(tested_in.tolist())) if fold is None else [fold]
        return [
            _with_validation(
                Part(whole, np.flatnonzero(tested_in != number)),
                Part(whole, np.flatnonzero(tested_in == number)),
                number,
            )
            for number in numbers
        ]
    numbers = range(1, benchmark.folds + 1) if benchmark.folds and fold is None else [fold]
    return [_fold(load, benchmark.splits, number, own=benchmark in OWN_DATA) for number in numbers]


def _fold(load: Callable[..., datasets.Dataset], splits: Sequence[str], number: int | None, own: bool) -> Fold:
    scored = next(split for split in splits if split not in ("train", "all"))
    train, test = (Part.whole(load(split=split, fold=number)) for split in ("train", scored))
    if "validation" not in splits or scored == "validation" or own:  # one's own data need not have one
        return _with_validation(train, test, number)
    return Fold(train, Part.whole(load(split="validation", fold=number)), test, number=number)


def _with_validation(train: Part, test: Part, number: int | None) -> Fold:
    share = f"{HELD_OUT:.0%} of train"
    subjects = train.column("subject") if "subject" in train.dataset.column_names else np.array([None])
    if all(subjects) and len(set(subjects)) > 1:
        chosen, how = _some_subjects(subjects), f"{share}, by subject"
    else:
        labels = train.column("label_id") if "label_id" in train.dataset.column_names else np.zeros(len(train.rows))
        chosen, how = _some_of_each(labels), f"{share}, of each class"
    kept, held = Part(train.dataset, train.rows[~chosen]), Part(train.dataset, train.rows[chosen])
    return Fold(kept, held, test, how, number)


def _some_subjects(subjects: np.ndarray) -> np.ndarray:
    """A mask of about a fifth of the subjects, at least one and never all."""
    names = np.random.default_rng(0).permutation(np.unique(subjects))
    return np.isin(subjects, names[: max(1, round(HELD_OUT * len(names)))])


def _some_of_each(labels: np.ndarray) -> np.ndarray:
    """A mask of about a fifth of the rows of each class; a class of one row stays in train."""
    draws, chosen = np.random.default_rng(0), np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = draws.permutation(np.flatnonzero(labels == label))
        chosen[rows[: max(round(HELD_OUT * len(rows)), int(len(rows) > 1))]] = True
    return chosen
