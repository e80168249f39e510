"""What the card tells about a dataset: counts of words, sentences, emotions, and of what was rejected and why."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..facial_language import REGIONS
from .checks import checks_folder


@dataclass
class Statistics:
    """Counters hold value → how often; of good captions, but for `rejected_faces` and `caption_faults`."""

    words: Counter[int] = field(default_factory=Counter)
    local_sentences: Counter[int] = field(default_factory=Counter)
    regions: Counter[str] = field(default_factory=Counter)
    emotions: Counter[str] = field(default_factory=Counter)
    rounds: Counter[int] = field(default_factory=Counter)
    rejected_faces: dict[str, int] = field(default_factory=dict)
    caption_faults: dict[str, int] = field(default_factory=dict)

    @property
    def mean_words(self) -> float:
        return sum(words * count for words, count in self.words.items()) / max(1, self.words.total())


def gather_statistics(out: Path) -> Statistics:
    """Read once through the checks."""
    found = Statistics()
    folder = checks_folder(out)
    for unit in folder.plan():
        for row in folder.rows(unit, ["faults", "local_captions", "words", "regions", "emotion", "rounds"]):
            if not row["faults"]:
                found.words[row["words"]] += 1
                found.local_sentences[len(row["local_captions"])] += 1
                found.regions.update({each["region"]: each["sentences"] for each in row["regions"]})
                found.emotions[row["emotion"] or "none named"] += 1
                found.rounds[row["rounds"]] += 1
    found.regions = Counter({region: found.regions[region] for region in REGIONS if found.regions[region]})
    found.rejected_faces = _read(out / "faces" / "summary.json")["rejected"]
    found.caption_faults = _read(out / "checks" / "summary.json")["faults"]
    return found


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
