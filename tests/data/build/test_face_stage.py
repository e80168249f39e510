"""Stage 2: every face kept or rejected for a reason that is counted; copies within and across films."""

from pathlib import Path

import pytest
from films import ROOMS, in_room, shot, still, write_film
from PIL import Image, ImageFilter

from emocapclip_hf.data.build.copies import read_copies
from emocapclip_hf.data.build.faces import FaceOptions, faces_folder, kept_faces, run_faces
from emocapclip_hf.data.build.frames import FrameOptions, run_frames
from emocapclip_hf.data.build.sources import find_units
from emocapclip_hf.data.duplicates import perceptual_hash
from emocapclip_hf.data.faces.quality import QualityLimits
from emocapclip_hf.data.image_reading import decode_image
from emocapclip_hf.data.synthfaces import draw, face_at

pytest.importorskip("cv2", reason="the extra `faces`")

PHOTOGRAPHS = Path(__file__).parents[4] / "shared" / "faces"


def run(tmp_path, frames=None, **options):
    run_frames(tmp_path / "out", find_units([tmp_path / "films"]), FrameOptions(**(frames or {})))
    return run_faces(tmp_path / "out", FaceOptions(**options))


def rows_of(tmp_path, kept_only=False) -> list[dict]:
    folder = faces_folder(tmp_path / "out")
    read = (lambda unit: kept_faces(folder, unit)) if kept_only else folder.rows
    return [row for unit in folder.plan() for row in read(unit)]


def save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def test_each_rejected_face_is_counted_by_its_reason(tmp_path):
    films = tmp_path / "films"
    good = in_room(face_at(0, "train", 5))
    save(good, films / "good.png")
    save(good.filter(ImageFilter.GaussianBlur(6)), films / "blurred.png")
    save(good.point(lambda v: v // 3), films / "dark.png")
    save(good.resize((112, 84)), films / "small.png")
    save(Image.new("RGB", (320, 240), ROOMS[0]), films / "empty.png")
    summary = run(tmp_path, limits=QualityLimits(min_brightness=80))  # in a darker picture the cascades see no face
    assert summary["frames"] == 5 and summary["faces"] == 4 and summary["kept"] == 1
    assert summary["rejected"] == {"blurred": 1, "dark": 1, "small": 1}
    assert summary["frames_without_face"] == 1
    assert {row["source"]: row["rejected"] for row in rows_of(tmp_path)} == {
        "films/good.png": "",
        "films/blurred.png": "blurred",
        "films/dark.png": "dark",
        "films/small.png": "small",
    }
    (kept,) = rows_of(tmp_path, kept_only=True)
    crop = decode_image(kept["image"])
    assert crop.width == crop.height == round(max(kept["box"][2:]) * 1.5)
    assert Image.open(tmp_path / "out/faces/kept.png").size > (100, 100)
    assert Image.open(tmp_path / "out/faces/rejected.png").height > 3 * 96


def test_a_scene_gives_its_sharpest_faces_and_no_copies(tmp_path):
    write_film(tmp_path / "films/one.mkv", [*shot(5, 12, "surprise"), *[still(9)] * 6])
    summary = run(tmp_path, frames={"per_scene": 6}, most_per_scene=2)
    rows = rows_of(tmp_path)
    assert summary["kept"] + sum(summary["rejected"].values()) == summary["faces"] == len(rows)
    assert summary["rejected"]["enough of the scene"] > 0 and summary["rejected"]["copy in the film"] >= 5
    for scene in {row["scene"] for row in rows}:
        kept = [row["sharpness"] for row in rows if row["scene"] == scene and not row["rejected"]]
        left = [row["sharpness"] for row in rows if row["scene"] == scene and row["rejected"].startswith("enough")]
        assert 1 <= len(kept) <= 2 and (not left or max(left) <= min(kept))


def test_a_face_in_two_films_is_kept_once_and_links_them(tmp_path):
    save(still(22), tmp_path / "films/a/film.png")
    (tmp_path / "films/b").mkdir()
    still(22).point(lambda v: v * 9 // 10).save(tmp_path / "films/b/trailer.jpg", quality=60)
    save(still(9), tmp_path / "films/b/other.png")
    summary = run(tmp_path)
    assert summary["rejected"] == {"copy in another film": 1} and summary["kept"] == 2
    copies = read_copies(faces_folder(tmp_path / "out"))
    assert copies == {"films/b/trailer.jpg#0.0": {"of": "films/a/film.png#0.0", "films": ["films/a", "films/b"]}}
    assert [row["face"] for row in rows_of(tmp_path, kept_only=True)] == [
        "films/a/film.png#0.0",
        "films/b/other.png#0.0",
    ]


def test_whole_pictures_as_faces(tmp_path):
    for number in range(3):
        save(draw(face_at(0, "train", number), 100), tmp_path / f"films/{number}.png")
    summary = run(tmp_path, detect=False, largest_side=80)
    assert summary["kept"] == 3
    assert {decode_image(row["image"]).size for row in rows_of(tmp_path)} == {(80, 80)}


def test_other_options_other_tables_and_the_same_options_none(tmp_path):
    write_film(tmp_path / "films/one.mkv", shot(5, 9))
    run(tmp_path)
    units = tmp_path / "out/faces/units"
    (first,) = units.iterdir()
    before = first.stat().st_mtime_ns
    run(tmp_path)
    assert first.stat().st_mtime_ns == before and len(list(units.iterdir())) == 1
    run(tmp_path, most_per_scene=1)
    assert len(list(units.iterdir())) == 2
    assert len(rows_of(tmp_path, kept_only=True)) == 1


def test_faces_need_frames(tmp_path):
    with pytest.raises(FileNotFoundError, match="--stages frames"):
        run_faces(tmp_path / "out", FaceOptions())


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the real photographs are not here")
def test_all_real_photographs_give_a_face(tmp_path):
    run_frames(tmp_path / "out", find_units([PHOTOGRAPHS], person=r"^(\d+)_"), FrameOptions())
    summary = run_faces(tmp_path / "out", FaceOptions())
    assert summary["frames"] == summary["kept"] == 20, summary
    rows = rows_of(tmp_path)
    assert len({row["person"] for row in rows}) == 10
    first, second = (perceptual_hash(decode_image(row["image"])) for row in rows[:2])
    assert (first != second).any()
