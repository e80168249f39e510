"""From a batch to gradients: whole or in chunks, for one batch or several that are accumulated."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from ..objective import CachedGradients, GlobalLocalObjective, ObjectiveOutput


class Backward:
    """
    Args:
        embedder: from `objective.embedder(model)`, prepared by accelerate.
        chunk_size: images embedded at once (see `CachedGradients`); None for all.

    Accumulating `n` batches averages `n` losses. For a contrastive loss that is *not* the loss of a batch `n` times as
    large: an image meets the captions of its own batch only. Cached gradients are: they give a large batch's own
    gradient at a small one's memory.
    """

    def __init__(
        self, accelerator: Accelerator, embedder: nn.Module, objective: GlobalLocalObjective, chunk_size: int | None
    ):
        self.accelerator, self.embedder, self.objective = accelerator, embedder, objective
        self.cached = None if chunk_size is None else CachedGradients(embedder, objective, chunk_size)

    def __call__(
        self, batch: Mapping[str, Any], step: int, mining: Mapping[str, Any], number: int = 0, of: int = 1
    ) -> ObjectiveOutput:
        """
        Add a batch's gradient to `.grad`.

        Args:
            mining: `guide` and `truth` for the objective.
            number, of: which of how many batches of this step it is; after the last, processes exchange gradients.
        """
        tensors = {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}
        last = number == of - 1
        if self.cached is None:
            with nullcontext() if last else self.accelerator.no_sync(self.embedder):
                with self.accelerator.autocast():
                    output = self.objective(self.embedder(tensors), step, **mining)
                self.accelerator.backward(output.loss / of)
                return output
        scaler = self.accelerator.scaler
        with self.accelerator.autocast():
            return self.cached(
                tensors,
                step,
                **mining,
                scale_loss=lambda loss: loss / of if scaler is None else scaler.scale(loss / of),
                synchronize=last,
            )


def mean_scalars(outputs: list[ObjectiveOutput]) -> dict[str, float]:
    """Losses and diagnostics, averaged over the batches of a step."""
    scalars = [output.scalars() for output in outputs]
    return {name: sum(each[name] for each in scalars) / len(scalars) for name in scalars[0]}
