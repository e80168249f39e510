"""LoRA (arXiv 2106.09685): towers learn through small matrices beside their own, which are added in at the end."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..modeling import EmoCapCLIPModel
from .parameter_groups import TOWERS

if TYPE_CHECKING:
    from peft import PeftModel  # which takes seconds to import


def add_adapters(model: EmoCapCLIPModel, rank: int, alpha: float, target_modules: Sequence[str]) -> PeftModel:
    """
    Freeze the towers and give them adapters, in place. Projections, local head and temperatures go on learning whole.

    Returns:
        What `merge_adapters` takes.
    """
    from peft import LoraConfig, get_peft_model

    names = "|".join(target_modules)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=rf"({'|'.join(TOWERS)})\..*\.({names})")
    adapted = get_peft_model(model, config)
    for name, parameter in model.named_parameters():
        if not name.startswith(TOWERS):
            parameter.requires_grad_(True)
    return adapted


def merge_adapters(adapted: PeftModel) -> EmoCapCLIPModel:
    """The plain model that was given to `add_adapters`, with what its adapters have learnt."""
    return adapted.merge_and_unload()


def merged_copy(model: EmoCapCLIPModel) -> EmoCapCLIPModel:
    """The plain model with what adapters have learnt so far, while they go on learning; itself if it has none."""
    if not any(".lora_" in name for name, _ in model.named_parameters()):
        return model
    from peft.tuners.tuners_utils import BaseTunerLayer

    copied = copy.deepcopy(model)
    adapted = {name: module for name, module in copied.named_modules() if isinstance(module, BaseTunerLayer)}
    for name, module in adapted.items():
        module.merge()
        parent, _, own = name.rpartition(".")
        setattr(copied.get_submodule(parent), own, module.get_base_layer())
    return copied
