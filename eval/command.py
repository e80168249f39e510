"""`emocapclip eval TASK`: any checkpoint on any benchmark, one result file a run.

emocapclip eval zero-shot --model M --benchmark rafdb --data-dir /data/RAF-DB
emocapclip eval all --model M openai/clip-vit-base-patch32 --data-root /data
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .benchmarks import BENCHMARKS, Benchmark, get_benchmark

if TYPE_CHECKING:
    from .checkpoint import Checkpoint
    from .results import Result

# Task → what it takes: the rows of one split or of all folds, or folds to fit on.
TASKS = {
    **dict.fromkeys(("zero-shot", "retrieval", "choice", "captioning"), "rows"),
    **dict.fromkeys(("linear-probe", "regression"), "folds"),
}
# What `all` does for each kind of benchmark; captioning where the model is a captioner, the others where it is none.
TASKS_OF = {
    "classification": ("zero-shot", "linear-probe"),
    "multi-label": ("zero-shot", "linear-probe"),
    "regression": ("regression",),
    "retrieval": ("retrieval", "captioning"),
    "choice": ("choice",),
}
_DEFAULT_PROMPTS = {"multi-label": "facial-actions"}  # for others `simple`


def add_eval_arguments(parser: argparse.ArgumentParser, task: str | None = None) -> None:
    if task is None:
        parser.add_argument(
            "task", choices=[*TASKS, "all"], help="`all`: what each benchmark is made for, and a report"
        )
    else:
        parser.set_defaults(task=task)
    what = parser.add_argument_group("what")
    what.add_argument(
        "--model", nargs="+", required=True, metavar="M", help="folders or Hub ids; also of CLIP, SigLIP, captioners"
    )
    what.add_argument("--revision", help="branch, tag or commit on the Hub")
    what.add_argument("--benchmark", nargs="+", metavar="B", help="`emocapclip benchmarks` lists them")
    what.add_argument("--data-dir", metavar="DIR", help="the local copy of the benchmark")
    what.add_argument("--data-root", metavar="DIR", help="a folder of local copies, each named after its benchmark")
    what.add_argument("--split", help="default: the one that is usually scored")
    what.add_argument("--fold", type=int, help="default: the mean over all folds")
    what.add_argument("--option", nargs="+", default=[], metavar="NAME=VALUE", help="open points of the protocol")
    what.add_argument("--strict", action="store_true", help="stop at a picture that is missing or damaged")
    how = parser.add_argument_group("how")
    how.add_argument("--prompts", metavar="SET", help="simple, exp-clip-5, facial-actions, emocap, or a file")
    how.add_argument(
        "--scoring", default="global", choices=("global", "local", "both"), help="of prompts and sentences"
    )
    how.add_argument("--examples", type=int, default=4, metavar="N", help="queries with small pictures, of retrieval")
    how.add_argument("--ccc-kind", default="biased", choices=("biased", "unbiased"), help="of CCC, in regression")
    how.add_argument("--ccc-over", default="all", choices=("all", "sequence"), help="all rows, or each video")
    how.add_argument("--no-few-shot", action="store_true", help="leave out probes of 1 to 16 examples a class")
    how.add_argument("--save-head", metavar="DIR", help="write the linear probe as an image classifier")
    how.add_argument("--frames", type=int, default=8, help="of a clip (default: 8; a captioner sees the middle one)")
    how.add_argument("--frame-pooling", default="mean", choices=("mean", "max"), help="of a clip's frames")
    words = parser.add_argument_group("captioning")
    words.add_argument("--num-beams", type=int, default=1, metavar="N", help="wordings that are weighed (default: 1)")
    words.add_argument("--caption-prompt", default="", metavar="TEXT", help="how every caption begins")
    words.add_argument("--keywords", metavar="FILE", help="of emotions in FABA's rule: EmoLA's eval_FABA.py, or JSON")
    words.add_argument("--baselines", action="store_true", help="also score captions of the train split")
    words.add_argument("--encoder", metavar="M", help="an EmoCapCLIP model: nearest training face, RefCLIPScore")
    words.add_argument("--bert-encoder", metavar="M", help="of BERTScore, a folder or Hub id")
    where = parser.add_argument_group("where")
    where.add_argument("--output", default="results", metavar="DIR", help="of result files (default: results)")
    where.add_argument("--cache-dir", metavar="DIR", help="of embeddings (default: in the cache of datasets)")
    where.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    where.add_argument("--batch-size", type=int, default=64, help="pictures encoded at a time (default: 64)")
    where.add_argument("--num-workers", type=int, default=0, help="processes that read pictures (default: 0)")


def run_eval(args: argparse.Namespace) -> int:
    """0; 2 for a mistake in what was asked, or if nothing could be evaluated; 1 if some could not."""
    try:
        jobs = list(_jobs(args))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from transformers.utils import logging

    from .checkpoint import load_checkpoint, process_state

    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    done, failed = 0, 0
    for name in args.model:  # one at a time: several need not fit into memory together
        try:
            checkpoint = load_checkpoint(name, args.dtype, args.revision)
            own = _jobs_of(checkpoint, jobs, args)
        except (ValueError, OSError) as error:
            failed += 1
            print(f"error: {name}: {error}", file=sys.stderr)
            continue
        for task, benchmark in own:
            try:
                for result in evaluate(task, checkpoint, benchmark, args):
                    _finish(result, args)
                done += 1
            except (ValueError, OSError, FloatingPointError) as error:
                failed += 1
                print(f"error: {task} of {name} on {benchmark.name}: {error}", file=sys.stderr)
    if not done:
        return 2
    if args.task == "all" and process_state().is_main_process:
        from .report import write_report

        print(write_report(args.output))
    return 1 if failed else 0


def _jobs_of(checkpoint: Checkpoint, jobs: Sequence[tuple[str, Benchmark]], args: argparse.Namespace) -> list:
    """Those that are for such a model; one that was asked for by name must be."""
    own = [(task, benchmark) for task, benchmark in jobs if (task == "captioning") == checkpoint.is_captioner]
    if not own and args.task == "all":
        what = "captions, which a captioner is evaluated by" if checkpoint.is_captioner else "what an encoder can do"
        names = dict.fromkeys(benchmark.name for _, benchmark in jobs)
        raise ValueError(f"none of {', '.join(names)} has {what}")
    if not own and checkpoint.is_captioner:
        raise ValueError(f"this is a captioner, which writes and does nothing else: `captioning`, not `{args.task}`")
    if not own:
        kind = type(checkpoint.model).__name__
        raise ValueError(f"{kind} writes no captions: `captioning` takes a captioner (`make train-captioner`)")
    return own


def evaluate(task: str, checkpoint: Checkpoint, benchmark: Benchmark, args: argparse.Namespace) -> Iterator[Result]:
    """One task on one benchmark by one model; captioning may be followed by its baselines."""
    from .embed import CACHE_DIR

    module = import_module(f".{task.replace('-', '_')}", __package__)
    reading = {
        "cache_dir": args.cache_dir or CACHE_DIR,
        "batch_size": args.batch_size,
        "num_workers": args.num_workers,
        "strict": args.strict,
    }
    clips = {"frames": args.frames, "frame_pooling": args.frame_pooling}
    rows = _rows(task, benchmark, args)
    if task == "captioning":
        options = {"prompt": args.caption_prompt, "num_beams": args.num_beams}
        settings = _captioning_settings(benchmark, args)
        for result in module.run(checkpoint, rows, **settings, **reading, **options):
            result.protocol["encoding"] = {"dtype": args.dtype, **options}
            yield result
        return
    result = module.run(checkpoint, rows, **_settings(task, benchmark, args), **reading, **clips)
    result.protocol["encoding"] = {"dtype": args.dtype, **clips}
    yield result


def _captioning_settings(benchmark: Benchmark, args: argparse.Namespace) -> dict[str, Any]:
    from .checkpoint import load_checkpoint
    from .keyword_protocol import OURS, read_keywords

    settings = {
        "keywords": read_keywords(args.keywords) if args.keywords else OURS,
        "bert_encoder": args.bert_encoder,
        "encoder": load_checkpoint(args.encoder, args.dtype) if args.encoder else None,
    }
    if settings["encoder"] is not None and settings["encoder"].is_captioner:
        raise ValueError(f"--encoder {args.encoder} is a captioner, which embeds no text: name the model it came from")
    if args.baselines:
        settings["train"] = _train_rows(benchmark, args)
    return settings


def _train_rows(benchmark: Benchmark, args: argparse.Namespace) -> Any:
    """What baselines take their captions from: never rows that are scored."""
    from .benchmarks import load_benchmark

    split = args.split or benchmark.splits[0]
    if "train" not in benchmark.splits or split in ("train", "all") or (benchmark.folds and args.fold is None):
        fold = " --fold 1" if benchmark.folds else ""
        raise ValueError(
            f"--baselines take captions of the train split, and the rows scored must be others: --split test{fold}"
        )
    options = dict(_pair(option) for option in args.option)
    return load_benchmark(benchmark.name, _data_dir(benchmark, args), "train", args.fold, args.strict, **options)


def _rows(task: str, benchmark: Benchmark, args: argparse.Namespace) -> Any:
    from .scored_rows import load_scored
    from .splits import load_folds

    options = dict(_pair(option) for option in args.option)
    data_dir = _data_dir(benchmark, args)
    if TASKS[task] == "rows":
        return load_scored(benchmark.name, data_dir, args.split, args.fold, args.strict, **options)
    if args.split:
        raise ValueError(f"{task} fits on one split and scores another: leave out --split {args.split}")
    return load_folds(benchmark.name, data_dir, args.fold, args.strict, **options)


def _data_dir(benchmark: Benchmark, args: argparse.Namespace) -> str | Path | None:
    if args.data_dir is not None or not args.data_root:
        return args.data_dir
    inside = Path(args.data_root) / benchmark.name
    return inside if benchmark.needs_data or inside.is_dir() else None


def _settings(task: str, benchmark: Benchmark, args: argparse.Namespace) -> dict[str, Any]:
    """What a task takes besides rows."""
    from .prompts import get_prompts

    if task in ("zero-shot", "choice"):
        kinds = (_DEFAULT_PROMPTS[kind] for kind in benchmark.tasks if kind in _DEFAULT_PROMPTS)
        return {"prompts": get_prompts(args.prompts or next(kinds, "simple")), "scoring": args.scoring}
    if task == "linear-probe":
        return {"save_to": args.save_head, "few_shot": not args.no_few_shot}
    if task == "retrieval":
        return {"scoring": args.scoring, "examples": args.examples}
    if task == "regression":
        return {"ccc_kind": args.ccc_kind, "ccc_over": args.ccc_over}
    return {}


def _jobs(args: argparse.Namespace) -> Iterator[tuple[str, Benchmark]]:
    """Every task with every benchmark that it is to run on."""
    for benchmark in _benchmarks(args):
        if args.task != "all":
            yield args.task, benchmark
            continue
        for task in dict.fromkeys(task for kind in benchmark.tasks for task in TASKS_OF[kind]):
            if TASKS[task] == "rows" or "train" in benchmark.splits:
                yield task, benchmark


def _benchmarks(args: argparse.Namespace) -> list[Benchmark]:
    if args.benchmark:
        return [get_benchmark(name) for name in args.benchmark]
    if args.data_root is None:
        raise ValueError("name a --benchmark, or give a --data-root with a folder for each")
    found = [benchmark for name, benchmark in BENCHMARKS.items() if (Path(args.data_root) / name).is_dir()]
    if not found:
        raise ValueError(
            f"no folder in {args.data_root} is named after a benchmark; expected some of {', '.join(BENCHMARKS)}"
        )
    return found


def _finish(result: Result, args: argparse.Namespace) -> None:
    from .checkpoint import process_state

    if not process_state().is_main_process:
        return
    path = result.save(args.output)
    print(f"{result.task} on {result.benchmark}, {result.n:,} rows, {result.model}")
    for name, metric in result.metrics.items():
        interval = "" if metric.low is None else f"  [{metric.low:.3f}, {metric.high:.3f}]"
        print(f"  {metric.value:8.3f}  {name}{interval}")
    print(f"  {path}")


def _pair(option: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not equals:
        raise ValueError(f"--option {option}: expected NAME=VALUE, for instance images=original")
    return name, value


def main(task: str | None = None, arguments: Sequence[str] | None = None) -> int:
    """`python -m emocapclip_hf.eval.zero_shot ...` and its like."""
    module = f"emocapclip_hf.eval.{task.replace('-', '_')}" if task else "emocapclip_hf.eval.command"
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=__doc__.splitlines()[0])
    add_eval_arguments(parser, task)
    return run_eval(parser.parse_args(arguments))
