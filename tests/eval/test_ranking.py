"""Ranks under ties against all orders one by one, against scikit-learn where nothing ties, and at chance."""

import doctest
from itertools import pairwise, permutations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from emocapclip_hf.eval import ranking
from emocapclip_hf.eval.ranking import KS, chance, rank


def in_every_order(scores, right):
    """The mean over all orders of the gallery that the scores allow: hits at KS, first rank, average precision."""
    found = []
    for order in permutations(range(len(scores))):
        ranked = [scores[place] for place in order]
        if all(a >= b for a, b in pairwise(ranked)):
            places = [order.index(answer) + 1 for answer in right]
            places.sort()
            precision = np.mean([(number + 1) / place for number, place in enumerate(places)])
            found.append([*(float(places[0] <= k) for k in KS), places[0], precision])
    return np.mean(found, axis=0)


@pytest.mark.parametrize("few", [0, 16], ids=["sorted", "counted"])
@pytest.mark.parametrize(
    ("scores", "right"),
    [
        ([0.3, 0.2, 0.1, 0.0, -0.1, -0.2], [2]),
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], [0, 4]),
        ([0.9, 0.5, 0.5, 0.5, 0.1, 0.1], [1, 4]),
        ([0.9, 0.9, 0.5, 0.5, 0.5, 0.1], [1, 2, 3, 5]),
        ([0.1, 0.1, 0.9], [0, 1, 2]),
    ],
)
def test_ties_are_every_order_alike(scores, right, few, monkeypatch):
    monkeypatch.setattr(ranking, "_FEW", few)
    found = rank([np.array([scores], dtype=np.float32)], [np.array(right)])
    assert [*found.hits[0], found.first[0], found.precision[0]] == pytest.approx(in_every_order(scores, right))


@pytest.fixture
def scores():
    return np.random.default_rng(0).uniform(-1, 1, size=(40, 300)).astype(np.float32)


@pytest.mark.parametrize("answers", [1, 3, 50])
def test_without_ties_they_are_the_usual_figures(scores, answers):
    draws = np.random.default_rng(1)
    right = [draws.choice(300, answers, replace=False) for _ in scores]
    found = rank(np.split(scores, [7, 30]), right)
    for row, own in enumerate(right):
        truth = np.isin(np.arange(300), own)
        assert found.precision[row] == pytest.approx(average_precision_score(truth, scores[row]))
        place = np.flatnonzero(truth[np.argsort(-scores[row])])[0] + 1
        assert found.first[row] == place and found.hits[row].tolist() == [float(place <= k) for k in KS]


@pytest.mark.parametrize("answers", [1, 4, 40])
def test_constant_scores_are_at_chance_exactly(answers):
    right = [np.arange(answers) + start for start in range(20)]  # the first of the gallery, whom a bias would favour
    found, expected = rank([np.full((20, 100), 0.25, dtype=np.float32)], right), chance(100, right)
    assert found.hits == pytest.approx(expected.hits) and found.first == pytest.approx(expected.first)
    assert found.precision == pytest.approx(expected.precision)
    if answers == 1:
        assert found.hits[0].tolist() == pytest.approx([0.01, 0.05, 0.1]) and found.first[0] == pytest.approx(50.5)


def test_rounding_is_no_preference():
    """Equal vectors multiplied in another order differ in the last bits."""
    noise = np.random.default_rng(0).uniform(-1e-7, 1e-7, size=(5, 100)).astype(np.float32)
    right = [np.array([row]) for row in range(5)]
    assert rank([0.5 + noise], right).hits == pytest.approx(chance(100, right).hits)


def test_bad_input_says_what_is_wrong(scores):
    with pytest.raises(ValueError, match="no right answer in the gallery"):
        rank([scores[:1]], [np.array([], dtype=int)])
    with pytest.raises(ValueError, match="2 queries have right answers, but 1 have scores"):
        rank([scores[:1]], [np.array([0]), np.array([1])])
    scores[0, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        rank([scores[:1]], [np.array([3])])


def test_example():
    assert doctest.testmod(ranking).failed == 0
