"""A captioner through the same loop: what is trained, what is resumed, what is written."""

import json

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from emocapclip_hf.data.phrase_tokenizer import train_phrase_tokenizer
from emocapclip_hf.modeling import EmoCapCLIPForConditionalGeneration
from emocapclip_hf.training import parse_arguments, train, write_model, write_results
from emocapclip_hf.training.captioner_setup import evaluate_captioner, prepare_captioner_materials
from emocapclip_hf.training.captioner_trainer import CaptionerTrainer

TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
ENCODER = {"vision_config": {**TOWER, "patch_size": 8}, "text_config": TOWER, "projection_dim": 16}
DECODER = {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 128}


def arguments(folder, *flags):
    return parse_arguments(
        [
            *("--model-config", json.dumps(ENCODER), "--vocab-size", "300", "--decoder-config", json.dumps(DECODER)),
            *("--decoder-vocab-size", "400", "--synthfaces-rows", "60", "10", "10", "--synthfaces-form", "short"),
            *("--image-size", "32", "--per-device-train-batch-size", "8", "--max-steps", "6", "--warmup-steps", "2"),
            *("--eval-steps", "3", "--save-steps", "3", "--logging-steps", "1", "--output-dir", str(folder), *flags),
        ]
    )


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.slow
def test_a_run_writes_what_the_pipeline_reads(tmp_path):
    args = arguments(tmp_path)
    materials = train(args)
    write_model(materials, args)
    metrics = evaluate_captioner(materials.model, materials.processor, materials.test, "synthfaces")
    write_results(materials, args, metrics)
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "token_accuracy" in line] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in lines if "captioning/validation/token_accuracy" in line] == [3, 6]
    card = (tmp_path / "model" / "README.md").read_text()
    assert "pipeline_tag: image-text-to-text" in card and "AutoModelForImageTextToText" in card
    loaded = EmoCapCLIPForConditionalGeneration.from_pretrained(tmp_path / "model")
    for name, value in weights(materials.model).items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert loaded.generation_config.eos_token_id == 3 and loaded.generation_config.max_new_tokens == 111


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_weights(tmp_path):
    whole = weights(train(arguments(tmp_path / "whole")).model)
    first = arguments(tmp_path / "parts")
    trainer = CaptionerTrainer(first)
    evaluate = trainer._evaluate

    def stop_after_the_first(done):
        if done == 6:
            raise KeyboardInterrupt
        return evaluate(done)

    trainer._evaluate = stop_after_the_first
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    resumed = weights(train(arguments(tmp_path / "parts", "--resume")).model)
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name


@pytest.mark.parametrize(
    ("flags", "learning"),
    [
        (["--freeze", "vision"], {"projector", "language_model"}),
        (["--freeze", "vision", "decoder"], {"projector"}),
        (["--lora-rank", "2"], {"projector", "language_model", "vision_model"}),
        ([], {"projector", "language_model", "vision_model"}),
    ],
)
def test_what_is_trained(flags, learning, tmp_path):
    args = arguments(tmp_path, *flags, "--max-steps", "2")
    torch.manual_seed(0)
    materials = prepare_captioner_materials(args)
    before = weights(materials.model)
    after = weights(train(args, materials).model)
    assert {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])} == learning
    if "--lora-rank" in flags:  # in the tower, adapters alone
        changed = [name for name in before if name.startswith("vision") and not torch.equal(before[name], after[name])]
        assert changed and all("q_proj" in name or "v_proj" in name for name in changed)


def test_a_decoder_that_has_learnt_before_gets_adapters(tmp_path):
    tokenizer = train_phrase_tokenizer(["The lips are parted. Ultimately, this is joy."] * 9, 60, 128)
    tokenizer.save_pretrained(tmp_path / "decoder")
    config = AutoConfig.for_model("llama", vocab_size=len(tokenizer), **TOWER, bos_token_id=2, eos_token_id=3)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "decoder")
    args = arguments(tmp_path / "run", "--lora-rank", "2", "--max-steps", "2")
    args.captioner.decoder_config, args.captioner.decoder_name_or_path = None, str(tmp_path / "decoder")
    materials = prepare_captioner_materials(args)
    before = weights(materials.model)
    after = weights(train(args, materials).model)
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    decoder = [name for name in changed if name.startswith("language_model")]
    assert decoder and all("q_proj" in name or "v_proj" in name for name in decoder)


def test_goes_on_from_a_captioner(tmp_path):
    args = arguments(tmp_path / "first")
    materials = train(args)
    write_model(materials, args)
    again = arguments(tmp_path / "second")
    again.model.model_config, again.model.model_name_or_path = None, str(tmp_path / "first" / "model")
    loaded = prepare_captioner_materials(again).model.state_dict()
    for name, value in weights(materials.model).items():
        assert torch.equal(loaded[name], value), name


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--cached-chunk-size", "4"], "gradient_accumulation_steps"),
        (["--freeze", "text"], "parts of a captioner are vision and decoder"),
        (["--decoder-name-or-path", "gpt2"], "pass one of them"),
    ],
)
def test_what_cannot_be_says_what_can(flags, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        train(arguments(tmp_path, *flags))
