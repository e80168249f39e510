"""Multiple choice: each option becomes prompts, and the one nearest to the picture is the answer.

    emocapclip eval choice --model M --benchmark face-human-bench --data-dir D
    python -m emocapclip_hf.eval.choice --model M --benchmark facexbench --data-dir D

Every question is asked with its options in every rotation, and the accuracy is the mean: in Face-Human-Bench the right
one always stands first, so whoever takes the first of equals, or always the first, would shine.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np

from .benchmarks import protocol_of
from .benchmarks.label_names import emotion_name
from .checkpoint import Checkpoint
from .embed import embed_images
from .prompts import PromptSet
from .results import Result, bootstrap
from .zero_shot import EncodedPrompts, cosines


def run(
    checkpoint: Checkpoint, dataset: datasets.Dataset, prompts: PromptSet, scoring: str = "global", **embedding: Any
) -> Result:
    """
    Answer a benchmark's questions about one picture each.

    Args:
        dataset: of `load_benchmark`, with `image`, `question`, `options` and `answer`.
        prompts: what stands for an option.
        scoring: "global", "local" or "both", as in zero-shot classification.
        embedding: what `embed_images` takes.
    """
    _check(dataset)
    for warning in protocol_of(dataset)["warnings"]:
        warnings.warn(f"{protocol_of(dataset)['title']}: {warning}", stacklevel=2)
    names = sorted({option_name(option) for options in dataset["options"] for option in options})
    encoded = EncodedPrompts.of(checkpoint, {name: prompts.texts(name) for name in names})
    sentences = None if scoring == "global" else encoded.embeds
    embedded = embed_images(checkpoint.model, checkpoint.processor, dataset, sentences=sentences, **embedding)
    rows = dataset.select(embedded.rows.tolist())
    # (questions, names of all options); what differs by rounding only is equal
    found = cosines(encoded, embedded, scoring).round(5)
    right = np.array(
        [
            share_right([scores[names.index(option_name(option))] for option in options], answer)
            for scores, options, answer in zip(found, rows["options"], rows["answer"], strict=True)
        ]
    )
    kinds = [name.rpartition("/")[0] for name in rows["id"]]  # basic/012, affectnet/single/7
    protocol = protocol_of(dataset)
    return Result(
        "choice",
        protocol["benchmark"],
        bootstrap({"accuracy": np.mean}, right),
        n=len(rows),
        model=checkpoint.name,
        revision=checkpoint.revision,
        fingerprint=dataset._fingerprint,
        protocol=protocol
        | {"prompt_set": prompts.name, "prompts_by": prompts.source, "scoring": scoring, "options_asked": "rotated"},
        prompts=dict(encoded.texts),
        details={
            "accuracy": {kind: float(right[[k == kind for k in kinds]].mean()) for kind in sorted(set(kinds))},
            "chance": float(np.mean([1 / len(options) for options in rows["options"]])),
        },
        skipped=[list(entry) for entry in embedded.skipped],
    )


def option_name(option: str) -> str:
    """An option as the name of an emotion: without its letter, in this project's spelling.

    >>> option_name("(B) Happy."), option_name("Sadly Fearful"), option_name("C. 3")
    ('happiness', 'sadly fearful', '3')
    """
    return emotion_name(re.sub(r"^\(?[A-Da-d][).:]\s+", "", option.strip()).rstrip("."))


def share_right(scores: Sequence[float], answer: int) -> float:
    """In how many of the rotations of its options a question is answered rightly, when the first of equals is taken.

    >>> share_right([0.2, 0.9, 0.1], 1), share_right([0.5, 0.5, 0.5, 0.5], 0)
    (1.0, 0.25)
    """
    scores, count = np.asarray(scores), len(scores)
    chosen = [(int(np.roll(scores, -turn).argmax()) + turn) % count for turn in range(count)]
    return float(np.mean([option == answer for option in chosen]))


def _check(dataset: datasets.Dataset) -> None:
    if "options" not in dataset.column_names:
        raise ValueError(f"{protocol_of(dataset)['title']} asks no questions with options: choose another task")
    if "images" in dataset.column_names:
        raise ValueError(
            "questions about several pictures ask to count and compare, and a model that matches a picture with a "
            "text cannot: take the questions about one picture (--option images=single)"
        )


if __name__ == "__main__":
    from .command import main

    sys.exit(main("choice"))
