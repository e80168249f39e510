"""Text vectors learned from the captions of the run alone, so that mining has a guide from the first step."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch.nn import functional as F


class LatentSemantics:
    """
    Latent semantic analysis: words that occur in the captions of the same faces are alike, and texts of such words.

    "Dread" and "fear" never stand in one sentence, but both with raised brows and wide eyes. Needs scikit-learn.

    Args:
        captions: whole captions, each the text of all its levels.
        dim: of the vectors; few, so that what occurs together falls together.

    >>> about_fear = [f"{word}: wide eyes, raised brows" for word in ("fear", "dread")]
    >>> about_joy = [f"{word}: raised cheeks, a smile" for word in ("joy", "delight")]
    >>> fear, dread, joy = LatentSemantics((about_fear + about_joy) * 5, dim=2)(["fear", "dread", "joy"])
    >>> bool(fear @ dread > 0.9), bool(fear @ joy < 0.6)
    (True, True)
    """

    def __init__(self, captions: Iterable[str], dim: int = 16):
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._weigh = TfidfVectorizer(sublinear_tf=True, stop_words="english", dtype=np.float32)
        table = self._weigh.fit_transform(captions)  # (captions, words), sparse
        svd = TruncatedSVD(min(dim, *(size - 1 for size in table.shape)), random_state=0).fit(table)
        words = torch.from_numpy(svd.components_.T * svd.singular_values_).float()
        self._words = F.normalize(words, dim=1).numpy()  # (words, dim)

    def __call__(self, texts: list[str]) -> torch.Tensor:
        """Unit vectors (texts, dim); zeros for a text without any known word."""
        return F.normalize(torch.from_numpy(self._weigh.transform(texts) @ self._words), dim=1)
