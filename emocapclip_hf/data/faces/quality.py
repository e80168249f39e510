"""Whether a crop can be captioned: large, sharp and well lit enough, and not turned too far away."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .crop import roll_degrees
from .detector import FoundFace

_SIDE = 128  # sharpness and light are measured at one size, or they would depend on how near the camera was


@dataclass(frozen=True)
class QualityLimits:
    """What a face must keep to. All are ours, set by looking at contact sheets of films and photographs.

    Args:
        min_side: of the detected box, in pixels.
        min_sharpness: variance of the Laplacian of the crop's middle, the crop at 128 pixels, gray in 0 to 255.
        min_brightness, max_brightness: mean gray of the crop's middle.
        max_clipped: share of the middle's pixels that are black or white to the end.
        max_roll: degrees; eyes are needed to tell.
        max_yaw: how far the nose stands off the middle of the eyes, in distances of the eyes; a profile has 0.5 and
            more. Only detectors that find the nose can tell.
    """

    min_side: float = 64
    min_sharpness: float = 15.0
    min_brightness: float = 35.0
    max_brightness: float = 225.0
    max_clipped: float = 0.4
    max_roll: float = 40.0
    max_yaw: float = 0.4


def quality_fault(face: FoundFace, crop: Image.Image, limits: QualityLimits) -> str | None:
    """What is wrong with a face, in a word; None for one that can be used.

    >>> quality_fault(FoundFace((0, 0, 90, 90), 1.0), Image.new("RGB", (135, 135), "gray"), QualityLimits())
    'blurred'
    """
    if min(face.box[2:]) < limits.min_side:
        return "small"
    if abs(roll_degrees(face)) > limits.max_roll or yaw(face) > limits.max_yaw:
        return "turned"
    middle = _middle(crop)
    brightness, clipped = float(middle.mean()), float(((middle <= 4) | (middle >= 251)).mean())
    if brightness < limits.min_brightness:
        return "dark"
    if brightness > limits.max_brightness or clipped > limits.max_clipped:
        return "overexposed" if brightness > 128 else "dark"
    return "blurred" if sharpness(crop) < limits.min_sharpness else None


def sharpness(crop: Image.Image) -> float:
    """Variance of the Laplacian at one size; in the middle, for the edge of a picture inside a crop is sharp."""
    gray = _middle(crop).astype(np.float32)
    inner = gray[1:-1, 1:-1]
    return float((gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:] - 4 * inner).var())


def yaw(face: FoundFace) -> float:
    """How far the nose stands off the middle of the eyes, along their line, in distances of the eyes."""
    if face.eyes is None or face.nose is None:
        return 0.0
    (left_x, left_y), (right_x, right_y) = face.eyes
    along_x, along_y = right_x - left_x, right_y - left_y
    distance = math.hypot(along_x, along_y)
    if distance == 0:
        return math.inf
    off_x, off_y = face.nose[0] - (left_x + right_x) / 2, face.nose[1] - (left_y + right_y) / 2
    return abs(off_x * along_x + off_y * along_y) / distance**2


def _middle(crop: Image.Image) -> np.ndarray:
    """The half of the crop in the middle, where there is nothing but face."""
    gray = np.asarray(crop.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=3))
    return gray[_SIDE // 4 : -_SIDE // 4, _SIDE // 4 : -_SIDE // 4]
