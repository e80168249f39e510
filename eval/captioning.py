"""Captions of faces: whether they are true, and how they are worded.

emocapclip eval captioning --model M --benchmark faba-emotion --data-dir /data/FABA --keywords eval_FABA.py
emocapclip eval captioning --model M --benchmark synthfaces --option n=200 --baselines --encoder runs/synthfaces/model
python -m emocapclip_hf.eval.captioning --model M --benchmark mafw-captions --data-dir /data/MAFW

What a caption says is read back by the caption parser and compared with what the benchmark knows of the face; FABA's
own rule is applied beside it. With baselines the same figures stand for captions that were not written for the face.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from emocapclip_hf.captioning import IMAGE_BATCH, caption_images

from .benchmarks import protocol_of
from .caption_baselines import constant_caption, paraphrases, retrieved_captions
from .caption_metrics import factual_metrics, image_caption_agreement, keyword_metrics, wording_metrics
from .caption_truth import annotated_units, known_facts, reference_captions
from .checkpoint import Checkpoint, process_state
from .embed import embed_images, report_skipped, together
from .keyword_protocol import OURS, Keywords
from .pictures import PictureBatches
from .results import Metric, Result
from .scored_rows import folds_of

BASELINES = {name: f"captioning-{name}" for name in ("retrieval-baseline", "constant-baseline", "paraphrase-ceiling")}
SYSTEMS = ("captioning", *BASELINES.values())  # what a result's task is called
KEYWORD_BENCHMARKS = ("faba-emotion", "faba-au")  # that are read by FABA-Bench's own rule as well
_KNOWN = ("caption", "global_caption", "label", "emotion", "action_units")  # columns that captions are held against
_EXAMPLES = 20
# How figures came about, for the result file; ours unless they name somebody else.
_READINGS = {
    "emotion_accuracy": "the caption parser finds the row's emotions, and no other, in global and summary sentence",
    "au_f1": "macro F1 of the action units that the caption parser finds, in words or by code, over those that act",
    "rouge_l": "rouge-score's F-measure; FABA-Bench's script takes the package rouge, whose figures differ a little",
    "keyword_accuracy": "FABA-Bench's rule: sentences with a denial left out, the first keyword of the first "
    "sentence, else the emotion with most keywords; keywords: ",
    "keyword_au_f1": "FABA-Bench's rule: units are named by code, as AU12; mean F1 over those that are named or act",
}


@dataclass
class Written:
    """
    Args:
        captions: in the order of the rows.
        rows: where each stands in the dataset; rows that could not be read are not here.
        skipped: (id, trouble) of those.
    """

    captions: list[str]
    rows: list[int]
    skipped: list[tuple[str, str]]


def run(
    checkpoint: Checkpoint,
    dataset: datasets.Dataset,
    train: datasets.Dataset | None = None,
    encoder: Checkpoint | None = None,
    keywords: Keywords = OURS,
    bert_encoder: str | None = None,
    cache_dir: str | None = None,
    batch_size: int = IMAGE_BATCH,
    num_workers: int = 0,
    strict: bool = False,
    **generate_options: Any,
) -> Iterator[Result]:
    """
    Write a caption for each row, and score them; with `train` also the baselines' captions. Every process calls this.

    Args:
        checkpoint: of a captioner.
        dataset: of `load_scored`, with pictures or clips, and captions, emotions or action units.
        train: captioned rows that the baselines take theirs from.
        encoder: an EmoCapCLIP model, for the retrieval baseline and for how well captions fit pictures.
        keywords: of FABA-Bench's rule.
        bert_encoder: for BERTScore, a folder or Hub id.
        cache_dir: of the encoder's embeddings.
        strict: stop at the first picture that cannot be read, instead of leaving its row out.
        generate_options: `prompt`, and what `generate()` takes.
    """
    _check(dataset)
    written = write_captions(checkpoint, dataset, batch_size, num_workers, strict, **generate_options)
    rows = dataset.select(written.rows)
    scorer = _Scorer(rows, protocol_of(dataset)["benchmark"], keywords, bert_encoder)
    reading = {"cache_dir": cache_dir, "batch_size": batch_size, "num_workers": num_workers, "frames": 1}
    images = encoder and embed_images(encoder.model, encoder.processor, dataset, strict=strict, **reading).embeds
    systems = {"captioning": written.captions}
    if train is not None and encoder is not None:
        known = embed_images(encoder.model, encoder.processor, train, strict=strict, **reading)
        captions = reference_captions(train.select(known.rows.tolist()))
        systems[BASELINES["retrieval-baseline"]] = retrieved_captions(images, known.embeds, captions)
    if train is not None:
        systems[BASELINES["constant-baseline"]] = [constant_caption(train)] * len(rows)
        if (others := _paraphrases(dataset, written.rows)) is not None:
            systems[BASELINES["paraphrase-ceiling"]] = others
    for task, captions in systems.items():
        metrics = scorer.metrics(captions)
        if task == "captioning" and encoder is not None and scorer.references and all(scorer.references):
            metrics |= image_caption_agreement(encoder, images, captions, scorer.references)
        yield Result(
            task,
            protocol_of(dataset)["benchmark"],
            metrics,
            n=len(rows),
            model=checkpoint.name,
            revision=checkpoint.revision,
            fingerprint=dataset._fingerprint,
            protocol=scorer.protocol(protocol_of(dataset), metrics) | {"generate": generate_options},
            details={"examples": scorer.examples(captions)},
            skipped=[list(entry) for entry in written.skipped],
        )


def write_captions(
    checkpoint: Checkpoint,
    dataset: datasets.Dataset,
    batch_size: int = IMAGE_BATCH,
    num_workers: int = 0,
    strict: bool = False,
    **generate_options: Any,
) -> Written:
    """A caption for each picture, or for the middle frame of each clip. The processes share the rows."""
    state = process_state()
    pictures = PictureBatches(dataset, _as_they_are, num_frames=1)
    own = Written([], [], [])

    def faces() -> Iterator[Image.Image]:
        share = range(state.process_index, len(dataset), state.num_processes)
        quiet = None if state.is_main_process else True
        with tqdm(total=len(share), desc="Captions", unit="face", disable=quiet) as bar:
            for batch in pictures.loader([share], batch_size, num_workers):
                own.skipped += batch.skipped
                own.rows += batch.rows
                if strict:
                    report_skipped(own.skipped, len(dataset), strict)
                yield from batch.inputs or ()
                bar.update(len(batch.rows) + len(batch.skipped))

    def work() -> Written:
        own.captions += caption_images(checkpoint.model, checkpoint.processor, faces(), batch_size, **generate_options)
        return own

    parts = together(work)
    order = sorted((row, caption) for part in parts for row, caption in zip(part.rows, part.captions, strict=True))
    skipped = [entry for part in parts for entry in part.skipped]
    report_skipped(skipped, len(dataset), strict)
    return Written([caption for _, caption in order], [row for row, _ in order], skipped)


class _Scorer:
    """What all systems' captions of the same rows are held against."""

    def __init__(self, rows: datasets.Dataset, benchmark: str, keywords: Keywords, bert_encoder: str | None):
        self.rows, self.folds = rows, folds_of(rows)
        self.keywords = keywords if benchmark in KEYWORD_BENCHMARKS else None
        self.bert_encoder = bert_encoder
        self.references = reference_captions(rows)

    def metrics(self, captions: Sequence[str]) -> dict[str, Metric]:
        found = factual_metrics(captions, self.rows, folds=self.folds)
        if self.keywords is not None:
            found |= keyword_metrics(captions, self.rows, self.keywords)
        told = np.flatnonzero([bool(text) for text in self.references or ()])
        if len(told):
            pairs = [[texts[place] for place in told] for texts in (captions, self.references)]
            folds = None if self.folds is None else self.folds[told]
            found |= wording_metrics(*pairs, self.bert_encoder, folds=folds)
        return found

    def protocol(self, protocol: dict[str, Any], metrics: dict[str, Metric]) -> dict[str, Any]:
        """The benchmark's, and how these figures came about."""
        readings = {name: how for name, how in _READINGS.items() if name in metrics}
        if "keyword_accuracy" in readings:
            readings["keyword_accuracy"] += self.keywords.source
            protocol = protocol | {"scoring": f"keywords: {self.keywords.source}"}
        unnamed = sum(facts.emotions is None for facts in known_facts(self.rows))
        if "emotion_accuracy" in readings and unnamed:
            readings["emotion_accuracy"] += f"; {unnamed} rows whose emotion the parser does not know do not count"
        if self.references is not None and not all(self.references):
            readings["references"] = f"{sum(not text for text in self.references)} rows have none"
        pictures = "each picture" if "image" in self.rows.column_names else "the middle frame of each clip"
        return protocol | {"captioning": {"pictures": pictures, **readings}}

    def examples(self, captions: Sequence[str]) -> list[dict[str, str]]:
        first = range(min(_EXAMPLES, len(captions)))
        truths = self.references or [""] * len(captions)
        return [{"id": self.rows[row]["id"], "caption": captions[row], "truth": truths[row]} for row in first]


def _as_they_are(images: list[Image.Image], return_tensors: str) -> list[Image.Image]:
    """Stands for a processor: the captioner's own comes later."""
    return images


def _paraphrases(dataset: datasets.Dataset, rows: Sequence[int]) -> list[str] | None:
    """Of a table that is SynthFaces as it is made, from its first face on."""
    protocol = protocol_of(dataset)
    if "emotion_kind" not in dataset.column_names:
        return None
    references = reference_captions(dataset.select(rows))
    return paraphrases(references, protocol["split"], rows, protocol.get("options", {}).get("seed", 0))


def _check(dataset: datasets.Dataset) -> None:
    protocol = protocol_of(dataset)
    known = annotated_units(dataset) or any(name in dataset.column_names for name in _KNOWN)
    if not known:
        raise ValueError(
            f"{protocol['title']} has neither captions nor emotions nor action units to hold captions against; it has "
            f"{', '.join(dataset.column_names)}"
        )
    if protocol.get("options", {}).get("language", "en") != "en":
        raise ValueError("captions are written in English and cannot be compared with others: --option language=en")


if __name__ == "__main__":
    from .command import main

    sys.exit(main("captioning"))
