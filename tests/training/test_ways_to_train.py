"""Options of a run, each against what it means; and a dataset, model and objective of one's own."""

import copy
import json
from dataclasses import replace
from functools import partialmethod
from importlib.util import find_spec

import datasets
import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from processes import shared_batch, shared_model
from torch._dynamo.utils import counters
from training_runs import flags, log_lines, same, weights

from emocapclip_hf import EmoCapCLIPModel
from emocapclip_hf.data.loading import load_emocap
from emocapclip_hf.objective import GlobalLocalObjective, ObjectiveOptions
from emocapclip_hf.training import Materials, parse_arguments, train
from emocapclip_hf.training.backward import Backward
from emocapclip_hf.training.log import TrainingLog
from emocapclip_hf.training.setup import prepare_materials, prepare_model
from emocapclip_hf.training.trackers import check_tracker
from emocapclip_hf.training.trainer import make_accelerator

pytestmark = pytest.mark.slow
QUICK = ("--max-steps", 3, "--eval-steps", 1000, "--save-steps", 1, "--save-total-limit", 9, "--no-augment")


@pytest.fixture(scope="module")
def materials(tmp_path_factory):
    return prepare_materials(parse_arguments(flags(tmp_path_factory.mktemp("materials"))))


@pytest.fixture
def run(materials, tmp_path):
    """Trains a copy of the materials with these flags; returns the trained model and the folder."""

    def train_it(*more, name="run", **options):
        mine = replace(materials, model=copy.deepcopy(materials.model))
        return train(parse_arguments(flags(tmp_path / name, *QUICK, *more)), mine, **options).model, tmp_path / name

    return train_it


def test_the_moving_average_is_what_is_evaluated_and_returned(run, materials):
    trained, folder = run("--ema-decay", 0.15)
    expected = {f"model.{name}": value.clone() for name, value in materials.model.state_dict().items()}
    for step in range(3):
        decay = min(0.15, (1 + step) / (10 + step))
        for name, value in weights(folder, step + 1).items():
            expected[name] = decay * expected[name] + (1 - decay) * value
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(value, expected[f"model.{name}"])
    assert not same(weights(folder, 3), {f"model.{name}": value for name, value in trained.state_dict().items()})


@pytest.mark.parametrize("chunk_size", [None, 4])
def test_accumulated_batches_are_averaged(chunk_size):
    accelerator, objective = make_accelerator(parse_arguments([])), GlobalLocalObjective()
    batches = [shared_batch(), {name: value.flip(0) for name, value in shared_batch().items()}]
    batches[1]["pixel_values"] = batches[1]["pixel_values"] + 1
    ours, theirs = (objective.embedder(shared_model()) for _ in range(2))
    for number, batch in enumerate(batches):
        Backward(accelerator, ours, objective, chunk_size)(batch, step=0, mining={}, number=number, of=2)
    (sum(objective(theirs(batch)).loss for batch in batches) / 2).backward()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_lora_leaves_a_plain_model_of_which_only_the_chosen_layers_changed(run, materials, tmp_path):
    trained, _ = run("--lora-rank", 2, "--freeze", "text")
    before, after = materials.model.state_dict(), trained.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    towers = {name for name in changed if name.startswith(("vision_model.", "text_model."))}
    assert towers and all(name.startswith("vision_model.") for name in towers)
    assert all("q_proj" in name or "v_proj" in name for name in towers)
    assert {"visual_projection.weight", "logit_scale"} < changed
    trained.save_pretrained(tmp_path / "saved")
    assert same(EmoCapCLIPModel.from_pretrained(tmp_path / "saved").state_dict(), after)


def test_compiled_towers_train_alike_and_are_compiled_once(run, monkeypatch):
    """By the backend that needs no C++ compiler; evaluation, and the model that is returned, are not compiled."""
    compile_ = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(compile_, backend="aot_eager"))
    torch.compiler.reset()
    counters.clear()
    model, compiled = run("--torch-compile", name="compiled")
    _, eager = run(name="eager")
    ours, theirs = ([line["loss"] for line in log_lines(folder, "loss")] for folder in (compiled, eager))
    assert len(ours) == 3 and ours == pytest.approx(theirs, abs=1e-5)
    graphs = counters["stats"]["unique_graphs"]
    assert 2 <= graphs <= 4, graphs
    assert not any(module._compiled_call_impl for module in model.modules())


def test_bf16_trains_nearly_alike(run):
    _, plain = run(name="plain")
    AcceleratorState._reset_state()  # a process has one precision
    try:
        model, half = run("--mixed-precision", "bf16", name="half")
    finally:
        AcceleratorState._reset_state()
    ours, theirs = ([line["loss"] for line in log_lines(folder, "loss")] for folder in (half, plain))
    assert len(ours) == 3 and ours == pytest.approx(theirs, rel=0.02) and ours != theirs
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_gradient_checkpointing_trains_the_same(run):
    (_, plain), (model, checkpointed) = run(name="plain"), run("--gradient-checkpointing", name="checkpointed")
    towers = [module for module in model.modules() if hasattr(module, "gradient_checkpointing")]
    assert towers and all(module.gradient_checkpointing for module in towers)
    ours, theirs = ([line["loss"] for line in log_lines(folder, "loss")] for folder in (checkpointed, plain))
    assert len(ours) == 3 and ours == pytest.approx(theirs, abs=1e-5)


def test_what_no_loss_depends_on_is_not_trained(materials):
    args, model = parse_arguments([]).model, copy.deepcopy(materials.model)
    prepare_model(model, ["global", "summary"], args)
    assert {name for name, parameter in model.named_parameters() if not parameter.requires_grad} == {
        name for name, _ in model.named_parameters() if name.startswith("local_head.")
    }
    model = copy.deepcopy(materials.model)
    prepare_model(model, ["local"], args)
    assert [name for name, parameter in model.named_parameters() if not parameter.requires_grad] == ["logit_scale"]
    with pytest.raises(ValueError, match="'vison'; the towers are vision and text"):
        prepare_model(model, ["global"], replace(args, freeze=["vison"]))


class TestTracking:
    def test_a_tracker_that_is_not_installed(self, monkeypatch):
        monkeypatch.setattr("emocapclip_hf.training.trackers.find_spec", lambda name: None)
        with pytest.raises(ModuleNotFoundError, match=r"report_to is trackio.*pip install trackio"):
            check_tracker("trackio")
        check_tracker("none")

    @pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")
    def test_tensorboard(self, run):
        _, folder = run("--report-to", "tensorboard")
        events = list(folder.glob("**/events.out.tfevents*"))
        assert events and any(b"local_loss" in path.read_bytes() for path in events)

    @pytest.mark.parametrize("tracker", ["wandb", "trackio"])
    def test_trackers_that_one_installs_oneself(self, tracker, run, tmp_path, monkeypatch):
        (tmp_path / "kept").mkdir()
        monkeypatch.setenv("WANDB_MODE", "offline")
        for name in ("WANDB_DIR", "TRACKIO_DIR"):  # the latter is read when trackio is imported
            monkeypatch.setenv(name, str(tmp_path / "kept"))
        pytest.importorskip(tracker)
        run("--report-to", tracker)
        kept = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
        assert any(b"local_loss" in path.read_bytes() for path in kept), kept

    def test_the_log_is_json_whatever_there_is_to_say(self, run):
        mining = json.dumps({"global": {"guided_by": "text", "threshold": 2.0}})
        _, folder = run("--mining", mining)  # finds nothing, so its precision is the quotient of nothing
        lines = [
            json.loads(line, parse_constant=pytest.fail) for line in (folder / "log.jsonl").read_text().splitlines()
        ]
        assert lines[0]["global_image_to_text_mining_precision"] is None
        for name in ("local_loss", "temperature", "local_positives_per_image", "gradient_norm", "learning_rate"):
            assert np.isfinite(lines[0][name])
        for name in ("faces_per_second", "data_wait_share", "memory_mib"):
            assert lines[0][name] >= 0

    def test_steps_that_are_made_again_are_forgotten(self, tmp_path):
        text = "".join(f'{{"step": {step}}}\n' for step in range(1, 6)) + '{"step": 6, "lo'
        (tmp_path / "log.jsonl").write_text(text)
        TrainingLog(tmp_path, make_accelerator(parse_arguments([])), first_step=3, last_step=9).bar.close()
        assert [line["step"] for line in log_lines(tmp_path)] == [1, 2, 3]


def test_a_dataset_model_and_objective_of_ones_own(materials, tmp_path):
    """With columns of other names, splits by hash, and a loss that sees no summaries."""
    faces = [
        {"face": row["image"], "said": row["global_caption"], "parts": row["local_captions"]}
        for row in materials.train
    ]
    columns = {"image": "face", "global_caption": "said", "local_captions": "parts"}
    table = datasets.Dataset.from_list(
        faces,
        features=datasets.Features(
            {
                "face": datasets.Image(),
                "said": datasets.Value("string"),
                "parts": datasets.List(datasets.Value("string")),
            }
        ),
    )
    splits = load_emocap(table, columns=columns)
    steps = []

    class Mine(GlobalLocalObjective):
        def __call__(self, embeddings, step=0, **kwargs):
            steps.append(step)
            return super().__call__(embeddings, step, **kwargs)

    model = copy.deepcopy(materials.model)
    mine = Materials(splits["train"], splits["validation"], splits["test"], materials.processor, model)
    args = parse_arguments(flags(tmp_path, *QUICK))
    trained = train(args, materials=mine, objective=Mine(ObjectiveOptions(summary_weight=0.0)))
    assert trained.model is model and steps == [0, 1, 2]
    assert not same(model.state_dict(), materials.model.state_dict())
    line = log_lines(tmp_path, "loss")[-1]
    assert "summary_loss" not in line and line["local_loss"] > 0
