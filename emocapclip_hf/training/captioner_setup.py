"""What a captioner's run is made of: a vision tower and a decoder, what of them is trained, and how they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import datasets
import torch
from torch.utils.data import DataLoader
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from ..captioning import build_captioner
from ..data.augmentation import FaceAugmentation
from ..data.cached_rows import CachedRows
from ..data.caption import LEVELS, EmoCaption
from ..data.phrase_tokenizer import train_phrase_tokenizer
from ..modeling import EmoCapCLIPCaptionerConfig, EmoCapCLIPForConditionalGeneration
from ..processing import EmoCapCLIPCaptionProcessor
from .arguments import CaptionerArguments, ModelArguments, TrainingArguments
from .captioner import CaptionCollator, CaptionScorer
from .setup import CAPTIONS_FOR_THE_TOKENIZER, Materials, build_model, cached_pictures, load_splits

if TYPE_CHECKING:
    from peft import PeftModel

PARTS = {"vision": "vision_model", "decoder": "language_model"}
VALIDATED = 500  # faces


def prepare_captioner_materials(args: TrainingArguments) -> Materials:
    """The splits, and a captioner: one to go on with, or the vision tower of a model and the decoder of `args`."""
    train, validation, test = load_splits(args.data)
    source = args.model.model_name_or_path
    if source and AutoConfig.from_pretrained(source).model_type == EmoCapCLIPCaptionerConfig.model_type:
        model = EmoCapCLIPForConditionalGeneration.from_pretrained(source)
        processor = EmoCapCLIPCaptionProcessor.from_pretrained(source)
    else:
        encoder_processor, encoder = build_model(args.model, args.data, train)
        decoder, tokenizer = build_decoder(args.captioner, train)
        options = {"projector_type": args.captioner.projector, "image_seq_length": args.captioner.image_tokens}
        model, processor = build_captioner(encoder, encoder_processor.image_processor, decoder, tokenizer, **options)
    return Materials(train, validation, test, processor, model)


def build_decoder(
    args: CaptionerArguments, train: datasets.Dataset
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A decoder of the Hub, or a new one with a tokenizer that is trained on the captions."""
    if args.decoder_name_or_path and args.decoder_config:
        raise ValueError("decoder_name_or_path and decoder_config both say which decoder; pass one of them")
    if args.decoder_name_or_path:
        source = args.decoder_name_or_path
        return AutoModelForCausalLM.from_pretrained(source, use_safetensors=True), AutoTokenizer.from_pretrained(
            source
        )
    rows = train.select_columns(list(LEVELS)).select(range(min(len(train), CAPTIONS_FOR_THE_TOKENIZER)))
    captions = [EmoCaption(**row).to_paragraph() for row in rows]
    tokenizer = train_phrase_tokenizer(captions, args.decoder_vocab_size)
    config = AutoConfig.for_model(
        **{"model_type": "gpt2", **args.decoder_config},
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    tokenizer.model_max_length = config.max_position_embeddings
    return AutoModelForCausalLM.from_config(config), tokenizer


def prepare_captioner(
    model: EmoCapCLIPForConditionalGeneration, args: ModelArguments, decoder_is_new: bool
) -> PeftModel | None:
    """
    Say what of the model is trained, and how, in place; the projector always learns whole.

    Returns:
        The model's adapters, if it has been given some: to the vision tower and to a decoder that had learnt before.
    """
    for part in args.freeze:
        if part not in PARTS:
            raise ValueError(f"freeze names {part!r}; the parts of a captioner are {' and '.join(PARTS)}")
    adapted = None
    learners = [name for part, name in PARTS.items() if part not in args.freeze]
    if args.lora_rank:
        from peft import LoraConfig, get_peft_model

        with_adapters = [name for name in learners if not (decoder_is_new and name == "language_model")]
        names = "|".join(args.lora_target_modules)
        config = LoraConfig(
            r=args.lora_rank,
            lora_alpha=args.lora_alpha,
            target_modules=rf"({'|'.join(with_adapters)})\..*\.({names})",
        )
        adapted = get_peft_model(model, config)
        learners = [name for name in learners if name not in with_adapters]
    for name, parameter in model.named_parameters():
        trained = name.startswith(("projector.", *learners)) and not name.endswith("mask_token")
        parameter.requires_grad_(trained or "lora_" in name)
    # What serves the pooled output alone: DistributedDataParallel would wait for its gradient.
    head = getattr(model.vision_model, "head", None)
    if head is not None:
        head.requires_grad_(False)
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    if args.torch_compile:
        model.vision_model.compile()
        model.language_model.compile()
    return adapted


def captioner_rows(materials: Materials, args: TrainingArguments) -> tuple[CachedRows, CaptionCollator]:
    """The rows of the train split from the picture cache, and what makes batches of them."""
    augmentation = FaceAugmentation() if args.data.augment else None
    collator = CaptionCollator(materials.processor, augmentation, args.run.seed, args.captioner.prompt)
    return CachedRows(materials.train, cached_pictures(materials, args), []), collator


@torch.no_grad()
def evaluate_captioner(
    model: EmoCapCLIPForConditionalGeneration,
    processor: EmoCapCLIPCaptionProcessor,
    rows: datasets.Dataset,
    name: str,
    prompt: str = "",
) -> dict[str, float]:
    """How likely the captions of the first 500 faces are, token by token; higher is better."""
    was_training = model.training
    scorer = CaptionScorer(model.eval())
    numbered = [{**row, "row": index} for index, row in enumerate(rows.select(range(min(len(rows), VALIDATED))))]
    loader = DataLoader(numbered, batch_size=50, collate_fn=CaptionCollator(processor, prompt=prompt))
    sums = torch.zeros(3, dtype=torch.float64)
    for batch in loader:
        batch = {key: value.to(model.device) for key, value in batch.items()}
        scores = scorer(batch)
        sums += torch.stack([scores.negative_log_likelihood, scores.hits, scores.tokens]).double().cpu()
    model.train(was_training)
    likelihood, hits, tokens = sums.tolist()
    return {
        f"captioning/{name}/token_accuracy": hits / tokens,
        f"captioning/{name}/log_likelihood": -likelihood / tokens,
    }
