"""Publishing a model folder: one commit, tried again, under its new name; what is published stays whole."""

import threading

import pytest
from hub_fixtures import REPO
from huggingface_hub import ModelCard
from huggingface_hub.errors import HfHubHTTPError
from small_checkpoint import small_model, small_processor

from emocapclip_hf.cli import main
from emocapclip_hf.hub.card import model_card
from emocapclip_hf.hub.push import ATTEMPTS, BackgroundPush, check_model_folder, push_model


def write(folder, seed=0):
    model = small_model(seed)
    model.save_pretrained(folder)
    small_processor().save_pretrained(folder)
    model_card(model, str(folder), "Untrained.").save(folder / "README.md")
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "run" / "model")


@pytest.fixture
def waits(monkeypatch):
    """Seconds that a push would have waited before its next attempts."""
    waited = []
    monkeypatch.setattr("emocapclip_hf.hub.push.time.sleep", waited.append)
    return waited


def commits(api):
    return [commit.title for commit in api.list_repo_commits(REPO)]


def published_weights(hub, revision="main"):
    name = f"models/{REPO}"
    files = hub.store.commit(name, hub.store.resolve(name, revision))["files"]
    return hub.store.blob(files["model.safetensors"]["sha256"])


def test_one_commit_with_everything_under_the_new_name(hub, api, folder):
    commit = push_model(folder, REPO, "First", api=api)
    assert commits(api) == ["First", "initial commit"] and api.repo_info(REPO).sha == commit.oid
    there = set(api.list_repo_files(REPO)) - {".gitattributes"}
    assert there == {path.name for path in folder.iterdir()}
    assert published_weights(hub) == (folder / "model.safetensors").read_bytes()
    card = ModelCard(hub.store.blob(_entry(hub, "README.md")["sha256"]).decode())
    assert f'model="{REPO}"' in card.text and str(folder) not in card.text


def test_a_name_without_an_owner_goes_to_the_owner_of_the_token(api, folder):
    push_model(folder, "emocapclip", "First", private=True, api=api)
    assert commits(api)[0] == "First" and api.repo_info(REPO).private


def test_weights_that_the_new_revision_lacks_go_with_it_and_other_files_stay(api, folder):
    push_model(folder, REPO, "First", api=api)
    for name in ("model-00001-of-00002.safetensors", "model.safetensors.index.json", "notes.md"):
        api.upload_file(path_or_fileobj=b"\0old", path_in_repo=name, repo_id=REPO)
    write(folder, seed=1)
    push_model(folder, REPO, "Second", api=api)
    there = api.list_repo_files(REPO)
    assert "notes.md" in there and not any("index" in name or "-of-" in name for name in there)


@pytest.mark.parametrize("times", [1, ATTEMPTS - 1])
def test_a_busy_hub_is_asked_again(hub, api, folder, waits, times):
    hub.faults.refuse_next(503, "/commit/", times=times)
    told = []
    push_model(folder, REPO, "First", api=api, told=told.append)
    assert commits(api) == ["First", "initial commit"]
    assert waits == [2.0 * 2**number for number in range(times)] and len(told) == times
    assert "503" in told[0] and f"attempt 2 of {ATTEMPTS} in 2 s" in told[0]


def test_a_hub_that_stays_down_leaves_the_revision_before(hub, api, folder, waits):
    push_model(folder, REPO, "First", api=api)
    before = published_weights(hub)
    write(folder, seed=1)
    hub.faults.refuse_next(503, "/commit/", times=100)
    with pytest.raises(HfHubHTTPError, match="503"):
        push_model(folder, REPO, "Second", api=api)
    assert len(waits) == ATTEMPTS - 1
    assert commits(api)[0] == "First" and published_weights(hub) == before


def test_an_upload_that_breaks_leaves_the_revision_before_and_a_later_attempt_ends_it(hub, api, folder, waits):
    push_model(folder, REPO, "First", api=api)
    before = hub.store.repo(f"models/{REPO}")
    write(folder, seed=1)
    seen = []
    hub.faults.drop_next_upload(after_bytes=1000, times=6)  # the client's own five attempts, and one of ours
    push_model(folder, REPO, "Second", api=api, told=lambda _: seen.append(hub.store.repo(f"models/{REPO}")))
    assert seen and all(state == before for state in seen)
    assert commits(api)[0] == "Second" and published_weights(hub) == (folder / "model.safetensors").read_bytes()


def test_a_commit_whose_answer_was_lost_is_made_once(hub, api, folder, waits):
    hub.faults.lose_next_commit_reply()
    push_model(folder, REPO, "First", api=api)
    assert len(waits) == 1 and commits(api) == ["First", "initial commit"]


def test_what_would_fail_again_is_not_tried_again(api, folder, waits):
    api.token = "hf_stranger"
    with pytest.raises(HfHubHTTPError, match="403"):
        push_model(folder, REPO, "First", api=api)
    assert waits == []


class TestFolders:
    @pytest.mark.parametrize("name", ["config.json", "README.md", "model.safetensors"])
    def test_what_is_missing_is_named(self, folder, name):
        (folder / name).unlink()
        with pytest.raises(FileNotFoundError, match=name):
            check_model_folder(folder)

    def test_half_written_weights(self, folder):
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-10])
        with pytest.raises(ValueError, match=r"model\.safetensors is not a whole safetensors file"):
            check_model_folder(folder)

    def test_a_missing_shard(self, folder):
        (folder / "model.safetensors.index.json").write_text(
            '{"weight_map": {"a": "model-00002-of-00002.safetensors"}}'
        )
        with pytest.raises(FileNotFoundError, match="model-00002-of-00002"):
            check_model_folder(folder)


def test_in_the_background_one_at_a_time():
    pushes, release = BackgroundPush(), threading.Event()
    pushes.start(lambda: release.wait(10))
    assert pushes.busy
    release.set()
    pushes.wait()
    assert not pushes.busy and pushes.failure is None

    def fail():
        raise ConnectionError("no route")

    pushes.start(fail)
    pushes.wait()
    assert str(pushes.failure) == "no route"


def test_the_command(hub, api, folder, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", "hf_sunlicai")
    assert main(["push", str(folder.parent), "--repo-id", REPO, "--message", "By hand"]) == 0
    assert commits(api)[0] == "By hand" and REPO in capsys.readouterr().out
    (folder / "config.json").unlink()
    assert main(["push", str(folder), "--repo-id", REPO]) == 2
    assert f"error: {REPO} is unchanged" in capsys.readouterr().err


def _entry(hub, path):
    name = f"models/{REPO}"
    return hub.store.commit(name, hub.store.resolve(name, "main"))["files"][path]
