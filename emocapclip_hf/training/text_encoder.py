"""Sentence vectors from any encoder that transformers can load."""

from __future__ import annotations

import json

import torch
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer
from transformers.utils import cached_file


class SentenceEncoder:
    """
    A frozen text encoder: texts → unit vectors.

    CLIP-like models give their text features. Of any other, the last layer's tokens are averaged, or the first is
    taken where the checkpoint says so as sentence-transformers does (`1_Pooling/config.json`).

    Args:
        name_or_path: a folder or a Hub id.

    ```python
    encode = SentenceEncoder("sentence-transformers/all-MiniLM-L6-v2")
    encode(["a happy face", "a face full of joy"]) @ encode(["a sad face"]).T  # (2, 1)
    ```"""

    def __init__(self, name_or_path: str):
        self.tokenizer = AutoTokenizer.from_pretrained(name_or_path)
        self.model = AutoModel.from_pretrained(name_or_path).eval().requires_grad_(False)
        self.takes_first_token = _pooling(name_or_path).get("pooling_mode_cls_token", False)

    def to(self, device: torch.device) -> SentenceEncoder:
        self.model.to(device)
        return self

    @torch.no_grad()
    def __call__(self, texts: list[str]) -> torch.Tensor:
        tokens = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt").to(self.model.device)
        if hasattr(self.model, "get_text_features"):
            pooled = self.model.get_text_features(**tokens).pooler_output
        else:
            hidden = self.model(**tokens).last_hidden_state  # (texts, tokens, dim)
            mask = tokens["attention_mask"][..., None].to(hidden.dtype)
            pooled = hidden[:, 0] if self.takes_first_token else (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        return F.normalize(pooled.float(), dim=-1)


def _pooling(name_or_path: str) -> dict:
    file = cached_file(
        name_or_path,
        "1_Pooling/config.json",
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if file is None:
        return {}
    with open(file, encoding="utf-8") as content:
        return json.load(content)
