"""The linear probe: what it chooses, what it says, and the head that it saves."""

import doctest
import io

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier
from torch.nn import functional as F
from transformers import SiglipConfig, SiglipModel, pipeline

from emocapclip_hf.eval import few_shot, linear_probe, thresholds
from emocapclip_hf.eval.checkpoint import Checkpoint, load_checkpoint
from emocapclip_hf.eval.linear_probe import CS, fit_probe, neighbours_say, run
from emocapclip_hf.eval.splits import Fold, Part, Vectors, load_folds
from emocapclip_hf.eval.thresholds import best_thresholds

LABELS = ["anger", "fear", "joy"]


def tinted(rows, seed):
    """Noise in one of three tints, which no tower can miss; labels, and two "action units" that follow them."""
    draws = np.random.default_rng(seed)
    classes = np.arange(rows) % 3
    pictures = draws.integers(0, 120, (rows, 32, 32, 3), dtype=np.uint8)
    pictures[np.arange(rows), :, :, classes] += 130
    units = np.stack([classes == 0, classes != 1], axis=1).astype(np.float32)
    return [Image.fromarray(picture) for picture in pictures], classes, units


@pytest.fixture(scope="module")
def source():
    """Train and test of one's own, as `load_benchmark("datasets", ...)` takes them."""
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=LABELS)})
    tables = {}
    for split, rows in (("train", 60), ("test", 30)):
        pictures, classes, _ = tinted(rows, seed=rows)
        tables[split] = datasets.Dataset.from_dict({"image": pictures, "label": classes}, features=features)
    return datasets.DatasetDict(tables)


@pytest.fixture(scope="module")
def checkpoint(small_checkpoint_folder):
    return load_checkpoint(str(small_checkpoint_folder))


@pytest.fixture(scope="module")
def found(checkpoint, source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("head")
    return run(checkpoint, load_folds("datasets", source), save_to=folder), folder


def test_a_probe_finds_what_is_there(found):
    result, _ = found
    metrics = {name: metric.value for name, metric in result.metrics.items()}
    assert metrics["uar"] > 0.9 and metrics["knn_uar"] > 0.9 and metrics["uar_16_shot"] > 0.8
    assert set(metrics) == {"war", "uar", "ece", "knn_war", "knn_uar", *(f"uar_{n}_shot" for n in (1, 2, 4, 8, 16))}
    assert result.n == 30 and result.metrics["uar"].low <= metrics["uar"] <= result.metrics["uar"].high
    assert np.sum(result.details["confusion"]) == 30 and result.details["labels"] == LABELS
    assert result.protocol["probe"]["validation"] == "20% of train, of each class"
    assert len(result.details["few_shot_uars"][0]["4"]) == 5
    assert result.load(result.save(found[1] / "results")).flat() == result.flat()


def test_the_saved_head_is_served_with_equal_predictions(found, checkpoint, source):
    result, folder = found
    classify = pipeline("image-classification", model=str(folder))
    answers = [answer[0]["label"] for answer in classify(list(source["test"]["image"]))]
    confusion = np.zeros((3, 3), dtype=int)
    for truth, answer in zip(source["test"]["label"], answers, strict=True):
        confusion[truth, LABELS.index(answer)] += 1
    assert confusion.tolist() == result.details["confusion"]


def test_a_probe_is_scikit_learns(overlapping):
    """The same penalty, the same head: scikit-learn agrees on the logits' probabilities and the choice."""
    (train, validation), labels = overlapping, 4
    probe = fit_probe(train, validation, labels)
    mean = train[0].mean(dim=0)
    scale = (train[0] - mean).square().mean().sqrt()
    fitted = [
        LogisticRegression(C=c, max_iter=5000, tol=1e-7).fit(((train[0] - mean) / scale).double().numpy(), train[1])
        for c in (CS[10], CS[20], probe.c)
    ]
    held = ((validation[0] - mean) / scale).double().numpy()
    recalls = [
        np.mean([(model.predict(held)[validation[1] == k] == k).mean() for k in range(labels)]) for model in fitted
    ]
    assert probe.scores[10] == pytest.approx(recalls[0], abs=0.011)
    assert probe.scores[20] == pytest.approx(recalls[1], abs=0.011)
    assert (
        max(probe.scores) == pytest.approx(recalls[2], abs=0.011)
        and max(probe.scores) == probe.scores[list(CS).index(probe.c)]
    )
    ours = probe.head(validation[0]).softmax(dim=1).numpy()
    assert np.abs(ours - fitted[2].predict_proba(held)).max() < 0.01


@pytest.fixture(scope="module")
def overlapping():
    """Train and validation rows of four classes that overlap, far from the origin as pooled outputs are."""
    draws = np.random.default_rng(3)
    means = draws.normal(size=(4, 16))
    sides = []
    for rows in (400, 200):
        classes = np.arange(rows) % 4
        features = 30 + 7 * (means[classes] + draws.normal(size=(rows, 16)) * 1.5)
        sides.append((torch.from_numpy(features).float(), classes))
    return sides


def test_of_equals_the_strongest_penalty(checkpoint):
    features = torch.tensor([[-1.0], [1.0]] * 10)
    classes = np.array([0, 1] * 10)
    assert fit_probe((features, classes), (features, classes), 2).c == CS[0]


def test_refitting_uses_the_validation_rows_too(overlapping):
    train, validation = overlapping
    apart, both = (fit_probe(train, validation, 4, refit=refit) for refit in (False, True))
    assert apart.c == both.c and (apart.head.weight - both.head.weight).abs().max() > 1e-4


def test_neighbours_vote_as_scikit_learns_do(overlapping):
    train, validation = overlapping
    ours = neighbours_say(train, validation[0], 4)
    vectors = [F.normalize(side[0], dim=1).numpy() for side in overlapping]
    theirs = KNeighborsClassifier(20, metric="cosine", weights=lambda far: np.exp((1 - far) / 0.07))
    assert (ours == theirs.fit(vectors[0], train[1]).predict(vectors[1])).mean() > 0.99


def slow_thresholds(scores, targets):
    """Every threshold between two scores, one after the other."""
    best = []
    for column, truth in zip(scores.T, targets.T, strict=True):
        values = np.unique(column)
        cuts = [*((values[1:] + values[:-1]) / 2), values[0] - 1]
        best.append(max(f1_score(truth, column >= cut) for cut in cuts))
    return best


def test_thresholds_give_the_best_f1():
    draws = np.random.default_rng(0)
    scores = draws.normal(size=(80, 3)).round(1)  # with equal scores
    targets = (scores + draws.normal(size=(80, 3)) > 0.8).astype(float)
    found = best_thresholds(torch.from_numpy(scores), targets).numpy()
    ours = f1_score(targets, scores >= found, average=None)
    assert ours == pytest.approx(slow_thresholds(scores, targets))


def test_a_unit_that_never_shows_is_never_predicted():
    targets = np.array([[0.0, 1.0], [np.nan, 0.0]])
    assert best_thresholds(torch.zeros(2, 2), targets)[0] == float("inf")


def test_examples():
    for module in (thresholds, linear_probe, few_shot):
        assert doctest.testmod(module).failed == 0


def test_few_shots_are_drawn_apart_from_what_chooses():
    classes = np.array([0] * 30 + [1] * 10 + [2] * 2 + [3])
    for shots in (1, 2, 8, 16):
        chosen, held = few_shot.draw(classes, shots, seed=0)
        assert not set(chosen) & set(held) and len(set(chosen)) == len(chosen)
        assert np.bincount(classes[chosen]).tolist() == [shots, min(shots, 9), 1, 1]
        assert np.bincount(classes[held]).tolist() == [min(shots, 4), min(shots, 4, 10 - min(shots, 9)), 1]
    assert few_shot.draw(classes, 4, 0)[0].tolist() != few_shot.draw(classes, 4, 1)[0].tolist()
    assert few_shot.draw(np.arange(3), 1, 0)[1].size == 3  # nothing else to choose on


def unit_folds():
    """Two folds of a made-up benchmark of action units, with its protocol."""
    pictures, _, units = tinted(48, seed=7)
    units[0, 0] = np.nan
    table = datasets.Dataset.from_dict({"image": pictures, "labels": units.tolist()})
    table.info.description = '{"benchmark": "units", "title": "Units", "labels": ["AU1", "AU2"]}'
    parts = [Part(table, rows) for rows in np.array_split(np.arange(48), 4)]
    train = Part(table, np.arange(24))
    return [Fold(train, parts[2], parts[3], "20% of train", 1), Fold(train, parts[3], parts[2], "20% of train", 2)]


def test_action_units_with_folds(checkpoint, tmp_path):
    folds = unit_folds()
    result = run(checkpoint, folds, save_to=tmp_path)
    assert result.metrics["f1"].value > 0.9 and result.n == 24 and len(result.details["thresholds"]) == 2
    assert set(result.details["f1"]) == {"AU1", "AU2"}

    classify = pipeline("image-classification", model=str(tmp_path / "fold2"))
    truth = folds[1].test
    pictures = [truth.dataset[int(row)]["image"] for row in truth.rows]
    answers = [{a["label"]: a["score"] >= 0.5 for a in one} for one in classify(pictures)]
    served = np.array([[one["AU1"], one["AU2"]] for one in answers], dtype=int)
    f1 = f1_score(truth.column("labels"), served, average="macro")
    assert f1 > 0.9


def test_every_dataset_is_encoded_once(checkpoint, monkeypatch):
    from emocapclip_hf.eval import splits

    calls, embed = [], splits.embed_images
    monkeypatch.setattr(splits, "embed_images", lambda *a, **k: calls.append(a[2]) or embed(*a, **k))
    run(checkpoint, unit_folds())
    assert len(calls) == 1


def test_rows_that_cannot_be_read_are_left_out(checkpoint, source):
    pictures = [{"bytes": b"no picture", "path": None}] + [
        {"bytes": _png(p), "path": None} for p in source["test"]["image"][:5]
    ]
    table = datasets.Dataset.from_dict({"id": list("abcdef"), "image": pictures}).cast_column(
        "image", datasets.Image()
    )
    vectors = Vectors(checkpoint)
    with pytest.warns(UserWarning, match="1 of 6 rows"):
        features, part = vectors.of(Part(table, np.array([0, 2, 3])))
    assert part.rows.tolist() == [2, 3] and features.shape == (2, 32) and vectors.skipped()[0][0] == "a"


def _png(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    return buffer.getvalue()


def test_subjects_are_not_on_both_sides(tmp_path):
    table = datasets.Dataset.from_dict(
        {
            "image": tinted(40, 0)[0] * 2,
            "label": ["a", "b"] * 40,
            "subject": [f"s{number // 4}" for number in range(80)],
        }
    )
    (fold,) = load_folds("datasets", datasets.DatasetDict(train=table, test=table.select(range(4))))
    kept, held = set(fold.train.column("subject")), set(fold.validation.column("subject"))
    assert fold.held_out == "20% of train, by subject" and len(held) == 4 and len(kept) == 16 and not kept & held


def test_folds_by_subject_are_parts_of_one_dataset(tmp_path):
    subjects = ["KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM"]
    for number, subject in enumerate(subjects):
        for emotion in ("AN", "HA"):
            Image.new("RGB", (1, 1)).save(tmp_path / f"{subject}.{emotion}1.{number}.tiff")
    folds = load_folds("jaffe", tmp_path)
    assert [fold.number for fold in folds] == list(range(1, 11))
    assert len({fold.test.dataset._fingerprint for fold in folds}) == 1
    for fold in folds:
        sides = [set(part.column("subject")) for part in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, sides)) == len(set.union(*sides)) == 10 and len(sides[2]) == 1
    assert sorted(row for fold in folds for row in fold.test.rows) == list(range(20))
    assert load_folds("jaffe", tmp_path, fold=3)[0].test.rows.tolist() == folds[2].test.rows.tolist()


def test_a_benchmark_without_train_says_so():
    with pytest.raises(ValueError, match="FaceXBench expressions has no train split to fit on; it has test"):
        load_folds("facexbench")


def test_heads_of_other_models_cannot_be_saved(checkpoint, source, tmp_path):
    tower = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = SiglipConfig(
        text_config={**tower, "vocab_size": 8, "max_position_embeddings": 16, "projection_size": 32},
        vision_config={**tower, "image_size": 32, "patch_size": 8},
    )
    other = Checkpoint("siglip", "", SiglipModel(config).eval(), checkpoint.processor)
    with pytest.raises(ValueError, match="head of a SiglipModel cannot be saved"):
        run(other, load_folds("datasets", source), few_shot=False, save_to=tmp_path)
