"""The same face in two films (a trailer, a clip shown again): one is kept, and the films are remembered as linked."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..duplicates import similar_pairs
from .stage_folder import StageFolder, write_json

_FILE = "copies.json"


def copies_across(folder: StageFolder, distance: int) -> None:
    """Write `copies.json`: rejected face → the face it is a copy of, among those kept within their own units."""
    faces, hashes = [], []
    for unit in folder.plan():
        for row in folder.rows(unit, ["face", "film", "rejected", "hash"]):
            if not row["rejected"]:
                faces.append((row["face"], row["film"]))
                hashes.append(np.frombuffer(row["hash"], np.uint8))
    copies: dict[int, int] = {}
    pairs = similar_pairs(np.stack(hashes), distance) if hashes else []
    for first, second in sorted(pairs, key=lambda pair: (pair[1], pair[0])):
        if first not in copies and second not in copies:
            copies[second] = first
    named = {
        faces[copy][0]: {"of": faces[first][0], "films": sorted({faces[copy][1], faces[first][1]})}
        for copy, first in copies.items()
    }
    write_json(folder.path / _FILE, named)


def read_copies(folder: StageFolder) -> dict[str, dict]:
    path = folder.path / _FILE
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read(path: Path, changed: int) -> dict[str, dict]:
    return json.loads(path.read_text(encoding="utf-8"))
