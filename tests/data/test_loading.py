"""`load_emocap`: every format gives the same rows, splits and errors."""

import io
import json
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from emocapclip_hf.data import loading
from emocapclip_hf.data.loading import load_emocap

EXPECTED_SPLITS = {"train": [0, 1, 2, 4, 7, 8, 9, 10, 11], "validation": [3, 5, 6], "test": []}
COLUMNS = ("global_caption", "local_captions", "summary_caption", "emotion", "valence", "arousal", "action_units")


def assert_same_rows(rows, faces):
    assert len(rows) == len(faces)
    for row, face in zip(rows, faces, strict=True):
        assert {name: row[name] for name in COLUMNS} == {name: face[name] for name in COLUMNS}
        expected = Image.open(io.BytesIO(face["png"])).convert("RGB")
        assert np.array_equal(np.asarray(row["image"].convert("RGB")), np.asarray(expected))


def test_every_format_gives_the_same_rows(stored_faces, faces):
    table = load_emocap(stored_faces, "all")
    assert isinstance(table, datasets.Dataset)
    assert_same_rows(table, faces)
    assert table.features["image"] == datasets.Image()
    assert table.features["valence"] == datasets.Value("float32")
    assert len(set(table["origin"])) == len(faces)


def test_every_format_streams_the_same_rows(stored_faces, faces):
    stream = load_emocap(stored_faces, "all", streaming=True)
    assert isinstance(stream, datasets.IterableDataset)
    rows = list(stream)
    assert_same_rows(rows, faces)
    assert len({row["row"] for row in rows}) == len(faces)


def test_every_format_has_the_same_splits(stored_faces, faces):
    splits = load_emocap(stored_faces)
    assert list(splits) == ["train", "validation", "test"]
    assert sum(map(len, splits.values())) == len(faces)
    captions = {split: table["global_caption"][:] for split, table in splits.items()}
    # Written down: a hash that changes would move pictures from train to test for every user.
    numbers = {split: [int(text.split()[4].strip(",")) for text in texts] for split, texts in captions.items()}
    assert numbers == EXPECTED_SPLITS
    for split in splits:
        streamed = load_emocap(stored_faces, split, streaming=True)
        assert [row["global_caption"] for row in streamed] == captions[split]


def test_a_column_can_be_added_to_what_was_loaded(faces, tmp_path, writers):
    for split, rows in (("train", faces[:6]), ("test", faces[6:])):
        writers["write_imagefolder"](rows, tmp_path / "source" / split)
    for table in load_emocap(tmp_path / "source").values():
        assert len(table.add_column("id", [str(row) for row in range(len(table))])) == 6


def test_hash_splits_do_not_depend_on_the_order(jsonl_faces):
    before = {split: set(table["global_caption"]) for split, table in load_emocap(jsonl_faces).items()}
    lines = jsonl_faces.read_text(encoding="utf-8").splitlines()
    jsonl_faces.write_text("\n".join(reversed(lines[2:])), encoding="utf-8")
    after = {split: set(table["global_caption"]) for split, table in load_emocap(jsonl_faces).items()}
    assert all(after[split] <= before[split] for split in before)


def test_splits_that_a_source_names_are_kept(faces, tmp_path, writers):
    for split, rows in (("train", faces[:6]), ("val", faces[6:8]), ("test", faces[8:])):
        writers["write_imagefolder"](rows, tmp_path / "source" / split)
    splits = load_emocap(tmp_path / "source")
    assert {split: len(table) for split, table in splits.items()} == {"test": 4, "train": 6, "validation": 2}
    assert len(load_emocap(tmp_path / "source", "all")) == 12
    assert len(list(load_emocap(tmp_path / "source", "validation", streaming=True))) == 2


def test_only_some_files_name_a_split(jsonl_faces):
    (jsonl_faces.parent / "test.jsonl").write_text(jsonl_faces.read_text())
    with pytest.raises(ValueError, match=r"names no split but .*test.jsonl does"):
        load_emocap(jsonl_faces.parent)


def test_columns_of_other_names(jsonl_faces):
    rows = [json.loads(line) for line in jsonl_faces.read_text().splitlines()]
    renamed = [{"face_path": r["image"], "overall": r["global_caption"], "film": "Rope", "year": 1948} for r in rows]
    jsonl_faces.write_text("\n".join(map(json.dumps, renamed)))
    columns = {"image": "face_path", "global_caption": "overall", "year": "year", "title": "film"}
    table = load_emocap(jsonl_faces, "all", columns=columns)
    assert table[5]["global_caption"] == rows[5]["global_caption"]
    assert (table[5]["local_captions"], table[5]["summary_caption"]) == ([], "")
    assert (table[5]["title"], table[5]["year"]) == ("Rope", 1948)


def test_raw_paragraphs_are_parsed(jsonl_faces):
    lines = [json.loads(line) for line in jsonl_faces.read_text().splitlines()]
    paragraph = "A face of joy. The left cheek is raised. The lips part. Ultimately, this is joy."
    jsonl_faces.write_text("\n".join(json.dumps({"image": r["image"], "caption": paragraph}) for r in lines))
    row = load_emocap(jsonl_faces, "all")[0]
    assert row["global_caption"] == "A face of joy."
    assert row["local_captions"] == ["The left cheek is raised.", "The lips part."]
    assert row["summary_caption"] == "Ultimately, this is joy."


def test_sentences_as_running_text_are_split(faces, tmp_path):
    (tmp_path / "1.png").write_bytes(faces[0]["png"])
    (tmp_path / "t.csv").write_text(
        'image,global_caption,local_captions\n1.png,Joy.,"The brows rise. The lips part."\n'
    )
    assert load_emocap(tmp_path / "t.csv", "all")[0]["local_captions"] == ["The brows rise.", "The lips part."]


def test_class_labels_become_names(faces):
    names = datasets.ClassLabel(names=["anger", "joy"])
    table = datasets.Dataset.from_dict(
        {"image": [face["png"] for face in faces], "text": ["A face."] * 12, "emotion": [1] * 12}
    ).cast_column("emotion", names)
    assert set(load_emocap(table, "all")["emotion"]) == {"joy"}
    assert {row["emotion"] for row in load_emocap(table, "all", streaming=True)} == {"joy"}


def test_a_changed_file_is_read_again(jsonl_faces):
    assert len(load_emocap(jsonl_faces, "all")) == 12
    jsonl_faces.write_text("\n".join(jsonl_faces.read_text().splitlines()[:7]))
    assert len(load_emocap(jsonl_faces, "all")) == 7


def test_a_table_is_cached(jsonl_faces, monkeypatch):
    first = load_emocap(jsonl_faces, "all")
    monkeypatch.setattr("emocapclip_hf.data.file_source.FileSource.rows", None)  # nobody may read the file again
    assert load_emocap(jsonl_faces, "all")[:5]["global_caption"] == first[:5]["global_caption"]


def test_synthfaces_makes_only_the_split_that_is_asked_for(monkeypatch):
    asked = []

    def small(split):
        asked.append(split)
        return synthfaces_dataset(split, n=5, size=32, workers=1)

    synthfaces_dataset = loading.synthfaces_dataset
    monkeypatch.setattr(loading, "synthfaces_dataset", small)
    table = load_emocap("synthfaces", "test")
    assert set(asked) == {"test"}
    assert len(table) == 5
    assert {"regions", "local_action_units", "identity"} <= set(table.column_names)
    assert table[0]["action_units"] == synthfaces_dataset("test", n=5, size=32)[0]["action_units"]


def test_a_hub_dataset(faces, monkeypatch):
    table = datasets.Dataset.from_dict({"image": [face["png"] for face in faces], "text": ["A face. Joy."] * 12})
    asked = []

    def load_dataset(name, streaming):
        asked.append((name, streaming))
        return (
            datasets.IterableDatasetDict(train=table.to_iterable_dataset())
            if streaming
            else datasets.DatasetDict(train=table)
        )

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert len(load_emocap("someone/faces", "all")) == 12
    assert len(list(load_emocap("someone/faces", "all", streaming=True))) == 12
    # `train` is all that a dataset without splits has: it is split.
    assert 0 < len(load_emocap("someone/faces", "train")) < 12
    assert asked[:2] == [("someone/faces", False), ("someone/faces", True)]


def test_pictures_that_are_remote_files_are_read(faces):
    """As `datasets` streams a folder of images from the Hub: the image is a path there."""
    import fsspec

    for number, face in enumerate(faces):
        with fsspec.open(f"memory://faces/{number}.png", "wb") as file:
            file.write(face["png"])
    images = [{"bytes": None, "path": f"memory://faces/{number}.png"} for number in range(12)]
    table = datasets.Dataset.from_dict({"image": images, "text": ["A face."] * 12})
    stream = table.cast_column("image", datasets.Image()).to_iterable_dataset()
    rows = list(load_emocap(stream, "all", streaming=True))
    assert np.array_equal(np.asarray(rows[7]["image"]), np.asarray(Image.open(io.BytesIO(faces[7]["png"]))))


def test_streaming_in_workers_gives_each_row_once(faces, tmp_path, writers):
    stream = load_emocap(writers["write_tars"](faces, tmp_path / "source"), "all", streaming=True)
    rows = {row["global_caption"]: row["row"] for row in stream}
    for workers in (1, 2):
        loader = DataLoader(stream, batch_size=5, num_workers=workers, collate_fn=list)
        loaded = [row for batch in loader for row in batch]
        assert len(loaded) == 12
        assert {row["global_caption"]: row["row"] for row in loaded} == rows


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda folder: folder / "nothing.jsonl", FileNotFoundError, "no file or folder .*nothing.jsonl"),
        (lambda folder: folder, FileNotFoundError, "looked for metadata.jsonl.*found 1 files, 1 of them images"),
        (lambda folder: folder / "1.png", ValueError, "none of the formats"),
        (lambda folder: str(folder / "*.tar"), FileNotFoundError, "no file matches"),
        (lambda folder: 7, TypeError, "got int: 7"),
        (lambda folder: "somebody/nothing", FileNotFoundError, "neither a file or folder here, nor 'synthfaces'"),
    ],
)
def test_a_wrong_source_is_told_what_was_looked_for(make, error, message, faces, tmp_path):
    (tmp_path / "1.png").write_bytes(faces[0]["png"])
    with pytest.raises(error, match=message):
        load_emocap(make(tmp_path))


@pytest.mark.parametrize(
    ("row", "columns", "message"),
    [
        (
            {"picture": "1.png", "text": "A face."},
            None,
            r"no image column: looked for image, .*found \['picture', 'text'\]",
        ),
        ({"image": "1.png", "words": "A face."}, None, r"no caption column: .*found \['image', 'words'\]"),
        ({"image": "1.png", "text": "A face."}, {"image": "path"}, "has no column 'path'; it has"),
        (
            {"image": "1.png", "text": "A face.", "g": "A"},
            {"caption": "text", "global_caption": "g"},
            "both a raw paragraph",
        ),
    ],
)
def test_wrong_columns_are_told_what_was_found(row, columns, message, tmp_path):
    (tmp_path / "faces.jsonl").write_text(json.dumps(row))
    with pytest.raises(ValueError, match=message):
        load_emocap(tmp_path / "faces.jsonl", columns=columns)


def test_a_wrong_split_is_told_which_there_are(jsonl_faces):
    with pytest.raises(ValueError, match=r"no split 'dev'; it has \['train', 'validation', 'test'\], and 'all'"):
        load_emocap(jsonl_faces, "dev")


def test_an_empty_file(tmp_path):
    Path(tmp_path / "faces.jsonl").write_text("\n\n")
    with pytest.raises(ValueError, match="no row that can be read"):
        load_emocap(tmp_path / "faces.jsonl")
