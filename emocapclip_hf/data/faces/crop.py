"""A face cut out of its picture: square, with margin, turned upright where the eyes are known."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from .detector import FoundFace, import_opencv

# Of the box's side, added on each side: brows, chin and the corners of the mouth must be inside whatever the detector
# calls a face. Ours; the paper does not tell how EmoCap100K was cropped.
MARGIN = 0.25


def roll_degrees(face: FoundFace) -> float:
    """How far the line of the eyes is turned, clockwise in the picture; 0 where the eyes are not known.

    >>> round(roll_degrees(FoundFace((0, 0, 10, 10), 1.0, ((2, 4), (8, 10)))))
    45
    """
    if face.eyes is None:
        return 0.0
    (left_x, left_y), (right_x, right_y) = face.eyes
    return math.degrees(math.atan2(right_y - left_y, right_x - left_x))


def crop_face(picture: Image.Image, face: FoundFace, size: int | None = None, margin: float = MARGIN) -> Image.Image:
    """The upright square around a face; what lies outside the picture is black.

    Args:
        size: side of the result; by default as many pixels as the square has in the picture.
        margin: added on each side of the box, as a share of it.

    >>> crop_face(Image.new("RGB", (100, 80)), FoundFace((30, 20, 40, 40), 1.0)).size
    (60, 60)
    """
    left, top, width, height = face.box
    side = max(width, height) * (1 + 2 * margin)
    size = size or max(1, round(side))
    centre_x, centre_y = left + width / 2, top + height / 2
    if side > 2 * size:  # an affine transform samples points: many pixels into one need a smooth reduction first
        return crop_face(picture, face, round(side), margin).resize((size, size), Image.Resampling.LANCZOS)
    angle = math.radians(roll_degrees(face))
    step_x, step_y = math.cos(angle) * side / size, math.sin(angle) * side / size
    # OpenCV, in half of Pillow's time, asks: which place of the picture does pixel (x, y) of the result show? Both are
    # counted from the middle of the first pixel.
    middle = (size - 1) / 2
    origin_x = centre_x - 0.5 - (step_x - step_y) * middle
    origin_y = centre_y - 0.5 - (step_x + step_y) * middle
    matrix = np.array([[step_x, -step_y, origin_x], [step_y, step_x, origin_y]])
    cv2 = import_opencv()
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return Image.fromarray(cv2.warpAffine(np.asarray(picture.convert("RGB")), matrix, (size, size), flags=flags))
