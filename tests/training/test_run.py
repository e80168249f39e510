"""A run from end to end; the smallest model on a handful of faces."""

import json
import os
import subprocess
import sys

import pytest
from training_runs import ROOT, flags, log_lines

from emocapclip_hf import EmoCapCLIPModel
from emocapclip_hf.training import parse_arguments, train

pytestmark = pytest.mark.slow


def run(folder, *more):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, ROOT / "train.py", *flags(folder, *more)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_run_leaves_model_card_metrics_and_log(tmp_path):
    process = run(tmp_path)
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "step 6: zero-shot/validation-emotion" in printed
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert any(name.startswith("zero-shot/synthfaces-emotion") for name in metrics)
    assert all(-1 <= value <= 1 for value in metrics.values())  # a concordance may be negative
    losses = [line["loss"] for line in log_lines(tmp_path) if "loss" in line]
    assert len(losses) == 6 and losses[-1] < losses[0]
    assert EmoCapCLIPModel.from_pretrained(tmp_path / "model").num_parameters() > 0
    card = (tmp_path / "model" / "README.md").read_text()
    assert f"{next(iter(metrics.values())):.3f}" in card

    with pytest.raises(FileExistsError, match=r"holds a run up to checkpoint-00000006\. Pass --resume"):
        train(parse_arguments(flags(tmp_path)))


def test_cached_gradients_train_the_same(tmp_path):
    """Losses and gradient norms, step by step. (Adam blows rounding up where the true gradient is zero.)"""
    for name, more in (("plain", ()), ("cached", ("--cached-chunk-size", 5))):
        train(parse_arguments(flags(tmp_path / name, "--max-steps", 3, "--no-augment", *more)))
    plain, cached = (log_lines(tmp_path / name)[:3] for name in ("plain", "cached"))
    for name in ("loss", "local_loss", "gradient_norm"):
        assert [line[name] for line in cached] == pytest.approx([line[name] for line in plain], rel=1e-3)
