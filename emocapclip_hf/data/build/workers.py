"""Units of work shared out among processes, or among machines by Ray; results are files, so the order is free."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from tqdm import tqdm

ENGINES = ("local", "ray")
_AHEAD = 4  # batches a worker that wait in the queue

Item, Result = TypeVar("Item"), TypeVar("Result")


def run_units(
    work: Callable[[Any], None],
    units: Sequence[Any],
    on_crash: Callable[[Any, str], None],
    title: str,
    workers: int = 1,
    engine: str = "local",
) -> None:
    """Call `work` for each unit, in any order.

    Args:
        work: writes the unit's own file. An exception in it ends the run: what can be wrong with an input is for the
            stage to catch and record.
        on_crash: called with a unit that took its whole process down (a decoder that dies on a damaged film), and with
            what to say of it.
        title: of the progress bar.
        workers: processes here; on Ray, tasks at a time.
        engine: "local" or "ray"; with Ray all machines must see the same files under the same paths.
    """
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; choose from {', '.join(ENGINES)}")
    with tqdm(total=len(units), desc=title, unit=" units", disable=None) as bar:
        if engine == "ray":
            for _ in _on_ray(partial(_in_own_process, work, on_crash), units, workers):
                bar.update()
        elif units:
            _in_processes(work, units, on_crash, workers, bar)


def _in_processes(work, units, on_crash, workers: int, bar: tqdm) -> None:
    done = set()
    try:
        with process_pool(min(workers, len(units))) as pool:
            for number in map_in_order(pool, _Numbered(work), list(enumerate(units)), workers):
                done.add(number)
                bar.update()
    except BrokenProcessPool:  # which unit it was, nobody can tell: go on with each in a process of its own
        for number, unit in enumerate(units):
            if number not in done:
                _in_own_process(work, on_crash, unit)
                bar.update()


def _in_own_process(work: Callable[[Any], None], on_crash: Callable[[Any, str], None], unit: Any) -> None:
    try:
        with process_pool(1) as pool:
            pool.submit(work, unit).result()
    except BrokenProcessPool:
        on_crash(unit, "its decoding ended the whole process")


class _Numbered:
    """`work` that returns the number of its unit."""

    def __init__(self, work: Callable[[Any], None]):
        self.work = work

    def __call__(self, numbered: tuple[int, Any]) -> int:
        number, unit = numbered
        self.work(unit)
        return number


def _on_ray(work: Callable[[Any], None], units: Sequence[Any], workers: int) -> Iterator[Any]:
    """As each unit is done, wherever; `work` must survive its unit: Ray starts a worker that died again for ever."""
    try:
        import ray.data
    except ImportError as error:
        raise ImportError("--engine ray takes Ray: pip install emocapclip-hf[ray]") from error
    if not units:
        return

    def step(row: dict[str, Any]) -> dict[str, int]:
        work(units[row["item"]])
        return row

    numbers = ray.data.from_items(list(range(len(units))), override_num_blocks=len(units))
    try:
        yield from numbers.map(step, compute=ray.data.TaskPoolStrategy(workers)).iter_rows()
    except ray.exceptions.RayError as error:
        raise RuntimeError(f"a task on Ray failed: {error}") from error


def process_pool(workers: int) -> ProcessPoolExecutor:
    # forked workers need no second import of everything
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    return ProcessPoolExecutor(max(1, workers), context, initializer=_end_with_parent, initargs=(os.getpid(),))


def _end_with_parent(parent: int) -> None:
    """A worker whose parent was killed would wait for ever, and hold the parent's locks."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def map_in_order(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """As `pool.map`, but items are taken only a few ahead of the results: memory stays flat however many there are."""
    source = iter(items)
    waiting = [pool.submit(function, item) for item in islice(source, workers * _AHEAD)]
    try:
        while waiting:
            result = waiting.pop(0).result()
            waiting += [pool.submit(function, item) for item in islice(source, 1)]
            yield result
    finally:
        for future in waiting:
            future.cancel()
