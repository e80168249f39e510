"""FSDP2: each process holds a share of the weights, of their gradients and of the optimizer's state."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import torch
from torch import distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard

from .parameter_groups import BLOCK


def shard(embedder: nn.Module, learns: bool = True) -> nn.Module:
    """
    Share out the weights over the processes, in place. The temperatures stay whole: FSDP2 takes no scalars.

    A block of the vision tower is put together only while it computes. All else is so from the forward to the backward
    pass, the text tower too: how often that is called depends on the texts of a process's batch, and processes that
    exchange weights at each call would wait for one another for ever.

    Args:
        embedder: on its device.
        learns: whether a backward pass follows the forward pass.
    """
    for tensor in (*embedder.parameters(), *embedder.buffers()):
        dist.broadcast(tensor.data, src=0)  # as DistributedDataParallel does: all begin as the main process
    for name, module in embedder.named_modules():
        block = BLOCK.search(f".{name}.")
        if "vision_model" in name and block and block.end() == len(f".{name}."):
            fully_shard(module)
    # It warns of writing into the embeddings, each run and process anew; nobody does.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    scalars = {parameter for parameter in embedder.parameters() if parameter.ndim == 0}
    return fully_shard(embedder, reshard_after_forward=not learns, ignored_params=scalars)


def average_whole_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Over the processes, of the weights that are not shared out. (FSDP does it for the others.)"""
    gradients = [parameter.grad for parameter in parameters if parameter.ndim == 0 and parameter.grad is not None]
    if gradients:
        together = torch.stack(gradients)
        dist.all_reduce(together)
        for gradient, mean in zip(gradients, together / dist.get_world_size(), strict=True):
            gradient.copy_(mean)
