"""Cached gradients: the gradient of a large batch at the memory of a small one (after GradCache, arXiv 2101.06983).

The loss needs all embeddings of a batch at once, but not the activations that made them. So: embed in chunks without
graph, differentiate the loss by the embeddings, then embed each chunk again with graph and hand its embeddings their
gradient. What is kept meanwhile are embeddings: for ViT-B/32 about 100 kB an image, its patches, against some 100 MB
of activations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from .embeddings import Embeddings
from .guides import split_batch
from .objective import GlobalLocalObjective, ObjectiveOutput
from .truth import MiningTruth


class CachedGradients:
    """One training step's forward and backward, in chunks.

    The gradients left in `.grad` are those of `objective(embedder(batch)).loss.backward()`, to rounding: dropout draws
    the same numbers twice, mining sees the whole batch, and on several processes the whole batch of all of them. The
    parameters are read twice, so nothing may change them in between.

    Args:
        embedder: from `objective.embedder(model)`, wrapped in DistributedDataParallel or not.
        objective: any `GlobalLocalObjective`.
        chunk_size: images embedded at once, which sets the memory; the result does not depend on it.

    Example, with float16, accumulation over two batches and a frozen text tower:

    ```python
    objective = GlobalLocalObjective()
    embedder = DistributedDataParallel(objective.embedder(model))
    cached = CachedGradients(embedder, objective, chunk_size=64)
    for step, batch in enumerate(loader):  # of 4096 images, say
        last = step % 2 == 1
        with torch.autocast("cuda", torch.float16):
            output = cached(batch, step, scale_loss=lambda loss: scaler.scale(loss / 2), synchronize=last)
        if last:
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    ```"""

    def __init__(self, embedder: nn.Module, objective: GlobalLocalObjective, chunk_size: int = 32):
        if chunk_size < 1:
            raise ValueError(f"chunk_size is {chunk_size}; it must be at least 1 image")
        self.embedder = embedder
        self.objective = objective
        self.chunk_size = chunk_size

    def __call__(
        self,
        batch: Mapping[str, Any],
        step: int = 0,
        guide: Embeddings | None = None,
        truth: MiningTruth | None = None,
        scale_loss: Callable[[torch.Tensor], torch.Tensor] = lambda loss: loss,
        synchronize: bool = True,
    ) -> ObjectiveOutput:
        """Add the batch's gradient to `.grad`, and return the losses, detached.

        Args:
            batch, step, guide, truth: as for the embedder and the objective.
            scale_loss: applied before differentiating: a `GradScaler`'s scale, a division for accumulation.
            synchronize: whether DistributedDataParallel averages gradients now; False for all but the last batch that
                is accumulated.
        """
        chunks = split_batch(batch, self.chunk_size)
        random_states, parts = [], []
        with torch.no_grad():
            for chunk in chunks:
                random_states.append(_RandomState(chunk["pixel_values"].device))
                parts.append(self.embedder(chunk))
        # Autocast remembers the weights it has cast, in older versions of torch even those cast without graph.
        torch.clear_autocast_cache()
        output, gradients = self._differentiate(parts, step, guide, truth, scale_loss)
        for number, (chunk, state, gradient) in enumerate(zip(chunks, random_states, gradients, strict=True), 1):
            sync = synchronize and number == len(chunks)
            with state.replayed(), nullcontext() if sync else _no_sync(self.embedder):
                self._backward(chunk, gradient)
        return output

    def _differentiate(
        self, parts: list[Embeddings], step, guide, truth, scale_loss
    ) -> tuple[ObjectiveOutput, list[dict[str, torch.Tensor]]]:
        """The losses, and of each chunk the loss's gradient by its embeddings, by name."""
        whole = Embeddings.cat(parts)
        sizes = {
            name: [len(part.tensors()[name]) for part in parts]
            for name in whole.tensors()
            if not name.startswith("scoring.")
        }
        parts.clear()
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in whole.tensors().items()}
        whole = whole.with_tensors(leaves)
        with torch.enable_grad():
            output = self.objective(whole, step, guide, truth)
            _backward_in_full_precision(scale_loss(output.loss))
        output.loss = output.loss.detach()
        gradients = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
        split = {name: gradients.pop(name).split(counts) for name, counts in sizes.items() if name in gradients}
        chunks = [dict(zip(split, pieces, strict=True)) for pieces in zip(*split.values(), strict=True)]
        chunks[-1] |= gradients  # temperatures and the local head belong to no chunk: the last one brings theirs
        return output, chunks

    def _backward(self, chunk: Mapping[str, torch.Tensor], gradients: Mapping[str, torch.Tensor]) -> None:
        """Embed a chunk again and hand its embeddings their gradients."""
        chunk = {name: value for name, value in chunk.items() if not name.startswith("unsampled_")}  # no gradient
        embeddings = self.embedder(chunk).tensors()
        products = [
            (embeddings[name] * gradient).sum()  # whose derivative by the embedding is the gradient
            for name, gradient in gradients.items()
            if embeddings[name].requires_grad  # a frozen tower's do not
        ]
        if products:
            _backward_in_full_precision(torch.stack(products).sum())


def _backward_in_full_precision(loss: torch.Tensor) -> None:
    # Under autocast, backward passes written in Python would be cast as well.
    with torch.autocast(loss.device.type, enabled=False):
        loss.backward()


def _no_sync(embedder: nn.Module):
    return embedder.no_sync() if hasattr(embedder, "no_sync") else nullcontext()


class _RandomState:
    """The random number generators before a chunk's first pass, so that dropout repeats itself in the second."""

    def __init__(self, device: torch.device):
        self.devices = [device] if device.type == "cuda" else []
        self.cpu = torch.get_rng_state()
        self.cuda = [torch.cuda.get_rng_state(device) for device in self.devices]

    @contextmanager
    def replayed(self) -> Iterator[None]:
        with torch.random.fork_rng(self.devices):
            torch.set_rng_state(self.cpu)
            for device, state in zip(self.devices, self.cuda, strict=True):
                torch.cuda.set_rng_state(state, device)
            yield
