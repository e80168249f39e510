"""A dry run builds what a run would train, and counts, without data, files or a network."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig

from emocapclip_hf import EmoCapCLIPConfig, EmoCapCLIPForConditionalGeneration, EmoCapCLIPModel
from emocapclip_hf.training import parse_arguments
from emocapclip_hf.training.captioner_dry_run import (
    PARTS,
    caption_tokens,
    planned_captioner_config,
    random_captions,
)
from emocapclip_hf.training.captioner_setup import prepare_captioner, prepare_captioner_materials
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


TOWER = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
ENCODER = {"vision_config": {**TOWER, "patch_size": 8}, "text_config": TOWER, "projection_dim": 16}
DECODER = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 120}


def planned_captioner(*flags):
    """A small one, of a new encoder and a new decoder."""
    encoder = ["--model-config", json.dumps(ENCODER), "--vocab-size", "300", "--image-size", "32"]
    decoder = ["--decoder-config", json.dumps(DECODER), "--decoder-vocab-size", "300"]
    rows = ["--synthfaces-rows", "60", "4", "4", "--synthfaces-form", "short"]
    return parse_arguments([*encoder, *decoder, *rows, "--per-device-train-batch-size", "4", *flags])


def test_a_dry_run_counts_what_a_captioner_s_run_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = dry_run(planned_captioner("--lora-rank", "2", "--lora-target-modules", "q_proj"))
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    args = planned_captioner("--lora-rank", "2", "--lora-target-modules", "q_proj")
    model = prepare_captioner_materials(args).model
    adapted = prepare_captioner(model, args.model, decoder_is_new=True)
    parameters = list(model.parameters())
    learning = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    assert result.parameters["total"] == (sum(parameter.numel() for parameter in parameters), learning)
    assert result.parameters["decoder"][0] == result.parameters["decoder"][1] and adapted is not None
    assert result.memory["gradients"] == 4 * learning and result.faces == 60 and result.seconds_per_face > 0
    printed = str(result)
    assert "projector" in printed and "a step of 4 faces with captions of 72 tokens" in printed


def test_captions_are_as_long_as_the_data_and_the_context_say():
    config = planned_captioner_config(planned_captioner())
    long, own = planned_captioner("--synthfaces-form", "long"), planned_captioner("--dataset", "own")
    assert caption_tokens(config, planned_captioner().data) == 72
    assert caption_tokens(config, long.data) == caption_tokens(config, own.data) == 120 - 16 - 1
    batch = random_captions(config, 3, 72, torch.device("cpu"))
    assert batch["input_ids"].shape == batch["labels"].shape == (3, 16 + 72) and len(batch["pixel_values"]) == 3
    assert (batch["input_ids"][:, :16] == config.image_token_id).all() and (batch["labels"][:, :16] == -100).all()
    assert (batch["input_ids"][:, 16:] != config.image_token_id).all()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("captioner-*.yaml")), ids=lambda path: path.stem)
def test_every_captioner_s_config_builds(path, tmp_path):
    vision = {**TOWER, "image_size": 48, "patch_size": 8}
    EmoCapCLIPConfig(vision_config=vision, text_config=TOWER).save_pretrained(tmp_path / "encoder")
    args = planned(path, "--model-name-or-path", str(tmp_path / "encoder"))
    if args.captioner.decoder_name_or_path:
        LlamaConfig(**TOWER, vocab_size=90, max_position_embeddings=256).save_pretrained(tmp_path / "decoder")
        args.captioner.decoder_name_or_path = str(tmp_path / "decoder")
    config = planned_captioner_config(args)
    with torch.device("meta"):
        model = EmoCapCLIPForConditionalGeneration(config)
        adapted = prepare_captioner(model, args.model, args.captioner.decoder_config is not None)
    assert adapted is not None and count_parameters(model, PARTS)["total"][0] == sum(
        parameter.numel() for parameter in model.parameters()
    )
    config.save_pretrained(tmp_path / "captioner")  # to go on from
    args.model.model_name_or_path = str(tmp_path / "captioner")
    assert planned_captioner_config(args).image_seq_length == config.image_seq_length


def test_what_is_not_on_this_machine_is_named():
    decoder = planned_captioner()
    decoder.captioner.decoder_name_or_path = "nobody/decoder"
    with pytest.raises(FileNotFoundError, match=r"hf download nobody/decoder config\.json"):
        dry_run(decoder)
    with pytest.raises(FileNotFoundError, match="there is no folder runs/nothing/model"):
        dry_run(planned(FOLDER / "captioner-synthfaces.yaml", "--model-name-or-path", "runs/nothing/model"))


def test_nothing_to_build():
    with pytest.raises(ValueError, match="set model_config, clip_name_or_path or model_name_or_path"):
        planned_config(parse_arguments([]))
