"""Whatever ends a run, it goes on as if nothing had been; what cannot be gone on from is said, and nothing is lost."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from itertools import count
from pathlib import Path

import psutil
import pytest
from training_runs import ROOT, Run, checkpoint, flags, log_lines, same, weights

from emocapclip_hf.objective import GlobalLocalObjective
from emocapclip_hf.training import parse_arguments, state, train
from emocapclip_hf.training.trainer import Trainer

pytestmark = pytest.mark.slow
STEPS = 30
MINING = '{"global": {"guided_by": "cross", "top_k": 2}, "local": {"guided_by": "agree", "top_k": 4}}'
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
DROPOUT = {**TOWER, "attention_dropout": 0.1}
MODEL = {"vision_config": {**DROPOUT, "patch_size": 8}, "text_config": DROPOUT, "projection_dim": 32}
# Everything that has a state: averages, mining by one of them, workers, a schedule, dropout.
OPTIONS = (
    *("--model-config", json.dumps(MODEL)),
    *("--max-steps", STEPS, "--save-steps", 2, "--eval-steps", 1000, "--dataloader-num-workers", 2),
    *("--mining", MINING, "--mining-guide", "ema", "--mining-ema-decay", 0.9, "--ema-decay", 0.9),
    *("--local-weight", "[[0,0],[9,1]]", "--gradient-accumulation-steps", 2, "--per-device-train-batch-size", 8),
    *("--synthfaces-rows", 70, 20, 20),  # an epoch is eight batches, four steps
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing happens to."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    Run(folder, *OPTIONS).finish()
    return folder


def assert_same_end(folder, whole):
    for name in ("model", "average", "guide", "optimizer"):
        assert same(weights(folder, STEPS, name), weights(whole, STEPS, name)), name
    lines = [[line["step"] for line in log_lines(each, "loss")] for each in (folder, whole)]
    assert lines[0] == lines[1] == list(range(1, STEPS + 1))


def dies_saving(file: int, seconds: float) -> dict:
    """SIGKILL so many seconds after so many files of checkpoints were begun; each checkpoint has four."""
    begun = count(1)

    def save_file(tensors, path):
        if next(begun) == file:
            path.write_bytes(b"half")
            threading.Timer(seconds, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
            time.sleep(60 if seconds == 0 else 0)
        original(tensors, path)

    original, state.save_file = state.save_file, save_file
    return {}


def test_killed_at_ten_moments_it_ends_where_it_would_have_ended(whole, tmp_path):
    """Half of them in the middle of a save; the weights at the end are the same to the last bit."""
    folder, moments, statuses = tmp_path / "killed", random.Random(0), []
    for attempt in range(10):
        moment = moments.randint(5, 8), moments.uniform(0, 0.1) if attempt % 2 else 0
        run = Run(folder, *OPTIONS, "--resume", prepare=partial(dies_saving, *moment))
        statuses += run.wait()
        assert attempt % 2 or any(folder.glob(".partial-checkpoint*")), run.said
    assert statuses.count(-signal.SIGKILL) >= 8, statuses  # the last may have been done before
    Run(folder, *OPTIONS, "--resume").finish()
    assert_same_end(folder, whole)


def told_after_step_3(number: int) -> dict:
    """To the workers too, as a terminal and a cluster's scheduler do."""

    def step(trainer, step, batches):
        original(trainer, step, batches)
        if step == 3:
            for process in (*psutil.Process().children(), psutil.Process()):
                process.send_signal(number)

    original, Trainer._step = Trainer._step, step
    return {}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_told_to_end_it_saves_its_step_and_goes_on_later(number, status, whole, tmp_path):
    folder = tmp_path / "told"
    run = Run(folder, *OPTIONS, "--save-steps", 1000, prepare=partial(told_after_step_3, number))
    assert run.wait() == [status], run.said
    assert [path.name for path in folder.glob("checkpoint*")] == ["checkpoint-00000004"]
    assert f"{number.name}: ended after step 4, which is saved" in run.said and "Traceback" not in run.said
    Run(folder, *OPTIONS, "--resume").finish()
    assert_same_end(folder, whole)


def test_one_process_of_two_told_to_end_takes_the_other_along(tmp_path):
    run = Run(tmp_path / "told", "--max-steps", 1000, "--per-device-train-batch-size", 8, processes=2)
    run.wait_for_step(2)
    run.send(signal.SIGTERM, rank=1)
    assert run.wait(60) == [143, 143], run.said
    assert json.loads(next((tmp_path / "told").glob("checkpoint*/*state.json")).read_text())["processes"] == 2


DIES_AT_STEP_2 = """
import os
from emocapclip_hf.training.trainer import Trainer
from train import main

def step(trainer, step, batches):
    if step == 2 and os.environ["RANK"] == "1":
        raise RuntimeError("this worker's data is broken")
    original(trainer, step, batches)

original, Trainer._step = Trainer._step, step
main()
"""


class TestADeadProcess:
    """Ends the others at once; and none of them hangs in a collective that nobody answers."""

    def test_one_of_two_ranks(self, tmp_path):
        run = Run(tmp_path / "run", "--max-steps", 100_000, "--per-device-train-batch-size", 8, processes=2)
        run.wait_for_step(2)
        run.send(signal.SIGKILL, rank=1)
        statuses = run.wait(60)
        assert statuses == [1, -signal.SIGKILL] and "Traceback" in run.said, run.said

    def test_a_rank_that_raises(self, tmp_path):
        """As a launcher starts and ends it: the traceback is in what the launcher says at the end."""
        script = tmp_path / "dies.py"
        script.write_text(DIES_AT_STEP_2)
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", script]
        command += flags(tmp_path / "run", "--max-steps", 100_000, "--per-device-train-batch-size", 8)
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        launched = subprocess.Popen(
            [sys.executable, *command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        while launched.poll() is None and not any(line["step"] >= 2 for line in log_lines(tmp_path / "run")):
            time.sleep(0.1)
        said = launched.communicate(timeout=60)[1]
        assert launched.returncode == 1
        summary = said[said.index("Root Cause") :]
        assert "rank      : 1" in summary and "RuntimeError: this worker's data is broken" in summary, said

    def test_a_rank_that_hangs(self, tmp_path):
        run = Run(
            tmp_path / "run",
            *("--max-steps", 100_000, "--per-device-train-batch-size", 8, "--ddp-timeout", 5),
            *("--eval-steps", 100_000, "--save-steps", 100_000),  # which are given more time
            processes=2,
        )
        run.wait_for_step(2)
        run.send(signal.SIGSTOP, rank=1)
        run.processes[0].join(60)
        run.send(signal.SIGKILL, rank=1)
        assert run.wait(0)[0] == 1 and "Timed out" in run.said, run.said

    def test_a_data_worker(self, tmp_path):
        run = Run(tmp_path / "run", "--max-steps", 100_000, "--dataloader-num-workers", 2)
        run.wait_for_step(2)
        workers = psutil.Process(run.processes[0].pid).children()
        assert len(workers) == 2
        workers[0].kill()
        assert run.wait(60) == [1] and "DataLoader worker" in run.said, run.said


class TestFaultsOfTheDisk:
    def test_no_room_for_a_checkpoint(self, tmp_path):
        folder = tmp_path / "run"
        before = resource.getrlimit(resource.RLIMIT_FSIZE)

        class FullFromStep4(GlobalLocalObjective):
            def __call__(self, embeddings, step=0, **kwargs):
                if step == 3:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
                return super().__call__(embeddings, step, **kwargs)

        options = ("--save-steps", 2, "--eval-steps", 1000)
        try:
            with pytest.raises(OSError, match=r"could not write checkpoint-00000004 .*checkpoint-00000002 is whole"):
                train(parse_arguments(flags(folder, *options)), objective=FullFromStep4())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert [path.name for path in folder.glob("checkpoint*")] == ["checkpoint-00000002"]
        train(parse_arguments(flags(folder, *options, "--resume")))
        train(parse_arguments(flags(tmp_path / "whole", *options)))
        assert same(weights(folder, 6), weights(tmp_path / "whole", 6))

    def test_a_file_where_the_folder_should_be(self, tmp_path):
        (tmp_path / "run").write_text("")
        with pytest.raises(OSError, match=r"cannot write to .*run.*Pass another --output-dir"):
            train(parse_arguments(flags(tmp_path / "run")))

    def test_a_folder_that_may_not_be_written(self, tmp_path):
        folder = tmp_path / "closed"
        folder.mkdir(mode=0o500)
        if os.access(folder, os.W_OK):  # by root; but there nobody may make a folder
            folder = Path("/proc") if Path("/proc/self").exists() else pytest.skip("root may write anywhere")
        with pytest.raises(OSError, match=r"cannot write to .*Pass another --output-dir"):
            train(parse_arguments(flags(folder / "run")))
        assert not (folder / "run").exists()


class Poisoned(GlobalLocalObjective):
    """The loss at step 2 is no number."""

    def __call__(self, embeddings, step=0, **kwargs):
        output = super().__call__(embeddings, step, **kwargs)
        if step == 2:
            output.loss = output.loss * float("nan")
        return output


class PoisonedOnOneProcess(GlobalLocalObjective):
    """The last process' embeddings at step 2 are no numbers."""

    def __call__(self, embeddings, step=0, **kwargs):
        if step == 2 and os.environ.get("RANK", "1") == "1":
            embeddings.image = embeddings.image * float("nan")
        return super().__call__(embeddings, step, **kwargs)


@pytest.mark.parametrize("objective", [Poisoned, PoisonedOnOneProcess])
class TestNotFinite:
    def test_stops(self, objective, tmp_path):
        args = parse_arguments(flags(tmp_path, "--save-steps", 1))
        with pytest.raises(FloatingPointError, match=r"Step 2: .* not finite.*--on-nan skip"):
            train(args, objective=objective())
        assert max(path.name for path in tmp_path.glob("checkpoint*")) == "checkpoint-00000002"

    def test_is_skipped(self, objective, tmp_path):
        args = parse_arguments(flags(tmp_path, "--on-nan", "skip"))
        trained = train(args, objective=objective()).model
        assert all(parameter.isfinite().all() for parameter in trained.parameters())
        assert log_lines(tmp_path, "loss")[-1]["skipped_steps"] == 1


def test_what_is_not_finite_on_one_process_is_skipped_by_all(tmp_path):
    options = ("--on-nan", "skip", "--per-device-train-batch-size", 8)
    objective = PoisonedOnOneProcess()
    Run(tmp_path / "two", *options, processes=2, prepare=partial(dict, objective=objective)).finish()
    trained = weights(tmp_path / "two", 6)
    assert all(value.isfinite().all() for value in trained.values())
    assert json.loads((checkpoint(tmp_path / "two", 6) / "trainer_state.json").read_text())["processes"] == 2
