"""What is wrong with a caption: whether it has its levels, says enough about a face and contradicts nothing it says.

Each fault has a kind, to count, and a reason in words, for whoever is asked again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from ..caption import EmoCaption
from ..caption_parser import parse_caption
from ..sentence_tags import SentenceTags, UnitMention, tag_sentence
from .replies import LONGEST_REPLY, Reply


class Fault(NamedTuple):
    kind: str
    reason: str


@dataclass(frozen=True)
class CheckOptions:
    """What a caption must keep to; all ours.

    Args:
        min_words, max_words: of the whole caption. The paper's have about 267.
        min_local, max_local: local sentences.
        max_sentence_words: of the longest sentence.
        min_regions: different facial regions that the local sentences speak of.
        min_agreement: of two captions of one face, where two are asked for; see `agreement`.
    """

    min_words: int = 40
    max_words: int = 600
    min_local: int = 3
    max_local: int = 20
    max_sentence_words: int = 90
    min_regions: int = 3
    min_agreement: float = 0.5


@dataclass(frozen=True)
class Judged:
    """A reply, read.

    Args:
        caption: what could be read of it, faulty or not.
        emotions: that the summary names, or the global caption where the summary names none; the first one first.
        units: action units that the local sentences assert.
        regions: how often each is spoken of.
        words: of the whole caption.
    """

    caption: EmoCaption
    faults: tuple[Fault, ...]
    emotions: tuple[str, ...] = ()
    units: tuple[int, ...] = ()
    regions: dict[str, int] = field(default_factory=dict)
    words: int = 0


def judge(reply: Reply, options: CheckOptions) -> Judged:
    """Read a reply and name its faults.

    >>> [fault.kind for fault in judge(Reply("I'm sorry, but I can't help with that."), CheckOptions()).faults]
    ['refusal']
    """
    parsed = parse_caption(reply.text)
    caption = parsed.caption
    text = caption.to_paragraph()
    overall = tag_sentence(caption.summary_caption).emotions or tag_sentence(caption.global_caption).emotions
    words = len(text.split())
    regions = Counter(region for tags in parsed.local_tags for region in tags.regions)
    units = tuple(sorted({unit for tags in parsed.local_tags for unit in tags.action_units}))
    faults = tuple(
        _unusable(reply, text, words)
        or [*_form(caption, words, len(regions), options), *_content(parsed.local_tags, text)]
    )
    return Judged(caption, faults, overall, units, dict(sorted(regions.items())), words)


def agreement(one: Judged, other: Judged) -> float:
    """How far two captions of one face say the same, 0 to 1: half for a common emotion, half for the action units
    (intersection over union; two captions without any agree).

    >>> happy = Judged(EmoCaption(""), (), ("happiness",), (6, 12))
    >>> joyful = Judged(EmoCaption(""), (), ("happiness",), (12,))
    >>> agreement(happy, joyful)
    0.75
    """
    emotion = 1.0 if set(one.emotions) & set(other.emotions) or one.emotions == other.emotions else 0.0
    union = set(one.units) | set(other.units)
    units = len(set(one.units) & set(other.units)) / len(union) if union else 1.0
    return (emotion + units) / 2


# ---- replies that are no captions

_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am)? (?:sorry|unable|not able)|i (?:can(?:no|')t|cannot|won't|will not|must decline)|"
    r"(?:can(?:no|')t|cannot|unable to|not able to) (?:assist|help|comply|identify|provide|describe|analy[sz]e)|"
    r"as an? (?:ai|language model|assistant)|against my (?:guidelines|policy))\b",
    re.IGNORECASE,
)
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+", "the a an is are and of to in with that this by on at as or it its be no not from their both which"
    )
)
_LEAST_FUNCTION_WORDS = 0.15  # of English prose it is a third; of other languages next to nothing


def _unusable(reply: Reply, text: str, words: int) -> list[Fault]:
    if reply.refused is not None:
        return [Fault("refusal", "it was declined")]
    if reply.finish == "length":
        return [Fault("cut short", "it was cut short; be briefer")]
    if reply.finish == "oversized" or len(reply.text) >= LONGEST_REPLY:
        return [Fault("too long", "it was thousands of words long")]
    if not words:
        return [Fault("empty", "it was empty")]
    if _REFUSAL.search(reply.text.replace("’", "'")):
        return [Fault("refusal", "it declined to describe the expression, which names nobody")]
    tokens = re.findall(r"[^\W\d_]+", text.lower())
    if sum(token in _FUNCTION_WORDS for token in tokens) < _LEAST_FUNCTION_WORDS * len(tokens):
        return [Fault("not English", "it was not in English")]
    return []


# ---- the form of a caption


def _form(caption: EmoCaption, words: int, regions: int, options: CheckOptions) -> Iterator[Fault]:
    for level in caption.empty_levels:
        yield Fault("level missing", f"{level} was missing")
    if words < options.min_words:
        yield Fault("too short", f"it had {words} words, fewer than {options.min_words}")
    if words > options.max_words:
        yield Fault("too long", f"it had {words} words, more than {options.max_words}")
    local = len(caption.local_captions)
    if local and not options.min_local <= local <= options.max_local:
        yield Fault(
            "local sentences", f"it had {local} local sentences, not {options.min_local} to {options.max_local}"
        )
    if local and regions < options.min_regions:
        yield Fault("few regions", f"it spoke of {regions} facial regions, fewer than {options.min_regions}")
    sentences = [caption.global_caption, *caption.local_captions, caption.summary_caption]
    longest = max(len(sentence.split()) for sentence in sentences)
    if longest > options.max_sentence_words:
        yield Fault("long sentence", f"a sentence had {longest} words, more than {options.max_sentence_words}")
    said = Counter(" ".join(re.findall(r"\w+", sentence.lower())) for sentence in caption.local_captions)
    for sentence, count in said.items():
        if count > 1:
            yield Fault("repeated", f"it said {count} times: {sentence[:80]!r}")


# ---- what it says

_FORBIDDEN = {
    "age": r"\d+[- ]year[- ]old|(?:year|decade)s? (?:old|of age)|(?:in|into) (?:his|her|their) (?:early |mid |late )?"
    r"(?:teens|twenties|thirties|forties|fifties|sixties|seventies)|middle[- ]aged|elderly|teenage[rd]?|"
    r"(?:young|old|older|younger|aged) (?:man|woman|person|adult|boy|girl|lady|gentleman)|toddler|(?:an?|the) child",
    "race or ethnicity": r"caucasian|african|asian|hispanic|latin[oa]|european|middle eastern|arab|indian|chinese|"
    r"japanese|korean|(?:black|white|brown) (?:man|woman|person|male|female|people)|ethnicit\w+|racial|\brace\b",
    "health": r"depressive|clinical(?:ly)? \w+|autis\w+|disorder|illness|disease|diagnos\w+|patient|paralys[ei][sd]|"
    r"palsy|schizo\w+|dement\w+|medical",
    "identity": r"celebrit\w+|act(?:or|ress)\b|politician|resembl\w+ (?:the )?[A-Z]\w+|"
    r"looks like (?:the )?(?-i:[A-Z])\w+ (?-i:[A-Z])\w+|famous",
}
_FORBIDDEN_PATTERNS = {what: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for what, words in _FORBIDDEN.items()}
_BOILERPLATE = re.compile(
    r"\b(?:sure[,!]|certainly[,!]|of course[,!]|here(?:'s| is) (?:the|a|your|my)|let me know|i hope (?:this|that)|"
    r"based on the (?:image|picture|photo)|as requested|json object|the user|lorem ipsum)",
    re.IGNORECASE,
)
# Action units that exclude each other, and how the pair reads.
_EXCLUSIVE = (
    (24, 25, "the lips are pressed together and parted"),
    (24, 26, "the lips are pressed together and the jaw drops open"),
    (43, 5, "the eyes are closed and the upper lids raised"),
)


def _content(local_tags: Sequence[SentenceTags], text: str) -> Iterator[Fault]:
    for what, pattern in _FORBIDDEN_PATTERNS.items():
        if found := pattern.search(text):
            yield Fault("forbidden", f"it spoke of {what} ({found[0]!r})")
    if found := _BOILERPLATE.search(text):
        yield Fault("boilerplate", f"it held words that describe no face ({found[0]!r})")
    for conflict in dict.fromkeys(_contradictions(local_tags)):
        yield Fault("contradiction", f"it contradicted itself: {conflict}")


def _contradictions(local_tags: Sequence[SentenceTags]) -> Iterator[str]:
    mentions = [mention for tags in local_tags for mention in tags.mentions]
    asserted = [mention for mention in mentions if not mention.negated]
    denied = [mention for mention in mentions if mention.negated]
    for yes, no in product(asserted, denied):
        if yes.unit == no.unit and _same_side(yes, no):
            yield f"action unit {yes.unit} is said to be there and not to be there"
    for first, second, reads in _EXCLUSIVE:
        if any(a.unit == first and b.unit == second and _same_side(a, b) for a, b in product(asserted, asserted)):
            yield reads


def _same_side(one: UnitMention, other: UnitMention) -> bool:
    sides = {one.side or "both", other.side or "both"}
    return "both" in sides or len(sides) == 1
