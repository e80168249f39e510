"""Whether a caption is true: what it says of a face, read back by the caption parser and compared with the face.

Emotions are read from the global and the summary sentence, action units from all sentences. What a caption says about
a unit is its presence, its side and its strength; it may also deny one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from emocapclip_hf.data.caption_parser import ParsedCaption, parse_caption
from emocapclip_hf.data.sentence_tags import SentenceTags, tag_sentence
from emocapclip_hf.data.synthfaces.emotions import components
from emocapclip_hf.data.synthfaces.grammar import intensity_third

# FACS A to E in the three strengths that captions tell apart.
STRENGTHS = {"trace": 0, "slight": 0, "moderate": 1, "strong": 2, "extreme": 2}
_SENTENCE = re.compile(r"[A-Z\"“(].*[.!?][\"”)]*", re.DOTALL)
_STUTTER = re.compile(r"\b(\w+) \1\b", re.IGNORECASE)


@dataclass(frozen=True)
class UnitFacts:
    """`side`: "both", "left", "right", or None where nobody says; `strength`: 0 to 2, or None."""

    side: str | None = None
    strength: int | None = None


@dataclass(frozen=True)
class FaceFacts:
    """What a caption says of a face, or what is known of it.

    Args:
        emotions: the basic emotions, two for a compound, none where no one emotion has a name; None where unknown.
        units: those that act; None where unknown.
        denied_units, denied_emotions: said not to be there.
        is_structured: whether a caption has its three levels in whole sentences.
    """

    emotions: frozenset[str] | None
    units: Mapping[int, UnitFacts] | None
    denied_units: frozenset[int] = frozenset()
    denied_emotions: frozenset[str] = frozenset()
    is_structured: bool = field(default=True, compare=False)


def facts_of(caption: str) -> FaceFacts:
    """What a caption says.

    >>> facts = facts_of("A happy face. The left cheek is slightly raised. The brows are not raised. Ultimately, joy.")
    >>> sorted(facts.emotions), facts.units, sorted(facts.denied_units), facts.is_structured
    (['happiness'], {6: UnitFacts(side='left', strength=0)}, [1, 2], True)
    """
    parsed = parse_caption(caption)
    overall = [tag_sentence(text) for text in (parsed.caption.global_caption, parsed.caption.summary_caption)]
    tags = [*parsed.local_tags, *overall]  # local sentences first: they say side and strength
    emotions = {name for tag in overall for name in tag.emotions}
    return FaceFacts(
        frozenset(emotions),
        _units_said(tags),
        frozenset(unit for tag in tags for unit in tag.negated_units),
        frozenset(name for tag in overall for name in tag.negated_emotions) - emotions,
        _is_structured(parsed),
    )


def facts_of_row(row: Mapping[str, Any]) -> FaceFacts:
    """What a dataset knows: `emotion` and `action_units` of SynthFaces, either of which may be missing.

    >>> facts = facts_of_row({"emotion": "sadly angry", "action_units": [{"au": 6, "side": "left", "intensity": 0.5}]})
    >>> sorted(facts.emotions), facts.units
    (['anger', 'sadness'], {6: UnitFacts(side='left', strength=0)})
    """
    emotion, units = row.get("emotion"), row.get("action_units")
    return FaceFacts(
        None if not emotion else frozenset(() if emotion == "other" else components(emotion)),
        None
        if units is None
        else {unit["au"]: UnitFacts(unit["side"], intensity_third(unit["intensity"])) for unit in units},
    )


def _units_said(tags: Sequence[SentenceTags]) -> dict[int, UnitFacts]:
    said: dict[int, UnitFacts] = {}
    for mention in (mention for tag in tags for mention in tag.mentions if not mention.negated):
        strength = None if mention.intensity is None else STRENGTHS[mention.intensity]
        known = said.get(mention.unit, UnitFacts())
        said[mention.unit] = UnitFacts(
            known.side or mention.side, strength if known.strength is None else known.strength
        )
    # "The brows are raised": a unit that is said without a side is said of both.
    return {unit: replace(fact, side=fact.side or "both") for unit, fact in said.items()}


def _is_structured(parsed: ParsedCaption) -> bool:
    """Three levels, a closing cue, whole sentences, none of them twice and no word doubled."""
    caption = parsed.caption
    sentences = [caption.global_caption, *caption.local_captions, caption.summary_caption]
    return (
        not caption.empty_levels
        and not parsed.unplaced
        and not any("closing sentence" in issue for issue in parsed.issues)
        and all(_SENTENCE.fullmatch(sentence) and not _STUTTER.search(sentence) for sentence in sentences)
        and len(set(sentences)) == len(sentences)
    )


@dataclass(frozen=True)
class Factuality:
    """How true each caption is, one row a caption; a mean over rows is the metric. nan where nothing can be said.

    Args:
        emotion: whether it names the face's emotions and no other.
        said, there: (captions, units), which units it asserts and which act, over `units`.
        contradicted: whether it denies what is there, or names the wrong one of two sides.
        hallucinated: how many units it asserts that do not act.
        side, strength: the share of rightly asserted units whose side, whose strength it has right.
        structured: whether it has three levels in whole sentences.
    """

    units: tuple[int, ...]
    emotion: np.ndarray
    said: np.ndarray
    there: np.ndarray
    contradicted: np.ndarray
    hallucinated: np.ndarray
    side: np.ndarray
    strength: np.ndarray
    structured: np.ndarray


def compare(captions: Sequence[FaceFacts], truths: Sequence[FaceFacts]) -> Factuality:
    """Caption by caption; the units are all that act on any of the faces."""
    units = tuple(sorted({unit for truth in truths for unit in truth.units or {}}))
    pairs = list(zip(captions, truths, strict=True))

    def column(measure: Callable[[FaceFacts, FaceFacts], float]) -> np.ndarray:
        return np.array([measure(caption, truth) for caption, truth in pairs], dtype=float)

    def table(present: Callable[[FaceFacts, FaceFacts, int], float]) -> np.ndarray:
        rows = [[present(caption, truth, unit) for unit in units] for caption, truth in pairs]
        return np.array(rows, dtype=float).reshape(len(pairs), len(units))

    return Factuality(
        units,
        emotion=column(lambda said, true: np.nan if true.emotions is None else said.emotions == true.emotions),
        said=table(lambda said, true, unit: unit in said.units),
        there=table(lambda said, true, unit: np.nan if true.units is None else unit in true.units),
        contradicted=column(_contradicts),
        hallucinated=column(lambda said, true: np.nan if true.units is None else len(said.units.keys() - true.units)),
        side=column(lambda said, true: _share_right(said, true, "side")),
        strength=column(lambda said, true: _share_right(said, true, "strength")),
        structured=column(lambda said, true: said.is_structured),
    )


def _contradicts(said: FaceFacts, true: FaceFacts) -> bool:
    units = true.units or {}
    wrong_side = any(
        {there.side, said.units[unit].side} == {"left", "right"} for unit, there in units.items() if unit in said.units
    )
    denied = said.denied_units & (units.keys() - said.units.keys())
    return bool(wrong_side or denied or said.denied_emotions & (true.emotions or frozenset()))


def _share_right(said: FaceFacts, true: FaceFacts, name: str) -> float:
    """Of the units that are there and said with a side, or a strength."""
    pairs = [
        (getattr(said.units[unit], name), getattr(there, name))
        for unit, there in (true.units or {}).items()
        if unit in said.units
    ]
    right = [claimed == there for claimed, there in pairs if claimed is not None and there is not None]
    return float(np.mean(right)) if right else np.nan
