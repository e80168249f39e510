"""Checkpoints of other models that training starts from: CLIP, SigLIP, SigLIP 2."""

from __future__ import annotations

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig

from ..modeling import EmoCapCLIPConfig, EmoCapCLIPModel

# What differs from the defaults of CLIPConfig, which are ViT-B/32's, and of Siglip2Config, which are those of
# base-patch16-naflex: from the configs that the checkpoints carry.
KNOWN_CLIPS: dict[str, dict] = {
    "openai/clip-vit-base-patch32": {},
    "openai/clip-vit-base-patch16": {"vision_config": {"patch_size": 16}},
    "google/siglip2-base-patch16-naflex": {
        "model_type": "siglip2",
        "text_config": {"vocab_size": 256000, "bos_token_id": 2, "eos_token_id": 1},
    },
}


def load_starting_point(name: str, eos_token_id: int | None) -> EmoCapCLIPModel:
    """
    The model that a checkpoint in CLIP's, SigLIP's or SigLIP 2's format is the start of, with its logits.

    Args:
        eos_token_id: the tokenizer's end-of-text id, which old CLIP configs have wrong.
    """
    if AutoConfig.from_pretrained(name).model_type in ("siglip", "siglip2"):
        return from_siglip(AutoModel.from_pretrained(name))
    return EmoCapCLIPModel.from_clip(name, eos_token_id=eos_token_id)


def clip_config(name: str) -> PreTrainedConfig:
    """The config of a CLIP or SigLIP checkpoint from this machine, or the known one; nothing is downloaded."""
    try:
        return AutoConfig.from_pretrained(name, local_files_only=True)
    except OSError:
        if name not in KNOWN_CLIPS:
            raise FileNotFoundError(
                f"{name} is not on this machine, and its architecture is not one of {', '.join(KNOWN_CLIPS)}. "
                f"Download it first: hf download {name}"
            ) from None
    known = dict(KNOWN_CLIPS[name])
    return AutoConfig.for_model(known.pop("model_type", "clip"), **known)


def as_emocapclip(config: PreTrainedConfig) -> EmoCapCLIPConfig:
    """The config that a model started from such a checkpoint has."""
    towers = {"vision_config": config.vision_config.to_dict(), "text_config": config.text_config.to_dict()}
    if config.model_type == "clip":
        return EmoCapCLIPConfig(**towers, projection_dim=config.projection_dim)
    # SigLIP's pooled outputs are its embeddings, as wide as its text tower's head; its logits have a bias.
    return EmoCapCLIPConfig(**towers, projection_dim=config.text_config.projection_size, logit_bias_init_value=-10.0)


@torch.no_grad()
def from_siglip(siglip: nn.Module) -> EmoCapCLIPModel:
    """
    Start from a SigLIP or SigLIP 2 model: its towers, temperature and bias, and so its logits; the local head is new.

    ```python
    >>> from transformers import Siglip2Config, Siglip2Model
    >>> tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    >>> text = {**tower, "vocab_size": 100, "projection_size": 32, "bos_token_id": 2, "eos_token_id": 1}
    >>> config = Siglip2Config(vision_config={**tower, "num_patches": 16}, text_config=text)
    >>> from_siglip(Siglip2Model(config)).config.projection_dim
    32

    ```"""
    model = EmoCapCLIPModel(as_emocapclip(siglip.config)).to(dtype=siglip.dtype, device=siglip.device)
    scalars = ("logit_scale", "logit_bias")  # theirs have one element in one dimension, ours have none
    state = {name: value.squeeze() if name in scalars else value for name, value in siglip.state_dict().items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    for projection in (model.visual_projection, model.text_projection):
        projection.weight.copy_(torch.eye(len(projection.weight)))
    left = [name for name in missing if not name.startswith(("local_head.", "visual_projection.", "text_projection."))]
    if left or unexpected:
        raise ValueError(f"Not a plain SigLIP state dict; these parameters have no counterpart: {left + unexpected}.")
    return model
