"""Publishing a model folder: one commit a push, tried again until it works, so the Hub never holds half a revision."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError
from safetensors import SafetensorError, safe_open

from .card import renamed

ATTEMPTS = 6
FIRST_WAIT = 2.0  # seconds; doubled each time
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
_WORTH_ANOTHER_TRY = {408, 409, 412, 429}  # of the client errors; the others would be the same again


def push_model(
    folder: Path,
    repo_id: str,
    message: str,
    private: bool = False,
    api: HfApi | None = None,
    told: Callable[[str], None] = lambda text: None,
) -> CommitInfo:
    """
    Publish a folder that holds a model in Hub format with its card.

    Args:
        folder: as `write_model` leaves it; checked first, so that nothing half-written is published.
        repo_id: name or owner/name; made if it is not there. The card is published under this name.
        message: of the commit.
        private: whether a repository that has to be made is private.
        told: hears of each attempt that failed.

    Returns:
        The commit. Weights of an older revision that the folder no longer has are gone with it; other files stay.
    """
    api = api or HfApi(library_name="emocapclip-hf")
    check_model_folder(folder)
    return _retried(lambda: _push_once(folder, repo_id, message, private, api), told)


def check_model_folder(folder: Path) -> None:
    """An error that names what a model folder lacks."""
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    for name, remedy in (
        ("config.json", "model.save_pretrained"),
        ("README.md", "emocapclip_hf.training.write_model"),
    ):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}, so it is no model to publish; {remedy} writes it")
    weights = sorted(folder.glob("*.safetensors"))
    index = folder / "model.safetensors.index.json"
    needed = set(json.loads(index.read_text())["weight_map"].values()) if index.is_file() else {"model.safetensors"}
    missing = needed - {path.name for path in weights}
    if missing:
        raise FileNotFoundError(f"{folder} lacks {sorted(missing)}: save the model again")
    for path in weights:
        try:
            with safe_open(path, framework="pt"):  # reads the header, which tells how long the file must be
                pass
        except SafetensorError as error:
            raise ValueError(f"{path} is not a whole safetensors file ({error}): save the model again") from None


class BackgroundPush:
    """At most one push at a time, in a thread; the training goes on.

    ```python
    pushes = BackgroundPush()
    pushes.start(lambda: push_model(folder, "somebody/faces", "Step 200"))
    ...
    pushes.wait()
    ```"""

    def __init__(self):
        self._under_way: Future | None = None
        self.failure: Exception | None = None  # of the last push

    @property
    def busy(self) -> bool:
        return self._under_way is not None and not self._under_way.done()

    def start(self, push: Callable[[], object]) -> None:
        """Waits for the push before, if it is still under way."""
        self.wait()
        future = self._under_way = Future()

        def run() -> None:
            try:
                future.set_result(push())
            except Exception as error:
                future.set_exception(error)

        # A daemon: a run that is stopped does not wait for the Hub; a commit is made whole or not at all.
        Thread(target=run, name="push-to-hub", daemon=True).start()

    def wait(self) -> None:
        """Until the push under way has ended; `failure` is then what went wrong, if anything did."""
        if self._under_way is not None:
            self.failure = self._under_way.exception()
            self._under_way = None


def _push_once(folder: Path, repo_id: str, message: str, private: bool, api: HfApi) -> CommitInfo:
    repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = {name: path for name, path in files.items() if not any(part.startswith(".") for part in Path(name).parts)}
    operations = [CommitOperationAdd(name, path) for name, path in files.items() if name != "README.md"]
    card = renamed(files["README.md"].read_text(encoding="utf-8"), repo_id)
    operations.append(CommitOperationAdd("README.md", card.encode()))
    there = [Path(name) for name in api.list_repo_files(repo_id)]
    stale = [name for name in there if len(name.parts) == 1 and str(name) not in files and _is_weights(name)]
    operations += [CommitOperationDelete(str(name)) for name in stale]
    # Not upload_folder: it may split a large folder into several commits.
    return api.create_commit(repo_id, operations, commit_message=message)


def _is_weights(name: Path) -> bool:
    return any(name.match(pattern) for pattern in WEIGHTS)


def _retried(push: Callable[[], CommitInfo], told: Callable[[str], None]) -> CommitInfo:
    """huggingface_hub takes up broken uploads again, but not commits. One whose answer was lost is made once: the
    same files again are no change."""
    for attempt in itertools.count(1):
        try:
            return push()
        except Exception as error:
            if attempt == ATTEMPTS or not worth_another_try(error):
                raise
            wait = FIRST_WAIT * 2 ** (attempt - 1)
            told(f"Publishing failed ({first_line(error)}); attempt {attempt + 1} of {ATTEMPTS} in {wait:.0f} s")
            time.sleep(wait)


def worth_another_try(error: Exception) -> bool:
    """Whether the same request may succeed later: the Hub or the network was at fault."""
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return status >= 500 or status in _WORTH_ANOTHER_TRY
    return not isinstance(error, (ValueError, LocalTokenNotFoundError, FileNotFoundError))


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
