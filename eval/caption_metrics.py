"""Figures of many captions: how true they are, how they are worded, and how a model finds them to fit the pictures."""

from __future__ import annotations

from collections.abc import Sequence

import datasets
import numpy as np
import torch
from torch.nn import functional as F

from emocapclip_hf.data.caption import EmoCaption
from emocapclip_hf.zero_shot import encode_texts

from .caption_truth import annotated_units, known_facts, only_units
from .checkpoint import Checkpoint
from .factuality import Factuality, compare, facts_of
from .keyword_protocol import Keywords, units_by_code
from .metrics.functions import action_unit_f1
from .metrics.wording import bert_score, bleu, cider_d, distinct, meteor, meteor_available, rouge_l, words_per_caption
from .results import Metric, bootstrap

RESAMPLES = 200
_FACTS = {  # metric → the rows of `Factuality` whose mean it is
    "emotion_accuracy": "emotion",
    "structure": "structured",
    "contradiction_rate": "contradicted",
    "hallucinated_units": "hallucinated",
    "side_accuracy": "side",
    "strength_accuracy": "strength",
}


def factual_metrics(
    captions: Sequence[str], rows: datasets.Dataset, resamples: int = RESAMPLES, folds: np.ndarray | None = None
) -> dict[str, Metric]:
    """What captions say, read by the caption parser, against what is known of the faces; what is not is left out."""
    units = annotated_units(rows)
    found = compare([only_units(facts_of(caption), units) for caption in captions], known_facts(rows))
    metrics = {
        name: lambda chosen, values=values: _mean_of_known(values[chosen])
        for name, part in _FACTS.items()
        if not np.isnan(values := getattr(found, part)).all()
    }
    if found.units:
        metrics["au_f1"] = lambda chosen: _macro_f1(found.said[chosen], found.there[chosen])
        metrics["au_f1_micro"] = lambda chosen: _micro_f1(found, chosen)
    return bootstrap(metrics, np.arange(len(captions)), resamples=resamples, folds=folds)


def keyword_metrics(
    captions: Sequence[str], rows: datasets.Dataset, keywords: Keywords, resamples: int = RESAMPLES
) -> dict[str, Metric]:
    """The figures of FABA-Bench by its own rule, for rows with its `label` or `labels`."""
    if "label" in rows.column_names:
        said = [keywords.emotion_of(caption) for caption in captions]
        right = np.array([one == other for one, other in zip(said, rows["label"][:], strict=True)], dtype=float)
        return bootstrap({"keyword_accuracy": np.mean}, right, resamples=resamples)
    units = annotated_units(rows)
    if units is None:
        return {}
    codes = [units_by_code(caption) for caption in captions]
    said = np.array([[float(unit in coded) for unit in units] for coded in codes])
    return bootstrap({"keyword_au_f1": _macro_f1}, said, np.array(rows["labels"][:]), resamples=resamples)


def wording_metrics(
    captions: Sequence[str],
    references: Sequence[str],
    encoder: str | None = None,
    resamples: int = RESAMPLES,
    folds: np.ndarray | None = None,
) -> dict[str, Metric]:
    """
    BLEU, ROUGE-L, CIDEr-D, variety and length; METEOR where WordNet is, BERTScore with an `encoder`.

    BLEU and variety are of all captions together, and have no interval.
    """
    per_caption = {"rouge_l": rouge_l(captions, references), "cider_d": cider_d(captions, references)}
    if meteor_available():
        per_caption["meteor"] = meteor(captions, references)
    if encoder is not None:
        per_caption["bert_score"] = bert_score(captions, references, encoder)
    means = {name: lambda chosen, values=values: float(values[chosen].mean()) for name, values in per_caption.items()}
    together = {
        "bleu": bleu(captions, references),
        "distinct_1": distinct(captions, 1),
        "distinct_2": distinct(captions, 2),
        "words": words_per_caption(captions),
    }
    found = bootstrap(means, np.arange(len(captions)), resamples=resamples, folds=folds)
    return found | {name: Metric(value) for name, value in together.items()}


@torch.no_grad()
def image_caption_agreement(
    encoder: Checkpoint, images: torch.Tensor, captions: Sequence[str], references: Sequence[str]
) -> dict[str, Metric]:
    """CLIPScore and RefCLIPScore (Hessel et al., 2021) by an EmoCapCLIP model, sentence by sentence.

    A score that the model gives to captions of its own tower says little of their truth; never a headline.

    Args:
        images: (captions, dim), the encoder's unit vectors of the pictures.
    """
    own, true = (_embed_captions(encoder, texts) for texts in (captions, references))
    clip = 2.5 * (images.to(own) * own).sum(dim=1).clamp(min=0)
    reference = (own * true).sum(dim=1).clamp(min=0)
    harmonic = 2 * clip * reference / (clip + reference).clamp(min=1e-8)
    return {"clip_score": Metric(clip.mean().item()), "ref_clip_score": Metric(harmonic.mean().item())}


def _embed_captions(encoder: Checkpoint, captions: Sequence[str]) -> torch.Tensor:
    """A caption's unit embedding: the mean of its sentences', which each fit the text tower. (captions, dim)"""
    parsed = [EmoCaption.from_paragraph(caption) for caption in captions]
    sentences = [[c.global_caption, *c.local_captions, c.summary_caption] for c in parsed]
    sentences = [[sentence for sentence in row if sentence] or ["."] for row in sentences]
    distinct_ones = sorted({sentence for row in sentences for sentence in row})
    encoded = encode_texts(encoder.model, encoder.processor, distinct_ones).float()
    embeds = dict(zip(distinct_ones, encoded, strict=True))
    means = torch.stack([torch.stack([embeds[sentence] for sentence in row]).mean(dim=0) for row in sentences])
    return F.normalize(means, dim=-1)


def _mean_of_known(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def _macro_f1(said: np.ndarray, there: np.ndarray) -> float:
    """The mean over the units that are there or are said to be; a sample may lack a rare one."""
    concerned = (said > 0).any(axis=0) | (there > 0).any(axis=0)
    return action_unit_f1(said[:, concerned], there[:, concerned]) if concerned.any() else np.nan


def _micro_f1(found: Factuality, chosen: np.ndarray) -> float:
    said, there = found.said[chosen], found.there[chosen]
    known = ~np.isnan(there)
    hits = (said * there)[known].sum()
    return float(2 * hits / max(1.0, said[known].sum() + there[known].sum()))
