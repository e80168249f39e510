"""What a run leaves behind: a model that loads, a card that says what was measured, figures, a recipe that reads."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from PIL import Image
from transformers import AutoModel, AutoProcessor

from emocapclip_hf.training import parse_arguments, write_model, write_results
from emocapclip_hf.training.attention_maps import attention_of
from emocapclip_hf.training.contact_sheet import FACES_OF_EACH, RIGHT, WRONG
from emocapclip_hf.training.loss_curves import draw_loss_curves, read_log
from emocapclip_hf.training.recipe import recipe
from emocapclip_hf.training.setup import prepare_materials
from emocapclip_hf.training.zero_shot_answers import zero_shot_answers

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "synthfaces-smoke.yaml"
FLAGS = ["--config", str(CONFIG), "--synthfaces-rows", "200", "60", "400"]  # each group shows some emotion


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An untrained model's results: folder, materials, arguments."""
    folder = tmp_path_factory.mktemp("run")
    args = parse_arguments([*FLAGS, "--output-dir", str(folder)])
    torch.manual_seed(0)
    materials = prepare_materials(args)
    materials.model.eval()
    write_model(materials, args)
    write_results(materials, args)
    return folder, materials, args


def test_the_model_loads(finished):
    folder, materials, _ = finished
    model, processor = AutoModel.from_pretrained(folder / "model"), AutoProcessor.from_pretrained(folder / "model")
    texts = ["The lip corners are pulled up."]
    expected = materials.processor(text=texts)["input_ids"]
    assert processor(text=texts)["input_ids"] == expected
    parameters = dict(model.named_parameters())
    assert all(torch.equal(value, parameters[name]) for name, value in materials.model.named_parameters())


def test_card_and_metrics_say_the_same(finished):
    folder, _, _ = finished
    metrics = json.loads((folder / "metrics.json").read_text())
    card = ModelCard.load(folder / "model" / "README.md")
    measured = {f"{each.task_name}/{each.dataset_name}/{each.metric_name}": each for each in card.data.eval_results}
    assert {name: result.metric_value for name, result in measured.items()} == pytest.approx(metrics, abs=1e-4)
    assert card.data.license == "apache-2.0" and card.data.datasets is None  # SynthFaces is not on the Hub
    assert all(f"| {attribute} |" in card.text for attribute in ("skin tone", "age group", "glasses"))
    assert "drawn by a program" in card.text


def test_metrics_that_were_measured_elsewhere_take_their_place(finished, tmp_path, monkeypatch):
    monkeypatch.setattr("emocapclip_hf.training.results._draw_pictures", lambda *_: None)
    _, materials, args = finished
    args = parse_arguments([*FLAGS, "--output-dir", str(tmp_path), "--hub-license", "mit"])
    write_model(materials, args)
    assert "Nothing has been measured yet" in (tmp_path / "model" / "README.md").read_text()
    assert write_results(materials, args, {"zero-shot/rafdb/uar": 0.25}) == {"zero-shot/rafdb/uar": 0.25}
    card = ModelCard.load(tmp_path / "model" / "README.md")
    assert [result.metric_value for result in card.data.eval_results] == [0.25] and card.data.license == "mit"


def test_the_recipe_reads_again_as_the_same_run(finished, tmp_path):
    folder, _, args = finished
    again = parse_arguments(["--config", str(folder / "model" / "recipe.yaml"), "--output-dir", str(folder)])
    assert again == args
    secret = parse_arguments(["--dataset", str(tmp_path), "--hub-model-id", "somebody/faces"])
    assert yaml.safe_load(recipe(secret)) == {"data": {"dataset": tmp_path.name}}


@pytest.fixture
def drawn(finished):
    """The pictures of the run, as arrays, with what their figures hold in words."""
    folder, _, _ = finished
    return {path.stem: np.asarray(Image.open(path).convert("RGB")) for path in folder.glob("*.png")}


def test_pictures_stand_beside_the_model_not_in_it(finished, drawn):
    folder, _, _ = finished
    assert set(drawn) == {"face", "zero-shot", "attention"}  # no log, no loss curves
    assert not list((folder / "model").rglob("*.png"))


def test_the_contact_sheet_frames_right_and_wrong(finished, drawn):
    _, materials, _ = finished
    answers = zero_shot_answers(materials)
    shown = [(answers.truth == label).nonzero()[:FACES_OF_EACH, 0] for label in range(len(answers.labels))]
    right = (answers.predicted == answers.truth)[torch.cat(shown)]
    assert right.any() and not right.all()
    # Frames are the only long vertical lines of exactly these colours; bars are short.
    frames = {colour: _long_lines(drawn["zero-shot"], colour) for colour in (RIGHT, WRONG)}
    assert frames == {RIGHT: 2 * int(right.sum()), WRONG: 2 * int((~right).sum())}


def _long_lines(picture, colour, length=100):
    """How many runs of columns hold an unbroken vertical line of a colour, counted over all rows of faces."""
    same = (picture == np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])).all(axis=2)  # (height, width)
    lines = 0
    for column in range(same.shape[1]):
        edges = np.flatnonzero(np.diff(np.r_[0, same[:, column].astype(int), 0]))
        starts = [(start, end) for start, end in edges.reshape(-1, 2) if end - start >= length]
        before = same[:, column - 1] if column else np.zeros(len(same), bool)
        lines += sum(not before[(start + end) // 2] for start, end in starts)
    return lines


def test_attention_is_drawn_over_what_the_model_sees(finished):
    _, materials, _ = finished
    row = materials.test[0]
    picture, attention = attention_of(materials.model, materials.processor, row["image"], row["local_captions"][:2])
    assert attention.shape == (2, 4, 4) and attention.sum(axis=(1, 2)) == pytest.approx(1)
    seen = np.asarray(row["image"].resize((32, 32), Image.Resampling.BICUBIC), dtype=float) / 255
    assert np.abs(picture - seen).mean() < 0.02


def test_loss_curves_of_a_log_with_a_resume_and_a_line_cut_short(tmp_path):
    lines = [{"step": step, "loss": 3.0 - step, "global_loss": 1.0} for step in (1, 2)]
    lines += [{"step": 2, "zero-shot/validation-emotion8/uar": 0.4}, {"step": 2, "loss": 0.5, "global_loss": 0.1}]
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 3, "lo')
    assert [(line["step"], line.get("loss")) for line in read_log(log)] == [(1, 2.0), (2, None), (2, 0.5)]
    draw_loss_curves(log, tmp_path / "loss.png")
    assert Image.open(tmp_path / "loss.png").size[0] > 1000


def test_answers_are_those_of_the_labelled_faces(finished):
    _, materials, _ = finished
    answers = zero_shot_answers(materials)
    kinds = [materials.test["emotion_kind"][row] for row in answers.rows]
    assert set(kinds) == {"basic"} and len(answers.rows) == list(materials.test["emotion_kind"]).count("basic")
    assert [answers.labels[each] for each in answers.truth] == [materials.test["emotion"][row] for row in answers.rows]
    assert torch.allclose(answers.scores.sum(dim=1), torch.ones(len(answers.rows)))
    materials.test = materials.test.remove_columns("emotion")
    assert zero_shot_answers(materials) is None
