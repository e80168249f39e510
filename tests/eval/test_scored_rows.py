"""Which rows are scored: one split, one fold, or the test rows of every fold."""

import pytest

from emocapclip_hf.eval.benchmarks import protocol_of
from emocapclip_hf.eval.scored_rows import folds_of, load_scored

CODES = {"1": "happiness", "2": "sadness"}


@pytest.fixture
def dfew(tmp_path, pictures):
    """Five folds; clip k is tested in fold k."""
    for clip in range(1, 6):
        folder = tmp_path / f"Clip/clip_224x224/{clip:05}"
        folder.mkdir(parents=True)
        pictures[clip].save(folder / "1.jpg")
    lists = tmp_path / "EmoLabel_DataSplit"
    for split in ("train", "test"):
        (lists / f"{split}(single-labeled)").mkdir(parents=True)
        for fold in range(1, 6):
            clips = [clip for clip in range(1, 6) if (clip == fold) == (split == "test")]
            lines = ["video_name,label", *(f"{clip},{1 + clip % 2}" for clip in clips)]
            (lists / f"{split}(single-labeled)/set_{fold}.csv").write_text("\n".join(lines))
    return tmp_path


def test_without_a_fold_every_test_row_once(dfew):
    rows = load_scored("dfew", dfew)
    assert list(rows["id"]) == [f"{clip:05}" for clip in range(1, 6)]
    assert list(rows["label"]) == ["sadness", "happiness", "sadness", "happiness", "sadness"]
    assert folds_of(rows).tolist() == [1, 2, 3, 4, 5]
    assert protocol_of(rows)["fold"] == "mean over folds" and protocol_of(rows)["rows"] == 5
    assert load_scored("dfew", dfew)._fingerprint == rows._fingerprint


def test_one_fold_or_one_split(dfew):
    assert list(load_scored("dfew", dfew, fold=2)["id"]) == ["00002"]
    assert folds_of(load_scored("dfew", dfew, fold=2)) is None
    assert len(load_scored("dfew", dfew, split="train", fold=2)) == 4


def test_folds_by_subject(tmp_path, pictures):
    for actor in (1001, 1019, 1020, 1091):
        (tmp_path / "VideoFlash").mkdir(exist_ok=True)
        (tmp_path / f"VideoFlash/{actor}_IEO_HAP_XX.flv").write_bytes(b"video")
    rows = load_scored("crema-d", tmp_path)
    assert folds_of(rows).tolist() == [1, 2, 2, 5] and protocol_of(rows)["split"] == "test"
    assert folds_of(load_scored("crema-d", tmp_path, split="all")) is None


def test_without_folds_it_is_the_benchmark_itself():
    rows = load_scored("synthfaces-emotion8", n=6, size=32)
    assert folds_of(rows) is None and protocol_of(rows)["options"]["n"] == 6
