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
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from ablation_measures import measures

from emocapclip_hf.training import parse_arguments, train

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "configs" / "synthfaces.yaml"
RESULTS = ROOT / "perf" / "ablation.jsonl"
THIRDS = 3


def mining(**rules) -> list[str]:
    return ["--mining", json.dumps(rules)]


def every_level(**rule) -> dict:
    return {level: {"guided_by": "text", **rule} for level in ("global", "summary", "local")}


LATE = {"warmup_steps": 250}  # a new model has nothing to guide with before
ALIKE = {"guide": "captions", "guided_by": "text", "by_level": "summary", "threshold": 0.7}
SENTENCES = {"guide": "captions", "guided_by": "text", "calibration": "cosine", "threshold": 0.9}
ITSELF = {"guide": "self", "guided_by": "text", "threshold": 0.9, **LATE}
COARSE = {"global": ALIKE, "summary": ALIKE}
FULL = "+ local, mined"
VARIANTS = {
    "global": [*mining(), "--summary-weight", "0", "--local-weight", "0"],
    "global + summary": [*mining(), "--local-weight", "0"],
    "+ local": mining(),  # own captions only: the recipe mines
    FULL: mining(**COARSE, local=[SENTENCES, ITSELF]),
    "oracle": mining(**every_level(guided_by="truth")),
    "mined: global and summary only": mining(**COARSE),
    "mined: local only": mining(local=[SENTENCES, ITSELF]),
    "mined: all by latent semantics": mining(**COARSE, local=SENTENCES),
    "mined: all by the model itself": mining(**every_level(threshold=0.9, **LATE)),
    "mined: all by a moving average": mining(**every_level(guide="ema", threshold=0.9, **LATE)),
    "mined: both modalities agree": mining(**every_level(guided_by="agree", top_k=8, **LATE)),
    "mined: the model itself, cosine": mining(**every_level(calibration="cosine", threshold=0.9, **LATE)),
}
EQUAL_TIME = ("global", "global + summary", "+ local")


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
    """How many steps each cheaper variant makes in the time that the full method takes."""
    seconds: dict[str, list[float]] = {}
    for found in read(results):
        if found["steps"] == steps:
            seconds.setdefault(found["variant"], []).append(found["seconds"])
    if FULL not in seconds:
        raise SystemExit(f"{results} has no run of {FULL!r} with {steps} steps to measure time by: make those first.")
    full = statistics.median(seconds[FULL])
    return {name: round(steps * full / statistics.median(seconds[name])) for name in EQUAL_TIME if name in seconds}


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
    grouped = groups(found)
    names = list(dict.fromkeys(name for one in found for name in one["measures"]))
    print(f"| | steps | runs | {' | '.join(names)} |\n|---|---:|---:|{'---:|' * len(names)}")
    for (variant, steps), runs in grouped.items():
        row = cells(runs)
        shown = [f"{row[name][0]:.3f} ± {row[name][1]:.3f}" if name in row else "" for name in names]
        print(f"| {variant} | {steps} | {len(runs)} | {' | '.join(shown)} |")
    print("\n| | level | precision, by thirds | recall, by thirds |\n|---|---|---|---|")
    for (variant, _), runs in grouped.items():
        for level in ("global", "summary", "local"):
            key = f"{level}_image_to_text_mining"
            if f"{key}_precision" in runs[0]["mining"]:
                columns = [
                    thirds([one["mining"][f"{key}_{what}"] for one in runs]) for what in ("precision", "recall")
                ]
                print(f"| {variant} | {level} | {' | '.join(columns)} |")


def thirds(seeds: list[list[float | None]]) -> str:
    means = [[value for value in third if value is not None] for third in zip(*seeds, strict=True)]
    return ", ".join(f"{statistics.fmean(some):.2f}" if some else "nothing mined" for some in means)


def plot(found: list[dict], path: Path) -> None:
    """A panel a measure, a bar a variant, at equal steps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    steps = min(one["steps"] for one in found)
    grouped = {variant: cells(runs) for (variant, made), runs in groups(found).items() if made == steps}
    names = [name for name in grouped[max(grouped, key=lambda variant: len(grouped[variant]))] if "chance" not in name]
    columns = 3
    figure, panels = pyplot.subplots(-(-len(names) // columns), columns, figsize=(13, 2.6 * -(-len(names) // columns)))
    for panel, name in zip(panels.flat, names, strict=False):
        some = {variant: row[name] for variant, row in grouped.items() if name in row}
        means, deviations, _ = zip(*some.values(), strict=True)
        panel.barh(list(some), means, xerr=deviations, color=["#b0643c" if "oracle" in v else "#4a7fb0" for v in some])
        panel.invert_yaxis()
        panel.set_title(name, fontsize=10)
        panel.tick_params(labelsize=7)
    for panel in panels.flat[len(names) :]:
        panel.remove()
    figure.suptitle(f"SynthFaces, {steps} steps; mean and deviation over seeds")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=3)
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
