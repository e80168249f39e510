"""Detectors, crops and the quality of crops: on SynthFaces, on a YuNet model made here, on real photographs."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from emocapclip_hf.data.faces.crop import crop_face, roll_degrees
from emocapclip_hf.data.faces.detector import FoundFace, HaarDetector, YuNetDetector, load_detector
from emocapclip_hf.data.faces.quality import QualityLimits, quality_fault, sharpness, yaw
from emocapclip_hf.data.synthfaces import draw, face_at

pytest.importorskip("cv2", reason="the extra `faces`")

PHOTOGRAPHS = Path(__file__).parents[4] / "shared" / "faces"  # beside the checkout, on some machines


def scene_with(*faces: tuple[int, tuple[int, int], int]) -> Image.Image:
    """A gray room with SynthFaces in it: (number, where, size)."""
    room = Image.new("RGB", (640, 400), (118, 120, 124))
    for number, place, size in faces:
        room.paste(draw(face_at(0, "train", number), size), place)
    return room


@pytest.fixture(scope="module")
def haar() -> HaarDetector:
    return HaarDetector()


def test_two_faces_are_found_where_they_are_left_one_first(haar):
    found = haar(scene_with((5, (30, 60), 240), (3, (370, 100), 220)))
    assert len(found) == 2
    for face, (left, top, size) in zip(found, [(30, 60, 240), (370, 100, 220)], strict=True):
        x, y, width, height = face.box
        assert left < x + width / 2 < left + size and top < y + height / 2 < top + size
        assert 0.3 * size < width < size and face.eyes is not None
        assert face.eyes[0][0] < face.eyes[1][0]


def test_large_pictures_are_searched_small_and_answered_in_their_own_pixels(haar):
    room = scene_with((5, (30, 60), 240))
    (small,), (large,) = haar(room), haar(room.resize((2560, 1600)), min_side=160)
    assert np.allclose(np.array(large.box) / 4, small.box, atol=0.1 * small.box[2])


def test_nothing_is_found_where_nothing_is(haar):
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    assert haar(Image.fromarray(noise)) == []
    assert haar(Image.new("L", (1, 1))) == haar(Image.new("RGB", (3000, 2))) == []


def test_faces_below_the_least_side_are_left_out(haar):
    room = scene_with((5, (30, 60), 240))
    assert haar(room, min_side=20) and not haar(room, min_side=300)


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the real photographs are not here")
def test_every_real_face_is_found_once_with_its_eyes_and_passes(haar):
    for path in sorted(PHOTOGRAPHS.glob("*.jpg")):
        picture = Image.open(path)
        found = haar(picture)
        assert len(found) == 1 and found[0].eyes is not None, path.name
        assert abs(roll_degrees(found[0])) < 12, path.name
        assert quality_fault(found[0], crop_face(picture, found[0]), QualityLimits()) is None, path.name


def test_a_tilted_face_is_cropped_upright():
    picture = Image.new("RGB", (200, 200))
    eyes = ((80.0, 80.0), (120.0, 103.0))  # 30 degrees down to the right
    for x, y in eyes:
        picture.paste("white", (round(x) - 3, round(y) - 3, round(x) + 4, round(y) + 4))
    face = FoundFace((60, 60, 80, 80), 1.0, eyes)
    crop = np.asarray(crop_face(picture, face, size=120).convert("L")) > 128
    rows, columns = np.nonzero(crop)
    left, right = columns < 60, columns >= 60
    assert left.any() and right.any()
    assert abs(rows[left].mean() - rows[right].mean()) < 1.5
    assert roll_degrees(face) == pytest.approx(math.degrees(math.atan2(23, 40)))


def test_a_crop_has_its_margin_and_is_black_outside_the_picture():
    picture = Image.new("RGB", (100, 100), "white")
    crop = np.asarray(crop_face(picture, FoundFace((0, 0, 40, 40), 1.0), margin=0.5).convert("L"))
    assert crop.shape == (80, 80)
    assert crop[:19, :].max() == 0 and crop[22:, 22:].min() == 255


def test_shrinking_a_crop_averages_what_it_swallows():
    fine = np.indices((400, 400)).sum(0) % 2 * 255  # a checkerboard of single pixels is gray from afar
    crop = crop_face(Image.fromarray(fine.astype(np.uint8)), FoundFace((0, 0, 400, 400), 1.0), size=50, margin=0)
    assert np.abs(np.asarray(crop, float)[5:-5, 5:-5] - 127.5).max() < 12


def test_each_fault_is_named():
    limits, face = QualityLimits(), FoundFace((20, 20, 100, 100), 1.0)
    crop = draw(face_at(0, "train", 5), 150)
    assert quality_fault(face, crop, limits) is None
    assert quality_fault(FoundFace((0, 0, 63, 90), 1.0), crop, limits) == "small"
    assert quality_fault(face, crop.filter(ImageFilter.GaussianBlur(6)), limits) == "blurred"
    assert quality_fault(face, crop.point(lambda v: v // 8), limits) == "dark"
    assert quality_fault(face, crop.point(lambda v: 230 + v // 12), limits) == "overexposed"
    tilted = FoundFace(face.box, 1.0, ((20.0, 20.0), (50.0, 60.0)))
    assert quality_fault(tilted, crop, limits) == "turned"
    profile = FoundFace(face.box, 1.0, ((40.0, 50.0), (80.0, 50.0)), (80.0, 70.0))
    assert yaw(profile) == pytest.approx(0.5) and quality_fault(profile, crop, limits) == "turned"


def test_sharpness_does_not_depend_on_the_size_of_the_crop():
    face = face_at(0, "train", 5)
    assert sharpness(draw(face, 400)) == pytest.approx(sharpness(draw(face, 200)), rel=0.5)


# ---- YuNet: a model with its interface whose "face" is any bright block of 64 pixels


def bright_block_model(path: Path) -> Path:
    """An ONNX file with YuNet's twelve outputs; only stride 32 speaks, where its 32 pixels are bright."""
    onnx = pytest.importorskip("onnx")
    nodes, weights, outputs = [], [], []
    for stride in (8, 16, 32):
        for kind, channels in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            name = f"{kind}_{stride}"
            kernel = np.zeros((channels, 3, stride, stride), np.float32)
            bias = np.zeros(channels, np.float32)
            if kind in ("cls", "obj") and stride == 32:
                kernel[:] = 1 / (3 * stride * stride * 255)  # the mean brightness, 0 to 1
            if kind == "bbox":
                bias[2:] = math.log(2)  # width and height: twice the stride
            if kind == "kps":
                bias[:] = (0.0, 0.2, 1.0, 0.2, 0.5, 0.6, 0.1, 1.0, 0.9, 1.0)
            for part, value in (("w", kernel), ("b", bias), ("s", np.array([1, -1, channels]))):
                weights.append(onnx.numpy_helper.from_array(value, f"{name}_{part}"))
            conv = onnx.helper.make_node(
                "Conv", ["input", f"{name}_w", f"{name}_b"], [f"{name}_c"], strides=[stride] * 2
            )
            turn = onnx.helper.make_node("Transpose", [f"{name}_c"], [f"{name}_t"], perm=[0, 2, 3, 1])
            flat = onnx.helper.make_node("Reshape", [f"{name}_t", f"{name}_s"], [name])
            nodes += [conv, turn, flat]
            outputs.append(
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, (320 // stride) ** 2, channels])
            )
    picture = onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 3, 320, 320])
    graph = onnx.helper.make_graph(nodes, "bright", [picture], outputs, weights)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 11)], ir_version=8), path)
    return path


def test_a_yunet_file_gives_boxes_and_landmarks(tmp_path):
    detector = load_detector(bright_block_model(tmp_path / "face_detection_yunet.onnx"))
    picture = Image.new("RGB", (320, 320))
    picture.paste("white", (96, 128, 128, 160))  # one cell of stride 32: column 3, row 4
    (face,) = detector(picture, min_side=40)
    assert detector.name == "yunet:face_detection_yunet.onnx"
    assert face.box[2:] == pytest.approx((64, 64), abs=1)
    assert face.eyes[0][0] < face.nose[0] < face.eyes[1][0] and face.score > 0.9
    assert detector(picture, min_side=80) == [] and detector(Image.new("RGB", (640, 200))) == []


def test_a_yunet_file_that_is_none_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_detector(tmp_path / "yunet.onnx")
    (tmp_path / "yunet.onnx").write_text("hello")
    with pytest.raises(ValueError, match="cannot read it as a YuNet model"):
        YuNetDetector(tmp_path / "yunet.onnx")
