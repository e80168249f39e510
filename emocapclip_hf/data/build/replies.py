"""The journal of replies: every answer of a captioner as it came, one JSON line each, appended when it arrives.

A line is written with one call, so a killed process leaves at most one torn line at the end, which the next run cuts
off. Nothing is ever rewritten: what was paid for once is there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .stage_folder import write_json

_PATIENCE = 5  # seconds in which the workers of a killed run, who hold its lock, notice that it is gone
LONGEST_REPLY = 20_000  # characters kept of one reply; a caption has about 2,000


@dataclass(frozen=True)
class Request:
    """One question: a caption of `face`, its `sample`-th, asked in round `round` (1, then after each bad answer)."""

    face: str
    sample: int = 0
    round: int = 1

    @property
    def key(self) -> str:
        return f"{self.face} {self.sample} {self.round}"


@dataclass(frozen=True)
class Reply:
    """An answer as it came.

    Args:
        text: at most `LONGEST_REPLY` characters of it.
        finish: why the model stopped: "stop", or "length" where it was cut short.
        model: as the endpoint calls it.
        refused: the endpoint's own words where it did not want to answer at all.
        tries, prompt_tokens, completion_tokens: what it cost.
    """

    text: str
    finish: str = "stop"
    model: str = ""
    refused: str | None = None
    tries: int = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass
class Spent:
    """What all replies of a journal cost."""

    requests: int = 0
    tokens: int = 0

    def add(self, reply: dict[str, Any]) -> None:
        self.requests += reply["tries"]
        self.tokens += reply["prompt_tokens"] + reply["completion_tokens"]


@dataclass
class ReplyJournal:
    """Open with `with`; only one process may have it open for writing.

    Args:
        folder: holds `replies.jsonl`, and `recipe.json`: the model, prompt version and parameters of all replies.
    """

    folder: Path
    spent: Spent = field(default_factory=Spent)
    _places: dict[str, int] = field(default_factory=dict)  # key of a request → where its line begins

    @property
    def path(self) -> Path:
        return self.folder / "replies.jsonl"

    def __enter__(self) -> ReplyJournal:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.folder / ".lock", timeout=_PATIENCE)
        try:
            self._lock.acquire()
        except Timeout:
            raise RuntimeError(f"another process is writing captions to {self.folder}; wait for it to end") from None
        self._file = open(self.path, "a+b", buffering=0)
        self._read()
        return self

    def __exit__(self, *_) -> None:
        self._file.close()
        self._lock.release()

    def __contains__(self, request: Request) -> bool:
        return request.key in self._places

    def get(self, request: Request) -> Reply | None:
        place = self._places.get(request.key)
        if place is None:
            return None
        self._file.seek(place)
        line = json.loads(_line_at(self._file))
        return Reply(**line["reply"])

    def latest(self, face: str, sample: int, last_round: int) -> tuple[Request, Reply] | None:
        """The reply of the highest round up to `last_round`."""
        for round_ in range(last_round, 0, -1):
            request = Request(face, sample, round_)
            if request in self:
                return request, self.get(request)
        return None

    def append(self, request: Request, reply: Reply) -> None:
        line = {"request": vars(request), "reply": vars(reply)}
        content = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        place = self._file.seek(0, os.SEEK_END)
        self._file.write(content)
        self._places[request.key] = place
        self.spent.add(line["reply"])

    def recipe(self) -> dict[str, Any]:
        """How all captions here were made."""
        try:
            return json.loads((self.folder / "recipe.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.folder} holds no captions: run --stages captions first") from None

    def check_recipe(self, recipe: dict[str, Any]) -> None:
        """All captions of a folder are made in one way; another way needs another folder."""
        path = self.folder / "recipe.json"
        if not path.exists():
            write_json(path, recipe)
            return
        known = self.recipe()
        other = [name for name in {**known, **recipe} if known.get(name) != recipe.get(name)]
        if other:
            was = ", ".join(f"{name} was {known.get(name)!r}, now {recipe.get(name)!r}" for name in other)
            raise ValueError(
                f"{self.folder} holds captions made otherwise ({was}); choose another --out, or remove it"
            )

    def _read(self) -> None:
        """Find every line, and cut off what a kill left of the last one."""
        whole = 0
        self._file.seek(0)
        for place, line in _lines(self._file):
            if not line.endswith(b"\n"):
                break
            entry = json.loads(line)
            self._places[Request(**entry["request"]).key] = place
            self.spent.add(entry["reply"])
            whole = place + len(line)
        self._file.truncate(whole)


def _lines(file) -> Iterator[tuple[int, bytes]]:
    with open(file.name, "rb") as buffered:
        place = 0
        for line in buffered:
            yield place, line
            place += len(line)


def _line_at(file) -> bytes:
    parts = []
    while not parts or (b"\n" not in parts[-1] and parts[-1]):
        parts.append(file.read(8192))
    return b"".join(parts).split(b"\n", 1)[0]
