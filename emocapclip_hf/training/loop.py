"""The training loop, from top to bottom."""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from ..objective import CachedGradients, GlobalLocalObjective, ObjectiveOptions, ObjectiveOutput
from .arguments import ObjectiveArguments, OptimisationArguments, TrainingArguments
from .batches import EpochBatches, training_batches
from .checkpoints import CheckpointFolder
from .guides import MiningGuide, positive_miner
from .log import TrainingLog
from .parameter_groups import parameter_groups
from .publishing import RunPublisher
from .setup import Materials, prepare_materials, training_rows
from .validation import evaluate


def train(
    args: TrainingArguments, materials: Materials | None = None, objective: GlobalLocalObjective | None = None
) -> Materials:
    """
    Train as `args` say, and write everything below `args.run.output_dir`.

    Args:
        args: see `train.py --help`.
        materials: a dataset, processor and model of one's own, in place of those that `args` describe.
        objective: one's own, in place of the one that `args` describe.

    Returns:
        The materials, with the trained model, on the device it was trained on.
    """
    run, optimisation = args.run, args.optimisation
    accelerator = Accelerator(mixed_precision=run.mixed_precision)
    set_seed(run.seed)
    folder = Path(run.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    publisher = RunPublisher(args) if args.hub.push_to_hub and accelerator.is_main_process else None
    objective = objective or GlobalLocalObjective(objective_options(args.objective), positive_miner(args.objective))
    with accelerator.main_process_first():  # builds the caches, the others read them
        materials = materials or prepare_materials(args)
        embedder = objective.embedder(materials.model)
        guide = MiningGuide(args.objective, objective.miner, embedder, materials.train.column_names)
        rows, collator = training_rows(materials, args, guide.label_columns)
    groups = parameter_groups(
        materials.model, optimisation.learning_rate, optimisation.weight_decay, optimisation.layer_decay
    )
    optimizer = torch.optim.AdamW(groups, betas=(optimisation.adam_beta1, optimisation.adam_beta2))
    rates = [group["lr"] for group in groups]
    embedder, optimizer = accelerator.prepare(embedder, optimizer)
    guide.to(accelerator.device)
    if guide.average is not None:
        accelerator.register_for_checkpointing(guide.average)
    backward = _backward(accelerator, embedder, objective, args.objective.cached_chunk_size)

    checkpoints = CheckpointFolder(folder, keep=run.save_total_limit)
    first_step = _resume(accelerator, checkpoints, run.resume)
    ranks, rank = accelerator.num_processes, accelerator.process_index
    order = EpochBatches(len(rows), optimisation.per_device_train_batch_size, run.seed, rank, ranks)
    log = TrainingLog(folder, first_step, optimisation.max_steps, accelerator.is_main_process)
    batches = training_batches(
        rows, collator, order, first_step, optimisation.max_steps, args.data.dataloader_num_workers
    )

    embedder.train()
    for step in range(first_step, optimisation.max_steps):
        asked = time.perf_counter()
        batch = _to_device(next(batches), accelerator.device)
        log.waited(time.perf_counter() - asked)

        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * learning_rate_factor(step, optimisation)
        measured = (step + 1) % run.logging_steps == 0
        with accelerator.autocast():
            mining = guide(batch, accelerator.device, measured)
        output = backward(batch, step, **mining)
        norm = accelerator.clip_grad_norm_(embedder.parameters(), optimisation.max_grad_norm)
        # With float16 the scaler makes gradients overflow now and then, and skips those steps itself.
        broken = not torch.isfinite(norm if accelerator.scaler is None else output.loss)
        if broken and run.on_nan == "stop":
            raise FloatingPointError(
                f"The gradient at step {step} is not finite (loss {output.loss.item():.4g}). The checkpoints in "
                f"{folder} are from before it. Lower the learning rate, or pass --on-nan skip."
            )
        if not broken:
            optimizer.step()
            if guide.average is not None:
                guide.average.update(accelerator.unwrap_model(embedder))
        optimizer.zero_grad()

        done = step + 1
        log.step_done(ranks * len(batch["row"]))
        if done % run.logging_steps == 0:
            figures = {"learning_rate": optimizer.param_groups[-1]["lr"], "gradient_norm": norm.item()}
            log.write(done, output.scalars() | figures)
        metrics = {}
        if done % run.eval_steps == 0 or done == optimisation.max_steps:
            metrics = evaluate(materials.model, materials.processor, materials.validation, "validation")
            log.evaluation(done, metrics)
        if done % run.save_steps == 0 or done == optimisation.max_steps:
            checkpoints.save(
                {"step": done},
                write=lambda path: accelerator.save_state(str(path)),
                metric=next(iter(metrics.values()), None),
                is_main=accelerator.is_main_process,
                wait=accelerator.wait_for_everyone,
            )
            if publisher is not None and done < optimisation.max_steps:
                publisher.checkpoint(materials, done)
    log.bar.close()
    if publisher is not None:
        publisher.wait()
    materials.model.eval()
    return materials


def objective_options(args: ObjectiveArguments) -> ObjectiveOptions:
    return ObjectiveOptions(args.global_weight, args.summary_weight, args.local_weight, args.loss_type)


def learning_rate_factor(step: int, args: OptimisationArguments) -> float:
    """Linear warm-up, then a cosine to zero.

    >>> args = OptimisationArguments(warmup_steps=10, max_steps=110)
    >>> [round(learning_rate_factor(step, args), 2) for step in (0, 9, 10, 60, 109)]
    [0.1, 1.0, 1.0, 0.5, 0.0]
    """
    if step < args.warmup_steps:
        return (step + 1) / args.warmup_steps
    progress = (step - args.warmup_steps) / max(1, args.max_steps - args.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * progress))


def _to_device(batch: dict, device: torch.device) -> dict:
    """Labels that are no tensors stay as they are."""
    return {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()}


def _backward(accelerator: Accelerator, embedder, objective: GlobalLocalObjective, chunk_size: int | None):
    """One step's forward and backward, whole or in chunks."""
    if chunk_size is None:

        def whole(batch: dict, step: int, **mining) -> ObjectiveOutput:
            with accelerator.autocast():
                output = objective(embedder(batch), step, **mining)
            accelerator.backward(output.loss)
            return output

        return whole
    cached = CachedGradients(embedder, objective, chunk_size)
    scale = accelerator.scaler.scale if accelerator.scaler is not None else lambda loss: loss

    def in_chunks(batch: dict, step: int, **mining) -> ObjectiveOutput:
        with accelerator.autocast():
            return cached(batch, step, scale_loss=scale, **mining)

    return in_chunks


def _resume(accelerator: Accelerator, checkpoints: CheckpointFolder, resume: bool) -> int:
    """The step to go on from, with everything loaded that it stood on."""
    newest = checkpoints.newest()
    if newest is None:
        return 0
    if not resume:
        raise FileExistsError(
            f"{checkpoints.folder} holds a run up to {newest.name}. Pass --resume to go on with it, or another "
            "--output-dir."
        )
    accelerator.load_state(str(newest))
    return checkpoints.read(newest)["step"]
