"""Contact sheets of the faces that were kept and rejected, to look at before anything is paid for."""

from __future__ import annotations

import io
from collections import defaultdict
from typing import Any

from PIL import Image

from ..synthfaces.sheet import contact_sheet
from .copies import read_copies
from .stage_folder import StageFolder

_COLUMNS, _LINES, _SIDE = 10, 12, 96


def draw_sheets(folder: StageFolder) -> None:
    """`kept.png`, a film a line, and `rejected.png`, a reason a line; films and faces taken evenly."""
    units, copies = folder.plan(), read_copies(folder)
    kept: dict[str, list[dict[str, Any]]] = {}
    rejected: dict[str, list[dict[str, Any]]] = defaultdict(list)
    shown = set(_evenly(units, _LINES))
    for unit in units:
        films: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in folder.rows(unit, ["face", "film", "rejected"]):
            reason = row["rejected"] or ("copy in another film" if row["face"] in copies else "")
            if reason and len(rejected[reason]) < _COLUMNS:
                rejected[reason].append(row | {"unit": unit})
            elif not reason and unit in shown:
                films[row["film"]].append(row | {"unit": unit})
        kept |= {film: _evenly(rows, _COLUMNS) for film, rows in films.items()}
    _draw(folder, dict(list(kept.items())[:_LINES]), "kept.png")
    _draw(folder, dict(sorted(rejected.items())), "rejected.png")


def _evenly(items: list, count: int) -> list:
    """At most `count`, from all over the list."""
    return [items[position * len(items) // count] for position in range(count)] if len(items) > count else items


def _draw(folder: StageFolder, lines: dict[str, list[dict[str, Any]]], name: str) -> None:
    wanted = {row["face"]: (label, row["unit"]) for label, rows in lines.items() for row in rows}
    pictures = {}
    for unit in dict.fromkeys(unit for _, unit in wanted.values()):
        for row in folder.rows(unit, ["face", "image"]):
            if row["face"] in wanted:
                pictures[row["face"]] = Image.open(io.BytesIO(row["image"])).resize((_SIDE, _SIDE))
    tiles = [{"emotion": label, "image": pictures[face]} for face, (label, _) in wanted.items()]
    (folder.path / name).unlink(missing_ok=True)
    if tiles:
        contact_sheet(tiles, folder.path / name, _COLUMNS)
