"""W processes against one process that holds the whole batch: the loss, every gradient, every diagnostic."""

import pytest
import torch
from processes import SHARES, run_on_processes, share_of, shared_batch, shared_model, truth_of
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from emocapclip_hf.objective import (
    CachedGradients,
    EmaGuide,
    FrozenGuide,
    GlobalLocalObjective,
    MiningRule,
    ObjectiveOptions,
    PositiveMiner,
    count_traffic,
)
from emocapclip_hf.objective.distributed import gather_rows, log_sum_exp_over_ranks, row_layouts

pytestmark = pytest.mark.slow  # each world starts once, for all cases

RULES = {
    "global": MiningRule("cross", top_k=2),
    "summary": MiningRule("agree", "cosine", threshold=0.2, soft=True),
    "local": MiningRule("text", top_fraction=0.2, mutual=True),
}
ALL_TRUE = {level: MiningRule("truth") for level in RULES}
TEXT_ONLY = {level: MiningRule("text", top_k=2) for level in RULES}
TEXT_ONLY["global"] = MiningRule("text", top_k=2, by_level=("global", "summary"))
CASES = {
    "own positives": {},
    "mining": {"rules": RULES},
    "mining, float32": {"rules": RULES, "dtype": torch.float32},
    "mining, by images": {"rules": {level: MiningRule("image", top_k=2) for level in RULES}},
    "mining, by a teacher": {"rules": RULES, "guide": "ema"},
    "mining, by columns": {"rules": TEXT_ONLY, "guide": "frozen"},
    "oracle, sigmoid": {"rules": ALL_TRUE, "loss_type": "sigmoid"},
    "mining, cached": {"rules": RULES, "chunk_size": 2},
    "mining, cached, float32": {"rules": RULES, "chunk_size": 2, "dtype": torch.float32},
    "mining, cached over two batches": {"rules": RULES, "chunk_size": 3, "accumulate": 2},
    "no sentence anywhere": {"sentences": False},
}


def one_step(
    rules=None, loss_type="softmax", dtype=torch.float64, guide=None, chunk_size=None, accumulate=1, sentences=True
):
    """Losses, gradients and diagnostics of a step on this process's part of the batch."""
    model, batch = shared_model(dtype), share_of(shared_batch(dtype))
    if not sentences:
        batch["local_mask"] = torch.zeros_like(batch["local_mask"])
    objective = GlobalLocalObjective(ObjectiveOptions(1.0, 0.5, 2.0, loss_type), PositiveMiner(rules))
    embedder = objective.embedder(model)
    guides = {"ema": EmaGuide(embedder, chunk_size=2), "frozen": FrozenGuide()}
    seen = guides[guide](batch) if guide else None
    if dist.is_initialized():
        embedder = DistributedDataParallel(embedder)
    with count_traffic() as traffic:
        if chunk_size is None:
            output = objective(embedder(batch), 3, seen, truth_of(batch))
            output.loss.backward()
        else:
            cached = CachedGradients(embedder, objective, chunk_size)
            for number in range(accumulate):
                scale = {"scale_loss": lambda loss: loss / accumulate, "synchronize": number == accumulate - 1}
                output = cached(batch, 3, seen, truth_of(batch), **scale)
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {"gradients": gradients, "scalars": output.scalars(), "traffic": traffic.by_name}


def all_steps() -> dict:
    return {name: one_step(**case) for name, case in CASES.items()}


@pytest.fixture(scope="module", params=[2, 4])
def world(request):
    return run_on_processes(all_steps, request.param)


@pytest.fixture(scope="module")
def alone():
    return all_steps()


@pytest.mark.parametrize("name", CASES)
def test_many_processes_are_one(world, alone, name):
    tolerance = 1e-4 if "float32" in name else 1e-6
    expected = alone[name]
    for result in (rank[name] for rank in world):
        assert result["scalars"] == pytest.approx(expected["scalars"], abs=tolerance, nan_ok=True)
        for parameter, gradient in expected["gradients"].items():
            found = result["gradients"][parameter]
            assert (found is None) == (gradient is None), parameter
            if gradient is not None:
                torch.testing.assert_close(
                    found, gradient, rtol=0, atol=tolerance, msg=lambda m, p=parameter: f"{p}: {m}"
                )


def test_the_cases_test_something(alone):
    """Mining changes the gradient; precision is neither 0 nor 1; cached and plain agree on one process too."""
    plain, mined = alone["own positives"], alone["mining"]
    name = "vision_model.embeddings.patch_embedding.weight"
    assert (plain["gradients"][name] - mined["gradients"][name]).abs().max() > 1e-3
    assert 0 < mined["scalars"]["local_image_to_text_mining_precision"] < 1
    assert mined["scalars"]["local_positives_per_image"] > plain["scalars"]["local_positives_per_image"]
    for cached in ("mining, cached", "mining, cached over two batches"):
        assert alone[cached]["scalars"] == pytest.approx(mined["scalars"], abs=1e-9)
        for name, gradient in mined["gradients"].items():
            if gradient is not None:
                torch.testing.assert_close(alone[cached]["gradients"][name], gradient, rtol=0, atol=1e-6)


def test_patches_never_travel_and_bytes_grow_with_captions(world):
    traffic = world[0]["mining"]["traffic"]
    assert not any("patch" in name for name in traffic)
    assert {"global captions", "local captions", "local captions, gradient", "column normalisers"} <= set(traffic)


def collectives() -> dict:
    """Each collective's value and gradient, for tensors that differ by rank."""
    rank = dist.get_rank()
    rows = torch.full((rank, 2), float(rank), dtype=torch.float64, requires_grad=True)  # process 0 has none
    (layout,) = row_layouts(len(rows), device=rows.device)
    everyone = gather_rows(rows, layout)
    (everyone * torch.arange(1, len(everyone) + 1)[:, None] * (rank + 1)).sum().backward()
    sums = torch.tensor([float(rank), -torch.inf if rank == 0 else 200.0], dtype=torch.float64, requires_grad=True)
    reduced = log_sum_exp_over_ranks(sums)
    (reduced * (rank + 1)).sum().backward()
    return {"everyone": everyone.detach(), "gradient": rows.grad, "reduced": reduced.detach(), "sums": sums.grad}


@pytest.mark.parametrize("world_size", [2, 4])
def test_collectives(world_size):
    results = run_on_processes(collectives, world_size)
    weight = sum(rank + 1 for rank in range(world_size))  # what all processes' losses together weigh
    values = torch.tensor([float(rank) for rank in range(world_size) for _ in range(rank)]).double()
    log_sums = torch.tensor([[float(rank), -torch.inf if rank == 0 else 200.0] for rank in range(world_size)]).double()
    start = 0
    for rank, result in enumerate(results):
        assert torch.equal(result["everyone"], values[:, None].expand(-1, 2))
        expected = torch.arange(start + 1, start + 1 + rank).double()[:, None].expand(-1, 2) * weight
        torch.testing.assert_close(result["gradient"], expected)
        torch.testing.assert_close(result["reduced"], log_sums.logsumexp(dim=0))
        torch.testing.assert_close(result["sums"], weight * log_sums.softmax(dim=0)[rank])
        start += rank


def broken_embeddings() -> str:
    batch = share_of(shared_batch())
    objective = GlobalLocalObjective()
    embeddings = objective.embedder(shared_model())(batch)
    if dist.get_rank() == 1:
        embeddings.captions["global"].embeds = embeddings.captions["global"].embeds * torch.nan
    with pytest.raises(FloatingPointError) as error:
        objective(embeddings, step=4)
    return str(error.value)


def test_embeddings_that_are_not_finite_stop_every_process():
    first, second = run_on_processes(broken_embeddings, 2)
    assert "not finite at step 4 on processes [1]: none on this process" in first
    assert "on processes [1]: captions.global, rows [0]." in second


def test_shares_cover_the_batch():
    assert all(sum(shares) == sum(SHARES[1]) and len(shares) == size for size, shares in SHARES.items())
