"""Train EmoCapCLIP.

accelerate launch train.py --config configs/synthfaces.yaml
accelerate launch train.py --config configs/synthfaces.yaml --max-steps 2000 --output-dir runs/longer
accelerate launch train.py --config configs/synthfaces.yaml --resume
accelerate launch train.py --config configs/emocap100k-vit-b32.yaml --dry-run
"""

from __future__ import annotations

import sys
from pathlib import Path

import datasets
import transformers
from accelerate import PartialState
from torch.distributed.elastic.multiprocessing.errors import record

EMOTIONS = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")


@record  # torchrun and accelerate launch then show the traceback of the process that died first
def main() -> None:
    from emocapclip_hf.eval.suite import evaluate_run
    from emocapclip_hf.training import dry_run, parse_arguments, publish_results, train, write_model, write_results

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
        transformers.utils.logging.disable_progress_bar()
    args = parse_arguments(description="Train EmoCapCLIP, for instance: train.py --config configs/synthfaces.yaml")
    if args.run.dry_run:
        result = dry_run(args)
        if PartialState().is_main_process:
            print(result)
        return
    materials = train(args)
    state = PartialState()  # of the processes that trained, who now evaluate
    if state.is_main_process:
        write_model(materials, args)
    state.wait_for_everyone()
    metrics = evaluate_run(materials, args)
    state.destroy_process_group()
    if state.is_main_process:
        for name, value in write_results(materials, args, metrics).items():
            print(f"{value:8.3f}  {name}")
        try_it(Path(args.run.output_dir), is_captioner=args.captioner.is_wanted)
        if args.hub.push_to_hub and not publish_results(args):
            sys.exit(1)


def try_it(folder: Path, is_captioner: bool = False) -> None:
    """What a user does next: load what was written, and let the pipeline describe or classify one face."""
    model, face = str(folder / "model"), str(folder / "face.png")
    if is_captioner:
        described = transformers.pipeline("image-text-to-text", model=model)(face, text="")
        print(f"{face}: {described[0]['generated_text']}")
    else:
        classify = transformers.pipeline("zero-shot-image-classification", model=model)
        for answer in classify(face, candidate_labels=list(EMOTIONS), hypothesis_template="a face that shows {}"):
            print(f"{answer['score']:8.1%}  {face} shows {answer['label']}")
    print(f"{folder / 'results' / 'report' / 'report.md'} tells how it does, in tables and pictures")
    print(f"{folder / 'model'} holds the model in Hub format, with its card")


if __name__ == "__main__":
    main()
