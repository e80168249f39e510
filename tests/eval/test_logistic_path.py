"""The path of linear heads against scikit-learn, which solves each penalty by itself."""

import doctest

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from emocapclip_hf.eval import logistic_path as module
from emocapclip_hf.eval.logistic_path import logistic_path

CS = np.logspace(-4, 4, 9)


@pytest.fixture(params=[(300, 20), (40, 64)], ids=["many rows", "few rows"])
def faces(request):
    """Rows of unequal spread around class means, as embeddings are; classes overlap."""
    rows, dim = request.param
    draws = np.random.default_rng(rows)
    classes = draws.permutation(np.arange(rows) % 4)
    spread = np.arange(1, dim + 1) ** -0.5
    means = draws.normal(size=(4, dim)) * 0.7
    return (means[classes] + draws.normal(size=(rows, dim)) * 2 + 5) * spread, classes


def objective(features, classes, weight, bias, penalty):
    logits = features @ weight.T + bias
    losses = logsumexp(logits, axis=1) - logits[np.arange(len(classes)), classes]
    return losses.mean() + penalty / 2 * (weight**2).sum()


def test_no_penalty_is_solved_worse_than_scikit_learn_solves_it(faces):
    features, classes = faces
    penalties = 1 / (CS * len(classes))
    heads = logistic_path(torch.from_numpy(features), torch.from_numpy(classes), penalties)
    for c, penalty, head in zip(CS, penalties, heads, strict=True):
        theirs = LogisticRegression(C=c, max_iter=20_000, tol=1e-8).fit(features, classes)
        best = objective(features, classes, theirs.coef_, theirs.intercept_, penalty)
        ours = objective(features, classes, head.weight.double().numpy(), head.bias.double().numpy(), penalty)
        assert ours - best < 2e-5, c
        agree = head(torch.from_numpy(features).float()).argmax(dim=1).numpy() == theirs.predict(features)
        assert agree.mean() > 0.98, c


def test_labels_that_do_not_exclude_each_other():
    """One column at a time is scikit-learn's binary problem; rows that are not annotated are not there."""
    draws = np.random.default_rng(1)
    features = draws.normal(size=(200, 10))
    targets = (features @ draws.normal(size=(10, 3)) + draws.normal(size=(200, 3)) > 0.5).astype(float)
    targets[draws.random(targets.shape) < 0.2] = np.nan
    (head,) = logistic_path(torch.from_numpy(features), torch.from_numpy(targets), [1 / 200], "sigmoid")
    for label in range(3):
        known = ~np.isnan(targets[:, label])
        theirs = LogisticRegression(C=1.0, tol=1e-8).fit(features[known], targets[known, label])
        assert head.weight[label].numpy() == pytest.approx(theirs.coef_[0], abs=0.02)
        assert head.bias[label].item() == pytest.approx(theirs.intercept_[0], abs=0.02)


def test_heads_stand_in_the_order_of_their_penalties(faces):
    features, classes = torch.from_numpy(faces[0]), torch.from_numpy(faces[1])
    norms = [head.weight.norm().item() for head in logistic_path(features, classes, [1.0, 0.001, 0.1])]
    assert norms[0] < norms[2] < norms[1]


def test_a_path_ends_where_a_single_penalty_does(faces):
    features, classes = torch.from_numpy(faces[0]), torch.from_numpy(faces[1])
    penalties = [1.0, 0.1, 0.01, 0.001]
    last, alone = logistic_path(features, classes, penalties)[-1], logistic_path(features, classes, penalties[-1:])[0]
    assert (last(features.float()).softmax(1) - alone(features.float()).softmax(1)).abs().max() < 0.02


def test_a_class_without_rows_is_never_the_answer():
    features = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    (head,) = logistic_path(features, torch.arange(20) % 2, [0.1], labels=4)
    assert head.weight.shape == (4, 5) and head(features).argmax(dim=1).max() < 2


def test_features_that_say_nothing():
    (head,) = logistic_path(torch.ones(8, 3), torch.tensor([0, 0, 0, 1] * 2), [0.1])
    assert head(torch.ones(1, 3)).softmax(dim=1)[0].tolist() == pytest.approx([0.75, 0.25], abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "hinge"}, "loss='hinge'"),
        ({"penalties": [1.0, 0.0]}, "penalties must be positive"),
        ({"features": torch.tensor([[0.0], [float("nan")]])}, "1 rows of features are not finite, first row 1"),
    ],
)
def test_bad_input_says_what_is_wrong(change, message):
    arguments = {"features": torch.zeros(2, 1), "targets": torch.tensor([0, 1]), "penalties": [1.0]}
    with pytest.raises(ValueError, match=message):
        logistic_path(**arguments | change)


def test_example():
    assert doctest.testmod(module).failed == 0
