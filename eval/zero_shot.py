"""Zero-shot classification: labels become prompts, and the prompt nearest to a face is its label.

emocapclip eval zero-shot --model M --benchmark rafdb --data-dir /data/RAF-DB
python -m emocapclip_hf.eval.zero_shot --model M --benchmark rafdb --data-dir /data/RAF-DB
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.metrics import confusion_matrix
from torch.nn import functional as F
from transformers import PreTrainedModel

from emocapclip_hf.zero_shot import encode_texts

from .benchmarks import protocol_of
from .checkpoint import Checkpoint
from .embed import Embedded, embed_images
from .metrics.functions import action_unit_f1, ece, f1_per_label, recall_per_class, uar, war
from .prompts import PromptSet
from .results import Metric, Result, bootstrap
from .scored_rows import folds_of

SCORINGS = ("global", "local", "both")
_MULTI_LABEL_RESAMPLES = 200  # each sorts the scores of every label


@dataclass(frozen=True)
class EncodedPrompts:
    """
    Args:
        texts: label → its prompts.
        embeds: (prompts, dim), unit vectors of all labels' prompts, one label after the other.
    """

    texts: Mapping[str, Sequence[str]]
    embeds: torch.Tensor

    @classmethod
    def of(cls, checkpoint: Checkpoint, texts: Mapping[str, Sequence[str]]) -> EncodedPrompts:
        flat = [text for prompts in texts.values() for text in prompts]
        return cls(texts, encode_texts(checkpoint.model, checkpoint.processor, flat).float())

    def label_embeds(self) -> torch.Tensor:
        """(labels, dim): the mean of each label's unit vectors, normalised again."""
        return F.normalize(self.mean_of_prompts(self.embeds.T).T, dim=-1)

    def mean_of_prompts(self, scores: torch.Tensor) -> torch.Tensor:
        """(..., prompts) → (..., labels)."""
        counts = [len(prompts) for prompts in self.texts.values()]
        return torch.stack([part.mean(dim=-1) for part in scores.split(counts, dim=-1)], dim=-1)


def run(
    checkpoint: Checkpoint, dataset: datasets.Dataset, prompts: PromptSet, scoring: str = "global", **embedding: Any
) -> Result:
    """
    Score a benchmark's rows against its labels.

    Args:
        dataset: of `load_scored` or `load_benchmark`. Rows whose label is None are not scored.
        prompts: what stands for each label.
        scoring: "global" compares the picture's vector; "local" asks the local head for each prompt and takes the mean
            over a label's prompts; "both" is the mean of their probabilities.
        embedding: what `embed_images` takes.
    """
    labels = class_list(dataset)
    encoded = EncodedPrompts.of(checkpoint, prompts.of_labels(labels))
    sentences = None if scoring == "global" else encoded.embeds
    embedded = embed_images(checkpoint.model, checkpoint.processor, dataset, sentences=sentences, **embedding)
    several = "label_id" not in dataset.column_names  # labels that do not exclude each other
    truth = dataset["labels" if several else "label_id"][:]
    embedded = embedded.only([truth[row] is not None for row in embedded.rows.tolist()])
    truth = np.array([truth[row] for row in embedded.rows.tolist()])
    folds = folds_of(dataset.select(embedded.rows.tolist()))
    if several:
        found = cosines(encoded, embedded, scoring)
        metrics, details = multi_label_metrics(found, truth.astype(float), labels, folds)
    else:
        found = probabilities(checkpoint.model, encoded, embedded, scoring)
        metrics, details = classification_metrics(found, truth, labels, folds)
    protocol = protocol_of(dataset)
    return Result(
        "zero-shot",
        protocol["benchmark"],
        metrics,
        n=len(embedded),
        model=checkpoint.name,
        revision=checkpoint.revision,
        fingerprint=dataset._fingerprint,
        protocol=protocol | {"prompt_set": prompts.name, "prompts_by": prompts.source, "scoring": scoring},
        prompts=dict(encoded.texts),
        details=details,
        skipped=[list(entry) for entry in embedded.skipped],
    )


def class_list(dataset: datasets.Dataset) -> list[str]:
    """The labels of a benchmark, in order; a split without any is an error."""
    if "label_id" in dataset.column_names:
        return list(dataset.features["label_id"].names)
    protocol = protocol_of(dataset)
    if "labels" in dataset.column_names:
        return protocol["labels"]
    raise ValueError(
        f"the {protocol['split']} split of {protocol['title']} has no labels, so there is nothing to score; its "
        f"columns are {', '.join(dataset.column_names)}. Choose another split or task"
    )


def probabilities(
    model: PreTrainedModel, prompts: EncodedPrompts, embedded: Embedded, scoring: str = "global"
) -> np.ndarray:
    """(rows, labels): at the temperature that the model learnt for each kind of score."""
    found = []
    if scoring in ("global", "both"):
        scale = model.logit_scale.exp().item()
        found.append((scale * embedded.embeds @ prompts.label_embeds().cpu().T).softmax(dim=-1))
    if scoring in ("local", "both"):
        scale = model.local_head.logit_scale.exp().item()
        found.append((scale * prompts.mean_of_prompts(embedded.local_scores)).softmax(dim=-1))
    return torch.stack(_some(found, scoring)).mean(dim=0).double().numpy()


def cosines(prompts: EncodedPrompts, embedded: Embedded, scoring: str = "global") -> np.ndarray:
    """(rows, texts' keys): each for itself, for labels that do not exclude each other."""
    found = []
    if scoring in ("global", "both"):
        found.append(embedded.embeds @ prompts.label_embeds().cpu().T)
    if scoring in ("local", "both"):
        found.append(prompts.mean_of_prompts(embedded.local_scores))
    return torch.stack(_some(found, scoring)).mean(dim=0).double().numpy()


def classification_metrics(
    found: np.ndarray, truth: np.ndarray, labels: Sequence[str], folds: np.ndarray | None = None
) -> tuple[dict[str, Metric], dict[str, Any]]:
    """WAR, UAR and ECE of probabilities (rows, labels); recalls and confusion matrix for tables and pictures."""
    predicted = found.argmax(axis=1)
    metrics = bootstrap({"war": war, "uar": uar}, predicted, truth, folds=folds)
    metrics |= bootstrap({"ece": ece}, found, truth, folds=folds)
    recalls = recall_per_class(predicted, truth)
    details = {
        "labels": list(labels),
        "recall": {labels[number]: recall for number, recall in recalls.items()},
        "confusion": confusion_matrix(truth, predicted, labels=range(len(labels))).tolist(),  # (truth, predicted)
    }
    return metrics, details


def multi_label_metrics(
    found: np.ndarray, truth: np.ndarray, labels: Sequence[str], folds: np.ndarray | None = None
) -> tuple[dict[str, Metric], dict[str, Any]]:
    """
    Mean area under the ROC curve over labels, which needs no threshold; and mean F1 of the labels whose texts come
    nearer than the texts that deny them, if the prompts have such.

    Args:
        found: (rows, labels), or (rows, 2 · labels) with the scores of the denials behind.
        truth: (rows, labels): 1 present, 0 absent, nan not annotated.
    """
    asserted = found[:, : len(labels)]
    functions = {"auc": lambda found, truth: float(np.nanmean(auc_per_label(found[:, : len(labels)], truth)))}
    details = {"labels": list(labels), "auc": _named(labels, auc_per_label(asserted, truth))}
    if found.shape[1] > len(labels):
        functions["f1"] = lambda found, truth: action_unit_f1(_nearer_than_denied(found), truth)
        details["f1"] = _named(labels, f1_per_label(_nearer_than_denied(found), truth))
    return bootstrap(functions, found, truth, folds=folds, resamples=_MULTI_LABEL_RESAMPLES), details


def _nearer_than_denied(found: np.ndarray) -> np.ndarray:
    asserted, denied = np.split(found, 2, axis=1)
    return asserted > denied


def _named(labels: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return dict(zip(labels, values.tolist(), strict=True))


def auc_per_label(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each column; nan where only one answer occurs.

    >>> auc_per_label(np.array([[0.1], [0.4], [0.35], [0.8]]), np.array([[0.0], [0.0], [1.0], [1.0]]))
    array([0.75])
    """
    values = np.full(truth.shape[1], np.nan)
    for label in range(truth.shape[1]):
        known = ~np.isnan(truth[:, label])
        present = truth[known, label] == 1
        pairs = present.sum() * (~present).sum()
        if pairs:  # the share of pairs, one present and one absent, in the right order; a tie is half
            ranks = rankdata(scores[known, label])[present]
            values[label] = (ranks.sum() - len(ranks) * (len(ranks) + 1) / 2) / pairs
    return values


def _some(found: list[torch.Tensor], scoring: str) -> list[torch.Tensor]:
    if not found:
        raise ValueError(f"scoring={scoring!r}: choose from {', '.join(SCORINGS)}")
    return found


if __name__ == "__main__":
    from .command import main

    sys.exit(main("zero-shot"))
