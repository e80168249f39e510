"""The card of a built dataset: how it was made, what is in it, what it must not be used for."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ... import __version__
from .plots import draw_statistics
from .statistics import Statistics, gather_statistics

_PAPER_WORDS = 267  # words a caption of EmoCap100K, by the paper

_CARD = """\
---
license: {license}
pretty_name: {title}
language: [en]
task_categories: [zero-shot-image-classification, image-to-text]
tags: [emotion, facial-expression, emocapclip, synthetic-captions]
size_categories: [{size_category}]
configs:
- config_name: default
  data_files:
{data_files}
---

# {title}

Faces from films and photographs, each with a caption of the visible expression at three levels, in the style of
EmoCapCLIP (arXiv 2507.21015). Built with emocapclip-hf {version}: `emocapclip data build`.

**The captions were written by a model, not by people.** They were checked by rules (levels, length, regions,
contradictions, forbidden content), never against the truth. `emotion` is the first emotion that a caption's summary
names; it is no annotation.

| split | rows |
|---|---|
{split_table}

No film is in two splits, nor are two films that share a person (where persons were named) or a face that looks the
same.

![statistics](statistics.png)

## How it was made

- Frames: {frames:,} of {scenes:,} scenes, from {films:,} films and {pictures:,} pictures; {problems:,} of these were \
damaged.
- Faces: {faces:,} found, {kept:,} kept. Rejected: {rejected}.
- Captions: by `{model}`, prompt version {prompt_version}, {parameters}.
- Checks: {passed:,} passed, after one round {rounds_one:,}; {set_aside:,} were set aside: {faults}.
- A caption has {mean_words:.0f} words on average (EmoCap100K, by the paper: about {paper_words}) and \
{mean_local:.1f} local sentences.

## Columns

| column | |
|---|---|
{column_table}

## Uses, and what this is not for

For learning and studying how visible facial expressions are described. A face shows movements of muscles, not what a
person feels or is. Do not use it to identify people, or to judge them: inferring emotions at work and in schools is
forbidden in the European Union (AI Act, Article 5). The people shown did not consent by appearing in a film; whoever
shares this dataset must hold the rights to the footage.
"""

_COLUMNS = {
    "image": "the face, cropped, JPEG",
    "global_caption": "one sentence: the expression and its intensity",
    "local_captions": "sentences about what single regions do",
    "summary_caption": "closing sentence: the emotion and its cues",
    "emotion": "the first emotion that the summary names (the global caption, if the summary names none)",
    "face": "file, frame and number of the face in it",
    "film": "what splits keep whole: a film, or a folder of pictures",
    "identity": "the person, where the file's name tells",
    "seconds": "time code in the film",
    "raw_caption": "the captioner's reply as it came",
    "caption_model": "the captioner, as it calls itself",
    "caption_recipe": "model, prompt version and parameters of the request, as JSON",
    "caption_rounds": "how often it was asked before the caption passed",
    "agreement": "with a second caption of the same face, 0 to 1, where one was asked for",
    "similarity": "of caption and face by an EmoCapCLIP checkpoint, where one was given",
    "flagged": "among the least similar",
}


def write_card(
    out: Path, folder: Path, rows: Mapping[str, int], title: str, license: str, columns: Sequence[str]
) -> None:
    """`README.md` and `statistics.png` of the dataset's folder."""
    statistics = gather_statistics(out)
    draw_statistics(statistics, folder / "statistics.png", _PAPER_WORDS)
    aside = folder / ".README.md.partial"
    aside.write_text(_card(out, statistics, rows, title, license, columns), encoding="utf-8")
    os.replace(aside, folder / "README.md")


def _card(
    out: Path, statistics: Statistics, rows: Mapping[str, int], title: str, license: str, columns: Sequence[str]
) -> str:
    frames, faces, checks, recipe = (
        json.loads((out / stage / name).read_text(encoding="utf-8"))
        for stage, name in (
            ("frames", "summary.json"),
            ("faces", "summary.json"),
            ("checks", "summary.json"),
            ("captions", "recipe.json"),
        )
    )
    total = sum(rows.values())
    categories = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    parameters = {name: value for name, value in recipe.items() if name not in ("model", "prompt_version")}
    return _CARD.format(
        title=title,
        license=license,
        version=__version__,
        size_category=next((name for limit, name in categories if total < limit), "1M<n<10M"),
        data_files="\n".join(f"  - split: {split}\n    path: data/{split}-*" for split in rows),
        split_table="\n".join(f"| {split} | {count:,} |" for split, count in rows.items()),
        **{name: frames[name] for name in ("frames", "films", "pictures", "scenes")},
        problems=len(frames["problems"]),
        faces=faces["faces"],
        kept=faces["kept"],
        rejected=_listed(faces["rejected"]),
        model=recipe["model"],
        prompt_version=recipe["prompt_version"],
        parameters=", ".join(f"{name} {value}" for name, value in parameters.items()),
        passed=checks["passed"],
        rounds_one=statistics.rounds[1],
        set_aside=checks["set_aside"],
        faults=_listed(checks["faults"]),
        mean_words=statistics.mean_words,
        paper_words=_PAPER_WORDS,
        mean_local=_mean(statistics.local_sentences),
        column_table="\n".join(f"| `{name}` | {_COLUMNS[name]} |" for name in columns),
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in counts.items()) or "none"


def _mean(counts: Counter[int]) -> float:
    return sum(value * count for value, count in counts.items()) / max(1, counts.total())
