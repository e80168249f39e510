"""Trackers of accelerate: TensorBoard, trackio, Weights & Biases."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from accelerate import Accelerator

from .arguments import TrainingArguments

PROJECT = "emocapclip"


def check_tracker(name: str) -> None:
    """Whether it is installed, before a long preparation."""
    if name != "none" and find_spec(name) is None:
        raise ModuleNotFoundError(
            f"report_to is {name}, which is not installed: pip install {name}, or leave out --report-to. log.jsonl is "
            "written in any case."
        )


def start_tracker(accelerator: Accelerator, args: TrainingArguments) -> None:
    """Tell the tracker, if there is one, what the run is called and how it is set."""
    if args.run.report_to == "none":
        return
    options = {f"{group}.{name}": value for group, values in asdict(args).items() for name, value in values.items()}
    # TensorBoard's table takes numbers and texts only.
    plain = {
        name: value if isinstance(value, int | float | str) else json.dumps(value) for name, value in options.items()
    }
    name = Path(args.run.output_dir).resolve().name
    names = {"wandb": {"name": name, "resume": "allow"}, "trackio": {"name": name, "resume": "allow"}}
    accelerator.init_trackers(PROJECT, plain, init_kwargs={args.run.report_to: names.get(args.run.report_to, {})})
