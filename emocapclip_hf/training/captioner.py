"""The captioner's objective: the likelihood of each face's caption, and the batches that it is measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ..data.augmentation import FaceAugmentation
from ..data.caption import EmoCaption
from ..data.collator import EmoCapCollator
from ..data.sentence_tags import tag_sentence
from ..data.sides import swap_sides
from ..modeling import EmoCapCLIPForConditionalGeneration
from ..objective.distributed import sum_over_ranks
from ..processing import EmoCapCLIPCaptionProcessor
from ..processing.caption_processing_emocapclip import IGNORED

_ROWS = ("forehead", "brows", "eyelids eyes gaze", "nose", "cheeks", "lips mouth", "jaw", "chin")
_FROM_THE_TOP = {region: place for place, regions in enumerate(_ROWS) for region in regions.split()}
_NO_PART, _NO_UNIT = len(_ROWS), 100


class CaptionCollator(EmoCapCollator):
    """From rows to pictures and the tokens of their whole captions, padded on the right.

    Local sentences come in the order of the face, from forehead to chin, whatever order they were written in: what
    has been said and what is still to say is then easy to tell, for who learns to write such captions and for who
    reads them. Where a picture is mirrored, its caption changes sides.
    """

    def __init__(
        self,
        processor: EmoCapCLIPCaptionProcessor,
        augmentation: FaceAugmentation | None = None,
        seed: int = 0,
        prompt: str = "",
    ):
        super().__init__(processor, augmentation=augmentation, seed=seed)
        self.prompt = prompt

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        epoch = int(self._epoch)
        changes = [self._draw_change(epoch, row["row"]) for row in rows]
        captions = [from_forehead_to_chin(EmoCaption.from_dict(row)).to_paragraph() for row in rows]
        captions = [
            swap_sides(caption) if change is not None and change.flip else caption
            for caption, change in zip(captions, changes, strict=True)
        ]
        tokens = self.processor.token_rows([self.prompt] * len(rows), len(rows), captions)
        return {
            **self._pixels([row["image"] for row in rows], changes),
            **{name: torch.tensor(values) for name, values in tokens.items()},
            "row": torch.tensor([row["row"] for row in rows]),
        }


def from_forehead_to_chin(caption: EmoCaption) -> EmoCaption:
    """The caption with its local sentences in the order of the face; those about no part of it come last.

    >>> from_forehead_to_chin(EmoCaption("Joy.", ["The lips part.", "It is dark.", "Both brows rise."])).local_captions
    ['Both brows rise.', 'The lips part.', 'It is dark.']
    """
    return replace(caption, local_captions=sorted(caption.local_captions, key=_height))


@lru_cache(maxsize=2**16)  # captions repeat their sentences, and a run its captions
def _height(sentence: str) -> tuple[int, int]:
    """The uppermost part of the face that a sentence says something of, from 0 on; then its action unit."""
    tags = tag_sentence(sentence)
    part = min((_FROM_THE_TOP[region] for region in tags.regions if region in _FROM_THE_TOP), default=_NO_PART)
    return part, min((mention.unit for mention in tags.mentions), default=_NO_UNIT)


@dataclass
class CaptionScores:
    """One process's batch: sums over the tokens that captions are made of."""

    negative_log_likelihood: torch.Tensor
    hits: torch.Tensor
    tokens: torch.Tensor


@dataclass
class CaptionOutput:
    """
    Args:
        loss: mean negative log-likelihood of a caption's token, over all processes.
        token_accuracy: the share of tokens that were the likeliest.
    """

    loss: torch.Tensor
    token_accuracy: torch.Tensor

    def scalars(self) -> dict[str, float]:
        return {"loss": self.loss.item(), "token_accuracy": self.token_accuracy.item()}


class CaptionScorer(nn.Module):
    """The model as the objective needs it; wrap this one in DistributedDataParallel."""

    def __init__(self, model: EmoCapCLIPForConditionalGeneration):
        super().__init__()
        self.model = model

    def forward(self, batch: Mapping[str, torch.Tensor]) -> CaptionScores:
        labels = batch["labels"]
        first = int((labels != IGNORED).int().argmax(dim=1).min())
        inputs = {name: value for name, value in batch.items() if name not in ("labels", "attention_mask", "row")}
        # Padding stands on the right, where no word sees it: without a mask attention takes its fastest way.
        # Logits are made from the last token before a caption on.
        outputs = self.model(**inputs, logits_to_keep=labels.shape[1] - first + 1, use_cache=False)
        logits = outputs.logits[:, :-1].float().flatten(0, 1)
        targets = labels[:, first:].flatten()
        return CaptionScores(
            F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum"),
            (logits.detach().argmax(dim=-1) == targets).sum().float(),
            (targets != IGNORED).sum().float(),
        )


class CaptionObjective:
    """The mean negative log-likelihood of all processes' tokens, the same on one process or many.

    ```python
    >>> from emocapclip_hf.training.captioner import CaptionObjective, CaptionScores
    >>> scores = CaptionScores(torch.tensor(6.0), hits=torch.tensor(1.0), tokens=torch.tensor(3.0))
    >>> CaptionObjective()(scores).scalars()
    {'loss': 2.0, 'token_accuracy': 0.3333333432674408}

    ```"""

    def embedder(self, model: EmoCapCLIPForConditionalGeneration) -> CaptionScorer:
        return CaptionScorer(model)

    def __call__(self, scores: CaptionScores, step: int = 0) -> CaptionOutput:
        sums = torch.stack([scores.negative_log_likelihood, scores.hits, scores.tokens])
        likelihood, hits, tokens = sum_over_ranks(sums, "caption likelihood").unbind()
        if not torch.isfinite(likelihood):  # on every process alike
            raise FloatingPointError(
                f"The captions' likelihood is not finite at step {step}. The model has diverged or was given such "
                "inputs: lower the learning rate, clip gradients, or use bfloat16 instead of float16."
            )
        return CaptionOutput(likelihood / tokens.detach(), (hits / tokens).detach())
