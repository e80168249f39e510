"""The nearest vectors of a gallery, exactly and in bounded memory: no matrix of all similarities is ever there."""

from __future__ import annotations

import importlib.util

import torch
from torch.nn import functional as F

from emocapclip_hf.onednn import OneDNNLinear

QUERIES, GALLERY = 512, 16_384  # of a tile of similarities: 32 MiB
FAISS_FROM = 50_000  # rows of a gallery, where FAISS is installed


@torch.no_grad()
def nearest(queries: torch.Tensor, gallery: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """
    The `k` largest inner products of every query, largest first: (queries, k) scores and places in the gallery.

    Args:
        queries, gallery: (queries, dim) and (gallery, dim), on one device.

    >>> scores, places = nearest(torch.eye(2), torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.5, 0.5]]), k=2)
    >>> places.tolist(), scores.tolist()
    ([[1, 2], [0, 2]], [[2.0, 0.5], [1.0, 0.5]])
    """
    if not 1 <= k <= len(gallery):
        raise ValueError(f"k={k}: a gallery of {len(gallery)} has 1 to {len(gallery)} nearest")
    if len(gallery) >= FAISS_FROM and queries.device.type == "cpu" and importlib.util.find_spec("faiss"):
        return _by_faiss(queries, gallery, k)
    found = [_of_block(block, gallery, k) for block in queries.split(QUERIES)]
    scores, places = zip(*found, strict=True) if found else ([queries.new_empty(0, k)], [torch.empty(0, k).long()])
    return torch.cat(scores), torch.cat(places)


def _of_block(queries: torch.Tensor, gallery: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    best = queries.new_empty(len(queries), 0)
    places = torch.empty(len(queries), 0, dtype=torch.long, device=queries.device)
    for start in range(0, len(gallery), GALLERY):
        with OneDNNLinear():
            tile = F.linear(queries, gallery[start : start + GALLERY])  # (queries, part of the gallery)
        scores, here = tile.topk(min(k, tile.shape[1]))
        best, places = torch.cat([best, scores], dim=1), torch.cat([places, here + start], dim=1)
        best, order = best.topk(min(k, best.shape[1]))
        places = places.gather(1, order)
    return best, places


def _by_faiss(queries: torch.Tensor, gallery: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    import faiss

    index = faiss.IndexFlatIP(gallery.shape[1])
    index.add(gallery.float().numpy())
    scores, places = index.search(queries.float().numpy(), k)
    return torch.from_numpy(scores), torch.from_numpy(places)
