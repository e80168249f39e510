"""UAR by group against scikit-learn and against resampling faces one by one."""

import numpy as np
import pytest
from sklearn.metrics import recall_score

from emocapclip_hf.hub.group_gaps import group_recalls, largest_gaps

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 4, 600)
GROUPS = RNG.choice(["older", "young"], 600)
# The older are recognised less often.
FOUND = np.where(RNG.random(600) < np.where(GROUPS == "older", 0.6, 0.9), TRUTH, (TRUTH + 1) % 4)


def test_each_group_has_scikit_learns_macro_recall():
    recalls = {recall.group: recall for recall in group_recalls(TRUTH, FOUND, {"age": GROUPS})}
    for name, recall in recalls.items():
        of_group = name == GROUPS
        expected = recall_score(TRUTH[of_group], FOUND[of_group], average="macro")
        assert recall.uar == pytest.approx(expected) and recall.faces == of_group.sum()
        assert recall.low < recall.uar < recall.high
    assert largest_gaps(list(recalls.values())) == {"age": recalls["young"].uar - recalls["older"].uar}
    assert recalls["older"].high < recalls["young"].low


def test_the_interval_is_that_of_drawing_faces_again():
    (recall,) = group_recalls(TRUTH, FOUND, {"all": ["one"] * 600})
    by_class = [np.flatnonzero(np.equal(TRUTH, each)) for each in range(4)]
    drawn = []
    for _ in range(2000):
        picks = [RNG.choice(rows, len(rows)) for rows in by_class]
        drawn.append(np.mean([(FOUND[rows] == TRUTH[rows]).mean() for rows in picks]))
    assert (recall.low, recall.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01)


def test_groups_are_compared_over_the_classes_that_all_of_them_show():
    truth, found = ["happy", "sad", "happy"], ["happy", "happy", "happy"]
    recalls = group_recalls(truth, found, {"glasses": [True, True, False]})
    assert [(recall.uar, recall.faces) for recall in recalls] == [(1.0, 1), (1.0, 1)]
    assert group_recalls(["happy", "sad"], ["happy", "sad"], {"glasses": [True, False]}) == []


def test_a_face_without_a_group_is_an_error():
    with pytest.raises(ValueError, match="glasses has 1 values for 2 faces"):
        group_recalls(["happy", "sad"], ["happy", "sad"], {"glasses": [True]})
