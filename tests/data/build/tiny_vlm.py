"""A random vision-language model of a few thousand weights, with its processor and chat template, made from config."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from emocapclip_hf.data.build.prompt import PROMPT
from emocapclip_hf.data.tokenizer import small_processor

_TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %} answer:"
)


def save_tiny_vlm(folder: Path) -> Path:
    """LLaVA: a CLIP tower of 16 patches, a Llama of two layers."""
    small = small_processor([PROMPT, "answer:"], image_size=32, vocab_size=400)
    tokenizer = small.tokenizer
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    tokenizer.model_max_length = 4096
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    image_token = tokenizer.convert_tokens_to_ids("<image>")
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**tower, image_size=32, patch_size=8, projection_dim=32),
        text_config=LlamaConfig(
            **tower, vocab_size=len(tokenizer), max_position_embeddings=4096, initializer_range=0.5
        ),
        image_token_index=image_token,
        image_token_id=image_token,
    )
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config).eval()
    with torch.no_grad():  # random answers hang on the picture only if it is loud
        for weight in model.model.multi_modal_projector.parameters():
            weight.mul_(10)
    model.save_pretrained(folder)

    processor = LlavaProcessor(
        image_processor=small.image_processor,
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_TEMPLATE,
    )
    processor.save_pretrained(folder)
    return folder
