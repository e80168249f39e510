"""How a model in training does on the validation split, quickly: the figures that choose the best checkpoint."""

from __future__ import annotations

import datasets
import torch
from sklearn.metrics import balanced_accuracy_score

from ..modeling import EmoCapCLIPModel
from ..processing import EmoCapCLIPProcessor
from ..zero_shot import encode_images, encode_prompts, encode_texts

TEMPLATES = ("an expression of {}.", "a photo of a face with an expression of {}.", "The face shows {}.")
LARGEST_GALLERY = 1000
KINDS = {"basic": "emotion", "compound": "compound"}  # of SynthFaces' emotions → what their benchmark is called


@torch.no_grad()
def evaluate(
    model: EmoCapCLIPModel, processor: EmoCapCLIPProcessor, rows: datasets.Dataset, name: str
) -> dict[str, float]:
    """
    Zero-shot UAR over the labels in `emotion`, if the rows have any, and image → global caption R@1.

    Retrieval is among the first 1,000 faces; a caption that reads the same as the face's own counts as found.

    Returns:
        task/benchmark/metric → number, for instance `zero-shot/synthfaces-emotion8/uar`.
    """
    was_training = model.training
    model.eval()
    images = torch.cat(list(encode_images(model, processor, (row["image"] for row in rows))))  # (faces, dim)
    metrics = {}
    if "emotion" in rows.column_names:
        emotions = list(rows["emotion"])
        for kind, chosen in labelled_rows(rows).items():
            labels = sorted({emotions[index] for index in chosen})
            truth = [labels.index(emotions[index]) for index in chosen]
            prompts = encode_prompts(model, processor, labels, TEMPLATES)  # (labels, dim)
            predicted = (images[chosen] @ prompts.T).argmax(dim=1).tolist()
            metrics[f"zero-shot/{name}-{kind}{len(labels)}/uar"] = float(balanced_accuracy_score(truth, predicted))
    captions = list(rows["global_caption"][:LARGEST_GALLERY])
    found = (images[:LARGEST_GALLERY] @ encode_texts(model, processor, captions).T).argmax(dim=1).tolist()
    hits = [captions[index] == caption for index, caption in zip(found, captions, strict=True)]
    metrics[f"retrieval/{name}/image_to_text_r1"] = sum(hits) / len(hits)
    model.train(was_training)
    return metrics


def labelled_rows(rows: datasets.Dataset) -> dict[str, list[int]]:
    """Rows whose emotion has a name, by kind of emotion."""
    kinds = rows["emotion_kind"] if "emotion_kind" in rows.column_names else ["basic"] * len(rows)
    named = [emotion not in (None, "", "other") for emotion in rows["emotion"]]
    found = {
        name: [index for index, (is_named, k) in enumerate(zip(named, kinds, strict=True)) if is_named and k == kind]
        for kind, name in KINDS.items()
    }
    return {name: chosen for name, chosen in found.items() if chosen}
