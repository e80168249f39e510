"""What the captioner is asked. Ours: the paper publishes the shape of its captions, not its prompt.

`VERSION` is raised with every change of wording, and stands beside each caption.
"""

from __future__ import annotations

from collections.abc import Sequence

VERSION = "1"

PROMPT = """\
Describe the facial expression in this picture of one face, for a data set about visible emotion. Answer with one \
JSON object with three keys:

"global_caption": one sentence: the expression as a whole, its intensity (trace, slight, moderate, strong or extreme) \
and the emotion it portrays, with a second emotion where two fit.
"local_captions": a list of 6 to 10 sentences, region by region from the top down: forehead, brows, eyelids, eyes, \
nose, cheeks, lips, mouth and jaw, chin. Each says what that region visibly does (raised, lowered, drawn together, \
pulled up, pressed, parted and so on), how strongly, on which side if the sides differ, and what it signals. Left and \
right are those of the person in the picture. Also say which regions stay at rest.
"summary_caption": one sentence that begins with "Ultimately," and names the emotion and the cues that speak for it.

Write English, 150 to 300 words in all. Describe only what can be seen. Do not say or guess who the person is, nor \
their age, gender, race, ethnicity, health or character. Do not mention the picture's quality or yourself."""

SCHEMA = {
    "type": "object",
    "properties": {
        "global_caption": {"type": "string"},
        "local_captions": {"type": "array", "items": {"type": "string"}, "minItems": 4, "maxItems": 12},
        "summary_caption": {"type": "string"},
    },
    "required": ["global_caption", "local_captions", "summary_caption"],
    "additionalProperties": False,
}


def prompt_text(faults: Sequence[str] = ()) -> str:
    """The prompt; `faults` tell what was wrong with an earlier answer about the same face.

    >>> print(prompt_text(["the summary is missing"]).splitlines()[-1])
    An earlier answer could not be used: the summary is missing. Look again, and answer without this fault.
    """
    if not faults:
        return PROMPT
    return (
        f"{PROMPT}\n\nAn earlier answer could not be used: {'; '.join(faults)}. "
        "Look again, and answer without this fault."
    )
