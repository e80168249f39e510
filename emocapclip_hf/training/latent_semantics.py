"""Text vectors learned from the captions of the run alone, so that mining has a guide from the first step."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch.nn import functional as F

# Other stop words say nothing of a face.
NEGATIONS = {"no", "not", "nor", "none", "nothing", "never", "neither", "without", "cannot"}
PLACES = {"above", "back", "below", "both", "bottom", "down", "front", "off", "out", "over", "side", "together", "top"}
PLACES |= {"under", "up"}
PRIOR = 5  # captions: a phrase that fewer have is hardly known by the company it keeps
PHRASES = 2**16  # the most frequent ones


class LatentSemantics:
    """
    Latent semantic analysis: a phrase means what is said with it, and a text what its phrases mean.

    "Dread" and "fear" never stand in one caption, but both with raised brows and wide eyes. The vector of a word, or
    of two in a row, is the mean over the captions that have it, less the mean over all: what is said of any face has
    next to none. Needs scikit-learn.

    Args:
        captions: whole captions, each the text of all its levels.
        dim: of the vectors; few, so that what occurs together falls together.

    >>> about_fear = [f"{word}: wide eyes, raised brows" for word in ("fear", "dread")]
    >>> about_joy = [f"{word}: raised cheeks, a smile" for word in ("joy", "delight")]
    >>> fear, dread, joy = LatentSemantics((about_fear + about_joy) * 5, dim=2)(["fear", "dread", "joy"])
    >>> bool(fear @ dread > 0.9), bool(fear @ joy < 0.6)
    (True, True)
    """

    def __init__(self, captions: Iterable[str], dim: int = 24):
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

        self._weigh = TfidfVectorizer(
            sublinear_tf=True,
            stop_words=sorted(ENGLISH_STOP_WORDS - NEGATIONS - PLACES),
            ngram_range=(1, 2),
            max_features=PHRASES,
            dtype=np.float32,
        )
        table = self._weigh.fit_transform(captions)  # (captions, phrases), sparse
        svd = TruncatedSVD(min(dim, *(size - 1 for size in table.shape)), random_state=0)
        meanings = F.normalize(torch.from_numpy(svd.fit_transform(table)), dim=1).numpy()  # (captions, dim)
        said = table > 0
        counts = np.asarray(said.sum(axis=0), dtype=np.float32).reshape(-1, 1)
        self._phrases = (said.T @ (meanings - meanings.mean(axis=0))) / (counts + PRIOR)  # (phrases, dim)

    def __call__(self, texts: list[str]) -> torch.Tensor:
        """Unit vectors (texts, dim); zeros for a text without any known phrase."""
        return F.normalize(torch.from_numpy((self._weigh.transform(texts) > 0) @ self._phrases), dim=1)
