"""Prompt sets: the texts that stand for a label in zero-shot evaluation.

- `simple`: the one sentence most of the field starts from.
- `exp-clip-5`: the ensemble of five that Exp-CLIP (arXiv 2405.19100) reports, with its own wording of sadness.
- `facial-actions`: what the face does, sentence by sentence, as EmoCLIP and DFER-CLIP have it; the words are ours.
- `emocap`: sentences built like the paper's global and summary captions; ours, the paper names none.
- a file of one's own: one template a line, or JSON with `templates`, `labels` (label → its own
  texts) and `absent`.

In a template `{}` is the noun of the label and `{adjective}` its adjective. Both are derived for compounds:
"happily surprised" is "happiness and surprise". Labels that do not exclude each other, action units, may also have
texts that deny them; without those nothing says from which score on they are present.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emocapclip_hf.data.synthfaces import ACTION_UNITS

_ADJECTIVES = {
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprised",
    "fear": "fearful",
    "disgust": "disgusted",
    "anger": "angry",
    "anxiety": "anxious",
    "contempt": "contemptuous",
    "helplessness": "helpless",
    "disappointment": "disappointed",
}
_NOUNS = {adjective: noun for noun, adjective in _ADJECTIVES.items()}
_ADVERBS = {
    "happily": "happiness",
    "sadly": "sadness",
    "fearfully": "fear",
    "angrily": "anger",
    "disgustedly": "disgust",
}

# What the face does for each emotion, after the prototypes of EMFACS; in our words.
_FACIAL_ACTIONS = {
    "neutral": ("The face is relaxed and at rest.", "The brows are level, and the mouth is closed and straight."),
    "happiness": (
        "The corners of the mouth are pulled up into a smile.",
        "The cheeks are raised, with wrinkles beside the eyes.",
    ),
    "sadness": (
        "The inner corners of the brows are raised and drawn together.",
        "The corners of the mouth are pulled down.",
    ),
    "surprise": (
        "The brows are raised high and arched.",
        "The eyes are wide open.",
        "The jaw drops and the mouth is open.",
    ),
    "fear": (
        "The brows are raised and drawn together.",
        "The upper lids are raised and the eyes are wide.",
        "The lips are stretched sideways and parted.",
    ),
    "disgust": ("The nose is wrinkled.", "The upper lip is raised."),
    "anger": (
        "The brows are lowered and drawn together.",
        "The eyes are narrowed with tense lids.",
        "The lips are pressed together or tightened.",
    ),
    "contempt": ("One corner of the mouth is tightened and raised.",),
    "anxiety": ("The brows are drawn together and slightly raised.", "The eyes are tense and the lips are tight."),
    "helplessness": (
        "The inner brows are raised and the eyes look down.",
        "The mouth hangs slightly open and the face is slack.",
    ),
    "disappointment": (
        "The brows are slightly lowered and the eyes look down.",
        "The lips are pressed together and the corners of the mouth sink.",
    ),
    "calm": ("The face is relaxed with soft eyes.", "The mouth is closed with a slight smile."),
}
# Action unit → what asserts it, and what denies it.
_UNIT_ACTIONS = {
    1: ("The inner corners of the brows are raised.", "The inner corners of the brows are not raised."),
    2: ("The outer parts of the brows are raised.", "The outer parts of the brows are not raised."),
    4: ("The brows are lowered and drawn together.", "The brows are not lowered."),
    5: ("The upper lids are raised and the eyes are wide open.", "The upper lids are not raised."),
    6: ("The cheeks are raised.", "The cheeks are not raised."),
    7: ("The lids are tightened and the eyes are narrowed.", "The lids are not tightened."),
    9: ("The nose is wrinkled.", "The nose is not wrinkled."),
    10: ("The upper lip is raised.", "The upper lip is not raised."),
    12: ("The corners of the mouth are pulled up.", "The corners of the mouth are not pulled up."),
    14: ("The corners of the mouth are tightened into dimples.", "There are no dimples beside the mouth."),
    15: ("The corners of the mouth are pulled down.", "The corners of the mouth are not pulled down."),
    17: ("The chin is pushed up.", "The chin is not pushed up."),
    20: ("The lips are stretched sideways.", "The lips are not stretched."),
    23: ("The lips are tightened.", "The lips are not tightened."),
    24: ("The lips are pressed together.", "The lips are not pressed together."),
    25: ("The lips are parted.", "The lips are not parted."),
    26: ("The jaw drops and the mouth is open.", "The jaw does not drop."),
    43: ("The eyes are closed.", "The eyes are not closed."),
}


@dataclass(frozen=True)
class PromptSet:
    """
    Args:
        name: what `--prompts` calls it, or the path of its file.
        templates: with `{}` or `{adjective}` for the label.
        labels: label → its own texts, in place of the templates.
        absent: label → the texts that deny it.
        parts: a compound's texts are those of its parts.
        source: whose words they are.

    >>> PromptSet("mine", ("a {} face", "one sees {adjective} people")).texts("fearfully angry")
    ['a fear and anger face', 'one sees fearfully angry people']
    """

    name: str
    templates: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parts: bool = False
    source: str = "ours"

    def __post_init__(self):
        for template in self.templates:
            if "{}" not in template and "{adjective}" not in template:
                raise ValueError(
                    f"prompts {self.name}: the template {template!r} has neither {{}} nor {{adjective}} for the "
                    "label, so all labels would be the same"
                )

    def texts(self, label: str) -> list[str]:
        """The texts that stand for a label."""
        if label in self.labels:
            return list(self.labels[label])
        if self.parts and (names := components(label)) and all(name in self.labels for name in names):
            return [text for name in names for text in self.labels[name]]
        if not self.templates:
            known = ", ".join(self.labels)
            raise ValueError(f"prompts {self.name} have no text for the label {label!r}; they have {known}")
        return [template.format(noun(label), adjective=adjective(label)) for template in self.templates]

    def of_labels(self, labels: Sequence[str]) -> dict[str, list[str]]:
        """Label → texts; also `no <label>`, if the set can deny all of them."""
        denied = {f"no {label}": list(self.absent[label]) for label in labels if label in self.absent}
        return {label: self.texts(label) for label in labels} | (denied if len(denied) == len(labels) else {})


_EXP_CLIP = (
    "an expression of {}.",
    "a photo of a face with an expression of {}.",
    "a photo radiating {} in a person.",
    "a photo showing someone immersed in {}.",
    "a photo capturing {} within an individual.",
)
_EXP_CLIP_SADNESS = (
    "an expression of sadness.",
    "a cropped photo emphasizing a face expressing sadness.",
    "a photo exuding sadness in a person.",
    *(template.format("sadness") for template in _EXP_CLIP[3:]),
)
PROMPT_SETS = {
    prompts.name: prompts
    for prompts in (
        PromptSet("simple", _EXP_CLIP[:1], source="used throughout the field"),
        PromptSet("exp-clip-5", _EXP_CLIP, {"sadness": _EXP_CLIP_SADNESS}, source="Exp-CLIP, arXiv 2405.19100"),
        PromptSet(
            "facial-actions",
            labels={**_FACIAL_ACTIONS, **{f"AU{unit}": texts[:1] for unit, texts in _UNIT_ACTIONS.items()}},
            absent={f"AU{unit}": texts[1:] for unit, texts in _UNIT_ACTIONS.items()},
            parts=True,
        ),
        PromptSet(
            "emocap",
            (
                "This image portrays an expression of {}.",
                "A face that shows {}.",
                "The person looks {adjective}.",
                "Ultimately, the emotional prediction is one of {}.",
            ),
        ),
    )
}


def get_prompts(name: str) -> PromptSet:
    """A prompt set by name, or one's own from a file."""
    if name in PROMPT_SETS:
        return PROMPT_SETS[name]
    path = Path(name)
    if not path.is_file():
        nearest = difflib.get_close_matches(name, PROMPT_SETS, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(PROMPT_SETS)}"
        raise ValueError(f"there are no prompts {name!r}, nor a file of that name; {hint}")
    content = path.read_text(encoding="utf-8").strip()
    if not content.startswith("{\n") and not content.startswith('{"'):
        return PromptSet(name, tuple(line.strip() for line in content.splitlines() if line.strip()), source="own file")
    try:
        read = json.loads(content)
        labels, absent = (
            {label: tuple(texts) for label, texts in read.get(key, {}).items()} for key in ("labels", "absent")
        )
        return PromptSet(name, tuple(read.get("templates", ())), labels, absent, source=read.get("source", "own file"))
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(
            f'{name}: {error}. Expected one template a line, or {{"templates": [...], "labels": {{...}}}}'
        ) from error


def components(label: str) -> list[str]:
    """The basic emotions that a compound is made of; one for a basic emotion.

    >>> components("happily surprised"), components("anger, disgust and contempt"), components("fear")
    (['happiness', 'surprise'], ['anger', 'disgust', 'contempt'], ['fear'])
    """
    first, _, second = label.partition(" ")
    if first in _ADVERBS and second in _NOUNS:
        return [_ADVERBS[first], _NOUNS[second]]
    return re.split(r", | and ", label)


def noun(label: str) -> str:
    """The label as a noun: a compound's parts joined, an action unit's name.

    >>> noun("sadly fearful"), noun("AU12"), noun("neutral")
    ('sadness and fear', 'lip corner puller', 'neutral')
    """
    if unit := re.fullmatch(r"AU(\d+)", label):
        known = ACTION_UNITS.get(int(unit[1]))
        return known.name if known else label
    *first, last = components(label)
    return f"{', '.join(first)} and {last}" if first else last


def adjective(label: str) -> str:
    """The label as an adjective.

    >>> adjective("sadly fearful"), adjective("anger and anxiety"), adjective("neutral")
    ('sadly fearful', 'angry and anxious', 'neutral')
    """
    if label.partition(" ")[0] in _ADVERBS:
        return label
    *first, last = (_ADJECTIVES.get(part, part) for part in components(label))
    return f"{', '.join(first)} and {last}" if first else last
