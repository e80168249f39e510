"""What the objective sees of a batch: unit embeddings of images and captions, and what scores them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import torch
from torch import nn
from torch.nn import functional as F

from .distinct_texts import Texts, encode_distinct

LEVELS = ("global", "summary", "local")
TEXT_PREFIXES = {"global": "", "summary": "summary_", "local": "local_", "unsampled": "unsampled_"}
_VISION_INPUTS = ("pixel_values", "pixel_attention_mask", "spatial_shapes", "interpolate_pos_encoding")


@dataclass
class Captions:
    """The captions of one level: one of each image, or as many local sentences as each image has.

    Args:
        embeds: (captions, dim), unit vectors. Padded sentences are left out, so they cannot leak into a softmax.
        owners: (captions,), the image of this batch that each describes, ascending.
        keys: (captions,), int64, equal for identical captions.
    """

    embeds: torch.Tensor
    owners: torch.Tensor
    keys: torch.Tensor


@dataclass
class Scoring:
    """What turns embeddings into logits, as the model's parameters had it in the forward pass.

    Args:
        scale: (), multiplies the cosines of the global and summary level.
        bias: (), added to all logits; only the sigmoid loss feels it.
        local_scale: (), multiplies the local scores.
        local_query: (dim, dim), takes sentences to their queries: the local head's two projections in one matrix.
    """

    scale: torch.Tensor
    bias: torch.Tensor | None = None
    local_scale: torch.Tensor | None = None
    local_query: torch.Tensor | None = None


@dataclass
class Embeddings:
    """One process's batch, embedded.

    Args:
        image: (images, dim), unit vectors; None only for a guide that knows texts alone.
        captions: level → captions.
        patches: (images, patches, dim), unit vectors, for the local level.
        patch_mask: (images, patches), False where a patch is padding.
        unsampled: the local sentences of these images that are no captions of this batch, without gradient, where the
            batch brings them: mining compares captions with all that is said of an image.
        scoring: None for a guide, whose embeddings are compared with one another only.
    """

    image: torch.Tensor | None
    captions: dict[str, Captions] = field(default_factory=dict)
    patches: torch.Tensor | None = None
    patch_mask: torch.Tensor | None = None
    unsampled: Captions | None = None
    scoring: Scoring | None = None

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that carries gradient, by name; `with_tensors` puts it back."""
        named = {"image": self.image, "patches": self.patches}
        named |= {f"captions.{level}": captions.embeds for level, captions in self.captions.items()}
        if self.scoring is not None:
            named |= {f"scoring.{item.name}": getattr(self.scoring, item.name) for item in fields(Scoring)}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def with_tensors(self, tensors: Mapping[str, torch.Tensor]) -> Embeddings:
        """The same batch with other values in `tensors()`."""
        captions = {
            level: replace(caption, embeds=tensors[f"captions.{level}"]) for level, caption in self.captions.items()
        }
        scoring = {item.name: tensors.get(f"scoring.{item.name}") for item in fields(Scoring)}
        return replace(
            self,
            image=tensors.get("image"),
            patches=tensors.get("patches"),
            captions=captions,
            scoring=None if self.scoring is None else Scoring(**scoring),
        )

    def detach(self) -> Embeddings:
        return self.with_tensors({name: tensor.detach() for name, tensor in self.tensors().items()})

    @classmethod
    def cat(cls, parts: Sequence[Embeddings]) -> Embeddings:
        """Consecutive pieces of a batch as one; scoring is the same in all."""
        starts = torch.tensor([0, *(len(part.image) for part in parts)]).cumsum(0).tolist()

        def joined(name: str) -> torch.Tensor | None:
            values = [getattr(part, name) for part in parts]
            return None if values[0] is None else torch.cat(values)

        def joined_captions(captions: Sequence[Captions]) -> Captions:
            return Captions(
                torch.cat([piece.embeds for piece in captions]),
                torch.cat([piece.owners + start for piece, start in zip(captions, starts, strict=False)]),
                torch.cat([piece.keys for piece in captions]),
            )

        captions = {level: joined_captions([part.captions[level] for part in parts]) for level in parts[0].captions}
        unsampled = None if parts[0].unsampled is None else joined_captions([part.unsampled for part in parts])
        return cls(joined("image"), captions, joined("patches"), joined("patch_mask"), unsampled, parts[0].scoring)


class Embedder(nn.Module):
    """The model as the objective needs it: from a batch to `Embeddings`.

    Wrap *this* in DistributedDataParallel (or `accelerator.prepare`) rather than the model: all parameters, those of
    the local head and the temperatures included, are then used inside the wrapped forward pass.

    Args:
        model: an `EmoCapCLIPModel`, with or without adapters.
        levels: the caption levels to embed, those with a weight in the loss.
        max_temperature: what cosines may at most be multiplied by; the parameters are clamped to it in place before
            each pass, as in CLIP, so a temperature that reached it can come back.
    """

    def __init__(self, model: nn.Module, levels: Iterable[str] = LEVELS, max_temperature: float = 100.0):
        super().__init__()
        self.model = model
        self.levels = tuple(levels)
        self.max_log_temperature = torch.tensor(float(max_temperature)).log().item()
        if "local" in self.levels and model.local_head is None:
            raise ValueError(
                "The local level needs the model's local head, and this model has none (use_local_head=False). Build "
                "it with use_local_head=True, or give the local level the weight 0."
            )

    def forward(self, batch: Mapping[str, torch.Tensor]) -> Embeddings:
        vision = self.model.get_image_features(**{name: batch[name] for name in _VISION_INPUTS if name in batch})
        embeddings = Embeddings(
            _unit(vision.pooler_output),
            self._captions(batch, self.levels),
            scoring=self._scoring(),
        )
        if "local" in self.levels:
            embeddings.patches = self.model.get_patch_embeds(vision.last_hidden_state)  # (images, patches, dim)
            if batch.get("pixel_attention_mask") is not None:
                embeddings.patch_mask = batch["pixel_attention_mask"].bool()
            if "unsampled_input_ids" in batch:
                embeddings.unsampled = self._unsampled(batch, embeddings.captions["local"])
        return embeddings

    @torch.no_grad()
    def _unsampled(self, batch: Mapping[str, torch.Tensor], sampled: Captions) -> Captions:
        """Many of these sentences were sampled for another face: those are embedded already."""
        input_ids, owners, attention_mask = present_captions(batch, "unsampled")
        keys = caption_keys(input_ids, attention_mask)
        new = ~torch.isin(keys, sampled.keys)
        embeds = sampled.embeds.new_empty(len(keys), sampled.embeds.shape[1])
        if new.any():
            texts = Texts(input_ids[new], None if attention_mask is None else attention_mask[new], keys[new])
            embeds[new] = self._embed({"unsampled": texts})["unsampled"]
        if not new.all():
            known, order = sampled.keys.sort()
            embeds[~new] = sampled.embeds[order[torch.searchsorted(known, keys[~new])]]
        return Captions(embeds, owners, keys)

    def _captions(self, batch: Mapping[str, torch.Tensor], levels: Iterable[str]) -> dict[str, Captions]:
        found = {level: present_captions(batch, level) for level in levels}
        texts = {
            level: Texts(input_ids, attention_mask, caption_keys(input_ids, attention_mask))
            for level, (input_ids, _, attention_mask) in found.items()
        }
        embeds = self._embed({level: some for level, some in texts.items() if len(some.keys)})
        none = next(iter(embeds.values()))[:0] if embeds else self._no_texts()
        embeds = {level: embeds.get(level, none) for level in texts}
        return {level: Captions(embeds[level], found[level][1], texts[level].keys) for level in texts}

    def _embed(self, texts: dict[str, Texts]) -> dict[str, torch.Tensor]:
        # SigLIP reads padding too, and pools the last token
        causal = self.model.config.text_config.model_type == "clip_text_model"
        if not (causal and all(some.attention_mask is not None for some in texts.values())):
            return {level: self._text_embeds(*some[:2]) for level, some in texts.items()}
        return dict(zip(texts, encode_distinct(self._text_embeds, list(texts.values())), strict=True)) if texts else {}

    def _text_embeds(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        return _unit(self.model.get_text_features(input_ids, attention_mask).pooler_output)

    def _no_texts(self) -> torch.Tensor:
        """By way of the text tower, so that its gradient is zero and not missing: other processes wait for it."""
        return self._text_embeds(torch.zeros(1, 1, dtype=torch.long, device=self.model.device), None)[:0]

    def _scoring(self) -> Scoring:
        model = self.model
        scoring = Scoring(self._temperature(model.logit_scale), model.logit_bias)
        if "local" in self.levels:
            head = model.local_head
            scoring.local_scale = self._temperature(head.logit_scale)
            # Queries are linear in the sentences, so the identity's queries are the matrix that makes them.
            unit = torch.eye(model.config.projection_dim, device=head.logit_scale.device, dtype=head.logit_scale.dtype)
            scoring.local_query = head.queries(unit)
        return scoring

    def _temperature(self, logarithm: nn.Parameter) -> torch.Tensor:
        logarithm.data.clamp_(max=self.max_log_temperature)
        return logarithm.exp()


def present_captions(
    batch: Mapping[str, torch.Tensor], level: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """The batch's captions of one level that are not padding, in the order of images.

    Returns:
        input ids (captions, length), the image each belongs to (captions,), attention mask (captions, length).
    """
    prefix = TEXT_PREFIXES[level]
    if batch.get(f"{prefix}input_ids") is None:
        raise ValueError(
            f"The batch has no {prefix}input_ids, which the {level} level needs; it has {sorted(batch)}. Pass "
            f"captions with that level, or give it the weight 0."
        )
    input_ids, attention_mask = batch[f"{prefix}input_ids"], batch.get(f"{prefix}attention_mask")
    if input_ids.ndim == 2:  # one an image
        return input_ids, torch.arange(len(input_ids), device=input_ids.device), attention_mask
    mask = batch.get(f"{prefix}mask")
    mask = input_ids.new_ones(input_ids.shape[:2], dtype=torch.bool) if mask is None else mask.bool()
    return input_ids[mask], mask.nonzero()[:, 0], None if attention_mask is None else attention_mask[mask]


def caption_keys(input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
    """A 64-bit hash of each row's tokens (captions,): equal captions have equal keys, however far they are padded."""
    mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask.long()
    mixed = input_ids.long() * 6364136223846793005 + mask.cumsum(dim=-1) * 1442695040888963407  # wraps around
    mixed = (mixed ^ (mixed >> 29)) * 3935559000370003845
    return ((mixed ^ (mixed >> 32)) * mask).sum(dim=-1)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return F.normalize(vectors.to(torch.promote_types(vectors.dtype, torch.float32)), dim=-1)
