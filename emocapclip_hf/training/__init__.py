"""Training: `train.py` from Python."""

from .arguments import TrainingArguments, parse_arguments
from .dry_run import dry_run
from .loop import train
from .publishing import publish_results
from .results import write_model, write_results
from .setup import Materials

__all__ = [
    "Materials",
    "TrainingArguments",
    "dry_run",
    "parse_arguments",
    "publish_results",
    "train",
    "write_model",
    "write_results",
]
