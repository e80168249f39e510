"""Zero-shot evaluation against plain formulas, the pipeline's scores and scikit-learn."""

import datasets
import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from torch.nn import functional as F

from emocapclip_hf.eval.benchmarks import load_benchmark
from emocapclip_hf.eval.checkpoint import load_checkpoint
from emocapclip_hf.eval.embed import Embedded, embed_images
from emocapclip_hf.eval.prompts import PROMPT_SETS, PromptSet
from emocapclip_hf.eval.zero_shot import (
    EncodedPrompts,
    auc_per_label,
    class_list,
    classification_metrics,
    cosines,
    multi_label_metrics,
    probabilities,
    run,
)
from emocapclip_hf.zero_shot import ZeroShotClassifier

PROMPTS = PromptSet("mine", ("a {} face", "{}"), {"angry": ("angry angry",)})
LABELS = ("happy", "sad", "angry")


@pytest.fixture
def checkpoint(small_checkpoint_folder):
    return load_checkpoint(str(small_checkpoint_folder))


@pytest.fixture
def own_folder(tmp_path, pictures):
    """Seven pictures in folders of labels, as the benchmark `folder` reads them."""
    for number, picture in enumerate(pictures):
        file = tmp_path / "faces" / "test" / LABELS[number % 3] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        picture.save(file)
    return tmp_path / "faces"


@pytest.fixture
def benchmark(own_folder):
    return load_benchmark("folder", own_folder, labels=",".join(LABELS))


def test_probabilities_are_those_of_the_classifier(checkpoint, benchmark):
    same = PromptSet("mine", ("a {} face", "the {}"))
    encoded = EncodedPrompts.of(checkpoint, same.of_labels(LABELS))
    embedded = embed_images(checkpoint.model, checkpoint.processor, benchmark)
    expected = ZeroShotClassifier(checkpoint.model, checkpoint.processor, LABELS, same.templates).scores(
        benchmark["image"]
    )
    np.testing.assert_allclose(probabilities(checkpoint.model, encoded, embedded), expected, atol=1e-5)


@torch.no_grad()
def test_local_scores_are_asked_prompt_by_prompt(checkpoint, benchmark):
    """Labels with different numbers of prompts, one picture and one prompt at a time."""
    model, processor = checkpoint.model, checkpoint.processor
    encoded = EncodedPrompts.of(checkpoint, PROMPTS.of_labels(LABELS))
    embedded = embed_images(model, processor, benchmark, sentences=encoded.embeds)
    for row, picture in enumerate(benchmark["image"]):
        vision = model.get_image_features(**processor(images=picture, return_tensors="pt"))
        patches = model.get_patch_embeds(vision.last_hidden_state)
        means = []
        for label in LABELS:
            scores = []
            for text in PROMPTS.texts(label):
                words = model.get_text_features(**processor(text=text, return_tensors="pt")).pooler_output
                scores.append(model.get_local_scores(patches, F.normalize(words, dim=-1)).item())
            means.append(sum(scores) / len(scores))
        local = (torch.tensor(means) * model.local_head.logit_scale.exp()).softmax(dim=0).numpy()
        np.testing.assert_allclose(probabilities(model, encoded, embedded, "local")[row], local, atol=1e-5)
        np.testing.assert_allclose(cosines(encoded, embedded, "local")[row], means, atol=1e-5)
    both = (probabilities(model, encoded, embedded) + probabilities(model, encoded, embedded, "local")) / 2
    np.testing.assert_allclose(probabilities(model, encoded, embedded, "both"), both, atol=1e-6)


@pytest.mark.parametrize("scoring", ["global", "local", "both"])
def test_a_run_says_how_it_came_about(checkpoint, benchmark, scoring):
    result = run(checkpoint, benchmark, PROMPTS, scoring)
    assert set(result.metrics) == {"war", "uar", "ece"} and result.n == 7
    assert result.prompts == {"happy": ["a happy face", "happy"], "sad": ["a sad face", "sad"],
                              "angry": ["angry angry"]}  # fmt: skip
    assert result.protocol["scoring"] == scoring and result.protocol["split"] == "test"
    assert result.fingerprint == benchmark._fingerprint and result.revision == checkpoint.revision
    assert np.asarray(result.details["confusion"]).sum() == 7 and result.details["labels"] == list(LABELS)


def test_metrics_of_known_answers():
    truth = np.array([0, 0, 0, 1, 1, 2])
    found = np.eye(3)[[0, 0, 1, 1, 2, 2]]
    metrics, details = classification_metrics(found, truth, ["a", "b", "c"])
    predicted = found.argmax(axis=1)
    assert metrics["uar"].value == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert metrics["war"].value == pytest.approx(4 / 6) and metrics["ece"].value == pytest.approx(2 / 6)
    assert details["confusion"] == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert details["recall"] == pytest.approx({"a": 2 / 3, "b": 1 / 2, "c": 1})
    assert metrics["uar"].low < metrics["uar"].value < metrics["uar"].high


def test_folds_are_averaged():
    truth, predicted = np.array([0, 1, 0, 0, 0, 0]), np.array([0, 1, 0, 0, 1, 1])
    metrics, _ = classification_metrics(np.eye(2)[predicted], truth, ["a", "b"], np.array([1, 1, 2, 2, 2, 2]))
    assert metrics["war"].value == pytest.approx((1 + 0.5) / 2)  # and not 4 of 6


def test_labels_that_do_not_exclude_each_other():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, (40, 3)).astype(float)
    truth[:5, 1] = np.nan
    truth[:, 2] = 0
    scores = np.round(truth + generator.normal(size=(40, 3)), 1)  # with ties
    known = ~np.isnan(truth[:, 1])
    expected = [roc_auc_score(truth[:, 0], scores[:, 0]), roc_auc_score(truth[known, 1], scores[known, 1]), np.nan]
    np.testing.assert_allclose(auc_per_label(np.nan_to_num(scores), truth), expected)
    denied = np.zeros_like(scores)
    metrics, details = multi_label_metrics(np.hstack([np.nan_to_num(scores), denied]), truth, ["x", "y", "z"])
    assert metrics["auc"].value == pytest.approx(np.nanmean(expected)) and set(metrics) == {"auc", "f1"}
    assert list(details["f1"]) == ["x", "y", "z"]


def test_action_units_by_sentences_that_assert_and_deny(checkpoint, faces):
    units = load_benchmark("synthfaces-au", n=8, size=32)
    result = run(checkpoint, units, PROMPT_SETS["facial-actions"], "local")
    assert set(result.metrics) == {"auc", "f1"} and "no AU43" in result.prompts
    assert set(run(checkpoint, units, PROMPT_SETS["simple"]).metrics) == {"auc"}


# Faults


def test_local_scores_without_a_local_head(checkpoint, benchmark):
    checkpoint.model.local_head = None
    with pytest.raises(ValueError, match=r"this EmoCapCLIPModel has no local head.*--scoring global"):
        run(checkpoint, benchmark, PROMPTS, "local")


def test_an_unknown_scoring(checkpoint):
    embedded = Embedded(*torch.ones(3, 1, 24), torch.arange(1), [])
    with pytest.raises(ValueError, match="scoring='best': choose from global, local, both"):
        probabilities(checkpoint.model, EncodedPrompts.of(checkpoint, {"happy": ["happy"]}), embedded, "best")


def test_a_split_without_labels(own_folder, pictures):
    table = datasets.Dataset.from_dict({"image": list(pictures)})
    with pytest.raises(ValueError, match="the test split of Own datasets source has no labels, so there is nothing"):
        class_list(load_benchmark("datasets", table))
