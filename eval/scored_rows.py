"""The rows that a task without training scores: a split, a fold, or the test rows of every fold."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import Any

import datasets
import numpy as np

from .benchmarks import get_benchmark, load_benchmark, protocol_of

MEAN_OVER_FOLDS = "mean over folds"


def load_scored(
    name: str,
    data_dir: str | os.PathLike | None = None,
    split: str | None = None,
    fold: int | None = None,
    strict: bool = False,
    **options: Any,
) -> datasets.Dataset:
    """
    Like `load_benchmark`; but the test split of a benchmark with folds, without a fold, is that of all of them. Each
    row is in it once, and metrics are means over folds.
    """
    benchmark = get_benchmark(name)
    load = partial(load_benchmark, name, data_dir, strict=strict, **options)
    if not benchmark.folds or fold is not None or (split or benchmark.splits[0]) != "test":
        return load(split=split, fold=fold)
    if benchmark.folds_by_subject:
        rows = load(split="all")
        protocol = protocol_of(rows)
    else:
        parts = [load(split="test", fold=number) for number in range(1, benchmark.folds + 1)]
        rows, protocol = datasets.concatenate_datasets(parts), protocol_of(parts[0])
    protocol |= {"split": "test", "fold": MEAN_OVER_FOLDS, "rows": len(rows), "official_rows": None}
    rows.info.description = json.dumps(protocol, ensure_ascii=False)
    return rows


def folds_of(rows: datasets.Dataset) -> np.ndarray | None:
    """The fold that tests each row, where metrics are to be means over folds."""
    return np.asarray(rows["fold"]) if protocol_of(rows)["fold"] == MEAN_OVER_FOLDS else None
