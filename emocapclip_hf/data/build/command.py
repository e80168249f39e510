"""The command line: `emocapclip data build SOURCE... --out DIR`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

STAGES = ("frames", "faces", "captions", "checks", "dataset")


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [SOURCE...] --out DIR (--endpoint URL --model NAME | --local MODEL) [options]"
    parser.epilog = (
        "A run can be killed at any time; the same command goes on where it stopped, and asks for no caption twice. "
        "exit status: 0 when all was done; 1 when captions are missing because the endpoint did not answer or the "
        "budget is spent (run it again); 2 for a mistake in the arguments or nothing to do"
    )
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="films, pictures, or folders of them")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="the folder of all stages")
    parser.add_argument(
        "--stages",
        nargs="+",
        choices=STAGES,
        default=list(STAGES),
        metavar="STAGE",
        help=f"some of {' '.join(STAGES)}",
    )
    parser.add_argument("--workers", metavar="N", type=int, default=_cores(), help="processes (default: one a core)")
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: frames and faces across the machines of a Ray (RAY_ADDRESS says which), who all see --out and the "
        "sources under the same paths; captions and checks stay here, where the replies are kept, and what scales is "
        "the model, on its own server",
    )
    _add_frame_arguments(parser.add_argument_group("frames"))
    _add_face_arguments(parser.add_argument_group("faces"))
    _add_caption_arguments(parser.add_argument_group("captions"))
    _add_endpoint_arguments(parser.add_argument_group("captions from an endpoint"))
    _add_check_arguments(parser.add_argument_group("checks"))
    _add_dataset_arguments(parser.add_argument_group("dataset"))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _add_frame_arguments(group) -> None:
    group.add_argument("--frames-per-scene", metavar="K", type=int, default=3)
    group.add_argument("--scene-threshold", metavar="X", type=float, default=0.07, help="of 0 to 1 (default 0.07)")
    group.add_argument("--person", metavar="REGEX", help="its first group, on a file's name, says who is seen")


def _add_face_arguments(group) -> None:
    group.add_argument("--detector", metavar="FILE.onnx", help="a YuNet model (default: OpenCV's Haar cascades)")
    group.add_argument("--no-detect", action="store_true", help="the pictures are faces already")
    group.add_argument("--min-face", metavar="PIXELS", type=float, default=64)
    group.add_argument("--faces-per-scene", metavar="N", type=int, default=4)


def _add_caption_arguments(group) -> None:
    group.add_argument("--local", metavar="MODEL", help="an image-text-to-text model of transformers, run here")
    group.add_argument("--batch-size", metavar="N", type=int, default=8, help="of a local model")
    group.add_argument("--captions-per-face", metavar="N", type=int, default=1, choices=(1, 2), help="2: compared")
    group.add_argument("--rounds", metavar="N", type=int, default=3, help="how often a faulty caption is asked for")
    group.add_argument(
        "--temperature", metavar="T", type=float, help="default: 0.2 of an endpoint, 0 of a local model"
    )
    group.add_argument("--max-tokens", metavar="N", type=int, default=1200, help="of one answer")


def _add_endpoint_arguments(group) -> None:
    group.add_argument("--endpoint", metavar="URL", help="OpenAI-compatible, as http://127.0.0.1:8000/v1")
    group.add_argument("--model", metavar="NAME", help="as the endpoint calls it")
    group.add_argument(
        "--api-key-env", metavar="VAR", default="OPENAI_API_KEY", help="the variable that holds the key, if any"
    )
    group.add_argument("--structure", default="json_schema", metavar="FORM", help="json_schema, json_object or none")
    group.add_argument("--concurrency", metavar="N", type=int, default=32)
    group.add_argument("--requests-per-minute", metavar="N", type=float)
    group.add_argument("--tokens-per-minute", metavar="N", type=float)
    group.add_argument("--timeout", metavar="SECONDS", type=float, default=120.0)
    group.add_argument("--max-tries", metavar="N", type=int, default=6)
    group.add_argument("--first-wait", metavar="SECONDS", type=float, default=1.0, help="before the second try")
    group.add_argument("--max-requests", metavar="N", type=int, help="budget over all runs on this folder")
    group.add_argument("--max-total-tokens", metavar="N", type=int, help="likewise")


def _add_check_arguments(group) -> None:
    group.add_argument("--min-words", metavar="N", type=int, default=40)
    group.add_argument("--max-words", metavar="N", type=int, default=600)
    group.add_argument("--min-regions", metavar="N", type=int, default=3)
    group.add_argument("--min-agreement", metavar="X", type=float, default=0.5, help="of two captions, 0 to 1")
    group.add_argument("--similarity-model", metavar="CHECKPOINT", help="EmoCapCLIP, to flag what fits its face least")
    group.add_argument("--flag-share", metavar="X", type=float, default=0.02)


def _add_dataset_arguments(group) -> None:
    group.add_argument("--rows-per-shard", metavar="N", type=int, default=5_000)
    group.add_argument("--casts", metavar="CSV", help="film,person: films that share a person stay in one split")
    group.add_argument("--title", default="An EmoCap")
    group.add_argument("--license", default="unknown", help="for the card, as the Hub writes it")
    group.add_argument(
        "--push-to-hub", metavar="OWNER/NAME", help="publish the dataset; sign in first: `hf auth login`"
    )
    group.add_argument("--private", action="store_true", help="a repository that has to be made is private")


def run_build(args: argparse.Namespace) -> int:
    """Run the stages, and print what each found."""
    from .captions import UnansweredError
    from .endpoint import EndpointError
    from .pacing import BudgetSpentError

    try:
        for stage in (stage for stage in STAGES if stage in args.stages):
            print(f"{stage}: {_shown(_RUN[stage](args))}", flush=True)
        if args.push_to_hub and "dataset" in args.stages:
            from .dataset import dataset_path
            from .push import push_dataset

            print(f"pushed to {push_dataset(dataset_path(args.out), args.push_to_hub, args.private)}")
    except (UnansweredError, EndpointError, BudgetSpentError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _shown(summary: dict[str, Any]) -> str:
    return json.dumps(summary, ensure_ascii=False, indent=1 if summary.get("problems") else None)


def _frames(args: argparse.Namespace) -> dict[str, Any]:
    from .frames import FrameOptions, run_frames
    from .sources import find_units

    if not args.sources:
        raise ValueError("nothing to read: name films, pictures or folders of them, or leave frames out of --stages")
    options = FrameOptions(per_scene=args.frames_per_scene, scene_threshold=args.scene_threshold)
    return run_frames(args.out, find_units(args.sources, args.person), options, args.workers, args.engine)


def _faces(args: argparse.Namespace) -> dict[str, Any]:
    from ..faces.quality import QualityLimits
    from .faces import FaceOptions, run_faces

    options = FaceOptions(
        detector=args.detector,
        detect=not args.no_detect,
        most_per_scene=args.faces_per_scene,
        limits=QualityLimits(min_side=args.min_face),
    )
    return run_faces(args.out, options, args.workers, args.engine)


def _caption_options(args: argparse.Namespace):
    from .caption_faults import CheckOptions
    from .captions import CaptionOptions

    checks = CheckOptions(
        min_words=args.min_words,
        max_words=args.max_words,
        min_regions=args.min_regions,
        min_agreement=args.min_agreement,
    )
    return CaptionOptions(args.captions_per_face, args.rounds, checks)


def _captions(args: argparse.Namespace) -> dict[str, Any]:
    from .captions import run_captions

    if bool(args.local) == bool(args.endpoint):
        raise ValueError("who writes the captions? Give --endpoint URL --model NAME, or --local MODEL")
    if args.endpoint and not args.model:
        raise ValueError("--endpoint needs --model NAME: the model as the endpoint calls it")
    return run_captions(
        args.out, _local(args) if args.local else _endpoint(args), _caption_options(args), args.workers
    )


def _local(args: argparse.Namespace):
    def captioner(requests: int, tokens: int):
        from .local_captioner import LocalCaptioner, LocalOptions

        return LocalCaptioner(LocalOptions(args.local, args.batch_size, args.max_tokens, args.temperature or 0.0))

    return captioner


def _endpoint(args: argparse.Namespace):
    from .endpoint import EndpointCaptioner, EndpointOptions

    options = EndpointOptions(
        url=args.endpoint,
        model=args.model,
        api_key_env=args.api_key_env,
        structure=args.structure,
        temperature=0.2 if args.temperature is None else args.temperature,
        max_tokens=args.max_tokens,
        concurrency=args.concurrency,
        requests_per_minute=args.requests_per_minute,
        tokens_per_minute=args.tokens_per_minute,
        timeout=args.timeout,
        max_tries=args.max_tries,
        first_wait=args.first_wait,
        max_requests=args.max_requests,
        max_tokens_in_all=args.max_total_tokens,
    )
    return lambda requests, tokens: EndpointCaptioner(options, requests, tokens)


def _checks(args: argparse.Namespace) -> dict[str, Any]:
    from .checks import SimilarityOptions, run_checks

    similarity = SimilarityOptions(args.similarity_model, args.flag_share)
    return run_checks(args.out, _caption_options(args), similarity, args.workers)


def _dataset(args: argparse.Namespace) -> dict[str, Any]:
    from .dataset import DatasetOptions, run_dataset

    return run_dataset(args.out, DatasetOptions(args.rows_per_shard, args.casts, args.title, args.license))


_RUN = {"frames": _frames, "faces": _faces, "captions": _captions, "checks": _checks, "dataset": _dataset}
