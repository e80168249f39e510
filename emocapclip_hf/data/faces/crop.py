"""A face cut out of its picture: square, with margin, turned upright where the eyes are known."""

from __future__ import annotations

import math

from PIL import Image

from .detector import FoundFace

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
    angle = math.radians(roll_degrees(face))
    step_x, step_y = math.cos(angle) * side / size, math.sin(angle) * side / size
    # Pillow asks: which place of the picture does pixel (x, y) of the result show?
    origin_x = centre_x - (step_x - step_y) * size / 2
    origin_y = centre_y - (step_x + step_y) * size / 2
    if side > 2 * size:  # an affine transform samples points: many pixels into one need a smooth reduction first
        return crop_face(picture, face, round(side), margin).resize((size, size), Image.Resampling.LANCZOS)
    matrix = (step_x, -step_y, origin_x, step_y, step_x, origin_y)
    return picture.convert("RGB").transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
