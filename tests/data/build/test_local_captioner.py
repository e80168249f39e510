"""A captioner of transformers on this machine: a tiny random vision-language model through the real path."""

import json

import pytest
import torch
from tiny_vlm import save_tiny_vlm

from emocapclip_hf.cli import main
from emocapclip_hf.data.build.endpoint import Question
from emocapclip_hf.data.build.faces import faces_folder, kept_faces
from emocapclip_hf.data.build.local_captioner import LocalCaptioner, LocalOptions
from emocapclip_hf.data.build.replies import Request


@pytest.fixture(scope="session")
def vlm(tmp_path_factory):
    return str(save_tiny_vlm(tmp_path_factory.mktemp("vlm")))


@pytest.fixture
def questions(faces_once):
    folder = faces_folder(faces_once)
    rows = [row for unit in folder.plan() for row in kept_faces(folder, unit, ["image"])]
    faults = [("it was too short",) if number % 2 else () for number in range(len(rows))]  # prompts of two lengths
    return [Question(Request(row["face"]), row["image"], told) for row, told in zip(rows, faults, strict=True)][:5]


def answers(vlm, questions, **options) -> dict[str, str]:
    replies = {}
    captioner = LocalCaptioner(LocalOptions(vlm, max_tokens=12, device="cpu", **options))
    captioner.answer(iter(questions), lambda request, reply: replies.update({request.face: reply}))
    assert {reply.finish for reply in replies.values()} <= {"stop", "length"}
    return {face: reply.text for face, reply in replies.items()}


def test_batches_answer_as_single_questions_do(vlm, questions):
    """Prompts of different lengths are padded on the left."""
    alone = answers(vlm, questions, batch_size=1)
    together = answers(vlm, questions, batch_size=3)
    assert list(alone) == list(together) == [question.request.face for question in questions]
    assert alone == together and len(set(alone.values())) > 1


def test_the_answer_is_the_models_own(vlm, questions):
    """The same as its generate() with the processor's chat template gives."""
    from io import BytesIO

    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from emocapclip_hf.data.build.prompt import PROMPT

    question = questions[0]
    processor, model = AutoProcessor.from_pretrained(vlm), AutoModelForImageTextToText.from_pretrained(vlm)
    picture = Image.open(BytesIO(question.image))
    inputs = processor(images=picture, text=f"<image> {PROMPT} answer:", return_tensors="pt")
    with torch.inference_mode():
        ids = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    expected = processor.decode(ids, skip_special_tokens=True).strip()
    assert answers(vlm, [question]) == {question.request.face: expected} and expected


def test_samples_differ_and_repeat(vlm, questions):
    def sample(number):
        asked = [Question(Request(question.request.face, number), question.image) for question in questions]
        return answers(vlm, asked, temperature=2.0)

    assert sample(0) == sample(0) != sample(1)


def test_what_a_random_model_says_is_set_aside_by_the_whole_command(vlm, built_faces, capsys):
    command = ["data", "build", "--out", str(built_faces), "--local", vlm, "--max-tokens", "12", "--rounds", "1"]
    assert main([*command, "--stages", "captions", "checks", "dataset"]) == 2
    assert "no caption passed the checks" in capsys.readouterr().err
    lines = (built_faces / "checks/set_aside.jsonl").read_text().splitlines()
    aside = [json.loads(line) for line in lines]
    recipe = json.loads((built_faces / "captions/recipe.json").read_text())
    assert recipe["captioner"] == "local" and recipe["model"] == vlm
    assert aside and all(row["faults"] for row in aside)
