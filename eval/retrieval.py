"""Retrieval: the caption of a face among all captions, and the face of a caption among all faces.

Captions and sentences that read the same are one entry of the gallery, and all its faces are right answers. At
caption level a face has its (global) caption; at sentence level every local sentence of its caption is a right answer.

emocapclip eval retrieval --model M --benchmark mafw-captions --data-dir /data/MAFW
python -m emocapclip_hf.eval.retrieval --model M --benchmark synthfaces
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
import torch
from torch.nn import functional as F

from emocapclip_hf.onednn import OneDNNLinear
from emocapclip_hf.zero_shot import encode_texts

from .benchmarks import protocol_of
from .checkpoint import Checkpoint
from .embed import Embedded, embed_images
from .ranking import KS, Ranking, chance, rank
from .results import Metric, Result, bootstrap
from .retrieval_examples import show_examples

SCORINGS = ("global", "local")
_BLOCK_BYTES = 64 * 2**20  # of scores, held at a time


@dataclass(frozen=True)
class Texts:
    """
    The texts of a dataset's rows, each once.

    Args:
        level: "caption" or "sentence".
        texts: in the order in which they first occur.
        of_row: for each row, the places in `texts` of its own.
    """

    level: str
    texts: list[str]
    of_row: list[list[int]]

    @classmethod
    def collect(cls, level: str, of_rows: Iterable[Sequence[str]]) -> Texts:
        """
        >>> Texts.collect("sentence", [["Lips parted.", "Brows up."], ["Brows  up."], []])
        Texts(level='sentence', texts=['Lips parted.', 'Brows up.'], of_row=[[0, 1], [1], []])
        """
        places: dict[str, int] = {}
        read = ([" ".join(text.split()) for text in texts] for texts in of_rows)
        of_row = [sorted({places.setdefault(text, len(places)) for text in texts if text}) for texts in read]
        return cls(level, list(places), of_row)


def caption_levels(dataset: datasets.Dataset) -> list[Texts]:
    """The captions of a benchmark, and its sentences where it has them."""
    columns = dataset.column_names
    whole = next((name for name in ("caption", "global_caption") if name in columns), None)
    if whole is None:
        raise ValueError(
            f"{protocol_of(dataset)['title']} has no column caption or global_caption to retrieve by; it has "
            f"{', '.join(columns)}"
        )
    levels = [Texts.collect("caption", ([text or ""] for text in dataset[whole]))]
    if "local_captions" in columns:
        levels.append(Texts.collect("sentence", (texts or [] for texts in dataset["local_captions"])))
    return levels


def score_blocks(queries: torch.Tensor, gallery: torch.Tensor) -> Iterator[np.ndarray]:
    """Inner products (some queries, gallery) in order, as many queries at a time as memory is granted for."""
    for block in queries.split(max(1, _BLOCK_BYTES // (4 * len(gallery)))):
        with torch.no_grad(), OneDNNLinear():
            yield F.linear(block, gallery).numpy()


@dataclass(frozen=True)
class Pairs:
    """
    Faces and the texts of a level, and which belong together.

    Args:
        texts: the gallery of texts.
        faces: which of the embedded faces have a text.
        texts_of: for each of them, the places of its texts.
        asked: the texts that have a face.
        faces_of: for each of those, the places of its faces in `faces`.
    """

    texts: Texts
    faces: np.ndarray
    texts_of: list[np.ndarray]
    asked: np.ndarray
    faces_of: list[np.ndarray]

    @classmethod
    def of(cls, texts: Texts, rows: Sequence[int]) -> Pairs:
        """`rows`: where each embedded face stands in the dataset."""
        faces = [face for face, row in enumerate(rows) if texts.of_row[row]]
        if not faces:
            raise ValueError(f"no row that can be read has a {texts.level}, so there is nothing to retrieve")
        texts_of = [np.array(texts.of_row[rows[face]]) for face in faces]
        faces_of: list[list[int]] = [[] for _ in texts.texts]
        for place, own in enumerate(texts_of):
            for text in own:
                faces_of[text].append(place)
        asked = [text for text, found in enumerate(faces_of) if found]
        return cls(texts, np.array(faces), texts_of, np.array(asked), [np.array(faces_of[text]) for text in asked])


@torch.no_grad()
def run(
    checkpoint: Checkpoint, dataset: datasets.Dataset, *, scoring: str = "global", examples: int = 4, **embedding: Any
) -> Result:
    """
    Rank captions for faces and faces for captions; and sentences, where the dataset has them.

    Args:
        dataset: of `load_benchmark`, with `caption`, or with `global_caption` and `local_captions`.
        scoring: of sentences: "global" compares vectors, "local" asks the local head. Captions are always compared by
            their vectors.
        examples: how many queries of each kind go into the result, with small pictures of the faces, for reports; 0
            where pictures must not be copied.
        embedding: what `embed_images` takes.
    """
    if scoring not in SCORINGS:
        raise ValueError(f"scoring={scoring!r}: choose from {', '.join(SCORINGS)}")
    levels = caption_levels(dataset)
    encoded = [encode_texts(checkpoint.model, checkpoint.processor, level.texts).float().cpu() for level in levels]
    local = scoring == "local" and levels[-1].level == "sentence"
    sentences = encoded[-1] if local else None
    embedded = embed_images(checkpoint.model, checkpoint.processor, dataset, sentences=sentences, **embedding)
    metrics: dict[str, Metric] = {}
    details: dict[str, Any] = {"chance": {}, "gallery": {}, "examples": []}
    for level, embeds in zip(levels, encoded, strict=True):
        pairs = Pairs.of(level, embedded.rows.tolist())
        scores = (
            _LocalScores(embedded, pairs) if local and level.level == "sentence" else _Scores(embedded, embeds, pairs)
        )
        prefix = "" if level.level == "caption" else "sentence_"
        for way, blocks, right, gallery in (
            ("image_to_text", scores.of_texts(), pairs.texts_of, len(level.texts)),
            ("text_to_image", scores.of_faces(), pairs.faces_of, len(pairs.faces)),
        ):
            metrics |= _metrics(rank(blocks, right), f"{prefix}{way}")
            details["chance"] |= {
                f"{prefix}{way}_r{k}": p for k, p in zip(KS, _hits(chance(gallery, right)), strict=True)
            }
            details["gallery"][f"{prefix}{way}"] = gallery
        details["examples"] += show_examples(dataset, embedded, embeds, pairs, examples) if level is levels[0] else []
    protocol = protocol_of(dataset)
    return Result(
        "retrieval",
        protocol["benchmark"],
        metrics,
        n=len(embedded),
        model=checkpoint.name,
        revision=checkpoint.revision,
        fingerprint=dataset._fingerprint,
        protocol=protocol
        | {"scoring": scoring, "gallery": "texts that read the same are one", "ties": "mean over their orders"},
        details=details,
        skipped=[list(entry) for entry in embedded.skipped],
    )


class _Scores:
    """Cosines of faces and texts, a block of queries at a time."""

    def __init__(self, embedded: Embedded, texts: torch.Tensor, pairs: Pairs):
        self.faces, self.texts, self.asked = embedded.embeds[pairs.faces], texts, pairs.asked

    def of_texts(self) -> Iterator[np.ndarray]:
        return score_blocks(self.faces, self.texts)

    def of_faces(self) -> Iterator[np.ndarray]:
        return score_blocks(self.texts[self.asked], self.faces)


class _LocalScores:
    """What the local head says of faces and sentences; `embed_images` has asked it."""

    def __init__(self, embedded: Embedded, pairs: Pairs):
        self.scores, self.asked = embedded.local_scores[pairs.faces].numpy(), pairs.asked

    def of_texts(self) -> Iterator[np.ndarray]:
        yield self.scores

    def of_faces(self) -> Iterator[np.ndarray]:
        yield np.ascontiguousarray(self.scores[:, self.asked].T)


def _metrics(ranking: Ranking, prefix: str) -> dict[str, Metric]:
    """R@k, median rank and mean average precision, with intervals over queries."""
    measures = {f"r{k}": (np.mean, ranking.hits[:, place]) for place, k in enumerate(KS)}
    measures |= {"median_rank": (np.median, ranking.first), "map": (np.mean, ranking.precision)}
    found: dict[str, Metric] = {}
    for name, (measure, values) in measures.items():
        found |= bootstrap({f"{prefix}_{name}": measure}, values)
    return found


def _hits(ranking: Ranking) -> list[float]:
    return ranking.hits.mean(axis=0).tolist()


if __name__ == "__main__":
    from .command import main

    sys.exit(main("retrieval"))
