"""How captions are worded, against one or more references each; plain functions, texts in and floats out.

BLEU and ROUGE-L are those of sacrebleu and rouge-score. METEOR and BERTScore need data that does not come with a wheel
(WordNet, an encoder), and are there where it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

CIDER_ORDERS = (1, 2, 3, 4)
CIDER_SIGMA = 6.0  # of the penalty for another length, in words

References = Sequence[str] | Sequence[Sequence[str]]


def bleu(captions: Sequence[str], references: References) -> float:
    """Corpus BLEU-4 of sacrebleu (13a tokens, case and all), from 0 to 1.

    >>> bleu(["The lips are slightly parted now."], ["The lips are slightly parted now."])
    1.0
    """
    import sacrebleu

    references = _several(captions, references)
    most = max(map(len, references))
    # sacrebleu wants one list a position, each as long as the captions; None where there are fewer.
    columns = [[row[index] if index < len(row) else None for row in references] for index in range(most)]
    return round(sacrebleu.corpus_bleu(list(captions), columns).score / 100, 12)


def rouge_l(captions: Sequence[str], references: References) -> np.ndarray:
    """F-measure of the longest common subsequence of words, of each caption with its nearest reference.

    >>> rouge_l(["the lips are parted"], ["the lips are closed"]).tolist()
    [0.75]
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"])
    return np.array(
        [
            max(scorer.score(reference, caption)["rougeL"].fmeasure for reference in row)
            for caption, row in zip(captions, _several(captions, references), strict=True)
        ]
    )


def cider_d(captions: Sequence[str], references: References) -> np.ndarray:
    """CIDEr-D of each caption (Vedantam et al., 2015): cosines of tf-idf n-grams, rare ones counting more.

    Document frequencies are those of the references; words are split at spaces and punctuation, and not stemmed. The
    scale is that of the paper, on which identical texts score 10.

    >>> texts = ["the lips are parted wide", "both brows are raised high"]
    >>> cider_d(texts, texts).round(3).tolist()
    [10.0, 10.0]
    """
    references = _several(captions, references)
    grams = [[_ngrams(reference) for reference in row] for row in references]
    documents = Counter(gram for row in grams for gram in {gram for counts in row for gram in counts})
    log_rows = math.log(max(2, len(references)))

    def weigh(counts: Counter) -> dict[tuple[str, ...], float]:
        return {gram: count * (log_rows - math.log(max(1, documents[gram]))) for gram, count in counts.items()}

    return np.array(
        [
            10 * np.mean([_cider_similarity(_ngrams(caption), reference, weigh) for reference in row])
            for caption, row in zip(captions, grams, strict=True)
        ]
    )


def distinct(captions: Sequence[str], n: int) -> float:
    """How many of all n-grams are different ones: near 0 where every caption says the same.

    >>> distinct(["the lips part", "the lips part"], 2)
    0.5
    """
    grams = [gram for caption in captions for gram in _of_order(_words(caption), n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def words_per_caption(captions: Sequence[str]) -> float:
    return float(np.mean([len(caption.split()) for caption in captions]))


def meteor_available() -> bool:
    """Whether nltk finds WordNet on this machine; it is looked for, never downloaded."""
    import nltk

    for place in ("corpora/wordnet", "corpora/wordnet.zip"):
        try:
            nltk.data.find(place)
        except LookupError:
            continue
        return True
    return False


def meteor(captions: Sequence[str], references: References) -> np.ndarray:
    """METEOR of nltk; only where `meteor_available()`."""
    from nltk.translate.meteor_score import meteor_score

    return np.array(
        [
            meteor_score([_words(reference) for reference in row], _words(caption))
            for caption, row in zip(captions, _several(captions, references), strict=True)
        ]
    )


def bert_score(captions: Sequence[str], references: References, encoder: str | Path) -> np.ndarray:
    """F1 of BERTScore (Zhang et al., 2020) with the last layer of an encoder, without idf and rescaling.

    Args:
        encoder: folder or Hub id of an encoder of transformers. Figures of different encoders do not compare.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder).eval()

    @torch.no_grad()
    def embed(text: str) -> torch.Tensor:
        states = model(**tokenizer(text, return_tensors="pt", truncation=True)).last_hidden_state[0, 1:-1]
        return torch.nn.functional.normalize(states, dim=-1)  # (tokens, dim), without the marks of begin and end

    def similarity(one: torch.Tensor, other: torch.Tensor) -> float:
        cosines = one @ other.T
        precision, recall = cosines.max(dim=1).values.mean(), cosines.max(dim=0).values.mean()
        return float(2 * precision * recall / (precision + recall))

    rows = _several(captions, references)
    embedded = {text: embed(text) for text in {*captions, *(text for row in rows for text in row)}}
    return np.array(
        [
            max(similarity(embedded[caption], embedded[reference]) for reference in row)
            for caption, row in zip(captions, rows, strict=True)
        ]
    )


def _cider_similarity(caption: Counter, reference: Counter, weigh) -> float:
    """The mean over orders of the clipped cosine of two texts, times the penalty for another length."""
    ours, theirs = weigh(caption), weigh(reference)
    lengths = [sum(count for gram, count in counts.items() if len(gram) == 1) for counts in (caption, reference)]
    penalty = math.exp(-((lengths[0] - lengths[1]) ** 2) / (2 * CIDER_SIGMA**2))
    cosines = []
    for order in CIDER_ORDERS:
        shared = sum(
            min(value, theirs[gram]) * theirs[gram]
            for gram, value in ours.items()
            if len(gram) == order and gram in theirs
        )
        norms = [math.sqrt(sum(v**2 for gram, v in vector.items() if len(gram) == order)) for vector in (ours, theirs)]
        cosines.append(shared / (norms[0] * norms[1]) if all(norms) else 0.0)
    return penalty * sum(cosines) / len(cosines)


def _ngrams(text: str) -> Counter:
    words = _words(text)
    return Counter(gram for order in CIDER_ORDERS for gram in _of_order(words, order))


def _of_order(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[start:] for start in range(n)), strict=False))


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() or letter in "-'" else " " for letter in text.lower()).split()


def _several(captions: Sequence[str], references: References) -> list[list[str]]:
    """The references of each caption as a list."""
    if isinstance(captions, str) or len(captions) != len(references) or not len(captions):
        raise ValueError(f"expected as many captions as rows of references, got {len(captions)} and {len(references)}")
    rows = [[row] if isinstance(row, str) else list(row) for row in references]
    empty = next((index for index, row in enumerate(rows) if not row), None)
    if empty is not None:
        raise ValueError(f"references[{empty}] is empty: leave the row out, or give it a reference")
    return rows
