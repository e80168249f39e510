"""What the measurements share: two ways timed side by side, memory counted, a table or one JSON object printed."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

from emocapclip_hf.peak_memory import peak_bytes

__all__ = ["Row", "interleaved_seconds", "parser", "peak_bytes", "row", "show"]

Row = dict[str, float | str]


def row(ours: float, peer: float, unit: str) -> Row:
    """One line of a table; the ratio is the peer's figure over ours for costs, ours over the peer's for rates."""
    ratio = ours / peer if unit.endswith("/s") else peer / ours
    return {"ours": ours, "peer": peer, "unit": unit, "ratio": ratio}


def interleaved_seconds(ours: Callable[[], object], peer: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of each, run in turns so that a busy neighbour slows both alike; one round warms up."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for function, taken in zip((ours, peer), times, strict=True):
            start = time.perf_counter()
            function()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - start)
    return statistics.median(times[0][1:]), statistics.median(times[1][1:])


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments that every measurement takes."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--json", action="store_true", help="print one JSON object, row name -> figures")
    made.add_argument("--rounds", type=int, default=5, help="timed rounds of each side, in turns (default: 5)")
    return made


def show(rows: dict[str, Row], as_json: bool) -> None:
    """Print the rows, as a Markdown table for people or as one object for programs."""
    if as_json:
        print(json.dumps(rows))
        return
    print("| | ours | peer | unit | ratio |\n|---|---:|---:|---|---:|")
    for name, figures in rows.items():
        print(
            f"| {name} | {figures['ours']:.3g} | {figures['peer']:.3g} | {figures['unit']} | {figures['ratio']:.1f} |"
        )
