"""Which rows each step sees: a pure function of seed and step, so that a resumed run sees what it would have seen."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ..data.augmentation import row_generator
from ..data.collator import EmoCapCollator
from .interruption import leave_signals_to_the_main_process

_ORDER = 2  # a purpose of random numbers that the collator does not use


class EpochBatches(Sampler[list[int]]):
    """One process's batches of an epoch, which is a permutation of all rows.

    However many processes share them out, the batches of all processes together are the same. What is left over at an
    epoch's end, less than such a batch, is left out of that epoch; another remainder each time.

    Args:
        rows: how many there are.
        batch_size: of each process.
        start: epoch and row at which batch 0 begins, for a run that goes on with batches of another size.

    >>> batches = EpochBatches(rows=5, batch_size=2, seed=0)
    >>> batches.set_position(*batches.place(7))
    >>> list(batches)
    [[2, 4]]
    """

    def __init__(
        self, rows: int, batch_size: int, seed: int, rank: int = 0, ranks: int = 1, start: tuple[int, int] = (0, 0)
    ):
        self.together = batch_size * ranks
        self.steps = rows // self.together
        if self.steps == 0:
            raise ValueError(
                f"{rows} rows are less than one batch of {batch_size} on each of {ranks} processes: lower "
                "per_device_train_batch_size, or bring more data."
            )
        self.rows, self.batch_size, self.seed, self.rank, self.start = rows, batch_size, seed, rank, start
        self.set_position(*start)

    def place(self, batch: int) -> tuple[int, int]:
        """Epoch and row, of the epoch's permutation, at which a batch begins.

        >>> EpochBatches(rows=5, batch_size=2, seed=0).place(7)
        (3, 2)
        """
        epoch, row = self.start
        left = (self.rows - row) // self.together  # batches in the epoch that `start` is in
        if batch < left:
            return epoch, row + batch * self.together
        epochs, batches = divmod(batch - left, self.steps)
        return epoch + 1 + epochs, batches * self.together

    def set_position(self, epoch: int, first_row: int) -> None:
        self.epoch, self.first_row = epoch, first_row

    def __len__(self) -> int:
        return (self.rows - self.first_row) // self.together

    def __iter__(self) -> Iterator[list[int]]:
        order = row_generator(self.seed, self.epoch, 0, _ORDER).permutation(self.rows)
        for number in range(len(self)):
            start = self.first_row + number * self.together + self.rank * self.batch_size
            yield order[start : start + self.batch_size].tolist()


def _from_living_workers(loader: DataLoader) -> Iterator[dict[str, Any]]:
    """Its batches. A worker that dies while it hands one over leaves a broken connection, which says nothing of it."""
    try:
        yield from loader
    except (OSError, EOFError) as error:
        workers = getattr(loader._iterator, "_workers", [])
        for worker in workers:
            worker.join(timeout=1)  # its connection breaks a moment before it is gone
        dead = [str(worker.pid) for worker in workers if not worker.is_alive()]
        if not dead:
            raise
        raise RuntimeError(
            f"DataLoader worker (pid {', '.join(dead)}) died. Was it killed for want of memory? Lower "
            "--dataloader-num-workers, and go on with --resume."
        ) from error


def training_batches(
    rows: Dataset, collator: EmoCapCollator, order: EpochBatches, first: int, last: int, num_workers: int = 0
) -> Generator[dict[str, Any], None, None]:
    """The batches from number `first` up to `last`, over as many epochs as that takes."""
    loader = DataLoader(
        rows,
        batch_sampler=order,
        collate_fn=collator,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        worker_init_fn=leave_signals_to_the_main_process,
        generator=torch.Generator(),  # its own: each pass draws a seed, and a resumed epoch is one pass more
    )
    number = first
    try:
        while number < last:
            epoch, first_row = order.place(number)
            collator.set_epoch(epoch)
            order.set_position(epoch, first_row)
            for batch in _from_living_workers(loader):
                yield batch
                number += 1
                if number == last:
                    return
    finally:
        if loader._iterator is not None:
            # Python, when it exits, sends its children SIGTERM, which these do not listen to, and waits for them; by
            # then they must have ended. An exception keeps the loader, which would see to it, alive until later.
            loader._iterator._shutdown_workers()
