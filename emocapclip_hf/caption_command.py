"""`emocapclip caption PHOTO...`: find the faces in photographs, and write what each shows."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

MODEL = "runs/synthfaces-captioner/model"
MOST_EXPLAINED = 8  # faces in one picture of explanations
_TITLE = "Which patches spoke for which sentence, each map on its own scale"
_TITLE_LETTERS = 25  # on the width of a picture


@dataclass
class _Face:
    """`box`: left, top, width, height in the photograph; None where all of it is the face."""

    photo: str
    number: int
    picture: Image.Image
    box: tuple[int, ...] | None = None


def add_caption_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="picture files")
    parser.add_argument(
        "--model",
        metavar="M",
        default=MODEL,
        help="folder or Hub id of a captioner (default: %(default)s, which `make train-captioner` writes)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json: one object a line")
    parser.add_argument("--num-beams", type=int, default=1, metavar="N", help="wordings that are weighed (default: 1)")
    parser.add_argument("--no-detect", action="store_true", help="each picture is a cropped face already")
    parser.add_argument("--detector", metavar="FILE.onnx", help="a YuNet model in place of OpenCV's own cascades")
    parser.add_argument("--explain", metavar="OUT.png", help="also draw which patches spoke for which sentence")


def run_caption(args: argparse.Namespace) -> int:
    """0; 1 if a photograph could not be read or shows no face; 2 for a mistake in what was asked."""
    from transformers.utils import logging

    from emocapclip_hf.captioning import caption_images
    from emocapclip_hf.data.caption import EmoCaption

    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    try:
        detector = None if args.no_detect else _detector(args.detector)
        model, processor = _load(args.model)
        if args.explain:
            _check_explainable(model, Path(args.explain))
    except (ImportError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.model == MODEL:
        print("note: this model has seen drawn faces only; what it says of photographs means little", file=sys.stderr)
    failed: list[str] = []
    waiting: deque[_Face] = deque()  # for their captions, which come a batch at a time
    explained: list[tuple[_Face, str]] = []
    captioned = 0

    def pictures() -> Iterator[Image.Image]:
        for face in _find(args.photos, detector, failed):
            waiting.append(face)
            yield face.picture

    for caption in caption_images(model, processor, pictures(), num_beams=args.num_beams):
        face = waiting.popleft()
        _print(face, EmoCaption.from_paragraph(caption), args.format)
        captioned += 1
        if args.explain and captioned <= MOST_EXPLAINED:
            explained.append((face, caption))
    if explained:
        if captioned > MOST_EXPLAINED:
            print(f"{args.explain} shows the first {MOST_EXPLAINED} of {captioned} faces", file=sys.stderr)
        _explain(model, processor, explained, Path(args.explain))
    return 1 if failed else 0


def _load(name: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoConfig

    from emocapclip_hf.checkpoint_names import check_checkpoint_name
    from emocapclip_hf.modeling import EmoCapCLIPCaptionerConfig, EmoCapCLIPForConditionalGeneration
    from emocapclip_hf.processing import EmoCapCLIPCaptionProcessor

    if name == MODEL and not Path(name).is_dir():
        raise FileNotFoundError(f"there is no {name} here: run `make train-captioner`, or name a --model")
    check_checkpoint_name(name)
    kind = AutoConfig.from_pretrained(name).model_type
    if kind != EmoCapCLIPCaptionerConfig.model_type:
        raise ValueError(f"{name} is no captioner but a model of type {kind}, which writes nothing; name another")
    model = EmoCapCLIPForConditionalGeneration.from_pretrained(name).eval()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device), EmoCapCLIPCaptionProcessor.from_pretrained(name)


def _check_explainable(model: Any, path: Path) -> None:
    """Before any caption is written."""
    import matplotlib  # noqa: F401 (an extra brings it)

    if model.config.patch_grid is None:
        raise ValueError("--explain draws on a fixed grid of patches, and this model gives each picture its own")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--explain {path}: there is no folder {path.parent}")


def _detector(model: str | None) -> Any:
    from emocapclip_hf.data.faces.detector import load_detector

    return load_detector(model)


def _find(photos: Iterable[str], detector: Any, failed: list[str]) -> Iterator[_Face]:
    """The faces of all photographs; those that gave none are added to `failed`."""
    from tqdm.auto import tqdm

    # On a terminal the captions themselves show how far it is.
    for photo in tqdm(photos, desc="Photographs", disable=True if sys.stdout.isatty() else None):
        faces = list(_faces_of(photo, detector))
        if not faces:
            failed.append(photo)
        yield from faces


def _faces_of(photo: str, detector: Any) -> Iterator[_Face]:
    from emocapclip_hf.processing import rgb_image

    try:
        picture = rgb_image(photo)
    except (OSError, ValueError) as error:
        print(f"error: {photo}: {error}", file=sys.stderr)
        return
    if detector is None:
        yield _Face(photo, 1, picture)
        return
    from emocapclip_hf.data.faces.crop import crop_face

    found = detector(picture)
    if not found:
        print(f"{photo}: no face found. If the picture is one face, pass --no-detect.", file=sys.stderr)
    for number, face in enumerate(found, start=1):
        yield _Face(photo, number, crop_face(picture, face), tuple(round(value) for value in face.box))


def _print(face: _Face, caption: Any, form: str) -> None:
    if form == "json":
        place = {"photo": face.photo, "face": face.number, "box": face.box and list(face.box)}
        print(json.dumps(place | caption.to_dict(), ensure_ascii=False))
        return
    where = "" if face.box is None else f", face {face.number} at {face.box[0]}, {face.box[1]}"
    print(f"{face.photo}{where}")
    local = [f"- {sentence}" for sentence in caption.local_captions]
    for line in filter(None, [caption.global_caption, *local, caption.summary_caption]):
        print(f"  {line}")
    print()


def _explain(model: Any, processor: Any, chosen: list[tuple[_Face, str]], path: Path) -> None:
    """A line a face: the picture, then one map for each sentence, the sentence below."""
    import numpy as np
    from matplotlib.figure import Figure

    from emocapclip_hf.captioning import explain_caption
    from emocapclip_hf.training.attention_maps import draw_map

    explained = [explain_caption(model, processor, face.picture, caption) for face, caption in chosen]
    columns = 1 + max(len(sentences) for sentences, _ in explained)
    figure = Figure(figsize=(2.5 * columns, 3.25 * len(chosen) + 0.5), layout="constrained")
    figure.suptitle(textwrap.fill(_TITLE, _TITLE_LETTERS * columns), fontsize=12)
    grid = figure.subplots(len(chosen), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for line, (face, _), (sentences, maps) in zip(grid, chosen, explained, strict=True):
        side = min(face.picture.size)
        picture = np.asarray(face.picture.resize((side, side)))
        line[0].imshow(picture)
        line[0].set_title(Path(face.photo).name, fontsize=8, loc="left")
        for axes, sentence, weights in zip(line[1:], sentences, maps.cpu().numpy(), strict=False):
            draw_map(axes, picture, sentence, weights)
    figure.savefig(path, dpi=110, bbox_inches="tight")  # the layout does not see the sentences below
    print(f"wrote {path}", file=sys.stderr)
