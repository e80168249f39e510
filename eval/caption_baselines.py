"""Captions that no captioner wrote, to compare with: another face's, one for all, and the truth in other words.

The paraphrase is a ceiling: it says how far a parser's reading of a true caption can be trusted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import datasets
import torch

from emocapclip_hf.data.synthfaces import describe, face_at

from .caption_truth import reference_captions


def retrieved_captions(asked: torch.Tensor, known: torch.Tensor, captions: Sequence[str]) -> list[str]:
    """
    The caption of the training face that looks most like each face to an encoder.

    Args:
        asked: (faces, dim), unit vectors.
        known: (training faces, dim), theirs.
        captions: of the training faces.
    """
    nearest = torch.cat([(block @ known.T).argmax(dim=1) for block in asked.split(256)])
    return [captions[index] for index in nearest.tolist()]


def constant_caption(train: datasets.Dataset) -> str:
    """The caption of the first training face with the commonest emotion; where none is known, of the first."""
    captions = reference_captions(train)
    column = next((name for name in ("emotion", "label") if name in train.column_names), None)
    if column is None:
        return captions[0]
    emotions = train[column][:]
    return captions[emotions.index(Counter(emotions).most_common(1)[0][0])]


def paraphrases(references: Sequence[str], split: str, rows: Sequence[int], seed: int = 0) -> list[str] | None:
    """
    What SynthFaces says of the same faces in other words; None for captions that are not its own.

    Args:
        references: captions of these rows of a split.
    """
    faces = [face_at(seed, split, row) for row in rows]
    for form in ("short", "long"):
        if all(describe(face, form).to_paragraph() == own for face, own in zip(faces, references, strict=True)):
            others = (replace(face, caption_seed=face.caption_seed + 1) for face in faces)
            return [describe(face, form).to_paragraph() for face in others]
    return None
