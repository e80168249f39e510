"""From arguments to the things a run is made of: data, processor, model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import datasets
from transformers import AutoTokenizer

from ..data.augmentation import FaceAugmentation
from ..data.cached_rows import CachedRows
from ..data.caption import LEVELS, EmoCaption
from ..data.collator import MARGIN, EmoCapCollator, output_size
from ..data.image_cache import ImageCache, build_image_cache
from ..data.loading import load_emocap
from ..data.splits import SPLITS
from ..data.synthfaces import synthfaces_dataset
from ..data.tokenizer import small_processor
from ..modeling import EmoCapCLIPConfig, EmoCapCLIPModel
from ..processing import EmoCapCLIPProcessor
from .arguments import DataArguments, ModelArguments, TrainingArguments
from .lora import add_adapters
from .starting_points import load_starting_point

if TYPE_CHECKING:
    from peft import PeftModel

CAPTIONS_FOR_THE_TOKENIZER = 5000


@dataclass
class Materials:
    """What a run is made of."""

    train: datasets.Dataset
    validation: datasets.Dataset
    test: datasets.Dataset
    processor: EmoCapCLIPProcessor
    model: EmoCapCLIPModel


def prepare_materials(args: TrainingArguments) -> Materials:
    train, validation, test = load_splits(args.data)
    processor, model = build_model(args.model, args.data, train)
    if args.model.stretch_text_positions:
        model.stretch_text_positions(args.model.stretch_text_positions)
        processor.tokenizer.model_max_length = args.model.stretch_text_positions
    return Materials(train, validation, test, processor, model)


def prepare_model(model: EmoCapCLIPModel, levels: Sequence[str], args: ModelArguments) -> PeftModel | None:
    """
    Say what of the model is trained, and how, in place.

    Args:
        levels: of captions that count.

    Returns:
        The model's adapters, if it has been given some.
    """
    for tower in args.freeze:
        if tower not in ("vision", "text"):
            raise ValueError(f"freeze names {tower!r}; the towers are vision and text")
    adapted = args.lora_rank and add_adapters(model, args.lora_rank, args.lora_alpha, args.lora_target_modules)
    # What no loss depends on: DistributedDataParallel would wait for its gradient.
    unused = [parameter for name, parameter in model.named_parameters() if name.endswith("mask_token")]  # DINOv2's
    if model.local_head is not None and "local" not in levels:
        unused += model.local_head.parameters()
    if set(levels) == {"local"}:
        unused.append(model.logit_scale)
    frozen = [parameter for tower in args.freeze for parameter in getattr(model, f"{tower}_model").parameters()]
    for parameter in (*unused, *frozen):
        parameter.requires_grad_(False)
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    if args.torch_compile:
        model.vision_model.compile()
        model.text_model.compile(dynamic=True)  # of other texts each time, several times a step
    return adapted or None


def load_splits(args: DataArguments) -> list[datasets.Dataset]:
    """The train, validation and test split of the dataset."""
    if args.dataset == "synthfaces":
        size = round(MARGIN * args.image_size)
        rows = dict(zip(SPLITS, args.synthfaces_rows, strict=True))
        return [
            synthfaces_dataset(split, count, size=size, form=args.synthfaces_form) for split, count in rows.items()
        ]
    columns = dict(pair.split("=", 1) for pair in args.columns)
    splits = load_emocap(args.dataset, columns=columns or None)
    missing = [split for split in SPLITS if split not in splits]
    if missing:
        raise ValueError(f"{args.dataset} has the splits {list(splits)}; training also needs {missing}")
    return [splits[split] for split in SPLITS]


def build_model(
    model_args: ModelArguments, data_args: DataArguments, train: datasets.Dataset
) -> tuple[EmoCapCLIPProcessor, EmoCapCLIPModel]:
    """The processor and the model to start from: a checkpoint, a CLIP checkpoint, or a new one of a config."""
    chosen = [
        name for name in ("model_name_or_path", "clip_name_or_path", "model_config") if getattr(model_args, name)
    ]
    if len(chosen) != 1:
        raise ValueError(
            f"Exactly one of model_name_or_path, clip_name_or_path and model_config says what to train; got {chosen}. "
            "For the embedded default pass --config configs/synthfaces.yaml."
        )
    if model_args.model_name_or_path:
        source = model_args.model_name_or_path
        return EmoCapCLIPProcessor.from_pretrained(source), EmoCapCLIPModel.from_pretrained(source)
    if model_args.clip_name_or_path:
        from transformers import AutoImageProcessor

        source = model_args.clip_name_or_path
        processor = EmoCapCLIPProcessor(
            AutoImageProcessor.from_pretrained(source), AutoTokenizer.from_pretrained(source)
        )
        return processor, load_starting_point(source, processor.tokenizer.eos_token_id)
    return _new_model(model_args, data_args, train)


def _new_model(model_args: ModelArguments, data_args: DataArguments, train: datasets.Dataset):
    config = {
        name: dict(value) if isinstance(value, dict) else value for name, value in model_args.model_config.items()
    }
    vision, text = config.setdefault("vision_config", {}), config.setdefault("text_config", {})
    vision.setdefault("image_size", data_args.image_size)
    rows = train.select_columns(["global_caption", "local_captions", "summary_caption"])
    rows = rows.select(range(min(len(rows), CAPTIONS_FOR_THE_TOKENIZER)))
    captions = [EmoCaption(**row) for row in rows]
    length = text.setdefault("max_position_embeddings", 77)
    processor = small_processor(captions, vision["image_size"], model_args.vocab_size, length)
    tokenizer = processor.tokenizer
    text |= {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    return processor, EmoCapCLIPModel(EmoCapCLIPConfig(**config))


def training_rows(
    materials: Materials, args: TrainingArguments, label_columns: Sequence[str] = (), unsampled: bool = False
) -> tuple[CachedRows, EmoCapCollator]:
    """The rows of the train split from the picture cache, and what makes batches of them."""
    cache = cached_pictures(materials, args)
    collator = EmoCapCollator(
        materials.processor,
        sentences_per_caption=args.data.sentences_per_caption,
        augmentation=FaceAugmentation() if args.data.augment else None,
        seed=args.run.seed,
        label_columns=label_columns,
        unsampled=unsampled,
    )
    return CachedRows(materials.train, cache, [name for name in label_columns if name not in LEVELS]), collator


def cached_pictures(materials: Materials, args: TrainingArguments) -> ImageCache:
    """Of the train split: as the model takes them, or with a margin to move within where they are changed."""
    size = max(output_size(materials.processor.image_processor))
    size = round(MARGIN * size) if args.data.augment else size
    return build_image_cache(materials.train, size, num_workers=args.data.dataloader_num_workers)
