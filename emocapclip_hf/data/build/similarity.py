"""How well an EmoCapCLIP checkpoint thinks each caption fits its face: to flag the worst, never to drop them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from ..caption import EmoCaption


class CaptionSimilarity:
    """Cosine of a face and the mean of its caption's sentences; a model that is good enough to tell is the user's
    to bring.
    """

    def __init__(self, checkpoint: str, device: str | None = None):
        from transformers import AutoModel, AutoProcessor

        import emocapclip_hf  # noqa: F401 (tells the Auto classes about EmoCapCLIP)

        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._model = AutoModel.from_pretrained(checkpoint).to(self._device).eval()
        self._processor = AutoProcessor.from_pretrained(checkpoint)

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Image.Image], captions: Sequence[EmoCaption]) -> list[float]:
        sentences = [[each.global_caption, *each.local_captions, each.summary_caption] for each in captions]
        faces = self._embed("image", images=list(pictures))  # (faces, dim)
        words = self._embed("text", text=[text for each in sentences for text in each], truncation=True, padding=True)
        whole = torch.stack([part.mean(0) for part in words.split([len(each) for each in sentences])])
        return torch.cosine_similarity(faces, whole).tolist()

    def _embed(self, kind: str, **inputs) -> torch.Tensor:
        """Normalised (rows, dim)."""
        inputs = self._processor(**inputs, return_tensors="pt").to(self._device)
        features = self._model.get_image_features if kind == "image" else self._model.get_text_features
        return torch.nn.functional.normalize(features(**inputs).pooler_output.float(), dim=-1)
