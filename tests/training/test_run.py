"""A run from end to end, killed and resumed; the smallest model on a handful of faces."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from emocapclip_hf import EmoCapCLIPModel
from emocapclip_hf.objective import GlobalLocalObjective
from emocapclip_hf.training import parse_arguments, train

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "synthfaces-smoke.yaml"
pytestmark = pytest.mark.slow


def flags(folder, *more):
    return ["--config", str(CONFIG), "--output-dir", str(folder), *map(str, more)]


def run(folder, *more):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, ROOT / "train.py", *flags(folder, *more)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def weights(folder):
    return load_file(folder / "model" / "model.safetensors")


def log_lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_run_leaves_model_card_metrics_and_log(tmp_path):
    process = run(tmp_path)
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "step 6: zero-shot/validation-emotion" in printed
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert any(name.startswith("zero-shot/synthfaces-emotion") for name in metrics)
    assert all(0 <= value <= 1 for value in metrics.values())
    losses = [line["loss"] for line in log_lines(tmp_path) if "loss" in line]
    assert len(losses) == 6 and losses[-1] < losses[0]
    assert EmoCapCLIPModel.from_pretrained(tmp_path / "model").num_parameters() > 0
    card = (tmp_path / "model" / "README.md").read_text()
    assert f"{next(iter(metrics.values())):.3f}" in card

    again = run(tmp_path)
    _, errors = again.communicate(timeout=300)
    assert again.returncode != 0 and "holds a run up to checkpoint-00000006. Pass --resume" in errors


def test_killed_and_resumed_it_ends_where_it_would_have_ended(tmp_path):
    """SIGKILL at ten moments, some during a save; the weights at the end are the same to the last bit."""
    options = ("--max-steps", 24, "--save-steps", 2, "--eval-steps", 24)
    start = time.monotonic()
    whole = run(tmp_path / "whole", *options)
    assert whole.wait(timeout=300) == 0, whole.stderr.read()
    seconds = time.monotonic() - start
    kills = 0
    for attempt in range(10):
        process = run(tmp_path / "killed", *options, "--resume")
        time.sleep(seconds * (0.35 + 0.06 * attempt))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
    assert kills >= 3
    last = run(tmp_path / "killed", *options, "--resume")
    assert last.wait(timeout=300) == 0, last.stderr.read()
    expected, resumed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(value, resumed[name]) for name, value in expected.items())


def test_a_loss_that_is_not_finite_stops_or_is_skipped(tmp_path):
    class Poisoned(GlobalLocalObjective):
        def __call__(self, embeddings, step=0, **kwargs):
            output = super().__call__(embeddings, step, **kwargs)
            if step == 2:
                output.loss = output.loss * float("nan")
            return output

    args = parse_arguments(flags(tmp_path / "stop", "--save-steps", 1))
    with pytest.raises(FloatingPointError, match=r"Step 2: the gradient is not finite.*--on-nan skip"):
        train(args, objective=Poisoned())
    assert sorted(path.name for path in (tmp_path / "stop").glob("checkpoint*"))[-1] == "checkpoint-00000002"

    args = parse_arguments(flags(tmp_path / "skip", "--on-nan", "skip"))
    trained = train(args, objective=Poisoned()).model
    assert all(parameter.isfinite().all() for parameter in trained.parameters())


def test_cached_gradients_train_the_same(tmp_path):
    """Losses and gradient norms, step by step. (Adam blows rounding up where the true gradient is zero.)"""
    for name, more in (("plain", ()), ("cached", ("--cached-chunk-size", 5))):
        train(parse_arguments(flags(tmp_path / name, "--max-steps", 3, "--no-augment", *more)))
    plain, cached = (log_lines(tmp_path / name)[:3] for name in ("plain", "cached"))
    for name in ("loss", "local_loss", "gradient_norm"):
        assert [line[name] for line in cached] == pytest.approx([line[name] for line in plain], rel=1e-3)
