"""`--push-to-hub`: a run publishes its model while it trains and when it is done."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

from huggingface_hub import CommitInfo, HfApi
from tqdm import tqdm

from ..hub.push import BackgroundPush, first_line, push_model, worth_another_try
from .arguments import TrainingArguments
from .lora import merged_copy
from .results import save_model
from .setup import Materials

SNAPSHOT = ".publishing"


class RunPublisher:
    """
    Publishes the model of a run; only for the main process.

    A Hub that is down costs a run nothing: each push is tried again for a while, the next checkpoint is the next
    chance, and `publish_results` says at the end whether the finished model is there.

    Args:
        args: of the run. Whoever may not write to the repository is told so here, before the training.
        api: how to reach the Hub; default: as huggingface_hub is configured.
    """

    def __init__(self, args: TrainingArguments, api: HfApi | None = None):
        self.args, self.api = args, api or HfApi(library_name="emocapclip-hf")
        self.folder = Path(args.run.output_dir)
        self.repo_id = args.hub.hub_model_id or self.folder.resolve().name
        self._pushes = BackgroundPush()
        shutil.rmtree(self.folder / SNAPSHOT, ignore_errors=True)  # of a run that was killed while it pushed
        try:
            self.repo_id = self.api.create_repo(self.repo_id, private=args.hub.hub_private_repo, exist_ok=True).repo_id
        except Exception as error:
            if not worth_another_try(error):
                raise PermissionError(
                    f"cannot publish to {self.repo_id!r}: {first_line(error)}. Sign in with `hf auth login` or "
                    "HF_TOKEN, to an account that may write there, or leave out --push-to-hub."
                ) from error
            _tell(f"The Hub does not answer ({first_line(error)}); the run goes on and tries again later.")

    def checkpoint(self, materials: Materials, step: int) -> None:
        """Publish the model as it is, in the background; not if the last push is still under way."""
        if self.args.hub.hub_strategy != "every_save" or self._pushes.busy:
            return
        materials = replace(materials, model=merged_copy(materials.model))
        snapshot = save_model(materials, self.args, self.folder / SNAPSHOT, metrics={}, step=step)
        message = f"Step {step:,} of {self.args.optimisation.max_steps:,}"
        self._pushes.start(lambda: self._push_and_remove(snapshot, message))

    def wait(self) -> None:
        """Until the push under way, if any, has ended."""
        self._pushes.wait()

    def results(self) -> CommitInfo:
        """Publish the finished `model/` with its card."""
        return self._push(self.folder / "model", f"Step {self.args.optimisation.max_steps:,}, with results")

    def _push_and_remove(self, snapshot: Path, message: str) -> None:
        try:
            self._push(snapshot, message)
        finally:
            shutil.rmtree(snapshot, ignore_errors=True)

    def _push(self, folder: Path, message: str) -> CommitInfo:
        private = self.args.hub.hub_private_repo
        return push_model(folder, self.repo_id, message, private, self.api, told=_tell)


def publish_results(args: TrainingArguments, api: HfApi | None = None) -> bool:
    """Publish the finished model of a run; whether it worked, which is also said, with what to do if not."""
    folder = Path(args.run.output_dir)
    try:
        commit = RunPublisher(args, api).results()
    except Exception as error:
        repo_id = args.hub.hub_model_id or folder.resolve().name
        _tell(
            f"NOT PUBLISHED: {repo_id} does not have the finished model ({first_line(error)}). Nothing is lost, it is "
            f"in {folder / 'model'}. Publish it with:\nemocapclip push {folder} --repo-id {repo_id}"
        )
        return False
    print(f"published as {commit.commit_url}")
    return True


def _tell(text: str) -> None:
    tqdm.write(text, file=sys.stderr)
