"""What a run leaves behind: a model that loads, a card that says what was measured, figures, a recipe that reads."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from transformers import AutoModel, AutoProcessor

from emocapclip_hf.training import parse_arguments, write_model, write_results
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


def test_metrics_that_were_measured_elsewhere_take_their_place(finished, tmp_path):
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


def test_answers_are_those_of_the_labelled_faces(finished):
    _, materials, _ = finished
    answers = zero_shot_answers(materials)
    kinds = [materials.test["emotion_kind"][row] for row in answers.rows]
    assert set(kinds) == {"basic"} and len(answers.rows) == list(materials.test["emotion_kind"]).count("basic")
    assert [answers.labels[each] for each in answers.truth] == [materials.test["emotion"][row] for row in answers.rows]
    assert torch.allclose(answers.scores.sum(dim=1), torch.ones(len(answers.rows)))
    materials.test = materials.test.remove_columns("emotion")
    assert zero_shot_answers(materials) is None
