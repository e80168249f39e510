"""A checkpoint that can be found is whole, whenever the process that wrote it was killed."""

import json
import time
from multiprocessing import get_context

import pytest

from emocapclip_hf.training.checkpoints import CheckpointFolder

SIZE = 200_000


def write_step(step):
    def write(path):
        for part in range(3):
            (path / f"part-{part}").write_bytes(bytes([step % 256]) * SIZE)

    return write


def steps(folder):
    return [int(path.name.removeprefix("checkpoint-")) for path in folder.whole()]


def test_the_newest_and_the_best_are_kept(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=2)
    for step, metric in [(1, 0.1), (2, 0.9), (3, 0.5), (4, 0.4), (5, None)]:
        folder.save({"step": step}, write_step(step), metric)
    assert steps(folder) == [2, 4, 5]
    assert folder.newest().name.endswith("5") and folder.best().name.endswith("2")
    assert folder.read(folder.best()) == {"step": 2, "metric": 0.9}


def test_a_write_that_fails_leaves_the_last_one(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.save({"step": 1}, write_step(1))

    def full_disk(path):
        (path / "part-0").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        folder.save({"step": 2}, full_disk)
    assert steps(folder) == [1]
    folder.save({"step": 2}, write_step(2))  # what was left of the failed one is in nobody's way
    assert steps(folder) == [1, 2] and not list(tmp_path.glob(".partial*"))


def test_the_same_step_again_takes_the_place_of_the_old(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.save({"step": 1}, write_step(1))
    folder.save({"step": 1, "again": True}, write_step(2))
    assert folder.read(folder.newest())["again"] and (folder.newest() / "part-0").read_bytes()[0] == 2


def test_nothing_to_keep_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep=0"):
        CheckpointFolder(tmp_path, keep=0)


def write_on(folder, step):
    folder = CheckpointFolder(folder, keep=2)
    while True:
        step += 1
        folder.save({"step": step}, write_step(step), metric=-step)


def test_killed_at_any_moment_what_is_found_is_whole(tmp_path):
    folder, newest = CheckpointFolder(tmp_path, keep=2), 0
    for attempt in range(10):
        process = get_context("fork").Process(target=write_on, args=(tmp_path, newest))
        process.start()
        time.sleep(0.05 + 0.013 * attempt)
        assert process.is_alive()
        process.kill()
        process.join()
        for path in folder.whole():
            step = json.loads((path / "trainer_state.json").read_text())["step"]
            assert path.name == f"checkpoint-{step:08d}"
            for part in range(3):
                assert (path / f"part-{part}").read_bytes() == bytes([step % 256]) * SIZE
        if folder.whole():
            assert steps(folder)[-1] >= newest
            newest = steps(folder)[-1]
    assert newest > 0
