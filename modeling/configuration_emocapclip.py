"""EmoCapCLIP model configuration."""

import os

from huggingface_hub.dataclasses import strict
from transformers import CONFIG_MAPPING, AutoConfig
from transformers.configuration_utils import PreTrainedConfig, SubConfigSpec
from transformers.utils import logging

from .towers_emocapclip import TEXT_TOWERS, VISION_TOWERS, patch_grid

logger = logging.get_logger(__name__)

# Where a saved checkpoint finds its classes when this package is not installed. `register_for_auto_class` keeps one
# Auto class a class, and EmoCapCLIPModel serves two, so the map is written whole. (AutoProcessor's entry travels in
# processor_config.json.)
AUTO_MAP = {
    "AutoConfig": "configuration_emocapclip.EmoCapCLIPConfig",
    "AutoModel": "modeling_emocapclip.EmoCapCLIPModel",
    "AutoModelForZeroShotImageClassification": "modeling_emocapclip.EmoCapCLIPModel",
    "AutoModelForImageClassification": "modeling_emocapclip.EmoCapCLIPForImageClassification",
}


@strict
class EmoCapCLIPConfig(PreTrainedConfig):
    r"""
    Configuration of an [`EmoCapCLIPModel`]: two towers, the dimension they meet in, and the local head.

    Args:
        vision_config (`dict` or `PreTrainedConfig`, *optional*):
            Any tower of `VISION_TOWERS`; a dict without `model_type` means CLIP. Defaults to CLIP ViT-B/32, the
            paper's headline encoder.
        text_config (`dict` or `PreTrainedConfig`, *optional*):
            Any tower of `TEXT_TOWERS`; a dict without `model_type` means CLIP.
        projection_dim (`int`, defaults to 512): dimension of the joint embedding.
        logit_scale_init_value (`float`, defaults to 2.6592): log of the global temperature's inverse, as in CLIP.
        logit_bias_init_value (`float`, *optional*): adds a learnable bias to the global logits, as in SigLIP.
        use_local_head (`bool`, defaults to `True`): whether the model has text-conditioned pooling over patches.
        local_logit_scale_init_value (`float`, defaults to 2.6592): the same for the local scores.
        local_attention_scale_init_value (`float`, defaults to 10.0):
            The local head starts as softmax(scale · cosine(sentence, patch)). Our choice: with unit vectors and a
            plain 1/sqrt(d) every patch would get the same weight.
        global_loss_weight, summary_loss_weight, local_loss_weight (`float`, default to 1.0):
            Weights of the caption's three levels in the loss. The paper does not publish its own.
        initializer_factor (`float`, defaults to 1.0): scales the initial projections.

    Example:

    ```python
    >>> from emocapclip_hf import EmoCapCLIPConfig

    >>> config = EmoCapCLIPConfig(vision_config={"image_size": 96, "patch_size": 16}, projection_dim=256)
    >>> config.vision_config.model_type, config.patch_grid
    ('clip_vision_model', (6, 6))

    ```"""

    model_type = "emocapclip"
    _auto_class = "AutoConfig"
    sub_configs_defaults = {  # noqa: RUF012 (transformers reads this class attribute)
        "vision_config": SubConfigSpec(AutoConfig, model_type="clip_vision_model"),
        "text_config": SubConfigSpec(AutoConfig, model_type="clip_text_model"),
    }

    vision_config: dict | PreTrainedConfig | None = None
    text_config: dict | PreTrainedConfig | None = None
    projection_dim: int = 512
    logit_scale_init_value: float | int = 2.6592
    logit_bias_init_value: float | int | None = None
    use_local_head: bool = True
    local_logit_scale_init_value: float | int = 2.6592
    local_attention_scale_init_value: float | int = 10.0
    global_loss_weight: float | int = 1.0
    summary_loss_weight: float | int = 1.0
    local_loss_weight: float | int = 1.0
    initializer_factor: float | int = 1.0

    def __post_init__(self, **kwargs):
        for field, known in (("vision_config", VISION_TOWERS), ("text_config", TEXT_TOWERS)):
            tower, default_type = getattr(self, field), self.sub_configs_defaults[field].model_type
            check_tower_type(field, tower, known)
            check_heads(field, tower, default_type)  # before the tower's own check, which names no remedy
        super().__post_init__(**kwargs)
        self._check_values()
        self._check_patch_grid()
        self._check_eos_token()

    @property
    def patch_grid(self) -> tuple[int, int] | None:
        """Rows and columns of patches; `None` where each picture has its own grid (SigLIP 2's NaFlex)."""
        return None if getattr(self.vision_config, "image_size", None) is None else patch_grid(self.vision_config)

    def save_pretrained(self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs):
        # Fresh each time: a checkpoint loaded from a repository names that repository in its map.
        self.auto_map = dict(AUTO_MAP)
        super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    def _check_values(self) -> None:
        if self.projection_dim < 1:
            raise ValueError(f"projection_dim is {self.projection_dim}; it must be positive, for instance 512.")
        for level in ("global", "summary", "local"):
            weight = getattr(self, f"{level}_loss_weight")
            if not weight >= 0:
                raise ValueError(f"{level}_loss_weight is {weight}; a weight is 0 (level off) or positive.")

    def _check_patch_grid(self) -> None:
        vision = self.vision_config
        if vision.model_type == "siglip2_vision_model":  # NaFlex: the grid comes with each picture
            return
        missing = [name for name in ("image_size", "patch_size") if not getattr(vision, name, None)]
        if missing:
            raise ValueError(
                f"vision_config ({vision.model_type}) has no {' and no '.join(missing)}, so its patch grid is "
                "unknown; the local head aligns sentences with patches. Set both, for instance image_size=224 and "
                "patch_size=32."
            )
        if 0 in patch_grid(vision):
            raise ValueError(
                f"vision_config has image_size={vision.image_size} and patch_size={vision.patch_size}: not one patch "
                "fits. Make image_size a multiple of the patch size."
            )

    def _check_eos_token(self) -> None:
        text = self.text_config
        if text.model_type != "clip_text_model":
            return
        if text.eos_token_id == 2:
            raise ValueError(
                "text_config.eos_token_id is 2, which tells CLIP's text tower to pool at the *largest token id* (a "
                "legacy rule that breaks with added tokens). Set it to the tokenizer's real id: 49407 for CLIP's own "
                "vocabulary; for an old CLIP checkpoint, EmoCapCLIPModel.from_clip does so itself."
            )
        if text.eos_token_id >= text.vocab_size:
            logger.warning(
                f"text_config.eos_token_id is {text.eos_token_id} but vocab_size is {text.vocab_size}: no text can "
                "hold that token, so every text would be pooled at its first position and get the same embedding. Set "
                "eos_token_id to the tokenizer's own."
            )


def check_tower_type(field: str, tower: dict | PreTrainedConfig | None, known: dict) -> None:
    model_type = tower.get("model_type") if isinstance(tower, dict) else getattr(tower, "model_type", None)
    if model_type is not None and model_type not in known:
        raise ValueError(
            f"{field} has model_type={model_type!r}, which is not a tower EmoCapCLIP knows. Choose one of: "
            f"{', '.join(sorted(known))}."
        )


def check_heads(field: str, tower: dict | PreTrainedConfig | None, default_type: str) -> None:
    if isinstance(tower, dict):
        config_class = CONFIG_MAPPING[tower.get("model_type", default_type)]
        width, heads = (
            tower.get(name, getattr(config_class, name, None)) for name in ("hidden_size", "num_attention_heads")
        )
    else:
        width, heads = getattr(tower, "hidden_size", None), getattr(tower, "num_attention_heads", None)
    if isinstance(width, int) and isinstance(heads, int) and (heads < 1 or width % heads):
        fits = [n for n in range(1, min(width, 64) + 1) if width % n == 0]
        raise ValueError(
            f"{field} has hidden_size={width} and num_attention_heads={heads}: the heads must divide the width. "
            f"With this width, take one of {fits}."
        )


__all__ = ["EmoCapCLIPConfig"]
