"""Face detectors that need no download: OpenCV 4's Haar cascades, or a YuNet model from a file.

OpenCV 5 wheels carry no cascades, hence the pin of the extra `faces`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

Point = tuple[float, float]

_DETECTION_SIDE = 640  # larger pictures are searched at this size: a face that matters is still tens of pixels there
_EYES_WIDTH = 160  # of a face in which eyes are looked for


@dataclass(frozen=True)
class FoundFace:
    """One face in a picture, in its pixels.

    Args:
        box: left, top, width, height.
        score: the detector's own confidence, comparable within one detector only.
        eyes: the two centres, the one further left in the picture first; None where they were not both found.
        nose: its tip, of detectors that find it.
    """

    box: tuple[float, float, float, float]
    score: float
    eyes: tuple[Point, Point] | None = None
    nose: Point | None = None


class FaceDetector(Protocol):
    """`name` goes into the fingerprint of what was found with it."""

    name: str

    def __call__(self, picture: Image.Image, min_side: float = 40) -> list[FoundFace]: ...


def load_detector(model: str | os.PathLike | None = None) -> FaceDetector:
    """Haar cascades, or the YuNet model in an ONNX file.

    >>> load_detector()(Image.new("RGB", (200, 200)))
    []
    """
    return HaarDetector() if model is None else YuNetDetector(model)


class HaarDetector:
    """Frontal faces by OpenCV's cascades, and their eyes by a second one where it finds one on each side.

    Of the frontal cascades and their settings this pair finds each of 20 photographs of faces once (others see faces
    on throats), and the most drawn faces of SynthFaces: 36 of 40. Eyes are looked for in the upper face at one size,
    which is enough for large faces and enlarges small ones to where the cascade sees them.
    """

    name = "haar"

    def __init__(self):
        cv2 = import_opencv()
        folder = Path(getattr(getattr(cv2, "data", None), "haarcascades", ""))
        names = ("haarcascade_frontalface_alt.xml", "haarcascade_eye.xml")
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise ImportError(
                f"OpenCV {cv2.__version__} carries no {missing[0]}: pip install 'opencv-python-headless<5', or name a "
                "YuNet model with --detector FILE.onnx"
            )
        self._faces, self._eyes = (cv2.CascadeClassifier(str(folder / name)) for name in names)

    def __call__(self, picture: Image.Image, min_side: float = 40) -> list[FoundFace]:
        gray = picture.convert("L")
        small, scale = _reduced(gray)
        side = max(24, round(min_side * scale))
        boxes, _, weights = self._faces.detectMultiScale3(
            np.asarray(small), scaleFactor=1.1, minNeighbors=3, minSize=(side, side), outputRejectLevels=True
        )
        found = []
        for numbers, weight in zip(boxes, weights, strict=True):
            box = tuple(float(value) / scale for value in numbers)
            found.append(FoundFace(box, float(weight), self._find_eyes(gray, box)))
        return _in_reading_order(found)

    def _find_eyes(self, gray: Image.Image, box: tuple[float, float, float, float]) -> tuple[Point, Point] | None:
        """The likeliest eye in the left and in the right half of the upper face."""
        left, top, width, height = box
        top, bottom = top + height / 5, min(gray.height, top + height * 3 / 5)
        scale = _EYES_WIDTH / width
        size = (_EYES_WIDTH, max(1, round((bottom - top) * scale)))
        area = (left, top, min(gray.width, left + width), bottom)
        upper = np.asarray(gray.resize(size, Image.Resampling.BILINEAR, box=area, reducing_gap=2.0))
        eyes, least = [], _EYES_WIDTH // 8
        for start in (0, _EYES_WIDTH // 2):
            hits, _, weights = self._eyes.detectMultiScale3(
                upper[:, start : start + _EYES_WIDTH // 2],
                scaleFactor=1.05,
                minNeighbors=3,
                minSize=(least, least),
                outputRejectLevels=True,
            )
            if len(hits) == 0:
                return None
            x, y, w, h = (float(v) for v in hits[int(np.argmax(weights))])
            eyes.append((left + (start + x + w / 2) / scale, top + (y + h / 2) / scale))
        return eyes[0], eyes[1]


class YuNetDetector:
    """The YuNet model of OpenCV's model zoo, which also finds turned faces and five landmarks."""

    def __init__(self, model: str | os.PathLike, min_score: float = 0.7):
        cv2 = import_opencv()
        path = Path(model)
        if not path.is_file():
            raise FileNotFoundError(f"--detector {path}: there is no such file; it takes a YuNet model in ONNX format")
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), min_score)
        except cv2.error as error:
            raise ValueError(f"--detector {path}: OpenCV cannot read it as a YuNet model ({error})") from error
        self.name = f"yunet:{path.name}"

    def __call__(self, picture: Image.Image, min_side: float = 40) -> list[FoundFace]:
        small, scale = _reduced(picture.convert("RGB"))
        self._net.setInputSize(small.size)
        _, rows = self._net.detect(np.ascontiguousarray(np.asarray(small)[:, :, ::-1]))  # as BGR
        found = []
        for row in [] if rows is None else rows.astype(float):
            points = [(x / scale, y / scale) for x, y in row[4:14].reshape(5, 2).tolist()]
            box = tuple(value / scale for value in row[:4].tolist())
            if min(box[2:]) >= min_side:
                found.append(FoundFace(box, float(row[14]), tuple(sorted(points[:2])), points[2]))
        return _in_reading_order(found)


def import_opencv():
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            "finding faces takes OpenCV 4: pip install emocapclip-hf[faces] (or 'opencv-python-headless<5')"
        ) from error
    cv2.setNumThreads(1)  # films are shared out among processes; threads of theirs would only stand in the way
    return cv2


def _reduced(picture: Image.Image) -> tuple[Image.Image, float]:
    """The picture at the size it is searched at, and by how much it was scaled."""
    scale = min(1.0, _DETECTION_SIDE / max(picture.size))
    if scale == 1.0:
        return picture, scale
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    return picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0), scale


def _in_reading_order(found: list[FoundFace]) -> list[FoundFace]:
    """From left to right, so that the numbers of faces do not hang on the detector's internals."""
    return sorted(found, key=lambda face: face.box)
