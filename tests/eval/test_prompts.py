"""Prompt sets: the exact texts, and files of one's own."""

import json

import pytest

from emocapclip_hf.eval.benchmarks import BENCHMARKS
from emocapclip_hf.eval.prompts import PROMPT_SETS, get_prompts

SCORED = [name for name, entry in BENCHMARKS.items() if entry.labels and entry.tasks[0] != "regression"]


@pytest.mark.parametrize("name", PROMPT_SETS)
@pytest.mark.parametrize(
    "benchmark", [name for name, b in BENCHMARKS.items() if b.labels and b.tasks[0] != "regression"]
)
def test_every_label_of_every_benchmark_has_texts_of_its_own(name, benchmark):
    labels = BENCHMARKS[benchmark].labels
    texts = {label: tuple(PROMPT_SETS[name].texts(label)) for label in labels}
    assert len(set(texts.values())) == len(labels)
    assert all(text and "{" not in text and "_" not in text for prompts in texts.values() for text in prompts)


def test_the_texts_of_exp_clip():
    assert PROMPT_SETS["exp-clip-5"].texts("anger") == [
        "an expression of anger.",
        "a photo of a face with an expression of anger.",
        "a photo radiating anger in a person.",
        "a photo showing someone immersed in anger.",
        "a photo capturing anger within an individual.",
    ]
    assert PROMPT_SETS["exp-clip-5"].texts("sadness")[2] == "a photo exuding sadness in a person."


def test_facial_actions_of_a_compound_are_those_of_its_parts():
    prompts = PROMPT_SETS["facial-actions"]
    assert prompts.texts("happily surprised") == prompts.texts("happiness") + prompts.texts("surprise")
    with pytest.raises(ValueError, match="facial-actions have no text for the label 'boredom'; they have neutral"):
        prompts.texts("boredom")


def test_labels_that_do_not_exclude_each_other_are_denied_when_all_can_be():
    assert list(PROMPT_SETS["facial-actions"].of_labels(["AU1", "AU25"])) == ["AU1", "AU25", "no AU1", "no AU25"]
    assert list(PROMPT_SETS["facial-actions"].of_labels(["fear"])) == ["fear"]
    assert list(PROMPT_SETS["simple"].of_labels(["AU1"])) == ["AU1"]


def test_a_file_of_templates(tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("a {} face\n\nsomeone {adjective}\n")
    prompts = get_prompts(str(file))
    assert prompts.texts("sadness") == ["a sadness face", "someone sad"] and prompts.source == "own file"


def test_a_file_of_texts(tmp_path):
    file = tmp_path / "mine.json"
    content = {"templates": ["a {} face"], "labels": {"fear": ["wide eyes"]}, "absent": {"fear": ["calm eyes"]}}
    file.write_text(json.dumps(content))
    assert get_prompts(str(file)).of_labels(["fear"]) == {"fear": ["wide eyes"], "no fear": ["calm eyes"]}
    assert get_prompts(str(file)).texts("anger") == ["a anger face"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a face", r"template 'a face' has neither \{\} nor"),
        ('{"templates": ', "Expected one template a line, or"),
        ('{"labels": ["fear"]}', "Expected one template a line, or"),
    ],
)
def test_a_file_that_makes_no_sense(content, message, tmp_path):
    (tmp_path / "mine").write_text(content)
    with pytest.raises(ValueError, match=message):
        get_prompts(str(tmp_path / "mine"))


def test_an_unknown_set_gets_a_hint():
    with pytest.raises(ValueError, match="did you mean 'exp-clip-5'"):
        get_prompts("exp-clip")
