"""The frames of a film with their times; a damaged film gives what can be decoded, and says what could not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

if TYPE_CHECKING:
    import av

FILM_SUFFIXES = ("mp4", "mkv", "avi", "mov", "webm", "m4v", "mpg", "mpeg", "ts", "wmv", "flv", "ogv", "3gp")


class FilmFrame(NamedTuple):
    number: int  # from 0, in the order shown
    seconds: float
    frame: av.VideoFrame

    def picture(self) -> Image.Image:
        """Upright RGB: telephones store films lying, with the rotation that sets them upright."""
        return self.frame.to_image().rotate(self.frame.rotation, expand=True)


@dataclass
class FilmReport:
    """What there was to read; grows while the film is read."""

    decoded: int = 0
    broken_packets: int = 0
    problem: str | None = field(default=None)


def read_film(path: Path, report: FilmReport) -> Iterator[FilmFrame]:
    """Every frame that can be decoded. Whatever is wrong with the film is written to `report`, never raised."""
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                kinds = sorted({stream.type for stream in container.streams})
                report.problem = f"no video stream, only {', '.join(kinds) or 'nothing'}"
                return
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:  # what follows may be whole
                    report.broken_packets += 1
                    continue
                for frame in frames:
                    yield FilmFrame(report.decoded, _seconds(frame, stream, report.decoded), frame)
                    report.decoded += 1
            promised = stream.frames
    except (av.error.FFmpegError, OSError) as error:
        report.problem = f"damaged after {report.decoded} frames, or no film ({error})"
        return
    if report.decoded == 0:
        report.problem = "a video stream without a single frame that can be decoded"
    elif report.broken_packets:
        report.problem = f"{report.broken_packets} damaged packets left out"
    elif report.decoded < promised:
        report.problem = f"only {report.decoded} of {promised} frames can be decoded"


def _seconds(frame: av.VideoFrame, stream: av.VideoStream, number: int) -> float:
    """The frame's own time code (films of variable rate have no other), or its number at the film's average rate."""
    if frame.time is not None:
        return float(frame.time)
    return number / float(stream.average_rate or 25)
