"""What phrases mean by the company that they keep."""

import pytest
import torch

from emocapclip_hf.training.latent_semantics import LatentSemantics

ABOUT = {
    "fear": "wide eyes, raised brows, no smile",
    "dread": "wide eyes, raised brows, no smile",
    "joy": "narrow eyes, raised cheeks, a broad smile",
    "delight": "narrow eyes, raised cheeks, a broad smile",
}


@pytest.fixture(scope="module")
def semantics():
    captions = [f"This person shows {emotion}: {what}." for emotion, what in ABOUT.items()]
    return LatentSemantics(captions * 10, dim=2)


def test_words_said_of_the_same_faces_are_alike(semantics):
    fear, dread, joy, delight = semantics(list(ABOUT))
    assert fear @ dread > 0.8 and joy @ delight > 0.8
    assert fear @ joy < 0 and dread @ delight < 0


def test_what_is_said_of_any_face_says_nothing(semantics):
    fear, shown = semantics(["fear", "this person shows fear"])
    assert fear @ shown > 0.99


def test_a_denied_smile_is_no_smile(semantics):
    """Negations are stop words to many a list; here they make a phrase with what they deny."""
    denied, broad, fear = semantics(["no smile", "broad smile", "fear"])
    assert denied @ fear > 0.8 and broad @ fear < 0


def test_few_captions_prove_little():
    """What is said once hardly moves a text; what is said often does."""
    captions = [f"{emotion}: {what}" for emotion, what in ABOUT.items()] * 10
    semantics = LatentSemantics(
        [*captions, "joy, spectacles, moustache: narrow eyes, raised cheeks, a broad smile"], dim=2
    )
    mixed, fear = semantics(["fear, spectacles, moustache", "fear"])
    assert mixed @ fear > 0.5


def test_texts_without_a_known_phrase(semantics):
    assert torch.equal(semantics(["zebra", "the"]), torch.zeros(2, 2))
