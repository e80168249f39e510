"""Why a sentence's attention need not lie on its region: what each patch tells of action units, layer by layer.

A ridge regression reads a face's action units from the state of one patch alone. A unit's region is where SynthFaces
draws it. Faces, and phrasings of the sentences, are unseen.

python perf/locality.py --model runs/synthfaces/model
"""

from __future__ import annotations

import argparse
from pathlib import Path

import datasets
import numpy as np
import torch
from ablation import CONFIG
from ablation_measures import BATCH, GALLERY, box_share, encode, shown_units
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emocapclip_hf import EmoCapCLIPModel, EmoCapCLIPProcessor
from emocapclip_hf.data.synthfaces import ACTION_UNITS, action_unit_sentences
from emocapclip_hf.modeling.towers_emocapclip import patch_states
from emocapclip_hf.training import parse_arguments
from emocapclip_hf.training.setup import load_splits
from emocapclip_hf.zero_shot import encode_texts

SEEN_FACES = 3000
PENALTY = 30.0


@torch.no_grad()
def states(model: EmoCapCLIPModel, processor: EmoCapCLIPProcessor, rows: datasets.Dataset) -> torch.Tensor:
    """The patches as they enter the vision tower and as each layer leaves them: (layers + 1, faces, patches, dim)."""
    found = []
    for batch in rows.select_columns(["image"]).iter(BATCH):
        pixels = processor(images=batch["image"], return_tensors="pt").pixel_values
        layers = model.vision_model(pixels, output_hidden_states=True).hidden_states
        found.append(torch.stack([patch_states(model.vision_model, layer) for layer in layers]))
    return torch.cat(found, dim=1)


def region_share(rows: datasets.Dataset, side: int) -> np.ndarray:
    """How much of each patch lies in a unit's region, over the faces: (patches, units)."""
    regions = [unit.region for unit in ACTION_UNITS.values()]
    found = [
        torch.stack([box_share(row["regions"][region], row["image"].width, side) for region in regions], dim=1)
        for row in rows.select_columns(["regions", "image"])
    ]
    return torch.stack(found).mean(dim=0).numpy()


def probe(seen: np.ndarray, truth: np.ndarray, unseen: np.ndarray, unseen_truth: np.ndarray) -> np.ndarray:
    """AUC of each unit, told by one patch: seen and unseen are (faces, dim)."""
    scores = make_pipeline(StandardScaler(), Ridge(PENALTY)).fit(seen, truth).predict(unseen)
    return roc_auc_score(unseen_truth, scores, average=None)


def table_row(name: str, aucs: np.ndarray, share: np.ndarray) -> str:
    """The mean over units of the mean over patches (patches, units) inside and outside the unit's region."""
    inside, outside = (np.average(aucs, axis=0, weights=weights).mean() for weights in (share, 1 - share))
    return f"| {name} | {inside:.2f} | {outside:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("runs/synthfaces/model"), help="of `make train`")
    args = parser.parse_args()
    model = EmoCapCLIPModel.from_pretrained(args.model).eval()
    processor = EmoCapCLIPProcessor.from_pretrained(args.model)
    train, _, test = load_splits(parse_arguments(["--config", str(CONFIG)]).data)
    train, test = train.select(range(SEEN_FACES)), test.select(range(GALLERY))

    truth, unseen_truth = shown_units(train), shown_units(test)
    seen, unseen = (states(model, processor, rows).numpy() for rows in (train, test))
    patches = unseen.shape[2]
    share = region_share(test, round(patches**0.5))
    print("| AUC of an action unit, told by one patch | in the unit's region | elsewhere |\n|---|---:|---:|")
    for layer, (known, new) in enumerate(zip(seen, unseen, strict=True)):
        aucs = [probe(known[:, patch], truth, new[:, patch], unseen_truth) for patch in range(patches)]
        print(table_row(f"after layer {layer}" if layer else "before the first layer", np.array(aucs), share))
    sentences = [action_unit_sentences(unit, split="test")[0] for unit in ACTION_UNITS]
    cosines = encode(model, processor, test).patches @ encode_texts(model, processor, sentences).T
    aucs = [roc_auc_score(unseen_truth, cosines[:, patch], average=None) for patch in range(patches)]
    print(table_row("by its cosine with a sentence", np.array(aucs), share))


if __name__ == "__main__":
    main()
