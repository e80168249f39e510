"""The suite at the end of a run: one encoding, every task, the keys of metrics.json."""

import datasets
import numpy as np
import pytest

from emocapclip_hf.data.synthfaces import COMPOUNDS, EMOTIONS, synthfaces_dataset
from emocapclip_hf.eval import embed
from emocapclip_hf.eval.checkpoint import load_checkpoint
from emocapclip_hf.eval.suite import Suite, _is_headline, run_suite

ROWS = {"train": 80, "validation": 40, "test": 40}


@pytest.fixture(scope="module")
def synthfaces():
    return {split: synthfaces_dataset(split, rows, size=32, form="short") for split, rows in ROWS.items()}


@pytest.fixture
def checkpoint(small_checkpoint_folder):
    return load_checkpoint(str(small_checkpoint_folder))


@pytest.fixture
def encoded_rows(monkeypatch):
    """How many pictures were encoded, by the width of what was asked of them."""
    counted = []
    encode = embed._Work._encode_batch
    monkeypatch.setattr(
        embed._Work,
        "_encode_batch",
        lambda self, batch: counted.append((len(batch.rows), self.sentences is None)) or encode(self, batch),
    )
    return counted


@pytest.mark.slow
def test_every_task_of_synthfaces_on_one_encoding(checkpoint, synthfaces, tmp_path, encoded_rows):
    results = list(run_suite(checkpoint, synthfaces, "synthfaces", tmp_path))
    metrics = {name for result in results for name in result.flat() if _is_headline(name)}
    kinds = sorted({result.benchmark for result in results if "emotion" in result.benchmark})
    assert kinds == ["synthfaces-emotion8"]
    assert {
        "zero-shot/synthfaces-emotion8/uar",
        "linear-probe/synthfaces-emotion8/uar",
        "linear-probe/synthfaces-au/f1",
        "zero-shot/synthfaces-au/auc",
        "regression/synthfaces/valence_ccc",
        "regression/synthfaces/arousal_ccc",
        "retrieval/synthfaces/image_to_text_r1",
        "retrieval/synthfaces/sentence_image_to_text_r1",
    } <= metrics
    assert sum(rows for rows, plain in encoded_rows if plain) == sum(ROWS.values())
    assert sum(rows for rows, plain in encoded_rows if not plain) == ROWS["test"]  # with the local head's sentences


def test_emotions_are_those_of_the_benchmarks(synthfaces):
    basic, compound = Suite(synthfaces, "synthfaces").emotions()
    assert basic.labels == list(EMOTIONS) and basic["test"].features["label_id"].names == list(EMOTIONS)
    assert set(compound.labels) <= set(COMPOUNDS)
    for labelled, kind in ((basic, "basic"), (compound, "compound")):
        table = labelled["test"]
        fold = labelled.fold()
        assert len(table) == ROWS["test"]  # rows of other kinds stay, without a label
        assert {table["emotion_kind"][row] for row in fold.test.rows.tolist()} == {kind}
        names = [labelled.labels[number] for number in fold.test.column("label_id")]
        assert names == [table["emotion"][row] for row in fold.test.rows.tolist()]


def test_action_units_are_a_table_of_presence(synthfaces):
    units = Suite(synthfaces, "synthfaces").action_units()
    for face, row in zip(synthfaces["test"]["action_units"], units["test"]["labels"], strict=True):
        present = {f"AU{unit['au']}" for unit in face}
        assert {name for name, value in zip(units.labels, row, strict=True) if value} == present & set(units.labels)


def test_benchmarks_of_one_dataset_share_its_fingerprint(synthfaces):
    suite = Suite(synthfaces, "synthfaces")
    fingerprints = {labelled["test"]._fingerprint for labelled in (*suite.emotions(), suite.action_units())}
    assert fingerprints == {synthfaces["test"]._fingerprint}
    assert suite.action_units()["train"]._fingerprint != suite.action_units()["test"]._fingerprint


def test_a_dataset_has_the_tasks_of_its_columns(checkpoint, pictures, tmp_path):
    """Captions and arousal, missing here and there; no emotions, no action units."""

    def table(split):
        return datasets.Dataset.from_dict(
            {
                "image": pictures * 3,
                "global_caption": [f"face {number % 5}" for number in range(21)],
                "arousal": [None if number % 7 == 0 else np.sin(number) for number in range(21)],
                "emotion": [None] * 21,
                "note": [split] * 21,
            },
            features=datasets.Features(
                {
                    "image": datasets.Image(),
                    "global_caption": datasets.Value("string"),
                    "arousal": datasets.Value("float32"),
                    "emotion": datasets.Value("string"),
                    "note": datasets.Value("string"),
                }
            ),
        )

    faces = {split: table(split) for split in ROWS}
    results = list(run_suite(checkpoint, faces, "mine", tmp_path))
    assert [(result.task, result.benchmark) for result in results] == [("regression", "mine"), ("retrieval", "mine")]
    assert results[0].n == 21 and "arousal_ccc" in results[0].metrics
