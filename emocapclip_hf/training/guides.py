"""Positive mining in training: the rules that the arguments name, whose embeddings guide it, and its truth."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from typing import Any

import datasets
import torch

from ..objective import EmaGuide, Embedder, Embeddings, FrozenGuide, MiningRule, MiningTruth, PositiveMiner
from ..objective.embeddings import LEVELS
from .arguments import ObjectiveArguments
from .latent_semantics import LatentSemantics
from .text_encoder import SentenceEncoder

TEXT_COLUMNS = {"global": "global_caption", "summary": "summary_caption", "local": "local_captions"}
GUIDE_COLUMNS = tuple(f"{name}_guide_embeds" for name in (*LEVELS, "image"))
GUIDES = ("self", "ema", "captions", "frozen")
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
        rows: of the train split.
    """

    def __init__(self, args: ObjectiveArguments, miner: PositiveMiner, embedder: Embedder, rows: datasets.Dataset):
        rules = {level: miner.rule(level) for level in embedder.levels}
        columns = rows.column_names
        self.mines = any(rule.guided_by != "none" for rule in rules.values())
        self.needs_truth = any(rule.guided_by == "truth" for rule in rules.values())
        self.needs_unsampled = "local" in rules and rules["local"].needs_texts
        self.truth_columns = _truth_columns(columns) if self.mines else ()
        if self.needs_truth and not self.truth_columns:
            raise ValueError(
                f"mining with guided_by='truth' needs the column emotion, as SynthFaces has it; there are {columns}"
            )
        self._kinds = guide_kinds(args) if self.mines else {}
        frozen_or_ema = [kind for kind in dict.fromkeys(self._kinds.values()) if kind != "self"]
        self._guides = {kind: _guide(kind, args, embedder, rows) for kind in frozen_or_ema}
        self.average: EmaGuide | None = self._guides.get("ema")
        self.guide_columns = [
            column for kind, guide in self._guides.items() if kind != "ema" for column in _columns_of(guide, columns)
        ]

    @property
    def label_columns(self) -> list[str]:
        """What the collator passes on for the guides and the truth."""
        return list(dict.fromkeys((*self.guide_columns, *self.truth_columns)))

    def to(self, device: torch.device) -> MiningGuide:
        for guide in self._guides.values():
            mover = guide if isinstance(guide, EmaGuide) else guide.encode
            if hasattr(mover, "to"):
                mover.to(device)
        return self

    def __call__(self, batch: Mapping[str, Any], device: torch.device, measured: bool) -> dict[str, Any]:
        """`guide` and `truth` for the objective; the truth only where mining is to be `measured` or made of it."""
        wanted = self.truth_columns and (measured or self.needs_truth)
        truth = MiningTruth.from_batch(batch, device) if wanted else None
        return {"guide": self._seen(batch) if self._guides else None, "truth": truth}

    def _seen(self, batch: Mapping[str, Any]) -> Embeddings:
        """The batch as each level's guide sees it."""
        seen = {kind: guide(batch) for kind, guide in self._guides.items()}
        captions = {
            level: seen[kind].captions[level]
            for level, kind in self._kinds.items()
            if kind in seen and level in seen[kind].captions
        }
        images = [some.image for some in seen.values() if some.image is not None]
        local = seen.get(self._kinds.get("local"))
        return Embeddings(images[0] if images else None, captions, unsampled=local.unsampled if local else None)


def guide_kinds(args: ObjectiveArguments) -> dict[str, str]:
    """
    Level → its guide.

    >>> guide_kinds(ObjectiveArguments(mining_guide={"global": "captions"}))
    {'global': 'captions', 'summary': 'self', 'local': 'self'}
    """
    given = args.mining_guide
    kinds = dict.fromkeys(LEVELS, "self") | given if isinstance(given, Mapping) else dict.fromkeys(LEVELS, given)
    for level, kind in kinds.items():
        if level not in LEVELS or kind not in GUIDES:
            raise ValueError(
                f"mining_guide has {level!r}: {kind!r}; it is one of {', '.join(GUIDES)}, or says for each of "
                f"{', '.join(LEVELS)} which"
            )
    return kinds


def _guide(kind: str, args: ObjectiveArguments, embedder: Embedder, rows: datasets.Dataset) -> EmaGuide | FrozenGuide:
    if kind == "ema":
        return EmaGuide(embedder, args.mining_ema_decay)
    if kind == "captions":
        return FrozenGuide(LatentSemantics(_whole_captions(rows)))
    return FrozenGuide(SentenceEncoder(args.mining_text_encoder) if args.mining_text_encoder else None)


def _whole_captions(rows: datasets.Dataset) -> Iterator[str]:
    for batch in rows.select_columns([*TEXT_COLUMNS.values()]).iter(1000):
        for overall, summary, sentences in zip(*(batch[name] for name in TEXT_COLUMNS.values()), strict=True):
            yield " ".join([overall, *sentences, summary or ""])


def _columns_of(guide: FrozenGuide, columns: Collection[str]) -> list[str]:
    """What a frozen guide reads of the dataset."""
    wanted = TEXT_COLUMNS.values() if guide.encode else GUIDE_COLUMNS
    found = [column for column in wanted if column in columns]
    if not found:
        raise ValueError(
            f"mining_guide=frozen without mining_text_encoder takes the columns {', '.join(GUIDE_COLUMNS)} of "
            f"the dataset, which has {sorted(columns)}. Pass --mining-text-encoder, or bring such columns."
        )
    return found


def _truth_columns(columns: Collection[str]) -> list[str]:
    """Those the dataset has; without `emotion` there is no truth."""
    return [column for column in TRUTH_COLUMNS if column in columns] if "emotion" in columns else []
