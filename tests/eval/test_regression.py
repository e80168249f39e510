"""Ridge on embeddings: against scikit-learn, what it chooses, and what a run reports."""

import doctest

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import Ridge

from emocapclip_hf.eval import regression
from emocapclip_hf.eval.checkpoint import load_checkpoint
from emocapclip_hf.eval.metrics.functions import ccc
from emocapclip_hf.eval.regression import ALPHAS, RidgePath, fit_ridge, run
from emocapclip_hf.eval.splits import Fold, Part, load_folds


@pytest.fixture(scope="module")
def series():
    """Train and validation: two targets that hang on the features, one with gaps; the features far from 0."""
    draws = np.random.default_rng(0)
    weight = draws.normal(size=(12, 2))
    sides = []
    for rows in (150, 60):
        features = draws.normal(size=(rows, 12))
        targets = features @ weight + draws.normal(size=(rows, 2)) * 4
        targets[: rows // 5, 1] = np.nan
        sides.append((torch.from_numpy(features * 3 + 20), targets))
    return sides


@pytest.mark.parametrize("alpha", [1e-6, 0.01, 1.0, 100.0])
def test_each_penalty_is_scikit_learns(series, alpha):
    (features, targets), _ = series
    ours = RidgePath(features, targets).fit([alpha]).predict(features)
    for target in range(2):
        known = ~np.isnan(targets[:, target])
        rows = features[torch.from_numpy(known)].numpy()
        scale = np.sqrt(np.mean((rows - rows.mean(axis=0)) ** 2))
        theirs = Ridge(alpha * len(rows)).fit(rows / scale, targets[known, target])
        assert ours[:, target] == pytest.approx(theirs.predict(features.numpy() / scale), abs=1e-8)


def test_more_features_than_rows():
    features, targets = torch.randn(10, 40, dtype=torch.float64), np.arange(10.0)[:, None]
    exact = RidgePath(features, targets).fit([1e-12]).predict(features)
    assert exact == pytest.approx(targets, abs=1e-3)


def test_the_penalty_is_the_one_of_the_best_ccc(series):
    train, validation = series
    chosen = fit_ridge(train, validation, "unbiased")
    path = RidgePath(*train)
    for target in range(2):
        known = ~np.isnan(validation[1][:, target])
        scores = [
            ccc(path.fit([alpha]).predict(validation[0])[known, target], validation[1][known, target], "unbiased")
            for alpha in ALPHAS
        ]
        assert chosen.alphas[target] == ALPHAS[np.argmax(scores)]
    refitted = fit_ridge(train, validation, "unbiased", refit=True)
    assert (refitted.alphas == chosen.alphas).all() and np.abs(refitted.weight - chosen.weight).max() > 1e-6


@pytest.fixture(scope="module")
def checkpoint(small_checkpoint_folder):
    return load_checkpoint(str(small_checkpoint_folder))


def shaded(rows, seed, **columns):
    """Brightness is valence, redness arousal."""
    draws = np.random.default_rng(seed)
    affect = draws.uniform(-1, 1, size=(rows, 2))
    pictures = np.full((rows, 32, 32, 3), 128.0) + 60 * affect[:, 0, None, None, None]
    pictures[..., 0] += 60 * affect[:, 1, None, None]
    pictures = np.clip(pictures + draws.normal(size=pictures.shape) * 10, 0, 255).astype(np.uint8)
    return {
        "image": [Image.fromarray(picture) for picture in pictures],
        "valence": affect[:, 0].astype(np.float32),
        "arousal": affect[:, 1].astype(np.float32),
        **columns,
    }


@pytest.fixture(scope="module")
def source():
    tables = {"train": shaded(80, 0), "test": shaded(40, 1, subject=["b", "a"] * 20)}
    return datasets.DatasetDict({split: datasets.Dataset.from_dict(table) for split, table in tables.items()})


def test_valence_and_arousal(checkpoint, source, tmp_path):
    result = run(checkpoint, load_folds("datasets", source))
    measures = ("ccc", "pcc", "rmse", "sagr")
    assert set(result.metrics) == {f"{target}_{m}" for target in ("valence", "arousal") for m in measures}
    assert result.metrics["valence_ccc"].value > 0.8 and result.metrics["valence_sagr"].value > 0.8
    assert result.protocol["regression"]["ccc"] == "biased, over all rows" and result.n == 40
    assert result.load(result.save(tmp_path)).flat() == result.flat()
    by_video = run(checkpoint, load_folds("datasets", source), ccc_over="sequence", ccc_kind="unbiased")
    assert by_video.protocol["regression"]["ccc"] == "unbiased, over each video, then the mean"
    assert by_video.metrics["valence_ccc"].value != result.metrics["valence_ccc"].value
    assert by_video.metrics["valence_rmse"] == result.metrics["valence_rmse"]


def test_intensities_of_action_units_over_folds(checkpoint):
    table = shaded(60, 2)
    intensities = np.stack([2.5 + 2.5 * table.pop("valence"), 2.5 + 2.5 * table.pop("arousal")], axis=1)
    intensities[5, 0] = np.nan
    made = datasets.Dataset.from_dict(table | {"intensities": intensities.tolist()})
    made.info.description = '{"benchmark": "units", "title": "Units", "labels": ["AU6", "AU12"]}'
    thirds = [Part(made, rows) for rows in np.array_split(np.arange(60), 3)]
    folds = [
        Fold(thirds[number], thirds[number - 1], thirds[number - 2], "20% of train", number + 1) for number in range(3)
    ]
    result = run(checkpoint, folds)
    values = {name: metric.value for name, metric in result.metrics.items()}
    assert set(values) == {f"{name}_{m}" for name in ("AU6", "AU12", "mean") for m in ("ccc", "pcc", "rmse")}
    assert (
        values["mean_ccc"] == pytest.approx((values["AU6_ccc"] + values["AU12_ccc"]) / 2) and values["AU6_ccc"] > 0.5
    )
    assert result.n == 60 and result.protocol["fold"] == "mean over folds"


def test_bad_input_says_what_is_wrong(checkpoint, source):
    with pytest.raises(ValueError, match="choose from all, sequence"):
        run(checkpoint, load_folds("datasets", source), ccc_over="video")
    bare = source.remove_columns(["valence", "arousal"])
    with pytest.raises(ValueError, match="nothing to regress"):
        run(checkpoint, load_folds("datasets", bare))
    with pytest.raises(ValueError, match="needs the video of every row"):
        (fold,) = load_folds("datasets", source)
        run(checkpoint, [Fold(fold.train, fold.validation, fold.train)], ccc_over="sequence")


def test_example():
    assert doctest.testmod(regression).failed == 0
