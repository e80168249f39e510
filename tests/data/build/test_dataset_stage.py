"""Stage 5: shards that load, splits in which nobody leaks, a card that tells; pushed to the Hub on loopback."""

import json
import shutil

import datasets
import pytest
from hub_fixtures import api, hub, run_python  # noqa: F401
from loopback_captioner import LoopbackCaptioner

from emocapclip_hf.data.build.captions import CaptionOptions, run_captions
from emocapclip_hf.data.build.checks import run_checks
from emocapclip_hf.data.build.dataset import DatasetOptions, run_dataset
from emocapclip_hf.data.build.endpoint import EndpointCaptioner, EndpointOptions
from emocapclip_hf.data.build.groups import split_faces, splits_of_groups
from emocapclip_hf.data.check import check_dataset
from emocapclip_hf.data.loading import load_emocap


@pytest.fixture(scope="session")
def checked_once(faces_once, truth, tmp_path_factory):
    """Frames, faces, captions and checks; one caption is hopeless."""
    out = tmp_path_factory.mktemp("checked") / "out"
    shutil.copytree(faces_once, out)
    with LoopbackCaptioner(truth, lambda asked: "refusal" if asked.picture == min(truth) else None) as server:
        run_captions(
            out, lambda *spent: EndpointCaptioner(EndpointOptions(server.url, "truth"), *spent), CaptionOptions()
        )
    run_checks(out, CaptionOptions())
    return out


@pytest.fixture
def checked_faces(checked_once, tmp_path):
    shutil.copytree(checked_once, tmp_path / "out")
    return tmp_path / "out"


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_dataset_loads_and_holds_every_good_caption(checked_faces, truth):
    rows = run_dataset(checked_faces, DatasetOptions())
    assert sum(rows.values()) == len(truth) - 1 and set(rows) == {"train", "validation", "test"}
    loaded = load_emocap(checked_faces / "dataset")
    assert {split: len(loaded[split]) for split in loaded} == rows
    told = {json.loads(text)["global_caption"] for text in truth.values()}
    for row in (row for split in loaded.values() for row in split):
        assert row["global_caption"] in told and row["image"].width > 50
        assert row["summary_caption"] and len(row["local_captions"]) >= 3
    films = [set(split["film"]) for split in datasets.load_dataset(str(checked_faces / "dataset")).values()]
    assert sum(map(len, films)) == len(set.union(*films)), "no film is in two splits"
    plain = datasets.load_dataset(str(checked_faces / "dataset"), split="train")
    assert {"raw_caption", "caption_model", "caption_recipe", "seconds", "film"} <= set(plain.column_names)
    assert json.loads(plain[0]["caption_recipe"])["prompt_version"] == "1"
    check = check_dataset(checked_faces / "dataset")
    assert check.ok, check.to_dict()


def test_the_card_states_counts_and_limits(checked_faces, truth):
    run_dataset(checked_faces, DatasetOptions(title="Four films", license="cc0-1.0"))
    card = (checked_faces / "dataset/README.md").read_text()
    for text in ("license: cc0-1.0", "# Four films", "4 films", "1 refusal", "not by people", "about 267", "`truth`"):
        assert text in card, text
    assert f"{len(truth) - 1} passed" in card
    assert (checked_faces / "dataset/statistics.png").stat().st_size > 10_000


def test_shards_are_even_and_a_missing_one_comes_back_the_same(checked_faces):
    rows = run_dataset(checked_faces, DatasetOptions(rows_per_shard=2))
    folder = checked_faces / "dataset"
    before = contents(folder)
    assert sum(name.startswith("data/train") for name in before) == -(-rows["train"] // 2)
    shard = folder / sorted(name for name in before if name.startswith("data/train"))[1]
    others = {name: (folder / name).stat().st_mtime_ns for name in before if name.startswith("data/")}
    shard.unlink()
    run_dataset(checked_faces, DatasetOptions(rows_per_shard=2))
    assert contents(folder) == before
    kept = [name for name, time in others.items() if (folder / name).stat().st_mtime_ns == time]
    assert len(kept) == len(others) - 1


def test_nothing_good_is_an_error_that_tells_where_to_look(checked_faces):
    run_checks(checked_faces, CaptionOptions(rounds=0))
    with pytest.raises(ValueError, match=r"no caption passed the checks: .*set_aside.jsonl"):
        run_dataset(checked_faces, DatasetOptions())


def test_checks_of_other_faces_are_noticed(checked_faces):
    plan = checked_faces / "checks/plan.json"
    plan.write_text(json.dumps(json.loads(plan.read_text())[::-1]))
    with pytest.raises((RuntimeError, ValueError)):
        run_dataset(checked_faces, DatasetOptions())


# ---- who belongs together


def faces(*films_and_persons):
    return [{"film": film, "person": person} for film, person in films_and_persons]


def test_films_that_share_a_person_a_face_or_a_cast_stay_together():
    found = faces(
        ("a", "ann"), ("b", "ann"), ("b", "bob"), ("c", "bob"), ("d", None), ("e", None), ("f", None), ("g", None)
    )
    copies = [{"films": ["d", "e"]}, {"films": ["g"]}]
    for names in ("abcdefg", "tuvwxyz", "hijklmn"):  # other names, other hashes
        new = dict(zip("abcdefg", names, strict=True))
        renamed = [face | {"film": new[face["film"]]} for face in found]
        joined = [{"films": [new[film] for film in copy["films"]]} for copy in copies]
        split = split_faces(renamed, joined, casts=[(new["f"], "zoe"), (new["g"], "zoe")])
        assert len({split[new[film]] for film in "abc"}) == 1
        assert split[new["d"]] == split[new["e"]] and split[new["f"]] == split[new["g"]]
        assert set(split.values()) == {"train", "validation", "test"}


def test_shares_of_many_small_groups():
    split = splits_of_groups({f"film {number}": 10 for number in range(500)})
    counts = {name: list(split.values()).count(name) for name in ("train", "validation", "test")}
    assert counts == {"train": 400, "validation": 50, "test": 50}


@pytest.mark.parametrize(
    ("sizes", "filled"),
    [({"a": 1}, {"train"}), ({"a": 1, "b": 1}, {"train", "test"}), ({"a": 1000, "b": 1, "c": 1}, None)],
)
def test_few_groups(sizes, filled):
    split = splits_of_groups(sizes)
    assert set(split.values()) == (filled or {"train", "validation", "test"})
    assert filled or split["a"] == "train", "what is much larger than a tenth is trained on"


def test_casts_need_their_columns(checked_faces, tmp_path):
    (tmp_path / "casts.csv").write_text("movie,actor\nx,y\n")
    with pytest.raises(ValueError, match="it needs film and person"):
        run_dataset(checked_faces, DatasetOptions(casts=str(tmp_path / "casts.csv")))
    (tmp_path / "casts.csv").write_text("film,person\nfilms/film-0.mkv,ann\nfilms/film-1.mkv,ann\n")
    run_dataset(checked_faces, DatasetOptions(casts=str(tmp_path / "casts.csv")))
    loaded = datasets.load_dataset(str(checked_faces / "dataset"))
    where = {film: split for split in loaded for film in loaded[split]["film"]}
    assert where["films/film-0.mkv"] == where["films/film-1.mkv"]


PUSH = """
import json, sys
from datasets import load_dataset
from emocapclip_hf.data.build.push import push_dataset

for folder in sys.argv[1:]:
    address = push_dataset(folder, "sunlicai/emocap", private=True)
loaded = load_dataset("sunlicai/emocap")
print(json.dumps({"address": address, "rows": {name: len(loaded[name]) for name in loaded}}))
"""


@pytest.mark.slow
def test_it_goes_to_the_hub_and_a_newer_one_replaces_it(checked_faces, hub, tmp_path):  # noqa: F811
    rows = run_dataset(checked_faces, DatasetOptions(rows_per_shard=3))
    shutil.copytree(checked_faces / "dataset", tmp_path / "older")
    run_dataset(checked_faces, DatasetOptions())
    folders = [str(tmp_path / "older"), str(checked_faces / "dataset")]
    seen = run_python(PUSH, hub.environment(tmp_path / "home"), tmp_path, *folders)
    assert seen["rows"] == rows and seen["address"].endswith("/datasets/sunlicai/emocap")
