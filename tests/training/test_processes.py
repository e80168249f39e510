"""One process or two: the same run."""

import json

import pytest
from torch.distributed.tensor import DTensor
from training_runs import Run, checkpoint, log_lines, same, weights

from emocapclip_hf.training.trainer import Trainer

pytestmark = pytest.mark.slow
MINING = '{"global": {"guided_by": "cross", "top_k": 2}, "local": {"guided_by": "agree", "top_k": 4}}'
OPTIONS = (
    *("--no-augment", "--max-steps", 6, "--eval-steps", 3, "--save-steps", 3, "--save-total-limit", 9),
    *("--mining", MINING, "--mining-guide", "ema", "--mining-ema-decay", 0.5, "--ema-decay", 0.5),
)
FIGURES = ("loss", "global_loss", "local_loss", "gradient_norm", "local_positives_per_image", "learning_rate")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A run of two processes with 8 faces each."""
    folder = tmp_path_factory.mktemp("runs") / "two"
    Run(folder, *OPTIONS, "--per-device-train-batch-size", 8, processes=2).finish()
    return folder


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A run of one process with as many."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    Run(folder, *OPTIONS, "--per-device-train-batch-size", 16).finish()
    return folder


def assert_same_curve(ours, theirs, steps, figures=FIGURES):
    ours, theirs = (log_lines(folder, "loss")[-len(steps) :] for folder in (ours, theirs))
    assert [line["step"] for line in ours] == [line["step"] for line in theirs] == steps
    for figure in figures:
        assert [line[figure] for line in ours] == pytest.approx([line[figure] for line in theirs], rel=1e-4), figure


def test_two_processes_make_the_run_of_one(two, one):
    assert json.loads((checkpoint(two, 6) / "trainer_state.json").read_text())["processes"] == 2
    assert_same_curve(two, one, [1, 2, 3, 4, 5, 6])


def test_two_processes_that_share_the_weights_out_make_it_too(one, tmp_path):
    """And go on from their own checkpoint, which is of the whole model."""
    options = (*OPTIONS, "--per-device-train-batch-size", 8, "--fsdp")
    Run(tmp_path / "sharded", *options, processes=2, prepare=count_shares).finish()
    assert_same_curve(tmp_path / "sharded", one, [1, 2, 3, 4, 5, 6])
    for name in ("model", "average", "optimizer"):
        ours, theirs = (weights(folder, 6, name) for folder in (tmp_path / "sharded", one))
        assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in theirs.items()}
    copy_checkpoint(tmp_path / "sharded", tmp_path / "resumed", 3)
    Run(tmp_path / "resumed", *options, "--resume", processes=2).finish()
    assert_same_curve(tmp_path / "resumed", one, [4, 5, 6])
    assert same(weights(tmp_path / "resumed", 6), weights(tmp_path / "sharded", 6))


@pytest.mark.parametrize("sharing", [(), ("--fsdp",)])
def test_a_process_without_any_sentence_keeps_nobody_waiting(sharing, silent, tmp_path):
    """Its text tower has nothing to do, and the others wait for that tower's gradient."""
    options = (*SENTENCES_ONLY, "--per-device-train-batch-size", 8, "--ddp-timeout", 15, *sharing)
    Run(tmp_path / "two", *options, processes=2, prepare=silence_the_second_half).finish()
    assert_same_curve(tmp_path / "two", silent, [1, 2], figures=("loss", "local_loss", "gradient_norm"))


SENTENCES_ONLY = ("--no-augment", "--max-steps", 2, "--global-weight", 0, "--summary-weight", 0)


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    """A run of one process in which half of each batch has no sentence."""
    folder = tmp_path_factory.mktemp("runs") / "silent"
    Run(folder, *SENTENCES_ONLY, "--per-device-train-batch-size", 16, prepare=silence_the_second_half).finish()
    return folder


def silence_the_second_half() -> dict:
    """The second half of all faces of a step: all that a second process has."""

    def backward(trainer, batch, *rest):
        assert len(batch["local_mask"]) * trainer.processes.count == 16
        if trainer.processes.count == 1:
            batch["local_mask"][8:] = False
        elif trainer.processes.index == 1:
            batch["local_mask"][:] = False
        return original(trainer, batch, *rest)

    original, Trainer._backward = Trainer._backward, backward
    return {}


def count_shares() -> dict:
    """All weights are shared out but the temperatures, which are two."""

    def run(trainer):
        whole = [name for name, value in trainer.embedder.named_parameters() if not isinstance(value, DTensor)]
        assert sorted(whole) == ["model.local_head.logit_scale", "model.logit_scale"], whole
        trained = original(trainer)
        assert not any(isinstance(value, DTensor) for value in trained.model.parameters())
        return trained

    original, Trainer.run = Trainer.run, run
    return {}


def test_one_process_goes_on_where_two_stopped(two, tmp_path):
    """The faces of a step stay the same, and so does the run; what changes is said."""
    folder = tmp_path / "resumed"
    copy_checkpoint(two, folder, 3)
    run = Run(folder, *OPTIONS, "--per-device-train-batch-size", 16, "--resume")
    run.finish()
    assert "checkpoint-00000003: was made by 2 processes of 8 faces, and 1 of 16 go on" in run.said
    assert_same_curve(folder, two, [4, 5, 6])


def test_two_processes_go_on_with_larger_steps_where_they_were_in_the_data(two, tmp_path):
    folder = tmp_path / "resumed"
    copy_checkpoint(two, folder, 3)
    run = Run(folder, *OPTIONS, "--max-steps", 5, "--per-device-train-batch-size", 16, "--resume", processes=2)
    run.finish()
    assert "a step is now of 1 x 32 faces, and was of 1 x 16" in run.said
    state = json.loads((checkpoint(folder, 5) / "trainer_state.json").read_text())
    assert (state["epoch"], state["row"]) == (0, 3 * 16 + 2 * 32)


def copy_checkpoint(source, target, step):
    target.mkdir()
    checkpoint(target, step).symlink_to(checkpoint(source, step))
