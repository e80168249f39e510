"""A dry run builds what a run would train, and counts, without data, files or a network."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from emocapclip_hf import EmoCapCLIPModel
from emocapclip_hf.training import parse_arguments
from emocapclip_hf.training.dry_run import count_parameters, dry_run, planned_config, random_batch, size_of
from emocapclip_hf.training.setup import prepare_model

FOLDER = Path(__file__).resolve().parents[2] / "configs"
CONFIGS = sorted([*FOLDER.glob("synthfaces*.yaml"), *FOLDER.glob("emocap100k-*.yaml")])
SMOKE = next(path for path in CONFIGS if path.stem == "synthfaces-smoke")


def planned(path, *flags):
    return parse_arguments(["--config", str(path), *flags])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_builds(path):
    """At full size, on the device that holds no numbers."""
    args = planned(path)
    config = planned_config(args)
    with torch.device("meta"):
        model = EmoCapCLIPModel(config)
        adapted = prepare_model(model, ("global", "summary", "local"), args.model)
        batch = random_batch(config, 2, args.data.sentences_per_caption, torch.device("meta"))
    counted = count_parameters(model)
    assert 0 < counted["total"][1] <= counted["total"][0] == sum(p.numel() for p in model.parameters())
    assert batch["local_input_ids"].shape[:2] == (2, args.data.sentences_per_caption)
    assert (adapted is not None) == (args.model.lora_rank is not None)


def test_a_dry_run_counts_what_a_run_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = dry_run(planned(SMOKE, "--freeze", "text", "--ema-decay", "0.9"))
    every, trained = result.parameters["total"]
    model = EmoCapCLIPModel(planned_config(planned(SMOKE)))
    assert every == model.num_parameters()
    assert every - trained == model.text_model.num_parameters() == result.parameters["text tower"][0]
    assert result.memory["weights"] == result.memory["moving average of the weights"] == 4 * every
    assert result.memory["AdamW's two moments"] == 2 * result.memory["gradients"] == 8 * trained
    assert (result.faces, result.steps, result.faces_per_process) == (200, 6, 16)
    assert result.seconds_per_face > 0 and not list(tmp_path.iterdir())


def test_activations_grow_with_the_batch_and_shrink_with_chunks():
    def activations(*flags):
        (size,) = [size for name, size in dry_run(planned(SMOKE, *flags)).memory.items() if "activations" in name]
        return size

    whole = activations("--per-device-train-batch-size", "64")
    assert 3 < whole / activations("--per-device-train-batch-size", "16") < 5
    assert activations("--per-device-train-batch-size", "64", "--cached-chunk-size", "8") < whole / 6


def test_people_read_tables():
    assert [size_of(each) for each in (3000, 3 * 2**20, 3 * 2**30)] == ["3 KiB", "3.0 MiB", "3.00 GiB"]
    printed = str(replace(dry_run(planned(SMOKE)), processes=2))
    assert "text tower" in printed and "activations of 16 faces" in printed
    (epoch,) = [line.split() for line in printed.splitlines() if line.startswith("  an epoch")]
    assert epoch[2:4] == ["6", "192"]  # of 200 faces: 6 steps of 2 x 16


def test_a_captioner_is_refused():
    with pytest.raises(ValueError, match="knows contrastive training only"):
        dry_run(planned(FOLDER / "captioner-synthfaces.yaml"))


def test_nothing_to_build():
    with pytest.raises(ValueError, match="set model_config, clip_name_or_path or model_name_or_path"):
        planned_config(parse_arguments([]))
