"""Captions scored: the truth is the ceiling, baselines are what they say, and a run's figures have their names."""

import json
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import torch
from captioner_zoo import captioner_processor, captioner_with_words

from emocapclip_hf.data.synthfaces import describe, face_at
from emocapclip_hf.data.synthfaces.dataset import FEATURES, face_row
from emocapclip_hf.eval.captioning import (
    constant_caption,
    evaluate_captioner,
    evaluate_run,
    factual_metrics,
    image_caption_agreement,
    main,
    paragraphs,
    paraphrases,
    retrieved_captions,
    wording_metrics,
)
from emocapclip_hf.training import parse_arguments


def table(split, count):
    rows = [face_row(face_at(0, split, row), 32, "short") for row in range(count)]
    return datasets.Dataset.from_list(rows, features=FEATURES)


@pytest.fixture(scope="module")
def faces():
    return {"train": table("train", 30), "test": table("test", 12)}


def test_the_truth_is_true_and_another_face_s_caption_is_not(faces):
    test = faces["test"]
    own = factual_metrics(paragraphs(test), test, resamples=20)
    other = factual_metrics(paragraphs(faces["train"])[:12], test, resamples=20)
    assert own["emotion_accuracy"].value > 0.9 and own["structure"].value == 1 and own["au_f1_micro"].value > 0.95
    assert other["emotion_accuracy"].value < 0.5 and other["au_f1_micro"].value < 0.7
    assert other["hallucinated_units"].value > 5 * own["hallucinated_units"].value
    assert own["au_f1"].low <= own["au_f1"].value <= own["au_f1"].high


def test_figures_by_hand(faces):
    rows = faces["test"].select([0, 1]).remove_columns(["emotion", "action_units"])
    units = [[{"au": 12, "intensity": 0.9, "side": "both"}], [{"au": 4, "intensity": 0.5, "side": "both"}]]
    rows = rows.add_column("emotion", ["happiness", "anger"]).add_column("action_units", units)
    captions = [
        "A happy face. The lip corners are pulled up. The lips are parted. Overall, this is joy.",
        "A sad face. The brows are not lowered. Overall, this is sorrow.",
    ]
    found = {name: metric.value for name, metric in factual_metrics(captions, rows, resamples=0).items()}
    assert found["emotion_accuracy"] == 0.5 and found["contradiction_rate"] == 0.5
    assert found["hallucinated_units"] == 0.5  # the lips, once in two captions
    assert found["au_f1"] == 0.5  # AU 4: 0, AU 12: 1
    assert found["au_f1_micro"] == pytest.approx(2 * 1 / (1 + 2))  # AU 25 acts on no face, and is no unit of these
    assert found["structure"] == 1


def test_what_the_table_does_not_know_is_left_out(faces):
    bare = faces["test"].remove_columns(["emotion", "action_units"])
    assert set(factual_metrics(paragraphs(bare), bare, resamples=0)) == {"structure", "contradiction_rate"}


def test_the_nearest_training_face_lends_its_caption(faces, monkeypatch):
    train, test = faces["train"], faces["test"]
    nearest = [(7 * row + 3) % 30 for row in range(12)]
    directions = torch.eye(30)
    embedded = {len(train): directions, len(test): (directions + 0.01)[nearest]}
    monkeypatch.setattr("emocapclip_hf.eval.captioning._embed", lambda model, processor, rows: embedded[len(rows)])
    captions = paragraphs(train)
    assert retrieved_captions(None, None, train, test) == [captions[index] for index in nearest]


def test_one_caption_for_all_is_of_the_commonest_emotion(faces):
    emotions = list(faces["train"]["emotion"])
    commonest = max(set(emotions), key=emotions.count)
    chosen = paragraphs(faces["train"]).index(constant_caption(faces["train"]))
    assert emotions.count(emotions[chosen]) == emotions.count(commonest)


def test_paraphrases_say_the_same_in_other_words(faces):
    test = faces["test"]
    other = paraphrases("test", len(test), "short")
    assert all(one != two for one, two in zip(other, paragraphs(test), strict=True))
    assert factual_metrics(other, test, resamples=0)["emotion_accuracy"].value > 0.9
    assert describe(face_at(0, "test", 0), "short").to_paragraph() == paragraphs(test)[0]


def test_wording_of_the_references_themselves(faces):
    texts = paragraphs(faces["test"])
    found = wording_metrics(texts, texts, resamples=10)
    assert [found[name].value for name in ("bleu", "rouge_l", "cider_d")] == pytest.approx([1, 1, 10])
    assert found["words"].value == np.mean([len(text.split()) for text in texts])


def test_agreement_of_a_caption_with_itself(faces, model, processor):
    texts = paragraphs(faces["test"])
    found = image_caption_agreement(model, processor, faces["test"], texts, texts)
    clip = found["clip_score"]
    assert 0 <= clip <= 2.5 and 0 <= found["ref_clip_score"] <= 2.5


@pytest.mark.slow
def test_every_system_has_its_line(faces, model, processor):
    captioner = captioner_with_words()
    results = list(
        evaluate_captioner(captioner, captioner_processor(), faces, "synthfaces", (model, processor), max_new_tokens=5)
    )
    names = ["captioning", "captioning-retrieval-baseline", "captioning-constant-baseline"]
    assert [result.task for result in results] == [*names, "captioning-paraphrase-ceiling"]
    assert all(result.n == 12 and {"emotion_accuracy", "au_f1", "bleu"} <= set(result.metrics) for result in results)
    assert "ref_clip_score" in results[0].metrics and "ref_clip_score" not in results[1].metrics
    values = [result.metrics["emotion_accuracy"].value for result in results]
    assert values[3] > max(values[:3])


@pytest.mark.slow
def test_a_run_s_headlines(faces, small_checkpoint_folder, tmp_path):
    captioner = captioner_with_words()
    captioner.generation_config.max_new_tokens = 5
    materials = SimpleNamespace(**faces, validation=None, model=captioner, processor=captioner_processor())
    args = parse_arguments(["--output-dir", str(tmp_path), "--model-name-or-path", str(small_checkpoint_folder)])
    metrics = evaluate_run(materials, args)
    assert {f"captioning/synthfaces/{name}" for name in ("emotion_accuracy", "au_f1", "structure")} <= set(metrics)
    assert "captioning-retrieval-baseline/synthfaces/au_f1" in metrics
    files = sorted((tmp_path / "results").glob("*.json"))
    assert len(files) == 4 and json.loads(files[0].read_text())["command"]


@pytest.mark.slow
def test_the_command(faces, small_checkpoint_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("emocapclip_hf.eval.captioning._load_faces", lambda dataset, count: faces)
    captioner = captioner_with_words()
    captioner.generation_config.max_new_tokens = 5
    for part in (captioner, captioner_processor()):
        part.save_pretrained(tmp_path / "model")
    asked = [str(tmp_path / "model"), "--encoder", str(small_checkpoint_folder), "--output", str(tmp_path / "results")]
    assert main(asked) == 0
    assert "captioning-retrieval-baseline/synthfaces/au_f1" in capsys.readouterr().out
    assert len(list((tmp_path / "results").glob("*.json"))) == 4
