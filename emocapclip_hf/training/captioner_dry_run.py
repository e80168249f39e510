"""What `--dry-run` builds and steps through when the recipe is a captioner's."""

from __future__ import annotations

import torch
from transformers import AutoConfig, PreTrainedConfig

from ..captioning import LONGEST_CAPTION
from ..modeling import EmoCapCLIPCaptionerConfig, EmoCapCLIPForConditionalGeneration
from ..processing.caption_processing_emocapclip import IGNORED
from .arguments import CaptionerArguments, DataArguments, TrainingArguments
from .captioner import CaptionObjective
from .captioner_setup import prepare_captioner
from .dry_run import Plan, planned_config, random_pictures

PARTS = {"vision tower": "vision_model.", "projector": "projector.", "decoder": "language_model."}
SYNTHFACES_TOKENS = {"short": 72, "long": 248}  # of the longest of 32 captions, to which all are padded


def plan_captioner(args: TrainingArguments, device: torch.device) -> Plan:
    """The captioner that a run would train, and its step on random pictures and words."""
    config = planned_captioner_config(args)
    model = EmoCapCLIPForConditionalGeneration(config).to(device)
    adapted = prepare_captioner(model, args.model, decoder_is_new=args.captioner.decoder_config is not None)
    objective = CaptionObjective()
    scorer = objective.embedder(model).train()
    tokens = caption_tokens(config, args.data)

    def loss(faces: int) -> torch.Tensor:
        return objective(scorer(random_captions(config, faces, tokens, device))).loss

    return Plan(model, PARTS, loss, adapted, about=f" with captions of {tokens} tokens")


def planned_captioner_config(args: TrainingArguments) -> EmoCapCLIPCaptionerConfig:
    """The config of the captioner that a run would train."""
    encoder = planned_config(args)
    if isinstance(encoder, EmoCapCLIPCaptionerConfig):  # it goes on from a captioner
        return encoder
    decoder = _decoder_config(args.captioner)
    return EmoCapCLIPCaptionerConfig(
        vision_config=encoder.vision_config.to_dict(),
        text_decoder_config=decoder.to_dict(),
        image_token_id=decoder.vocab_size - 1,  # some decoders need one row more for it
        projector_type=args.captioner.projector,
        image_seq_length=args.captioner.image_tokens,
    )


def _decoder_config(args: CaptionerArguments) -> PreTrainedConfig:
    name = args.decoder_name_or_path
    if name is None:
        # A run trains its tokenizer on the captions, to at most so many tokens.
        vocabulary = {"vocab_size": args.decoder_vocab_size, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
        return AutoConfig.for_model(**{"model_type": "gpt2", **args.decoder_config}, **vocabulary)
    try:
        return AutoConfig.from_pretrained(name, local_files_only=True)
    except OSError:
        raise FileNotFoundError(
            f"{name} is not on this machine, and a dry run downloads nothing. Download its config first: "
            f"hf download {name} config.json"
        ) from None


def caption_tokens(config: EmoCapCLIPCaptionerConfig, data: DataArguments) -> int:
    """Of each caption in a batch; the paper's have 267 words."""
    length = SYNTHFACES_TOKENS[data.synthfaces_form] if data.dataset == "synthfaces" else LONGEST_CAPTION
    context = getattr(config.text_decoder_config, "max_position_embeddings", None)
    return length if context is None else min(length, context - config.image_seq_length - 1)


def random_captions(
    config: EmoCapCLIPCaptionerConfig, faces: int, tokens: int, device: torch.device
) -> dict[str, torch.Tensor]:
    """Noise, and behind each picture's tokens as many random words, in the shapes of a training step."""
    pictures = torch.full((faces, config.image_seq_length), config.image_token_id, device=device)
    words = torch.randint(4, config.text_decoder_config.vocab_size - 1, (faces, tokens), device=device)
    labels = torch.cat([torch.full_like(pictures, IGNORED), words], dim=1)
    return {
        "input_ids": torch.cat([pictures, words], dim=1),  # (faces, image tokens + words)
        "labels": labels,
        **random_pictures(config, faces, device),
    }
