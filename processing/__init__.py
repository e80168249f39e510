"""The processor that travels to the Hub with every checkpoint. Imports torch, transformers, numpy and Pillow only."""

from .caption_inputs_emocapclip import CaptionLevels, read_captions
from .caption_processing_emocapclip import EmoCapCLIPCaptionProcessor
from .image_inputs_emocapclip import rgb_image, rgb_images
from .processing_emocapclip import EmoCapCLIPProcessor
from .tokenization_emocapclip import EmoCapCLIPSiglipTokenizer, EmoCapCLIPTokenizer, fit_context
from .video_frames_emocapclip import sample_clips

__all__ = [
    "CaptionLevels",
    "EmoCapCLIPCaptionProcessor",
    "EmoCapCLIPProcessor",
    "EmoCapCLIPSiglipTokenizer",
    "EmoCapCLIPTokenizer",
    "fit_context",
    "read_captions",
    "rgb_image",
    "rgb_images",
    "sample_clips",
]
