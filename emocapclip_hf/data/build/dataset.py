"""Stage 5, dataset: good captions and their faces as parquet shards, split by who is seen, with a card."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from ..splits import SPLITS
from .checks import checks_folder
from .copies import read_copies
from .dataset_card import write_card
from .faces import faces_folder, kept_faces
from .groups import read_casts, split_faces
from .stage_folder import write_json

FEATURES = datasets.Features(
    {
        "image": datasets.Image(),
        "global_caption": datasets.Value("string"),
        "local_captions": datasets.List(datasets.Value("string")),
        "summary_caption": datasets.Value("string"),
        "emotion": datasets.Value("string"),
        "face": datasets.Value("string"),
        "film": datasets.Value("string"),
        "identity": datasets.Value("string"),
        "seconds": datasets.Value("float64"),
        "raw_caption": datasets.Value("string"),
        "caption_model": datasets.Value("string"),
        "caption_recipe": datasets.Value("string"),
        "caption_rounds": datasets.Value("int32"),
        "agreement": datasets.Value("float32"),
        "similarity": datasets.Value("float32"),
        "flagged": datasets.Value("bool"),
    }
)
_ROWS_AT_ONCE = 100  # a row group


@dataclass(frozen=True)
class DatasetOptions:
    """
    Args:
        rows_per_shard: of each parquet file.
        casts: a CSV of film and person: films that share a person stay in one split.
        title, license: for the card; who owns the footage must say what others may do with it.
    """

    rows_per_shard: int = 5_000
    casts: str | None = None
    title: str = "An EmoCap"
    license: str = "unknown"


def dataset_path(out: Path) -> Path:
    return out / "dataset"


def run_dataset(out: Path, options: DatasetOptions) -> dict[str, Any]:
    """Write shards and card; returns the rows of each split. A shard that is there already is not written again."""
    films, rows = _splits(out, options)
    folder = dataset_path(out)
    _begin(folder, out, films, options)
    shards = _Shards(folder, rows, options.rows_per_shard)
    with tqdm(total=sum(rows.values()), desc="Dataset", unit=" rows", disable=None) as bar:
        for row in _rows(out):
            shards.add(films[row["film"]], row)
            bar.update()
        shards.close()
    write_card(out, folder, rows, options.title, options.license, list(FEATURES))
    return rows


def _passed(out: Path, columns: list[str] | None, face_columns: list[str]) -> Iterator[tuple[dict, dict]]:
    """Each face whose caption passed, with its row of the checks."""
    faces, checks = faces_folder(out), checks_folder(out)
    for face_unit, check_unit in zip(faces.plan(), checks.plan(), strict=True):
        for face, check in zip(
            kept_faces(faces, face_unit, face_columns), checks.rows(check_unit, columns), strict=True
        ):
            if face["face"] != check["face"]:
                raise RuntimeError(f"{checks.path} is not of these faces: run --stages checks again")
            if not check["faults"]:
                yield face, check


def _splits(out: Path, options: DatasetOptions) -> tuple[dict[str, str], dict[str, int]]:
    """Film → split, and the rows of each split."""
    faces = [
        {"film": face["film"], "person": face["person"]}
        for face, _ in _passed(out, ["face", "faults"], ["film", "person"])
    ]
    if not faces:
        raise ValueError(f"no caption passed the checks: {out / 'checks' / 'set_aside.jsonl'} says why")
    casts = read_casts(options.casts) if options.casts else []
    films = split_faces(faces, read_copies(faces_folder(out)).values(), casts)
    counts = Counter(films[face["film"]] for face in faces)
    return films, {split: counts[split] for split in SPLITS if counts[split]}


def _begin(folder: Path, out: Path, films: dict[str, str], options: DatasetOptions) -> None:
    """An empty folder, or what a killed run of the same dataset left."""
    summary = json.loads((out / "checks" / "summary.json").read_text(encoding="utf-8"))
    plan = {
        "checks": checks_folder(out).plan(),
        "flag_below": summary["flag_below"],
        "films": hashlib.blake2b(repr(sorted(films.items())).encode(), digest_size=8).hexdigest(),
        "rows_per_shard": options.rows_per_shard,
    }
    path = out / "dataset.plan.json"  # outside: the dataset's folder is what goes to the Hub
    if not path.exists() or json.loads(path.read_text(encoding="utf-8")) != plan:
        shutil.rmtree(folder, ignore_errors=True)
        write_json(path, plan)
    (folder / "data").mkdir(parents=True, exist_ok=True)


def _rows(out: Path) -> Iterator[dict[str, Any]]:
    flag_below = json.loads((out / "checks" / "summary.json").read_text(encoding="utf-8"))["flag_below"]
    recipe = json.dumps(json.loads((out / "captions" / "recipe.json").read_text(encoding="utf-8")), sort_keys=True)
    for face, check in _passed(out, None, ["film", "person", "seconds", "image"]):
        levels = {level: check[level] for level in ("global_caption", "local_captions", "summary_caption")}
        yield {
            "image": {"bytes": face["image"], "path": None},
            **levels,
            "emotion": check["emotion"],
            "face": face["face"],
            "film": face["film"],
            "identity": face["person"],
            "seconds": face["seconds"],
            "raw_caption": check["raw_caption"],
            "caption_model": check["model"],
            "caption_recipe": recipe,
            "caption_rounds": check["rounds"],
            "agreement": check["agreement"],
            "similarity": check["similarity"],
            "flagged": flag_below is not None and check["similarity"] < flag_below,
        }


class _Shards:
    """One open parquet file a split, each written aside and renamed when it is full."""

    def __init__(self, folder: Path, rows: dict[str, int], rows_per_shard: int):
        self._writers = {
            split: _SplitWriter(folder / "data", split, count, rows_per_shard) for split, count in rows.items()
        }

    def add(self, split: str, row: dict[str, Any]) -> None:
        self._writers[split].add(row)

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


class _SplitWriter:
    def __init__(self, folder: Path, split: str, rows: int, rows_per_shard: int):
        shards = -(-rows // rows_per_shard)
        self._paths = [folder / f"{split}-{number:05d}-of-{shards:05d}.parquet" for number in range(shards)]
        self._per_shard = -(-rows // shards)  # evenly
        self._seen = 0
        self._waiting: list[dict[str, Any]] = []
        self._writer: pq.ParquetWriter | None = None

    def add(self, row: dict[str, Any]) -> None:
        path = self._paths[self._seen // self._per_shard]
        self._seen += 1
        if not path.exists():
            self._waiting.append(row)
        if len(self._waiting) == _ROWS_AT_ONCE:
            self._write(path)
        if self._seen % self._per_shard == 0:
            self._finish(path)

    def close(self) -> None:
        if self._seen % self._per_shard:
            self._finish(self._paths[-1])

    def _write(self, path: Path) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(_aside(path), FEATURES.arrow_schema)
        self._writer.write_table(pa.Table.from_pylist(self._waiting, schema=FEATURES.arrow_schema))
        self._waiting.clear()

    def _finish(self, path: Path) -> None:
        if self._waiting:
            self._write(path)
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            os.replace(_aside(path), path)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")
