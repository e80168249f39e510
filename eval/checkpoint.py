"""A model to evaluate, and its processor: EmoCapCLIP, or any CLIP or SigLIP checkpoint as a baseline."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import PartialState
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer, PreTrainedModel

from emocapclip_hf.checkpoint_names import check_checkpoint_name
from emocapclip_hf.modeling import EmoCapCLIPCaptionerConfig, EmoCapCLIPForConditionalGeneration
from emocapclip_hf.processing import EmoCapCLIPCaptionProcessor, EmoCapCLIPProcessor

_ORIGINS = (
    "_name_or_path",
    "_commit_hash",
    "architectures",
    "auto_map",
    "dtype",
    "torch_dtype",
    "transformers_version",
)


@dataclass
class Checkpoint:
    """
    Args:
        name: Hub id or folder.
        revision: the commit on the Hub; of a folder, the fingerprint of its weights and config.
        model: in evaluation mode, on this process's device.
        processor: ours around the checkpoint's own parts, so that every model takes pictures, clips and texts alike;
            a captioner's own.
    """

    name: str
    revision: str
    model: PreTrainedModel
    processor: EmoCapCLIPProcessor | EmoCapCLIPCaptionProcessor

    @property
    def is_captioner(self) -> bool:
        return isinstance(self.model, EmoCapCLIPForConditionalGeneration)


def load_checkpoint(name: str, dtype: str = "float32", revision: str | None = None) -> Checkpoint:
    """
    Load a checkpoint for evaluation; only safetensors, and never code from the Hub.

    Args:
        name: Hub id or folder of an EmoCapCLIP, CLIP or SigLIP checkpoint, or of a captioner.
        dtype: "float32", "bfloat16" or "float16": how it computes.
        revision: branch, tag or commit on the Hub.
    """
    check_checkpoint_name(name)
    options = {"revision": revision, "dtype": getattr(torch, dtype), "use_safetensors": True}
    if AutoConfig.from_pretrained(name, revision=revision).model_type == EmoCapCLIPCaptionerConfig.model_type:
        model = EmoCapCLIPForConditionalGeneration.from_pretrained(name, **options)
        return _checkpoint(name, model, EmoCapCLIPCaptionProcessor.from_pretrained(name, revision=revision))
    model = AutoModel.from_pretrained(name, **options)
    for needed in ("get_image_features", "get_text_features"):
        if not hasattr(model, needed):
            raise ValueError(
                f"{name} is a {type(model).__name__}, which has no {needed}: only models of images and texts in one "
                "space can be evaluated (EmoCapCLIP, CLIP, SigLIP)"
            )
    tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
    tokenizer.model_max_length = min(tokenizer.model_max_length, model.config.text_config.max_position_embeddings)
    if "siglip" in model.config.text_config.model_type:
        tokenizer.init_kwargs["padding"] = "max_length"  # its text tower reads the last position
    image_processor = AutoImageProcessor.from_pretrained(name, revision=revision)
    return _checkpoint(name, model, EmoCapCLIPProcessor(image_processor, tokenizer))


def _checkpoint(name: str, model: PreTrainedModel, processor: Any) -> Checkpoint:
    revision = getattr(model.config, "_commit_hash", None) or model_fingerprint(model)
    return Checkpoint(name, revision, model.eval().to(process_state().device), processor)


def process_state() -> PartialState:
    """This process's place among those of the run. accelerate takes processes on CPUs for one another only if told."""
    return PartialState(cpu=not torch.accelerator.is_available())


def model_fingerprint(model: PreTrainedModel) -> str:
    """A name for these very weights with this config, wherever they came from."""
    digest = hashlib.blake2b(_canonical(model.config.to_diff_dict()), digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def preprocessing_fingerprint(processor: EmoCapCLIPProcessor) -> str:
    """A name for what the processor does to a picture."""
    return hashlib.blake2b(_canonical(processor.image_processor.to_dict()), digest_size=16).hexdigest()


def _canonical(settings: Mapping[str, Any]) -> bytes:
    return json.dumps(_computed_with(settings), sort_keys=True, default=str).encode()


def _computed_with(settings: Any) -> Any:
    """Settings, at every depth, without those that say where they came from and not what is computed."""
    if not isinstance(settings, Mapping):
        return settings
    return {key: _computed_with(value) for key, value in settings.items() if key not in _ORIGINS}
