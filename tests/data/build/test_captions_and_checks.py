"""Stages 3 and 4: faulty captions are asked for again with the reason, then set aside; nothing is asked for twice."""

import json
from collections import Counter

import pytest
from loopback_captioner import LoopbackCaptioner

from emocapclip_hf.data.build.captions import CaptionOptions, UnansweredError, run_captions
from emocapclip_hf.data.build.checks import SimilarityOptions, checks_folder, run_checks
from emocapclip_hf.data.build.endpoint import EndpointCaptioner, EndpointOptions
from emocapclip_hf.data.build.pacing import BudgetSpentError
from emocapclip_hf.data.synthfaces import describe, face_at

FAULTY = ("refusal", "formal_refusal", "truncated", "language", "prose", "huge")


def run(out, server, options=None, **endpoint):
    endpoint = EndpointOptions(server.url, "truth", first_wait=0.01, timeout=10, concurrency=4, **endpoint)
    options = options or CaptionOptions()
    summary = run_captions(out, lambda *spent: EndpointCaptioner(endpoint, *spent), options)
    return summary, run_checks(out, options)


def checked(out) -> list[dict]:
    folder = checks_folder(out)
    return [row for unit in folder.plan() for row in folder.rows(unit)]


def test_true_captions_pass_and_are_asked_for_once(built_faces, truth):
    assert len(truth) >= 12
    with LoopbackCaptioner(truth) as server:
        summary, checks = run(built_faces, server)
        assert summary["asked"] == [len(truth), 0, 0] and len(server.log) == len(truth)
        run(built_faces, server)
        assert len(server.log) == len(truth), "a second run asks nothing"
    assert checks == {"passed": len(truth), "set_aside": 0, "faults": {}, "flag_below": None}
    for row in checked(built_faces):
        assert json.loads(row["raw_caption"])["global_caption"] == row["global_caption"]
        assert (row["model"], row["rounds"]) == ("loopback-1", 1)
    recipe = json.loads((built_faces / "captions/recipe.json").read_text())
    assert (recipe["model"], recipe["prompt_version"], recipe["temperature"]) == ("truth", "1", 0.2)


@pytest.mark.parametrize("misbehaviour", FAULTY)
def test_a_faulty_caption_is_asked_for_again_with_the_reason(built_faces, truth, misbehaviour):
    wrong = sorted(truth)[::3]
    with LoopbackCaptioner(
        truth, lambda asked: misbehaviour if asked.picture in wrong and not asked.again else None
    ) as server:
        summary, checks = run(built_faces, server)
        again = [asked for asked in server.log if asked.again]
    assert summary["asked"] == [len(truth), len(wrong), 0]
    assert sorted(asked.picture for asked in again) == wrong
    assert checks["passed"] == len(truth)
    assert Counter(row["rounds"] for row in checked(built_faces)) == {1: len(truth) - len(wrong), 2: len(wrong)}
    reason = {"language": "not in English", "truncated": "cut short", "huge": "too long", "prose": "missing"}
    words = reason.get(misbehaviour, "declined").removeprefix("too ")
    assert all(words in asked.prompt for asked in again)


def test_what_stays_faulty_is_set_aside_with_its_reasons(built_faces, truth):
    hopeless = min(truth)
    with LoopbackCaptioner(truth, lambda asked: "refusal" if asked.picture == hopeless else None) as server:
        summary, checks = run(built_faces, server)
        assert sum(asked.picture == hopeless for asked in server.log) == 3
    assert summary["asked"] == [len(truth), 1, 1]
    assert (checks["passed"], checks["set_aside"], checks["faults"]) == (len(truth) - 1, 1, {"refusal": 1})
    (aside,) = [json.loads(line) for line in (built_faces / "checks/set_aside.jsonl").read_text().splitlines()]
    assert aside["raw_caption"].startswith("I'm sorry") and aside["rounds"] == 3


def test_fences_are_no_fault_and_troubles_on_the_way_no_loss(built_faces, truth):
    troubles = ("too_many", "too_many_wait", "error", "cut", "garbage")

    def wrong(asked):
        return troubles[asked.number % 5] if asked.before == 0 else "fences"

    with LoopbackCaptioner(truth, wrong) as server:
        summary, checks = run(built_faces, server)
        assert summary["requests"] == len(server.log) == 2 * len(truth)
    assert checks["passed"] == len(truth)


def test_the_budget_ends_a_run_and_a_larger_one_goes_on(built_faces, truth):
    with LoopbackCaptioner(truth) as server:
        with pytest.raises(BudgetSpentError):
            run(built_faces, server, max_requests=5)
        assert len(server.log) == 5
        checks = run_checks(built_faces, CaptionOptions())
        assert checks["passed"] == 5 and checks["faults"] == {"no answer": len(truth) - 5}
        summary, checks = run(built_faces, server, max_requests=len(truth))
        assert summary["requests"] == len(server.log) == checks["passed"] == len(truth)


def test_what_nobody_answered_is_asked_by_the_next_run(built_faces, truth):
    lost = min(truth)
    with (
        LoopbackCaptioner(truth, lambda asked: "error" if asked.picture == lost else None) as server,
        pytest.raises(UnansweredError, match=r"1 questions got no answer .*HTTP 500"),
    ):
        run(built_faces, server, max_tries=2)
    with LoopbackCaptioner(truth) as server:
        _, checks = run(built_faces, server)
        assert [asked.picture for asked in server.log] == [lost] and checks["passed"] == len(truth)


def test_two_captions_that_disagree_are_asked_for_again(built_faces, truth):
    """The second caption of one face is another face's."""
    odd = min(truth)
    other = next(face for face in (face_at(0, "train", k) for k in range(99)) if face.emotion == "disgust")

    def answer(picture, seed):
        return describe(other).to_json() if picture == odd and seed == 1 else truth[picture]

    with LoopbackCaptioner(answer) as server:
        summary, checks = run(built_faces, server, CaptionOptions(per_face=2))
        assert summary["asked"] == [2 * len(truth), 2, 2]
        assert "disagreed" in server.log[-1].prompt
    assert checks["faults"] == {"disagreement": 1}
    assert sorted(Counter(row["agreement"] == 1 for row in checked(built_faces)).items()) == [
        (False, 1),
        (True, len(truth) - 1),
    ]


def test_similarity_flags_what_a_model_finds_worst(built_faces, truth, tmp_path):
    import torch

    from emocapclip_hf import EmoCapCLIPConfig, EmoCapCLIPModel
    from emocapclip_hf.data.tokenizer import small_processor

    torch.manual_seed(0)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    processor = small_processor([json.loads(text)["global_caption"] for text in truth.values()], image_size=32)
    vocabulary = len(processor.tokenizer)
    config = EmoCapCLIPConfig(
        vision_config=tower | {"image_size": 32, "patch_size": 8},
        text_config=tower | {"vocab_size": vocabulary},
        projection_dim=16,
    )
    EmoCapCLIPModel(config).save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    with LoopbackCaptioner(truth) as server:
        run(built_faces, server)
    checks = run_checks(built_faces, CaptionOptions(), SimilarityOptions(str(tmp_path / "model"), flag_share=0.25))
    values = [row["similarity"] for row in checked(built_faces)]
    assert len(set(values)) > 5 and all(-1 <= value <= 1 for value in values)
    assert sum(value < checks["flag_below"] for value in values) == pytest.approx(len(values) / 4, abs=1)
