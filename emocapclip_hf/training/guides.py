"""Positive mining in training: the rules that the arguments name, whose embeddings guide it, and its truth."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
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


@dataclass(frozen=True)
class GuidedRule(MiningRule):
    """A rule, and whose embeddings guide it; without a name, the run's `mining_guide`."""

    guide: str | None = None


RULE_FIELDS = tuple(field.name for field in fields(GuidedRule))


def positive_miner(args: ObjectiveArguments) -> PositiveMiner:
    """
    The miner that `mining` describes.

    ```python
    >>> args = ObjectiveArguments(mining={"global": {"guide": "captions", "guided_by": "text", "top_k": 3}})
    >>> rule = positive_miner(args).rule("global", step=0)
    >>> rule.guide, rule.top_k
    ('captions', 3)

    ```"""
    rules = {}
    for level, options in (args.mining or {}).items():
        several = options if isinstance(options, list) else [options]
        if level not in LEVELS or not all(isinstance(some, Mapping) for some in several):
            raise ValueError(
                f"mining has {level!r}: {options!r}; it takes the levels {', '.join(LEVELS)}, and of each the fields "
                f"of its rule ({', '.join(RULE_FIELDS)}), or a list of such rules"
            )
        rules[level] = [_rule(level, some, args.mining_guide) for some in several]
    return PositiveMiner(rules)


def _rule(level: str, options: Mapping[str, Any], default_guide: str) -> GuidedRule:
    for name in options:
        if name not in RULE_FIELDS:
            nearest = difflib.get_close_matches(str(name), RULE_FIELDS, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are: {', '.join(RULE_FIELDS)}"
            raise ValueError(f"mining, {level} level: there is no {name!r}; {hint}")
    rule = GuidedRule(**{"guide": default_guide, **options})
    if rule.guide not in GUIDES:
        raise ValueError(f"mining, {level} level: the guide is {rule.guide!r}; choose from {', '.join(GUIDES)}")
    return rule


class MiningGuide:
    """
    What an objective's miner is told of a batch beside the model's own embeddings.

    Args:
        args: about the guides.
        miner: of the objective; a miner that mines nothing needs no guide and no columns.
        embedder: the model in training, unwrapped, for a moving average of it.
        rows: of the train split.
    """

    def __init__(self, args: ObjectiveArguments, miner: PositiveMiner, embedder: Embedder, rows: datasets.Dataset):
        rules = {level: miner.rules.get(level, []) for level in embedder.levels}
        every_rule = [rule for some in rules.values() for rule in some if rule.guided_by != "none"]
        columns = rows.column_names
        self.miner, self.levels = miner, embedder.levels
        self.mines = bool(every_rule)
        self.needs_truth = any(rule.guided_by == "truth" for rule in every_rule)
        self.needs_unsampled = any(rule.needs_texts for rule in rules.get("local", []))
        self.truth_columns = _truth_columns(columns) if self.mines else ()
        if self.needs_truth and not self.truth_columns:
            raise ValueError(
                f"mining with guided_by='truth' needs the column emotion, as SynthFaces has it; there are {columns}"
            )
        kinds = dict.fromkeys(_guide_of(rule, args.mining_guide) for rule in every_rule)
        self._default = args.mining_guide
        for start in sorted({rule.warmup_steps for rule in every_rule}):
            self._check_one_guide_each(start)
        self._guides = {kind: _guide(kind, args, embedder, rows) for kind in kinds if kind != "self"}
        self.average: EmaGuide | None = self._guides.get("ema")
        frozen = [guide for guide in self._guides.values() if isinstance(guide, FrozenGuide)]
        self.guide_columns = [column for guide in frozen for column in _columns_of(guide, columns)]

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

    def __call__(self, batch: Mapping[str, Any], device: torch.device, step: int, measured: bool) -> dict[str, Any]:
        """`guide` and `truth` for the objective; the truth only where mining is to be `measured` or made of it."""
        wanted = self.truth_columns and (measured or self.needs_truth)
        truth = MiningTruth.from_batch(batch, device) if wanted else None
        return {"guide": self._seen(batch, step), "truth": truth}

    def for_model(self, batch: Mapping[str, Any], step: int, guide: Embeddings | None) -> Mapping[str, Any]:
        """The batch without the sentences that only mining looks at, where `guide` has seen them or nobody looks."""
        looks = "local" in self.levels and self.miner.rule("local", step).needs_texts
        if looks and (guide is None or "local" not in guide.captions):
            return batch
        return {name: value for name, value in batch.items() if not name.startswith("unsampled_")}

    def _check_one_guide_each(self, step: int) -> None:
        found: dict[str, str] = {}
        for level in self.levels:
            rule = self.miner.rule(level, step)
            kind = _guide_of(rule, self._default)
            for compared in rule.compared(level) if rule.needs_texts else ():
                if found.setdefault(compared, kind) != kind:
                    raise ValueError(
                        f"The {compared} captions are compared by {found[compared]} and by {kind} from step {step}: "
                        "give both rules the same guide."
                    )

    def _seen(self, batch: Mapping[str, Any], step: int) -> Embeddings | None:
        """The batch as each level's guide sees it; the objective fills in what only the model itself guides."""
        rules = {level: self.miner.rule(level, step) for level in self.levels}
        kinds = {
            level: _guide_of(rule, self._default)
            for level, rule in rules.items()
            if rule.needs_texts or rule.needs_images
        }
        seen = {kind: self._guides[kind](batch) for kind in dict.fromkeys(kinds.values()) if kind in self._guides}
        if not seen:
            return None
        captions, unsampled = {}, None
        for level, kind in kinds.items():
            for compared in rules[level].compared(level):
                if kind in seen and compared in seen[kind].captions:
                    captions[compared] = seen[kind].captions[compared]
                    unsampled = seen[kind].unsampled if level == "local" else unsampled
        images = [some.image for some in seen.values() if some.image is not None]
        return Embeddings(images[0] if images else None, captions, unsampled=unsampled)


def _guide_of(rule: MiningRule, default: str) -> str:
    """Its name; an objective of one's own may have rules that name none."""
    return getattr(rule, "guide", None) or default


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
