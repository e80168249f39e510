"""Captions of pictures in batches, and what in a picture spoke for them."""

import pytest
import torch
from captioner_zoo import DECODERS, captioner_processor, captioner_with_words
from PIL import Image
from transformers import AutoConfig, AutoModelForCausalLM
from zoo import small_config

from emocapclip_hf import EmoCapCLIPModel
from emocapclip_hf.captioning import build_captioner, caption_images, explain_caption
from emocapclip_hf.data.tokenizer import small_processor

FACES = [Image.effect_mandelbrot((40, 50), (-2, -1.5, 1, side), 30).convert("RGB") for side in (1.5, 1.0, 0.5)]
CAPTION = "The lips are parted. The brows are raised. Ultimately, this is joy."


@pytest.fixture(scope="module")
def captioner():
    model = captioner_with_words(seed=1)
    model.projector.down.weight.data *= 50  # so that an untrained one heeds the picture
    return model, captioner_processor()


def test_batches_or_one_by_one(captioner):
    options = {"max_new_tokens": 6, "eos_token_id": None}
    one_by_one = [next(caption_images(*captioner, face, **options)) for face in FACES]
    assert list(caption_images(*captioner, iter(FACES), batch_size=2, **options)) == one_by_one
    assert len(set(one_by_one)) > 1


def test_captions_begin_with_the_prompt(captioner):
    (caption,) = caption_images(*captioner, FACES[:1], prompt="The lips", max_new_tokens=3, eos_token_id=None)
    assert caption.startswith("The lips")


def test_what_cannot_be_is_refused(captioner):
    model, processor = captioner
    with pytest.raises(ValueError, match="batch_size is 0"):
        next(caption_images(model, processor, FACES, batch_size=0))
    with pytest.raises(ValueError, match="training mode"):
        next(caption_images(captioner_with_words().train(), processor, FACES))


def test_each_sentence_has_a_map_of_its_own(captioner):
    sentences, maps = explain_caption(*captioner, FACES[0], CAPTION)
    assert " ".join(sentences) == CAPTION
    assert maps.shape == (3, 4, 4) and (maps >= 0).all()
    torch.testing.assert_close(maps.sum(dim=(1, 2)), torch.ones(3))
    assert not torch.allclose(maps[0], maps[1])
    assert not any(parameter.grad is not None for parameter in captioner[0].parameters())


def test_maps_say_what_each_patch_adds_to_a_sentence_s_likelihood(captioner):
    """Against finite differences: each patch a little more and a little less like the average one."""
    model, processor = captioner
    sentence = "The lips are parted."
    _, maps = explain_caption(model, processor, FACES[0], sentence)
    inputs = processor(images=FACES[0], captions=sentence, return_tensors="pt")
    labels = inputs["labels"][0]
    words = (labels != -100) & (labels != processor.tokenizer.eos_token_id)

    @torch.no_grad()
    def likelihood(scale):
        def change(module, arguments):
            away = arguments[0] - arguments[0].mean(dim=1, keepdim=True)
            return (arguments[0] + scale[:, None] * away, *arguments[1:])

        handle = model.projector.register_forward_pre_hook(change)
        logits = model.double()(**inputs | {"pixel_values": inputs["pixel_values"].double()}).logits[0]
        handle.remove()
        model.float()
        return logits.log_softmax(-1)[:-1].gather(1, labels[1:, None].clamp(min=0))[words[1:]].sum()

    step = 3e-3  # Llama's norms compute in float32, whatever they are given
    slopes = torch.stack(
        [(likelihood(step * one) - likelihood(-step * one)) / (2 * step) for one in torch.eye(16, dtype=torch.double)]
    ).clamp(min=0)
    torch.testing.assert_close(maps[0].flatten(), (slopes / slopes.sum()).float(), atol=1e-2, rtol=0)


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_decoder_without_an_image_token_gets_one(decoder):
    torch.manual_seed(0)
    pictures = small_processor([CAPTION] * 9, image_size=32, vocab_size=40, model_max_length=500)
    options = {**DECODERS[decoder], "vocab_size": len(pictures.tokenizer)}
    options |= {name: getattr(pictures.tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    language_model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**options))
    encoder = EmoCapCLIPModel(small_config())
    model, processor = build_captioner(encoder, pictures.image_processor, language_model, pictures.tokenizer)
    model.eval()
    image_token = processor.tokenizer.convert_tokens_to_ids("<image>")
    assert image_token == model.config.image_token_id < model.config.text_decoder_config.vocab_size
    assert processor.tokenizer.model_max_length == 128  # the decoder's, not the tokenizer's
    assert model.generation_config.max_new_tokens == 128 - 16 - 1
    assert len(list(caption_images(model, processor, FACES, max_new_tokens=4))) == 3
