"""Training: `train.py` from Python."""

from .arguments import TrainingArguments, parse_arguments
from .loop import train
from .results import write_model, write_results
from .setup import Materials

__all__ = ["Materials", "TrainingArguments", "parse_arguments", "train", "write_model", "write_results"]
