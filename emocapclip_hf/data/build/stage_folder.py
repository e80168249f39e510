"""A stage's folder: one parquet table for each unit of work, and the plan that says which of them count.

A table is written aside and renamed, so it is whole or not there; its name holds a fingerprint of what went in, so it
is found again after a kill and made anew when an input or an option changes. What a stage has to tell of a unit
besides rows (what was wrong with a film, how many faces were rejected) stands in the table's metadata.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_FACTS = b"emocapclip"
_ROWS_AT_ONCE = 64  # pictures are large


class StageFolder:
    """
    Args:
        path: made when something is written to it.
        schema: of its tables.
    """

    def __init__(self, path: str | os.PathLike, schema: pa.Schema):
        self.path, self.schema = Path(path), schema

    def table_path(self, unit: str) -> Path:
        return self.path / "units" / f"{unit}.parquet"

    def has(self, unit: str) -> bool:
        return self.table_path(unit).is_file()

    def write(self, unit: str, batches: Iterable[list[dict[str, Any]]], facts: dict[str, Any]) -> None:
        """Write the table of a unit; `facts` may still grow while the batches are made."""
        target = self.table_path(unit)
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{unit}.{os.getpid()}.partial")
        try:
            with pq.ParquetWriter(aside, self.schema, compression="none") as writer:  # JPEGs do not get smaller
                for rows in batches:
                    if rows:
                        writer.write_table(pa.Table.from_pylist(rows, self.schema))
                writer.add_key_value_metadata({_FACTS: json.dumps(facts, ensure_ascii=False).encode()})
            os.replace(aside, target)
        finally:
            aside.unlink(missing_ok=True)

    def rows(self, unit: str, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """The rows of a unit in order, read a few at a time."""
        with pq.ParquetFile(self.table_path(unit)) as table:
            for batch in table.iter_batches(_ROWS_AT_ONCE, columns=columns):
                yield from batch.to_pylist()

    def facts(self, unit: str) -> dict[str, Any]:
        return json.loads(pq.read_metadata(self.table_path(unit)).metadata[_FACTS])

    def write_plan(self, units: Sequence[str]) -> None:
        write_json(self.path / "plan.json", list(units))

    def plan(self) -> list[str]:
        """The units that count, in order."""
        try:
            return json.loads((self.path / "plan.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{self.path} holds no finished stage: run --stages {self.path.name} first, or all stages"
            ) from None


def unit_name(title: str, *inputs: Any) -> str:
    """A file name that a person recognises, with a fingerprint of everything the unit depends on.

    >>> unit_name("films/Ça ira.mp4", 3, {"frames_per_scene": 2})
    'films-a-ira-mp4-ce1e1893a2'
    """
    digest = hashlib.blake2b(repr((title, *inputs)).encode(), digest_size=5).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-")[-60:].strip("-")
    return f"{readable or 'unit'}-{digest}"


def write_json(path: Path, value: Any) -> None:
    """Aside, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    aside.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(aside, path)
