"""Frames and faces on a Ray of two workers: the tables that one process writes; and a crash costs its unit only."""

import os
import sys
from functools import partial

import pytest
from films import film_of_truth, write_film

from emocapclip_hf.data.build.faces import FaceOptions, faces_folder, run_faces
from emocapclip_hf.data.build.frames import FrameOptions, frames_folder, run_frames
from emocapclip_hf.data.build.sources import find_units
from emocapclip_hf.data.build.workers import run_units

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def two_workers():
    ray = pytest.importorskip("ray", reason="the extra `ray`")
    paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}  # where workers find this package
    runtime = {"num_cpus": 2, "include_dashboard": False, "configure_logging": False, "log_to_driver": False}
    ray.init(runtime_env={"env_vars": paths}, **runtime)
    yield
    ray.shutdown()


def test_frames_and_faces_are_those_of_one_process(tmp_path):
    pytest.importorskip("cv2", reason="the extra `faces`")
    for number in range(2):
        two_shots = film_of_truth(number)[:18]
        write_film(tmp_path / f"films/{number}.mkv", [picture for picture, _ in two_shots])
    summaries = [build(tmp_path, engine) for engine in ("local", "ray")]
    assert summaries[0] == summaries[1] and summaries[0][1]["kept"] >= 2
    for stage in (frames_folder, faces_folder):
        ours, theirs = (stage(tmp_path / engine) for engine in ("ray", "local"))
        assert len(ours.plan()) == 2
        assert [ours.table_path(unit).read_bytes() for unit in ours.plan()] == [
            theirs.table_path(unit).read_bytes() for unit in theirs.plan()
        ]


def build(tmp_path, engine):
    units = find_units([tmp_path / "films"])
    return (
        run_frames(tmp_path / engine, units, FrameOptions(), workers=2, engine=engine),
        run_faces(tmp_path / engine, FaceOptions(), workers=2, engine=engine),
    )


def work_or_crash(folder, unit):
    os.abort() if unit == 2 else write(folder, unit, "done")


def write(folder, unit, said):
    (folder / str(unit)).write_text(said)


def test_a_unit_that_takes_its_process_down_is_recorded_and_the_others_are_done(tmp_path):
    """Left to itself, Ray starts such a task again for ever."""
    run_units(partial(work_or_crash, tmp_path), range(4), partial(write, tmp_path), "Test", workers=2, engine="ray")
    said = [(tmp_path / str(number)).read_text() for number in range(4)]
    assert said == ["done", "done", "its decoding ended the whole process", "done"]


def test_what_fails_ends_the_run_and_is_told(tmp_path):
    with pytest.raises(RuntimeError, match=r"on Ray failed(.|\n)*FileNotFoundError"):
        run_units(partial(write, tmp_path / "nowhere", said="done"), [0], print, "Test", engine="ray")
