"""FABA-Bench's own reading of a description (Li et al., 2024): emotions by keywords, action units by their codes.

The rule is that of the script that the authors published, in our words: a keyword of the first sentence decides, else
the emotion with most keywords. Their list of keywords is theirs and does not travel with this package: `read_keywords`
takes it from that script. Without it our own list stands in, and a result says so.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emocapclip_hf.data.facial_language import EMOTIONS as OUR_WORDS

from .benchmarks.faba import EMOTIONS
from .benchmarks.label_names import emotion_name

# A sentence with any of these letters anywhere denies something and is not read: so "nose" and "know" deny, too.
_DENIALS = ("no", "neither", "isn't ", "won't", "shouldn't")
_BETWEEN_SENTENCES = re.compile(r"(?<=[.?])(?<!\w\.\w.)(?<![A-Z][a-z]\.)\s")
_CODE = re.compile(r"AU(\d+)")


@dataclass(frozen=True)
class Keywords:
    """Emotion → its keywords, in lower case, and whose they are."""

    words: Mapping[str, Sequence[str]]
    source: str

    def emotion_of(self, description: str) -> str:
        """
        The one emotion that a description counts as.

        A keyword of several emotions counts for the first of them in FABA's order; so does a tie, and a description
        without any keyword counts as happiness.

        >>> OURS.emotion_of("The face shows fear. The brows rise in surprise and astonishment.")
        'fear'
        >>> OURS.emotion_of("It is not a happy face. The brows are lowered. This is anger.")
        'anger'
        """
        sentences = _BETWEEN_SENTENCES.split(description)
        asserted = " ".join(sentence for sentence in sentences if not any(no in sentence.lower() for no in _DENIALS))
        first, *rest = re.split(r"[.!?]", asserted or description, maxsplit=1)
        for emotions in self._emotions_in(first):
            return emotions[0]
        counts = dict.fromkeys(EMOTIONS, 0)
        for emotions in self._emotions_in("".join(rest)):
            for emotion in emotions:
                counts[emotion] += 1
        return max(EMOTIONS, key=counts.__getitem__)

    def _emotions_in(self, text: str) -> Iterator[list[str]]:
        """Of each keyword in the text, the emotions that it stands for."""
        for word in re.findall(r"\w+", text.lower()):
            if emotions := [emotion for emotion in EMOTIONS if word in self.words[emotion]]:
                yield emotions


def units_by_code(description: str) -> frozenset[int]:
    """The action units that a description names by code; prose names none.

    >>> sorted(units_by_code("1. AU4 - Brow Lowerer. 2. AU17 - Chin Raiser. The lips part."))
    [4, 17]
    """
    return frozenset(int(number) for number in _CODE.findall(description))


def read_keywords(path: str | Path) -> Keywords:
    """
    The keywords of a JSON object, emotion → list of words; or of a Python script, where such a table is assigned to a
    name, as in EmoLA's `emollava/eval/eval_FABA.py`. The script is read and never run.
    """
    path = Path(path)
    content = path.read_text(encoding="utf-8")
    try:
        tables = list(_tables_in(content)) if path.suffix == ".py" else [json.loads(content)]
    except (SyntaxError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read as {'Python' if path.suffix == '.py' else 'JSON'}: {error}"
        ) from error
    for table in tables:
        if (words := _as_words(table)) is not None:
            return Keywords(words, path.name)
    raise ValueError(f"{path} has no table of keywords: a list of words for each of {', '.join(EMOTIONS)}")


def _tables_in(script: str) -> Iterator[Any]:
    for statement in ast.parse(script).body:
        if isinstance(statement, ast.Assign):
            try:
                yield ast.literal_eval(statement.value)
            except ValueError:  # not a literal
                continue


def _as_words(table: Any) -> dict[str, list[str]] | None:
    """The table by our names of emotions; None if it is something else."""
    if not isinstance(table, dict) or not all(isinstance(words, list) for words in table.values()):
        return None
    named = {emotion_name(str(name)): [str(word).lower() for word in words] for name, words in table.items()}
    return named if set(EMOTIONS) <= set(named) else None


OURS = Keywords({name: words.split() for name, words in OUR_WORDS.items()}, "ours")
