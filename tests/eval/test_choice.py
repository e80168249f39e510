"""Multiple choice on a miniature of Face-Human-Bench, where the right option always stands first."""

import json

import numpy as np
import pytest

from emocapclip_hf.eval.benchmarks import load_benchmark
from emocapclip_hf.eval.checkpoint import load_checkpoint
from emocapclip_hf.eval.choice import run, share_right
from emocapclip_hf.eval.prompts import PromptSet
from emocapclip_hf.zero_shot import ZeroShotClassifier

OPTIONS = ["(A) Happy.", "(B) Sad.", "(C) Angry.", "(D) Happy face."]
PROMPTS = PromptSet("mine", ("{adjective}",))


@pytest.fixture
def checkpoint(small_checkpoint_folder):
    return load_checkpoint(str(small_checkpoint_folder))


@pytest.fixture
def questions(tmp_path, pictures):
    def _questions(options):
        for kind in ("basic", "compound"):
            entries = []
            for number, picture in enumerate(pictures[:3]):
                file = tmp_path / f"test/output/eval_data/{kind}/{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                picture.save(file)
                qa = {"question": "Which?", "options": options, "answer": 0}
                entries.append({"QA": qa, "image": {"image_paths": {"cropped": f"eval_data/{kind}/{number}.png"}}})
            listed = tmp_path / f"test/json/en/face_expression_{kind}.json"
            listed.parent.mkdir(parents=True, exist_ok=True)
            listed.write_text(json.dumps({"data": entries}))
        return load_benchmark("face-human-bench", tmp_path)

    return _questions


def test_the_nearest_option_is_the_answer(checkpoint, questions):
    with pytest.warns(UserWarning, match="The faces are RAF-DB's: a model trained on RAF-DB may have seen them"):
        result = run(checkpoint, questions(OPTIONS), PROMPTS)
    texts = ["happy", "sad", "angry", "happy face"]
    scores = ZeroShotClassifier(checkpoint.model, checkpoint.processor, texts, ["{}"]).scores(
        questions(OPTIONS)["image"]
    )
    assert result.metrics["accuracy"].value == pytest.approx((scores.argmax(dim=1) == 0).float().mean().item())
    assert result.n == 6 and result.details["chance"] == 0.25
    assert set(result.details["accuracy"]) == {"basic", "compound"}
    assert result.prompts["happiness"] == ["happy"] and result.protocol["options_asked"] == "rotated"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_model_that_cannot_tell_options_apart_scores_chance(checkpoint, questions):
    """Four words that are all unknown to the tokenizer have equal scores; the right one stands first."""
    result = run(checkpoint, questions(["w", "x", "y", "z"]), PROMPTS)
    assert result.metrics["accuracy"].value == 0.25


def test_rotations_do_not_matter_without_ties():
    generator = np.random.default_rng(0)
    for _ in range(20):
        scores = generator.normal(size=4)
        assert [share_right(scores, answer) for answer in range(4)] == [float(scores.argmax() == a) for a in range(4)]
    assert [share_right([1, 1, 0, 0], answer) for answer in (0, 1)] == [0.75, 0.25]


def test_questions_about_several_pictures_are_refused(checkpoint, tmp_path, pictures):
    paths = []
    for number, picture in enumerate(pictures[:2]):
        picture.save(tmp_path / f"{number}.png")
        paths.append(f"{number}.png")
    entry = {"image_paths": paths, "question_text": "How many?", "options": [1, 2], "correct_answer_option": "B"}
    (tmp_path / "affectnet_multiple_mcq.json").write_text(json.dumps({"questions": {"1": entry}}))
    several = load_benchmark("facexbench", tmp_path, source="affectnet", images="multiple")
    with pytest.raises(ValueError, match=r"several pictures ask to count and compare.*images=single"):
        run(checkpoint, several, PROMPTS)


def test_a_benchmark_without_questions(checkpoint):
    with pytest.raises(ValueError, match="SynthFaces asks no questions with options"):
        run(checkpoint, load_benchmark("synthfaces", n=4, size=32), PROMPTS)
