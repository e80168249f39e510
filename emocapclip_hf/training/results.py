"""What a finished run leaves behind: the model in Hub format with its card, and its metrics."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import accelerate
import torch
import transformers
from accelerate import PartialState

from .. import __version__
from ..hub.card import TrainingFacts, model_card
from ..hub.group_gaps import GroupRecall, group_recalls
from .arguments import TrainingArguments
from .recipe import recipe
from .setup import Materials
from .validation import evaluate
from .zero_shot_answers import ZeroShotAnswers, zero_shot_answers

GROUP_COLUMNS = ("skin_tone", "age_group", "glasses")  # by which the card tells how recognition differs
RECIPE = "recipe.yaml"


def write_model(materials: Materials, args: TrainingArguments) -> Path:
    """Write `model/`, a card without figures included, and a face to try it on; returns the folder of the model."""
    folder = Path(args.run.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    materials.test[0]["image"].save(folder / "face.png")
    return save_model(materials, args, folder / "model", metrics={})


def write_results(
    materials: Materials, args: TrainingArguments, metrics: Mapping[str, float] | None = None
) -> Mapping[str, float]:
    """
    Write `metrics.json`, the card and the pictures of the model that `write_model` wrote.

    Args:
        metrics: of the test split, `task/benchmark/metric` → number; measured here, quickly, if they are not given.

    Returns:
        The metrics.
    """
    folder = Path(args.run.output_dir)
    if metrics is None:
        metrics = evaluate(materials.model, materials.processor, materials.test, Path(args.data.dataset).name)
    _write_whole(folder / "metrics.json", json.dumps(dict(metrics), indent=1) + "\n")
    answers = zero_shot_answers(materials) if hasattr(materials.model, "get_text_features") else None
    facts = training_facts(materials, args, metrics, _group_recalls(materials, answers))
    _write_card(materials, args, args.hub.hub_model_id or str(folder / "model"), folder / "model", facts)
    _draw_pictures(materials, folder, answers)
    return metrics


def save_model(
    materials: Materials,
    args: TrainingArguments,
    folder: Path,
    metrics: Mapping[str, float],
    step: int | None = None,
) -> Path:
    """The model in Hub format with processor, recipe and card, in place of what the folder held before."""
    aside, old = folder.with_name(f".{folder.name}.partial"), folder.with_name(f".{folder.name}.old")
    for left in (aside, old):
        shutil.rmtree(left, ignore_errors=True)
    materials.model.save_pretrained(aside)
    materials.processor.save_pretrained(aside)
    (aside / RECIPE).write_text(recipe(args) + "\n", encoding="utf-8")
    model_id = args.hub.hub_model_id or str(folder)
    _write_card(materials, args, model_id, aside, training_facts(materials, args, metrics), step)
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return folder


def _write_card(
    materials: Materials,
    args: TrainingArguments,
    model_id: str,
    folder: Path,
    facts: TrainingFacts,
    step: int | None = None,
) -> None:
    faces = args.optimisation.per_device_train_batch_size * PartialState().num_processes
    so_far = "" if step is None else f" ({step:,} so far, the training goes on)"
    summary = (
        f"Trained on `{facts.dataset}` ({facts.rows['train']:,} faces) for {args.optimisation.max_steps:,} steps of "
        f"{faces:,} faces{so_far}."
    )
    card = model_card(materials.model, model_id, summary, _license(args), facts)
    _write_whole(folder / "README.md", str(card))


def training_facts(
    materials: Materials,
    args: TrainingArguments,
    metrics: Mapping[str, float],
    recalls: list[GroupRecall] | None = None,
) -> TrainingFacts:
    """What the card tells of a run."""
    start = args.model.model_name_or_path or args.model.clip_name_or_path
    local = Path(args.data.dataset).exists()
    processes = PartialState().num_processes
    launch = f"accelerate launch --num_processes {processes} train.py --config {RECIPE}"
    return TrainingFacts(
        dataset=Path(args.data.dataset).name if local else args.data.dataset,
        on_the_hub=not local and args.data.dataset != "synthfaces",
        rows={split: len(getattr(materials, split)) for split in ("train", "validation", "test")},
        recipe=recipe(args),
        metrics=metrics,
        commands=[f"{launch}  # trains, and measures the test split at its end"],
        circumstances={
            "emocapclip-hf": __version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "accelerate": accelerate.__version__,
            "processes:": processes,
            "device:": _device_name(),
        },
        group_recalls=recalls or (),
        synthetic=args.data.dataset == "synthfaces",
        base_model=start if start and not Path(start).exists() else None,
    )


def _draw_pictures(materials: Materials, folder: Path, answers: ZeroShotAnswers | None) -> None:
    """Beside the model and not inside it: a data set's faces are not ours to publish."""
    from .attention_maps import draw_attention_maps  # not at the top: matplotlib takes a while
    from .contact_sheet import draw_contact_sheet
    from .loss_curves import draw_loss_curves

    if (folder / "log.jsonl").is_file():
        draw_loss_curves(folder / "log.jsonl", folder / "loss.png")
    if answers is not None:
        draw_contact_sheet(materials.test, answers, folder / "zero-shot.png")
    if getattr(materials.model, "local_head", None) is not None:
        draw_attention_maps(materials.model, materials.processor, materials.test, folder / "attention.png")


def _group_recalls(materials: Materials, answers: ZeroShotAnswers | None) -> list[GroupRecall]:
    if answers is None:
        return []
    columns = {name: list(materials.test[name]) for name in GROUP_COLUMNS if name in materials.test.column_names}
    attributes = {name.replace("_", " "): [values[row] for row in answers.rows] for name, values in columns.items()}
    return group_recalls(answers.truth, answers.predicted, attributes)


def _license(args: TrainingArguments) -> str | None:
    """Ours for what is made of nothing but this package; for anything else its maker must say."""
    ours = args.data.dataset == "synthfaces" and args.model.model_config
    return args.hub.hub_license or ("apache-2.0" if ours else None)


def _device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def _write_whole(path: Path, text: str) -> None:
    """Aside, then renamed: a killed run leaves the old file or the new one."""
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)
