"""The code that travels to the Hub with every checkpoint; it imports torch and transformers only."""

from .configuration_captioner_emocapclip import EmoCapCLIPCaptionerConfig
from .configuration_emocapclip import EmoCapCLIPConfig
from .modeling_captioner_emocapclip import EmoCapCLIPForConditionalGeneration
from .modeling_emocapclip import (
    EmoCapCLIPForImageClassification,
    EmoCapCLIPModel,
    EmoCapCLIPOutput,
    EmoCapCLIPPreTrainedModel,
)

__all__ = [
    "EmoCapCLIPCaptionerConfig",
    "EmoCapCLIPConfig",
    "EmoCapCLIPForConditionalGeneration",
    "EmoCapCLIPForImageClassification",
    "EmoCapCLIPModel",
    "EmoCapCLIPOutput",
    "EmoCapCLIPPreTrainedModel",
]
