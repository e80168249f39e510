"""The `emocapclip` command. A subcommand's module is imported when it is asked for, so that help comes at once."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple


class Command(NamedTuple):
    """`module` holds `add_<name>_arguments(parser)` and `run_<name>(args) -> exit status`."""

    module: str
    name: str
    does: str


_DATA = "emocapclip_hf.data"
COMMANDS = {
    "data build": Command(
        f"{_DATA}.build.command", "build", "build a captioned dataset from films and photographs, stage by stage"
    ),
    "data check": Command(f"{_DATA}.check_command", "check", "tell what is in a dataset and what is wrong with it"),
    "data synthfaces": Command(
        f"{_DATA}.synthfaces.command", "synthfaces", "write SynthFaces, the procedural dataset"
    ),
    "data tokenizer": Command(f"{_DATA}.tokenizer_command", "tokenizer", "train a small tokenizer on captions"),
    "caption": Command("emocapclip_hf.caption_command", "caption", "write what the faces in photographs show"),
    "push": Command("emocapclip_hf.hub.push_command", "push", "publish the model of a run on the Hub"),
    # Evaluation stands above this package, so it is named here and never imported.
    "benchmarks": Command(
        "emocapclip_hf.eval.benchmarks.command", "benchmarks", "list the benchmarks and the layouts they are read in"
    ),
    "eval": Command("emocapclip_hf.eval.command", "eval", "evaluate checkpoints on benchmarks"),
    "report": Command("emocapclip_hf.eval.report", "report", "make tables and pictures of evaluation results"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    words = next((count for count in (2, 1) if " ".join(arguments[:count]) in COMMANDS), 0)
    if words == 0:
        return _overview(arguments)
    title = " ".join(arguments[:words])
    command = COMMANDS[title]
    module = import_module(command.module)
    description = command.does[0].upper() + command.does[1:] + "."
    parser = argparse.ArgumentParser(prog=f"emocapclip {title}", description=description)
    getattr(module, f"add_{command.name}_arguments")(parser)
    return getattr(module, f"run_{command.name}")(parser.parse_args(arguments[words:]))


def _overview(arguments: list[str]) -> int:
    """Help, the version, or an error that names the commands there are."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {title:<{width}}  {command.does}" for title, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="emocapclip",
        usage="%(prog)s COMMAND [options]",
        description="EmoCapCLIP: emotion in faces, in words.",
        epilog=f"commands:\n{commands}\n\n`emocapclip COMMAND --help` explains each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("command", nargs="*", help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    asked = " ".join(parsed.command)
    if asked and not any(title.startswith(f"{asked} ") for title in COMMANDS):
        nearest = difflib.get_close_matches(asked, COMMANDS, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are: {', '.join(COMMANDS)}"
        parser.error(f"there is no command {asked!r}; {hint}")
    if parsed.version:
        from . import __version__

        print(__version__)
    else:
        parser.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())
