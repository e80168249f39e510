"""Positive mining in training: the rules that the arguments name, whose embeddings guide it, and its truth."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch

from ..objective import EmaGuide, Embedder, Embeddings, FrozenGuide, MiningRule, MiningTruth, PositiveMiner
from ..objective.embeddings import LEVELS
from .arguments import ObjectiveArguments
from .text_encoder import SentenceEncoder

TEXT_COLUMNS = {"global": "global_caption", "summary": "summary_caption", "local": "local_captions"}
GUIDE_COLUMNS = tuple(f"{name}_guide_embeds" for name in (*LEVELS, "image"))
TRUTH_COLUMNS = ("emotion", "action_units", "local_action_units", "local_sides")


def positive_miner(args: ObjectiveArguments) -> PositiveMiner:
    """
    The miner that `mining` describes.

    ```python
    >>> args = ObjectiveArguments(mining={"global": {"guided_by": "text", "top_k": 3}})
    >>> positive_miner(args).rule("global").top_k
    3

    ```"""
    known = [field.name for field in fields(MiningRule)]
    rules = {}
    for level, options in (args.mining or {}).items():
        if level not in LEVELS or not isinstance(options, Mapping):
            raise ValueError(
                f"mining has {level!r}: {options!r}; it takes the levels {', '.join(LEVELS)}, and of each the fields "
                f"of its rule: {', '.join(known)}"
            )
        for name in options:
            if name not in known:
                nearest = difflib.get_close_matches(str(name), known, n=1)
                hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are: {', '.join(known)}"
                raise ValueError(f"mining, {level} level: there is no {name!r}; {hint}")
        rules[level] = MiningRule(**options)
    return PositiveMiner(rules)


class MiningGuide:
    """
    What an objective's miner is told of a batch beside the model's own embeddings.

    Args:
        args: which guide.
        miner: of the objective; a miner that mines nothing needs no guide and no columns.
        embedder: the model in training, unwrapped, for a moving average of it.
        columns: of the dataset.
    """

    def __init__(self, args: ObjectiveArguments, miner: PositiveMiner, embedder: Embedder, columns: Collection[str]):
        rules = [miner.rule(level) for level in embedder.levels]
        self.mines = any(rule.guided_by != "none" for rule in rules)
        self.needs_truth = any(rule.guided_by == "truth" for rule in rules)
        self.truth_columns = _truth_columns(columns) if self.mines else ()
        if self.needs_truth and not self.truth_columns:
            raise ValueError(
                f"mining with guided_by='truth' needs the column emotion, as SynthFaces has it; there are {columns}"
            )
        self.needs_unsampled = "local" in embedder.levels and miner.rule("local").needs_texts
        self.guide_columns: Sequence[str] = ()
        self.average: EmaGuide | None = None
        self._guide: EmaGuide | FrozenGuide | None = None
        if self.mines and args.mining_guide == "ema":
            self._guide = self.average = EmaGuide(embedder, args.mining_ema_decay)
        elif self.mines and args.mining_guide == "frozen":
            encode = args.mining_text_encoder and SentenceEncoder(args.mining_text_encoder)
            self._guide = FrozenGuide(encode or None)
            wanted = TEXT_COLUMNS.values() if encode else GUIDE_COLUMNS
            self.guide_columns = [column for column in wanted if column in columns]
            if not self.guide_columns:
                raise ValueError(
                    f"mining_guide=frozen without mining_text_encoder takes the columns {', '.join(GUIDE_COLUMNS)} of "
                    f"the dataset, which has {sorted(columns)}. Pass --mining-text-encoder, or bring such columns."
                )

    @property
    def label_columns(self) -> list[str]:
        """What the collator passes on for the guide and the truth."""
        return list(dict.fromkeys((*self.guide_columns, *self.truth_columns)))

    def to(self, device: torch.device) -> MiningGuide:
        if self.average is not None:
            self.average.to(device)
        elif isinstance(self._guide, FrozenGuide) and self._guide.encode is not None:
            self._guide.encode.to(device)
        return self

    def __call__(self, batch: Mapping[str, Any], device: torch.device, measured: bool) -> dict[str, Any]:
        """`guide` and `truth` for the objective; the truth only where mining is to be `measured` or made of it."""
        guide: Embeddings | None = self._guide(batch) if self._guide is not None else None
        wanted = self.truth_columns and (measured or self.needs_truth)
        return {"guide": guide, "truth": MiningTruth.from_batch(batch, device) if wanted else None}


def _truth_columns(columns: Collection[str]) -> list[str]:
    """Those the dataset has; without `emotion` there is no truth."""
    return [column for column in TRUTH_COLUMNS if column in columns] if "emotion" in columns else []
