"""The card says what the Hub must know and what the model is, how it was made and where it ends; its snippet runs."""

import re
from dataclasses import replace

import pytest
import yaml
from card_rules import card_errors
from huggingface_hub import ModelCard
from PIL import Image
from zoo import small_config

from emocapclip_hf import EmoCapCLIPConfig, EmoCapCLIPModel
from emocapclip_hf.data.tokenizer import small_processor
from emocapclip_hf.hub.card import TrainingFacts, model_card, renamed
from emocapclip_hf.hub.group_gaps import GroupRecall

FACTS = TrainingFacts(
    dataset="somebody/faces-in-words",
    on_the_hub=True,
    rows={"train": 12000, "validation": 1000, "test": 2000},
    recipe="optimisation:\n  max_steps: 20",
    metrics={
        "zero-shot/rafdb/uar": 0.61234,
        "zero-shot/rafdb/war": 0.7,
        "regression/affectnet-va/valence_ccc": 0.5,
    },
    commands=["accelerate launch train.py --config recipe.yaml"],
    circumstances={"torch": "2.13.0"},
    group_recalls=[
        GroupRecall("glasses", "False", 900, 0.75, 0.7, 0.8),
        GroupRecall("glasses", "True", 100, 0.5, 0.4, 0.6),
    ],
    base_model="openai/clip-vit-base-patch32",
)


@pytest.fixture(scope="module")
def model():
    return EmoCapCLIPModel(small_config())


def metadata(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


@pytest.mark.parametrize("towers", ["clip", "siglip2"])
def test_card_states_the_model(towers, tmp_path):
    model = EmoCapCLIPModel(small_config(towers))
    model_card(model, "somebody/faces", summary="Untrained: it knows nothing.").save(tmp_path / "README.md")
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.pipeline_tag == "zero-shot-image-classification"
    assert (card.data.library_name, card.data.license) == ("transformers", None)
    assert "{{" not in card.text and "{%" not in card.text and "Untrained: it knows nothing." in card.text
    assert f"{model.num_parameters():,}" in card.text and model.config.vision_config.model_type in card.text
    assert "32 pixels" in card.text if towers == "clip" else "any size" in card.text
    assert "have not been measured" in card.text and "## Results" not in card.text


def test_the_hub_reads_what_was_measured(model, tmp_path):
    model_card(model, "somebody/faces", "Trained.", "mit", FACTS).save(tmp_path / "README.md")
    card = ModelCard.load(tmp_path / "README.md")
    assert card_errors(metadata(str(card))) == []
    assert (card.data.license, card.data.language) == ("mit", "en")
    assert card.data.datasets == ["somebody/faces-in-words"]
    assert card.data.base_model == "openai/clip-vit-base-patch32"
    assert card.data.metrics == ["accuracy", "recall", "valence_ccc"]
    assert card.data.model_name == "somebody/faces"
    results = {(each.dataset_name, each.metric_name): each for each in card.data.eval_results}
    uar = results["rafdb", "uar"]
    assert (uar.task_type, uar.metric_type, uar.metric_value) == ("zero-shot-image-classification", "recall", 0.6123)
    assert uar.metric_args == {"average": "macro"}
    assert results["affectnet-va", "valence_ccc"].task_type == "other"


def test_people_read_the_same_and_the_gaps(model):
    text = model_card(model, "somebody/faces", "Trained.", facts=FACTS).text
    assert "12,000 faces in train, 1,000 faces in validation, 2,000 faces in test." in text
    assert "| zero-shot | rafdb | uar | 0.612 |\n| zero-shot | rafdb | war | 0.700 |\n" in text
    assert "| glasses | True | 100 | 0.500 (0.400 to 0.600) |" in text
    assert "Largest difference between groups: glasses 0.250." in text
    assert "Article 5(1)(f)" in text and "drawn by a program" not in text
    drawn = model_card(model, "somebody/faces", "Trained.", facts=replace(FACTS, synthetic=True)).text
    assert "**drawn by a program**" in drawn and "None of its figures says anything about photographs" in drawn


def test_no_gaps_are_claimed_where_none_were_measured(model):
    text = model_card(model, "somebody/faces", "Trained.", facts=replace(FACTS, group_recalls=[], metrics={})).text
    assert "have not been measured" in text and "Nothing has been measured yet." in text


def test_a_metric_without_a_place_is_refused(model):
    with pytest.raises(ValueError, match="'uar' is not named task/benchmark/metric"):
        model_card(model, "somebody/faces", "Trained.", facts=replace(FACTS, metrics={"uar": 0.5}))


def test_a_card_under_another_name(model):
    here = str(model_card(model, "runs/faces/model", "Trained.", "mit", FACTS))
    there = str(model_card(model, "somebody/faces", "Trained.", "mit", FACTS))
    assert here != there and renamed(here, "somebody/faces") == there


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"license": "free for all"}, '"license" must not be'),
        ({"datasets": ["a folder/of/mine"]}, '"datasets" must not be'),
        ({"model-index": [{"name": "x", "results": [{"task": {"type": "y"}}]}]}, 'dataset.name" is required'),
    ],
)
def test_the_rules_refuse_what_the_hub_refuses(broken, message):
    assert any(message in error for error in card_errors(broken))


@pytest.mark.slow
def test_the_snippet_runs(tmp_path, monkeypatch, capsys):
    processor = small_processor(["The lip corners are pulled up.", "a face that shows sadness"] * 9, 32, vocab_size=30)
    text = dict(small_config().text_config.to_dict(), vocab_size=len(processor.tokenizer), max_position_embeddings=77)
    text |= {"eos_token_id": processor.tokenizer.eos_token_id}
    model = EmoCapCLIPModel(EmoCapCLIPConfig(vision_config=small_config().vision_config, text_config=text))
    monkeypatch.chdir(tmp_path)
    for part in (model, processor):
        part.save_pretrained("model")
    Image.new("RGB", (40, 50)).save("face.png")
    card = model_card(model, "model", summary="Untrained.")
    names = {}
    exec(compile(re.search(r"```python\n(.*?)```", card.text, re.DOTALL)[1], "card", "exec"), names)
    assert "happiness" in capsys.readouterr().out
    assert names["attention"].shape == (1, 1, 4, 4)
