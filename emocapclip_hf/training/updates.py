"""From gradients to new weights: learning rates, clipping, and what to do with what is not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from accelerate import Accelerator
from torch import nn

from ..objective import ObjectiveOutput
from .arguments import OptimisationArguments
from .parameter_groups import parameter_groups
from .sharding import average_whole_gradients

MOST_SKIPPED_IN_A_ROW = 20


class Updates:
    """
    The optimizer's side of a step.

    Args:
        embedder: from `objective.embedder(model)`; `prepare` wraps it.
        args: rates, decay, clipping.
        skip_broken: leave out a step that is not finite in place of stopping.
    """

    def __init__(self, embedder: nn.Module, args: OptimisationArguments, skip_broken: bool):
        self.args, self.skip_broken = args, skip_broken
        groups = parameter_groups(embedder.model, args.learning_rate, args.weight_decay, args.layer_decay)
        self.optimizer = torch.optim.AdamW(groups, betas=(args.adam_beta1, args.adam_beta2), fused=True)
        self.highest_rates = [group["lr"] for group in groups]
        self.skipped = self._skipped_in_a_row = 0

    def prepare(self, accelerator: Accelerator, embedder: nn.Module, is_sharded: bool = False) -> nn.Module:
        """Hand the optimizer to accelerate, and the model unless it `is_sharded` already; returns that, wrapped."""
        self.accelerator, self.is_sharded = accelerator, is_sharded
        self.embedder = embedder if is_sharded else accelerator.prepare(embedder)
        self.optimizer = accelerator.prepare_optimizer(self.optimizer)
        return self.embedder

    def set_learning_rates(self, step: int) -> None:
        factor = learning_rate_factor(step, self.args)
        for group, highest in zip(self.optimizer.param_groups, self.highest_rates, strict=True):
            group["lr"] = highest * factor

    def apply(self, step: int, outputs: Sequence[ObjectiveOutput]) -> tuple[bool, dict[str, float]]:
        """Make the step with the gradients there are. Returns whether it was made, and figures for the log."""
        loss = torch.stack([output.loss.detach() for output in outputs]).mean()
        if self.is_sharded:
            average_whole_gradients(self.embedder.parameters())
        norm = self.accelerator.clip_grad_norm_(self.embedder.parameters(), self.args.max_grad_norm)
        # All processes hold the same norm and loss, and so decide the same. With float16 the scaler makes gradients
        # overflow now and then, and skips those steps itself.
        finite = bool(torch.isfinite(norm if self.accelerator.scaler is None else loss))
        if finite:
            self.optimizer.step()
            self._skipped_in_a_row = 0
        else:
            self.give_up(step, FloatingPointError(f"the gradient is not finite (loss {loss.item():.4g})"))
        self.optimizer.zero_grad()
        rates = [group["lr"] for group in self.optimizer.param_groups]
        figures = {"learning_rate": max(rates), "gradient_norm": float(norm), "skipped_steps": self.skipped}
        return finite, figures | ({"lowest_learning_rate": min(rates)} if self.args.layer_decay != 1 else {})

    def give_up(self, step: int, error: FloatingPointError) -> None:
        """Leave this step out, or stop."""
        self.optimizer.zero_grad()
        self.skipped += 1
        self._skipped_in_a_row += 1
        hint = "Lower the learning rate, or pass --on-nan skip"
        if self.skip_broken:
            hint = f"That was the {self._skipped_in_a_row}th in a row: lower the learning rate"
        if not self.skip_broken or self._skipped_in_a_row > MOST_SKIPPED_IN_A_ROW:
            raise FloatingPointError(f"Step {step}: {error}. The checkpoints are from before it. {hint}.") from error


def learning_rate_factor(step: int, args: OptimisationArguments) -> float:
    """Linear warm-up, then a cosine to zero.

    >>> args = OptimisationArguments(warmup_steps=10, max_steps=110)
    >>> [round(learning_rate_factor(step, args), 2) for step in (0, 9, 10, 60, 109)]
    [0.1, 1.0, 1.0, 0.5, 0.0]
    """
    if step < args.warmup_steps:
        return (step + 1) / args.warmup_steps
    progress = (step - args.warmup_steps) / max(1, args.max_steps - args.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * progress))
