"""Result files and bootstrap intervals."""

import json

import numpy as np
import pytest

from emocapclip_hf.eval.results import Metric, Result, bootstrap


def accuracy(predicted, truth):
    return float((predicted == truth).mean())


def test_the_interval_is_the_percentiles_of_rows_drawn_again():
    """Against the textbook's loop; and near the normal approximation of a share."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 400)
    predicted = np.where(rng.random(400) < 0.8, truth, 1 - truth)
    found = bootstrap({"war": accuracy}, predicted, truth)["war"]
    drawn = np.random.default_rng(0)
    samples = []
    for _ in range(1000):
        rows = drawn.integers(400, size=400)
        samples.append(accuracy(predicted[rows], truth[rows]))
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(samples, [2.5, 97.5])))
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(found.value * (1 - found.value) / 400), rel=0.1)


def test_folds_are_averaged_and_rows_drawn_within_them():
    folds = np.array([1] * 90 + [2] * 10)
    truth = np.ones(100)
    predicted = np.where(folds == 1, 1, 0)  # all right in one fold, all wrong in the other
    found = bootstrap({"war": accuracy}, predicted, truth, folds=folds)["war"]
    assert found == Metric(0.5, 0.5, 0.5)


def test_without_resamples_there_is_no_interval():
    assert bootstrap({"war": accuracy}, np.ones(3), np.ones(3), resamples=0)["war"] == Metric(1.0)


def test_runs_that_differ_do_not_overwrite_each_other(tmp_path):
    def result(model="a/b", task="zero-shot", **protocol):
        return Result(task, "dfew", {"uar": Metric(0.5)}, n=3, model=model, protocol=protocol)

    saved = [
        result().save(tmp_path),
        result("a/b/c").save(tmp_path),
        result(task="linear-probe").save(tmp_path),
        result(fold=1).save(tmp_path),
        result(fold=2).save(tmp_path),
        result(fold="mean over folds", prompt_set="simple").save(tmp_path),
        result(prompt_set="emocap").save(tmp_path),
        result(prompt_set="emocap", scoring="local").save(tmp_path),
        result(prompt_set="/home/somebody/emocap.txt").save(tmp_path),
        result("m" * 300).save(tmp_path),
        result(split="train").save(tmp_path),
        result(options={"images": "original"}).save(tmp_path),
        result(encoding={"frames": 16}).save(tmp_path),
    ]
    assert len(set(saved)) == len(saved) and all(path.parent == tmp_path and path.is_file() for path in saved)
    assert result().save(tmp_path) == saved[0]  # the same run again does


def test_a_file_says_how_the_run_came_about(tmp_path):
    result = Result("choice", "facexbench", {"accuracy": Metric(0.4, 0.3, 0.5)}, n=9, model="m", revision="r",
                    fingerprint="f", protocol={"split": "test"}, prompts={"fear": ["afraid"]},
                    details={"chance": 0.25}, skipped=[["7", "no file"]])  # fmt: skip
    path = result.save(tmp_path)
    written = json.loads(path.read_text())
    assert written["metrics"] == {"accuracy": {"value": 0.4, "low": 0.3, "high": 0.5}}
    assert {"torch", "transformers", "datasets", "python"} <= set(written["versions"]) and written["command"]
    assert Result.load(path) == result
    assert [file.name for file in tmp_path.iterdir()] == [path.name]  # nothing is left aside
