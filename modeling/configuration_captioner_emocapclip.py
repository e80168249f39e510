"""Configuration of EmoCapCLIP's captioner: a vision tower, a projector and a causal language model."""

from __future__ import annotations

import math
from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import PreTrainedConfig, SubConfigSpec

from .configuration_emocapclip import check_heads, check_tower_type
from .towers_emocapclip import VISION_TOWERS, patch_grid

DEFAULT_QUERIES = 32  # of the query transformer, as in BLIP-2


@strict
class EmoCapCLIPCaptionerConfig(PreTrainedConfig):
    r"""
    Configuration of an [`EmoCapCLIPForConditionalGeneration`].

    Args:
        vision_config (`dict` or `PreTrainedConfig`, *optional*):
            Any tower of `VISION_TOWERS`, as in [`EmoCapCLIPConfig`].
        text_decoder_config (`dict` or `PreTrainedConfig`, *optional*):
            Any causal language model of transformers, by its `model_type`; GPT-2 without one.
        projector_type (`str`, defaults to `"mlp"`):
            `"mlp"` makes one prefix token of each patch, or of each square of patches; `"query"` lets learned queries
            attend to the patches, which any number of them can.
        image_seq_length (`int`, *optional*):
            Prefix tokens of one picture. With an MLP, one for each patch by default, or a square number to pool the
            patches to; with queries, how many there are (32 by default).
        image_token_id (`int`, defaults to 0): the token that stands in `input_ids` where the picture's go.
        initializer_range (`float`, defaults to 0.02): standard deviation of the initial projector's weights.

    Example:

    ```python
    >>> from emocapclip_hf import EmoCapCLIPCaptionerConfig

    >>> config = EmoCapCLIPCaptionerConfig(
    ...     vision_config={"image_size": 96, "patch_size": 16}, text_decoder_config={"model_type": "llama"}
    ... )
    >>> config.image_seq_length, config.text_config.model_type
    (36, 'llama')

    ```"""

    model_type = "emocapclip_captioner"
    _auto_class = "AutoConfig"
    attribute_map = {"text_config": "text_decoder_config"}  # noqa: RUF012 (transformers looks for `text_config`)
    sub_configs_defaults = {  # noqa: RUF012
        "vision_config": SubConfigSpec(AutoConfig, model_type="clip_vision_model"),
        "text_decoder_config": SubConfigSpec(AutoConfig, model_type="gpt2"),
    }

    vision_config: dict | PreTrainedConfig | None = None
    text_decoder_config: dict | PreTrainedConfig | None = None
    projector_type: Literal["mlp", "query"] = "mlp"
    image_seq_length: int | None = None
    image_token_id: int = 0
    initializer_range: float = 0.02
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs):
        check_tower_type("vision_config", self.vision_config, VISION_TOWERS)
        check_heads("vision_config", self.vision_config, "clip_vision_model")
        super().__post_init__(**kwargs)
        self.tie_word_embeddings = bool(self.text_decoder_config.tie_word_embeddings)
        if self.image_seq_length is None:
            self.image_seq_length = DEFAULT_QUERIES if self.projector_type == "query" else self._patches()
        self._check_image_tokens()

    @property
    def pooled_grid(self) -> tuple[int, int] | None:
        """Rows and columns that the MLP's patches are pooled to; `None` where it takes them one by one."""
        if self.projector_type == "query" or self.image_seq_length == self._patches():
            return None
        side = math.isqrt(self.image_seq_length)
        return side, side

    @property
    def patch_grid(self) -> tuple[int, int] | None:
        """Rows and columns of patches; `None` where each picture has its own grid (SigLIP 2's NaFlex)."""
        return None if getattr(self.vision_config, "image_size", None) is None else patch_grid(self.vision_config)

    def _patches(self) -> int | None:
        return None if self.patch_grid is None else math.prod(self.patch_grid)

    def _check_image_tokens(self) -> None:
        length, patches = self.image_seq_length, self._patches()
        if self.projector_type == "mlp" and patches is None:
            raise ValueError(
                f"A {self.vision_config.model_type} tower gives each picture a grid of its own, so an MLP would make "
                'another number of tokens of each. Use projector_type="query".'
            )
        if length < 1:
            raise ValueError(f"image_seq_length is {length}; a picture needs at least one token.")
        is_smaller_square = math.isqrt(length) ** 2 == length and patches is not None and length < patches
        if self.projector_type == "mlp" and length != patches and not is_smaller_square:
            raise ValueError(
                f"image_seq_length is {length}, but the tower has {patches} patches: an MLP takes all of them, or "
                'pools them to a smaller square number such as 16. Any number fits projector_type="query".'
            )
        decoder = self.text_decoder_config
        context = getattr(decoder, "max_position_embeddings", None)
        if context is not None and context <= length:
            raise ValueError(
                f"The decoder ({decoder.model_type}) has {context} positions and the picture alone takes {length}: "
                "no word would fit. Lower image_seq_length, or lengthen the decoder's context."
            )
        if not 0 <= self.image_token_id < decoder.vocab_size:
            raise ValueError(
                f"image_token_id is {self.image_token_id}, which the decoder's vocabulary of {decoder.vocab_size} "
                "does not hold. Add an image token to the tokenizer and resize the decoder's embeddings "
                "(emocapclip_hf.captioning.build_captioner does both)."
            )


__all__ = ["EmoCapCLIPCaptionerConfig"]
