"""The objective on a model that FSDP2 has sharded over two processes, against the whole model on one."""

import pytest
import torch
from processes import run_on_processes, share_of, shared_batch, shared_model
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from emocapclip_hf.objective import GlobalLocalObjective

pytestmark = pytest.mark.slow


def gradients(embedder, batch) -> dict[str, torch.Tensor]:
    loss = GlobalLocalObjective()(embedder(batch)).loss
    loss.backward()
    found = {name: parameter.grad for name, parameter in embedder.named_parameters() if parameter.ndim}
    whole = {name: grad.full_tensor() if isinstance(grad, DTensor) else grad for name, grad in found.items()}
    return {"loss": loss.detach(), **whole}


def sharded() -> dict[str, torch.Tensor]:
    embedder = GlobalLocalObjective().embedder(shared_model())
    # FSDP2 refuses scalars, the temperatures: they stay whole
    fully_shard(embedder, ignored_params={parameter for parameter in embedder.parameters() if parameter.ndim == 0})
    return gradients(embedder, share_of(shared_batch()))


def test_sharded_weights_have_the_gradient_of_the_whole_batch():
    expected = gradients(GlobalLocalObjective().embedder(shared_model()), shared_batch())
    for found in run_on_processes(sharded, 2):
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, msg=lambda text, name=name: f"{name}: {text}")
