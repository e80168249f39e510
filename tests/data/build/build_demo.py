"""`make build-demo`: films of SynthFaces → a captioned dataset → a model trained on it → zero-shot with that model.

The captioner is a stand-in on loopback that answers from the truth, so everything but the wording is as it would be
with a real one: films are decoded, faces found by the detector, captions asked for, parsed, checked and split.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path
from zlib import crc32

from films import ROOMS, in_room, truth_of, write_film
from loopback_captioner import LoopbackCaptioner
from tqdm import tqdm

from emocapclip_hf.cli import main
from emocapclip_hf.data.synthfaces import FaceDescription, sample_clip

FILMS, SHOTS, FRAMES = 16, 20, 6
CONFIG = "configs/build-demo.yaml"


def cast_of(film: int) -> list[list[FaceDescription]]:
    """The shots of a film; nobody plays in two."""
    clips = (sample_clip(100_000 * film + number, frames=FRAMES) for number in count())
    shots = []
    while len(shots) < SHOTS:
        clip = next(clips)
        if crc32(clip[0].identity.name.encode()) % FILMS == film:
            shots.append(clip)
    return shots


def frames_of(film: int) -> list[FaceDescription]:
    return [face for shot in cast_of(film) for face in shot]


def write_films(folder: Path) -> None:
    for film in tqdm(range(FILMS), desc="Films", disable=None):
        path = folder / f"film-{film}.mkv"
        if not path.exists():
            pictures = (
                in_room(face, ROOMS[(film + number // FRAMES) % len(ROOMS)])
                for number, face in enumerate(frames_of(film))
            )
            write_film(path.with_name(f".{path.name}"), pictures).rename(path)


def build(out: Path) -> int:
    films, emocap = out / "films", out / "emocap"
    write_films(films)
    stages = ["data", "build", str(films), "--out", str(emocap), "--stages"]
    status = main([*stages, "frames", "faces"])
    if status:
        return status
    with LoopbackCaptioner(truth_of(emocap, frames_of)) as captioner:
        endpoint = ["--endpoint", captioner.url, "--model", "stand-in-that-knows-the-truth"]
        card = ["--title", "SynthFaces films", "--license", "apache-2.0"]
        return main([*stages, "captions", "checks", "dataset", *endpoint, *card])


if __name__ == "__main__":
    where = Path(sys.argv[1])
    failed = build(where)
    if not failed:
        train = [sys.executable, "train.py", "--config", CONFIG, "--dataset", str(where / "emocap" / "dataset")]
        failed = subprocess.run([*train, "--output-dir", str(where / "model-run"), *sys.argv[2:]]).returncode
    sys.exit(failed)
