"""The captioner's processor: prompts behind their pictures, and captions to learn from."""

import numpy as np
import pytest
import torch
from captioner_zoo import captioner_processor
from PIL import Image

from emocapclip_hf.data.tokenizer import small_processor
from emocapclip_hf.processing import EmoCapCLIPCaptionProcessor

FACES = [Image.new("RGB", (40, 50), colour) for colour in ("red", "green")]


@pytest.fixture(scope="module")
def processor():
    return captioner_processor()


def tokens(processor, row):
    return processor.tokenizer.convert_ids_to_tokens(row)


def test_a_picture_alone_is_its_tokens_and_the_opening_one(processor):
    inputs = processor(images=FACES[0], return_tensors="pt")
    assert set(inputs) == {"pixel_values", "input_ids", "attention_mask"}
    assert inputs["pixel_values"].shape == (1, 3, 32, 32)
    assert tokens(processor, inputs["input_ids"][0]) == ["<image>"] * 16 + ["<s>"]


def test_prompts_are_padded_on_the_left(processor):
    inputs = processor(images=FACES, text=["", "The lips"], return_tensors="pt")
    first, second = (tokens(processor, row) for row in inputs["input_ids"])
    assert second[:17] == ["<image>"] * 16 + ["<s>"] and "</s>" not in second
    padding = len(second) - 17
    assert padding > 0 and first == ["<pad>"] * padding + ["<image>"] * 16 + ["<s>"]
    assert inputs["attention_mask"].sum(dim=1).tolist() == [17, 17 + padding]


def test_one_prompt_stands_for_all_pictures(processor):
    together = processor(images=FACES, text="The lips")
    assert together["input_ids"] == processor(images=FACES, text=["The lips"] * 2)["input_ids"]


def test_a_prompt_may_say_where_its_picture_goes(processor):
    row = tokens(processor, processor(images=FACES[:1], text=["Lips <image> are"])["input_ids"][0])
    first = row.index("<image>")
    assert row[0] == "<s>" and row[first : first + 16] == ["<image>"] * 16 and first > 1 and len(row) > first + 16


def test_captions_are_learnt_and_nothing_else(processor):
    inputs = processor(
        images=FACES, text=["", "The lips"], captions=["The brows are raised.", "are parted."], return_tensors="pt"
    )
    assert inputs["labels"].shape == inputs["input_ids"].shape == inputs["attention_mask"].shape
    decode = processor.tokenizer.decode
    for ids, labels, mask, caption in zip(
        inputs["input_ids"], inputs["labels"], inputs["attention_mask"], ["brows", "parted"], strict=True
    ):
        learnt = labels != -100
        assert torch.equal(ids[learnt], labels[learnt])
        assert labels[learnt][-1] == processor.tokenizer.eos_token_id
        assert caption in decode(labels[learnt]) and "lips" not in decode(labels[learnt])
        assert mask[learnt].all() and torch.equal(mask.sort(descending=True).values, mask)  # padded on the right


def test_what_is_learnt_after_the_prompt_is_what_generation_goes_on_with(processor):
    """The tokens of picture and prompt are the same in a training step and for generate()."""
    prompt = processor(images=FACES[:1], text=["The"])["input_ids"][0]
    whole = processor(images=FACES[:1], text=["The"], captions=["lips are parted."])["input_ids"][0]
    assert whole[: len(prompt)] == prompt


def test_too_long_a_caption_is_cut_with_a_warning_and_still_ends(processor):
    with pytest.warns(UserWarning, match="longer than the decoder's context of 128 tokens"):
        row = processor(images=FACES[:1], captions=["The lips are parted. " * 40])["input_ids"][0]
    assert len(row) == 128 and row[-1] == processor.tokenizer.eos_token_id


def test_absurd_pictures(processor):
    for face in (Image.new("L", (1, 1)), Image.new("RGBA", (3, 900)), np.zeros((2, 2), dtype=np.uint8)):
        assert processor(images=face, return_tensors="pt")["pixel_values"].isfinite().all()
    with pytest.raises(ValueError, match="images"):
        processor(images=[])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "pass images, text or both"),
        ({"images": FACES, "text": ["The lips"]}, "2 images, but the texts are for 1"),
        ({"images": FACES, "captions": ["Joy."]}, "2 texts but 1 captions"),
        ({"images": FACES, "captions": ["Joy.", " "]}, r"captions\[1\] is empty"),
    ],
)
def test_what_does_not_fit_is_counted(processor, arguments, message):
    with pytest.raises(ValueError, match=message):
        processor(**arguments)


def test_a_tokenizer_without_the_image_token_is_refused():
    pictures = small_processor(["The lips are parted."] * 9, image_size=32, vocab_size=24)
    with pytest.raises(ValueError, match="does not know '<image>'"):
        EmoCapCLIPCaptionProcessor(pictures.image_processor, pictures.tokenizer, 16)


def test_saved_and_loaded(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    loaded = EmoCapCLIPCaptionProcessor.from_pretrained(tmp_path)
    assert loaded.image_seq_length == 16
    arguments = {"images": FACES, "text": ["", "The lips"], "return_tensors": "pt"}
    torch.testing.assert_close(dict(loaded(**arguments)), dict(processor(**arguments)))
