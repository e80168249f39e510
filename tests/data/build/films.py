"""Short films of SynthFaces, whole and broken in every way that films are."""

from __future__ import annotations

import hashlib
import wave
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from PIL import Image

from emocapclip_hf.data.build.faces import faces_folder, kept_faces
from emocapclip_hf.data.synthfaces import FaceDescription, describe, draw, face_at, sample_clip

WIDTH, HEIGHT, FPS = 320, 240, 12
ROOMS = ("#5f6b78", "#7d6a55", "#4f6a58", "#6b5a6e", "#8a8478", "#3f4a5c")


def shot(number: int, frames: int = 12, emotion: str | None = None, room: str | None = None) -> list[Image.Image]:
    """One clip of SynthFaces in a room."""
    return [
        in_room(face, room or ROOMS[number % len(ROOMS)])
        for face in sample_clip(number, frames=frames, emotion=emotion)
    ]


@lru_cache
def film_of_truth(number: int) -> list[tuple[Image.Image, FaceDescription]]:
    """The frames of a film of four shots, each with the face that it shows."""
    frames = []
    for clip in range(4):
        room = ROOMS[(number + clip) % len(ROOMS)]
        for face in sample_clip(100 + 10 * number + clip, frames=9):
            frames.append((in_room(face, room), face))
    return frames


def in_room(face: FaceDescription, room: str = ROOMS[0]) -> Image.Image:
    picture = Image.new("RGB", (WIDTH, HEIGHT), room)
    picture.paste(draw(face, 200), (60, 20))
    return picture


def still(number: int) -> Image.Image:
    return in_room(face_at(0, "train", number), ROOMS[number % len(ROOMS)])


def write_film(
    path: Path,
    pictures: Iterable[Image.Image],
    codec: str = "mpeg4",
    pixel_format: str = "yuv420p",
    ticks: Sequence[int] | None = None,
    **options: str,
) -> Path:
    """Encode pictures; `ticks` are their times in twelfths of a second, where they are not evenly spaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options) as container:
        stream = None
        for number, picture in enumerate(pictures):
            if stream is None:
                stream = container.add_stream(codec, rate=FPS)
                stream.width, stream.height = picture.size
                stream.pix_fmt = pixel_format
                stream.time_base = stream.codec_context.time_base = Fraction(1, FPS)
                if codec == "mpeg4":
                    stream.bit_rate = 4_000_000
            frame = av.VideoFrame.from_image(picture)
            frame.pts = ticks[number] if ticks else number
            frame.time_base = Fraction(1, FPS)
            for packet in stream.encode(frame):
                container.mux(packet)
        if stream is not None:
            for packet in stream.encode():
                container.mux(packet)
    return path


def write_sound(path: Path) -> Path:
    """A file with the name of a film and nothing to see."""
    sound = path.with_suffix(".wav")
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.zeros(8000, np.int16).tobytes())
    with av.open(str(sound)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("aac", rate=8000)
        for frame in source.decode(audio=0):
            for packet in stream.encode(frame):
                target.mux(packet)
        for packet in stream.encode():
            target.mux(packet)
    sound.unlink()
    return path


def truth_of(out: Path, faces_of_film: Callable[[int], list[FaceDescription]]) -> dict[str, str]:
    """The digest of each kept face's picture → its true caption, as JSON; films are called `...-<number>.mkv`."""
    folder, captions, faces = faces_folder(out), {}, lru_cache(faces_of_film)
    for unit in folder.plan():
        for row in kept_faces(folder, unit, ["source", "image"]):
            film = int(row["source"].rpartition("-")[2].partition(".")[0])
            frame = int(row["face"].rpartition("#")[2].partition(".")[0])
            digest = hashlib.sha256(row["image"]).hexdigest()
            captions[digest] = describe(faces(film)[frame]).to_json()
    return captions
