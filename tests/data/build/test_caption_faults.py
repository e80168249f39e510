"""What makes a caption unusable, fault by fault; and that true captions have none."""

import json

import pytest
from loopback_captioner import FRENCH

from emocapclip_hf.data.build.caption_faults import CheckOptions, agreement, judge
from emocapclip_hf.data.build.captions import faults_of_face
from emocapclip_hf.data.build.replies import LONGEST_REPLY, Reply
from emocapclip_hf.data.synthfaces import describe, face_at

GOOD = {
    "global_caption": "This face shows a strong expression of happiness, with a touch of surprise in it.",
    "local_captions": [
        "The brows are slightly raised on both sides, which signals interest.",
        "The cheeks are lifted and push up the lower eyelids.",
        "The lip corners are pulled up and back strongly.",
        "The lips are parted and show the upper teeth.",
        "The jaw is slightly dropped, and the forehead stays smooth.",
    ],
    "summary_caption": "Ultimately, the emotion is one of happiness, told by raised cheeks and pulled lip corners.",
}


def faults(text, **reply) -> list[str]:
    text = text if isinstance(text, str) else json.dumps(text)
    return [fault.kind for fault in judge(Reply(text, **reply), CheckOptions()).faults]


def changed(**levels) -> dict:
    return GOOD | levels


def test_a_good_caption_has_no_fault_in_any_dress():
    judged = judge(Reply(json.dumps(GOOD)), CheckOptions())
    assert judged.faults == () and judged.emotions == ("happiness",)
    assert {12, 25} <= set(judged.units) and judged.regions["lips"] == 2
    assert faults(f"```json\n{json.dumps(GOOD)}\n```") == []
    paragraph = " ".join([GOOD["global_caption"], *GOOD["local_captions"], GOOD["summary_caption"]])
    assert faults(paragraph) == [] and judge(Reply(paragraph), CheckOptions()).words == judged.words


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I'm sorry, but I can't help with identifying people in pictures.", "refusal"),
        ("I cannot assist with this request.", "refusal"),
        (FRENCH, "not English"),
        ("", "empty"),
        ("The brows are raised. " * 2000, "too long"),
        ('{"global_caption": "A face.", "local', "level missing"),
        (changed(summary_caption=""), "level missing"),
        (changed(local_captions=GOOD["local_captions"][:2]), "local sentences"),
        (changed(local_captions=["The lips part. " for _ in range(4)]), "repeated"),
        (
            changed(local_captions=[f"The lips are raised {word}." for word in ("a bit", "left", "right")]),
            "few regions",
        ),
        (changed(global_caption="A face that is happy " + "and happy " * 50), "long sentence"),
        (changed(global_caption="A 30-year-old woman smiles with happiness."), "forbidden"),
        (changed(global_caption="An elderly person with a smile of happiness."), "forbidden"),
        (changed(global_caption="An Asian face full of happiness."), "forbidden"),
        (changed(global_caption="This actor smiles with happiness."), "forbidden"),
        (changed(global_caption="The face of a patient with a disorder, happy."), "forbidden"),
        (changed(global_caption="Certainly! Here is the caption of a happy face."), "boilerplate"),
        (changed(local_captions=[*GOOD["local_captions"], "The lips are pressed together."]), "contradiction"),
        (changed(local_captions=[*GOOD["local_captions"], "The lip corners are not pulled up."]), "contradiction"),
    ],
)
def test_each_fault_is_named(text, kind):
    assert kind in faults(text)


def test_too_few_words():
    short = changed(
        global_caption="A happy face.", local_captions=["The brows rise.", "The lips part.", "The nose rests."]
    )
    assert faults(short) == ["too short"]


def test_what_the_endpoint_says_of_a_reply():
    assert faults(GOOD, finish="length") == ["cut short"]
    assert faults("", finish="oversized") == ["too long"]
    assert faults("", refused="I can't") == ["refusal"]
    assert faults("x" * LONGEST_REPLY) == ["too long"]


def test_sides_do_not_contradict_each_other():
    sided = ["The left lip corner is pulled up.", "The right lip corner is not pulled up."]
    assert faults(changed(local_captions=[*GOOD["local_captions"][:2], *sided, "The jaw rests."])) == []


def test_two_captions_agree_by_emotion_and_action_units():
    sad = changed(
        global_caption="This face shows a strong expression of sadness.",
        local_captions=[
            "The inner brows are raised and drawn together strongly.",
            "The upper eyelids droop over the eyes a little.",
            "The lip corners are pulled down on both sides.",
            "The chin is raised, and the cheeks and the nose stay at rest.",
        ],
        summary_caption="Ultimately, the emotion is one of sadness, told by the inner brows and the lip corners.",
    )
    happy, other = (judge(Reply(json.dumps(caption)), CheckOptions()) for caption in (GOOD, sad))
    assert happy.faults == other.faults == ()
    assert agreement(happy, happy) == 1 and agreement(happy, other) < 0.2
    assert faults_of_face([happy, happy], CheckOptions()) == [[], []]
    (first,), (second,) = faults_of_face([happy, other], CheckOptions())
    assert first.kind == second.kind == "disagreement" and "happiness and sadness" in first.reason


def test_true_captions_pass():
    """All but a few: one in 200 speaks of two regions only, or is misread."""
    replies = (Reply(describe(face_at(0, "train", number)).to_json()) for number in range(200))
    assert sum(bool(judge(reply, CheckOptions()).faults) for reply in replies) <= 2
