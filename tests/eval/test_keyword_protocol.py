"""FABA-Bench's keyword rule, against cases worked out by hand, and where its keywords come from."""

import json

import pytest

from emocapclip_hf.eval.benchmarks.faba import EMOTIONS
from emocapclip_hf.eval.keyword_protocol import OURS, Keywords, read_keywords, units_by_code

WORDS = {name: [name, f"{name}ish", "shared"] if name in ("anger", "fear") else [name] for name in EMOTIONS}
RULE = Keywords(WORDS, "test")


@pytest.mark.parametrize(
    ("description", "emotion"),
    [
        ("A face of Sadness. Anger, anger and anger.", "sadness"),  # the first sentence decides, whatever follows
        ("Fear before anger. So it is.", "fear"),  # by its first keyword
        ("A face. There is fear. There is anger in it, even angerish! Surprise?", "anger"),  # else the most counts
        ("A face. Disgust. Sadness.", "sadness"),  # of equals, the first in FABA's order
        ("A shared word. Fear.", "anger"),  # of a word's several emotions, too
        ("A face. Shared. Shared. Fear.", "fear"),  # but later ones all count
        ("It is not anger. It is fear.", "fear"),  # what denies is not read
        ("The nose shows anger. It is fear.", "fear"),  # "no" anywhere denies
        ("No anger here.", "anger"),  # unless nothing else is left
        ("A face.", "happiness"),  # without a keyword
        ("", "happiness"),
        ("anger", "anger"),  # without an end of a sentence
        ("A face, e.g. anger. Fear. Fear.", "fear"),  # the first sentence ends at the first dot
    ],
)
def test_the_rule_by_hand(description, emotion):
    assert RULE.emotion_of(description) == emotion


def test_units_stand_by_their_code():
    assert units_by_code("AU4, AU12 (AU 6) and au7; the lips part.") == {4, 12}


def test_our_keywords_cover_the_labels():
    assert all(OURS.emotion_of(f"This is {name}.") == name for name in EMOTIONS) and OURS.source == "ours"


def test_keywords_of_a_file(tmp_path):
    (tmp_path / "words.json").write_text(json.dumps({name.capitalize(): [name.upper()] for name in EMOTIONS}))
    assert read_keywords(tmp_path / "words.json").words == {name: [name] for name in EMOTIONS}
    script = (
        f"import os\nos.mkdir('{tmp_path}/ran')\nnumbers = {{'happiness': 0}}\nwords = {WORDS!r}\nsize = len(words)"
    )
    (tmp_path / "theirs.py").write_text(script)
    found = read_keywords(tmp_path / "theirs.py")
    assert found == Keywords(WORDS, "theirs.py") and not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '{"happiness": ["happy"]}', "has no table of keywords: a list of words for each of happiness, "),
        ("a.json", "{", "cannot be read as JSON"),
        ("a.py", "words = (", "cannot be read as Python"),
        ("a.py", "words = {'happiness': 0}", "has no table of keywords"),
    ],
)
def test_what_is_no_table_of_keywords_is_named(name, content, message, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_keywords(tmp_path / name)
