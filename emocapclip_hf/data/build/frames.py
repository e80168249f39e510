"""Stage 1, frames: k frames of each scene of a film, with their times; pictures as they are."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from ..bad_rows import BadRowError
from ..image_reading import decode_image, image_bytes
from .film_reading import FilmFrame, FilmReport, read_film
from .scenes import SceneCuts, scene_frames
from .sources import Unit
from .stage_folder import StageFolder, unit_name, write_json
from .workers import run_units

SCHEMA = pa.schema(
    {
        "source": pa.string(),
        "film": pa.string(),
        "person": pa.string(),
        "scene": pa.int32(),
        "frame": pa.int64(),
        "seconds": pa.float64(),
        "image": pa.binary(),
    }
)
_QUALITY = 95  # of the JPEGs


@dataclass(frozen=True)
class FrameOptions:
    """
    Args:
        per_scene: frames kept of each scene.
        scene_threshold: how much the picture must change for a cut, of 0 to 1.
        min_scene_seconds: no scene is shorter.
    """

    per_scene: int = 3
    scene_threshold: float = 0.07
    min_scene_seconds: float = 0.3


def frames_folder(out: Path) -> StageFolder:
    return StageFolder(out / "frames", SCHEMA)


def run_frames(
    out: Path, units: Sequence[Unit], options: FrameOptions, workers: int = 1, engine: str = "local"
) -> dict[str, Any]:
    """Every film and picture into frames; returns the summary, which is also written to `frames/summary.json`."""
    folder = frames_folder(out)
    names = {unit_name(unit.title, unit.fingerprint, asdict(options)): unit for unit in units}
    todo = [(name, unit) for name, unit in names.items() if not folder.has(name)]
    run_units(
        partial(extract_frames, folder, options), todo, partial(_record_crash, folder), "Frames", workers, engine
    )
    folder.write_plan(list(names))
    facts = [folder.facts(name) for name in names]
    summary = {
        **{key: sum(fact[key] for fact in facts) for key in ("films", "pictures", "decoded", "scenes", "frames")},
        "problems": {source: problem for fact in facts for source, problem in fact["problems"].items()},
    }
    write_json(folder.path / "summary.json", summary)
    return summary


def extract_frames(folder: StageFolder, options: FrameOptions, named: tuple[str, Unit]) -> None:
    """Write the frames of one unit."""
    name, unit = named
    facts = _no_facts(unit)
    batches = _film_rows(unit, options, facts) if unit.is_film else _picture_rows(unit, facts)
    folder.write(name, batches, facts)


def _no_facts(unit: Unit) -> dict[str, Any]:
    kinds = (len(unit.files), 0) if unit.is_film else (0, len(unit.files))
    return {"films": kinds[0], "pictures": kinds[1], "decoded": 0, "scenes": 0, "frames": 0, "problems": {}}


def _record_crash(folder: StageFolder, named: tuple[str, Unit], problem: str) -> None:
    name, unit = named
    folder.write(name, [], _no_facts(unit) | {"problems": {unit.title: problem}})


def _film_rows(unit: Unit, options: FrameOptions, facts: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """The rows of each scene."""
    file, report = unit.files[0], FilmReport()
    cuts = SceneCuts(options.scene_threshold, options.min_scene_seconds)
    for scene, frames in enumerate(scene_frames(read_film(file.path, report), cuts, options.per_scene)):
        facts["scenes"] += 1
        facts["frames"] += len(frames)
        yield [
            {"source": file.name, "film": file.film, "person": file.person, "scene": scene} | _frame_row(frame)
            for frame in frames
        ]
    facts["decoded"] = report.decoded
    if report.problem:
        facts["problems"][file.name] = report.problem


def _frame_row(frame: FilmFrame) -> dict[str, Any]:
    return {"frame": frame.number, "seconds": frame.seconds, "image": jpeg(frame.picture())}


def jpeg(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def _picture_rows(unit: Unit, facts: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """A picture is a scene of its own; its file is kept as it is, once it is known to decode."""
    for scene, file in enumerate(unit.files):
        try:
            content = image_bytes({"path": str(file.path)})
            decode_image(content, shortest_side=64)
        except BadRowError as bad:
            facts["problems"][file.name] = str(bad)
            continue
        facts["decoded"] += 1
        facts["scenes"] += 1
        facts["frames"] += 1
        row = {"source": file.name, "film": file.film, "person": file.person, "scene": scene}
        yield [row | {"frame": 0, "seconds": None, "image": content}]
