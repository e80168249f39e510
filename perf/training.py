"""A training step at ViT-B/32 beside the plain way; waiting for data, saving, two processes; on a GPU also its share.

python perf/training.py                          # all but the GPU's, about a quarter of an hour on two cores
python perf/training.py --only step --rounds 2 --images 4
python perf/training.py --only gpu --json        # with a CUDA device

The step: SynthFaces' long captions at 224 pixels, in the default recipe's sampling of 4 local sentences, from rows to
updated weights. The peer trains the same model, weights and rows as one writes it first: the picture decoded and
prepared by the processor at each step, texts padded to 77, each level of the caption through the text tower by itself,
every image pooled for every sentence (straightforward.py), AdamW as it comes.

The run: what `train` itself logs and takes on the recipe configs/synthfaces.yaml, which is small and so shows the
overheads at their largest. For its three rows the peer is the goal or, of two processes, one, at one thread each.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import datasets
import torch
from measure import Row, interleaved_seconds, parser, row, show
from straightforward import straightforward_loss
from torch.utils.flop_counter import FlopCounterMode

from emocapclip_hf import EmoCapCLIPConfig, EmoCapCLIPModel
from emocapclip_hf.data.cached_rows import CachedRows
from emocapclip_hf.data.collator import MARGIN, EmoCapCollator
from emocapclip_hf.data.image_cache import build_image_cache
from emocapclip_hf.data.synthfaces import synthfaces_dataset
from emocapclip_hf.data.tokenizer import small_processor
from emocapclip_hf.objective import Captions, Embeddings, GlobalLocalObjective, Scoring
from emocapclip_hf.training import parse_arguments
from emocapclip_hf.training.arguments import OptimisationArguments
from emocapclip_hf.training.dry_run import CLIP_TOKENS, EMOCAP100K, random_batch
from emocapclip_hf.training.loss_curves import read_log
from emocapclip_hf.training.trainer import Trainer
from emocapclip_hf.training.updates import Updates

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "configs" / "synthfaces.yaml"
SIZE, CONTEXT, SENTENCES = 224, 77, 4
PEAK_BF16 = {"H200": 989e12, "H100": 989e12, "A100": 312e12}  # dense, from NVIDIA's data sheets
MEASUREMENTS = ("step", "run", "gpu")


def vit_b(patch_size: int, text: dict | None = None) -> EmoCapCLIPModel:
    torch.manual_seed(0)
    return EmoCapCLIPModel(EmoCapCLIPConfig(vision_config={"patch_size": patch_size}, text_config=text or {})).train()


# A step, from rows to updated weights


class OurStep:
    """The parts of `Trainer._step` for one process without accelerate."""

    def __init__(self, model: EmoCapCLIPModel, processor, table: datasets.Dataset, images: int):
        cache = build_image_cache(table, round(MARGIN * SIZE))
        self.rows, self.images = CachedRows(table, cache), images
        self.collator = EmoCapCollator(processor, SENTENCES)
        self.objective = GlobalLocalObjective()
        self.embedder = self.objective.embedder(model)
        self.optimizer = Updates(self.embedder, OptimisationArguments(), skip_broken=False).optimizer

    def loss(self, number: int = 0) -> torch.Tensor:
        batch = self.collator(self.rows.__getitems__(batch_rows(number, self.images, len(self.rows))))
        return self.objective(self.embedder(batch)).loss

    def __call__(self) -> None:
        self.loss().backward()
        torch.nn.utils.clip_grad_norm_(self.embedder.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


class PlainStep:
    def __init__(self, model: EmoCapCLIPModel, processor, table: datasets.Dataset, images: int):
        self.model, self.processor, self.table, self.images = model, processor, table, images
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.1)

    def loss(self, number: int = 0) -> torch.Tensor:
        rows = [self.table[index] for index in batch_rows(number, self.images, len(self.table))]
        batch = self.processor(images=[each["image"] for each in rows], return_tensors="pt")
        sentences = [each["local_captions"][:SENTENCES] for each in rows]
        owners = torch.tensor([index for index, texts in enumerate(sentences) for _ in texts])
        levels = {
            "global": self._captions([each["global_caption"] for each in rows], torch.arange(len(rows))),
            "summary": self._captions([each["summary_caption"] for each in rows], torch.arange(len(rows))),
            "local": self._captions([text for texts in sentences for text in texts], owners),
        }
        vision = self.model.get_image_features(**batch)
        head = self.model.local_head
        query = head.queries(torch.eye(self.model.config.projection_dim))
        scoring = Scoring(self.model.logit_scale.exp(), None, head.logit_scale.exp(), query)
        images = torch.nn.functional.normalize(vision.pooler_output, dim=-1)
        patches = self.model.get_patch_embeds(vision.last_hidden_state)
        return straightforward_loss(Embeddings(images, levels, patches, scoring=scoring))

    def _captions(self, texts: list[str], owners: torch.Tensor) -> Captions:
        inputs = self.processor.tokenizer(texts, padding="max_length", max_length=CONTEXT, return_tensors="pt")
        embeds = torch.nn.functional.normalize(self.model.get_text_features(**inputs).pooler_output, dim=-1)
        return Captions(embeds, owners, torch.zeros_like(owners))

    def __call__(self) -> None:
        self.loss().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


def batch_rows(number: int, images: int, rows: int) -> list[int]:
    return [(number * images + index) % rows for index in range(images)]


def measure_step(images: int, rounds: int) -> dict[str, Row]:
    table = synthfaces_dataset("train", 512, size=round(MARGIN * SIZE))
    sentences = [text for texts in table["local_captions"] for text in texts]
    processor = small_processor([*table["global_caption"], *sentences, *table["summary_caption"]], SIZE)
    tokenizer = processor.tokenizer
    # CLIP's own vocabulary in size; the ids are those of a tokenizer that needs no download.
    text = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    ours = OurStep(vit_b(32, text), processor, table, images)
    plain = PlainStep(vit_b(32, text), processor, table, images)
    tokens = [
        len(ids) for ids in tokenizer([*table["global_caption"], *sentences, *table["summary_caption"]]).input_ids
    ]
    print(f"texts of {statistics.mean(tokens):.0f} tokens on average, {max(tokens)} at most", file=sys.stderr)
    with torch.no_grad():  # the same faces and words, so nearly the same loss: which sentences are sampled differs
        torch.testing.assert_close(ours.loss(), plain.loss(), rtol=0.05, atol=0.05)
    rates = [images / seconds for seconds in interleaved_seconds(ours, plain, rounds)]
    return {f"training at ViT-B/32, batches of {images}": row(*rates, "images/s")}


# Runs of `train`


class TimedTrainer(Trainer):
    """Adds up what saving takes."""

    def __init__(self, args):
        super().__init__(args)
        self.saving: list[float] = []

    def _save(self, done, metrics):
        start = time.perf_counter()
        super()._save(done, metrics)
        self.saving.append(time.perf_counter() - start)


def measure_run(steps: int) -> dict[str, Row]:
    """Data and saving in this process; processes in a run of their own each, at one thread."""
    with tempfile.TemporaryDirectory() as folder:
        options = run_options(Path(folder) / "here", steps)
        args = parse_arguments([*options, "--save-steps", str(steps // 2), "--dataloader-num-workers", "1"])
        trainer = TimedTrainer(args)
        trainer.run()
        lines = logged(Path(folder) / "here")
        a_step = args.optimisation.per_device_train_batch_size / rate_of(lines)
        every = parse_arguments(["--config", str(RECIPE)]).run.save_steps
        saving = statistics.median(trainer.saving) / (every * a_step)
        waiting = statistics.median(line["data_wait_share"] for line in lines)
        one, two = (launched_rate(Path(folder) / str(count), steps, count) for count in (1, 2))
    return {
        "waiting for data, of a step (peer: the goal)": row(100 * waiting, 5.0, "%"),
        f"saving every {every} steps, of the run (peer: the goal)": row(100 * saving, 2.0, "%"),
        "two processes (peer: one)": row(two, one, "images/s"),
    }


def run_options(folder: Path, steps: int) -> list[str]:
    options = {"--output-dir": folder, "--max-steps": steps, "--eval-steps": 10 * steps, "--logging-steps": 10}
    return ["--config", str(RECIPE), *(str(word) for pair in options.items() for word in pair)]


def launched_rate(folder: Path, steps: int, processes: int) -> float:
    """Images a second of all processes, the batch shared out; on a CPU accelerate's own launcher starts but one."""
    share = parse_arguments(["--config", str(RECIPE)]).optimisation.per_device_train_batch_size // processes
    script = (
        "import sys; from emocapclip_hf.training import parse_arguments, train; train(parse_arguments(sys.argv[1:]))"
    )
    (folder.parent / "run.py").write_text(script)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command = [*launch, folder.parent / "run.py", *run_options(folder, steps), "--save-steps", str(steps)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--per-device-train-batch-size", str(share)], env=environment, capture_output=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    state = json.loads(next(folder.glob("checkpoint-*/trainer_state.json")).read_text())
    if state["processes"] != processes:
        raise RuntimeError(f"{state['processes']} processes trained, not {processes}")
    return rate_of(logged(folder))


def logged(folder: Path) -> list[dict]:
    """Lines of training, without the first: it counts what happens once."""
    return [line for line in read_log(folder / "log.jsonl") if "loss" in line][1:]


def rate_of(lines: list[dict]) -> float:
    return statistics.median(line["faces_per_second"] for line in lines)


# On a GPU


def measure_gpu(images: int, rounds: int) -> dict[str, Row]:
    """Images a second in bf16 against float32, share of the card's peak, an epoch of EmoCap100K's size."""
    rows = {}
    for patch_size in (32, 16):
        model = vit_b(patch_size).cuda()
        steps = [gpu_step(model, images, enabled) for enabled in (True, False)]
        rates = [images / seconds for seconds in interleaved_seconds(*steps, rounds)]
        name = f"ViT-B/{patch_size}, batches of {images}, texts of {CLIP_TOKENS} tokens"
        rows[f"{name}: bf16 (peer: float32)"] = row(*rates, "images/s")
        peak = next((flops for card, flops in PEAK_BF16.items() if card in torch.cuda.get_device_name()), None)
        if peak is not None:
            share = 100 * rates[0] * flops_an_image(patch_size) / peak
            rows[f"{name}: share of the card's peak (peer: the goal)"] = row(45.0, share, "%") | {
                "ours": share,
                "peer": 45.0,
            }
        epochs = [EMOCAP100K / rate / 60 for rate in rates]
        rows[f"{name}: an epoch of {EMOCAP100K:,} faces (peer: float32)"] = row(*epochs, "min")
        del model, steps
        torch.cuda.empty_cache()
    return rows


def gpu_step(model: EmoCapCLIPModel, images: int, bf16: bool):
    objective = GlobalLocalObjective()
    embedder = objective.embedder(model)
    optimizer = Updates(embedder, OptimisationArguments(), skip_broken=False).optimizer
    batch = random_batch(model.config, images, SENTENCES, torch.device("cuda"))

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16, enabled=bf16):
            output = objective(embedder(batch))
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(embedder.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def flops_an_image(patch_size: int) -> float:
    """Of matrix products and attention, forward and backward; from the slope, as the temperatures' cost once."""
    model, objective = vit_b(patch_size), GlobalLocalObjective()
    embedder = objective.embedder(model)

    def flops(images: int) -> int:
        with FlopCounterMode(display=False) as counter:
            objective(embedder(random_batch(model.config, images, SENTENCES, torch.device("cpu")))).loss.backward()
        return counter.get_total_flops()

    return (flops(4) - flops(2)) / 2


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=MEASUREMENTS, help="default: all")
    arguments.add_argument("--images", type=int, default=16, help="in a step on the CPU (default: 16)")
    arguments.add_argument("--steps", type=int, default=80, help="of a run (default: 80)")
    arguments.add_argument("--gpu-images", type=int, default=512, help="in a step on a GPU (default: 512)")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.set_defaults(rounds=3)
    args = arguments.parse_args()
    torch.set_num_threads(args.threads)
    datasets.disable_progress_bars()
    measured = {
        "step": partial(measure_step, args.images, args.rounds),
        "run": partial(measure_run, args.steps),
        "gpu": partial(measure_gpu, args.gpu_images, args.rounds),
    }
    rows: dict[str, Row] = {}
    for name in args.only:
        if name != "gpu" or torch.cuda.is_available():
            rows |= measured[name]()
    show(rows, args.json)


if __name__ == "__main__":
    main()
