"""Which learning rate and weight decay each parameter gets."""

from __future__ import annotations

import re

from torch import nn

TOWERS = ("vision_model", "text_model")
# A tower's blocks in transformers: encoder.layers.3 (CLIP, SigLIP), encoder.layer.3 (DINOv2), encoder.stages.3.
BLOCK = re.compile(r"\.(?:layers?|stages)\.(\d+)\.")


def parameter_groups(
    model: nn.Module, learning_rate: float, weight_decay: float, layer_decay: float = 1.0
) -> list[dict]:
    """
    Parameter groups for a torch optimizer, of every parameter that is trained.

    Weight decay spares norms, biases and temperatures (all that is not a matrix). With `layer_decay` below 1, block k
    (of n, from 0) learns at `learning_rate · layer_decay ** (n - k)` and the embeddings slowest of all, so that
    fine-tuning changes what is general least; projections, norms after the last block and the local head learn at the
    full rate.

    ```python
    >>> from torch import nn
    >>> [len(group["params"]) for group in parameter_groups(nn.Linear(2, 2), 1e-3, 0.1)]
    [1, 1]

    ```"""
    places = {name: _place(name) for name, _ in model.named_parameters()}
    blocks = {tower: max((level for t, level in places.values() if t == tower), default=0) for tower in TOWERS}
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            tower, level = places[name]
            levels_below_the_top = 0 if tower is None else blocks[tower] + 1 - level
            decay = weight_decay if parameter.ndim >= 2 else 0.0
            rate = learning_rate * layer_decay**levels_below_the_top
            # Scalars apart: where the others are shared out over processes these are not, and do not mix with them.
            groups.setdefault((rate, decay, parameter.ndim == 0), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay, _), parameters in sorted(groups.items(), key=lambda group: group[0])
    ]


def _place(name: str) -> tuple[str | None, int]:
    """Tower and level of a parameter: 0 for embeddings, k + 1 for block k; no tower where the full rate holds."""
    tower = next((tower for tower in TOWERS if name.startswith(f"{tower}.")), None)
    block = BLOCK.search(name)
    if tower and block:
        return tower, int(block[1]) + 1
    if tower and ".embeddings." in f".{name}":
        return tower, 0
    return None, 0
