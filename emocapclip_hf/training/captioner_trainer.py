"""`Trainer` for a captioner: other materials, another objective, the same loop."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .arguments import TrainingArguments
from .captioner import CaptionObjective
from .captioner_setup import captioner_rows, evaluate_captioner, prepare_captioner, prepare_captioner_materials
from .setup import Materials
from .trainer import Trainer


class _NoGuide:
    """Captions are learnt as they are: nothing is mined."""

    average = None

    def to(self, device: torch.device) -> _NoGuide:
        return self

    def __call__(self, *batch_and_when: Any) -> dict[str, Any]:
        return {}

    def for_model(self, batch: dict[str, Any], *when: Any) -> dict[str, Any]:
        return batch


class CaptionerTrainer(Trainer):
    """A run of `train.py` whose arguments name a decoder."""

    def __init__(self, args: TrainingArguments, materials: Materials | None = None, objective=None):
        if args.objective.cached_chunk_size is not None:
            raise ValueError(
                "cached_chunk_size is for the contrastive objective, whose batch cannot be cut. For a captioner use "
                "gradient_accumulation_steps."
            )
        super().__init__(args, materials, objective)

    def _make(self, materials: Materials | None, objective: CaptionObjective | None) -> tuple[nn.Module, Any]:
        args = self.args
        objective = objective or CaptionObjective()
        self.materials = materials or prepare_captioner_materials(args)
        decoder_is_new = args.captioner.decoder_config is not None
        self.adapted = prepare_captioner(self.materials.model, args.model, decoder_is_new)
        self.guide = _NoGuide()
        self.rows, self.collator = captioner_rows(self.materials, args)
        return objective.embedder(self.materials.model), objective

    def _measure(self, trained: Materials) -> dict[str, float]:
        prompt = self.args.captioner.prompt
        return evaluate_captioner(trained.model, trained.processor, trained.validation, "validation", prompt)
