"""Zero-shot classification: pictures per second of our batches against transformers' pipeline, at ViT-B/32 on a CPU.

    python perf/zero_shot.py

Weights are random: speed does not depend on them. Both sides read the same PNG files and give the same scores.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from measure import interleaved_seconds, parser, row, show
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPImageProcessorPil, PreTrainedTokenizerFast, pipeline

from emocapclip_hf import EmoCapCLIPConfig, EmoCapCLIPModel, EmoCapCLIPProcessor
from emocapclip_hf.zero_shot import PIPELINE_TEMPLATE, ZeroShotClassifier

EMOTIONS = ["anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
BOS, EOS, UNKNOWN = 49406, 49407, 0  # the first two are CLIP's


def word_processor(texts: list[str], image_size: int = 224) -> EmoCapCLIPProcessor:
    """Pillow's image processing, and one token a word: as many as CLIP's tokenizer makes of such prompts."""
    words = {word for text in texts for word in text.replace(".", " .").replace(",", " ,").split()}
    vocabulary = {word: index for index, word in enumerate(sorted(words), start=UNKNOWN + 1)}
    vocabulary |= {"<unknown>": UNKNOWN, "<start>": BOS, "<end>": EOS}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", BOS), ("<end>", EOS)]
    )
    special = {"unk_token": "<unknown>", "bos_token": "<start>", "eos_token": "<end>", "pad_token": "<end>"}
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=77, **special)
    sizes = {"size": {"shortest_edge": image_size}, "crop_size": {"height": image_size, "width": image_size}}
    return EmoCapCLIPProcessor(CLIPImageProcessorPil(**sizes), wrapped)


def write_pictures(folder: Path, count: int, size: int) -> list[str]:
    """Smooth random pictures, which decode and resize like photographs."""
    generator = np.random.default_rng(0)
    paths = [str(folder / f"{index}.png") for index in range(count)]
    for path in paths:
        coarse = Image.fromarray(generator.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        coarse.resize((size, size), Image.Resampling.BICUBIC).save(path)
    return paths


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--images", type=int, default=32, help="pictures in a round (default: 32)")
    arguments.add_argument("--size", type=int, default=224, help="height and width of a picture (default: 224)")
    arguments.add_argument("--threads", type=int, default=2)
    args = arguments.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    processor = word_processor([PIPELINE_TEMPLATE.format(label) for label in EMOTIONS])
    model = EmoCapCLIPModel(EmoCapCLIPConfig()).eval()  # CLIP ViT-B/32 in size
    classifier = pipeline(
        "zero-shot-image-classification",
        model=model,
        tokenizer=processor.tokenizer,
        image_processor=processor.image_processor,
    )
    with tempfile.TemporaryDirectory() as folder:
        pictures = write_pictures(Path(folder), args.images, args.size)

        def ours():  # the labels are encoded in every round
            return ZeroShotClassifier(model, processor, EMOTIONS)(pictures)

        def peer():
            return classifier(pictures, candidate_labels=EMOTIONS)

        check_same_scores(ours(), peer())
        seconds = interleaved_seconds(ours, peer, args.rounds)
    rates = [args.images / value for value in seconds]
    show({f"zero-shot, ViT-B/32, {len(EMOTIONS)} labels": row(*rates, "images/s")}, args.json)


def check_same_scores(ours, peer) -> None:
    for mine, theirs in zip(ours, peer, strict=True):
        scores = {entry["label"]: entry["score"] for entry in theirs}
        worst = max(abs(entry["score"] - scores[entry["label"]]) for entry in mine)
        if worst > 1e-5:
            raise SystemExit(f"The two sides disagree by {worst:.2g}; a comparison of speed would mean nothing.")


if __name__ == "__main__":
    main()
