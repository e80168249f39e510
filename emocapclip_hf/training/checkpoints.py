"""Checkpoints of a run: written aside and renamed, so that one that can be found is whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

PREFIX = "checkpoint-"
PARTIAL = ".partial-"
STATE = "trainer_state.json"


class CheckpointFolder:
    """
    The checkpoints below a run's folder: the last few and the best.

    Args:
        folder: the run's folder.
        keep: how many of the newest to keep; the best one stays besides.

    ```python
    >>> import tempfile
    >>> folder = CheckpointFolder(tempfile.mkdtemp(), keep=1)
    >>> for step in (10, 20):
    ...     _ = folder.save({"step": step}, write=lambda path: (path / "weights").write_text("..."))
    >>> [path.name for path in folder.whole()], folder.read(folder.newest())
    (['checkpoint-00000020'], {'step': 20})

    ```"""

    def __init__(self, folder: str | os.PathLike, keep: int = 2):
        if keep < 1:
            raise ValueError(f"keep={keep}: at least the newest checkpoint must stay, or nothing could be resumed.")
        self.folder, self.keep = Path(folder), keep

    def save(
        self,
        state: dict,
        write: Callable[[Path], None],
        metric: float | None = None,
        is_main: bool = True,
        wait: Callable[[], None] = lambda: None,
    ) -> Path:
        """
        Write a checkpoint of `state["step"]`, then let go of the ones no longer kept.

        Args:
            state: what `read` gives back; holds at least `step`.
            write: fills the folder it is given; with several processes each calls this method and writes its part.
            metric: higher is better; the best checkpoint so far is kept.
            is_main, wait: of the process group; the main process renames when all have written.
        """
        target = self.folder / f"{PREFIX}{state['step']:08d}"
        partial = self.folder / f"{PARTIAL}{target.name}"
        with self._explained(target.name):
            if is_main:
                self._remove_partials()
                partial.mkdir(parents=True)
            wait()
            write(partial)
            wait()
            if is_main:
                content = state if metric is None else {**state, "metric": metric}
                (partial / STATE).write_text(json.dumps(content, indent=1))
                _flush_to_disk(partial)
                if target.exists():  # the same step again, after a resume from an older one
                    shutil.rmtree(target)
                partial.rename(target)
                _flush_directory(self.folder)
                self._prune()
        wait()
        return target

    def check(self) -> None:
        """Whether the folder can be written to: better known before a long preparation."""
        probe = self.folder / f"{PARTIAL}probe"
        try:
            self._remove_partials()
            probe.mkdir()
            probe.rmdir()
        except OSError as error:
            raise type(error)(
                f"cannot write to {self.folder}, where the run is to go ({error}). Pass another --output-dir."
            ) from error

    def whole(self) -> list[Path]:
        """All checkpoints that were finished, oldest first."""
        return sorted(path for path in self.folder.glob(f"{PREFIX}*") if (path / STATE).is_file())

    def newest(self) -> Path | None:
        return max(self.whole(), default=None)

    def best(self) -> Path | None:
        """The one with the highest metric; the newest of them if several have it."""
        rated = [(self.read(path).get("metric"), path) for path in self.whole()]
        return max(((metric, path) for metric, path in rated if metric is not None), default=(None, None))[1]

    @staticmethod
    def read(path: Path) -> dict:
        """The state that the checkpoint was saved with."""
        return json.loads((path / STATE).read_text())

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """What it means that a write failed."""
        try:
            yield
        except (OSError, SafetensorError) as error:
            newest = self.newest()
            intact = f"{newest.name} is whole" if newest else "no checkpoint was written before"
            raise OSError(
                f"could not write {name} to {self.folder} ({error}); {intact}. Make room, then go on with --resume."
            ) from error

    def _prune(self) -> None:
        kept = {*self.whole()[-self.keep :], self.best()}
        for path in self.whole():
            if path not in kept:
                # Out of sight first: a kill in the middle of the removal must not leave a checkpoint that looks whole.
                gone = path.with_name(PARTIAL + path.name)
                path.rename(gone)
                shutil.rmtree(gone)

    def _remove_partials(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob(f"{PARTIAL}*"):
            shutil.rmtree(path)


def _flush_to_disk(folder: Path) -> None:
    """Bytes first, names after: a rename that survives a power cut must not name files that did not."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    for path in [*(path for path in folder.rglob("*") if path.is_dir()), folder]:
        _flush_directory(path)


def _flush_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
