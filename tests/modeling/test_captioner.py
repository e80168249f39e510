"""The captioner with every decoder, projector and tower."""

import json

import pytest
import torch
from captioner_zoo import CAPTIONERS, IMAGE, captioner_config, prompts, small_captioner
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn import functional as F
from zoo import small_config

from emocapclip_hf import EmoCapCLIPForConditionalGeneration, EmoCapCLIPModel
from emocapclip_hf.modeling import EmoCapCLIPCaptionerConfig


@pytest.fixture(params=CAPTIONERS, scope="module")
def captioner(request):
    return small_captioner(request.param)


@torch.no_grad()
def test_the_decoder_sees_the_pictures_tokens_and_then_the_words(captioner):
    """Against the decoder called with embeddings that are put together by hand."""
    inputs = prompts(captioner.config)
    outputs = captioner(**inputs)
    vision = {name: value for name, value in inputs.items() if name not in ("input_ids", "attention_mask")}
    image_tokens = captioner.get_image_features(**vision).pooler_output  # (images, tokens, dim)
    length = captioner.config.image_seq_length
    assert image_tokens.shape == (3, length, 32)
    words = captioner.get_input_embeddings()(inputs["input_ids"][:, length:])
    expected = captioner.language_model(inputs_embeds=torch.cat([image_tokens, words], dim=1)).logits
    torch.testing.assert_close(outputs.logits, expected)
    torch.testing.assert_close(outputs.image_hidden_states, image_tokens)


@torch.no_grad()
def test_every_patch_counts(captioner):
    """A change in any corner of the picture changes what is written."""
    if captioner.config.patch_grid is None:
        pytest.skip("flattened patches have no corners")
    inputs = prompts(captioner.config, images=1)
    before = captioner(**inputs).logits[:, -1]
    for rows in (slice(0, 8), slice(24, 32)):
        changed = inputs["pixel_values"].clone()
        changed[..., rows, rows] += 1
        after = captioner(**inputs | {"pixel_values": changed}).logits[:, -1]
        assert (after - before).abs().max() > 1e-6


def test_the_loss_is_of_the_caption_alone(captioner):
    inputs = prompts(captioner.config)
    labels = inputs["input_ids"].clone()
    labels[:, :-3] = -100
    outputs = captioner(**inputs, labels=labels)
    logits = outputs.logits[:, -4:-1].flatten(0, 1)
    torch.testing.assert_close(outputs.loss, F.cross_entropy(logits, labels[:, -3:].flatten()))


def test_the_loss_reaches_every_part(captioner):
    captioner.zero_grad()
    inputs = prompts(captioner.config)
    captioner(**inputs, labels=inputs["input_ids"]).loss.backward()
    without = [
        name
        for name, parameter in captioner.named_parameters()
        # the class token's own way through CLIP's last norm serves the pooled output
        if parameter.grad is None and not name.startswith(("vision_model.head", "vision_model.embeddings.mask_token"))
    ]
    assert without == []
    captioner.zero_grad()


@torch.no_grad()
def test_saved_and_loaded(captioner, tmp_path):
    captioner.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["model.safetensors"]
    assert json.loads((tmp_path / "config.json").read_text())["auto_map"] == {
        "AutoConfig": "configuration_captioner_emocapclip.EmoCapCLIPCaptionerConfig",
        "AutoModelForImageTextToText": "modeling_captioner_emocapclip.EmoCapCLIPForConditionalGeneration",
    }
    loaded = EmoCapCLIPForConditionalGeneration.from_pretrained(tmp_path)
    inputs = prompts(captioner.config)
    torch.testing.assert_close(loaded(**inputs).logits, captioner(**inputs).logits)


def test_made_of_an_emocapclip_model_and_a_decoder():
    torch.manual_seed(0)
    encoder = EmoCapCLIPModel(small_config())
    decoder = small_captioner("gpt2").language_model
    captioner = EmoCapCLIPForConditionalGeneration.from_towers(encoder, decoder, IMAGE, image_seq_length=4)
    assert captioner.config.image_seq_length == 4
    for theirs, ours in ((encoder.vision_model, captioner.vision_model), (decoder, captioner.language_model)):
        for name, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], value), name
    assert captioner.generation_config.eos_token_id == decoder.config.eos_token_id


def test_tied_words_stay_tied(tmp_path):
    small_captioner("gpt2").save_pretrained(tmp_path)
    loaded = EmoCapCLIPForConditionalGeneration.from_pretrained(tmp_path)
    assert loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight


@torch.no_grad()
def test_naflex_padding_says_nothing():
    captioner = small_captioner("siglip2")
    inputs = prompts(captioner.config)
    padding = inputs["pixel_attention_mask"] == 0
    assert padding.any()
    changed = inputs["pixel_values"].clone()
    changed[padding] = 7.0
    torch.testing.assert_close(
        captioner(**inputs | {"pixel_values": changed}).logits, captioner(**inputs).logits, atol=1e-5, rtol=1e-5
    )


def test_pictures_of_another_size_are_pooled_to_the_same_tokens():
    captioner = small_captioner("pooled")
    inputs = prompts(captioner.config, images=1)
    larger = F.interpolate(inputs["pixel_values"], size=(48, 64))
    outputs = captioner(**inputs | {"pixel_values": larger}, interpolate_pos_encoding=True)
    assert outputs.image_hidden_states.shape[1] == 4


def test_a_missing_picture_is_an_error_that_counts():
    captioner = small_captioner()
    inputs = prompts(captioner.config, images=2)
    with pytest.raises(ValueError, match=r"hold 32 image tokens .* but 1 pictures make 16 each"):
        captioner(**inputs | {"pixel_values": inputs["pixel_values"][:1]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_seq_length": 5}, "takes all of them, or pools them to a smaller square"),
        ({"image_seq_length": 25}, "but the tower has 16 patches"),
        ({"image_seq_length": 0}, "at least one token"),
        ({"image_token_id": 99}, "vocabulary of 99 does not hold"),
        ({"projector_type": "query", "image_seq_length": 128}, "has 128 positions and the picture alone takes 128"),
    ],
)
def test_a_config_that_cannot_work_says_what_would(options, message):
    config = captioner_config().to_dict()
    with pytest.raises(ValueError, match=message):
        EmoCapCLIPCaptionerConfig(
            vision_config=config["vision_config"], text_decoder_config=config["text_decoder_config"], **options
        )


def test_a_grid_of_its_own_needs_queries():
    config = captioner_config("siglip2").to_dict()
    with pytest.raises(ValueError, match='projector_type="query"'):
        EmoCapCLIPCaptionerConfig(
            vision_config=config["vision_config"], text_decoder_config=config["text_decoder_config"]
        )


LORA = r"(language_model|vision_model)\..*\.(c_attn|q_proj|v_proj)"


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_adapters_learn_alone_and_are_saved_loaded_and_merged(name, tmp_path):
    small_captioner(name).save_pretrained(tmp_path / "base")
    base = EmoCapCLIPForConditionalGeneration.from_pretrained(tmp_path / "base")
    model = get_peft_model(base, LoraConfig(r=4, target_modules=LORA, modules_to_save=["projector"]))
    inputs = prompts(base.config)
    labels = inputs["input_ids"].masked_fill(inputs["input_ids"] == IMAGE, -100)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for _ in range(2):
        optimizer.zero_grad()
        model(**inputs, labels=labels).loss.backward()
        optimizer.step()
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == {name for name in before if "lora_" in name or "modules_to_save" in name}

    model.eval().save_pretrained(tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(
        EmoCapCLIPForConditionalGeneration.from_pretrained(tmp_path / "base"), tmp_path / "adapter"
    ).eval()
    with torch.no_grad():
        expected = model(**inputs).logits
        torch.testing.assert_close(loaded(**inputs).logits, expected)
        loaded.merge_and_unload().save_pretrained(tmp_path / "merged")
        merged = EmoCapCLIPForConditionalGeneration.from_pretrained(tmp_path / "merged").eval()
        torch.testing.assert_close(merged(**inputs).logits, expected, atol=1e-5, rtol=1e-5)


def test_resized_vocabulary():
    captioner = small_captioner("gpt2")
    captioner.resize_token_embeddings(120)
    assert captioner.config.text_decoder_config.vocab_size == 120
    inputs = prompts(captioner.config)
    assert captioner(**inputs).logits.shape[-1] == 120
