"""`train`: a run from Python."""

from __future__ import annotations

from ..objective import GlobalLocalObjective
from .arguments import TrainingArguments
from .setup import Materials
from .trainer import Trainer


def train(
    args: TrainingArguments, materials: Materials | None = None, objective: GlobalLocalObjective | None = None
) -> Materials:
    """
    Train as `args` say, and write everything below `args.run.output_dir`.

    Args:
        args: see `train.py --help`.
        materials: a dataset, processor and model of one's own, in place of those that `args` describe.
        objective: one's own, in place of the one that `args` describe.

    Returns:
        The materials, with the trained model, on the device it was trained on.

    Example, with a dataset, a model and an objective of one's own (each may be left out):

    ```python
    args = parse_arguments(["--config", "configs/synthfaces.yaml", "--output-dir", "runs/mine", "--max-steps", "500"])
    splits = load_emocap("faces/", columns={"image": "file", "caption": "paragraph"})
    model = EmoCapCLIPModel.from_pretrained("runs/synthfaces/model")
    processor = EmoCapCLIPProcessor.from_pretrained("runs/synthfaces/model")
    materials = Materials(splits["train"], splits["validation"], splits["test"], processor, model)
    objective = GlobalLocalObjective(ObjectiveOptions(summary_weight=0.0))
    trained = train(args, materials, objective)
    trained.model.save_pretrained("faces-model")
    ```

    SIGTERM and Ctrl-C end the run after the step in progress, which is saved: `TrainingInterrupted`, a `SystemExit`
    with the status 143 or 130. What cannot be gone on from raises, with the last good checkpoint intact.
    """
    if args.captioner.is_wanted:
        from .captioner_trainer import CaptionerTrainer

        return CaptionerTrainer(args, materials, objective).run()
    return Trainer(args, materials, objective).run()
