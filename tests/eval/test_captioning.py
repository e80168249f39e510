"""Captions scored: the truth is the ceiling, baselines are what they say, and benchmarks are read by their rules."""

import json
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import torch
from captioner_zoo import captioner_processor, captioner_with_words

from emocapclip_hf.data.synthfaces import describe, face_at
from emocapclip_hf.data.synthfaces.dataset import FEATURES, face_row
from emocapclip_hf.eval import captioning
from emocapclip_hf.eval.benchmarks import load_benchmark, protocol_of
from emocapclip_hf.eval.caption_baselines import constant_caption, paraphrases, retrieved_captions
from emocapclip_hf.eval.caption_metrics import (
    factual_metrics,
    image_caption_agreement,
    keyword_metrics,
    wording_metrics,
)
from emocapclip_hf.eval.caption_truth import reference_captions as paragraphs
from emocapclip_hf.eval.checkpoint import Checkpoint
from emocapclip_hf.eval.keyword_protocol import OURS
from emocapclip_hf.eval.scored_rows import MEAN_OVER_FOLDS, load_scored
from emocapclip_hf.eval.suite import evaluate_run, run_captioning
from emocapclip_hf.training import parse_arguments


@pytest.fixture
def captioner():
    model = captioner_with_words()
    model.generation_config.max_new_tokens = 5
    return Checkpoint("somebody/captioner", "1", model, captioner_processor())


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


def test_the_nearest_training_face_lends_its_caption():
    nearest = [(7 * row + 3) % 30 for row in range(12)]
    known = torch.eye(30)
    captions = [f"Face {number}." for number in range(30)]
    assert retrieved_captions((known + 0.01)[nearest], known, captions) == [captions[index] for index in nearest]


def test_one_caption_for_all_is_of_the_commonest_emotion(faces):
    emotions = list(faces["train"]["emotion"])
    commonest = max(set(emotions), key=emotions.count)
    chosen = paragraphs(faces["train"]).index(constant_caption(faces["train"]))
    assert emotions.count(emotions[chosen]) == emotions.count(commonest)


def test_paraphrases_say_the_same_in_other_words(faces):
    test = faces["test"]
    other = paraphrases(paragraphs(test), "test", range(len(test)))
    assert all(one != two for one, two in zip(other, paragraphs(test), strict=True))
    assert factual_metrics(other, test, resamples=0)["emotion_accuracy"].value > 0.9
    assert paraphrases(paragraphs(test), "train", range(len(test))) is None
    long = describe(face_at(7, "test", 3), "long").to_paragraph()
    (other,) = paraphrases([long], "test", [3], seed=7)
    assert other != long and len(other.split()) > 100


def test_wording_of_the_references_themselves(faces):
    texts = paragraphs(faces["test"])
    found = wording_metrics(texts, texts, resamples=10)
    assert [found[name].value for name in ("bleu", "rouge_l", "cider_d")] == pytest.approx([1, 1, 10])
    assert found["words"].value == np.mean([len(text.split()) for text in texts])


def test_agreement_of_a_caption_with_itself(faces, model, processor):
    texts = paragraphs(faces["test"])
    images = torch.nn.functional.normalize(torch.randn(len(texts), model.config.projection_dim), dim=-1)
    encoder = Checkpoint("encoder", "1", model, processor)
    found = {name: metric.value for name, metric in image_caption_agreement(encoder, images, texts, texts).items()}
    assert 0 <= found["clip_score"] <= 2.5 and 0 <= found["ref_clip_score"] <= 2.5


def scripted(monkeypatch, captions):
    """The captioner writes these, whatever it sees; returns what it was shown."""
    shown = []

    def caption_images(model, processor, images, batch_size, **options):
        for number, image in enumerate(images):
            shown.append(image)
            yield captions[number]

    monkeypatch.setattr(captioning, "caption_images", caption_images)
    return shown


def values(result):
    return {name: metric.value for name, metric in result.metrics.items()}


@pytest.fixture
def faba(tmp_path, pictures):
    """A folder in FABA's layout with a picture for each label; `name=""` of a missing one."""

    def _faba(kind, labels, split="eval"):
        folder = tmp_path / "FABA" / "FABAInstruct" / split
        (folder / "images").mkdir(parents=True, exist_ok=True)
        entries = []
        for number, (label, picture) in enumerate(zip(labels, pictures, strict=False)):
            entry = {"image": f"FABAInstruct/{split}/images/{number}.png", "label": label, "gpt4": f"Face {number}."}
            entry["conversations"] = [{"from": "gpt", "value": f"A face of {label}."}]
            picture.save(folder / "images" / f"{number}.png")
            entries.append(entry)
        (folder / f"{split}_{kind}_anno.json").write_text(json.dumps(entries))
        return tmp_path / "FABA"

    return _faba


def test_emotions_of_faba_by_the_parser_and_by_its_own_rule(captioner, faba, monkeypatch):
    rows = load_scored("faba-emotion", faba("emotion", ["Happiness", "Anger", "Fear"]))
    captions = [
        "A happy face. The lips part. Overall, this is joy.",
        "A face. The brows are lowered. Overall, this is fury.",
        "A sad face. The brows are raised. Overall, this is fear.",  # two emotions; its first keyword is sad
    ]
    shown = scripted(monkeypatch, captions)
    (result,) = captioning.run(captioner, rows)
    assert (result.task, result.benchmark, result.n, len(shown)) == ("captioning", "faba-emotion", 3, 3)
    found = values(result)
    assert found["emotion_accuracy"] == found["keyword_accuracy"] == pytest.approx(2 / 3)
    assert {"rouge_l", "bleu", "words"} <= set(found) and not {"au_f1", "hallucinated_units"} & set(found)
    assert result.metrics["keyword_accuracy"].low < 2 / 3 < result.metrics["keyword_accuracy"].high
    told = result.protocol["captioning"]
    assert told["keyword_accuracy"].endswith("keywords: ours") and told["pictures"] == "each picture"
    assert result.protocol["scoring"] == "keywords: ours"
    assert result.details["examples"][1] == {
        "id": "eval/images/1.png", "caption": captions[1], "truth": "Face 1.",
    }  # fmt: skip


def test_action_units_of_faba_in_words_and_by_code(captioner, faba, monkeypatch):
    rows = load_scored("faba-au", faba("au", ["4, 12", "1, 9", ""]))
    captions = [
        "A face. The brows are lowered. The lip corners are pulled up. Overall, joy.",  # both units
        "A face. The inner brows are raised. The nose is wrinkled. Overall, fear.",  # AU 9 is not scored
        "AU4 - Brow Lowerer. AU25 - Lips part.",  # neither is there
    ]
    scripted(monkeypatch, captions)
    (result,) = captioning.run(captioner, rows)
    found = values(result)
    assert found["hallucinated_units"] == pytest.approx(2 / 3)
    assert found["au_f1"] == pytest.approx((2 / 3 + 1 + 1) / 3)  # AU 4, AU 12, AU 1: those that act
    assert found["keyword_au_f1"] == 0 and "keyword_accuracy" not in found  # only the third caption has codes
    by_code = keyword_metrics(["AU4.", "AU1 and AU9.", "AU25."], rows, OURS, resamples=0)
    assert by_code["keyword_au_f1"].value == pytest.approx((1 + 1 + 0 + 0) / 4)  # AU 1, 4, 12, 25


@pytest.fixture
def mafw(tmp_path, pictures):
    """Three clips of five frames each, of which one can be told by its number."""
    lines = [
        "1.mp4\tanger\t生气。\tA man shouts.",
        "2.mp4\thelplessness\t叹气。\tA woman sighs.",
        "3.mp4\tfear\t怕。\tShe cries.",
    ]
    for part, own in (("train", lines[2:]), ("test", lines[:2])):
        file = tmp_path / "MAFW/Train & Test Set/single/with_caption/set_1" / f"{part}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes("\r\n".join(own).encode("gbk"))
    for clip in (1, 2, 3):
        folder = tmp_path / f"MAFW/clips/{clip}"
        folder.mkdir(parents=True)
        for frame in range(5):
            pictures[frame].save(folder / f"{frame}.png")
    return tmp_path / "MAFW"


def test_clips_of_mafw_are_told_by_their_middle_frame(captioner, mafw, pictures, monkeypatch):
    shown = scripted(monkeypatch, ["A face. The lips part. Overall, this is anger.", "A woman sighs."])
    (result,) = captioning.run(captioner, load_scored("mafw-captions", mafw, split="test", fold=1))
    assert [picture.size for picture in shown] == [pictures[2].size] * 2
    found, told = values(result), result.protocol["captioning"]
    assert (
        found["emotion_accuracy"] == 1 and "1 rows whose emotion the parser does not know" in told["emotion_accuracy"]
    )
    assert found["rouge_l"] > 0.5 and "keyword_accuracy" not in found
    assert told["pictures"] == "the middle frame of each clip"
    with pytest.raises(ValueError, match="written in English and cannot be compared with others"):
        next(captioning.run(captioner, load_scored("mafw-captions", mafw, language="zh")))


def test_a_mean_over_folds_is_one(captioner, faba, monkeypatch):
    rows = load_scored("faba-emotion", faba("emotion", ["Anger", "Anger", "Fear"]))
    folds = rows.remove_columns("fold").add_column("fold", [1, 1, 2])
    folds.info.description = json.dumps(protocol_of(rows) | {"fold": MEAN_OVER_FOLDS})
    scripted(monkeypatch, ["A face.", "This is fear.", "This is fear."])
    accuracies = [values(next(captioning.run(captioner, each)))["emotion_accuracy"] for each in (rows, folds)]
    assert accuracies == pytest.approx([1 / 3, 1 / 2])


def test_missing_pictures_are_counted_and_strict_stops(captioner, faba, monkeypatch):
    data = faba("emotion", ["Happiness", "Anger", "Fear"])
    (data / "FABAInstruct/eval/images/1.png").write_bytes(b"damaged")
    rows = load_scored("faba-emotion", data)
    scripted(monkeypatch, ["This is joy.", "This is fear."])
    with pytest.warns(UserWarning, match=r"1 of 3 rows cannot be read; eval/images/1\.png"):
        (result,) = captioning.run(captioner, rows)
    assert result.n == 2 and result.skipped[0][0] == "eval/images/1.png"
    assert values(result)["emotion_accuracy"] == 1 and result.details["examples"][1]["truth"] == "Face 2."
    shown = scripted(monkeypatch, ["This is joy.", "This is fear."])
    with pytest.raises(ValueError, match=r"1 of 3 rows cannot be read.*Mend them"):
        next(captioning.run(captioner, rows, strict=True))
    assert not shown  # before anything of the batch is written


def test_rows_without_a_caption_do_not_count_for_wording(captioner, tmp_path, pictures, monkeypatch):
    for number in range(2):
        pictures[number].save(tmp_path / f"{number}.png")
    (tmp_path / "labels.csv").write_text("image,label,caption\n0.png,happy,A man smiles.\n1.png,sad,\n")
    scripted(monkeypatch, ["A man smiles.", "This is sad."])
    (result,) = captioning.run(captioner, load_benchmark("csv", tmp_path, split="all"))
    assert values(result)["rouge_l"] == 1 and result.n == 2
    assert result.protocol["captioning"]["references"] == "1 rows have none"


def test_processes_share_the_rows_and_all_have_all_captions(captioner, faces, monkeypatch):
    test = faces["test"]
    whole = captioning.write_captions(captioner, test, batch_size=5)
    parts = []
    monkeypatch.setattr(captioning, "together", lambda work: parts.append(work()) or parts)
    for index in range(3):
        state = SimpleNamespace(process_index=index, num_processes=3, is_main_process=index == 0)
        monkeypatch.setattr(captioning, "process_state", lambda state=state: state)
        merged = captioning.write_captions(captioner, test, batch_size=3)
    assert [part.rows for part in parts] == [list(range(index, 12, 3)) for index in range(3)]
    assert merged == whole and whole.rows == list(range(12))


def test_nothing_to_compare_with_is_said(captioner):
    rows = load_benchmark("synthfaces", n=2, size=32)
    rows = rows.remove_columns(["emotion", "action_units", "global_caption"])
    with pytest.raises(ValueError, match="SynthFaces has neither captions nor emotions nor action units"):
        next(captioning.run(captioner, rows))


def test_every_system_has_its_line(faces, captioner, model, processor):
    encoder = Checkpoint("encoder", "1", model, processor)
    results = list(run_captioning(captioner, faces, "synthfaces", encoder))
    assert tuple(result.task for result in results) == captioning.SYSTEMS
    assert all(result.n == 12 and {"emotion_accuracy", "au_f1", "bleu"} <= set(result.metrics) for result in results)
    assert "ref_clip_score" in results[0].metrics and "ref_clip_score" not in results[1].metrics
    accuracies = [result.metrics["emotion_accuracy"].value for result in results]
    assert accuracies[3] > max(accuracies[:3])


def test_a_run_s_headlines(faces, captioner, small_checkpoint_folder, tmp_path):
    materials = SimpleNamespace(
        **faces, validation=faces["test"], model=captioner.model, processor=captioner.processor
    )
    flags = ["--output-dir", str(tmp_path), "--model-name-or-path", str(small_checkpoint_folder)]
    metrics = evaluate_run(materials, parse_arguments([*flags, "--decoder-config", "{}"]))
    assert {f"captioning/synthfaces/{name}" for name in ("emotion_accuracy", "au_f1", "structure")} <= set(metrics)
    assert "captioning-retrieval-baseline/synthfaces/au_f1" in metrics
    assert not any(name.endswith("bleu") for name in metrics)
    files = sorted((tmp_path / "results").glob("*.json"))
    assert len(files) == 4 and json.loads(files[0].read_text())["command"]
    report = (tmp_path / "results" / "report" / "report.md").read_text()
    assert "| synthfaces (retrieval baseline) | 12 | emotion_accuracy |" in report
    assert "What" in report and f"*Reference:* {paragraphs(faces['test'])[2]}" in report
