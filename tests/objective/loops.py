"""The objective as one reads it in the design, in loops over pairs: slow, obvious, and independent of the library."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from emocapclip_hf.objective import Captions, Embeddings, Scoring


def unit(*shape: int, generator: torch.Generator) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(shape, generator=generator, dtype=torch.float64), dim=-1)


def random_embeddings(
    sentence_counts: list[int], dim: int = 6, patches: int = 5, seed: int = 0, bias: float | None = None
) -> Embeddings:
    """Embeddings of len(sentence_counts) images; every tensor is a leaf that wants its gradient."""
    generator = torch.Generator().manual_seed(seed)
    images = len(sentence_counts)
    owners = torch.arange(images)
    sentence_owners = owners.repeat_interleave(torch.tensor(sentence_counts, dtype=torch.long))
    captions = {
        "global": Captions(unit(images, dim, generator=generator), owners, owners + 100),
        "summary": Captions(unit(images, dim, generator=generator), owners, owners + 200),
        "local": Captions(
            unit(len(sentence_owners), dim, generator=generator), sentence_owners, torch.arange(len(sentence_owners))
        ),
    }
    scoring = Scoring(
        torch.tensor(7.0).double(),
        None if bias is None else torch.tensor(bias).double(),
        torch.tensor(5.0).double(),
        3 * torch.randn(dim, dim, generator=generator, dtype=torch.float64),
    )
    image = unit(images, dim, generator=generator)
    embeddings = Embeddings(image, captions, unit(images, patches, dim, generator=generator), scoring=scoring)
    return embeddings.with_tensors({name: tensor.requires_grad_() for name, tensor in embeddings.tensors().items()})


def looped_logits(embeddings: Embeddings, level: str) -> torch.Tensor:
    """(images, captions): scaled cosines; at the local level of patches pooled for each sentence in turn."""
    scoring, texts = embeddings.scoring, embeddings.captions[level].embeds
    rows = []
    for i in range(len(embeddings.image)):
        row = []
        for text in texts:
            if level == "local":
                attention = (embeddings.patches[i] @ (text @ scoring.local_query)).softmax(dim=0)
                pooled = sum(weight * patch for weight, patch in zip(attention, embeddings.patches[i], strict=True))
                row.append(scoring.local_scale * (pooled @ text) / pooled.norm())
            else:
                row.append(scoring.scale * (embeddings.image[i] @ text))
        rows.append(torch.stack(row))
    logits = torch.stack(rows)
    return logits if scoring.bias is None else logits + scoring.bias


def looped_softmax_loss(logits: torch.Tensor, for_images: list[list[float]], for_captions: list[list[float]]):
    """Weights (images, captions) → half the mean loss of images, half that of captions."""
    images, captions = logits.shape
    image_losses = []
    for i in range(images):
        total = sum(for_images[i])
        if total > 0:
            normalizer = sum(logits[i, t].exp() for t in range(captions)).log()
            image_losses.append(sum(for_images[i][t] / total * (normalizer - logits[i, t]) for t in range(captions)))
    caption_losses = []
    for t in range(captions):
        total = sum(for_captions[i][t] for i in range(images))
        normalizer = sum(logits[i, t].exp() for i in range(images)).log()
        caption_losses.append(sum(for_captions[i][t] / total * (normalizer - logits[i, t]) for i in range(images)))
    return (sum(image_losses) / len(image_losses) + sum(caption_losses) / len(caption_losses)) / 2


def looped_sigmoid_loss(logits: torch.Tensor, for_images: list[list[float]], for_captions: list[list[float]]):
    images, captions = logits.shape
    asking = [i for i in range(images) if sum(for_images[i]) > 0]

    def pair(logit: torch.Tensor, weight: float) -> torch.Tensor:
        return -(weight * logit.sigmoid().log() + (1 - weight) * (-logit).sigmoid().log())

    by_images = sum(pair(logits[i, t], for_images[i][t]) for i in asking for t in range(captions)) / len(asking)
    by_captions = sum(pair(logits[i, t], for_captions[i][t]) for i in range(images) for t in range(captions))
    return (by_images + by_captions / captions) / 2


def looped_exact(embeddings: Embeddings, level: str) -> list[list[float]]:
    """1 where a caption is an image's own or reads like one of its own."""
    captions = embeddings.captions[level]
    owners, keys = captions.owners.tolist(), captions.keys.tolist()
    return [
        [float(any(owners[s] == i and keys[s] == keys[t] for s in range(len(keys)))) for t in range(len(keys))]
        for i in range(len(embeddings.image))
    ]


def looped_neighbours(
    vectors: torch.Tensor, owners: list[int], images: int, rule, unsampled=(), unsampled_owners: Sequence[int] = ()
) -> tuple[list, list]:
    """`neighbours` by its definition: caption t is near image i if it is near one of i's own, sampled or not."""
    count = len(vectors)
    rows = [vector.detach().double() / vector.norm().double() for vector in [*vectors, *unsampled]]
    owners = [*owners, *unsampled_owners]
    if rule.calibration == "centred":
        mean = sum(rows[:count]) / count
        rows = [(row - mean) / (row - mean).norm() for row in rows]
    similarity = [[float(a @ b) for b in rows[:count]] for a in rows]

    def limit(s: int) -> float:
        allowed = rule.neighbour_count(count)
        lowest = -math.inf if rule.threshold is None else rule.threshold
        if allowed is None:
            return lowest
        others = sorted((similarity[s][t] for t in range(count) if owners[t] != owners[s]), reverse=True)
        return max(lowest, others[allowed - 1] if allowed <= len(others) else -math.inf)

    limits = [limit(s) for s in range(len(rows))]
    for_images = [[0.0] * count for _ in range(images)]
    for_captions = [[0.0] * count for _ in range(images)]
    for s in range(len(rows)):
        for t in range(count):
            near, near_back = similarity[s][t] >= limits[s], similarity[s][t] >= limits[t]
            if rule.mutual:
                near = near_back = near and near_back
            strength = min(max(similarity[s][t], 0.0), 1.0) if rule.soft else 1.0
            for_images[owners[s]][t] = max(for_images[owners[s]][t], near * strength)
            for_captions[owners[s]][t] = max(for_captions[owners[s]][t], near_back * strength)
    return for_images, for_captions
