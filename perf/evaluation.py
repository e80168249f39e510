"""Evaluation beside its peers: zero-shot, the linear probe's path of penalties, retrieval in bounded memory.

python perf/evaluation.py                       # all three, some ten minutes on two cores
python perf/evaluation.py --only probe --json
python perf/evaluation.py --only zero-shot --rounds 3
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import datasets
import numpy as np
import torch
import yaml
from measure import Row, interleaved_seconds, parser, row, show
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch.nn import functional as F
from transformers import pipeline
from zero_shot import EMOTIONS, word_processor, write_pictures

from emocapclip_hf import EmoCapCLIPConfig, EmoCapCLIPModel
from emocapclip_hf.eval.checkpoint import Checkpoint
from emocapclip_hf.eval.embed import embed_images
from emocapclip_hf.eval.linear_probe import CS
from emocapclip_hf.eval.logistic_path import logistic_path
from emocapclip_hf.eval.prompts import PROMPT_SETS
from emocapclip_hf.eval.ranking import rank
from emocapclip_hf.eval.retrieval import score_blocks
from emocapclip_hf.eval.zero_shot import EncodedPrompts, probabilities

MEASUREMENTS = ("zero-shot", "probe", "retrieval")
SMALL = Path(__file__).parent.parent / "configs" / "synthfaces.yaml"


def zero_shot(args) -> dict[str, Row]:
    """
    Pictures a second with one prompt a label, which saves the peer the most, with the field's ensemble of five, and
    by the small model of `make train`.
    """
    small = yaml.safe_load(SMALL.read_text())
    models = {"ViT-B/32": EmoCapCLIPConfig(), "make train's": EmoCapCLIPConfig(**small["model"]["model_config"])}
    models["make train's"].vision_config.image_size = small["data"]["image_size"]
    rows = {}
    for size, prompts in (("ViT-B/32", "simple"), ("ViT-B/32", "exp-clip-5"), ("make train's", "simple")):
        texts = [text for label in EMOTIONS for text in PROMPT_SETS[prompts].texts(label)]
        name = f"zero-shot, {size} model, 8 labels, {prompts} prompts (peer: the pipeline)"
        rows[name] = row(*_zero_shot_rates(EmoCapCLIPModel(models[size]).eval(), texts, args), "images/s")
    return rows


def _zero_shot_rates(model: EmoCapCLIPModel, texts: list[str], args) -> tuple[float, float]:
    """Texts encoded anew in each round; both sides read the same files and agree on the score of each text."""
    processor = word_processor(texts, model.config.vision_config.image_size)
    checkpoint = Checkpoint("random", "", model, processor)
    parts = {"model": model, "tokenizer": processor.tokenizer, "image_processor": processor.image_processor}
    classify = pipeline("zero-shot-image-classification", **parts)
    with tempfile.TemporaryDirectory() as folder:
        pictures = write_pictures(Path(folder), args.images, size=model.config.vision_config.image_size)
        faces = datasets.Dataset.from_dict({"image": pictures}).cast_column("image", datasets.Image())

        def ours() -> np.ndarray:
            prompts = EncodedPrompts.of(checkpoint, {text: [text] for text in texts})
            return probabilities(model, prompts, embed_images(model, processor, faces))

        def peer() -> np.ndarray:
            answers = classify(pictures, candidate_labels=texts, hypothesis_template="{}")
            return np.array([[score_of[text] for text in texts] for score_of in map(_scores, answers)])

        worst = np.abs(ours() - peer()).max()
        if worst > 1e-5:
            raise SystemExit(f"The two sides disagree by {worst:.2g}; a comparison of speed would mean nothing.")
        seconds = interleaved_seconds(ours, peer, args.rounds)
    return tuple(args.images / value for value in seconds)


def _scores(answer: list[dict]) -> dict[str, float]:
    return {entry["label"]: entry["score"] for entry in answer}


def probe(args) -> dict[str, Row]:
    """All 45 penalties: the path against scikit-learn's solver, fitted anew for each. Neither side may be worse."""
    train, classes, validation, truth = overlapping_classes(args.rows, dim=512, classes=7)
    penalties = [1 / (c * len(train)) for c in CS]

    def ours():
        heads = logistic_path(train, torch.from_numpy(classes), penalties)
        return [(head(validation).argmax(dim=1).numpy() == truth).mean() for head in heads]

    def peer():
        with threadpool_limits(args.threads):
            heads = [LogisticRegression(C=c, max_iter=1000).fit(train.numpy(), classes) for c in CS]
            return [head.score(validation.numpy(), truth) for head in heads]

    found = {}
    times = []
    for name, way in (("ours", ours), ("peer", peer)):
        start = time.perf_counter()
        found[name] = way()
        times.append(time.perf_counter() - start)
    best = max(found["ours"]), max(found["peer"])
    title = f"probe, {len(CS)} penalties, {args.rows:,} x 512, 7 classes (peer: LogisticRegression)"
    return {
        title: row(*times, "s"),
        "the same, best accuracy on validation": row(*best, "share"),
        "the same, C that was chosen": row(*(float(CS[int(np.argmax(found[side]))]) for side in found), ""),
    }


def overlapping_classes(
    rows: int, dim: int, classes: int
) -> tuple[torch.Tensor, np.ndarray, torch.Tensor, np.ndarray]:
    """Unit vectors whose spectrum falls as embeddings' does, brought to mean square 1; and 3,000 to choose on."""
    draws = np.random.default_rng(0)
    basis = np.linalg.qr(draws.normal(size=(dim, dim)))[0]
    spread = np.arange(1, dim + 1) ** -0.5
    means = draws.normal(size=(classes, dim)) * spread * 0.07
    labels = draws.integers(0, classes, size=rows + 3000)
    features = (means[labels] + draws.normal(size=(len(labels), dim)) * spread) @ basis
    features = F.normalize(torch.from_numpy(features), dim=1).float() * dim**0.5
    return features[:rows], labels[:rows], features[rows:], labels[rows:]


def retrieval(args) -> dict[str, Row]:
    """Every rank of 10,000 queries in a gallery of 100,000; the peer is the memory of the whole matrix."""
    draws = torch.Generator().manual_seed(0)
    queries = F.normalize(torch.randn(args.queries, 512, generator=draws), dim=1)
    gallery = F.normalize(torch.randn(args.gallery, 512, generator=draws), dim=1)
    right = [np.array([query]) for query in range(args.queries)]
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, start = _memory("VmRSS"), time.perf_counter()
    rank(score_blocks(queries, gallery), right)
    seconds, memory = time.perf_counter() - start, _memory("VmHWM") - before
    title = f"retrieval, {args.queries:,} x {args.gallery:,} x 512"
    matrix = 4 * args.queries * args.gallery / 2**20
    return {
        f"{title}: memory beyond the vectors (peer: the matrix)": row(memory, matrix, "MiB"),
        f"{title}: a query (peer: a goal of 10 ms)": row(1000 * seconds / args.queries, 10.0, "ms"),
    }


def _memory(kind: str) -> float:
    """Of this process in MiB, by Linux: `VmRSS` now, `VmHWM` at the most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1024


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=MEASUREMENTS)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--images", type=int, default=64, help="in a round of zero-shot (default: 64)")
    arguments.add_argument("--rows", type=int, default=12_000, help="that the probe is fitted on (default: 12,000)")
    arguments.add_argument("--queries", type=int, default=10_000)
    arguments.add_argument("--gallery", type=int, default=100_000)
    args = arguments.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    datasets.disable_progress_bars()
    rows: dict[str, Row] = {}
    for name, measurement in (("retrieval", retrieval), ("probe", probe), ("zero-shot", zero_shot)):
        if name in args.only:
            rows |= measurement(args)
    show(rows, args.json)


if __name__ == "__main__":
    main()
