"""What a training run ends with: each task that a captioned dataset has columns for, on one encoding of its faces.

A dataset with `emotion` is classified with and without training, one with `action_units` label by label, `valence` and
`arousal` are regressed, and captions are retrieved. For SynthFaces the names are those of its benchmarks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from emocapclip_hf.data.synthfaces import COMPOUNDS, EMOTIONS
from emocapclip_hf.training import Materials, TrainingArguments

from . import captioning, linear_probe, regression, retrieval, zero_shot
from .checkpoint import Checkpoint, load_checkpoint, model_fingerprint, process_state
from .embed import shared_scratch
from .prompts import PROMPT_SETS
from .report import write_report
from .results import Result
from .splits import Fold, Part

# What stands in metrics.json; everything else is in the result files.
HEADLINES = {
    "zero-shot": ("uar", "war", "auc", "f1"),
    "linear-probe": ("uar", "war", "f1"),
    "regression": ("valence_ccc", "arousal_ccc"),
    "retrieval": ("image_to_text_r1", "text_to_image_r1", "sentence_image_to_text_r1"),
    **dict.fromkeys(captioning.SYSTEMS, ("emotion_accuracy", "au_f1", "structure")),
}
_KINDS = {"basic": "emotion", "compound": "compound"}  # `emotion_kind` → what its benchmark is called
_SPLITS = ("train", "validation", "test")
_NUMBERS = datasets.List(datasets.Value("float32"))


def evaluate_run(materials: Materials, args: TrainingArguments) -> dict[str, float]:
    """
    Evaluate the model of a run on its own dataset; result files and a report of them go to `results/` in the run's
    folder. Of a captioner: whether its captions are true.

    Every process calls this. Returns the headlines, task/benchmark/metric → number.
    """
    folder = Path(args.run.output_dir)
    model = materials.model.eval()
    checkpoint = Checkpoint(str(folder / "model"), model_fingerprint(model), model, materials.processor)
    faces = {split: getattr(materials, split) for split in _SPLITS}
    name, workers = Path(args.data.dataset).name, args.data.dataloader_num_workers
    metrics: dict[str, float] = {}
    with shared_scratch() as cache:
        if args.captioner.is_wanted:
            encoder = _encoder(args.model.model_name_or_path)
            results = run_captioning(checkpoint, faces, name, encoder, cache_dir=cache, prompt=args.captioner.prompt)
        else:
            results = run_suite(checkpoint, faces, name, cache, num_workers=workers)
        for result in results:
            if process_state().is_main_process:
                result.save(folder / "results")
            metrics |= {name: value for name, value in result.flat().items() if _is_headline(name)}
    if process_state().is_main_process:
        write_report(folder / "results")
    return metrics


def run_captioning(
    checkpoint: Checkpoint,
    faces: Mapping[str, datasets.Dataset],
    name: str,
    encoder: Checkpoint | None = None,
    **options: Any,
) -> Iterator[Result]:
    """A captioner's captions of the test faces, and the baselines'; `options` are those of `captioning.run`."""
    suite = Suite({split: _with_ids(table, split) for split, table in faces.items()}, name)
    labelled = suite.benchmark(name)
    yield from captioning.run(checkpoint, labelled["test"], labelled["train"], encoder, **options)


def _encoder(name: str | None) -> Checkpoint | None:
    """What a captioner started from; None where that was no encoder but a captioner, which has no text tower."""
    found = None if name is None else load_checkpoint(name)
    return None if found is None or found.is_captioner else found


def run_suite(
    checkpoint: Checkpoint,
    faces: Mapping[str, datasets.Dataset],
    name: str,
    cache_dir: str | os.PathLike,
    **embedding: Any,
) -> Iterator[Result]:
    """
    Every task that the columns allow, one after the other.

    Args:
        faces: "train", "validation" and "test".
        name: of the dataset, for the names of its benchmarks.
        cache_dir: where the vectors are kept between tasks.
        embedding: what `embed_images` takes besides.
    """
    suite = Suite({split: _with_ids(table, split) for split, table in faces.items()}, name)
    embedding["cache_dir"] = cache_dir
    for labelled in suite.emotions():
        yield zero_shot.run(checkpoint, labelled["test"], PROMPT_SETS["emocap"], **embedding)
        if labelled.kind == "basic":
            yield linear_probe.run(checkpoint, [labelled.fold()], few_shot=False, **embedding)
    units = suite.action_units()
    if units is not None:
        prompts = PROMPT_SETS["facial-actions"]
        if all(label in prompts.labels for label in units.labels):
            scoring = "global" if getattr(checkpoint.model, "local_head", None) is None else "local"
            yield zero_shot.run(checkpoint, units["test"], prompts, scoring, **embedding)
        yield linear_probe.run(checkpoint, [units.fold()], few_shot=False, **embedding)
    affect = suite.affect()
    if affect is not None:
        yield regression.run(checkpoint, [affect.fold()], **embedding)
    if "global_caption" in suite.faces["test"].column_names:
        yield retrieval.run(checkpoint, suite.benchmark(name)["test"], **embedding)


@dataclass(frozen=True)
class Labelled:
    """
    A dataset's splits as a benchmark.

    Args:
        tables: split → all its rows, in their order, so that all benchmarks of a dataset share one encoding.
        labels: the class list.
        kind: of emotions.
    """

    tables: Mapping[str, datasets.Dataset]
    labels: Sequence[str] = ()
    kind: str = ""

    def __getitem__(self, split: str) -> datasets.Dataset:
        return self.tables[split]

    def fold(self) -> Fold:
        """What a probe is fitted on, chosen on and scored on: the rows with a label."""
        return Fold(*(Part(self[split], _with_label(self[split])) for split in _SPLITS))


class Suite:
    """The benchmarks that a dataset is, by its columns."""

    def __init__(self, faces: Mapping[str, datasets.Dataset], name: str):
        self.faces, self.name = faces, name

    def benchmark(
        self, name: str, labels: Sequence[str] = (), kind: str = "", columns: Mapping[str, tuple] | None = None
    ) -> Labelled:
        """`columns`: name → (split → values, feature)."""
        tables = {}
        for split, table in self.faces.items():
            labelled = table
            for column, (values, feature) in (columns or {}).items():
                kept = labelled.remove_columns(column) if column in labelled.column_names else labelled
                labelled = kept.add_column(column, values[split], feature=feature)
            tables[split] = _described(labelled, table, name, split, labels)
        return Labelled(tables, labels, kind)

    def emotions(self) -> Iterator[Labelled]:
        """The basic emotions, and the compound ones if there are such."""
        if not self._have("emotion"):
            return
        emotions = {split: table["emotion"][:] for split, table in self.faces.items()}
        kinds = {
            split: table["emotion_kind"][:] if self._have("emotion_kind") else ["basic"] * len(table)
            for split, table in self.faces.items()
        }
        for kind, title in _KINDS.items():
            ours = {
                split: [
                    emotion if emotion not in (None, "", "other") and found == kind else None
                    for emotion, found in zip(emotions[split], kinds[split], strict=True)
                ]
                for split in self.faces
            }
            labels = _ordered({emotion for values in ours.values() for emotion in values} - {None})
            if len(labels) > 1 and all(any(values) for values in ours.values()):
                places = {label: place for place, label in enumerate(labels)} | {None: None}
                numbers = {split: [places[emotion] for emotion in values] for split, values in ours.items()}
                name = f"{self.name}-{title}{len(labels)}"
                yield self.benchmark(name, labels, kind, {"label_id": (numbers, datasets.ClassLabel(names=labels))})

    def action_units(self) -> Labelled | None:
        if not self._have("action_units"):
            return None
        active = {
            split: [None if units is None else {unit["au"] for unit in units} for units in table["action_units"][:]]
            for split, table in self.faces.items()
        }
        known = sorted(set().union(*(units or () for units in active["train"])))
        if not known:
            return None
        values = {
            split: [[float("nan") if units is None else float(unit in units) for unit in known] for units in rows]
            for split, rows in active.items()
        }
        return self.benchmark(
            f"{self.name}-au", [f"AU{unit}" for unit in known], columns={"labels": (values, _NUMBERS)}
        )

    def affect(self) -> Labelled | None:
        if not any(self._have(name) and _any_number(self.faces["train"][name][:]) for name in ("valence", "arousal")):
            return None
        return self.benchmark(self.name)

    def _have(self, column: str) -> bool:
        return all(column in table.column_names for table in self.faces.values())


def _ordered(labels: set[str]) -> list[str]:
    """In the order of SynthFaces, then what else there is."""
    known = [label for label in (*EMOTIONS, *COMPOUNDS) if label in labels]
    return known + sorted(labels.difference(known))


def _with_ids(table: datasets.Dataset, split: str) -> datasets.Dataset:
    if "id" in table.column_names:
        return table
    return table.add_column("id", [f"{split}/{row:06}" for row in range(len(table))])


def _with_label(table: datasets.Dataset) -> np.ndarray:
    if "label_id" not in table.column_names:
        return np.arange(len(table))
    return np.flatnonzero([label is not None for label in table["label_id"][:]])


def _any_number(values: Sequence[float | None]) -> bool:
    return any(value is not None and value == value for value in values)


def _described(
    labelled: datasets.Dataset, pictures: datasets.Dataset, name: str, split: str, labels: Sequence[str]
) -> datasets.Dataset:
    """The table with a protocol, and with the fingerprint of the table whose pictures it holds."""
    protocol = {
        "benchmark": name,
        "title": name,
        "split": split,
        "fold": None,
        "labels": list(labels),
        "rows": len(labelled),
        "notes": {"dataset": "the run's own splits"},
        "warnings": [],
    }
    info = datasets.DatasetInfo(description=json.dumps(protocol), features=labelled.features)
    return datasets.Dataset(
        labelled.data, info, labelled.split, indices_table=labelled._indices, fingerprint=pictures._fingerprint
    )


def _is_headline(name: str) -> bool:
    task, _, metric = name.split("/")
    return metric in HEADLINES[task]
