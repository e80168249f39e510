"""The processes of a run: how long one waits for another, and what they agree on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from accelerate import Accelerator
from torch import distributed as dist

from ..objective.distributed import world_size

# For work that one process does while the others wait: building a cache, writing a checkpoint to a slow disk.
PATIENCE = timedelta(days=1)


class Processes:
    """
    In training all processes do the same at the same time, so one that keeps the others waiting has died or hangs, and
    accelerate's process group, which has a short timeout, ends the run. Where they wait on purpose they wait here.

    Args:
        accelerator: whose processes they are.
    """

    def __init__(self, accelerator: Accelerator):
        self.count, self.index = accelerator.num_processes, accelerator.process_index
        self.is_main, self._device = accelerator.is_main_process, accelerator.device
        self._patient = dist.new_group(backend="gloo", timeout=PATIENCE) if world_size() > 1 else None

    def wait(self) -> None:
        """Until all are here."""
        if self._patient is not None:
            dist.barrier(self._patient)

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The main process does it, then the others do, who find what it left behind."""
        if not self.is_main:
            self.wait()
        yield
        if self.is_main:
            self.wait()

    def highest(self, number: int) -> int:
        """The largest number that any of them has: asked at every step, so without patience."""
        if self._patient is None:
            return number
        numbers = torch.tensor(number, device=self._device)
        dist.all_reduce(numbers, dist.ReduceOp.MAX)
        return int(numbers)
