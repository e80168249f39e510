"""What is true of which face, where a dataset knows: the measure of mined positives, and the oracle's positives.

SynthFaces knows all of it: a face shows certain action units on certain sides, and each local sentence asserts one
(`local_action_units` holds its number), denies one (minus its number) or is about something else (0).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .distributed import gather_rows
from .mining import Candidates

HIGHEST_UNIT = 64  # FACS numbers of facial action units are below
NO_EMOTION = -1
_UNNAMED_EMOTIONS = ("", "other", "nan", "None")  # two faces that show "other" need not look alike
_SIDES = {"left": (0,), "right": (1,), "both": (0, 1)}


@dataclass
class MiningTruth:
    """The truth about one process's batch.

    Args:
        emotion: (images,), an id; NO_EMOTION is true of no other image.
        active: (images, 2 · units), which units act on the subject's left and right.
        asserted, denied: (sentences, 2 · units), what each local sentence says is there, and is not there.
    """

    emotion: torch.Tensor
    active: torch.Tensor | None = None
    asserted: torch.Tensor | None = None
    denied: torch.Tensor | None = None

    @classmethod
    def from_batch(cls, batch: Mapping[str, Any], device: torch.device | str = "cpu") -> MiningTruth:
        """Read SynthFaces' columns: `emotion`, and for the local level `action_units`, `local_action_units` (of the
        sentences in this batch) and `local_sides`."""
        if "emotion" not in batch:
            raise ValueError(
                f"The batch has no column emotion, which mining is measured against; it has {sorted(batch)}. Add it "
                'to the collator\'s label_columns, with "action_units", "local_action_units" and "local_sides".'
            )
        column = batch["emotion"]
        names = [str(name) for name in (column.tolist() if isinstance(column, torch.Tensor) else column)]
        emotion = [NO_EMOTION if name in _UNNAMED_EMOTIONS else zlib.crc32(name.encode()) for name in names]
        truth = cls(torch.tensor(emotion, device=device))
        if "action_units" in batch and "local_action_units" in batch:
            truth._read_units(batch, device)
        return truth

    def _read_units(self, batch: Mapping[str, Any], device: torch.device | str) -> None:
        faces = [[(unit["au"], unit["side"]) for unit in units] for units in batch["action_units"]]
        sentences = [
            (int(unit), side or "both")
            for units, sides in zip(batch["local_action_units"], batch["local_sides"], strict=True)
            for unit, side in zip(units, sides, strict=True)
        ]
        self.active = _multi_hot(faces, device)
        self.asserted = _multi_hot([[(unit, side)] if unit > 0 else [] for unit, side in sentences], device)
        self.denied = _multi_hot([[(-unit, side)] if unit < 0 else [] for unit, side in sentences], device)

    def pairs(self, level: str, candidates: Candidates) -> torch.Tensor | None:
        """Which captions of all processes are true of this process's images: (images, captions), bool.

        An image's own captions are, whatever they speak of, and with them those that read the same. None if this truth
        says nothing about the level.
        """
        if level != "local":
            emotion = self.emotion[:, None]
            everyone = gather_rows(self.emotion, candidates.images, "truth")
            return candidates.identical | ((emotion == everyone[candidates.owners]) & (emotion != NO_EMOTION))
        if self.active is None:
            return None
        said = gather_rows(torch.cat([self.asserted, self.denied], dim=1), candidates.captions, "truth")
        asserted, denied = said.float().chunk(2, dim=1)
        active = self.active.float()
        holds = (active @ asserted.T == asserted.sum(dim=1)) & (active @ denied.T == 0)
        return candidates.identical | (holds & said.any(dim=1))


def _multi_hot(rows: Sequence[Sequence[tuple[int, str]]], device: torch.device | str) -> torch.Tensor:
    """(rows, 2 · units) bool, from the (unit, side) pairs of each row."""
    hot = torch.zeros(len(rows), HIGHEST_UNIT, 2, dtype=torch.bool)
    for row, pairs in enumerate(rows):
        for unit, side in pairs:
            hot[row, unit, _SIDES[side]] = True
    return hot.flatten(1).to(device)
