"""`emocapclip caption PHOTO...`: find the faces in photographs, and write what each shows."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

MOST_EXPLAINED = 8  # faces in one picture of explanations


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
        default="runs/synthfaces-captioner/model",
        help="folder or Hub id of a captioner (default: %(default)s, which `make train-captioner` writes)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json: one object a line")
    parser.add_argument("--num-beams", type=int, default=1, metavar="N", help="wordings that are weighed (default: 1)")
    parser.add_argument("--no-detect", action="store_true", help="each picture is a cropped face already")
    parser.add_argument("--detector", metavar="FILE.onnx", help="a YuNet model in place of OpenCV's own cascades")
    parser.add_argument("--explain", metavar="OUT.png", help="also draw which patches spoke for which sentence")


def run_caption(args: argparse.Namespace) -> int:
    """0; 1 if a photograph could not be read or shows no face; 2 for a mistake in what was asked."""
    from emocapclip_hf.captioning import caption_images
    from emocapclip_hf.data.caption import EmoCaption
    from emocapclip_hf.modeling import EmoCapCLIPForConditionalGeneration
    from emocapclip_hf.processing import EmoCapCLIPCaptionProcessor

    try:
        detector = None if args.no_detect else _detector(args.detector)
        model = EmoCapCLIPForConditionalGeneration.from_pretrained(args.model).eval()
        processor = EmoCapCLIPCaptionProcessor.from_pretrained(args.model)
    except (ImportError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    faces, failed = _find(args.photos, detector)
    captions = list(caption_images(model, processor, (face.picture for face in faces), num_beams=args.num_beams))
    for face, caption in zip(faces, captions, strict=True):
        _print(face, EmoCaption.from_paragraph(caption), args.format)
    if args.explain and faces:
        _explain(model, processor, faces, captions, Path(args.explain))
    return 1 if failed else 0


def _detector(model: str | None) -> Any:
    from emocapclip_hf.data.faces.detector import load_detector

    return load_detector(model)


def _find(photos: list[str], detector: Any) -> tuple[list[_Face], int]:
    """The faces of all photographs, and how many photographs gave none."""
    faces: list[_Face] = []
    failed = 0
    for photo in photos:
        found = list(_faces_of(photo, detector))
        failed += not found
        faces += found
    return faces, failed


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
    print(f"  {caption.global_caption}")
    for sentence in caption.local_captions:
        print(f"  - {sentence}")
    print(f"  {caption.summary_caption}\n")


def _explain(model: Any, processor: Any, faces: list[_Face], captions: list[str], path: Path) -> None:
    """A line a face: the picture, then one map for each sentence, the sentence below."""
    import numpy as np
    from matplotlib.figure import Figure

    from emocapclip_hf.captioning import explain_caption
    from emocapclip_hf.training.attention_maps import draw_map

    chosen = list(zip(faces, captions, strict=True))[:MOST_EXPLAINED]
    if len(faces) > MOST_EXPLAINED:
        print(f"{path} shows the first {MOST_EXPLAINED} of {len(faces)} faces", file=sys.stderr)
    explained = [explain_caption(model, processor, face.picture, caption) for face, caption in chosen]
    columns = 1 + max(len(sentences) for sentences, _ in explained)
    figure = Figure(figsize=(2.5 * columns, 3.25 * len(chosen) + 0.5), layout="constrained")
    figure.suptitle("Which patches spoke for which sentence, each map on its own scale", fontsize=12)
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
    figure.savefig(path, dpi=110)
    print(f"wrote {path}", file=sys.stderr)
