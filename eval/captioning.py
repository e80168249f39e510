"""Captions of faces: whether they are true, and how they are worded.

python -m emocapclip_hf.eval.captioning runs/synthfaces-captioner/model --encoder runs/synthfaces/model

A table of the model's captions has three more rows, made without it: the caption of the nearest training face
(retrieval), one caption for all (constant), and the truth in other words (paraphrase, where it can be made), which
says how far a parser's reading of a caption can be trusted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import torch
from tqdm.auto import tqdm

from emocapclip_hf.captioning import IMAGE_BATCH, caption_images
from emocapclip_hf.data.caption import EmoCaption
from emocapclip_hf.data.synthfaces import describe, face_at
from emocapclip_hf.modeling import EmoCapCLIPForConditionalGeneration, EmoCapCLIPModel
from emocapclip_hf.processing import EmoCapCLIPCaptionProcessor, EmoCapCLIPProcessor
from emocapclip_hf.zero_shot import encode_images, encode_texts

from .checkpoint import process_state
from .factuality import Factuality, compare, facts_of, facts_of_row
from .metrics.functions import action_unit_f1
from .metrics.wording import bert_score, bleu, cider_d, distinct, meteor, meteor_available, rouge_l, words_per_caption
from .results import Metric, Result, bootstrap

if TYPE_CHECKING:
    from emocapclip_hf.training import Materials, TrainingArguments

RESAMPLES = 200
HEADLINES = ("emotion_accuracy", "au_f1", "structure")  # what stands in metrics.json
_FACTS = {  # metric → the rows of `Factuality` whose mean it is
    "emotion_accuracy": "emotion",
    "structure": "structured",
    "contradiction_rate": "contradicted",
    "hallucinated_units": "hallucinated",
    "side_accuracy": "side",
    "strength_accuracy": "strength",
}


def factual_metrics(captions: Sequence[str], rows: datasets.Dataset, resamples: int = RESAMPLES) -> dict[str, Metric]:
    """What captions say, against the columns `emotion` and `action_units`; what those leave unknown is left out."""
    known = [name for name in ("emotion", "action_units") if name in rows.column_names]
    truth = rows.select_columns(known) if known else [{}] * len(rows)
    found = compare([facts_of(caption) for caption in captions], [facts_of_row(row) for row in truth])
    numbers = np.arange(len(captions))
    metrics = {
        name: lambda chosen, values=values: float(np.nanmean(values[chosen]))
        for name, part in _FACTS.items()
        if not np.isnan(values := getattr(found, part)).all()
    }
    if found.units:
        metrics["au_f1"] = lambda chosen: _macro_f1(found, chosen)
        metrics["au_f1_micro"] = lambda chosen: _micro_f1(found, chosen)
    return bootstrap(metrics, numbers, resamples=resamples)


def wording_metrics(
    captions: Sequence[str], references: Sequence[str], encoder: str | None = None, resamples: int = RESAMPLES
) -> dict[str, Metric]:
    """
    BLEU, ROUGE-L, CIDEr-D, variety and length; METEOR where WordNet is, BERTScore with an `encoder`.

    BLEU and variety are of all captions together, and have no interval.
    """
    per_caption = {"rouge_l": rouge_l(captions, references), "cider_d": cider_d(captions, references)}
    if meteor_available():
        per_caption["meteor"] = meteor(captions, references)
    if encoder is not None:
        per_caption["bert_score"] = bert_score(captions, references, encoder)
    means = {name: lambda chosen, values=values: float(values[chosen].mean()) for name, values in per_caption.items()}
    together = {
        "bleu": bleu(captions, references),
        "distinct_1": distinct(captions, 1),
        "distinct_2": distinct(captions, 2),
        "words": words_per_caption(captions),
    }
    found = bootstrap(means, np.arange(len(captions)), resamples=resamples)
    return found | {name: Metric(value) for name, value in together.items()}


def paragraphs(rows: datasets.Dataset) -> list[str]:
    """The whole captions of a table."""
    levels = rows.select_columns(["global_caption", "local_captions", "summary_caption"])
    return [EmoCaption.from_dict(row).to_paragraph() for row in levels]


def retrieved_captions(
    encoder: EmoCapCLIPModel, processor: EmoCapCLIPProcessor, train: datasets.Dataset, test: datasets.Dataset
) -> list[str]:
    """The caption of the training face that looks most like each test face to the encoder."""
    known, asked = (_embed(encoder, processor, rows) for rows in (train, test))
    nearest = torch.cat([(block @ known.T).argmax(dim=1) for block in asked.split(256)])
    captions = paragraphs(train)
    return [captions[index] for index in nearest.tolist()]


def constant_caption(train: datasets.Dataset) -> str:
    """The caption of the first training face with the commonest emotion."""
    emotions = list(train["emotion"]) if "emotion" in train.column_names else [""] * len(train)
    commonest = Counter(emotions).most_common(1)[0][0]
    return paragraphs(train.select([emotions.index(commonest)]))[0]


def paraphrases(split: str, rows: int, form: str) -> list[str]:
    """The captions of SynthFaces in other words, from the same descriptions."""
    faces = (face_at(0, split, row) for row in range(rows))
    return [describe(replace(face, caption_seed=face.caption_seed + 1), form).to_paragraph() for face in faces]


@torch.no_grad()
def image_caption_agreement(
    encoder: EmoCapCLIPModel,
    processor: EmoCapCLIPProcessor,
    rows: datasets.Dataset,
    captions: Sequence[str],
    references: Sequence[str],
) -> dict[str, float]:
    """CLIPScore and RefCLIPScore (Hessel et al., 2021) by an EmoCapCLIP model, sentence by sentence.

    A score that the model gives to captions of its own tower says little of their truth; never a headline.
    """
    images = _embed(encoder, processor, rows)
    own, true = (_embed_captions(encoder, processor, texts) for texts in (captions, references))
    clip = 2.5 * (images * own).sum(dim=1).clamp(min=0)
    reference = (own * true).sum(dim=1).clamp(min=0)
    harmonic = 2 * clip * reference / (clip + reference).clamp(min=1e-8)
    return {"clip_score": clip.mean().item(), "ref_clip_score": harmonic.mean().item()}


def evaluate_captioner(
    model: EmoCapCLIPForConditionalGeneration,
    processor: EmoCapCLIPCaptionProcessor,
    faces: Mapping[str, datasets.Dataset],
    name: str,
    encoder: tuple[EmoCapCLIPModel, EmoCapCLIPProcessor] | None = None,
    bert_encoder: str | None = None,
    batch_size: int = IMAGE_BATCH,
    **generate_options: Any,
) -> Iterator[Result]:
    """
    The model's captions of the test faces, and those of the baselines.

    Args:
        faces: "train" and "test".
        name: of the dataset; "synthfaces" has a paraphrase too.
        encoder: whose embeddings the retrieval baseline stands on, and the agreement of pictures with captions.
    """
    train, test = faces["train"], faces["test"]
    references = paragraphs(test)
    progress = tqdm(test, desc="Captions", unit="face", disable=None)
    written = list(
        caption_images(model, processor, (row["image"] for row in progress), batch_size, **generate_options)
    )
    systems = {"captioning": written}
    if encoder is not None:
        systems["captioning-retrieval-baseline"] = retrieved_captions(*encoder, train, test)
    systems["captioning-constant-baseline"] = [constant_caption(train)] * len(test)
    if name == "synthfaces":
        form = "short" if words_per_caption(references) < 120 else "long"
        systems["captioning-paraphrase-ceiling"] = paraphrases("test", len(test), form)
    for task, captions in systems.items():
        metrics = factual_metrics(captions, test) | wording_metrics(captions, references, bert_encoder)
        if encoder is not None and task == "captioning":
            agreement = image_caption_agreement(*encoder, test, captions, references)
            metrics |= {name: Metric(value) for name, value in agreement.items()}
        examples = [{"caption": caption, "truth": truth} for caption, truth in zip(captions, references, strict=True)]
        yield Result(task, name, metrics, n=len(test), protocol={"generate": generate_options}, details={
            "examples": examples[:20]
        })  # fmt: skip


def evaluate_run(materials: Materials, args: TrainingArguments) -> dict[str, float]:
    """The headlines of a captioner's run; result files go to `results/` in its folder. Only the main process works."""
    if not process_state().is_main_process:
        return {}
    folder, start = Path(args.run.output_dir), args.model.model_name_or_path
    encoder = None if start is None else _load_encoder(start)
    faces = {"train": materials.train, "test": materials.test}
    name, metrics = Path(args.data.dataset).name, {}
    model, prompt = materials.model.eval(), args.captioner.prompt
    for result in evaluate_captioner(model, materials.processor, faces, name, encoder, prompt=prompt):
        result.model = str(folder / "model")
        result.save(folder / "results")
        metrics |= {key: value for key, value in result.flat().items() if key.rsplit("/", 1)[1] in HEADLINES}
    return metrics


def _load_encoder(name: str) -> tuple[EmoCapCLIPModel, EmoCapCLIPProcessor] | None:
    """None where a captioner went on from a captioner, which has no text tower."""
    config = json.loads((Path(name) / "config.json").read_text()) if Path(name).is_dir() else {}
    if config.get("model_type") == "emocapclip_captioner":
        return None
    return EmoCapCLIPModel.from_pretrained(name).eval(), EmoCapCLIPProcessor.from_pretrained(name)


def _embed(encoder: EmoCapCLIPModel, processor: EmoCapCLIPProcessor, rows: datasets.Dataset) -> torch.Tensor:
    return torch.cat(list(encode_images(encoder, processor, (row["image"] for row in rows.select_columns(["image"])))))


def _embed_captions(encoder: EmoCapCLIPModel, processor: EmoCapCLIPProcessor, captions: Sequence[str]) -> torch.Tensor:
    """A caption's unit embedding: the mean of its sentences', which each fit the text tower."""
    parsed = [EmoCaption.from_paragraph(caption) for caption in captions]
    sentences = [[c.global_caption, *c.local_captions, c.summary_caption] for c in parsed]
    sentences = [[sentence for sentence in row if sentence] or ["."] for row in sentences]
    distinct_ones = sorted({sentence for row in sentences for sentence in row})
    embeds = dict(zip(distinct_ones, encode_texts(encoder, processor, distinct_ones), strict=True))
    means = torch.stack([torch.stack([embeds[sentence] for sentence in row]).mean(dim=0) for row in sentences])
    return torch.nn.functional.normalize(means, dim=-1)


def _macro_f1(found: Factuality, chosen: np.ndarray) -> float:
    """The mean over the units that are there or are said to be; a sample may lack a rare one."""
    said, there = found.said[chosen], found.there[chosen]
    concerned = (said > 0).any(axis=0) | (there > 0).any(axis=0)
    return action_unit_f1(said[:, concerned], there[:, concerned]) if concerned.any() else np.nan


def _micro_f1(found: Factuality, chosen: np.ndarray) -> float:
    said, there = found.said[chosen], found.there[chosen]
    known = ~np.isnan(there)
    hits = (said * there)[known].sum()
    return float(2 * hits / max(1.0, said[known].sum() + there[known].sum()))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m emocapclip_hf.eval.captioning", description=__doc__.splitlines()[0]
    )
    parser.add_argument("model", help="folder or Hub id of a captioner")
    parser.add_argument("--dataset", default="synthfaces", help="anything load_emocap takes; default: synthfaces")
    parser.add_argument("--encoder", metavar="M", help="an EmoCapCLIP model, for the retrieval baseline")
    parser.add_argument("--bert-encoder", metavar="M", help="an encoder for BERTScore, a folder or Hub id")
    parser.add_argument("--faces", type=int, help="how many of the test split; default: all")
    parser.add_argument("--num-beams", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=IMAGE_BATCH)
    parser.add_argument("--output", default="results", metavar="DIR", help="of result files (default: results)")
    args = parser.parse_args(arguments)
    model = EmoCapCLIPForConditionalGeneration.from_pretrained(args.model).eval()
    processor = EmoCapCLIPCaptionProcessor.from_pretrained(args.model)
    faces = _load_faces(args.dataset, args.faces)
    results = evaluate_captioner(
        model, processor, faces, Path(args.dataset).name, args.encoder and _load_encoder(args.encoder),
        args.bert_encoder, args.batch_size, num_beams=args.num_beams,
    )  # fmt: skip
    for result in results:
        result.model = args.model
        result.save(args.output)
        for name, metric in result.metrics.items():
            interval = "" if metric.low is None else f"  [{metric.low:.3f}, {metric.high:.3f}]"
            print(f"{metric.value:8.3f}  {result.task}/{result.benchmark}/{name}{interval}")
    return 0


def _load_faces(dataset: str, count: int | None) -> dict[str, datasets.Dataset]:
    from emocapclip_hf.training.arguments import DataArguments
    from emocapclip_hf.training.setup import load_splits

    train, _, test = load_splits(DataArguments(dataset=dataset, image_size=48, synthfaces_form="short"))
    return {"train": train, "test": test if count is None else test.select(range(min(count, len(test))))}


if __name__ == "__main__":
    sys.exit(main())
