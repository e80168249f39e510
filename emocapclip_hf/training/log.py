"""What a run says: a JSON line for programs, curves for a tracker, a progress bar and each evaluation for people."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path

import psutil
import torch
from accelerate import Accelerator
from tqdm.auto import tqdm


class TrainingLog:
    """
    Args:
        folder: `log.jsonl` in it is appended to, so a resumed run goes on in the same file.
        accelerator: only its main process writes and shows; its trackers, if any, get the same figures.
        first_step, last_step: of this part of the run.
    """

    def __init__(self, folder: Path, accelerator: Accelerator, first_step: int, last_step: int):
        self.accelerator, self.is_main = accelerator, accelerator.is_main_process
        self.path = folder / "log.jsonl"
        if self.is_main:
            self._forget_after(first_step)
        self.bar = tqdm(
            total=last_step, initial=first_step, desc="Training", unit="step", disable=None if self.is_main else True
        )
        self._process = psutil.Process()
        self._since, self._waited, self._faces = time.perf_counter(), 0.0, 0

    def waited(self, seconds: float) -> None:
        """For data, since the last line."""
        self._waited += seconds

    def step_done(self, faces: int) -> None:
        self._faces += faces
        self.bar.update()

    def write(self, step: int, figures: dict[str, float]) -> None:
        """A line of the log, with throughput, waiting for data and memory since the last one."""
        passed = time.perf_counter() - self._since
        line = {
            **figures,
            "faces_per_second": self._faces / passed,
            "data_wait_share": self._waited / passed,
            "memory_mib": self._process.memory_info().rss / 2**20,
        }
        if torch.cuda.is_available():
            line["cuda_peak_memory_mib"] = torch.cuda.max_memory_allocated() / 2**20
        self._since, self._waited, self._faces = time.perf_counter(), 0.0, 0
        self._append(step, line)
        self.bar.set_postfix(
            loss=f"{figures['loss']:.3f}", faces_per_s=f"{line['faces_per_second']:.2f}", refresh=False
        )

    def evaluation(self, step: int, metrics: dict[str, float]) -> None:
        self._append(step, metrics)
        self.say(f"step {step}: " + ", ".join(f"{name} {value:.3f}" for name, value in metrics.items()))

    def say(self, text: str) -> None:
        if self.is_main:
            tqdm.write(text, file=sys.stdout)
            sys.stdout.flush()

    def close(self) -> None:
        self.bar.close()
        for tracker in self.accelerator.trackers:  # not `end_training`: the processes have yet to evaluate together
            tracker.finish()

    def _append(self, step: int, figures: dict[str, float]) -> None:
        if self.is_main:
            # JSON knows no NaN, which stands for what there was nothing to count of
            known = {name: round(value, 6) if math.isfinite(value) else None for name, value in figures.items()}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **known}) + "\n")
        self.accelerator.log({name: value for name, value in figures.items() if math.isfinite(value)}, step=step)

    def _forget_after(self, step: int) -> None:
        """Lines of steps that are made again, since the run was killed before they were saved."""
        if self.path.is_file():
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
            aside = self.path.with_name(f".{self.path.name}.partial")
            aside.write_text("".join(kept), encoding="utf-8")
            os.replace(aside, self.path)
