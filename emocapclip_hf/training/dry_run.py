"""`--dry-run`: what a recipe needs, from one small step on random data. No dataset is read, nothing is downloaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import PartialState
from torch import nn
from transformers import AutoConfig

from ..checkpoint_names import check_checkpoint_name
from ..modeling import EmoCapCLIPCaptionerConfig, EmoCapCLIPConfig, EmoCapCLIPModel
from ..objective import GlobalLocalObjective
from ..peak_memory import peak_bytes
from .arguments import TrainingArguments
from .setup import prepare_model
from .starting_points import as_emocapclip, clip_config
from .trainer import objective_options

EMOCAP100K = 107_134  # faces; of the paper's dataset, which is not public
PROBE = 2  # faces of the step that is measured on a CPU, and twice as many for the slope
CLIP_TOKENS = 48  # of a sentence of such captions; SigLIP pads all to its context
PARTS = {
    "vision tower": "vision_model.",
    "text tower": "text_model.",
    "projections": ("visual_projection.", "text_projection."),
    "local head": "local_head.",
    "temperature": ("logit_scale", "logit_bias"),
}


@dataclass
class DryRun:
    """
    Args:
        parameters: part → (all, trained).
        memory: what for → bytes, of one process.
        faces_per_process: of a step.
        seconds_per_face: of a training step, here.
        faces: of an epoch.
        steps: of the run.
        measured: on what, in words.
        processes: that share the work.
    """

    parameters: dict[str, tuple[int, int]]
    memory: dict[str, int]
    faces_per_process: int
    seconds_per_face: float
    faces: int
    steps: int
    measured: str
    processes: int = 1

    def __str__(self) -> str:
        """The tables that people read."""
        lines = [f"{'parameters':<34}{'all':>16}{'trained':>16}"]
        lines += [f"  {part:<32}{every:>16,}{trained:>16,}" for part, (every, trained) in self.parameters.items()]
        lines += ["", "memory of one process"]
        memory = self.memory | {"total": sum(self.memory.values())}
        lines += [f"  {what:<32}{size_of(size):>16}" for what, size in memory.items()]
        lines += ["", f"{'time':<34}{'steps':>16}{'faces':>16}{'takes':>16}"]
        faces = self.faces_per_process * self.processes
        epoch = max(1, self.faces // faces)
        for what, steps in (("one step", 1), ("an epoch", epoch), ("the run", self.steps)):
            takes = duration(steps * self.faces_per_process * self.seconds_per_face)
            lines.append(f"  {what:<32}{steps:>16,}{steps * faces:>16,}{takes:>16}")
        lines += ["", f"Measured: {self.measured}; on {self.processes} such, each with its share of the faces."]
        return "\n".join([*lines, "Loading data, evaluations and checkpoints are not counted."])


@dataclass
class Plan:
    """
    Args:
        model: with what it trains said.
        parts: of the model → how the names of their parameters begin.
        loss: of so many random faces.
        adapted: the model's adapters, kept here: its layers point to them.
        about: the faces, in words.
    """

    model: nn.Module
    parts: Mapping[str, str | tuple[str, ...]]
    loss: Callable[[int], torch.Tensor]
    adapted: Any
    about: str = ""


def dry_run(args: TrainingArguments) -> DryRun:
    """Build the model of a recipe with random weights, take small steps on random data, and scale what they took."""
    torch.manual_seed(args.run.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    args.model.torch_compile = False  # it would take minutes, and change little in memory
    if args.captioner.is_wanted:
        from .captioner_dry_run import plan_captioner as plan_model
    else:
        plan_model = plan_encoder
    plan = plan_model(args, device)
    autocast = _autocast(args.run.mixed_precision, device)

    def step(faces: int) -> None:
        with autocast():
            loss = plan.loss(faces)
        loss.backward()

    batch = args.optimisation.per_device_train_batch_size
    at_once = min(batch, args.objective.cached_chunk_size or batch)
    step(PROBE)  # gradients are there from now on, and the threads are awake
    activations = _activations(step, at_once, device)
    probe = at_once if device.type == "cuda" else min(at_once, 2 * PROBE)
    seconds = _seconds(step, probe, device) / probe
    if args.objective.cached_chunk_size:
        seconds *= 4 / 3  # each chunk is embedded once more, without gradient: a third of forward and backward
    machine = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return DryRun(
        parameters=count_parameters(plan.model, plan.parts),
        memory=_lasting_memory(plan.model, args) | {f"activations of {at_once:,} faces": activations},
        faces_per_process=batch * args.optimisation.gradient_accumulation_steps,
        seconds_per_face=seconds,
        faces=args.data.synthfaces_rows[0] if args.data.dataset == "synthfaces" else EMOCAP100K,
        steps=args.optimisation.max_steps,
        measured=f"a step of {probe} faces{plan.about} on {machine}",
        processes=PartialState().num_processes,
    )


def plan_encoder(args: TrainingArguments, device: torch.device) -> Plan:
    """The model that a contrastive run would train, and its step on random pictures and sentences."""
    config = planned_config(args)
    model = EmoCapCLIPModel(config).to(device)
    if args.model.stretch_text_positions:
        model.stretch_text_positions(args.model.stretch_text_positions)
    options = objective_options(args.objective)
    adapted = prepare_model(model, options.levels, args.model)
    objective = GlobalLocalObjective(options)
    embedder = objective.embedder(model).train()

    def loss(faces: int) -> torch.Tensor:
        return objective(embedder(random_batch(config, faces, args.data.sentences_per_caption, device))).loss

    return Plan(model, PARTS, loss, adapted)


def planned_config(args: TrainingArguments) -> EmoCapCLIPConfig | EmoCapCLIPCaptionerConfig:
    """The config of the model that a run would train, or whose vision tower a captioner would have."""
    model = args.model
    if model.model_name_or_path:
        return _config_on_this_machine(model.model_name_or_path)
    if model.clip_name_or_path:
        return as_emocapclip(clip_config(model.clip_name_or_path))
    if not model.model_config:
        raise ValueError("nothing to build: set model_config, clip_name_or_path or model_name_or_path (see --help)")
    planned = {name: dict(value) if isinstance(value, dict) else value for name, value in model.model_config.items()}
    vision, text = planned.setdefault("vision_config", {}), planned.setdefault("text_config", {})
    vision.setdefault("image_size", args.data.image_size)
    # A run trains its tokenizer on the captions, to at most so many tokens.
    text |= {"vocab_size": model.vocab_size, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    return EmoCapCLIPConfig(**planned)


def _config_on_this_machine(name: str) -> Any:
    check_checkpoint_name(name)
    return AutoConfig.from_pretrained(name, local_files_only=True)


def random_batch(
    config: EmoCapCLIPConfig, faces: int, sentences: int, device: torch.device
) -> dict[str, torch.Tensor]:
    """Noise and random words in the shapes of a training step."""
    text = config.text_config
    padded = text.model_type != "clip_text_model"
    length = text.max_position_embeddings if padded else min(CLIP_TOKENS, text.max_position_embeddings)

    def ids(*shape: int) -> torch.Tensor:
        made = torch.randint(4, text.vocab_size - 4, (*shape, length), device=device)
        made[..., -1] = text.eos_token_id
        return made

    batch = {"input_ids": ids(faces), "summary_input_ids": ids(faces), "local_input_ids": ids(faces, sentences)}
    return batch | random_pictures(config, faces, device)


def random_pictures(
    config: EmoCapCLIPConfig | EmoCapCLIPCaptionerConfig, faces: int, device: torch.device
) -> dict[str, torch.Tensor]:
    """Noise in the shape of so many pictures."""
    vision = config.vision_config
    if config.patch_grid is not None:
        height, width = (vision.image_size,) * 2 if isinstance(vision.image_size, int) else vision.image_size
        return {"pixel_values": torch.randn(faces, vision.num_channels, height, width, device=device)}
    side = int(vision.num_patches**0.5)
    patch = vision.num_channels * vision.patch_size**2
    return {
        "pixel_values": torch.randn(faces, side**2, patch, device=device),
        "pixel_attention_mask": torch.ones(faces, side**2, dtype=torch.int64, device=device),
        "spatial_shapes": torch.full((faces, 2), side, device=device),
    }


def count_parameters(
    model: nn.Module, parts: Mapping[str, str | tuple[str, ...]] = PARTS
) -> dict[str, tuple[int, int]]:
    """All and trained ones, by part of the model."""
    counted = {}
    for part, prefix in parts.items():
        sizes = [(p.numel(), p.requires_grad) for name, p in model.named_parameters() if name.startswith(prefix)]
        if sizes:
            counted[part] = sum(size for size, _ in sizes), sum(size for size, trained in sizes if trained)
    return counted | {"total": tuple(map(sum, zip(*counted.values(), strict=True)))}


def _lasting_memory(model: nn.Module, args: TrainingArguments) -> dict[str, int]:
    """What stays from step to step, in float32: mixed precision casts as it goes."""
    weights = 4 * sum(parameter.numel() for parameter in model.parameters())
    trained = 4 * sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    memory = {"weights": weights, "gradients": trained, "AdamW's two moments": 2 * trained}
    averages = (args.optimisation.ema_decay is not None) + (args.objective.mining_guide == "ema")
    return memory | ({"moving average of the weights": averages * weights} if averages else {})


def _activations(step: Callable[[int], None], faces: int, device: torch.device) -> int:
    """Most bytes that a step of so many faces holds beyond what stays; scaled from small steps on a CPU."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(faces)
        return torch.cuda.max_memory_allocated() - before
    small, large = (peak_bytes(lambda count=count: step(count)) for count in (PROBE, 2 * PROBE))
    return large + (large - small) * (faces - 2 * PROBE) // PROBE


def _seconds(step: Callable[[int], None], faces: int, device: torch.device) -> float:
    start = time.perf_counter()
    step(faces)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _autocast(mixed_precision: str, device: torch.device):
    dtype = torch.float16 if mixed_precision == "fp16" and device.type == "cuda" else torch.bfloat16
    return lambda: torch.autocast(device.type, dtype, enabled=mixed_precision != "no")


def duration(seconds: float) -> str:
    """
    >>> duration(0.25), duration(2.5), duration(100), duration(5000), duration(400_000)
    ('250 ms', '2.5 s', '100 s', '83 min', '111 h')
    """
    for enough, size, name in ((3 * 3600, 3600, "h"), (180, 60, "min"), (10, 1, "s")):
        if seconds >= enough:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def size_of(count: int) -> str:
    """Bytes as people read them."""
    if count >= 2**30:
        return f"{count / 2**30:.2f} GiB"
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.0f} KiB"
