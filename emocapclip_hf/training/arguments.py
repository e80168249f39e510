# ruff: noqa: RUF009 (HfArg is a dataclass field)
"""What can be set about a training run: dataclasses, filled from a YAML file and then from flags."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar, Literal

import yaml
from transformers import HfArgumentParser
from transformers.hf_argparser import HfArg

# A flag brings text, a YAML file the thing itself. (HfArgumentParser reads flags as the second of three types.)
Structure = dict | str | None
Weight = float | str | None


@dataclass
class ModelArguments:
    _argument_group_name: ClassVar[str] = "model"

    model_name_or_path: str | None = HfArg(default=None, help="an EmoCapCLIP checkpoint to go on from")
    clip_name_or_path: str | None = HfArg(default=None, help="a CLIP-format checkpoint to start from")
    model_config: Structure = HfArg(default=None, help="of a new model: what EmoCapCLIPConfig takes, as JSON")
    vocab_size: int = HfArg(default=2048, help="of the tokenizer that is trained on the captions for a new model")
    stretch_text_positions: int | None = HfArg(default=None, help="lengthen the text context to so many tokens")
    freeze: list[str] = HfArg(default_factory=list, help="towers that are not trained: vision, text")
    gradient_checkpointing: bool = HfArg(
        default=False, help="compute activations again in the backward pass to save memory"
    )
    lora_rank: int | None = HfArg(
        default=None, help="train the towers through LoRA adapters of this rank, which are merged at the end"
    )
    lora_alpha: float = HfArg(default=16.0, help="adapters are scaled by lora_alpha / lora_rank")
    lora_target_modules: list[str] = HfArg(
        default_factory=lambda: ["q_proj", "v_proj"], help="layers of the towers that get adapters"
    )
    torch_compile: bool = HfArg(default=False, help="compile the towers, which takes a while at the start")

    def __post_init__(self):
        self.model_config = _from_flag("model_config", self.model_config)


@dataclass
class CaptionerArguments:
    _argument_group_name: ClassVar[str] = "captioner"

    decoder_name_or_path: str | None = HfArg(
        default=None,
        help="train a captioner: the vision tower of the model above, and this causal language model to write with",
    )
    decoder_config: Structure = HfArg(
        default=None, help="or a new one, as JSON: its model_type (default: gpt2) and what its config takes"
    )
    decoder_vocab_size: int = HfArg(
        default=1024, help="of the tokenizer that is trained on the captions for a new decoder"
    )
    projector: Literal["mlp", "query"] = HfArg(
        default="mlp", help="from patches to the decoder: an MLP on each, or queries that attend to them"
    )
    image_tokens: int | None = HfArg(
        default=None, help="that stand for a picture; default: its patches, or 32 queries"
    )
    prompt: str = HfArg(default="", help="how every caption begins, for a decoder that follows instructions")

    def __post_init__(self):
        self.decoder_config = _from_flag("decoder_config", self.decoder_config)

    @property
    def is_wanted(self) -> bool:
        return self.decoder_name_or_path is not None or self.decoder_config is not None


@dataclass
class DataArguments:
    _argument_group_name: ClassVar[str] = "data"

    dataset: str = HfArg(
        default="synthfaces", help="anything load_emocap takes: a folder, a file, a Hub id, synthfaces"
    )
    columns: list[str] = HfArg(
        default_factory=list, help="name=theirs for columns of other names, for instance image=face_path"
    )
    image_size: int = HfArg(default=224, help="of a new model's pictures, in pixels")
    sentences_per_caption: int = HfArg(default=4, help="local sentences sampled from each caption a step")
    augment: bool = HfArg(default=True, help="crop, flip (sides in words too), recolour and blur the pictures")
    dataloader_num_workers: int = HfArg(default=0, help="processes that prepare batches")
    synthfaces_rows: list[int] = HfArg(
        default_factory=lambda: [12000, 1000, 2000], help="of train, validation and test, for dataset=synthfaces"
    )
    synthfaces_form: Literal["long", "short"] = HfArg(
        default="long", help="captions of about 190 or 70 words, for dataset=synthfaces"
    )


@dataclass
class ObjectiveArguments:
    _argument_group_name: ClassVar[str] = "objective"

    global_weight: Weight = HfArg(
        default=1.0,
        help="of the global captions in the loss: a number, 0 turns the level off; or a schedule of (step, weight) "
        "pairs, [[0, 0], [500, 1]], linear between them",
    )
    summary_weight: Weight = HfArg(default=1.0, help="of the summary captions, likewise")
    local_weight: Weight = HfArg(default=1.0, help="of the local sentences, likewise")
    loss_type: Literal["softmax", "sigmoid"] = HfArg(
        default="softmax", help="several-positive InfoNCE, or each pair for itself"
    )
    cached_chunk_size: int | None = HfArg(
        default=None, help="images embedded at once: full-batch gradients at their memory"
    )
    mining: Structure = HfArg(
        default=None,
        help="positives beyond an image's own captions: caption level to the fields of MiningRule and its guide, as "
        'JSON, for instance {"global": {"guide": "ema", "guided_by": "text", "top_k": 3}}; or to a list of such '
        "rules, of which each takes over after its warmup_steps",
    )
    mining_guide: Literal["self", "ema", "captions", "frozen"] = HfArg(
        default="self",
        help="whose embeddings say what is alike, for rules that name no guide: self (the model's), ema (a moving "
        "average's of it), captions (by latent semantics of the training captions) or frozen (those of "
        "mining_text_encoder or, without one, of the columns global_guide_embeds, summary_guide_embeds, "
        "local_guide_embeds and image_guide_embeds of the dataset)",
    )
    mining_ema_decay: float = HfArg(default=0.999, help="of the moving average, for the guide ema")
    mining_text_encoder: str | None = HfArg(
        default=None, help="a sentence encoder that transformers can load, for the guide frozen"
    )

    def __post_init__(self):
        for name in ("global_weight", "summary_weight", "local_weight", "mining"):
            setattr(self, name, _from_flag(name, getattr(self, name)))


@dataclass
class OptimisationArguments:
    _argument_group_name: ClassVar[str] = "optimisation"

    per_device_train_batch_size: int = HfArg(default=64, help="faces a step and process")
    max_steps: int = HfArg(default=1000, help="optimizer steps")
    learning_rate: float = HfArg(default=1e-3, help="the highest")
    warmup_steps: int = HfArg(default=100, help="of linear warm-up; a cosine to zero follows")
    weight_decay: float = HfArg(default=0.1, help="of matrices; norms, biases and temperatures are spared")
    layer_decay: float = HfArg(default=1.0, help="learning rate of each block relative to the one above it")
    adam_beta1: float = HfArg(default=0.9, help="of AdamW")
    adam_beta2: float = HfArg(default=0.98, help="of AdamW")
    max_grad_norm: float = HfArg(default=1.0, help="gradients are clipped to it")
    gradient_accumulation_steps: int = HfArg(
        default=1,
        help="batches whose gradients are averaged into one optimizer step; images are contrasted with the captions "
        "of their own batch only (for a larger batch at the same memory: cached_chunk_size)",
    )
    ema_decay: float | None = HfArg(
        default=None,
        help="keep a moving average of the weights, for instance 0.999: it is evaluated, saved, published",
    )


@dataclass
class RunArguments:
    _argument_group_name: ClassVar[str] = "run"

    output_dir: str = HfArg(default="runs/synthfaces", help="where everything goes")
    seed: int = HfArg(default=0, help="of weights, data order and augmentation")
    fsdp: bool = HfArg(
        default=False, help="share weights and optimizer state out over the processes, as if accelerate said FSDP"
    )
    mixed_precision: Literal["no", "bf16", "fp16"] = HfArg(default="no", help="of the towers; losses stay in float32")
    logging_steps: int = HfArg(default=10, help="steps between lines of the log")
    eval_steps: int = HfArg(default=200, help="steps between evaluations on the validation split")
    save_steps: int = HfArg(default=200, help="steps between checkpoints")
    save_total_limit: int = HfArg(default=2, help="checkpoints kept, besides the best")
    resume: bool = HfArg(default=False, help="go on from the newest whole checkpoint in output_dir")
    on_nan: Literal["stop", "skip"] = HfArg(
        default="stop", help="what to do with a step whose loss or gradient is not finite"
    )
    report_to: Literal["none", "tensorboard", "trackio", "wandb"] = HfArg(
        default="none", help="a tracker that gets what log.jsonl gets"
    )
    ddp_timeout: int = HfArg(
        default=60, help="seconds that a process may keep the others waiting in training before the run ends"
    )
    dry_run: bool = HfArg(
        default=False, help="train nothing: print parameters, memory and time, measured on one step of random data"
    )


@dataclass
class HubArguments:
    _argument_group_name: ClassVar[str] = "hub"

    push_to_hub: bool = HfArg(default=False, help="publish the model with its card; sign in first: `hf auth login`")
    hub_model_id: str | None = HfArg(
        default=None, help="repository to publish to, name or owner/name; default: output_dir's name, in your account"
    )
    hub_private_repo: bool = HfArg(default=False, help="a repository that has to be made is private")
    hub_strategy: Literal["every_save", "end"] = HfArg(
        default="every_save", help="publish at each checkpoint (in the background) and at the end, or at the end alone"
    )
    hub_license: str | None = HfArg(
        default=None, help="of the weights, as the Hub writes it; default: apache-2.0 for a new model of SynthFaces"
    )


@dataclass
class TrainingArguments:
    """All of them, by group."""

    model: ModelArguments = field(default_factory=ModelArguments)
    data: DataArguments = field(default_factory=DataArguments)
    objective: ObjectiveArguments = field(default_factory=ObjectiveArguments)
    optimisation: OptimisationArguments = field(default_factory=OptimisationArguments)
    run: RunArguments = field(default_factory=RunArguments)
    hub: HubArguments = field(default_factory=HubArguments)
    captioner: CaptionerArguments = field(default_factory=CaptionerArguments)


GROUPS = (
    *(ModelArguments, DataArguments, ObjectiveArguments, OptimisationArguments, RunArguments, HubArguments),
    CaptionerArguments,
)


def parse_arguments(arguments: Sequence[str] | None = None, description: str | None = None) -> TrainingArguments:
    """
    Read `--config file.yaml` (its keys may stand below the names of the groups), then flags.

    ```python
    >>> parse_arguments(["--learning-rate", "0.01", "--dataset", "faces/"]).optimisation.learning_rate
    0.01

    ```"""
    parser = HfArgumentParser(GROUPS, description=description, allow_abbrev=False)
    parser.add_argument("--config", type=Path, help="a YAML file of these options; flags override it")
    config = parser.parse_known_args(arguments)[0].config
    if config is not None:
        parser.set_defaults(**_read_config(config))
    *groups, _ = parser.parse_args_into_dataclasses(arguments, look_for_args_file=False)
    return TrainingArguments(*groups)


def _from_flag(name: str, value):
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        flag = name.replace("_", "-")
        raise ValueError(
            f"--{flag} {value!r} is not JSON: {error}. In a shell, put single quotes around it."
        ) from None


def _read_config(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(f"there is no config {str(path)!r}; the ones that come along are in configs/")
    options = {}
    names = {group._argument_group_name: {f.name for f in fields(group)} for group in GROUPS}
    known = set().union(*names.values())
    for key, value in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).items():
        options |= value if key in names and isinstance(value, dict) else {key: value}
    for key in options:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are: {', '.join(sorted(known))}"
            raise ValueError(f"{path}: there is no option {key!r}; {hint}")
    return options
