"""Three-level captions as the text inputs of a training step."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch


class CaptionLevels(NamedTuple):
    """The three levels of one caption, read by name from a mapping or an object."""

    global_caption: str
    local_captions: Sequence[str]
    summary_caption: str


def read_captions(captions: Any) -> list[CaptionLevels]:
    """One caption or a sequence of them, checked; an empty sentence is an error that names its row and level.

    >>> read_captions({"global_caption": "A happy face.", "local_captions": [], "summary_caption": "Joy."})
    [CaptionLevels(global_caption='A happy face.', local_captions=[], summary_caption='Joy.')]
    """
    if not isinstance(captions, list | tuple):
        captions = [captions]
    if len(captions) == 0:
        raise ValueError("captions is empty: pass at least one caption")
    return [_read_caption(caption, f"captions[{row}]") for row, caption in enumerate(captions)]


def caption_inputs(
    captions: list[CaptionLevels], tokenize: Callable[[list[str]], Mapping[str, Any]]
) -> dict[str, Any]:
    """`input_ids`, `summary_input_ids` (B, L), `local_input_ids` (B, K, L), their masks, and `local_mask` (B, K).

    K is the largest number of local sentences in the batch, and at least 1. Rows of `local_input_ids` beyond a
    caption's own sentences hold an encoded empty text, so that a text tower can run over them; `local_mask` is False
    there. `tokenize` encodes a list of texts to equally long rows.
    """
    inputs = dict(tokenize([caption.global_caption for caption in captions]))
    for name, values in tokenize([caption.summary_caption for caption in captions]).items():
        inputs[f"summary_{name}"] = values
    return inputs | sentence_inputs([caption.local_captions for caption in captions], tokenize, "local_")


def sentence_inputs(
    sentences: Sequence[Sequence[str]], tokenize: Callable[[list[str]], Mapping[str, Any]], prefix: str
) -> dict[str, Any]:
    """Several sentences a row: their tokens (B, K, L), with the row's mask (B, K), their names behind `prefix`."""
    most_sentences = max(1, max(len(row) for row in sentences))
    counts = np.array([len(row) for row in sentences])
    padded_sentences = [sentence for row in sentences for sentence in [*row, *[""] * (most_sentences - len(row))]]
    inputs = {
        f"{prefix}{name}": values.reshape(len(sentences), most_sentences, *values.shape[1:])  # (B, K, L)
        for name, values in tokenize(padded_sentences).items()
    }
    mask = np.arange(most_sentences) < counts[:, None]  # (B, K)
    inputs[f"{prefix}mask"] = torch.from_numpy(mask) if torch.is_tensor(inputs[f"{prefix}input_ids"]) else mask
    return inputs


def check_sentence(sentence: Any, place: str) -> None:
    """A sentence is a string with something in it; `place` is how the error calls it."""
    if not isinstance(sentence, str):
        raise TypeError(f"{place} is a {type(sentence).__name__}; it must be a string")
    if not sentence.strip():
        raise ValueError(f"{place} is empty: write the sentence, or leave the row out of the batch")


def _read_caption(caption: Any, place: str) -> CaptionLevels:
    levels = {}
    for name in CaptionLevels._fields:
        if isinstance(caption, Mapping) and name in caption:
            levels[name] = caption[name]
        elif hasattr(caption, name):
            levels[name] = getattr(caption, name)
        else:
            raise TypeError(
                f"{place} is a {type(caption).__name__} without {name!r}; a caption is an EmoCaption, or a dict or "
                f"object with {', '.join(CaptionLevels._fields)}"
            )
    check_sentence(levels["global_caption"], f"{place}.global_caption")
    check_sentence(levels["summary_caption"], f"{place}.summary_caption")
    if isinstance(levels["local_captions"], str) or not isinstance(levels["local_captions"], Sequence):
        raise TypeError(
            f"{place}.local_captions is a {type(levels['local_captions']).__name__}; it is a list with one sentence "
            "for each facial region (an empty list if there are none)"
        )
    for index, sentence in enumerate(levels["local_captions"]):
        check_sentence(sentence, f"{place}.local_captions[{index}]")
    return CaptionLevels(**levels)
