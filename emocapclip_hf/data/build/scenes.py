"""Scene changes, and k frames a scene: in one pass, at the memory of a few frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from statistics import median

import numpy as np

from ...processing.video_frames_emocapclip import segment_centres
from .film_reading import FilmFrame

_WIDTH, _HEIGHT = 32, 18
_RECENT = 12  # frames whose changes say how lively the scene is
_LIVELIER = 4.0  # a cut changes the picture this many times more than the scene itself does


class SceneCuts:
    """Says of each frame whether a scene begins with it (ours: mean change of a thumbnail, against the recent ones).

    Args:
        threshold: least mean change of the thumbnail's pixels, of 0 to 1.
        min_seconds: no scene is shorter; a flash is none.
    """

    def __init__(self, threshold: float, min_seconds: float):
        self.threshold, self.min_seconds = threshold, min_seconds
        self._last: np.ndarray | None = None
        self._began = 0.0
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def starts_scene(self, frame: FilmFrame) -> bool:
        thumbnail = frame.frame.reformat(_WIDTH, _HEIGHT, "rgb24", interpolation="AREA").to_ndarray()
        thumbnail = thumbnail.astype(np.int16)  # differences of bytes would wrap around
        last, self._last = self._last, thumbnail
        if last is None:
            self._began = frame.seconds
            return True
        change = float(np.abs(thumbnail - last).mean()) / 255
        usual = median(self._recent) if self._recent else 0.0
        cut = change > max(self.threshold, _LIVELIER * usual) and frame.seconds - self._began >= self.min_seconds
        if cut:
            self._began = frame.seconds
            self._recent.clear()
        else:
            self._recent.append(change)
        return cut


class EvenFrames:
    """k frames from the middles of k equal parts of a scene whose length nobody knows yet.

    Every `stride`-th frame is held; when there are too many, every second of them is let go and the stride doubles.
    """

    def __init__(self, count: int):
        self.count = count
        self.seen, self._stride = 0, 1
        self._held: list[FilmFrame] = []

    def add(self, frame: FilmFrame) -> None:
        if self.seen % self._stride == 0:
            self._held.append(frame)
            if len(self._held) > 8 * self.count:
                self._held = self._held[::2]
                self._stride *= 2
        self.seen += 1

    def chosen(self) -> list[FilmFrame]:
        """A scene of fewer than k frames gives each of them once."""
        last = len(self._held) - 1
        indices = [min(centre // self._stride, last) for centre in segment_centres(self.seen, self.count)]
        return [self._held[index] for index in dict.fromkeys(indices)]


def scene_frames(frames: Iterable[FilmFrame], cuts: SceneCuts, per_scene: int) -> Iterator[list[FilmFrame]]:
    """The chosen frames of each scene in turn."""
    scene = EvenFrames(per_scene)
    for frame in frames:
        if cuts.starts_scene(frame) and frame.number > 0:
            yield scene.chosen()
            scene = EvenFrames(per_scene)
        scene.add(frame)
    if scene.seen:
        yield scene.chosen()
