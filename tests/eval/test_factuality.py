"""What captions say, read by hand, and how they compare with the face."""

import numpy as np
import pytest

from emocapclip_hf.data.synthfaces import describe, sample_face
from emocapclip_hf.data.synthfaces.dataset import face_row
from emocapclip_hf.eval.factuality import FaceFacts, UnitFacts, compare, facts_of, facts_of_row

OPENING, CLOSING = "This face looks happy.", "Overall, the raised cheeks show joy."

# local sentence → units with side and strength, units denied
SENTENCES = {
    "The brows are raised.": ({1: ("both", None), 2: ("both", None)}, ()),
    "The brows are not raised.": ({}, (1, 2)),
    "No frown pulls the eyebrows down.": ({}, (4,)),
    "The left brow is not lowered, while the lips are slightly parted.": ({25: ("both", 0)}, (4,)),
    "The left lip corner is strongly pulled up.": ({12: ("left", 2)}, ()),
    "The right lip corner is clearly pulled up, but not the left.": ({12: ("right", 1)}, ()),
    "Both cheeks are just slightly lifted.": ({6: ("both", 0)}, ()),
    "The chin is neither wrinkled nor pushed up.": ({}, (17,)),
    "There is a moustache on the lower face, which says nothing about the mood.": ({}, ()),
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_units_sides_strengths_and_negations(sentence):
    units, denied = SENTENCES[sentence]
    facts = facts_of(f"This face looks happy. {sentence} Overall, the face is happy.")
    assert {unit: (fact.side, fact.strength) for unit, fact in facts.units.items()} == units
    assert facts.denied_units == set(denied)


@pytest.mark.parametrize(
    ("opening", "closing", "emotions", "denied"),
    [
        ("This face looks happy and delighted.", "Overall, this is joy.", {"happiness"}, set()),
        (
            "This face looks happily surprised.",
            "Overall, it is joy and astonishment.",
            {"happiness", "surprise"},
            set(),
        ),
        ("This face is not angry but sad.", "Overall, it shows sorrow.", {"sadness"}, {"anger"}),
        ("This face looks hard to name.", "Overall, it shows no single emotion.", set(), set()),
        ("This face looks calm and expressionless.", "Overall, nothing moves.", {"neutral"}, set()),
        ("This face looks happy.", "Overall, the face is angry.", {"happiness", "anger"}, set()),
    ],
)
def test_emotions_of_the_opening_and_the_closing_sentence(opening, closing, emotions, denied):
    facts = facts_of(f"{opening} The lips are parted. {closing}")
    assert (facts.emotions, facts.denied_emotions) == (emotions, denied)


STRUCTURED = f"{OPENING} The lips are parted. The cheeks are raised. {CLOSING}"


@pytest.mark.parametrize(
    "caption",
    [
        f"{OPENING} {CLOSING}",  # no local sentence
        f"{OPENING} The lips are parted. The cheeks are raised.",  # no closing one
        f"{OPENING} The lips are parted. Overall, the raised cheeks show",  # cut short
        f"{OPENING} The lips are parted. The lips are parted. {CLOSING}",  # twice
        f"{OPENING} The the lips are parted. {CLOSING}",  # stuttered
        f"{OPENING} the lips are parted. {CLOSING}",
        "",
    ],
)
def test_structure_is_three_levels_of_whole_sentences(caption):
    assert facts_of(STRUCTURED).is_structured
    assert not facts_of(caption).is_structured


TRUTH = FaceFacts(
    frozenset({"happiness"}), {6: UnitFacts("left", 1), 12: UnitFacts("both", 2), 25: UnitFacts("both", 0)}
)


def measured(caption, truth=TRUTH):
    found = compare([facts_of(caption)], [truth])
    return {
        name: getattr(found, name).tolist()[0]
        for name in ("emotion", "contradicted", "hallucinated", "side", "strength", "structured")
    } | {"hits": int((found.said * found.there).sum())}


@pytest.mark.parametrize(
    ("middle", "expected"),
    [
        (
            "The left cheek is clearly raised.",
            {"contradicted": 0, "side": 1, "strength": 1, "hits": 1},
        ),
        ("The right cheek is clearly raised.", {"contradicted": 1, "side": 0, "strength": 1, "hits": 1}),
        ("Both cheeks are strongly raised.", {"contradicted": 0, "side": 0, "strength": 0, "hits": 1}),
        ("The lips are not parted.", {"contradicted": 1, "hallucinated": 0, "hits": 0}),
        ("The brows are not raised.", {"contradicted": 0, "hallucinated": 0, "hits": 0}),
        ("The brows are raised.", {"contradicted": 0, "hallucinated": 2, "hits": 0}),
        ("The lips are parted.", {"contradicted": 0, "hallucinated": 0, "side": 1, "strength": np.nan, "hits": 1}),
    ],
)
def test_comparison_with_the_face(middle, expected):
    found = measured(f"This face looks happy. {middle} Overall, the face is happy.")
    assert found["emotion"] == 1
    for name, value in expected.items():
        np.testing.assert_equal(found[name], value, err_msg=name)


def test_a_wrong_or_a_second_emotion_is_wrong():
    for words in ("angry", "happily surprised", "hard to name"):
        assert measured(f"This face looks {words}. The lips are parted. Overall, it is so.")["emotion"] == 0


def test_denying_the_face_s_emotion_contradicts_it():
    assert measured("This face is not happy. The lips are parted. Overall, nothing stands out.")["contradicted"] == 1


def test_what_is_not_known_is_not_counted():
    found = compare([facts_of(STRUCTURED)] * 2, [FaceFacts(None, None), TRUTH])
    assert np.isnan([found.emotion[0], found.hallucinated[0], found.side[0], *found.there[0]]).all()
    assert not np.isnan(found.emotion[1]) and found.said.shape == found.there.shape == (2, 3)


def test_captions_of_the_generator_are_true_of_their_faces():
    """Parser and generator agree but for words that mean two units at once, such as an arched brow."""
    faces = [sample_face(seed, "test") for seed in range(150)]
    captions = [facts_of(describe(face, "short").to_paragraph()) for face in faces]
    found = compare(captions, [facts_of_row(face_row(face, 32)) for face in faces])
    assert found.emotion.mean() > 0.98 and found.structured.all()
    hits, claims = (found.said * found.there).sum(), found.said.sum() + found.there.sum()
    assert 2 * hits / claims > 0.98 and found.hallucinated.mean() < 0.2
    assert np.nanmean(found.side) > 0.97 and np.nanmean(found.strength) > 0.97 and found.contradicted.mean() < 0.02
