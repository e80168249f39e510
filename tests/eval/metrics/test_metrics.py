"""The metrics against scikit-learn, scipy and loops, as plain functions and as `evaluate` modules."""

import doctest
from pathlib import Path

import evaluate
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from emocapclip_hf.eval.metrics import functions, space
from emocapclip_hf.eval.metrics.functions import (
    action_unit_f1,
    ccc,
    ece,
    f1_per_label,
    pcc,
    recall_per_class,
    rmse,
    sagr,
    uar,
    war,
)

FOLDER = Path(functions.__file__).parent
MODULES = space.names()
DRAWS = np.random.default_rng(0)
LABELS = DRAWS.integers(0, 7, size=(2, 400))
SERIES = DRAWS.normal(size=(2, 300)) + np.linspace(-1, 1, 300)
UNITS = DRAWS.integers(0, 2, size=(2, 200, 5))


def test_recalls_and_accuracy():
    predictions, references = LABELS
    assert uar(predictions, references) == pytest.approx(
        sklearn.metrics.recall_score(references, predictions, average="macro")
    )
    assert war(predictions, references) == pytest.approx(sklearn.metrics.accuracy_score(references, predictions))
    each = sklearn.metrics.recall_score(references, predictions, average=None)
    assert list(recall_per_class(predictions, references).values()) == pytest.approx(each)


def test_uar_is_over_the_classes_that_occur():
    assert uar([0, 1, 2], [0, 0, 0]) == pytest.approx(1 / 3)
    assert recall_per_class([5, 1], [5, 2]) == {2: 0.0, 5: 1.0}


def loop_ccc(predictions, references, freedom):
    n = len(references)
    means = sum(predictions) / n, sum(references) / n
    variances = [
        sum((value - mean) ** 2 for value in side) / (n - freedom)
        for side, mean in zip((predictions, references), means, strict=True)
    ]
    both = zip(predictions, references, strict=True)
    covariance = sum((a - means[0]) * (b - means[1]) for a, b in both) / (n - freedom)
    return 2 * covariance / (sum(variances) + (means[0] - means[1]) ** 2)


@pytest.mark.parametrize(("kind", "freedom"), [("biased", 0), ("unbiased", 1)])
def test_ccc_of_both_kinds(kind, freedom):
    predictions, references = SERIES
    assert ccc(predictions, references, kind) == pytest.approx(loop_ccc(predictions, references, freedom))
    videos = np.repeat(["b", "a", "c"], [50, 200, 50])
    each = [loop_ccc(predictions[videos == video], references[videos == video], freedom) for video in "abc"]
    mixed = DRAWS.permutation(300)
    assert ccc(predictions[mixed], references[mixed], kind, videos[mixed]) == pytest.approx(np.mean(each))


def test_ccc_of_constants():
    assert ccc([0.5, 0.5], [0.1, 0.9]) == 0
    assert ccc([0.5, 0.5], [0.5, 0.5]) == 1
    assert ccc([0.5], [0.5], "unbiased") == 1 and ccc([0.4], [0.5], "unbiased") == 0


def test_pearson_error_and_sign():
    predictions, references = SERIES
    assert pcc(predictions, references) == pytest.approx(scipy.stats.pearsonr(predictions, references).statistic)
    assert pcc(np.ones(300), references) == 0
    assert rmse(predictions, references) == pytest.approx(
        sklearn.metrics.root_mean_squared_error(references, predictions)
    )
    agree = [(a > 0) == (b > 0) for a, b in zip(predictions, references, strict=True)]
    assert sagr(predictions, references) == pytest.approx(sum(agree) / 300)
    assert sagr([0.0, 0.0, -1.0], [0.0, 1.0, -0.1]) == pytest.approx(2 / 3)


def loop_ece(probabilities, references, bins):
    total = 0.0
    for place in range(bins):
        low, high = place / bins, (place + 1) / bins
        chosen = [row for row, p in enumerate(probabilities) if low < max(p) <= high]
        if chosen:
            confidence = sum(max(probabilities[row]) for row in chosen) / len(chosen)
            accuracy = sum(int(np.argmax(probabilities[row])) == references[row] for row in chosen) / len(chosen)
            total += len(chosen) / len(references) * abs(confidence - accuracy)
    return total


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_error(bins):
    probabilities = DRAWS.dirichlet(np.full(4, 0.5), size=500)
    references = DRAWS.integers(0, 4, size=500)
    assert ece(probabilities, references, bins) == pytest.approx(loop_ece(probabilities, references, bins))
    assert ece([[1.0, 0.0], [0.0, 1.0]], [0, 0]) == 0.5


def test_f1_of_action_units():
    predictions, references = UNITS
    each = sklearn.metrics.f1_score(references, predictions, average=None)
    assert f1_per_label(predictions, references) == pytest.approx(each)
    assert action_unit_f1(predictions, references) == pytest.approx(each.mean())


def test_units_that_were_not_annotated_do_not_count():
    predictions, references = UNITS[0], UNITS[1].astype(float)
    hidden = DRAWS.random(references.shape) < 0.3
    references[hidden] = np.nan
    for unit, f1 in enumerate(f1_per_label(predictions, references)):
        known = ~hidden[:, unit]
        assert f1 == pytest.approx(sklearn.metrics.f1_score(references[known, unit], predictions[known, unit]))
    assert list(f1_per_label([[0, 1]], [[0, np.nan]])) == [0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: uar([0, 1], [0]), "as many predictions"),
        (lambda: war([], []), "as many predictions"),
        (lambda: ccc([0.0, np.nan], [0, 1]), "predictions has 1 rows that are not finite, first row 1"),
        (lambda: rmse([0.0, 1.0], [0, np.inf]), "references has 1 rows"),
        (lambda: ccc([0.0], [0.0], "lin"), "kind 'lin': choose from biased, unbiased"),
        (lambda: ece([0.5, 0.5], [0, 1]), "probabilities"),
        (lambda: action_unit_f1([[0, 1]], [[0]]), "two tables"),
    ],
)
def test_bad_input_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_examples_in_docstrings():
    assert doctest.testmod(functions).failed == 0


def test_every_metric_is_an_evaluate_module(tmp_path, monkeypatch):
    """Each loads from disk, and its example gives what it says."""
    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.chdir(FOLDER.parents[1])
    load = evaluate.load
    monkeypatch.setattr(evaluate, "load", lambda path: load(path, cache_dir=str(tmp_path)))
    assert set(MODULES) >= {"uar", "war", "ccc", "pcc", "rmse", "sagr", "ece", "action_unit_f1"}
    for name in MODULES:
        metric = evaluate.load(f"eval/metrics/{name}.py")
        test = doctest.DocTestParser().get_doctest(metric.inputs_description, {}, name, None, 0)
        assert test.examples and doctest.DocTestRunner().run(test).failed == 0


def test_options_reach_the_function(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    metric = evaluate.load(str(FOLDER / "ccc.py"), cache_dir=str(tmp_path))
    predictions, references = SERIES
    found = metric.compute(predictions=predictions, references=references, kind="unbiased")
    assert found == {"ccc": pytest.approx(ccc(predictions, references, "unbiased"))}


def test_a_metric_as_a_space_loads_from_its_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = space.write_space("ccc", tmp_path)
    written = {path.name for path in folder.iterdir()}
    assert written == {"ccc.py", "functions.py", "README.md", "app.py", "requirements.txt"}
    predictions, references = SERIES
    metric = evaluate.load(str(folder), cache_dir=str(tmp_path))
    assert metric.compute(predictions=predictions, references=references)["ccc"] == ccc(predictions, references)
    assert "unbiased" in (folder / "README.md").read_text()
    with pytest.raises(ValueError, match="no metric 'functions'; there are"):
        space.write_space("functions", tmp_path)
