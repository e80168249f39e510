"""Stage 2, faces: found, cut out upright, and kept where a caption of them would mean something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from ..duplicates import perceptual_hash
from ..faces.crop import MARGIN, crop_face
from ..faces.detector import FaceDetector, FoundFace, load_detector
from ..faces.quality import QualityLimits, quality_fault, sharpness
from ..image_reading import decode_image
from .copies import copies_across, read_copies
from .face_sheets import draw_sheets
from .frames import frames_folder, jpeg
from .stage_folder import StageFolder, unit_name, write_json
from .workers import run_units

SCHEMA = pa.schema(
    {
        "face": pa.string(),
        "source": pa.string(),
        "film": pa.string(),
        "person": pa.string(),
        "scene": pa.int32(),
        "seconds": pa.float64(),
        "box": pa.list_(pa.float32()),
        "sharpness": pa.float32(),
        "hash": pa.binary(),
        "rejected": pa.string(),  # why; empty for a face that is kept
        "image": pa.binary(),
    }
)
# More than for whole pictures, since boxes jitter: a face recompressed and darkened differs from itself by some 32
# bits. Two photographs of different faces differ by 42 and more at most sizes, but by 18 at a few small ones (20
# photographs of 10 people at nine sizes), where a face may be taken for a copy: it is set aside and counted.
COPY_DISTANCE = 32
_NOTHING = {"frames": 0, "frames_without_face": 0, "faces": 0}
_THUMBNAIL = 96  # of a rejected face: enough to see why


@dataclass(frozen=True)
class FaceOptions:
    """
    Args:
        detector: a YuNet model; by default the Haar cascades of OpenCV 4.
        detect: False takes each picture whole, as a face that somebody else cut out.
        most_per_scene: the sharpest are kept.
        largest_side: larger crops are reduced to it.
        margin: around the detected box, as a share of its side.
        copy_distance: of 256 bits of the perceptual hash, in which two faces differ at most to be copies.
        limits: of size, sharpness, light and pose.
    """

    detector: str | None = None
    detect: bool = True
    most_per_scene: int = 4
    largest_side: int = 512
    margin: float = MARGIN
    copy_distance: int = COPY_DISTANCE
    limits: QualityLimits = field(default_factory=QualityLimits)


def faces_folder(out: Path) -> StageFolder:
    return StageFolder(out / "faces", SCHEMA)


def run_faces(out: Path, options: FaceOptions, workers: int = 1, engine: str = "local") -> dict[str, Any]:
    """Faces of all frames; returns the summary, which is also written to `faces/summary.json` beside two sheets."""
    frames, folder = frames_folder(out), faces_folder(out)
    if options.detect:
        load_detector(options.detector)  # a missing library or file is told here, not by a worker
    names = {unit_name(unit, asdict(options)): unit for unit in frames.plan()}
    todo = [(name, unit) for name, unit in names.items() if not folder.has(name)]
    run_units(
        partial(find_faces, frames, folder, options), todo, partial(_record_crash, folder), "Faces", workers, engine
    )
    folder.write_plan(list(names))
    copies_across(folder, options.copy_distance)
    summary = _summary(folder)
    write_json(folder.path / "summary.json", summary)
    draw_sheets(folder)
    return summary


def kept_faces(folder: StageFolder, unit: str, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The faces of a unit that are to be captioned, in order."""
    copies = read_copies(folder)
    if columns is not None:
        columns = list(dict.fromkeys(["face", "rejected", *columns]))
    for row in folder.rows(unit, columns):
        if not row["rejected"] and row["face"] not in copies:
            yield row


def find_faces(frames: StageFolder, folder: StageFolder, options: FaceOptions, named: tuple[str, str]) -> None:
    """Write the faces of one unit's frames."""
    name, unit = named
    facts = dict(_NOTHING)
    folder.write(name, _scenes(frames.rows(unit), options, facts), facts)


def _record_crash(folder: StageFolder, named: tuple[str, str], problem: str) -> None:
    folder.write(
        named[0], [], {"frames": 0, "frames_without_face": 0, "faces": 0, "problem": f"{named[1]}: {problem}"}
    )


def _scenes(
    frames: Iterator[dict[str, Any]], options: FaceOptions, facts: dict[str, Any]
) -> Iterator[list[dict[str, Any]]]:
    """The judged faces of each scene."""
    detector = _detector(options.detector) if options.detect else _whole_picture
    kept_hashes: list[np.ndarray] = []  # of the whole unit
    for _, scene in groupby(frames, key=lambda frame: (frame["source"], frame["scene"])):
        faces = []
        for frame in scene:
            found = list(_faces_of_frame(frame, detector, options))
            facts["frames"] += 1
            facts["frames_without_face"] += not found
            facts["faces"] += len(found)
            faces += found
        _reject_copies_and_surplus(faces, kept_hashes, options)
        yield [_as_row(face) for face in faces]


@lru_cache(maxsize=1)  # one a worker
def _detector(model: str | None) -> FaceDetector:
    return load_detector(model)


def _whole_picture(picture: Image.Image, min_side: float) -> list[FoundFace]:
    return [FoundFace((0, 0, *map(float, picture.size)), 1.0)]


def _faces_of_frame(frame: dict[str, Any], detector: FaceDetector, options: FaceOptions) -> Iterator[dict[str, Any]]:
    picture = decode_image(frame["image"])
    # Faces too small to keep are looked for too, down to half the size, so that they are counted.
    for number, found in enumerate(detector(picture, options.limits.min_side / 2)):
        if options.detect:
            side = round(max(found.box[2:]) * (1 + 2 * options.margin))
            crop = crop_face(picture, found, min(side, options.largest_side), options.margin)
        else:
            crop = picture.copy()
            crop.thumbnail((options.largest_side, options.largest_side))
        yield {
            "face": f"{frame['source']}#{frame['frame']}.{number}",
            **{key: frame[key] for key in ("source", "film", "person", "scene", "seconds")},
            "box": found.box,
            "sharpness": sharpness(crop),
            "hash": perceptual_hash(crop),
            "rejected": quality_fault(found, crop, options.limits) or "",
            "image": crop,
        }


def _reject_copies_and_surplus(
    faces: list[dict[str, Any]], kept_hashes: list[np.ndarray], options: FaceOptions
) -> None:
    """Of a scene's good faces, keep the sharpest that look like no face kept before."""
    kept = 0
    for face in sorted((face for face in faces if not face["rejected"]), key=lambda face: -face["sharpness"]):
        if _is_copy(face["hash"], kept_hashes, options.copy_distance):
            face["rejected"] = "copy in the film"
        elif kept == options.most_per_scene:
            face["rejected"] = "enough of the scene"
        else:
            kept += 1
            kept_hashes.append(face["hash"])


def _is_copy(hash_: np.ndarray, others: list[np.ndarray], distance: int) -> bool:
    if not others:
        return False
    return bool((np.unpackbits(np.stack(others) ^ hash_, axis=1).sum(axis=1) <= distance).any())


def _as_row(face: dict[str, Any]) -> dict[str, Any]:
    if face["rejected"]:
        face["image"].thumbnail((_THUMBNAIL, _THUMBNAIL))
    return face | {"hash": face["hash"].tobytes(), "image": jpeg(face["image"])}


def _summary(folder: StageFolder) -> dict[str, Any]:
    facts = [folder.facts(unit) for unit in folder.plan()]
    copies = read_copies(folder)
    rejected: Counter[str] = Counter()
    kept = 0
    for unit in folder.plan():
        for row in folder.rows(unit, ["face", "rejected"]):
            reason = row["rejected"] or ("copy in another film" if row["face"] in copies else None)
            rejected.update([reason] if reason else [])
            kept += reason is None
    counts = {key: sum(fact[key] for fact in facts) for key in ("frames", "frames_without_face", "faces")}
    problems = [fact["problem"] for fact in facts if "problem" in fact]
    return {**counts, "kept": kept, "rejected": dict(sorted(rejected.items())), "problems": problems}
