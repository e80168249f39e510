"""What a table knows of its faces that captions can be held against: emotions, action units, reference captions."""

from __future__ import annotations

from dataclasses import replace

import datasets
import numpy as np

from emocapclip_hf.data.caption import LEVELS, EmoCaption
from emocapclip_hf.data.synthfaces import COMPOUNDS, EMOTIONS
from emocapclip_hf.data.synthfaces.emotions import components

from .benchmarks import protocol_of
from .factuality import FaceFacts, UnitFacts, facts_of_row


def known_facts(rows: datasets.Dataset) -> list[FaceFacts]:
    """
    From `emotion` and `action_units` as in SynthFaces; or from a benchmark's `label`, where captions can name it (an
    emotion, not "helplessness"), or `labels`, where all of them are annotated.
    """
    known = [name for name in ("emotion", "action_units") if name in rows.column_names]
    if known:
        return [facts_of_row(row) for row in rows.select_columns(known)]
    if "label" in rows.column_names:
        named = {*EMOTIONS, *COMPOUNDS}
        return [
            FaceFacts(frozenset(components(label)) if label in named else None, None) for label in rows["label"][:]
        ]
    units = annotated_units(rows)
    if units is None:
        return [FaceFacts(None, None)] * len(rows)
    return [FaceFacts(None, _units_there(units, values)) for values in rows["labels"][:]]


def annotated_units(rows: datasets.Dataset) -> tuple[int, ...] | None:
    """The only action units that the table knows anything of; None where it knows all, or none."""
    if "action_units" in rows.column_names or "labels" not in rows.column_names:
        return None
    names = protocol_of(rows)["labels"]
    are_units = names and all(name.startswith("AU") for name in names)
    return tuple(int(name.removeprefix("AU")) for name in names) if are_units else None


def only_units(facts: FaceFacts, units: tuple[int, ...] | None) -> FaceFacts:
    """What a caption says of these units; of the others nobody knows whether it is true."""
    if units is None:
        return facts
    said = {unit: fact for unit, fact in facts.units.items() if unit in units}
    return replace(facts, units=said, denied_units=facts.denied_units & set(units))


def _units_there(units: tuple[int, ...], values: list[float]) -> dict[int, UnitFacts] | None:
    if np.isnan(values).any():
        return None
    return {unit: UnitFacts() for unit, value in zip(units, values, strict=True) if value > 0}


def reference_captions(rows: datasets.Dataset) -> list[str] | None:
    """The whole captions of a table, empty where a row has none; None where it has no captions at all."""
    if "global_caption" in rows.column_names:
        return [EmoCaption.from_dict(row).to_paragraph() for row in rows.select_columns(list(LEVELS))]
    return [caption or "" for caption in rows["caption"][:]] if "caption" in rows.column_names else None
