"""A fitted head with its vision tower as a checkpoint that `pipeline("image-classification")` serves."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence

import torch
from transformers import CLIPModel

from emocapclip_hf import EmoCapCLIPForImageClassification, EmoCapCLIPModel

from .checkpoint import Checkpoint
from .logistic_path import LinearHead


def save_classifier(
    checkpoint: Checkpoint,
    head: LinearHead,
    labels: Sequence[str],
    folder: str | os.PathLike,
    thresholds: torch.Tensor | None = None,
) -> EmoCapCLIPForImageClassification:
    """
    Write `EmoCapCLIPForImageClassification` and the processor to a folder, in Hub format.

    Args:
        checkpoint: an EmoCapCLIP or CLIP model, whose vision tower is taken.
        head: on the tower's pooled output.
        thresholds: of labels that do not exclude each other. They go into the bias, so that a label is present from a
            score of 0.5 on.
    """
    model = checkpoint.model
    if isinstance(model, CLIPModel):
        model = EmoCapCLIPModel.from_clip(model)
    if not isinstance(model, EmoCapCLIPModel):
        raise ValueError(
            f"the head of a {type(model).__name__} cannot be saved: only EmoCapCLIP and CLIP have a tower that "
            "EmoCapCLIPForImageClassification takes over. Leave out save_to (--save-head)"
        )
    config = copy.deepcopy(model.config)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    config.problem_type = "single_label_classification" if thresholds is None else "multi_label_classification"
    classifier = EmoCapCLIPForImageClassification(config).eval()
    classifier.vision_model.load_state_dict(model.vision_model.state_dict())
    shift = torch.zeros_like(head.bias) if thresholds is None else thresholds.nan_to_num(posinf=_NEVER)
    with torch.no_grad():
        classifier.classifier.weight.copy_(head.weight)
        classifier.classifier.bias.copy_(head.bias - shift)
    classifier.save_pretrained(folder)
    checkpoint.processor.save_pretrained(folder)
    return classifier


_NEVER = 1e4  # a threshold no logit reaches, that half precision can still hold
