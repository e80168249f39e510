"""`emocapclip push RUN --repo-id owner/name`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_push_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s RUN --repo-id OWNER/NAME [options]"
    parser.epilog = "exit status: 0 when it is published, 2 when not. Sign in first, with `hf auth login` or HF_TOKEN."
    parser.add_argument("run", metavar="RUN", type=Path, help="a run's folder, or the model folder in it")
    parser.add_argument("--repo-id", required=True, metavar="OWNER/NAME", help="made if it is not there")
    parser.add_argument("--private", action="store_true", help="a repository that has to be made is private")
    parser.add_argument("--message", default="Publish the model", help="of the commit")


def run_push(args: argparse.Namespace) -> int:
    from .push import first_line, push_model  # not for --help: it imports the model

    folder = args.run / "model" if (args.run / "model").is_dir() else args.run
    try:
        commit = push_model(
            folder, args.repo_id, args.message, args.private, told=lambda text: print(text, flush=True)
        )
    except Exception as error:
        print(f"error: {args.repo_id} is unchanged: {first_line(error)}", file=sys.stderr)
        return 2
    print(f"published {folder} as {commit.commit_url}")
    return 0
