"""One process or two: the same run."""

import json

import pytest
from training_runs import Run, checkpoint, log_lines

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


def test_two_processes_make_the_run_of_one(two, tmp_path):
    assert json.loads((checkpoint(two, 6) / "trainer_state.json").read_text())["processes"] == 2
    Run(tmp_path / "one", *OPTIONS, "--per-device-train-batch-size", 16).finish()
    ours, theirs = (log_lines(folder, "loss") for folder in (two, tmp_path / "one"))
    assert len(ours) == len(theirs) == 6
    for figure in FIGURES:
        assert [line[figure] for line in ours] == pytest.approx([line[figure] for line in theirs], rel=1e-4), figure


def test_one_process_goes_on_where_two_stopped(two, tmp_path):
    """The faces of a step stay the same, and so does the run; what changes is said."""
    folder = tmp_path / "resumed"
    copy_checkpoint(two, folder, 3)
    one = Run(folder, *OPTIONS, "--per-device-train-batch-size", 16, "--resume")
    one.finish()
    assert "checkpoint-00000003: was made by 2 processes of 8 faces, and 1 of 16 go on" in one.said
    ours, theirs = (log_lines(each, "loss")[-3:] for each in (folder, two))
    assert [line["step"] for line in ours] == [4, 5, 6]
    for figure in FIGURES:
        assert [line[figure] for line in ours] == pytest.approx([line[figure] for line in theirs], rel=1e-4), figure


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
