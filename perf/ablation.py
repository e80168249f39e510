"""What each part of the method is worth on SynthFaces: models trained with and without it, and measured.

Every run is `configs/synthfaces.yaml` with fewer steps and other flags, trained by the library as any run is. Faces
and phrasings of the measures are unseen. Results are appended to a file, run by run, and runs that are there are not
made again, so a stopped study goes on.

python perf/ablation.py --seeds 3                         # hours on two cores
python perf/ablation.py --seeds 3 --equal-time            # then: the cheaper variants for as long as the full method
python perf/ablation.py --table --plot ablation.png       # from the file
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from ablation_measures import measures

from emocapclip_hf.training import parse_arguments, train

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "configs" / "synthfaces.yaml"
RESULTS = ROOT / "perf" / "ablation.jsonl"
THIRDS = 3
SEEDS = 3
LEAST_GAIN = 0.02  # of which a share means something


def mining(**rules) -> list[str]:
    return ["--mining", json.dumps(rules)]


def guided_back(rule: dict) -> list[dict]:
    """A rule, and after some steps the same for what images should find, while images guide what captions should."""
    return [rule, {**rule, "guided_by": "cross", **LATE}]


def every_level(**rule) -> dict:
    return {level: {"guided_by": "text", **rule} for level in ("global", "summary", "local")}


LATE = {"warmup_steps": 250}  # a new model has nothing to guide with before
RECIPE = yaml.safe_load(CONFIG.read_text())["objective"]["mining"]  # level -> its rule
FULL = "+ local, mined"
VARIANTS = {
    "global": [*mining(), "--summary-weight", "0", "--local-weight", "0"],
    "global + summary": [*mining(), "--local-weight", "0"],
    "+ local": mining(),  # own captions only: the recipe mines
    FULL: mining(**RECIPE),
    "oracle": mining(**every_level(guided_by="truth")),
    "mined: summaries by both captions": mining(**RECIPE | {"summary": RECIPE["global"]}),
    "mined: captions by images": mining(
        **RECIPE | {level: guided_back(RECIPE[level]) for level in ("global", "summary")}
    ),
    "mined: all by the model itself": mining(**every_level(threshold=0.9, **LATE)),
    "mined: all by a moving average": mining(**every_level(guide="ema", threshold=0.9, **LATE)),
    "mined: each modality guides the other": mining(**every_level(guided_by="cross", top_k=8, **LATE)),
    "mined: both modalities agree": mining(**every_level(guided_by="agree", top_k=8, **LATE)),
}
PARTS = ("global", "global + summary", "+ local", FULL, "oracle")
EQUAL_TIME = PARTS[:2]  # sentences cost what mining of them costs
SHOWN = (
    "zero-shot UAR, 8 emotions",
    "zero-shot UAR, 11 compounds",
    "linear probe UAR, 8 emotions",
    "caption R@1",
    "action units AUC, global embedding",
    "action units AUC, local head",
    "first sentence true, global embedding",
    "first sentence true, local head",
)
COLOURS = ("#4a7fb0", "#3d8f5f", "#b0643c")


def run(name: str, seed: int, steps: int) -> dict:
    """Train one model, measure it, and read from its log what mining found."""
    with tempfile.TemporaryDirectory() as folder:
        flags = [
            "--seed",
            str(seed),
            "--max-steps",
            str(steps),
            "--eval-steps",
            str(steps),
            "--save-steps",
            str(steps),
        ]
        flags += ["--output-dir", folder, *VARIANTS[name]]
        args = parse_arguments(["--config", str(CONFIG), *flags])
        start = time.perf_counter()
        materials = train(args)
        seconds = time.perf_counter() - start
        lines = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    has_local_level = args.objective.local_weight != 0
    found = measures(materials.model, materials.processor, materials.train, materials.test, has_local_level)
    history = [line for line in lines if "loss" in line]
    mined = {key: over_thirds(history, key) for key in history[-1] if "mining" in key}
    return {"variant": name, "seed": seed, "steps": steps, "seconds": seconds, "measures": found, "mining": mined}


def over_thirds(history: list[dict[str, float]], name: str) -> list[float | None]:
    """The mean of a diagnostic in each third of training; steps on which nothing was mined do not count."""
    parts = np.array_split(np.array([line[name] for line in history], dtype=float), THIRDS)
    return [float(np.nanmean(part)) if np.isfinite(part).any() else None for part in parts]


def read(results: Path) -> list[dict]:
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def equal_steps(results: Path, steps: int) -> dict[str, int]:
    """How many steps, to five, each cheaper variant makes in the time that the full method takes: by the first seed's
    runs, which are made one after another."""
    seconds = {one["variant"]: one["seconds"] for one in read(results) if (one["steps"], one["seed"]) == (steps, 0)}
    if FULL not in seconds:
        raise SystemExit(f"{results} has no run of {FULL!r} with {steps} steps to measure time by: make those first.")
    return {name: 5 * round(steps * seconds[FULL] / seconds[name] / 5) for name in EQUAL_TIME if name in seconds}


def cells(found: list[dict]) -> dict[str, tuple[float, float, int]]:
    """Measure → mean, deviation and number of its runs."""
    values: dict[str, list[float]] = {}
    for one in found:
        for name, value in one["measures"].items():
            values.setdefault(name, []).append(value)
    return {
        name: (statistics.fmean(some), statistics.stdev(some) if len(some) > 1 else 0.0, len(some))
        for name, some in values.items()
    }


def groups(found: list[dict]) -> dict[tuple[str, int], list[dict]]:
    grouped: dict[tuple[str, int], list[dict]] = {}
    for one in found:
        grouped.setdefault((one["variant"], one["steps"]), []).append(one)
    return grouped


def print_tables(found: list[dict]) -> None:
    """In percent: what each part is worth, what each way of mining is worth, and what it finds during training."""
    grouped = groups(found)
    by_part = sorted((steps, PARTS.index(name)) for name, steps in grouped if name in PARTS)
    parts = {f"{PARTS[place]}, {steps} steps": grouped[PARTS[place], steps] for steps, place in by_part}
    names = list(dict.fromkeys(name for one in found for name in one["measures"]))
    print_table(
        [*parts, "full less global", "mined of the oracle's gain"],
        {name: [*(cell(runs, name) for runs in parts.values()), *gains(grouped, name)] for name in names},
    )
    ways = {name: runs for (name, steps), runs in grouped.items() if runs[0]["mining"] or name == "+ local"}
    print_table(list(SHOWN), {way: [cell(runs, name) for name in SHOWN] for way, runs in ways.items()})
    quality = {}
    for way, runs in ways.items():
        # where each modality guides the other the two directions differ; elsewhere hardly, or not at all
        directions = ("image_to_text", "text_to_image") if '"cross"' in VARIANTS[way][1] else ("image_to_text",)
        for level, direction in itertools.product(("global", "summary", "local"), directions):
            key = f"{level}_{direction}_mining"
            if way != "oracle" and f"{key}_precision" in runs[0]["mining"]:
                name = level if len(directions) == 1 else f"{level}, {direction.replace('_', ' ')}"
                quality[f"{way} | {name}"] = [
                    thirds([one["mining"][f"{key}_{what}"] for one in runs]) for what in ("precision", "recall")
                ]
    print_table(["level", "precision, by thirds", "recall, by thirds"], quality)


def print_table(columns: list[str], rows: dict[str, list[str]]) -> None:
    print(f"| | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    for name, values in rows.items():
        print(f"| {name} | {' | '.join(values)} |")
    print()


def cell(runs: list[dict], name: str) -> str:
    if name not in cells(runs):
        return ""
    mean, deviation, count = cells(runs)[name]
    shown = f"{100 * mean:.1f}" if ", by " in name else f"{100 * mean:.1f} ± {100 * deviation:.1f}"
    return shown if count >= SEEDS else f"{shown} ({count} run{'s' * (count > 1)})"


def gains(grouped: dict[tuple[str, int], list[dict]], name: str) -> tuple[str, str]:
    """In points, what the full method gains over the global level alone; and mining, of what true positives would."""
    steps = min(steps for _, steps in grouped)
    found = {part: cells(runs) for (part, made), runs in grouped.items() if made == steps}
    means = {part: row[name][0] for part, row in found.items() if name in row}
    whole = share = ""
    if ", by " not in name and {FULL, "global"} <= means.keys():
        whole = f"{100 * (means[FULL] - means['global']):+.0f}"
    if {FULL, "+ local", "oracle"} <= means.keys() and means["oracle"] - means["+ local"] > LEAST_GAIN:
        share = f"{(means[FULL] - means['+ local']) / (means['oracle'] - means['+ local']):.0%}"
    return whole, share


def thirds(seeds: list[list[float | None]]) -> str:
    means = [[value for value in third if value is not None] for third in zip(*seeds, strict=True)]
    return ", ".join(f"{statistics.fmean(some):.2f}" if some else "none" for some in means)


def plot(found: list[dict], path: Path) -> None:
    """A panel a measure, a bar a variant, at equal steps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    steps = min(one["steps"] for one in found)
    grouped = {variant: cells(runs) for (variant, made), runs in groups(found).items() if made == steps}
    columns = 4
    figure, panels = pyplot.subplots(-(-len(SHOWN) // columns), columns, figsize=(15, 5.4), sharey=True)
    for panel, name in zip(panels.flat, SHOWN, strict=True):
        some = {variant: row[name] for variant, row in grouped.items() if name in row}
        means, deviations, _ = zip(*some.values(), strict=True)
        places = [list(grouped).index(variant) for variant in some]
        colours = [COLOURS[1 if v == FULL else 2 if v == "oracle" else 0] for v in some]
        panel.barh(places, means, xerr=deviations, color=colours)
        panel.set_yticks(range(len(grouped)), list(grouped))
        panel.set_title(name, fontsize=10)
        panel.tick_params(labelsize=8)
    panels.flat[0].invert_yaxis()  # of all, they share it
    figure.suptitle(f"SynthFaces, {steps} steps; mean and deviation over seeds")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--results", type=Path, default=RESULTS, help="a file of results, one run a line")
    parser.add_argument(
        "--equal-time", action="store_true", help="run the cheaper variants as long as the full method"
    )
    parser.add_argument("--table", action="store_true", help="only print what the file holds")
    parser.add_argument("--plot", type=Path, help="draw it")
    args = parser.parse_args()
    if not (args.table or args.plot):
        steps = equal_steps(args.results, args.steps) if args.equal_time else dict.fromkeys(args.variants, args.steps)
        for seed in range(args.seeds):
            for name, count in steps.items():
                if any((o["variant"], o["seed"], o["steps"]) == (name, seed, count) for o in read(args.results)):
                    continue
                print(f"{name}, seed {seed}, {count} steps", file=sys.stderr, flush=True)
                found = run(name, seed, count)
                with args.results.open("a", encoding="utf-8") as results:
                    results.write(json.dumps(found) + "\n")
    if args.plot:
        plot(read(args.results), args.plot)
    print_tables(read(args.results))


if __name__ == "__main__":
    main()
