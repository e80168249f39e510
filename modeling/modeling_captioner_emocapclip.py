"""The captioner: the vision tower's patches as a prefix to any causal language model of transformers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoModelForCausalLM
from transformers import initialization as init
from transformers.cache_utils import Cache
from transformers.generation import GenerationConfig, GenerationMixin
from transformers.modeling_outputs import BaseModelOutputWithPooling, CausalLMOutputWithPast
from transformers.modeling_utils import PreTrainedModel
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.generic import can_return_tuple

from .configuration_captioner_emocapclip import EmoCapCLIPCaptionerConfig
from .modeling_emocapclip import EmoCapCLIPModel, EmoCapCLIPPreTrainedModel
from .projector_emocapclip import PROJECTORS, QueryProjector
from .towers_emocapclip import build_tower, patch_grid, patch_states


@dataclass
class EmoCapCLIPCaptionerOutput(CausalLMOutputWithPast):
    """
    What the language model returns, and the picture's part in it.

    Args:
        image_hidden_states (`torch.Tensor` of shape `(images, image tokens, dim)`): the prefix made of each picture.
    """

    image_hidden_states: torch.Tensor | None = None


class EmoCapCLIPForConditionalGeneration(EmoCapCLIPPreTrainedModel, GenerationMixin):
    """
    Writes what a face shows. `input_ids` hold `config.image_seq_length` image tokens for each picture, which
    [`EmoCapCLIPCaptionProcessor`] puts there; the projected patches take their places.

    Example:

    ```python
    >>> import torch
    >>> from emocapclip_hf import EmoCapCLIPCaptionerConfig, EmoCapCLIPForConditionalGeneration

    >>> tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    >>> config = EmoCapCLIPCaptionerConfig(
    ...     vision_config={**tower, "image_size": 32, "patch_size": 8},
    ...     text_decoder_config={"model_type": "gpt2", "vocab_size": 99, "n_embd": 32, "n_layer": 1, "n_head": 2,
    ...                          "bos_token_id": 1, "eos_token_id": 2},
    ...     image_token_id=3,
    ... )
    >>> model = EmoCapCLIPForConditionalGeneration(config).eval()
    >>> prompt = torch.tensor([[3] * config.image_seq_length + [1]])
    >>> model.generate(input_ids=prompt, pixel_values=torch.randn(1, 3, 32, 32), max_new_tokens=5).shape[0]
    1

    ```"""

    config_class = EmoCapCLIPCaptionerConfig
    _auto_class = "AutoModelForImageTextToText"
    input_modalities = ("image", "text")

    def __init__(self, config: EmoCapCLIPCaptionerConfig):
        super().__init__(config)
        self.vision_model = build_tower(config.vision_config)
        self.projector = PROJECTORS[config.projector_type](config)
        self.language_model = AutoModelForCausalLM.from_config(config.text_decoder_config)
        self._describe_generation(self.generation_config)
        self.post_init()

    @classmethod
    def from_towers(
        cls, encoder: EmoCapCLIPModel, decoder: PreTrainedModel, image_token_id: int, **config
    ) -> EmoCapCLIPForConditionalGeneration:
        """
        The vision tower of an EmoCapCLIP model, a decoder, and a new projector between them.

        Args:
            encoder: its vision tower is copied.
            decoder: a causal language model of transformers; it becomes part of the captioner.
            image_token_id: a token of the decoder's vocabulary that no text holds.
            config: `projector_type` and `image_seq_length`, see [`EmoCapCLIPCaptionerConfig`].
        """
        config = EmoCapCLIPCaptionerConfig(
            vision_config=encoder.config.vision_config.to_dict(),
            text_decoder_config=decoder.config.to_dict(),
            image_token_id=image_token_id,
            **config,
        )
        captioner = cls(config)
        captioner.vision_model.load_state_dict(encoder.vision_model.state_dict())
        captioner.language_model.load_state_dict(decoder.state_dict())
        captioner.generation_config = decoder.generation_config
        captioner._describe_generation(captioner.generation_config)
        return captioner

    def _describe_generation(self, generation_config: GenerationConfig) -> None:
        generation_config.suppress_tokens = [self.config.image_token_id]  # a caption holds no picture

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        PreTrainedModel._init_weights(self, module)  # the towers and the decoder initialise themselves
        if isinstance(module, QueryProjector):
            init.normal_(module.queries, std=self.config.initializer_range)

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.get_output_embeddings()

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.language_model.set_output_embeddings(new_embeddings)

    @can_return_tuple
    def get_image_features(
        self,
        pixel_values: torch.Tensor,
        pixel_attention_mask: torch.Tensor | None = None,
        spatial_shapes: torch.Tensor | None = None,
        interpolate_pos_encoding: bool = False,
        **kwargs: Unpack[TransformersKwargs],
    ) -> BaseModelOutputWithPooling:
        """The vision tower's output, with the prefix (images, image tokens, dim) in `pooler_output`."""
        outputs = self._vision_outputs(
            pixel_values, pixel_attention_mask, spatial_shapes, interpolate_pos_encoding, **kwargs
        )
        patches = patch_states(self.vision_model, outputs.last_hidden_state)  # (images, patches, width)
        grid = None if spatial_shapes is not None else patch_grid(self.config.vision_config, *pixel_values.shape[-2:])
        mask = None if pixel_attention_mask is None else pixel_attention_mask.bool()
        outputs.pooler_output = self.projector(patches, grid, mask)
        return outputs

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        pixel_attention_mask: torch.Tensor | None = None,
        spatial_shapes: torch.Tensor | None = None,
        interpolate_pos_encoding: bool = False,
        **kwargs: Unpack[TransformersKwargs],
    ) -> EmoCapCLIPCaptionerOutput:
        """
        Args:
            input_ids, attention_mask (`torch.Tensor` of shape `(texts, length)`): image tokens and words.
            pixel_values (`torch.Tensor` of shape `(images, 3, height, width)`):
                Left out where a cache already holds the pictures.
            labels (`torch.Tensor` of shape `(texts, length)`, *optional*): -100 where a token is not to be learnt.
            pixel_attention_mask, spatial_shapes (*optional*): from SigLIP 2's image processor.
            interpolate_pos_encoding (`bool`): for pictures of another size than the tower's own.
            kwargs: to the language model (`use_cache`, `logits_to_keep`, `output_attentions`, ...).
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Pass either input_ids or inputs_embeds; the processor makes input_ids.")
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        image_tokens = None
        if pixel_values is not None:
            image_tokens = self.get_image_features(
                pixel_values, pixel_attention_mask, spatial_shapes, interpolate_pos_encoding, return_dict=True
            ).pooler_output.to(inputs_embeds)
            inputs_embeds = self._with_pictures(inputs_embeds, image_tokens, input_ids)
        outputs = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            labels=labels,
            return_dict=True,
            **kwargs,
        )
        return EmoCapCLIPCaptionerOutput(
            loss=outputs.loss,
            logits=outputs.logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            image_hidden_states=image_tokens,
        )

    def _with_pictures(
        self, inputs_embeds: torch.Tensor, image_tokens: torch.Tensor, input_ids: torch.Tensor | None
    ) -> torch.Tensor:
        """(texts, length, dim) with the pictures' tokens in their places, in order."""
        if input_ids is None:
            token = self.get_input_embeddings().weight[self.config.image_token_id]
            places = (inputs_embeds == token).all(dim=-1)
        else:
            places = input_ids == self.config.image_token_id
        if not torch.compiler.is_compiling() and places.sum() != image_tokens.shape[:2].numel():
            raise ValueError(
                f"input_ids hold {int(places.sum())} image tokens (id {self.config.image_token_id}), but "
                f"{len(image_tokens)} pictures make {image_tokens.shape[1]} each. EmoCapCLIPCaptionProcessor writes "
                "as many as its image_seq_length says, which must be that of the model's config."
            )
        return inputs_embeds.masked_scatter(places[..., None], image_tokens)


__all__ = ["EmoCapCLIPCaptionerOutput", "EmoCapCLIPForConditionalGeneration"]
