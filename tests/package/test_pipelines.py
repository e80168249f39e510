"""The pipelines of transformers on saved checkpoints."""

import logging

import pytest
import torch
from captioner_zoo import captioner_processor, captioner_with_words
from PIL import Image
from transformers import pipeline
from zoo import small_config

from emocapclip_hf import EmoCapCLIPForImageClassification
from emocapclip_hf.data.tokenizer import small_processor


@pytest.mark.parametrize("towers", ["clip", "convnextv2", "dinov2_with_registers"])
def test_image_classification_gives_the_heads_probabilities(towers, tmp_path):
    torch.manual_seed(0)
    labels = {0: "anger", 1: "fear", 2: "joy"}
    model = EmoCapCLIPForImageClassification(small_config(towers, id2label=labels)).eval()
    processor = small_processor(["The lips are parted.", "The brows are raised."] * 9, image_size=32, vocab_size=24)
    for part in (model, processor):
        part.save_pretrained(tmp_path)

    picture = Image.effect_mandelbrot((40, 50), (-2, -1.5, 1, 1.5), 30).convert("RGB")
    answers = pipeline("image-classification", model=str(tmp_path))(picture)
    with torch.no_grad():
        logits = model(**processor(images=picture, return_tensors="pt")).logits[0]
    expected = {labels[index]: score for index, score in enumerate(logits.softmax(dim=0).tolist())}
    assert {answer["label"]: answer["score"] for answer in answers} == pytest.approx(expected, abs=1e-5)


def test_image_text_to_text_writes_on_from_a_prompt(tmp_path, caplog):
    captioner, processor = captioner_with_words(), captioner_processor()
    for part in (captioner, processor):
        part.save_pretrained(tmp_path)
    pictures = [Image.effect_mandelbrot((40, 50), (-2, -1.5, 1, 1.5), 30).convert("RGB"), Image.new("RGB", (32, 32))]
    prompts = ["", "The lips"]

    with caplog.at_level(logging.ERROR, logger="transformers"):
        describe = pipeline("image-text-to-text", model=str(tmp_path))
    assert not caplog.records, "the pipeline does not know the model"
    options = {"generate_kwargs": {"max_new_tokens": 6, "do_sample": False}, "return_full_text": False}
    answers = [describe(picture, text=prompt, **options)[0] for picture, prompt in zip(pictures, prompts, strict=True)]
    for picture, prompt, answer in zip(pictures, prompts, answers, strict=True):
        inputs = processor(images=picture, text=prompt, return_tensors="pt")
        ids = captioner.generate(**inputs, max_new_tokens=6, do_sample=False)[:, inputs["input_ids"].shape[1] :]
        expected = processor.batch_decode(ids, skip_special_tokens=True)[0]
        assert answer["generated_text"].strip() == expected.strip() != ""
    together = describe(pictures, text=prompts, batch_size=2, **options)
    assert [answer["generated_text"] for answer in together] == [answer["generated_text"] for answer in answers]
