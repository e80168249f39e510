"""SynthFaces, the project's own procedural faces: made when they are asked for, or read from a written copy."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from .benchmark import Benchmark, Option
from .label_names import BASIC
from .local_copy import Account
from .rafdb import COMPOUND

if TYPE_CHECKING:
    import datasets

ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26, 43)


def read(
    account: Account,
    source: str | os.PathLike | None,
    split: str,
    n: int,
    size: int,
    seed: int,
    form: str,
    add: Callable[[datasets.Dataset], datasets.Dataset],
) -> datasets.Dataset:
    import datasets

    from emocapclip_hf.data.synthfaces import VERSION, synthfaces_dataset

    if source is None:
        table = synthfaces_dataset(split, n=n or None, size=size, seed=seed, form=form)
        account.notes["version"] = VERSION
    else:
        table = datasets.load_dataset(str(source), split=split)
        table = table.select(range(min(n, len(table)))) if n else table
        account.notes["source"] = "a written copy: size, seed and form are those it was made with"
    return add(table.rename_column("identity", "subject"))


def _emotions_of(kind: str, table: datasets.Dataset) -> datasets.Dataset:
    import datasets

    kinds, emotions = list(table["emotion_kind"]), list(table["emotion"])
    labels = [emotion if found == kind else f"({found})" for found, emotion in zip(kinds, emotions, strict=True)]
    return table.add_column("label", labels, feature=datasets.Value("string"))


def _action_units(table: datasets.Dataset) -> datasets.Dataset:
    import datasets

    levels = [{entry["au"]: entry["intensity"] for entry in face} for face in table["action_units"]]
    intensities = [[face.get(unit, 0.0) for unit in ACTION_UNITS] for face in levels]
    numbers = datasets.List(datasets.Value("float32"))
    table = table.add_column("intensities", intensities, feature=numbers)
    return table.add_column("labels", [[float(x > 0) for x in face] for face in intensities], feature=numbers)


_AFFECT = Benchmark(
    name="synthfaces",
    title="SynthFaces",
    tasks=("regression", "retrieval"),
    read=partial(read, add=lambda table: table),
    layout="none needed; or a folder that `emocapclip data synthfaces` wrote",
    licence="this project's LICENSE (Apache-2.0)",
    splits=("test", "validation", "train"),
    sizes={"test n=0": 2_000, "validation n=0": 1_000, "train n=0": 12_000},
    metrics=("CCC", "PCC", "RMSE", "SAGR", "R@1", "R@5", "R@10"),
    options=(
        Option("n", 0, about="the first n faces; 0: all of them"),
        Option("size", 96, about="pixels a side"),
        Option("seed", 0, about="of the generator"),
        Option("form", "long", {"long": "about 190 words", "short": "about 70 words"}, about="of captions"),
    ),
    warnings=("Synthetic faces: a number here says nothing about photographs of people.",),
    needs_data=False,
    reads_datasets=True,
)
_EMOTIONS = replace(
    _AFFECT,
    name="synthfaces-emotion8",
    title="SynthFaces, eight emotions",
    tasks=("classification",),
    read=partial(read, add=partial(_emotions_of, "basic")),
    labels=BASIC,
    leaves_out=("(compound)", "(blend)", "(other)"),
    sizes={},
    metrics=("WAR", "UAR"),
)
BENCHMARKS = (
    _AFFECT,
    _EMOTIONS,
    replace(
        _EMOTIONS,
        name="synthfaces-compound11",
        title="SynthFaces, eleven compounds",
        read=partial(read, add=partial(_emotions_of, "compound")),
        labels=tuple(COMPOUND.values()),
        leaves_out=("(basic)", "(blend)", "(other)"),
    ),
    replace(
        _AFFECT,
        name="synthfaces-au",
        title="SynthFaces, action units",
        tasks=("multi-label", "regression"),
        read=partial(read, add=_action_units),
        labels=tuple(f"AU{unit}" for unit in ACTION_UNITS),
        metrics=("mean F1", "CCC"),
    ),
)
