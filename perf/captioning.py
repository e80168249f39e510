"""Captions per second: a cache and batches of faces, against one face at a time with and without the cache.

    python perf/captioning.py

The model is of the size of configs/captioner-synthfaces.yaml, with random weights: speed does not depend on them. All
sides write captions of the same number of tokens, and the same ones.
"""

from __future__ import annotations

import numpy as np
import torch
from measure import interleaved_seconds, parser, row, show
from PIL import Image
from transformers import GPT2Config, GPT2LMHeadModel

from emocapclip_hf import EmoCapCLIPConfig, EmoCapCLIPModel
from emocapclip_hf.captioning import build_captioner, caption_images
from emocapclip_hf.data.phrase_tokenizer import train_phrase_tokenizer
from emocapclip_hf.data.synthfaces import describe, sample_face
from emocapclip_hf.data.tokenizer import small_processor


def small_captioner():
    captions = [describe(sample_face(seed, "train"), "short").to_paragraph() for seed in range(1000)]
    pictures = small_processor(captions, image_size=48, vocab_size=360)
    tower = {"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4}
    vocabulary = {"vocab_size": 360, "eos_token_id": pictures.tokenizer.eos_token_id, "bos_token_id": 2}
    config = EmoCapCLIPConfig(
        vision_config={**tower, "num_hidden_layers": 4, "image_size": 48, "patch_size": 8},
        text_config={**tower, "num_hidden_layers": 2, **vocabulary},
        projection_dim=128,
    )
    tokenizer = train_phrase_tokenizer(captions, vocab_size=1024, model_max_length=200)
    decoder = GPT2Config(
        vocab_size=len(tokenizer), n_embd=160, n_layer=3, n_head=4, n_positions=200, activation_function="gelu",
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return build_captioner(EmoCapCLIPModel(config), pictures.image_processor, GPT2LMHeadModel(decoder), tokenizer)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--images", type=int, default=32, help="faces in a round (default: 32)")
    arguments.add_argument("--tokens", type=int, default=45, help="of a caption (default: 45, as in SynthFaces)")
    arguments.add_argument("--threads", type=int, default=2)
    args = arguments.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model, processor = small_captioner()
    model.eval()
    generator = np.random.default_rng(0)
    faces = [Image.fromarray(generator.integers(0, 256, (48, 48, 3), dtype=np.uint8)) for _ in range(args.images)]

    def write(batch_size: int, use_cache: bool) -> list[str]:
        options = {"max_new_tokens": args.tokens, "min_new_tokens": args.tokens, "use_cache": use_cache}
        return list(caption_images(model, processor, faces, batch_size, **options))

    peers = {"one face at a time": lambda: write(1, True), "the same, without a cache": lambda: write(1, False)}
    ours = write(args.images, True)
    rows = {}
    for name, peer in peers.items():
        if peer() != ours:
            raise SystemExit(f"The captions of {name!r} differ from ours; a comparison of speed would mean nothing.")
        seconds = interleaved_seconds(lambda: write(args.images, True), peer, args.rounds)
        rows[f"captions of {args.tokens} tokens, peer: {name}"] = row(
            *(args.images / s for s in seconds), "captions/s"
        )
    show(rows, args.json)


if __name__ == "__main__":
    main()
