"""The card's picture: words a caption, sentences a region, emotions, and what was rejected and why."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .statistics import Statistics

_BLUE, _ORANGE = "#3b6ea5", "#d08a3e"


def draw_statistics(statistics: Statistics, path: Path, paper_words: int) -> None:
    """Four panels; the same counts give the same file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8.5), layout="constrained")
    FigureCanvasAgg(figure)
    (words, regions), (emotions, rejected) = figure.subplots(2, 2)
    words.hist(list(statistics.words), bins=30, weights=list(statistics.words.values()), color=_BLUE)
    for place, what, colour in (
        (statistics.mean_words, "mean here", "black"),
        (paper_words, "EmoCap100K (paper)", _ORANGE),
    ):
        words.axvline(place, color=colour, linestyle="--", label=f"{what}: {place:.0f}")
    words.legend(loc="upper left")
    words.margins(y=0.2)  # room for it
    words.set(title="Words a caption", xlabel="words", ylabel="captions")
    captions = max(1, statistics.words.total())
    per_region = {region: count / captions for region, count in statistics.regions.items()}
    _bars(regions, per_region, "Local sentences a caption, by region", "sentences")
    _bars(emotions, dict(statistics.emotions.most_common()), "Emotion of the caption", "captions")
    faces = {f"face: {reason}": count for reason, count in statistics.rejected_faces.items()}
    faults = {f"caption: {kind}": count for kind, count in statistics.caption_faults.items()}
    _bars(rejected, faces | faults, "Rejected, by reason", "faces, captions")
    aside = path.with_name(f".{path.name}.partial.png")
    figure.savefig(aside, dpi=90, metadata={"Software": None})
    os.replace(aside, path)


def _bars(axes, values: Mapping[str, float], title: str, unit: str) -> None:
    """From the top down, in the order given."""
    axes.set(title=title, xlabel=unit)
    if not values:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "none", ha="center", transform=axes.transAxes)
        return
    bars = axes.barh(list(values), list(values.values()), color=_BLUE)
    axes.bar_label(bars, [f"{value:,.2f}" if value != int(value) else f"{value:,.0f}" for value in values.values()])
    axes.invert_yaxis()
    axes.margins(x=0.15)
