"""`describe`: from a description to a three-level caption, with the truth about every local sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..caption import EmoCaption
from .action_units import ACTION_UNITS, Activation
from .description import FaceDescription, generator, split_code
from .emotion_phrases import (
    ABSENT_SIGNAL_FRAMES,
    ADJECTIVES,
    AFFECT_FRAMES,
    AROUSALS,
    ASIDES,
    BLEND_FRAMES,
    COMPOUND_FRAMES,
    DEGREES,
    GLOBAL_FRAMES,
    GLOBAL_FRAMES_WITHOUT_STRENGTH,
    GLOBAL_SHORT,
    GLOBAL_SHORT_WITHOUT_STRENGTH,
    NEUTRAL_CUES,
    NOUNS,
    OPENERS,
    OTHER_ADJECTIVES,
    OTHER_NOUNS,
    SIGNAL_FRAMES,
    STRENGTHS,
    SUMMARY_FRAMES,
    SUMMARY_SHORT,
    VALENCES,
    distractors,
)
from .emotions import COMPOUNDS, components
from .unit_phrases import UNIT_PHRASES

FORMS = ("long", "short")
LOCAL_SENTENCES = {"long": 7, "short": 4}  # at least; a face with more action units gets a sentence for each
RESERVED_SHARE = 0.5  # how often a test caption takes a reserved phrasing where there is one


@dataclass(frozen=True)
class LocalSentence:
    """One local sentence and what it is about.

    Args:
        action_unit: the unit it asserts; minus the unit it denies; 0 for a sentence beside the point.
        side: "both", "left" or "right" where it asserts a unit, else "".
    """

    text: str
    action_unit: int
    side: str


@dataclass(frozen=True)
class TracedCaption:
    caption: EmoCaption
    local_sentences: tuple[LocalSentence, ...]


def describe(face: FaceDescription, form: str = "long", split: str | None = None) -> EmoCaption:
    """The caption of a face.

    Args:
        face: the description; the same one always gets the same words.
        form: "long" (about 200 words, like the paper's captions) or "short".
        split: whose phrasings to use, default the face's own split. Reserved phrasings appear in "test" only.
    """
    return describe_traced(face, form, split).caption


def describe_traced(face: FaceDescription, form: str = "long", split: str | None = None) -> TracedCaption:
    """`describe`, and beside each local sentence the action unit and side that it is about."""
    if form not in FORMS:
        raise ValueError(f"unknown caption form {form!r}; choose from {', '.join(FORMS)}")
    split = split or face.split
    writer = _Writer(face, form, split, generator(4, face.caption_seed, split_code(split), FORMS.index(form)))
    overall, sentences, summary = writer.overall(), writer.local_sentences(), writer.summary()
    caption = EmoCaption(overall, [sentence.text for sentence in sentences], summary)
    return TracedCaption(caption, tuple(sentences))


def action_unit_sentences(au: int, side: str = "both", split: str = "test", present: bool = True) -> list[str]:
    """All plain sentences of a split that assert (or deny) an action unit, for zero-shot questions about it.

    >>> action_unit_sentences(12, "left", "train")[0]
    'The left corner of the mouth is pulled up and back.'
    """
    phrases = UNIT_PHRASES[au]
    if not present:
        clauses = phrases.absent
    else:
        clauses = phrases.both if side == "both" else phrases.one
        if not clauses:
            raise ValueError(f"action unit {au} ({ACTION_UNITS[au].name}) acts on both sides only, got side {side!r}")
    return [_sentence(clause.format(d="", side=side)) for clause in allowed(clauses, split)]


def emotion_words(emotion: str, split: str = "test") -> tuple[list[str], list[str]]:
    """Nouns and adjectives that captions of a split use for an emotion ("fear", "sadly angry"), for zero-shot prompts.

    >>> emotion_words("sadness", "train")[1]
    ['sad', 'sorrowful', 'unhappy']
    """
    if emotion not in COMPOUNDS:
        return allowed(NOUNS[emotion], split), allowed(ADJECTIVES[emotion], split)
    first, second = components(emotion)
    nouns = [
        frame.format(first=a, second=b)
        for frame in allowed(COMPOUND_FRAMES, split)
        for a, b in ((NOUNS[first][0], NOUNS[second][0]), (NOUNS[first][1], NOUNS[second][1]))
    ]
    return nouns, [emotion]


def allowed(phrases: Sequence[str], split: str) -> list[str]:
    """The phrases that a split may use, without their mark."""
    ordinary, reserved = _by_reservation(tuple(phrases))
    return [*ordinary, *reserved] if split == "test" else list(ordinary)


@cache
def _by_reservation(phrases: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (
        tuple(phrase for phrase in phrases if not phrase.startswith("*")),
        tuple(phrase[1:] for phrase in phrases if phrase.startswith("*")),
    )


class _Writer:
    """Writes one caption; every choice of words comes from `rng`."""

    def __init__(self, face: FaceDescription, form: str, split: str, rng: np.random.Generator):
        self.face, self.form, self.split, self.rng = face, form, split, rng

    def pick(self, phrases: Sequence[str]) -> str:
        ordinary, reserved = _by_reservation(tuple(phrases))
        use_reserved = self.rng.random() < RESERVED_SHARE  # drawn in every split, to keep their streams in step
        pool = reserved if use_reserved and reserved and self.split == "test" else ordinary
        return pool[int(self.rng.integers(len(pool)))]

    # Global and summary

    def noun(self) -> str:
        face = self.face
        if face.emotion_kind == "other":
            return self.pick(OTHER_NOUNS)
        names = [self.pick(NOUNS[name]) for name in components(face.emotion)]
        if face.emotion_kind == "compound":
            return self.pick(COMPOUND_FRAMES).format(first=names[0], second=names[1])
        return self.pick(BLEND_FRAMES).format(first=names[0]) if face.emotion_kind == "blend" else names[0]

    def adjective(self) -> str:
        face = self.face
        if face.emotion_kind == "other":
            return self.pick(OTHER_ADJECTIVES)
        return face.emotion if face.emotion_kind == "compound" else self.pick(ADJECTIVES[face.emotion])

    def overall(self) -> str:
        face = self.face
        without_strength = face.emotion == "neutral"
        if self.form == "short":
            frame = self.pick(GLOBAL_SHORT_WITHOUT_STRENGTH if without_strength else GLOBAL_SHORT)
        else:
            frame = self.pick(GLOBAL_FRAMES_WITHOUT_STRENGTH if without_strength else GLOBAL_FRAMES)
        mood = f"{_level(face.valence, VALENCES, (-0.5, -0.15, 0.15, 0.5))} and "
        mood += _level(face.arousal, AROUSALS, (-0.2, 0.15, 0.5))
        affect = self.pick(AFFECT_FRAMES).format(mood=mood)
        text = frame.format(
            strength=self.pick(STRENGTHS[intensity_third(face.intensity)]), noun=self.noun(),
            adjective=self.adjective(), affect=affect, mood=mood,
        )  # fmt: skip
        return text[0].upper() + text[1:]

    def summary(self) -> str:
        strongest = sorted(self.face.action_units, key=lambda activation: -activation.intensity)
        cues = [self.cue(activation) for activation in strongest[: 2 if self.form == "short" else 4]]
        cues = cues or [self.pick(NEUTRAL_CUES)]
        listed = cues[0] if len(cues) == 1 else f"{', '.join(cues[:-1])} and {cues[-1]}"
        frame = self.pick(SUMMARY_SHORT if self.form == "short" else SUMMARY_FRAMES)
        text = frame.format(noun=self.noun(), adjective=self.adjective(), cues=listed)
        return _agree(text, listed, plural=len(cues) > 1)

    def cue(self, activation: Activation) -> str:
        phrases = UNIT_PHRASES[activation.au]
        return self.pick(phrases.cues if activation.side == "both" else phrases.cues_one).format(side=activation.side)

    # Local sentences

    def local_sentences(self) -> list[LocalSentence]:
        sentences = [self.assertion(activation) for activation in self.face.action_units]
        facts = distractors(self.face)
        order = iter(self.rng.permutation(len(facts)))
        absent = iter(self.absent_units())
        fillers = max(1 if self.form == "short" else 2, LOCAL_SENTENCES[self.form] - len(sentences))
        for k in range(fillers):  # denials and sentences beside the point take turns
            fact = None if k % 2 else next(order, None)
            if fact is None:
                sentences.append(self.denial(next(absent)))
            else:
                sentences.append(LocalSentence(_sentence(self.pick(facts[int(fact)])), 0, ""))
        return [sentences[int(k)] for k in self.rng.permutation(len(sentences))]

    def absent_units(self) -> list[int]:
        present = {activation.au for activation in self.face.action_units}
        return [int(au) for au in self.rng.permutation(list(ACTION_UNITS)) if int(au) not in present]

    def assertion(self, activation: Activation) -> LocalSentence:
        phrases = UNIT_PHRASES[activation.au]
        clause = self.pick(phrases.both if activation.side == "both" else phrases.one)
        clause = clause.format(d=self.pick(DEGREES[intensity_third(activation.intensity)]) + " ", side=activation.side)
        if self.form == "long":
            clause = self.opener(activation.au) + clause
            parts = [clause, self.pick(phrases.marks)]
            parts.append(self.pick(SIGNAL_FRAMES).format(signal=self.pick(phrases.signals)))
            clause = ", ".join(parts)
        return LocalSentence(_sentence(clause), activation.au, activation.side)

    def denial(self, au: int) -> LocalSentence:
        phrases = UNIT_PHRASES[au]
        clause = self.pick(phrases.absent)
        if self.form == "long":
            clause = self.opener(au) + clause
            clause += f", {self.pick(ABSENT_SIGNAL_FRAMES).format(signal=self.pick(phrases.signals))}"
        return LocalSentence(_sentence(clause), -au, "")

    def opener(self, au: int) -> str:
        """A region or an aside that leads into the clause; often nothing."""
        face = self.face
        if self.rng.random() < 0.3:
            facts = {
                "glasses": face.nuisance.glasses,
                "beard": face.identity.beard != "none",
                "blur": face.nuisance.blur > 0,
                "age": face.identity.age_group == "older",
                "always": True,
            }
            usable = [phrase for fact, holds in facts.items() if holds for phrase in ASIDES[fact]]
            return f"{self.pick(usable)}, "
        return self.pick(OPENERS).format(region=ACTION_UNITS[au].region)


def _level(value: float, names: Sequence[str], limits: Sequence[float]) -> str:
    return names[sum(value >= limit for limit in limits)]


def intensity_third(intensity: float) -> int:
    """0 weak, 1 medium, 2 strong."""
    return 0 if intensity < 0.6 else 1 if intensity < 0.8 else 2


def _sentence(clause: str) -> str:
    return clause[0].upper() + clause[1:] + "."


def _agree(text: str, cues: str, plural: bool) -> str:
    """A single cue in the singular takes "points" and "makes"."""
    head = cues.split(" with ")[0].split(" that ")[0].split(" pushed")[0].split(" pulled")[0]
    singular = not plural and not head.rstrip().endswith("s")
    if singular:
        for verb in ("point to", "make plain", "make it plain", "show "):
            first, _, rest = verb.partition(" ")
            text = text.replace(f"{cues} {verb}", f"{cues} {first}s {rest}")
    return text[0].upper() + text[1:]
