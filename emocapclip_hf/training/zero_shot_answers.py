"""What a model takes each face of the test split for: the ground of the card's gaps and of the contact sheet."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..zero_shot import ZeroShotClassifier
from .setup import Materials
from .validation import TEMPLATES, labelled_rows


@dataclass
class ZeroShotAnswers:
    """
    Args:
        rows: of the test split, those with a basic emotion.
        labels: the emotions, sorted.
        truth: (faces,), index of each face's emotion.
        scores: (faces, labels), probabilities.
    """

    rows: list[int]
    labels: list[str]
    truth: torch.Tensor
    scores: torch.Tensor

    @property
    def predicted(self) -> torch.Tensor:
        return self.scores.argmax(dim=1)


def zero_shot_answers(materials: Materials) -> ZeroShotAnswers | None:
    """Zero-shot over the basic emotions of the test split; None where its rows name no emotions."""
    table = materials.test
    rows = labelled_rows(table).get("emotion") if "emotion" in table.column_names else None
    if not rows:
        return None
    column = list(table["emotion"])  # which datasets makes anew at each use
    emotions = [column[row] for row in rows]
    labels = sorted(set(emotions))
    was_training = materials.model.training
    classifier = ZeroShotClassifier(materials.model.eval(), materials.processor, labels, TEMPLATES)
    scores = classifier.scores(table[row]["image"] for row in rows).cpu()
    materials.model.train(was_training)
    return ZeroShotAnswers(rows, labels, torch.tensor([labels.index(emotion) for emotion in emotions]), scores)
