"""Several gloo processes that run one function, and the training batch they share."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from multiprocessing import set_forkserver_preload
from pathlib import Path

import torch
from torch import distributed as dist
from torch import multiprocessing
from zoo import random_inputs, small_config

from emocapclip_hf import EmoCapCLIPModel
from emocapclip_hf.objective import MiningTruth

# Of 11 images: the last process always holds one without any sentence, the last batch of an epoch is uneven.
IMAGES = 11
SHARES = {1: [11], 2: [10, 1], 4: [4, 5, 1, 1]}
SENTENCES = 3
GUIDE_DIM = 8


def run_on_processes(function: Callable, world_size: int, *args) -> list:
    """What `function(*args)` returned on each process, in the order of ranks."""
    with tempfile.TemporaryDirectory() as folder:
        # One server imports torch and transformers once; the processes of all tests are forked from it.
        set_forkserver_preload(["emocapclip_hf.objective", "processes"])
        multiprocessing.start_processes(
            _process, (world_size, folder, function, args), nprocs=world_size, start_method="forkserver"
        )
        results = [torch.load(Path(folder) / f"{rank}.pt", weights_only=False) for rank in range(world_size)]
    assert len(results) == world_size
    return results


def _process(rank: int, world_size: int, folder: str, function: Callable, args: tuple) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/init", rank=rank, world_size=world_size)
    try:
        ranks = [torch.zeros((), dtype=torch.long) for _ in range(world_size)]
        dist.all_gather(ranks, torch.tensor(rank))
        assert [int(other) for other in ranks] == list(range(world_size)) and dist.get_world_size() == world_size
        torch.save(function(*args), Path(folder) / f"{rank}.pt")
    finally:
        dist.destroy_process_group()


def shared_model(dtype: torch.dtype = torch.float64, **config) -> EmoCapCLIPModel:
    """The same small model on every process. It has a bias, which the softmax loss must not feel."""
    torch.manual_seed(0)
    # temperatures and attention that make all terms of the gradient matter
    config = {"logit_bias_init_value": -2.0, "local_attention_scale_init_value": 4.0, **config}
    return EmoCapCLIPModel(small_config("clip", **config)).to(dtype)


def shared_batch(dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """The whole batch: uneven sentence counts, captions that repeat, guide columns and the truth's columns."""
    batch = random_inputs(small_config("clip"), IMAGES, SENTENCES)
    batch["local_mask"] = torch.ones(IMAGES, SENTENCES, dtype=torch.bool)
    batch["local_mask"][[1, 4], 1:] = False
    batch["local_mask"][6, 2] = False
    batch["local_mask"][[3, IMAGES - 1]] = False
    for name in ("input_ids", "attention_mask"):
        batch[name][9] = batch[name][0]  # of another process
        batch[f"local_{name}"][5, 1] = batch[f"local_{name}"][0, 0]
        batch[f"local_{name}"][7, 2] = batch[f"local_{name}"][0, 0]
    for name in ("input_ids", "attention_mask", "mask"):
        batch[f"unsampled_{name}"] = batch[f"local_{name}"].roll(1, dims=0)  # as if its neighbour's were its own
    generator = torch.Generator().manual_seed(5)
    for level, shape in (("global", (IMAGES,)), ("summary", (IMAGES,)), ("local", (IMAGES, SENTENCES))):
        batch[f"{level}_guide_embeds"] = torch.randn(*shape, GUIDE_DIM, generator=generator, dtype=torch.float64)
    batch["emotion"] = torch.randint(3, (IMAGES,), generator=generator)
    batch["active"] = torch.rand(IMAGES, 8, generator=generator) < 0.4
    batch["asserted"] = torch.rand(IMAGES, SENTENCES, 8, generator=generator) < 0.2
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in batch.items()}


def share_of(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The part of this process."""
    world_size, rank = (dist.get_world_size(), dist.get_rank()) if dist.is_initialized() else (1, 0)
    start = sum(SHARES[world_size][:rank])
    return {name: value[start : start + SHARES[world_size][rank]] for name, value in batch.items()}


def truth_of(batch: dict[str, torch.Tensor]) -> MiningTruth:
    asserted = batch["asserted"][batch["local_mask"]]
    return MiningTruth(batch["emotion"], batch["active"], asserted, torch.zeros_like(asserted))
