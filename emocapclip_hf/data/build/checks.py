"""Stage 4, checks: each face's last reply read and judged; what is still faulty is set aside, with its reasons."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from ..caption import EmoCaption
from ..image_reading import decode_image
from .caption_faults import CheckOptions, Fault, Judged, agreement, judge
from .captions import CaptionOptions, captions_path, faults_of_face
from .faces import faces_folder, kept_faces
from .replies import Reply, ReplyJournal
from .similarity import CaptionSimilarity
from .stage_folder import StageFolder, unit_name, write_json
from .workers import map_in_order, process_pool

SCHEMA = pa.schema(
    {
        "face": pa.string(),
        "faults": pa.list_(pa.struct({"kind": pa.string(), "reason": pa.string()})),  # none: it goes into the dataset
        "global_caption": pa.string(),
        "local_captions": pa.list_(pa.string()),
        "summary_caption": pa.string(),
        "emotion": pa.string(),
        "words": pa.int32(),
        "regions": pa.list_(pa.struct({"region": pa.string(), "sentences": pa.int32()})),
        "raw_caption": pa.string(),
        "model": pa.string(),
        "rounds": pa.int32(),
        "agreement": pa.float32(),
        "similarity": pa.float32(),
    }
)
_FACES_AT_ONCE = 64
_NO_ANSWER = Fault("no answer", "nobody was asked, or nobody answered")


@dataclass(frozen=True)
class SimilarityOptions:
    """
    Args:
        checkpoint: of an EmoCapCLIP model; None: no similarity is measured.
        flag_share: of the captions that fit their faces least, by that model, so many are flagged.
    """

    checkpoint: str | None = None
    flag_share: float = 0.02


def checks_folder(out: Path) -> StageFolder:
    return StageFolder(out / "checks", SCHEMA)


def run_checks(
    out: Path, options: CaptionOptions, similarity: SimilarityOptions | None = None, workers: int = 1
) -> dict[str, Any]:
    """Judge every face's last reply; returns the summary, also in `checks/summary.json` beside `set_aside.jsonl`."""
    similarity = similarity or SimilarityOptions()
    faces, folder = faces_folder(out), checks_folder(out)
    model = CaptionSimilarity(similarity.checkpoint) if similarity.checkpoint else None
    names = []
    with ReplyJournal(captions_path(out)) as journal, process_pool(workers) as pool:
        recipe = journal.recipe()
        for unit in tqdm(faces.plan(), desc="Checks", unit=" units", disable=None):
            told = _digest(faces, unit, journal, options.rounds, options.per_face)
            names.append(unit_name(unit, told, recipe, asdict(options), similarity.checkpoint))
            if not folder.has(names[-1]):
                replies = _replies(faces, unit, journal, options.rounds, options.per_face)
                judged = map_in_order(pool, partial(_judge_face, options.checks), replies, workers)
                folder.write(names[-1], _batches(judged, faces, unit, model), {"recipe": recipe})
    folder.write_plan(names)
    summary = _summary(folder, similarity)
    write_json(folder.path / "summary.json", summary)
    return summary


FaceReplies = tuple[str, list[tuple[int, Reply]]]  # the face, and of each sample the round and the last reply


def _replies(
    faces: StageFolder, unit: str, journal: ReplyJournal, rounds: int, per_face: int
) -> Iterator[FaceReplies]:
    for row in kept_faces(faces, unit, []):
        latest = (journal.latest(row["face"], sample, rounds) for sample in range(per_face))
        yield row["face"], [(found[0].round, found[1]) for found in latest if found is not None]


def _digest(faces: StageFolder, unit: str, journal: ReplyJournal, rounds: int, per_face: int) -> str:
    """Of everything that was answered about the faces of a unit."""
    digest = hashlib.blake2b(digest_size=8)
    for face_replies in _replies(faces, unit, journal, rounds, per_face):
        digest.update(repr(face_replies).encode())
    return digest.hexdigest()


def _judge_face(checks: CheckOptions, face_replies: FaceReplies) -> dict[str, Any]:
    face, replies = face_replies
    judged = [judge(reply, checks) for _, reply in replies]
    if not judged:
        return _row(face, Judged(EmoCaption(""), (_NO_ANSWER,)), Reply(""), 0)
    faults = faults_of_face(judged, checks)
    wrong = next((each for each in faults if each), [])
    row = _row(face, judged[0], replies[0][1], max(round_ for round_, _ in replies))
    agreed = agreement(*judged[:2]) if len(judged) > 1 else None
    return row | {"faults": [fault._asdict() for fault in wrong], "agreement": agreed}


def _row(face: str, judged: Judged, reply: Reply, rounds: int) -> dict[str, Any]:
    return {
        "face": face,
        "faults": [fault._asdict() for fault in judged.faults],
        **judged.caption.to_dict(),
        "emotion": judged.emotions[0] if judged.emotions else None,
        "words": judged.words,
        "regions": [{"region": region, "sentences": count} for region, count in judged.regions.items()],
        "raw_caption": reply.text if reply.refused is None else reply.refused,
        "model": reply.model,
        "rounds": rounds,
        "agreement": None,
        "similarity": None,
    }


def _batches(
    judged: Iterator[dict[str, Any]], faces: StageFolder, unit: str, model: CaptionSimilarity | None
) -> Iterator[list[dict[str, Any]]]:
    pictures = kept_faces(faces, unit, ["image"]) if model else None
    while batch := list(islice(judged, _FACES_AT_ONCE)):
        if pictures is not None:
            _measure_similarity(batch, list(islice(pictures, len(batch))), model)
        yield batch


def _measure_similarity(batch: list[dict[str, Any]], faces: list[dict[str, Any]], model: CaptionSimilarity) -> None:
    good = [index for index, row in enumerate(batch) if not row["faults"]]
    if good:
        pictures = [decode_image(faces[index]["image"]) for index in good]
        captions = [EmoCaption.from_dict(batch[index]) for index in good]
        for index, value in zip(good, model(pictures, captions), strict=True):
            batch[index]["similarity"] = value


def _summary(folder: StageFolder, similarity: SimilarityOptions) -> dict[str, Any]:
    """Counts; and on the way, `set_aside.jsonl` with everything that was judged unusable."""
    kinds: Counter[str] = Counter()
    passed, set_aside, values = 0, 0, []
    path = folder.path / "set_aside.jsonl"
    aside = path.with_name(f".{path.name}.partial")
    with open(aside, "w", encoding="utf-8") as stream:
        for unit in folder.plan():
            for row in folder.rows(unit, ["face", "faults", "raw_caption", "rounds", "similarity"]):
                passed += not row["faults"]
                kinds.update({fault["kind"] for fault in row["faults"]})
                values += [] if row["similarity"] is None else [row["similarity"]]
                if row["faults"]:
                    set_aside += 1
                    kept = ("face", "faults", "rounds", "raw_caption")
                    stream.write(json.dumps({key: row[key] for key in kept}, ensure_ascii=False) + "\n")
    os.replace(aside, path)
    flag_below = float(np.quantile(values, similarity.flag_share)) if values else None
    return {
        "passed": passed,
        "set_aside": set_aside,
        "faults": dict(sorted(kinds.items())),
        "flag_below": flag_below,
    }
