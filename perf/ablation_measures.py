"""What a trained model can do with SynthFaces, level by level: the measures of the ablation."""

from __future__ import annotations

from dataclasses import dataclass

import datasets
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.preprocessing import LabelEncoder
from torch.nn import functional as F

from emocapclip_hf import EmoCapCLIPModel, EmoCapCLIPProcessor
from emocapclip_hf.data.synthfaces import ACTION_UNITS, action_unit_sentences
from emocapclip_hf.objective import MiningTruth
from emocapclip_hf.objective.distributed import RowLayout
from emocapclip_hf.objective.mining import Candidates
from emocapclip_hf.training.validation import TEMPLATES
from emocapclip_hf.zero_shot import encode_prompts, encode_texts

GALLERY = 1000
PROBE_FACES = 4000
BATCH = 100


@dataclass
class Encoded:
    """
    Args:
        images: (faces, dim), unit.
        patches: (faces, patches, dim), unit.
    """

    images: torch.Tensor
    patches: torch.Tensor


@torch.no_grad()
def encode(model: EmoCapCLIPModel, processor: EmoCapCLIPProcessor, rows: datasets.Dataset) -> Encoded:
    images, patches = [], []
    for batch in rows.select_columns(["image"]).iter(BATCH):
        output = model.get_image_features(processor(images=batch["image"], return_tensors="pt").pixel_values)
        images.append(F.normalize(output.pooler_output, dim=-1))
        patches.append(model.get_patch_embeds(output.last_hidden_state))
    return Encoded(torch.cat(images), torch.cat(patches))


@torch.no_grad()
def measures(
    model: EmoCapCLIPModel,
    processor: EmoCapCLIPProcessor,
    train: datasets.Dataset,
    test: datasets.Dataset,
    has_local_level: bool,
) -> dict[str, float]:
    """Name → number, on the test split. Without a local level its scores are left out: the head was never trained."""
    model.eval()
    faces = encode(model, processor, test)
    found = zero_shot(model, processor, faces, test)
    found["linear probe UAR, 8 emotions"] = linear_probe(model, processor, faces, train, test)
    found |= action_units(model, processor, faces, test, has_local_level)
    found |= retrieval(model, processor, faces, test, has_local_level)
    if has_local_level:
        found |= attention(model, processor, faces, test)
    return found


def zero_shot(model, processor, faces: Encoded, test: datasets.Dataset) -> dict[str, float]:
    found = {}
    for kind, name in (("basic", "8 emotions"), ("compound", "11 compounds")):
        chosen, labels = of_kind(test, kind)
        names = sorted(set(labels))
        prompts = encode_prompts(model, processor, names, TEMPLATES)  # (labels, dim)
        predicted = (faces.images[chosen] @ prompts.T).argmax(dim=1)
        found[f"zero-shot UAR, {name}"] = balanced_accuracy_score(labels, [names[index] for index in predicted])
    return found


def linear_probe(model, processor, faces: Encoded, train: datasets.Dataset, test: datasets.Dataset) -> float:
    chosen, labels = of_kind(train, "basic", PROBE_FACES)
    seen = encode(model, processor, train.select(chosen)).images
    encoder = LabelEncoder().fit(labels)
    probe = LogisticRegression(C=100.0, max_iter=1000).fit(seen.numpy(), encoder.transform(labels))
    chosen, labels = of_kind(test, "basic")
    return balanced_accuracy_score(encoder.transform(labels), probe.predict(faces.images[chosen].numpy()))


def of_kind(rows: datasets.Dataset, kind: str, limit: int | None = None) -> tuple[list[int], list[str]]:
    """Indices and emotions of the faces with an emotion of that kind."""
    chosen = [index for index, found in enumerate(rows["emotion_kind"]) if found == kind][:limit]
    emotions = list(rows["emotion"])
    return chosen, [emotions[index] for index in chosen]


def action_units(model, processor, faces: Encoded, test: datasets.Dataset, has_local_level: bool) -> dict[str, float]:
    """Is "the brows are drawn together" true of this face? The mean over units of the AUC."""
    sentences = [action_unit_sentences(unit, split="test") for unit in ACTION_UNITS]
    flat = [sentence for some in sentences for sentence in some]
    texts = encode_texts(model, processor, flat).split([len(some) for some in sentences])
    shown = shown_units(test)
    areas: dict[str, list[float]] = {"global": [], "local": []}
    for truth, text in zip(shown.T, texts, strict=True):
        areas["global"].append(roc_auc_score(truth, (faces.images @ text.T).mean(dim=1)))
        if has_local_level:
            areas["local"].append(roc_auc_score(truth, model.get_local_scores(faces.patches, text).mean(dim=1)))
    names = {"global": "action units AUC, global embedding", "local": "action units AUC, local head"}
    return {names[way]: float(np.mean(values)) for way, values in areas.items() if values}


def shown_units(rows: datasets.Dataset) -> np.ndarray:
    """Which units act: (faces, units), bool."""
    faces = [{entry["au"] for entry in entries} for entries in rows["action_units"]]
    return np.array([[unit in units for unit in ACTION_UNITS] for units in faces])


def retrieval(model, processor, faces: Encoded, test: datasets.Dataset, has_local_level: bool) -> dict[str, float]:
    """From a face to its texts among those of 1,000 faces. One that reads like its own counts as found.

    Of the sentences, many are true of a face of which they were not said: R@1 has a low ceiling even for one who knows
    all that is true, and takes any of it. So what is also counted is whether the first sentence is true, among those
    that say what a face does: what it does not do ("the chin is not raised") is true of most faces anyway.
    """
    rows = test.select(range(GALLERY)).remove_columns("image")
    images, patches = faces.images[:GALLERY], faces.patches[:GALLERY]
    captions = list(rows["global_caption"])
    top = (images @ encode_texts(model, processor, captions).T).argmax(dim=1).tolist()
    found = {"caption R@1": float(np.mean([captions[t] == caption for t, caption in zip(top, captions, strict=True)]))}

    said = Said.of(rows)
    texts = encode_texts(model, processor, said.sentences)
    by_way = {"global embedding": images @ texts.T}  # (faces, sentences)
    if has_local_level:
        by_way["local head"] = model.get_local_scores(patches, texts)
    knowing = said.own.sum(dim=1) / said.true.sum(dim=1).clamp_min(1)
    found["sentence R@1, by one who knows the truth"] = knowing.mean().item()
    common = said.true[:, said.asserting].float().mean(dim=0)  # of each sentence, the part of the faces it is true of
    found["first sentence true, by chance"] = common.mean().item()
    found["first sentence true, by the commonest for all"] = common.max().item()
    for way, scores in by_way.items():
        first = scores.argmax(dim=1, keepdim=True)
        found[f"sentence R@1, {way}"] = said.own.gather(1, first).float().mean().item()
        first = scores.masked_fill(~said.asserting, -torch.inf).argmax(dim=1, keepdim=True)
        found[f"first sentence true, {way}"] = said.true.gather(1, first).float().mean().item()
    return found


@dataclass
class Said:
    """
    Args:
        sentences: the local sentences said of any face, each once.
        own: whose they are, (faces, sentences), bool.
        true: of whom they are true, (faces, sentences), bool. One about no action unit is only known to be of its
            owners.
        asserting: which say that an action unit acts, (sentences,), bool.
    """

    sentences: list[str]
    own: torch.Tensor
    true: torch.Tensor
    asserting: torch.Tensor

    @classmethod
    def of(cls, rows: datasets.Dataset) -> Said:
        owned = list(rows["local_captions"])
        sentences, keys = np.unique([sentence for some in owned for sentence in some], return_inverse=True)
        keys = torch.from_numpy(keys)
        owners = torch.arange(len(owned)).repeat_interleave(torch.tensor([len(some) for some in owned]))
        own = torch.zeros(len(owned), len(sentences), dtype=torch.bool).index_put_((owners, keys), torch.tensor(True))
        layouts = RowLayout((len(owned),)), RowLayout((len(keys),))
        candidates = Candidates(torch.empty(len(keys), 0), owners, keys, *layouts)
        by_saying = MiningTruth.from_batch(rows[:]).pairs("local", candidates)  # (faces, what is said of any of them)
        true = torch.zeros_like(own).index_reduce_(1, keys, by_saying, "amax")
        units = torch.tensor([unit for some in rows["local_action_units"] for unit in some])
        asserting = torch.zeros(len(sentences), dtype=torch.bool).index_fill_(0, keys[units > 0], True)
        return cls(sentences.tolist(), own, true, asserting)


def attention(model, processor, faces: Encoded, test: datasets.Dataset) -> dict[str, float]:
    """Whether a sentence about an action unit looks where that unit is: the largest attention inside its region's box,
    and how much more attention the box gets than its share of the picture."""
    sentences = {unit: action_unit_sentences(unit, split="test") for unit in ACTION_UNITS}
    texts = {unit: encode_texts(model, processor, some) for unit, some in sentences.items()}
    rows = test.select_columns(["action_units", "regions", "image"])
    hits, lifts, chances = [], [], []
    for index in range(GALLERY):
        row = rows[index]
        width = row["image"].width
        units = [entry["au"] for entry in row["action_units"]]
        if not units:
            continue
        text = torch.cat([texts[unit][:1] for unit in units])
        maps = model.local_head.attention(faces.patches[index : index + 1], text)[0]  # (units, patches)
        side = int(maps.shape[1] ** 0.5)
        for unit, found in zip(units, maps, strict=True):
            inside = box_share(row["regions"][ACTION_UNITS[unit].region], width, side)  # (patches,)
            hits.append(float(inside[found.argmax()] > 0))
            chances.append(float((inside > 0).float().mean()))
            lifts.append(float((found @ inside) / inside.mean()))
    return {
        "attention's peak in the region": float(np.mean(hits)),
        "attention's peak in the region, by chance": float(np.mean(chances)),
        "attention in the region, of chance": float(np.mean(lifts)),
    }


def box_share(box: list[int], width: int, side: int) -> torch.Tensor:
    """The part of each patch that a box (left, top, right, bottom; pixels) covers: (patches,)."""
    edges = torch.arange(side + 1) * width / side
    left, top, right, bottom = box

    def covered(low: float, high: float) -> torch.Tensor:
        return (edges[1:].clamp(max=high) - edges[:-1].clamp(min=low)).clamp(min=0) * side / width

    return (covered(top, bottom)[:, None] * covered(left, right)).flatten()
