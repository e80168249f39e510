"""Stage 1: scenes are found where they change, frames carry their times, and broken films are survived and named."""

import io
import subprocess
import sys

import numpy as np
import pytest
from films import FPS, shot, still, write_film, write_sound
from PIL import Image

from emocapclip_hf.data.build.frames import FrameOptions, frames_folder, run_frames
from emocapclip_hf.data.build.scenes import EvenFrames
from emocapclip_hf.data.build.sources import find_units


def frames_of(out) -> list[dict]:
    folder = frames_folder(out)
    return [row for unit in folder.plan() for row in folder.rows(unit)]


def opened(row: dict) -> Image.Image:
    return Image.open(io.BytesIO(row["image"]))


def run(tmp_path, **options):
    """The summary and the rows of the films in tmp_path/films."""
    summary = run_frames(tmp_path / "out", find_units([tmp_path / "films"]), FrameOptions(**options))
    return summary, frames_of(tmp_path / "out")


def test_a_scene_begins_where_the_picture_changes_and_not_where_the_face_does(tmp_path):
    shots = [shot(1, 10), shot(2, 14), shot(3, 9)]
    write_film(tmp_path / "films/three.mkv", [picture for clip in shots for picture in clip])
    summary, rows = run(tmp_path, per_scene=2)
    assert summary["scenes"] == 3 and summary["decoded"] == 33 and summary["problems"] == {}
    assert [row["scene"] for row in rows] == [0, 0, 1, 1, 2, 2]
    assert [row["frame"] for row in rows] == [2, 7, 13, 20, 26, 30]  # the middles of the halves
    assert [row["seconds"] for row in rows] == pytest.approx([row["frame"] / FPS for row in rows], abs=0.01)
    assert {row["film"] for row in rows} == {"films/three.mkv"}
    difference = np.asarray(opened(rows[0]), float) - np.asarray(shots[0][2], float)
    assert np.abs(difference).mean() < 6


def test_flashes_are_no_scenes(tmp_path):
    pictures = shot(1, 24)
    pictures[11] = Image.new("RGB", pictures[0].size, "white")
    write_film(tmp_path / "films/flash.mkv", pictures)
    assert run(tmp_path, min_scene_seconds=1.5)[0]["scenes"] == 1
    assert run(tmp_path, min_scene_seconds=0.0)[0]["scenes"] == 3


@pytest.mark.parametrize("length", [1, 2, 5, 16, 17, 100, 1234])
def test_even_frames_of_a_scene_of_unknown_length(length):
    chosen, most = EvenFrames(3), 0
    for number in range(length):
        chosen.add(number)
        most = max(most, len(chosen._held))
    numbers = chosen.chosen()
    assert most <= 25, "memory stays flat"
    assert len(numbers) == len(set(numbers)) == min(3, length)
    if length >= 3:
        assert np.allclose(numbers, [length / 6, length / 2, length * 5 / 6], atol=max(1, length / 16))


def test_times_of_a_film_of_variable_rate(tmp_path):
    ticks = [0, 1, 2, 30, 31, 90]
    write_film(tmp_path / "films/variable.mkv", shot(1, 6), ticks=ticks)
    _, rows = run(tmp_path, per_scene=6, scene_threshold=1.0)
    assert [row["seconds"] for row in rows] == pytest.approx([tick / FPS for tick in ticks], abs=0.01)


def test_a_rotated_film_comes_upright(tmp_path):
    """The rotation is put into the file's track header, as telephones do."""
    path = write_film(tmp_path / "films/upright.mp4", [still(5)] * 3)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    quarter = [0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000]
    for place, value in enumerate(quarter):
        content[matrix + 4 * place : matrix + 4 * place + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(content)
    _, rows = run(tmp_path, per_scene=1)
    turned = opened(rows[0])
    assert turned.size == (240, 320)
    expected = np.asarray(still(5).rotate(-90, expand=True), float)
    assert np.abs(np.asarray(turned, float) - expected).mean() < 6


@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [("ffv1", "gray"), ("ffv1", "yuv444p10le"), ("ffv1", "bgra"), ("mjpeg", "yuvj422p"), ("ffv1", "yuv411p")],
)
def test_odd_pixel_formats(tmp_path, codec, pixel_format):
    write_film(tmp_path / "films/odd.mkv", [still(5)] * 3, codec, pixel_format)
    summary, rows = run(tmp_path, per_scene=1)
    assert summary["problems"] == {}
    gray = [np.asarray(picture.convert("L"), float) for picture in (opened(rows[0]), still(5))]
    assert opened(rows[0]).mode == "RGB" and np.abs(gray[0] - gray[1]).mean() < 5


def test_broken_films_are_survived_and_named(tmp_path):
    films = tmp_path / "films"
    write_film(films / "a-whole.mkv", shot(1, 8))
    cut = write_film(films / "b-cut.mkv", shot(2, 24))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    headless = write_film(films / "c-headless.mp4", shot(3, 8))  # its index stands at the end
    headless.write_bytes(headless.read_bytes()[: headless.stat().st_size // 2])
    write_film(films / "d-empty.mkv", shot(4, 6))
    (films / "d-empty.mkv").write_bytes(b"")
    (films / "e-garbage.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    write_sound(films / "f-sound.mp4")
    holed = write_film(films / "g-holed.mkv", shot(5, 24))
    content = bytearray(holed.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    holed.write_bytes(content)
    summary, rows = run(tmp_path, per_scene=2)
    assert summary["films"] == 7
    by_film = {row["film"] for row in rows}
    assert {"films/a-whole.mkv", "films/b-cut.mkv", "films/g-holed.mkv"} <= by_film
    assert {"films/c-headless.mp4", "films/d-empty.mkv", "films/e-garbage.mp4", "films/f-sound.mp4"} <= set(
        summary["problems"]
    )
    assert "films/a-whole.mkv" not in summary["problems"]
    assert "no video stream, only audio" in summary["problems"]["films/f-sound.mp4"]
    assert "no film" in summary["problems"]["films/e-garbage.mp4"]


def test_a_film_without_frames(tmp_path):
    """The header of a film, and no packet."""
    path = write_film(tmp_path / "films/none.avi", shot(1, 6), codec="mjpeg", pixel_format="yuvj420p")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"movi") + 4])
    summary, rows = run(tmp_path)
    assert rows == [] and "films/none.avi" in summary["problems"]


def test_pictures_in_folders(tmp_path):
    for person in ("ann", "bob"):
        for number in range(3):
            (tmp_path / "films" / person).mkdir(parents=True, exist_ok=True)
            still(number).save(tmp_path / "films" / person / f"{number}.png")
    (tmp_path / "films/bob/0.png").write_bytes(b"\x89PNG no more")
    (tmp_path / "films/notes.txt").write_text("not a picture")
    still(1).save(tmp_path / "films/7_alone.jpg")
    units = find_units([tmp_path / "films"], person=r"^(\d+)_")
    summary = run_frames(tmp_path / "out", units, FrameOptions())
    rows = frames_of(tmp_path / "out")
    assert summary["pictures"] == 7 and list(summary["problems"]) == ["films/bob/0.png"]
    assert [(row["film"], row["person"]) for row in rows] == [
        ("films/7_alone.jpg", "7"),
        *[("films/ann", None)] * 3,
        *[("films/bob", None)] * 2,
    ]
    assert rows[0]["image"] == (tmp_path / "films/7_alone.jpg").read_bytes()


def test_nothing_to_read_and_bad_patterns_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        find_units([tmp_path / "nowhere"])
    with pytest.raises(FileNotFoundError, match="no film or picture"):
        find_units([tmp_path])
    with pytest.raises(ValueError, match="no group"):
        find_units([tmp_path], person="x")
    with pytest.raises(ValueError, match="no regular expression"):
        find_units([tmp_path], person="(")
    for place in ("a/faces", "b/faces"):
        (tmp_path / place).mkdir(parents=True)
        still(1).save(tmp_path / place / "1.png")
    with pytest.raises(ValueError, match=r"faces/1.png comes from two"):
        find_units([tmp_path / "a/faces", tmp_path / "b/faces"])


def test_only_what_is_missing_or_changed_is_read_again(tmp_path):
    for number in range(3):
        write_film(tmp_path / f"films/{number}.mkv", shot(number, 6))
    _, rows = run(tmp_path)
    tables = sorted((tmp_path / "out/frames/units").glob("*"))
    written = [table.stat().st_mtime_ns for table in tables]
    tables[1].unlink()
    assert run(tmp_path)[1] == rows
    again = [table.stat().st_mtime_ns for table in tables]
    assert [new != old for new, old in zip(again, written, strict=True)] == [False, True, False]
    write_film(tmp_path / "films/2.mkv", shot(9, 6))
    _, changed = run(tmp_path)
    assert changed[:-3] == rows[:-3] and changed[-1] != rows[-1]


CRASH = """
import os, sys
from functools import partial
from pathlib import Path
from emocapclip_hf.data.build.workers import run_units

def work(folder, unit):
    if unit == 2:
        os.abort()
    (folder / f"{unit}").write_text("done")

def record(folder, unit, problem):
    (folder / f"{unit}").write_text(problem)

folder = Path(sys.argv[1])
run_units(partial(work, folder), range(5), partial(record, folder), "Test", workers=2)
"""


def test_a_unit_that_takes_its_process_down_is_recorded_and_the_others_are_done(tmp_path):
    subprocess.run([sys.executable, "-c", CRASH, str(tmp_path)], check=True, timeout=100, stderr=subprocess.DEVNULL)
    said = [(tmp_path / str(number)).read_text() for number in range(5)]
    assert said == ["done", "done", "its decoding ended the whole process", "done", "done"]
