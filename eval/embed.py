"""Encode once: a dataset's pictures and clips as unit vectors, kept in a cache that every task reads.

The rows are encoded in shards, each written aside and renamed. What was killed goes on after the last whole shard, and
with several processes (`accelerate launch`) each takes every n-th shard; the folder is shared between them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import datasets
import torch
from accelerate.utils import broadcast_object_list, gather_object
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional as F
from tqdm import tqdm
from transformers import PreTrainedModel

from emocapclip_hf.modeling.towers_emocapclip import patch_states
from emocapclip_hf.onednn import OneDNNLinear
from emocapclip_hf.processing import EmoCapCLIPProcessor

from .checkpoint import model_fingerprint, preprocessing_fingerprint, process_state
from .pictures import PictureBatches

FORMAT = 2  # raised whenever the same inputs would give other files: part of the key
SHARD_ROWS = 1024
FRAMES = 8
POOLINGS = ("mean", "max")
CACHE_DIR = Path(datasets.config.HF_DATASETS_CACHE) / "emocapclip" / "embeddings"
_NAMED = 5  # rows that a message names
T = TypeVar("T")


@dataclass(frozen=True)
class Embedded:
    """
    The vectors of a dataset.

    Args:
        embeds: (rows, dim), float32 unit vectors.
        pooled: (rows, width), what the vision tower pools, before the projection and not normalised: what CLIP's
            linear probe, and the head of `EmoCapCLIPForImageClassification`, stand on.
        patch_mean: (rows, width), the mean of the patches' last hidden states: what each part shows, beside the whole.
        rows: (rows,), where each stands in the dataset; rows that could not be read are not here.
        skipped: the id and the trouble of each row that is not here.
        local_scores: (rows, sentences), cosines by the local head; only with `sentences`.
    """

    embeds: torch.Tensor
    pooled: torch.Tensor
    patch_mean: torch.Tensor
    rows: torch.Tensor
    skipped: list[tuple[str, str]]
    local_scores: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, kept: Sequence[bool]) -> Embedded:
        """Some of the rows: `kept` says of each whether it stays."""
        kept = torch.tensor(kept, dtype=torch.bool)
        scores = None if self.local_scores is None else self.local_scores[kept]
        vectors = self.embeds[kept], self.pooled[kept], self.patch_mean[kept]
        return Embedded(*vectors, self.rows[kept], self.skipped, scores)


def embed_images(
    model: PreTrainedModel,
    processor: EmoCapCLIPProcessor,
    dataset: datasets.Dataset,
    *,
    cache_dir: str | os.PathLike | None = None,
    batch_size: int = 64,
    frames: int = FRAMES,
    frame_pooling: str = "mean",
    sentences: torch.Tensor | None = None,
    num_workers: int = 0,
    strict: bool = False,
) -> Embedded:
    """
    Unit vectors of all pictures or clips of a dataset. Every process calls this, and every one gets all of them.

    Args:
        model: with `get_image_features`, in evaluation mode.
        processor: its processor (`load_checkpoint` makes one for any CLIP or SigLIP).
        dataset: with a column `image` (cut to `face_box`, where there is one), or `frames` or `video`.
        cache_dir: where vectors are kept; None keeps none.
        batch_size: pictures encoded at a time.
        frames: of a clip, sampled evenly.
        frame_pooling: "mean" or "max" of the unit vectors of its frames, dimension by dimension.
        sentences: (sentences, dim), unit text vectors to score against each picture's patches by the local head. The
            patches themselves are never kept.
        num_workers: processes that read pictures, for each process that encodes.
        strict: stop at a picture that cannot be read, instead of leaving its row out.

    Example:

    ```python
    >>> embedded = embed_images(model, processor, load_benchmark("rafdb", "/data/RAF-DB"))  # doctest: +SKIP
    >>> embedded.embeds.shape, len(embedded.skipped)  # doctest: +SKIP
    (torch.Size([3068, 512]), 0)

    ```"""
    _check(model, dataset, frame_pooling, sentences)
    work = _Work(model, processor, dataset, batch_size, frames, frame_pooling, sentences, num_workers)
    if cache_dir is None:
        with shared_scratch() as folder:
            embedded = work.run(folder)
    else:
        embedded = work.run(Path(cache_dir) / work.key())
    report_skipped(embedded.skipped, len(dataset), strict)
    return embedded


@dataclass
class _Work:
    """What is to be encoded, and how."""

    model: PreTrainedModel
    processor: EmoCapCLIPProcessor
    dataset: datasets.Dataset
    batch_size: int
    frames: int
    frame_pooling: str
    sentences: torch.Tensor | None
    num_workers: int

    def key(self) -> str:
        """A name for everything that the vectors depend on."""
        sentences = None if self.sentences is None else _digest(self.sentences.float().cpu().numpy().tobytes())
        clips = [self.frames, self.frame_pooling] if "image" not in self.dataset.column_names else []
        parts = [
            FORMAT,
            model_fingerprint(self.model),
            self.dataset._fingerprint,
            preprocessing_fingerprint(self.processor),
            *clips,
            sentences,
        ]
        return _digest(json.dumps(parts).encode())

    def run(self, folder: Path) -> Embedded:
        """Encode the shards that are not in the folder yet, and put all of them together."""
        state = process_state()
        folder.mkdir(parents=True, exist_ok=True)
        shards = range(0, len(self.dataset), SHARD_ROWS)
        files = [folder / f"{start:09d}.safetensors" for start in shards]
        missing = [start for start, file in zip(shards, files, strict=True) if not file.exists()]
        state.wait_for_everyone()  # all must see the same shards missing before one of them writes
        together(lambda: self._encode(missing[state.process_index :: state.num_processes], folder))
        return _put_together(files)

    def _encode(self, starts: list[int], folder: Path) -> None:
        state = process_state()
        shards = [range(start, min(start + SHARD_ROWS, len(self.dataset))) for start in starts]
        pictures = PictureBatches(self.dataset, self.processor, self.frames)
        batch_rows = max(1, self.batch_size // (1 if pictures.are_images else self.frames))
        loader = pictures.loader(shards, batch_rows, self.num_workers)
        quiet = None if state.is_main_process else True
        with tqdm(total=sum(map(len, shards)), desc="Embedding", unit="row", disable=quiet) as bar:
            for shard in shards:
                parts = []
                for _ in range(-(-len(shard) // batch_rows)):
                    batch = next(loader)
                    found = self._encode_batch(batch)
                    batch.inputs = None  # a shard of pictures would be much to hold
                    parts.append((batch, found))
                    bar.update(len(batch.rows) + len(batch.skipped))
                _write(folder / f"{shard.start:09d}.safetensors", parts)

    @torch.no_grad()
    def _encode_batch(self, batch) -> dict[str, torch.Tensor]:
        """The vectors of the rows of a batch: a picture each, or as many frames as `batch.frames` says."""
        if not batch.rows:
            return {}
        inputs = batch.inputs.to(self.model.device, self.model.dtype)
        with OneDNNLinear(), _projected(self.model) as pooled:
            outputs = self.model.get_image_features(**inputs)
        pooled = (pooled or [outputs.pooler_output])[0].float()  # (pictures, width); SigLIP projects nothing
        embeds = F.normalize(outputs.pooler_output.float(), dim=-1)  # (pictures, dim)
        found = {"embeds": F.normalize(self._pool(embeds, batch.frames), dim=-1)}  # (rows, dim)
        found["pooled"] = self._pool(pooled, batch.frames)  # (rows, width)
        states = patch_states(self.model.vision_model, outputs.last_hidden_state).float()  # (pictures, patches, width)
        mean = masked_mean(states, inputs.get("pixel_attention_mask"))
        found["patch_mean"] = self._pool(mean, batch.frames)  # (rows, width)
        if self.sentences is not None:
            patches = self.model.get_patch_embeds(outputs.last_hidden_state)  # (pictures, patches, dim)
            sentences = self.sentences.to(patches.device, patches.dtype)
            scores = self.model.get_local_scores(patches, sentences, inputs.get("pixel_attention_mask"))
            found["local_scores"] = self._pool(scores.float(), batch.frames)  # (rows, sentences)
        self._check_finite(batch, found)
        return {name: values.cpu() for name, values in found.items()}

    def _pool(self, values: torch.Tensor, frames: list[int]) -> torch.Tensor:
        """(pictures, dim) → (rows, dim)."""
        if len(values) == len(frames):
            return values
        pool = torch.mean if self.frame_pooling == "mean" else torch.amax
        return torch.stack([pool(clip, dim=0) for clip in values.split(frames)])

    def _check_finite(self, batch, found: dict[str, torch.Tensor]) -> None:
        broken = ~torch.stack([values.isfinite().all(dim=1) for values in found.values()]).all(dim=0)
        if broken.any():
            names = [batch.names[index] for index in broken.nonzero()[:, 0].tolist()]
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            raise FloatingPointError(
                f"the model gives NaN or infinite vectors for {', '.join(names[:_NAMED])}{more}: its weights are "
                f"broken, or {self.model.dtype} overflows (try float32)"
            )


def _check(
    model: PreTrainedModel, dataset: datasets.Dataset, frame_pooling: str, sentences: torch.Tensor | None
) -> None:
    if model.training:
        raise ValueError("The model is in training mode, where dropout changes embeddings; call model.eval() first.")
    if frame_pooling not in POOLINGS:
        raise ValueError(f"frame_pooling={frame_pooling!r}: choose from {', '.join(POOLINGS)}")
    if sentences is not None and getattr(model, "local_head", None) is None:
        raise ValueError(
            f"this {type(model).__name__} has no local head, so it cannot score sentences against patches: score by "
            "the global embedding (--scoring global)"
        )
    if "id" in dataset.column_names:
        twice = [name for name, times in Counter(dataset["id"]).items() if times > 1]
        if twice:
            raise ValueError(
                f"{len(twice)} ids stand for more than one row, first {twice[0]!r}: ids must be unique, or rows could "
                "be scored twice"
            )


def _write(file: Path, parts: list) -> None:
    """One shard, aside and renamed."""
    rows = torch.tensor([row for batch, _ in parts for row in batch.rows], dtype=torch.long)
    names = sorted({name for _, found in parts for name in found})
    tensors = {name: torch.cat([found[name] for _, found in parts if found]) for name in names}
    skipped = [entry for batch, _ in parts for entry in batch.skipped]
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    save_file({"rows": rows, **tensors}, aside, metadata={"skipped": json.dumps(skipped)})
    aside.replace(file)


def _put_together(files: list[Path]) -> Embedded:
    names = ("rows", "embeds", "pooled", "patch_mean", "local_scores")
    tensors: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    skipped: list[tuple[str, str]] = []
    for file in files:
        with safe_open(file, framework="pt") as shard:
            for name in shard.keys():  # noqa: SIM118 (it is no dict)
                tensors[name].append(shard.get_tensor(name))
            skipped += [tuple(entry) for entry in json.loads(shard.metadata()["skipped"])]
    if not tensors["embeds"]:
        raise ValueError(f"none of {len(skipped)} pictures can be read{_first(skipped)}")
    whole = {name: torch.cat(parts) for name, parts in tensors.items() if parts}
    vectors = whole["embeds"], whole["pooled"], whole["patch_mean"]
    return Embedded(*vectors, whole["rows"], skipped, whole.get("local_scores"))


def masked_mean(states: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """(pictures, patches, width), with 0 in `mask` where one is padding → (pictures, width)"""
    if mask is None:
        return states.mean(dim=1)
    weights = mask.to(states)[..., None]
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def report_skipped(skipped: Sequence[tuple[str, str]], rows: int, strict: bool) -> None:
    """Warn of rows that cannot be read, or stop at them."""
    if not skipped:
        return
    message = f"{len(skipped)} of {rows} rows cannot be read{_first(skipped)}"
    if strict:
        raise ValueError(f"{message}. Mend them, or leave out --strict to evaluate without them")
    if process_state().is_main_process:
        warnings.warn(f"{message}. They are left out; --strict stops here instead", stacklevel=3)


def together(work: Callable[[], T]) -> list[T]:
    """What `work` gives on each process. One that fails stops all, who would wait for it for ever."""
    found, trouble = None, None
    try:
        found = work()
    except Exception as error:  # told to the others first
        trouble = error
    answers = gather_object([(found, None if trouble is None else f"{trouble!r}")])
    if trouble is not None:
        raise trouble
    messages = [message for _, message in answers if message is not None]
    if messages:
        raise RuntimeError(f"another process stopped: {messages[0]}")
    return [answer for answer, _ in answers]


def _first(skipped: list[tuple[str, str]]) -> str:
    return "".join(f"; {name}: {reason}" for name, reason in skipped[:_NAMED])


@contextmanager
def _projected(model: PreTrainedModel) -> Iterator[list[torch.Tensor]]:
    """What the projection of a model's images is given meanwhile."""
    given: list[torch.Tensor] = []
    projection = getattr(model, "visual_projection", None)
    if projection is None:
        yield given
        return
    hook = projection.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0]))
    try:
        yield given
    finally:
        hook.remove()


@contextmanager
def shared_scratch() -> Iterator[Path]:
    """A folder for the processes of this run, removed afterwards."""
    state = process_state()
    made = [tempfile.mkdtemp(prefix="emocapclip-") if state.is_main_process else None]
    folder = Path(broadcast_object_list(made)[0])
    try:
        yield folder
    finally:
        state.wait_for_everyone()
        if state.is_main_process:
            shutil.rmtree(folder, ignore_errors=True)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
