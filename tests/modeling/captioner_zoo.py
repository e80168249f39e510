"""A small captioner with every kind of decoder and projector, and random inputs that fit it."""

from __future__ import annotations

import torch
from zoo import BOS, EOS, TOWER_PAIRS, VOCAB_SIZE, random_images

from emocapclip_hf.data.tokenizer import small_processor
from emocapclip_hf.modeling import EmoCapCLIPCaptionerConfig, EmoCapCLIPForConditionalGeneration
from emocapclip_hf.processing import EmoCapCLIPCaptionProcessor
from emocapclip_hf.processing.caption_processing_emocapclip import IMAGE_TOKEN

IMAGE = 0  # the token that stands for a picture's patches
PROMPT_LENGTH = 5
PAD = BOS - 1  # the suite's training test has a text of small ids, which generate() would take for padding
WORDS = range(2, PAD)

_VOCABULARY = {"vocab_size": VOCAB_SIZE, "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS}
_GATED = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
_GATED |= {"num_key_value_heads": 2, "max_position_embeddings": 128, **_VOCABULARY}

DECODERS = {
    "gpt2": {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, **_VOCABULARY},
    "llama": {"model_type": "llama", **_GATED},
    "qwen3": {"model_type": "qwen3", "head_dim": 8, **_GATED},
    "smollm3": {"model_type": "smollm3", **_GATED},
    "opt": {
        "model_type": "opt",
        "hidden_size": 32,
        "word_embed_proj_dim": 32,
        "ffn_dim": 37,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 128,
        **_VOCABULARY,
    },
}
# decoder, vision tower, projector
CAPTIONERS = {
    **{decoder: (decoder, "clip", {}) for decoder in DECODERS},
    "pooled": ("llama", "clip", {"image_seq_length": 4}),
    "query": ("llama", "clip", {"projector_type": "query", "image_seq_length": 6}),
    "siglip": ("gpt2", "siglip", {}),
    "siglip2": ("llama", "siglip2", {"projector_type": "query", "image_seq_length": 6}),
    "convnextv2": ("gpt2", "convnextv2", {}),
    "dinov2_with_registers": ("llama", "dinov2_with_registers", {}),
}


def captioner_config(name: str = "llama") -> EmoCapCLIPCaptionerConfig:
    """A small captioner's config, by its name in `CAPTIONERS`."""
    decoder, towers, options = CAPTIONERS[name]
    return EmoCapCLIPCaptionerConfig(
        vision_config=dict(TOWER_PAIRS[towers][0]),
        text_decoder_config=dict(DECODERS[decoder]),
        image_token_id=IMAGE,
        **options,
    )


def small_captioner(name: str = "llama", seed: int = 0) -> EmoCapCLIPForConditionalGeneration:
    torch.manual_seed(seed)
    return EmoCapCLIPForConditionalGeneration(captioner_config(name)).eval()


def prompts(config: EmoCapCLIPCaptionerConfig, images: int = 3, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random pictures, and for each its image tokens and a few words, as many for all."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(WORDS.start, WORDS.stop, (images, PROMPT_LENGTH), generator=generator)
    ids = torch.cat([torch.full((images, config.image_seq_length), IMAGE), words], dim=1)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **random_images(config, images, seed)}


SENTENCES = ["The lips are parted.", "The brows are raised.", "Ultimately, this is joy."]


def captioner_processor(name: str = "llama") -> EmoCapCLIPCaptionProcessor:
    """A processor that knows some words, for the captioner of that name."""
    pictures = small_processor(SENTENCES * 9, image_size=32, vocab_size=40, model_max_length=128)
    tokenizer = pictures.tokenizer
    tokenizer.add_special_tokens({"extra_special_tokens": [IMAGE_TOKEN]})
    length = captioner_config(name).image_seq_length
    return EmoCapCLIPCaptionProcessor(pictures.image_processor, tokenizer, length)


def captioner_with_words(name: str = "llama", seed: int = 0) -> EmoCapCLIPForConditionalGeneration:
    """A captioner for `captioner_processor`."""
    torch.manual_seed(seed)
    config, tokenizer = captioner_config(name), captioner_processor(name).tokenizer
    config.image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    decoder = config.text_decoder_config
    decoder.vocab_size = len(tokenizer)
    decoder.bos_token_id, decoder.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    decoder.pad_token_id = tokenizer.pad_token_id
    return EmoCapCLIPForConditionalGeneration(config).eval()
