"""`GlobalLocalObjective`: from a batch's embeddings to the three levels' losses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from ..modeling.local_alignment_emocapclip import text_conditioned_similarity
from .diagnostics import Fractions, mining_quality, positive_counts, reduce_fractions, retrieval_accuracy
from .distributed import RowLayout, gather_rows, row_layouts, sum_over_ranks, world_size
from .embeddings import Embedder, Embeddings
from .losses import sigmoid_share, softmax_share
from .mining import Candidates, PositiveMiner, Positives
from .options import ObjectiveOptions
from .truth import MiningTruth


@dataclass
class ObjectiveOutput:
    """
    Args:
        loss: what to differentiate.
        global_loss, summary_loss, local_loss: its levels before weighting; None for a level that is off.
        diagnostics: name → number, without gradient: temperatures; of each level the accuracy of both retrieval
            directions within the batch and positives per row; with a truth, precision and recall of mining.
    """

    loss: torch.Tensor
    global_loss: torch.Tensor | None = None
    summary_loss: torch.Tensor | None = None
    local_loss: torch.Tensor | None = None
    diagnostics: dict[str, torch.Tensor] = field(default_factory=dict)

    def scalars(self) -> dict[str, float]:
        """Losses and diagnostics as numbers, to log."""
        names = ("loss", "global_loss", "summary_loss", "local_loss")
        losses = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return {name: value.item() for name, value in {**losses, **self.diagnostics}.items()}


class GlobalLocalObjective:
    """The three-level contrastive loss with mined positives, the same on one process or many.

    Every process gets the loss of the whole batch; averaging gradients over processes, as DistributedDataParallel
    does, gives the gradient of the whole batch. Losses are computed in float32 (float64 for float64 embeddings).

    Args:
        options: weights, loss type, highest temperature.
        miner: which pairs beyond an image's own captions are positives; default: none.

    Example:

    ```python
    >>> import torch
    >>> from emocapclip_hf import EmoCapCLIPConfig, EmoCapCLIPModel
    >>> from emocapclip_hf.objective import GlobalLocalObjective, ObjectiveOptions

    >>> tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    >>> config = EmoCapCLIPConfig(
    ...     vision_config={**tower, "image_size": 32, "patch_size": 8},
    ...     text_config={**tower, "vocab_size": 100, "bos_token_id": 98, "eos_token_id": 99},
    ...     projection_dim=16,
    ... )
    >>> objective = GlobalLocalObjective(ObjectiveOptions(summary_weight=0))
    >>> embedder = objective.embedder(EmoCapCLIPModel(config))  # wrap this one in DistributedDataParallel
    >>> batch = {
    ...     "pixel_values": torch.randn(2, 3, 32, 32),
    ...     "input_ids": torch.tensor([[98, 5, 99], [98, 7, 99]]),
    ...     "local_input_ids": torch.tensor([[[98, 1, 99], [98, 2, 99]], [[98, 3, 99], [99, 99, 99]]]),
    ...     "local_mask": torch.tensor([[True, True], [True, False]]),
    ... }
    >>> output = objective(embedder(batch), step=0)
    >>> output.loss.backward()
    >>> sorted(output.scalars())[:3]
    ['global_image_to_text_accuracy', 'global_loss', 'global_positives_per_caption']

    ```"""

    def __init__(self, options: ObjectiveOptions | None = None, miner: PositiveMiner | None = None):
        self.options = options or ObjectiveOptions()
        self.miner = miner or PositiveMiner()

    def embedder(self, model: torch.nn.Module) -> Embedder:
        """The model with what this objective needs of it, to be wrapped for training."""
        return Embedder(model, self.options.levels, self.options.max_temperature)

    def __call__(
        self,
        embeddings: Embeddings,
        step: int = 0,
        guide: Embeddings | None = None,
        truth: MiningTruth | None = None,
    ) -> ObjectiveOutput:
        """
        Args:
            embeddings: this process's batch, from an `Embedder`.
            step: of training, for schedules, warm-up and error messages.
            guide: the same batch as the miner should see it; default, and where it lacks images or a level: as the
                model itself does.
            truth: what is true of the batch, to measure mining.
        """
        if self.options.loss_type == "sigmoid" and embeddings.scoring.bias is None:
            raise ValueError(
                "The sigmoid loss needs a learnable bias, and this model has none. Build it with "
                "logit_bias_init_value=-10 in its config, or take loss_type='softmax'."
            )
        device = embeddings.image.device.type
        ambient, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
        with torch.autocast(device, enabled=False):
            images, *captions = _checked_layouts(embeddings, self.options.levels, step)
            guide = self._completed(guide, embeddings)
            guide_images = self._guide_images(guide, images, step)
            shares, fractions = [], {}
            for level, layout in zip(self.options.levels, captions, strict=True):
                candidates = _gather_candidates(embeddings, level, images, layout)
                with torch.autocast(device, enabled=ambient and level == "local", dtype=dtype):
                    logits = _logits(embeddings, candidates, level)
                true = None if truth is None else truth.pairs(level, candidates)
                texts = self._guide_texts(guide, embeddings, level, candidates, step)
                unsampled = guide.unsampled if level == "local" else None
                positives = self.miner(level, candidates, texts, guide_images, true, step, unsampled)
                shares.append(self._share(logits, positives))
                found = _fractions(logits.detach(), positives, candidates, true)
                fractions |= {f"{level}_{name}": value for name, value in found.items()}
            return self._output(embeddings, torch.stack(shares), fractions, step)

    @staticmethod
    def _completed(guide: Embeddings | None, embeddings: Embeddings) -> Embeddings:
        if guide is None:
            return embeddings
        return replace(
            guide,
            image=embeddings.image if guide.image is None else guide.image,
            captions=embeddings.captions | guide.captions,
            unsampled=guide.unsampled if "local" in guide.captions else embeddings.unsampled,
        )

    def _guide_images(self, guide: Embeddings, images: RowLayout, step: int) -> torch.Tensor | None:
        if not any(self.miner.rule(level, step).needs_images for level in self.options.levels):
            return None
        with torch.no_grad():
            return gather_rows(guide.image, images, "images of the guide")

    def _guide_texts(
        self, guide: Embeddings, embeddings: Embeddings, level: str, candidates: Candidates, step: int
    ) -> torch.Tensor | None:
        rule = self.miner.rule(level, step)
        if not rule.needs_texts:
            return None
        texts = [_gather_texts(guide, embeddings, name, level, candidates) for name in rule.compared(level)]
        return texts[0] if len(texts) == 1 else torch.stack(texts)

    def _share(self, logits: torch.Tensor, positives: Positives) -> torch.Tensor:
        return (
            softmax_share(logits, positives)
            if self.options.loss_type == "softmax"
            else sigmoid_share(logits, positives)
        )

    def _output(
        self, embeddings: Embeddings, shares: torch.Tensor, fractions: Fractions, step: int
    ) -> ObjectiveOutput:
        levels = self.options.levels
        losses = sum_over_ranks(shares, "losses")  # (levels,)
        weights = losses.new_tensor([self.options.weight(level, step) for level in levels])
        diagnostics = {"temperature": embeddings.scoring.scale.detach()}
        if "local" in levels:
            diagnostics["local_temperature"] = embeddings.scoring.local_scale.detach()
        named = {f"{level}_loss": loss.detach() for level, loss in zip(levels, losses, strict=True)}
        return ObjectiveOutput(losses @ weights, **named, diagnostics=diagnostics | reduce_fractions(fractions))


def _checked_layouts(embeddings: Embeddings, levels: tuple[str, ...], step: int) -> list[RowLayout]:
    """How images and each level's captions lie on the processes; a NaN or infinity anywhere stops all of them."""
    counts = [len(embeddings.image), *(len(embeddings.captions[level].embeds) for level in levels)]
    faults = _non_finite(embeddings)
    *layouts, faulty = row_layouts(*counts, int(bool(faults)), device=embeddings.image.device)
    if faulty.total:
        where = "" if world_size() == 1 else f" on processes {[r for r, fault in enumerate(faulty.counts) if fault]}"
        raise FloatingPointError(
            f"Embeddings are not finite at step {step}{where}: {'; '.join(faults) or 'none on this process'}. The "
            "model has diverged or was given such inputs: look at those rows, lower the learning rate, clip "
            "gradients, or use bfloat16 instead of float16."
        )
    return layouts


def _non_finite(embeddings: Embeddings) -> list[str]:
    """A line for each tensor that holds NaN or infinity, with its rows."""
    # A row's sum is finite only if all of it is, and no second tensor as large is made.
    sums = {
        name: tensor.detach().flatten(1).sum(dim=1) if tensor.ndim > 1 else tensor.detach().reshape(-1)
        for name, tensor in embeddings.tensors().items()
    }
    if torch.cat([*sums.values()]).isfinite().all():
        return []
    bad = {name: (~value.isfinite()).nonzero().flatten().tolist() for name, value in sums.items()}
    return [f"{name}, rows {rows[:10]}{' ...' if len(rows) > 10 else ''}" for name, rows in bad.items() if rows]


def _gather_candidates(embeddings: Embeddings, level: str, images: RowLayout, captions: RowLayout) -> Candidates:
    mine = embeddings.captions[level]
    numbers = torch.stack([mine.owners + images.local.start, mine.keys], dim=1)  # (captions, 2)
    owners, keys = gather_rows(numbers, captions, f"{level} owners and keys").unbind(dim=1)
    embeds = gather_rows(mine.embeds, captions, f"{level} captions")
    return Candidates(embeds, owners.contiguous(), keys.contiguous(), images, captions)


def _gather_texts(
    guide: Embeddings, embeddings: Embeddings, compared: str, level: str, candidates: Candidates
) -> torch.Tensor:
    """How the guide embeds the captions of the level to compare: (captions of all processes, guide dim)."""
    if compared not in guide.captions:
        raise ValueError(
            f"Mining at the {level} level compares captions of the {compared} level, which is off and no guide "
            f"embeds. Give {compared}_weight a value, or leave by_level out."
        )
    if guide.captions[compared] is embeddings.captions.get(level):  # gathered already
        return candidates.embeds.detach()
    embeds, here = guide.captions[compared].embeds, candidates.captions
    if len(embeds) != here.counts[here.rank]:
        raise ValueError(
            f"The guide has {len(embeds)} {compared} captions where the batch has {here.counts[here.rank]}. Embed "
            "the same batch with both."
        )
    with torch.no_grad():
        return gather_rows(embeds, here, "captions of the guide")


def _logits(embeddings: Embeddings, candidates: Candidates, level: str) -> torch.Tensor:
    """(images here, captions)"""
    scoring = embeddings.scoring
    if level == "local":
        queries = candidates.embeds @ scoring.local_query.to(candidates.embeds.dtype)
        scores = text_conditioned_similarity(embeddings.patches, queries, candidates.embeds, embeddings.patch_mask)
        logits = scores * scoring.local_scale
    else:
        logits = embeddings.image @ candidates.embeds.T * scoring.scale
    return logits if scoring.bias is None else logits + scoring.bias


def _fractions(
    logits: torch.Tensor, positives: Positives, candidates: Candidates, truth: torch.Tensor | None
) -> Fractions:
    fractions = retrieval_accuracy(logits, candidates.identical) | positive_counts(positives, candidates)
    return fractions if truth is None else fractions | mining_quality(positives, candidates, truth)
