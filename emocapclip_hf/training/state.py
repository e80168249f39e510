"""Everything a resumed run stands on, as files: weights, optimizer, moving averages, random numbers.

Names in the files are those of the plain model, so a run can go on with another number of processes. Nothing is
pickled.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_state_dict,
)

WEIGHTS, OPTIMIZER = "model.safetensors", "optimizer.safetensors"
# Of the whole model, whatever part of it each process holds: on all of them, or on the main one.
WHOLE_EVERYWHERE = StateDictOptions(full_state_dict=True)
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


class TrainingState:
    """
    Args:
        accelerator: of the run.
        embedder, optimizer: as it has prepared them.
        averages: name → moving average of the weights.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        embedder: nn.Module,
        optimizer: torch.optim.Optimizer,
        averages: Mapping[str, nn.Module],
    ):
        self.accelerator, self.embedder = accelerator, embedder
        self.optimizer = getattr(optimizer, "optimizer", optimizer)  # without accelerate's wrapper
        self.averages = averages

    def write(self, folder: Path) -> None:
        """Each process calls this; the main one writes weights and optimizer, each its own random numbers."""
        weights, optimizer = get_state_dict(self.embedder, self.optimizer, options=WHOLE)
        averages = {name: get_model_state_dict(average, options=WHOLE) for name, average in self.averages.items()}
        if self.accelerator.is_main_process:
            _save(weights, folder / WEIGHTS)
            _save(
                {
                    f"{name}/{key}": value
                    for name, values in optimizer["state"].items()
                    for key, value in values.items()
                },
                folder / OPTIMIZER,
            )
            for name, average in averages.items():
                _save(average, folder / f"{name}.safetensors")
        numbers = random_state()
        if self.accelerator.scaler is not None:
            numbers["scaler"] = self.accelerator.scaler.state_dict()
        self._own_file(folder).write_text(json.dumps(numbers))

    def read(self, folder: Path) -> None:
        """Load what `write` wrote. A process whose random numbers are not there keeps those it has."""
        _, optimizer = get_state_dict(self.embedder, self.optimizer, options=WHOLE_EVERYWHERE)
        optimizer["state"] = {}  # and the settings stay: the arguments say them, also to a run that goes on
        for name, value in load_file(folder / OPTIMIZER).items():
            parameter, key = name.split("/")
            optimizer["state"].setdefault(parameter, {})[key] = value
        set_state_dict(
            self.embedder,
            self.optimizer,
            model_state_dict=load_file(folder / WEIGHTS),
            optim_state_dict=optimizer,
            options=WHOLE_EVERYWHERE,
        )
        for name, average in self.averages.items():
            file = folder / f"{name}.safetensors"
            if not file.is_file():
                raise ValueError(
                    f"{folder} has no {file.name}: so far the run had no such moving average of the weights. Go on "
                    "with the options it was started with."
                )
            set_model_state_dict(average, load_file(file), options=WHOLE_EVERYWHERE)
        if self._own_file(folder).is_file():
            numbers = json.loads(self._own_file(folder).read_text())
            set_random_state(numbers)
            if self.accelerator.scaler is not None and "scaler" in numbers:
                self.accelerator.scaler.load_state_dict(numbers["scaler"])

    def _own_file(self, folder: Path) -> Path:
        return folder / f"random_state_{self.accelerator.process_index}.json"


def whole_weights(module: nn.Module) -> dict[str, torch.Tensor]:
    """Of a module that processes share, on all of them, who all ask."""
    return get_model_state_dict(module, options=WHOLE_EVERYWHERE)


def random_state() -> dict[str, Any]:
    """Of this process's generators: Python's, NumPy's, torch's. Data workers draw from none of them."""
    name, keys, *rest = np.random.get_state()
    state = {
        "python": random.getstate(),
        "numpy": [name, keys.tolist(), *rest],
        "torch": torch.get_rng_state().tolist(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state().tolist()
    return state


def set_random_state(state: Mapping[str, Any]) -> None:
    """
    >>> before = json.loads(json.dumps(random_state()))
    >>> drawn = torch.rand(3), np.random.rand(3), random.random()
    >>> set_random_state(before)
    >>> torch.equal(torch.rand(3), drawn[0]), (np.random.rand(3) == drawn[1]).all().item(), random.random() == drawn[2]
    (True, True, True)
    """
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(state["numpy"]))
    torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.tensor(state["cuda"], dtype=torch.uint8))


def _save(tensors: Mapping[str, torch.Tensor], file: Path) -> None:
    separate, addresses = {}, set()
    for name, tensor in tensors.items():
        tensor = tensor.contiguous()
        separate[name] = tensor.clone() if tensor.data_ptr() in addresses else tensor  # a decoder's tied weights
        addresses.add(tensor.data_ptr())
    save_file(separate, file)
