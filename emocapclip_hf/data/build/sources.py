"""What a dataset is built from: films and folders of pictures, shared out into units of work."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..image_reading import IMAGE_SUFFIXES
from .film_reading import FILM_SUFFIXES

_PICTURES_A_UNIT = 256
_HASHED = 2**20  # bytes at the start of a file that tell it from others of its size


@dataclass(frozen=True)
class SourceFile:
    """
    Args:
        path: where it is.
        name: its path below the given source, with the source's own name in front: what rows call it.
        film: what must not be torn apart by a split: the film itself; for pictures their folder, or the picture where
            it lies in no subfolder.
        person: who is seen, where the name tells (`--person`).
    """

    path: Path
    name: str
    film: str
    person: str | None


@dataclass(frozen=True)
class Unit:
    """One film, or some pictures of a folder."""

    title: str
    files: tuple[SourceFile, ...]
    is_film: bool

    @property
    def fingerprint(self) -> str:
        """Changes when a file does."""
        digest = hashlib.blake2b(digest_size=8)
        for file in self.files:
            with open(file.path, "rb") as stream:
                digest.update(repr((file.name, file.person, file.path.stat().st_size)).encode())
                digest.update(stream.read(_HASHED))
        return digest.hexdigest()


def find_units(sources: Sequence[str | Path], person: str | None = None) -> list[Unit]:
    """Everything to read, in an order that does not hang on the file system.

    Args:
        sources: films, pictures, and folders of either, at any depth.
        person: a regular expression on a file's name whose first group says who is seen: `"(\\d+)_"`.
    """
    try:
        pattern = re.compile(person) if person else None
    except re.error as error:
        raise ValueError(f"--person {person!r} is no regular expression: {error}") from error
    if pattern is not None and pattern.groups < 1:
        raise ValueError(f"--person {person!r} has no group: put the part that names the person in parentheses")
    files = [_source_file(path, root, pattern) for root in map(Path, sources) for path in _below(root)]
    twice = [name for name, count in _count(file.name for file in files).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]} comes from two of the given sources: give folders of different names")
    if not files:
        looked_for = ", ".join((*FILM_SUFFIXES, *IMAGE_SUFFIXES))
        raise FileNotFoundError(
            f"no film or picture in {', '.join(map(str, sources))}; looked for files in {looked_for}"
        )
    films = [Unit(file.name, (file,), True) for file in files if _suffix(file.path) in FILM_SUFFIXES]
    return sorted([*films, *_picture_units(files)], key=lambda unit: unit.title)


def _below(root: Path) -> Iterator[Path]:
    if not root.exists():
        raise FileNotFoundError(f"there is no file or folder {root}")
    paths = sorted(root.rglob("*")) if root.is_dir() else [root]
    for path in paths:
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.is_file() and not hidden and _suffix(path) in (*FILM_SUFFIXES, *IMAGE_SUFFIXES):
            yield path


def _suffix(path: Path) -> str:
    return path.suffix.lower().lstrip(".")


def _source_file(path: Path, root: Path, pattern: re.Pattern | None) -> SourceFile:
    below = path.relative_to(root if root.is_dir() else root.parent)
    name = (root.resolve().name / below if root.is_dir() else below).as_posix()
    lies_in_a_folder = below.parent != Path() and _suffix(path) in IMAGE_SUFFIXES
    film = Path(name).parent.as_posix() if lies_in_a_folder else name
    found = pattern.search(path.name) if pattern else None
    return SourceFile(path, name, film, found[1] if found else None)


def _picture_units(files: list[SourceFile]) -> Iterator[Unit]:
    """Pictures by folder, a few hundred a unit."""
    folders: dict[str, list[SourceFile]] = defaultdict(list)
    for file in files:
        if _suffix(file.path) in IMAGE_SUFFIXES:
            folders[str(Path(file.name).parent)].append(file)
    for folder, pictures in folders.items():
        for start in range(0, len(pictures), _PICTURES_A_UNIT):
            yield Unit(f"{folder}/{start:06d}", tuple(pictures[start : start + _PICTURES_A_UNIT]), False)


def _count(names: Iterator[str]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for name in names:
        counts[name] += 1
    return counts
