"""SynthFaces as benchmarks: every task from one description."""

import datasets
import pytest

from emocapclip_hf.data.synthfaces import ACTION_UNITS, COMPOUNDS, EMOTIONS, make_synthfaces
from emocapclip_hf.eval.benchmarks import get_benchmark, load_benchmark, protocol_of

SMALL = {"n": 24, "size": 32}


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        yield


def test_names_are_those_of_the_generator():
    """The adapter lists them so that `emocapclip benchmarks` need not import the generator."""
    assert get_benchmark("synthfaces-emotion8").labels == EMOTIONS
    assert get_benchmark("synthfaces-compound11").labels == COMPOUNDS
    assert get_benchmark("synthfaces-au").labels == tuple(f"AU{unit}" for unit in ACTION_UNITS)


def test_affect_and_captions():
    faces = load_benchmark("synthfaces", **SMALL)
    assert len(faces) == 24 and set(faces["split"]) == {"test"}
    assert {"valence", "arousal", "global_caption", "local_captions", "subject"} <= set(faces.column_names)
    assert faces[0]["image"].size == (32, 32)
    assert protocol_of(faces)["options"] == {**SMALL, "seed": 0, "form": "long"}
    short = load_benchmark("synthfaces", **SMALL, form="short")
    assert len(short[0]["global_caption"]) > 0 and len(short[0]["local_captions"]) < len(faces[0]["local_captions"])


@pytest.mark.parametrize(("name", "kind"), [("synthfaces-emotion8", "basic"), ("synthfaces-compound11", "compound")])
def test_emotions(name, kind):
    faces = load_benchmark(name, **SMALL)
    assert set(faces["emotion_kind"]) == {kind} and list(faces["label"]) == list(faces["emotion"])
    names = faces.features["label_id"].names
    assert [names[number] for number in faces["label_id"]] == list(faces["label"])
    protocol = protocol_of(faces)
    assert len(faces) + sum(protocol["left_out"].values()) == 24 and tuple(names) == get_benchmark(name).labels


def test_action_units():
    faces = load_benchmark("synthfaces-au", **SMALL)
    names = protocol_of(faces)["labels"]
    for face in faces.remove_columns("image"):
        shown = {f"AU{unit['au']}": unit["intensity"] for unit in face["action_units"]}
        assert {name: x for name, x in zip(names, face["intensities"], strict=True) if x} == shown
        assert {name for name, x in zip(names, face["labels"], strict=True) if x} == set(shown)


def test_a_written_copy(tmp_path):
    make_synthfaces(tmp_path / "faces", train=0, validation=0, test=24, size=32)
    written, made = (
        load_benchmark("synthfaces-emotion8", tmp_path / "faces"),
        load_benchmark("synthfaces-emotion8", **SMALL),
    )
    assert list(written["label"]) == list(made["label"]) and list(written["id"]) == list(made["id"])
