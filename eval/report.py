"""`emocapclip report results/`: result files as tables and pictures, several models side by side.

Writes into results/report/: report.md, results.csv and the pictures that report.md shows.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .results import Metric, Result

_CAPTIONS = (
    *("emotion_accuracy", "keyword_accuracy", "au_f1", "keyword_au_f1", "structure", "contradiction_rate"),
    *(
        "hallucinated_units",
        "side_accuracy",
        "strength_accuracy",
        "rouge_l",
        "bleu",
        "cider_d",
        "meteor",
        "bert_score",
    ),
    *("distinct_2", "words", "clip_score", "ref_clip_score"),
)
# Task → the metrics of its table; the first that a result has is its spoke of the radar chart.
SHOWN = {
    "zero-shot": ("uar", "war", "ece", "auc", "map"),
    "choice": ("accuracy",),
    "linear-probe": ("uar", "war", "f1", "knn_uar", "uar_1_shot", "uar_4_shot", "uar_16_shot"),
    "regression": ("mean_ccc", *(f"{t}_{m}" for t in ("valence", "arousal") for m in ("ccc", "pcc", "rmse", "sagr"))),
    "retrieval": (
        *(f"image_to_text_{m}" for m in ("r1", "r5", "r10", "median_rank", "map")),
        *(f"text_to_image_{m}" for m in ("r1", "r5", "r10", "median_rank", "map")),
    ),
    "captioning": _CAPTIONS,
}
_SHOWN_CAPTIONS = 3
_COMPARED_WITH = "captioning-"  # opens the tasks of what captions are compared with: rows in the same table
_SMALL_IS_GOOD = ("ece", "rmse", "median_rank", "contradiction_rate", "hallucinated_units")


@dataclass(frozen=True)
class Row:
    """
    One line of the comparison: a task on a benchmark, and its result for each model. `setting` tells it from others of
    the same task and benchmark.
    """

    task: str
    benchmark: str
    setting: str
    results: Mapping[str, Result]  # model → result

    @property
    def title(self) -> str:
        return f"{self.benchmark} ({self.setting})" if self.setting else self.benchmark

    @property
    def is_baseline(self) -> bool:
        return any(result.task != self.task for result in self.results.values())

    def metrics(self) -> list[str]:
        """Those of SHOWN that some model has; all of a task that SHOWN does not know."""
        there = list(dict.fromkeys(name for result in self.results.values() for name in result.metrics))
        return [name for name in SHOWN.get(self.task, there) if name in there] or there


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", help="the folder of result files that `emocapclip eval` wrote")
    parser.add_argument("--output", metavar="DIR", help="default: the folder report in it")
    parser.add_argument("--model", nargs="+", metavar="M", help="only these, in this order; as in the result files")


def run_report(args: argparse.Namespace) -> int:
    try:
        path = write_report(args.results, args.output, args.model)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(path)
    return 0


def write_report(folder: str | Path, output: str | Path | None = None, models: Sequence[str] | None = None) -> Path:
    """Tables and pictures of every result in a folder; returns report.md."""
    folder = Path(folder)
    results = read_results(folder)
    names = short_names(_models(results, models))
    rows = side_by_side(results, names)
    output = Path(output) if output else folder / "report"
    output.mkdir(parents=True, exist_ok=True)
    write_csv(rows, output / "results.csv")
    path = output / "report.md"
    path.write_text(_markdown(rows, list(names.values()), _draw(rows, output)), encoding="utf-8")
    return path


def read_results(folder: Path) -> list[Result]:
    """Every result file; what is none is named and left out."""
    from .results import Result

    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder of result files; `emocapclip eval` writes them")
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(Result.load(path))
        except ValueError as error:
            print(f"{path.name} is left out: {error}", file=sys.stderr)
    if not found:
        raise ValueError(f"{folder} holds no result files; `emocapclip eval ... --output {folder}` writes them")
    return found


def _models(results: Iterable[Result], chosen: Sequence[str] | None) -> list[str]:
    there = list(dict.fromkeys(result.model for result in results))
    unknown = [model for model in chosen or () if model not in there]
    if unknown:
        raise ValueError(f"no results of {', '.join(unknown)}; there are results of {', '.join(there)}")
    return list(chosen or there)


def short_names(models: Sequence[str]) -> dict[str, str]:
    """What tables call each model: the end of its path, as long as it must be to tell them apart.

    >>> short_names(["runs/synthfaces/model", "openai/clip-vit-base-patch32"])
    {'runs/synthfaces/model': 'synthfaces', 'openai/clip-vit-base-patch32': 'clip-vit-base-patch32'}
    """
    parts = {model: [part for part in Path(model).parts if part != "/"] for model in models}
    parts = {model: path[:-1] if len(path) > 1 and path[-1] == "model" else path for model, path in parts.items()}
    for length in range(1, max(map(len, parts.values())) + 1):
        names = {model: "/".join(path[-length:]) for model, path in parts.items()}
        if len(set(names.values())) == len(models):
            return names
    return {model: model for model in models}


def side_by_side(results: Iterable[Result], names: Mapping[str, str]) -> list[Row]:
    """The results of each task, benchmark and setting together, in the order of SHOWN and of the benchmarks."""
    from .benchmarks import BENCHMARKS

    found: dict[tuple[str, str, str], dict[str, Result]] = {}
    for result in results:
        if result.model in names:
            task = "captioning" if result.task.startswith(_COMPARED_WITH) else result.task
            found.setdefault((task, result.benchmark, _setting(result)), {})[names[result.model]] = result
    tasks, benchmarks = list(SHOWN), list(BENCHMARKS)

    def place(key: tuple[str, str, str]) -> tuple:
        task, benchmark, setting = key
        known = benchmarks.index(benchmark) if benchmark in benchmarks else len(benchmarks)
        return tasks.index(task) if task in tasks else len(tasks), known, benchmark, setting

    times = Counter((task, benchmark) for task, benchmark, _ in found)
    rows = []
    for task, benchmark, setting in sorted(found, key=place):
        of_models = found[task, benchmark, setting]
        is_baseline = any(result.task != task for result in of_models.values())
        shown = setting if is_baseline or times[task, benchmark] > 1 else ""
        rows.append(
            Row(task, benchmark, shown, {name: of_models[name] for name in names.values() if name in of_models})
        )
    return rows


def _setting(result: Result) -> str:
    """What was chosen besides the benchmark."""
    protocol = result.protocol
    fold = f"fold {protocol['fold']}" if isinstance(protocol.get("fold"), int) else None
    scoring = None if protocol.get("scoring") == "global" else protocol.get("scoring")
    system = None
    if result.task.startswith(_COMPARED_WITH):
        system = result.task.removeprefix(_COMPARED_WITH).replace("-", " ")
    return ", ".join(filter(None, [fold, protocol.get("prompt_set"), scoring, system]))


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Every metric of every result on a line of its own."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["task", "benchmark", "setting", "model", "metric", "value", "low", "high", "n", "revision"])
        for row in rows:
            for model, result in row.results.items():
                for name, metric in result.metrics.items():
                    values = [metric.value, metric.low, metric.high, result.n, result.revision]
                    table.writerow([row.task, row.benchmark, row.setting, model, name, *values])


def _draw(rows: Sequence[Row], output: Path) -> dict[str, list[tuple[str, Path]]]:
    """The pictures of each section of the report, with their titles."""
    from .charts import draw_confusions, draw_per_class, draw_radar
    from .retrieval_sheet import draw_examples

    pictures: dict[str, list[tuple[str, Path]]] = {"overview": []}
    spokes = {f"{row.title}\n{row.task}": spoke for row in rows if not row.is_baseline and (spoke := _spoke(row))}
    if len(spokes) >= 3:  # two spokes span no area
        pictures["overview"].append(("All tasks", draw_radar(spokes, output / "radar.png")))
    for row in rows:
        of_row, stem = [], "-".join([row.task, row.benchmark, *row.setting.replace(",", "").replace("/", "-").split()])
        labelled = {name: result.details for name, result in row.results.items()}
        if all("confusion" in details for details in labelled.values()):
            of_row.append(("Confusion", draw_confusions(labelled, output / f"{stem}-confusion.png")))
        for kind, title in (("recall", "Recall"), ("f1", "F1"), ("auc", "Area under the ROC curve")):
            if all(isinstance(details.get(kind), dict) for details in labelled.values()):
                values = {name: details[kind] for name, details in labelled.items()}
                of_row.append((f"{title} by label", draw_per_class(values, title, output / f"{stem}-{kind}.png")))
        for number, (name, details) in enumerate(labelled.items()):
            if details.get("examples") and row.task == "retrieval":
                file = output / f"{stem}-examples{number + 1}.png"
                of_row.append((f"Examples, {name}", draw_examples(details["examples"], file)))
        pictures.setdefault(row.task, []).extend((f"{title}: {row.title}", path) for title, path in of_row)
    return pictures


def _spoke(row: Row) -> dict[str, Metric] | None:
    """Model → the metric by which the row stands in the radar chart, if all its models have it."""
    name = next(iter(row.metrics()), None)
    found = {model: result.metrics[name] for model, result in row.results.items() if name in result.metrics}
    return found if found and all(0 <= metric.value <= 1 for metric in found.values()) else None


def _markdown(rows: Sequence[Row], models: Sequence[str], pictures: Mapping[str, list[tuple[str, Path]]]) -> str:
    lines = [
        "# Evaluation",
        "",
        f"{', '.join(models)}. In brackets: 95 % bootstrap intervals. Best value in bold.",
        "",
    ]
    lines += _pictures(pictures["overview"])
    for task in dict.fromkeys(row.task for row in rows):
        own = [row for row in rows if row.task == task]
        there = [model for model in models if any(model in row.results for row in own)]
        lines += [f"## {task.capitalize()}", "", f"| benchmark | n | metric | {' | '.join(there)} |"]
        lines += [f"|---|---:|---|{'---:|' * len(there)}"]
        lines += [line for row in own for line in _table_lines(row, there)]
        lines += ["", *_pictures(pictures.get(task, [])), *_written_captions(own)]
    lines += ["## How it was done", "", *_protocols(rows)]
    return "\n".join(lines).rstrip() + "\n"


def _table_lines(row: Row, models: Sequence[str]) -> Iterable[str]:
    for place, name in enumerate(row.metrics()):
        found = {model: result.metrics[name] for model, result in row.results.items() if name in result.metrics}
        best = (min if name.endswith(_SMALL_IS_GOOD) else max)(metric.value for metric in found.values())
        bold = best if len(found) > 1 else None
        cells = [_cell(found.get(model), bold) for model in models]
        counts = sorted({result.n for result in row.results.values()})
        head = (row.title, " / ".join(f"{n:,}" for n in counts)) if place == 0 else ("", "")
        yield f"| {' | '.join([*head, name, *cells])} |"


def _cell(metric: Metric | None, best: float | None) -> str:
    if metric is None:
        return "–"
    value = f"{metric.value:.3f}" if abs(metric.value) < 10 else f"{metric.value:,.1f}"
    value = f"**{value}**" if metric.value == best else value
    return value if metric.low is None else f"{value} [{_short(metric.low)}, {_short(metric.high)}]"


def _short(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def _written_captions(rows: Iterable[Row]) -> Iterable[str]:
    """What captioners wrote of the first few rows, beside the captions these have."""
    for row in rows:
        for model, result in row.results.items() if row.task == "captioning" and not row.is_baseline else ():
            yield f"What {model} wrote for {row.title}:\n"
            for example in result.details.get("examples", [])[:_SHOWN_CAPTIONS]:
                caption, truth = (" ".join(example[name].split()) or "–" for name in ("caption", "truth"))
                yield f"- `{example['id']}`: {caption}  \n  *Reference:* {truth}"
            yield ""


def _pictures(pictures: Sequence[tuple[str, Path]]) -> list[str]:
    return [line for title, path in pictures for line in (f"![{title}]({path.name})", "")]


def _protocols(rows: Sequence[Row]) -> Iterable[str]:
    """For each result the command, the revision, and what a reader must know to believe the number."""
    for row in rows:
        for model, result in row.results.items():
            protocol = result.protocol
            facts = [f"{result.n:,} rows"]
            facts += [f"split {protocol['split']}"] if protocol.get("split") else []
            facts += [
                f"{name} {value}" for name, value in protocol.get("options", {}).items() if value not in (None, "")
            ]
            facts += [f"prompts {protocol['prompt_set']}"] if protocol.get("prompt_set") else []
            facts += [f"{name}: {how}" for name, how in protocol.get("captioning", {}).items()]
            facts += [f"CCC {protocol['regression']['ccc']}"] if "regression" in protocol else []
            facts += [f"{len(result.skipped)} rows could not be read"] if result.skipped else []
            facts += [f"rows left out: {protocol['left_out']}"] if protocol.get("left_out") else []
            facts += protocol.get("warnings", [])
            yield (
                f"- **{row.task}, {row.title}, {model}** (revision {result.revision[:12] or 'unknown'}): "
                + "; ".join(facts)
            )
            yield f"  `{result.command}`"
