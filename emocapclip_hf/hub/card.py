"""The model card that goes with a checkpoint to the Hub."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..modeling import EmoCapCLIPForConditionalGeneration, EmoCapCLIPModel
from .group_gaps import GroupRecall, largest_gaps

# In a checkout the cards stand at the top level; in a wheel, inside the package.
_PACKAGE = Path(__file__).resolve().parents[1]
_TEMPLATE = next(
    path / "model_cards" / "template.md" for path in (_PACKAGE.parent, _PACKAGE) if (path / "model_cards").is_dir()
)

Model = EmoCapCLIPModel | EmoCapCLIPForConditionalGeneration
_HUB_PIPELINES = {"emocapclip": "zero-shot-image-classification", "emocapclip_captioner": "image-text-to-text"}
# Our tasks and metrics → what the Hub calls them, where it has a name for them.
_HUB_TASKS = {
    "zero-shot": "zero-shot-image-classification",
    "linear-probe": "image-classification",
    "captioning": "image-text-to-text",
}
_HUB_METRICS = {"uar": "recall", "war": "accuracy"}


@dataclass
class TrainingFacts:
    """What is known of how a model was trained and how well it does.

    Args:
        dataset: its name, or its id on the Hub.
        rows: split → faces.
        recipe: YAML for `train.py --config`.
        circumstances: what the recipe leaves open, for instance `{"torch": "2.13.0", "processes": 2}`.
        metrics: of the test split, `task/benchmark/metric` → number, as in `metrics.json`.
        commands: what was run, from training to the metrics.
        group_recalls: of zero-shot recognition on the test split; empty where it names no groups.
        synthetic: whether the faces are drawn, so that no figure here speaks of real people.
        on_the_hub: whether `dataset` is an id there.
        base_model: the checkpoint that training started from, an id of the Hub.
    """

    dataset: str
    rows: Mapping[str, int]
    recipe: str
    metrics: Mapping[str, float]
    commands: Sequence[str]
    circumstances: Mapping[str, object] = field(default_factory=dict)
    group_recalls: Sequence[GroupRecall] = ()
    synthetic: bool = False
    on_the_hub: bool = False
    base_model: str | None = None


def model_card(
    model: Model,
    model_id: str,
    summary: str,
    license: str | None = None,
    facts: TrainingFacts | None = None,
) -> ModelCard:
    """
    A card of what the model is, how it came about, how it is used and what it must not be used for.

    Args:
        model: an EmoCapCLIP model or captioner, whose towers and sizes the card states.
        model_id: repository id or folder, for the examples.
        summary: what it was trained on, and how far; a card without that tells nobody what to expect.
        license: of the weights, an identifier of the Hub; None if it is not known.
        facts: of its training; without them the card has no sections on training and results.

    Example:

    ```python
    >>> from emocapclip_hf import EmoCapCLIPConfig, EmoCapCLIPModel

    >>> tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    >>> model = EmoCapCLIPModel(EmoCapCLIPConfig(vision_config=tower, text_config=tower, projection_dim=16))
    >>> card = model_card(model, "somebody/faces", summary="Untrained.")
    >>> card.data.pipeline_tag
    'zero-shot-image-classification'

    ```"""
    vision, text = model.config.vision_config, model.config.text_config
    return ModelCard.from_template(
        _metadata(model, model_id, license, facts),
        template_path=str(_TEMPLATE),
        model_id=model_id,
        summary=summary,
        parameters=f"{model.num_parameters():,}",
        vision_tower=vision.model_type,
        image_size=f"{vision.image_size} pixels" if getattr(vision, "image_size", None) else "any size (NaFlex)",
        text_tower=text.model_type,
        text_length=getattr(text, "max_position_embeddings", None),
        projection_dim=getattr(model.config, "projection_dim", None),
        image_tokens=getattr(model.config, "image_seq_length", None),
        facts=facts,
        results=[] if facts is None else [(*name.split("/"), value) for name, value in facts.metrics.items()],
        gaps={} if facts is None else largest_gaps(facts.group_recalls),
    )


def renamed(content: str, model_id: str) -> str:
    """The text of one of our cards for another repository id: its title, examples and model-index.

    >>> print(renamed('# runs/faces/model\\n\\npipeline(model="runs/faces/model")', "somebody/faces"))
    # somebody/faces
    <BLANKLINE>
    pipeline(model="somebody/faces")
    """
    card = ModelCard(content)
    title = re.search(r"^# (.+)$", card.text, flags=re.MULTILINE)
    if title is None:
        return content
    old = title[1].strip()
    text = card.text[: title.start()] + f"# {model_id}" + card.text[title.end() :]
    card.text = text.replace(f'"{old}"', f'"{model_id}"')
    if card.data.get("eval_results"):
        card.data.model_name = model_id
    return str(card)


def _metadata(model: Model, model_id: str, license: str | None, facts: TrainingFacts | None) -> ModelCardData:
    data = ModelCardData(
        language="en",
        license=license,
        library_name="transformers",
        pipeline_tag=_HUB_PIPELINES[model.config.model_type],
        tags=["emocapclip", "emotion-recognition", "facial-expression", "arxiv:2507.21015", "custom_code"],
    )
    if facts is None:
        return data
    data.base_model = facts.base_model
    data.datasets = [facts.dataset] if facts.on_the_hub else None
    if facts.metrics:
        data.eval_results, data.model_name = [_eval_result(*each) for each in facts.metrics.items()], model_id
        data.metrics = sorted({result.metric_type for result in data.eval_results})
    return data


def _eval_result(name: str, value: float) -> EvalResult:
    """One of our metrics as the Hub's model-index has it."""
    parts = name.split("/")
    if len(parts) != 3:
        raise ValueError(f"the metric {name!r} is not named task/benchmark/metric, as in zero-shot/rafdb/uar")
    task, benchmark, metric = parts
    return EvalResult(
        task_type=_HUB_TASKS.get(task, "other"),
        task_name=task,
        dataset_type=benchmark,
        dataset_name=benchmark,
        dataset_split="test",
        metric_type=_HUB_METRICS.get(metric, metric),
        metric_name=metric,
        metric_value=round(float(value), 4),
        metric_args={"average": "macro"} if metric == "uar" else None,
    )
