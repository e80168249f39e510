"""An EmoCapCLIP checkpoint in clip_benchmark's own metric code, on SynthFaces: its figures are ours.

`make test-peers` runs it, in an environment that has clip_benchmark; elsewhere it is skipped. CHECKPOINT names the
model (default: the one of `make train`, and an untrained one if there is none).
"""

import os
from pathlib import Path

import datasets
import pytest
import torch
from torch.utils.data import DataLoader

pytest.importorskip("clip_benchmark", reason="`make test-peers` installs it")

from clip_benchmark.metrics import linear_probe as their_probe
from clip_benchmark.metrics import zeroshot_classification, zeroshot_retrieval

from emocapclip_hf import EmoCapCLIPConfig, EmoCapCLIPModel
from emocapclip_hf.data.tokenizer import small_processor
from emocapclip_hf.eval import linear_probe, retrieval, zero_shot
from emocapclip_hf.eval.benchmarks import load_benchmark
from emocapclip_hf.eval.checkpoint import load_checkpoint
from emocapclip_hf.eval.prompts import PromptSet
from emocapclip_hf.eval.splits import Fold, Part

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ("an expression of {}.", "a photo of a face with an expression of {}.")
FACES = {"train": 6000, "validation": 1000, "test": 2000}  # of SynthFaces; those of one emotion are scored


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    named = os.environ.get("CHECKPOINT") or ROOT / "runs" / "synthfaces" / "model"
    return load_checkpoint(str(named if Path(named).exists() else _untrained(tmp_path_factory.mktemp("model"))))


def _untrained(folder):
    torch.manual_seed(0)
    words = ["a face that shows an expression of anger, fear or joy and a photo of it."] * 20
    processor = small_processor(words, image_size=48, vocab_size=40)
    tower = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    tokens = {"vocab_size": len(processor.tokenizer), "eos_token_id": processor.tokenizer.eos_token_id}
    config = EmoCapCLIPConfig(
        vision_config={**tower, "image_size": 48, "patch_size": 8}, text_config={**tower, **tokens}, projection_dim=64
    )
    for part in (EmoCapCLIPModel(config), processor):
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        yield


class Adapter(torch.nn.Module):
    """What clip_benchmark asks of a model. `pooled`: images as our probe takes them, before the projection."""

    def __init__(self, checkpoint, pooled=False):
        super().__init__()
        self.model, self.pooled = checkpoint.model, pooled

    def encode_image(self, pixel_values):
        if self.pooled:
            return self.model.vision_model(pixel_values).pooler_output
        return self.model.get_image_features(pixel_values).pooler_output

    def encode_text(self, input_ids):
        return self.model.get_text_features(input_ids).pooler_output


class Faces(torch.utils.data.Dataset):
    """Pictures as the model takes them, with their label or captions; `classes` is what clip_benchmark reads."""

    def __init__(self, checkpoint, dataset, column):
        self.process, self.dataset, self.targets = checkpoint.processor, dataset, list(dataset[column])
        self.classes = dataset.features["label_id"].names if "label_id" in dataset.column_names else None

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, row):
        pixels = self.process(images=self.dataset[row]["image"], return_tensors="pt")["pixel_values"][0]
        return pixels, self.targets[row]


def with_captions(batch):
    pictures, captions = zip(*batch, strict=True)
    return torch.stack(pictures), list(captions)


def tokenizer_of(checkpoint):
    return lambda texts: checkpoint.processor(text=texts, return_tensors="pt", padding="max_length")["input_ids"]


@pytest.fixture(scope="module")
def emotions():
    return {split: load_benchmark("synthfaces-emotion8", split=split, n=n, size=64) for split, n in FACES.items()}


def test_zero_shot(checkpoint, emotions):
    faces = Faces(checkpoint, emotions["test"], "label_id")
    theirs = zeroshot_classification.evaluate(
        Adapter(checkpoint),
        DataLoader(faces, batch_size=50),
        tokenizer_of(checkpoint),
        faces.classes,
        [template.replace("{}", "{c}") for template in TEMPLATES],
        "cpu",
        amp=False,
    )
    ours = zero_shot.run(checkpoint, emotions["test"], PromptSet("two", TEMPLATES)).metrics
    print(f"\nzero-shot: {theirs}\nours: {ours}")
    assert ours["war"].value == pytest.approx(theirs["acc1"], abs=1e-6)
    assert ours["uar"].value == pytest.approx(theirs["mean_per_class_recall"], abs=1e-6)


def test_retrieval(checkpoint):
    """Two texts a face, and no text twice: clip_benchmark counts one that reads the same as wrong."""
    faces = load_benchmark("synthfaces", split="test", n=300, size=64)
    seen, kept = set(), []
    for row, texts in enumerate(zip(faces["global_caption"], faces["summary_caption"], strict=True)):
        if not seen & set(texts) and len(set(texts)) == 2:
            kept.append(row)
            seen |= set(texts)
    faces = faces.select(kept).map(lambda row: {"local_captions": [row["global_caption"], row["summary_caption"]]})
    their_way = Faces(checkpoint, faces, "local_captions")
    theirs = zeroshot_retrieval.evaluate(
        Adapter(checkpoint),
        DataLoader(their_way, batch_size=50, collate_fn=with_captions),
        tokenizer_of(checkpoint),
        "cpu",
        amp=False,
        recall_k_list=[1, 5, 10],
    )
    ours = retrieval.run(checkpoint, faces, examples=0).metrics
    print(f"\nretrieval among {len(faces)} faces: {theirs}\nours: {ours}")
    assert len(faces) > 100
    for k in (1, 5, 10):
        for way, name in (("image_to_text", "text_retrieval"), ("text_to_image", "image_retrieval")):
            assert ours[f"sentence_{way}_r{k}"].value == pytest.approx(theirs[f"{name}_recall@{k}"], abs=1e-6)


class CpuInPlaceOfCuda(str):
    """clip_benchmark's probe refuses any device but "cuda"."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        return other == "cuda" or str.__eq__(self, other)


def test_linear_probe(checkpoint, emotions, tmp_path, monkeypatch):
    for kind in (torch.nn.Module, torch.Tensor):
        monkeypatch.setattr(kind, "cuda", lambda self: self)
    train, validation, test = (Faces(checkpoint, emotions[split], "label_id") for split in FACES)
    theirs = their_probe.evaluate(
        Adapter(checkpoint, pooled=True),
        DataLoader(train, batch_size=50),
        DataLoader(test, batch_size=50),
        fewshot_k=-1,
        batch_size=64,
        num_workers=0,
        lr=0.1,  # its command's defaults
        epochs=10,
        model_id="emocapclip",
        seed=0,
        feature_root=str(tmp_path),
        device=CpuInPlaceOfCuda("cpu"),
        val_dataloader=DataLoader(validation, batch_size=50),
        normalize=False,
        amp=False,
    )
    parts = (Part.whole(emotions[split]) for split in ("train", "validation", "test"))
    fold = Fold(*parts, held_out="fitted once more with validation, as clip_benchmark does")
    ours = linear_probe.run(checkpoint, [fold], few_shot=False).metrics
    print(f"\nprobe: {theirs}\nours: {ours}")
    assert ours["war"].value == pytest.approx(theirs["lp_acc1"], abs=0.01)
    assert ours["uar"].value == pytest.approx(theirs["lp_mean_per_class_recall"], abs=0.01)
