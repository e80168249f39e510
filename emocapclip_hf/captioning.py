"""From an EmoCapCLIP model and a decoder to captions of faces, and to what in a face spoke for each sentence."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import Any

import torch
from PIL import Image
from torch.nn import functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from emocapclip_hf.data.sentences import split_sentences
from emocapclip_hf.modeling import EmoCapCLIPForConditionalGeneration, EmoCapCLIPModel
from emocapclip_hf.onednn import OneDNNLinear
from emocapclip_hf.processing import EmoCapCLIPCaptionProcessor
from emocapclip_hf.processing.caption_processing_emocapclip import IGNORED, IMAGE_TOKEN

IMAGE_BATCH = 32
LONGEST_CAPTION = 400  # tokens: the paper's captions have 267 words on average


def build_captioner(
    encoder: EmoCapCLIPModel,
    image_processor: Any,
    decoder: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    **config,
) -> tuple[EmoCapCLIPForConditionalGeneration, EmoCapCLIPCaptionProcessor]:
    """
    A captioner with a new projector, and its processor. A decoder without an image token gets one.

    Args:
        encoder: whose vision tower sees.
        image_processor: of the encoder's processor.
        decoder: any causal language model of transformers, and its `tokenizer`.
        config: `projector_type` and `image_seq_length`, see [`EmoCapCLIPCaptionerConfig`].

    ```python
    build_captioner(encoder, processor.image_processor,
                    AutoModelForCausalLM.from_pretrained(name), AutoTokenizer.from_pretrained(name))
    ```"""
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.convert_tokens_to_ids(IMAGE_TOKEN) in (None, tokenizer.unk_token_id):
        tokenizer.add_special_tokens({"extra_special_tokens": [*tokenizer.extra_special_tokens, IMAGE_TOKEN]})
    if len(tokenizer) > decoder.config.vocab_size:  # some have rows to spare
        decoder.resize_token_embeddings(len(tokenizer))
    generation = decoder.generation_config
    generation.eos_token_id, generation.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    generation.max_new_tokens = LONGEST_CAPTION
    image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    captioner = EmoCapCLIPForConditionalGeneration.from_towers(encoder, decoder, image_token_id, **config)
    processor = EmoCapCLIPCaptionProcessor(image_processor, tokenizer, captioner.config.image_seq_length)
    context = getattr(decoder.config, "max_position_embeddings", None)
    if context is not None:
        tokenizer.model_max_length = min(tokenizer.model_max_length, context)
        generation.max_new_tokens = min(LONGEST_CAPTION, context - processor.image_seq_length - 1)
    return captioner, processor


def caption_images(
    model: EmoCapCLIPForConditionalGeneration,
    processor: EmoCapCLIPCaptionProcessor,
    images: Iterable[Any],
    batch_size: int = IMAGE_BATCH,
    prompt: str = "",
    **generate_options,
) -> Iterator[str]:
    """
    The caption of each of any number of pictures, in their order; a batch of them is written at a time.

    Args:
        images: paths, `PIL.Image`s or whatever else the processor reads; may be a generator.
        prompt: how every caption begins.
        generate_options: of `generate()`; greedy unless they say otherwise.
    """
    if model.training:
        raise ValueError("The model is in training mode, where dropout changes captions; call model.eval() first.")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1.")
    if isinstance(images, str | os.PathLike | Image.Image):
        images = [images]
    options = {"do_sample": False, **generate_options}
    remaining = iter(images)
    while batch := list(islice(remaining, batch_size)):
        inputs = processor(images=batch, text=prompt, return_tensors="pt").to(model.device, model.dtype)
        with torch.inference_mode(), OneDNNLinear():
            ids = model.generate(**inputs, **options)[:, inputs["input_ids"].shape[1] :]
        for caption in processor.batch_decode(ids, skip_special_tokens=True):
            yield (prompt + caption).strip()


def explain_caption(
    model: EmoCapCLIPForConditionalGeneration, processor: EmoCapCLIPCaptionProcessor, image: Any, caption: str
) -> tuple[list[str], torch.Tensor]:
    """
    Which patches spoke for each sentence of a caption: how much likelier, to first order, the sentence is for what the
    patch has that the picture's average patch has not.

    Returns:
        The sentences, and (sentences, rows, columns) of weights that are positive and sum to 1 in each map, or to 0
        where no patch spoke for the sentence.
    """
    grid = model.config.patch_grid
    if grid is None:
        raise ValueError("A NaFlex tower gives each picture a grid of its own; explanations need a fixed one.")
    sentences = split_sentences(caption)
    seen: list[torch.Tensor] = []

    def keep(module, arguments):
        seen.append(arguments[0].detach().requires_grad_())
        return (seen[0], *arguments[1:])

    inputs = processor(images=image, captions=caption, return_tensors="pt").to(model.device)
    labels = inputs.pop("labels")[:, 1:]
    handle = model.projector.register_forward_pre_hook(keep)
    try:
        with torch.enable_grad():
            logits = model(**inputs).logits[:, :-1].float()
            likelihoods = -F.cross_entropy(
                logits[0], labels[0], ignore_index=IGNORED, reduction="none"
            )  # (length - 1,)
            slopes = [
                torch.autograd.grad(likelihoods[places].sum(), seen[0], retain_graph=True)[0][0]
                for places in _places(processor, sentences, labels[0])
            ]
    finally:
        handle.remove()
    own = seen[0].detach()[0]  # (patches, width)
    gains = torch.stack(slopes) * (own - own.mean(dim=0))  # (sentences, patches, width)
    weights = gains.sum(dim=-1).clamp(min=0)
    weights = weights / weights.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    return sentences, weights.unflatten(1, grid)


def _places(processor: EmoCapCLIPCaptionProcessor, sentences: Sequence[str], labels: torch.Tensor) -> list[list[int]]:
    """Where the tokens of each sentence stand in `labels`: a token belongs to the sentence that it ends in."""
    tokenizer = processor.tokenizer
    learnt = ((labels != IGNORED) & (labels != tokenizer.eos_token_id)).nonzero().flatten().tolist()
    written = [tokenizer.decode(labels[learnt[: count + 1]], skip_special_tokens=True) for count in range(len(learnt))]
    ends = list(accumulate(_letters(sentence) for sentence in sentences))
    last = len(sentences) - 1
    owners = [min(bisect_left(ends, _letters(text)), last) for text in written]
    return [
        [place for place, owner in zip(learnt, owners, strict=True) if owner == number]
        for number in range(len(sentences))
    ]


def _letters(text: str) -> int:
    """Characters that are no space: tokenizers differ in where they put those back."""
    return len("".join(text.split()))
