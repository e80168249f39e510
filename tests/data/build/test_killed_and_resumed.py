"""Killed with SIGKILL again and again, and started again: the same dataset to the byte, hardly a question twice."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from loopback_captioner import LoopbackCaptioner

from emocapclip_hf.cli import main

CONCURRENCY = 4


def arguments(films: Path, out: Path, server: LoopbackCaptioner) -> list[str]:
    options = ["--frames-per-scene", "2", "--rows-per-shard", "3", "--workers", "2", "--first-wait", "0.01"]
    endpoint = ["--endpoint", server.url, "--model", "truth", "--concurrency", str(CONCURRENCY), "--timeout", "10"]
    return ["data", "build", str(films), "--out", str(out), *options, *endpoint]


def run_until(condition, command: list[str]) -> bool:
    """Start the command, and kill it and all its workers when the condition holds; whether it was killed."""
    process = subprocess.Popen([sys.executable, "-m", "emocapclip_hf.cli", *command], start_new_session=True)
    try:
        while process.poll() is None:
            if condition():
                return True
            time.sleep(0.002)
        return False
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)  # the workers are left to notice
        process.wait()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_with_the_same_dataset(films, truth, tmp_path, capsys):
    faulty = sorted(truth)[::4]  # the same questions go wrong in both runs: the same replies

    def wrong(asked):
        return "refusal" if asked.picture in faulty and not asked.again else None

    with LoopbackCaptioner(truth, wrong) as server:
        assert main(arguments(films, tmp_path / "whole", server)) == 0
        questions = {asked.key for asked in server.log}
        assert len(server.log) == len(questions) == len(truth) + len(faulty)
    whole = files(tmp_path / "whole/dataset")
    assert {"README.md", "statistics.png"} < set(whole) and len(whole) > 5

    out, kills = tmp_path / "killed", 0
    with LoopbackCaptioner(truth, wrong, delay=0.15) as server:
        points = (
            lambda: list(out.glob("frames/units/*.parquet")),
            lambda: len(server.log) >= 5,
            lambda: len(server.log) >= len(truth) + CONCURRENCY,  # in the second round
            lambda: list(out.glob("dataset/data/*.parquet")),
        )
        for point in points:
            kills += run_until(point, arguments(films, out, server))
        assert main(arguments(films, out, server)) == 0
        asked = Counter(each.key for each in server.log)
    assert kills == len(points)
    assert set(asked) == questions
    twice = sum(count - 1 for count in asked.values())
    assert twice <= 2 * CONCURRENCY, "two of the kills came while questions were under way"
    resumed = files(out / "dataset")
    assert resumed == whole
