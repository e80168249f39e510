"""Splits in which nobody leaks: films that share a person, a face or footage stay together."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..splits import content_key

_HELD_OUT_SHARE = 0.1  # each of validation and test


class Groups:
    """Things that belong together, joined pair by pair; each group is called by its first name in the alphabet.

    >>> groups = Groups()
    >>> groups.join("Casablanca", "Key Largo"), groups.join("Key Largo", "Laura")
    (None, None)
    >>> groups.of("Laura"), groups.of("Metropolis")
    ('Casablanca', 'Metropolis')
    """

    def __init__(self):
        self._parents: dict[str, str] = {}

    def of(self, name: str) -> str:
        root = name
        while (parent := self._parents.get(root, root)) != root:
            root = parent
        while name != root:  # shorten the way for the next time
            self._parents[name], name = root, self._parents[name]
        return root

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self.of(one), self.of(other)))
        if first != second:
            self._parents[second] = first


def read_casts(path: str | Path) -> list[tuple[str, str]]:
    """(film, person) of a CSV with these two columns."""
    with open(path, encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if not {"film", "person"} <= set(reader.fieldnames or ()):
            raise ValueError(f"--casts {path} has the columns {reader.fieldnames}; it needs film and person")
        return [(row["film"], row["person"]) for row in reader]


def splits_of_groups(sizes: Mapping[str, int]) -> dict[str, str]:
    """Each group's split: about 10 % of the rows each for test and validation, the rest for training.

    Groups come in the order of a hash of their names, so the choice has nothing to do with what they hold. A group
    much larger than a tenth stays in training, and with three groups or more no split is empty.
    """
    target = _HELD_OUT_SHARE * sum(sizes.values())
    rows: Counter[str] = Counter()
    chosen = {}
    for name in sorted(sizes, key=lambda name: content_key(name.encode())):
        fits = (split for split in ("test", "validation") if rows[split] < target and sizes[name] <= 2 * target)
        chosen[name] = next(fits, "train")
        rows[chosen[name]] += sizes[name]
    for split in ("test", "validation"):
        groups_in = Counter(chosen.values())
        spare = sorted((size, name) for name, size in sizes.items() if groups_in[chosen[name]] > 1)
        if not groups_in[split] and spare:
            chosen[spare[0][1]] = split
    return chosen


def split_faces(
    faces: Iterable[Mapping[str, str | None]],
    copies: Iterable[Mapping[str, list[str]]],
    casts: Iterable[tuple[str, str]] = (),
) -> dict[str, str]:
    """Film → split.

    Args:
        faces: `film`, and `person` where it is known, of each face in the dataset.
        copies: `films` that hold the same face.
        casts: further (film, person) pairs.
    """
    groups, pairs = Groups(), []
    films: Counter[str] = Counter()
    for face in faces:
        films[face["film"]] += 1
        if face["person"]:
            pairs.append((face["film"], face["person"]))
    first_film: dict[str, str] = {}
    for film, person in dict.fromkeys([*pairs, *casts]):
        groups.join(film, first_film.setdefault(person, film))
    for copy in copies:
        groups.join(copy["films"][0], copy["films"][-1])
    sizes: Counter[str] = Counter()
    for film, count in films.items():
        sizes[groups.of(film)] += count
    split = splits_of_groups(sizes)
    return {film: split[groups.of(film)] for film in films}
