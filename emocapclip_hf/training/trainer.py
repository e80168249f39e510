"""A training run: what it is made of, its steps, and what happens between them."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from signal import Signals
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, InitProcessGroupKwargs, ProjectConfiguration, set_seed

from ..objective import EmaGuide, GlobalLocalObjective, ObjectiveOptions, ObjectiveOutput
from .arguments import ObjectiveArguments, TrainingArguments
from .backward import Backward, mean_scalars
from .batches import EpochBatches, training_batches
from .checkpoints import CheckpointFolder
from .guides import MiningGuide, positive_miner
from .interruption import Interruption, TrainingInterrupted, noticed
from .log import TrainingLog
from .lora import merge_adapters
from .processes import Processes
from .publishing import RunPublisher
from .setup import Materials, prepare_materials, prepare_model, training_rows
from .sharding import shard
from .state import TrainingState, whole_weights
from .trackers import check_tracker, start_tracker
from .updates import Updates
from .validation import evaluate


class Trainer:
    """
    One run, from its first step or from where it stopped. `train` is how it is used.

    Args:
        args, materials, objective: as for `train`.
    """

    def __init__(
        self,
        args: TrainingArguments,
        materials: Materials | None = None,
        objective: GlobalLocalObjective | None = None,
    ):
        self.args, run = args, args.run
        check_tracker(run.report_to)
        self.folder = Path(run.output_dir)
        self.checkpoints = CheckpointFolder(self.folder, keep=run.save_total_limit)
        self.newest = self.checkpoints.newest()
        if self.newest is not None and not run.resume:
            raise FileExistsError(
                f"{self.folder} holds a run up to {self.newest.name}. Pass --resume to go on with it, or another "
                "--output-dir."
            )
        self.accelerator = accelerator = make_accelerator(args)
        self.processes = Processes(accelerator)
        if self.processes.is_main:
            self.checkpoints.check()
        set_seed(run.seed)
        self.publisher = RunPublisher(args) if args.hub.push_to_hub and self.processes.is_main else None
        with self.processes.main_first():  # who builds the caches that the others read
            embedder, objective = self._make(materials, objective)
        self._prepare(embedder, objective)

    def _make(
        self, materials: Materials | None, objective: GlobalLocalObjective | None
    ) -> tuple[torch.nn.Module, GlobalLocalObjective]:
        """What the run is made of, and the embedder and objective that are trained. Another task has its own."""
        args = self.args
        objective = objective or GlobalLocalObjective(
            objective_options(args.objective), positive_miner(args.objective)
        )
        self.materials = materials or prepare_materials(args)
        self.adapted = prepare_model(self.materials.model, objective.options.levels, args.model)
        embedder = objective.embedder(self.materials.model)
        self.guide = MiningGuide(args.objective, objective.miner, embedder, self.materials.train)
        self.rows, self.collator = training_rows(
            self.materials, args, self.guide.label_columns, self.guide.needs_unsampled
        )
        return embedder, objective

    def _prepare(self, embedder: torch.nn.Module, objective: GlobalLocalObjective) -> None:
        """Everything that stands on the wrapped model."""
        accelerator, optimisation = self.accelerator, self.args.optimisation
        decay = optimisation.ema_decay
        self.average = None if decay is None else EmaGuide(embedder, decay).to(accelerator.device)
        averages = {"average": self.average, "guide": self.guide.to(accelerator.device).average}
        averages = {name: average for name, average in averages.items() if average is not None}
        self.whole = None
        if is_sharded(accelerator, self.args):
            self.whole, embedder = embedder, shard(copy.deepcopy(embedder).to(accelerator.device))
            for average in averages.values():
                shard(average.teacher, learns=False)
        self.updates = Updates(embedder, optimisation, skip_broken=self.args.run.on_nan == "skip")
        self.embedder = self.updates.prepare(accelerator, embedder, is_sharded=self.whole is not None)
        self.backward = Backward(accelerator, self.embedder, objective, self.args.objective.cached_chunk_size)
        self.state = TrainingState(accelerator, self.embedder, self.updates.optimizer, averages)
        set_seed(self.args.run.seed, device_specific=True)  # each process its own dropout

    def run(self) -> Materials:
        """Train; returns the materials with the trained model."""
        optimisation, last_step = self.args.optimisation, self.args.optimisation.max_steps
        self.first_step, start = self._resume()
        self.order = EpochBatches(
            len(self.rows),
            optimisation.per_device_train_batch_size,
            self.args.run.seed,
            self.processes.index,
            self.processes.count,
            start,
        )
        self.log = TrainingLog(self.folder, self.accelerator, self.first_step, last_step)
        start_tracker(self.accelerator, self.args)
        count = (last_step - self.first_step) * optimisation.gradient_accumulation_steps
        workers = self.args.data.dataloader_num_workers
        self.embedder.train()
        batches = training_batches(self.rows, self.collator, self.order, 0, count, workers)
        with noticed() as interruption, closing(batches):
            for step in range(self.first_step, last_step):
                self._step(step, batches)
                self._after_step(step + 1, interruption)
        self.log.close()
        if self.publisher is not None:
            self.publisher.wait()
        return self._finished()

    def _step(self, step: int, batches: Iterator[dict[str, Any]]) -> None:
        """One update of the weights, of one batch or several, and its line in the log if one is due."""
        asked = time.perf_counter()
        parts = list(islice(batches, self.args.optimisation.gradient_accumulation_steps))
        self.log.waited(time.perf_counter() - asked)
        due = (step + 1) % self.args.run.logging_steps == 0
        self.updates.set_learning_rates(step)
        try:
            outputs = [self._backward(part, step, number, len(parts), due) for number, part in enumerate(parts)]
        except FloatingPointError as error:  # from the objective, on every process
            self.updates.give_up(step, error)
            outputs = []
        else:
            made, figures = self.updates.apply(step, outputs)
            if made:
                self._update_averages(step)
        self.log.step_done(self.processes.count * sum(len(part["row"]) for part in parts))
        if due and outputs:
            self.log.write(step + 1, mean_scalars(outputs) | figures)

    def _backward(self, batch: dict[str, Any], step: int, number: int, of: int, measured: bool) -> ObjectiveOutput:
        device = self.accelerator.device
        batch = {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()}
        with self.accelerator.autocast():
            mining = self.guide(batch, device, step, measured)
        return self.backward(self.guide.for_model(batch, step, mining.get("guide")), step, mining, number, of)

    def _update_averages(self, step: int) -> None:
        embedder = self.accelerator.unwrap_model(self.embedder)
        for average in (self.average, self.guide.average):
            if average is not None:
                average.update(embedder, step)

    def _after_step(self, done: int, interruption: Interruption) -> None:
        """Evaluate, save and publish where they are due; end if one of the processes was told to."""
        run, last = self.args.run, done == self.args.optimisation.max_steps
        told = self.processes.highest(interruption.signal_number)
        metrics = {}
        if last or done % run.eval_steps == 0:
            metrics = self._evaluate(done)
        if last or told or done % run.save_steps == 0:
            self._save(done, metrics)
            if self.args.hub.push_to_hub and not last and not told:
                trained = self._trained()
                if self.publisher is not None:
                    self.publisher.checkpoint(trained, done)
        if told and not last:
            self.log.say(f"{Signals(told).name}: ended after step {done}, which is saved. Go on with --resume.")
            self.log.close()
            raise TrainingInterrupted(told)

    def _evaluate(self, done: int) -> dict[str, float]:
        """On the main process."""
        trained, metrics = self._trained(), {}
        if self.processes.is_main:
            # What is compiled is compiled for training; for other shapes, without gradient, it would be so again.
            with torch.compiler.set_stance("force_eager"):
                metrics = self._measure(trained)
            self.log.evaluation(done, metrics)
        if self.whole is not None:
            self.whole.cpu()  # the step needs the room
        self.processes.wait()
        return metrics

    def _measure(self, trained: Materials) -> dict[str, float]:
        """On the validation split; the first figure chooses the best checkpoint, higher is better."""
        return evaluate(trained.model, trained.processor, trained.validation, "validation")

    def _save(self, done: int, metrics: dict[str, float]) -> None:
        batches = (done - self.first_step) * self.args.optimisation.gradient_accumulation_steps
        epoch, row = self.order.place(batches)
        self.checkpoints.save(
            {"step": done, "epoch": epoch, "row": row, **self._shape()},
            write=self.state.write,
            metric=next(iter(metrics.values()), None),
            is_main=self.processes.is_main,
            wait=self.processes.wait,
        )

    def _resume(self) -> tuple[int, tuple[int, int]]:
        """The step to go on from, with everything loaded that it stood on, and where in the data that is."""
        if self.newest is None:
            return 0, (0, 0)
        saved = self.checkpoints.read(self.newest)
        if self.processes.is_main:
            for line in differences(saved, self._shape()):
                print(f"{self.newest.name}: {line}", flush=True)
        self.state.read(self.newest)
        return saved["step"], (saved["epoch"], saved["row"])

    def _shape(self) -> dict[str, int]:
        """What a step is made of, as a checkpoint remembers it."""
        optimisation = self.args.optimisation
        return {
            "processes": self.processes.count,
            "faces_per_process": optimisation.per_device_train_batch_size,
            "batches_per_step": optimisation.gradient_accumulation_steps,
        }

    def _trained(self) -> Materials:
        """The materials with the weights that count: the moving average, where there is one. All processes ask."""
        if self.whole is not None:
            counts = self.embedder if self.average is None else self.average.teacher
            self.whole.load_state_dict(whole_weights(counts))
            self.whole.to(self.accelerator.device)
            return self.materials
        if self.average is not None:
            return replace(self.materials, model=self.average.teacher.model)
        return self.materials

    def _finished(self) -> Materials:
        """The materials whose own model is the trained one."""
        model = self._trained().model if self.whole is not None else self.materials.model
        if self.whole is None and self.average is not None:
            model.load_state_dict(self.average.teacher.model.state_dict())
        if self.adapted is not None:
            merge_adapters(self.adapted)
        for module in model.modules():
            module._compiled_call_impl = None  # the opposite of `compile`: whoever uses the model may compile it anew
        model.requires_grad_(True).eval()
        return self.materials


def make_accelerator(args: TrainingArguments) -> Accelerator:
    run = args.run
    accelerator = Accelerator(
        cpu=not torch.accelerator.is_available(),  # or processes without a GPU would not find one another
        mixed_precision=run.mixed_precision,
        log_with=None if run.report_to == "none" else run.report_to,
        project_config=ProjectConfiguration(project_dir=run.output_dir, logging_dir=run.output_dir),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(seconds=run.ddp_timeout))],
    )
    if accelerator.distributed_type == DistributedType.FSDP:
        os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "False"  # or transformers loads weights on one process alone
    return accelerator


def is_sharded(accelerator: Accelerator, args: TrainingArguments) -> bool:
    """Whether the processes share the weights out: told by a flag, or by how accelerate is configured."""
    if not args.run.fsdp and accelerator.distributed_type != DistributedType.FSDP:
        return False
    hindrances = {
        "one process, which has nothing to share": accelerator.num_processes == 1,
        "--torch-compile": args.model.torch_compile,
        "--mixed-precision fp16 (take bf16)": args.run.mixed_precision == "fp16",
        "a captioner": args.captioner.is_wanted,
    }
    found = [name for name, is_there in hindrances.items() if is_there]
    if found:
        raise ValueError(f"FSDP does not go with {' and '.join(found)}. Leave one of them out.")
    return True


def objective_options(args: ObjectiveArguments) -> ObjectiveOptions:
    return ObjectiveOptions(args.global_weight, args.summary_weight, args.local_weight, args.loss_type)


def differences(saved: dict[str, int], now: dict[str, int]) -> list[str]:
    """
    What is no longer as it was in the run that is resumed.

    >>> saved = {"processes": 1, "faces_per_process": 8, "batches_per_step": 1}
    >>> differences(saved, saved)
    []
    >>> for line in differences(saved, {"processes": 2, "faces_per_process": 8, "batches_per_step": 1}): print(line)
    was made by 1 process of 8 faces, and 2 of 8 go on: processes that are new draw new random numbers (dropout)
    a step is now of 1 x 16 faces, and was of 1 x 8: from here on it is another run
    """
    lines = []
    if saved["processes"] != now["processes"]:
        lines.append(
            f"was made by {saved['processes']} process{'es' * (saved['processes'] > 1)} of "
            f"{saved['faces_per_process']} faces, and {now['processes']} of {now['faces_per_process']} go on: "
            "processes that are new draw new random numbers (dropout)"
        )
    steps = [f"{each['batches_per_step']} x {each['processes'] * each['faces_per_process']}" for each in (now, saved)]
    if steps[0] != steps[1]:
        lines.append(f"a step is now of {steps[0]} faces, and was of {steps[1]}: from here on it is another run")
    return lines
