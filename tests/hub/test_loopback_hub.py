"""The loopback Hub against the real client: what was published is what is listed and loaded."""

import http.client
import random
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hub_fixtures import REPO
from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

WEIGHTS = b"\0weights" + bytes(range(256)) * 40


def publish(api, files: dict[str, bytes], delete: tuple[str, ...] = (), repo: str = REPO, **kwargs):
    api.create_repo(repo, exist_ok=True, repo_type=kwargs.get("repo_type"))
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    operations += [CommitOperationDelete(path) for path in delete]
    return api.create_commit(repo, operations=operations, commit_message="publish", **kwargs)


def load(api, repo: str = REPO, **kwargs) -> dict[str, bytes]:
    """Every file of a revision as a client sees it that has never seen this Hub before."""
    folder = Path(api.snapshot_download(repo, **kwargs))
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    del files[".gitattributes"]  # the Hub's own
    return files


def ask(method: str, url: str, headers: dict[str, str] | None = None) -> tuple[int, http.client.HTTPMessage, bytes]:
    """A request without the client between: status, headers, body. Redirects are not followed."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request(method, parts.path, headers=headers or {})
    reply = connection.getresponse()
    answer = reply.status, reply.headers, reply.read()
    connection.close()
    return answer


@pytest.mark.parametrize("repo_type", ["model", "dataset"])
def test_what_was_published_is_listed_and_loaded(hub, api, repo_type):
    files = {"config.json": b"{}", "model.safetensors": WEIGHTS, "code/a file.py": b"x = 1\n", "empty.txt": b""}
    commit = publish(api, files, repo_type=repo_type)

    assert load(api, repo_type=repo_type) == files
    tree = {item.path: item for item in api.list_repo_tree(REPO, repo_type=repo_type, recursive=True)}
    assert set(tree) == {*files, ".gitattributes", "code"}
    assert tree["model.safetensors"].lfs.size == tree["model.safetensors"].size == len(WEIGHTS)
    assert tree["config.json"].lfs is None
    assert {i.path for i in api.list_repo_tree(REPO, repo_type=repo_type)} == {*tree} - {"code/a file.py"}
    assert [i.path for i in api.list_repo_tree(REPO, "code", repo_type=repo_type)] == ["code/a file.py"]
    described = api.get_paths_info(REPO, ["config.json", "code", "nothing"], repo_type=repo_type)
    assert [item.path for item in described] == ["config.json", "code"]
    assert api.repo_info(REPO, repo_type=repo_type).sha == commit.oid
    assert api.list_repo_commits(REPO, repo_type=repo_type)[0].commit_id == commit.oid
    [branch] = api.list_repo_refs(REPO, repo_type=repo_type).branches
    assert (branch.name, branch.target_commit) == ("main", commit.oid)


def test_every_revision_stays_what_it_was(api, tmp_path):
    """A random history against a plain list of dictionaries."""
    rng = random.Random(0)
    now, history = {}, []
    for step in range(12):
        added = {f"{rng.choice('ab')}/{rng.choice('cdef')}": rng.choice([b"", b"\0"]) + b"%d" % step for _ in range(2)}
        deleted = tuple(path for path in now if path not in added and rng.random() < 0.3)
        now = {path: content for path, content in {**now, **added}.items() if path not in deleted}
        history.append((publish(api, added, deleted).oid, now))
    for commit_id, files in history:
        assert load(api, revision=commit_id) == files
    assert load(api) == now


def test_large_files_go_up_in_parts_when_the_hub_says_so(hub, api):
    hub.storage.part_size = 1000
    publish(api, {"model.safetensors": WEIGHTS})
    parts = [path for method, path, _ in hub.log if method == "PUT"]
    assert len(parts) == -(-len(WEIGHTS) // 1000)
    assert load(api) == {"model.safetensors": WEIGHTS}


def test_what_has_not_changed_is_not_sent_again(hub, api):
    first = publish(api, {"config.json": b"{}", "model.safetensors": WEIGHTS})
    hub.log.clear()
    again = publish(api, {"config.json": b"{}", "model.safetensors": WEIGHTS})
    assert again.oid == first.oid
    assert not [path for method, path, _ in hub.log if method == "PUT" or "/commit/" in path]


def test_the_same_content_is_stored_once(hub, api):
    publish(api, {"a.safetensors": WEIGHTS})
    hub.log.clear()
    publish(api, {"b.safetensors": WEIGHTS})
    assert "PUT" not in [method for method, _, _ in hub.log]
    assert load(api) == {"a.safetensors": WEIGHTS, "b.safetensors": WEIGHTS}


def test_a_cached_file_is_fetched_again_only_if_its_etag_changed(hub, api):
    publish(api, {"config.json": b"{}", "model.safetensors": WEIGHTS})
    load(api)
    publish(api, {"config.json": b"{ }"})
    hub.log.clear()
    assert load(api)["config.json"] == b"{ }"
    fetched = [path for method, path, _ in hub.log if method == "GET" and ("/resolve/" in path or "/objects/" in path)]
    assert [path.rpartition("/")[2] for path in fetched] == ["config.json"]


def test_head_tells_what_a_get_would_bring(hub, api):
    commit = publish(api, {"config.json": b"{}", "model.safetensors": WEIGHTS})
    status, headers, body = ask("HEAD", f"{hub.url}/{REPO}/resolve/main/config.json")
    assert (status, headers["Content-Length"], headers["X-Repo-Commit"], body) == (200, "2", commit.oid, b"")
    status, headers, body = ask("HEAD", f"{hub.url}/{REPO}/resolve/main/model.safetensors")
    assert (status, headers["X-Linked-Size"], headers["X-Repo-Commit"]) == (302, str(len(WEIGHTS)), commit.oid)
    assert ask("GET", headers["Location"])[2] == WEIGHTS


@pytest.mark.parametrize("asked, served", [("5-9", slice(5, 10)), ("5-", slice(5, None)), ("-3", slice(-3, None))])
def test_ranges(hub, api, asked, served):
    publish(api, {"config.json": b"0123456789abcdef", "model.safetensors": WEIGHTS})
    small = f"{hub.url}/{REPO}/resolve/main/config.json"
    large = ask("HEAD", f"{hub.url}/{REPO}/resolve/main/model.safetensors")[1]["Location"]
    for url, content in ((small, b"0123456789abcdef"), (large, WEIGHTS)):
        status, headers, body = ask("GET", url, {"Range": f"bytes={asked}"})
        assert (status, body) == (206, content[served])
        assert headers["Content-Range"].endswith(f"/{len(content)}")
        assert ask("GET", url, {"Range": "bytes=999999-"})[0] == 416


def test_branches(api):
    old = publish(api, {"config.json": b"{}"})
    api.create_branch(REPO, branch="v1/rc", revision=old.oid)
    publish(api, {"config.json": b"[]"})
    publish(api, {"extra.json": b"{}"}, revision="v1/rc")
    assert load(api) == {"config.json": b"[]"}
    assert load(api, revision="v1/rc") == {"config.json": b"{}", "extra.json": b"{}"}
    for not_a_branch in ("v9", old.oid):
        with pytest.raises(RevisionNotFoundError):
            publish(api, {"config.json": b"[]"}, revision=not_a_branch)


def test_the_card_is_checked_and_read(api):
    publish(api, {"README.md": b"---\npipeline_tag: zero-shot-image-classification\ntags: [faces]\n---\nHello\n"})
    assert api.model_info(REPO).pipeline_tag == "zero-shot-image-classification"
    assert api.model_info(REPO).tags == ["faces"]
    with pytest.raises(ValueError, match="Invalid metadata"):
        publish(api, {"README.md": b"---\ntags: [faces\n---\n"})
    with pytest.raises(ValueError, match=r'"license" must not be \'free\''):
        publish(api, {"README.md": b"---\nlicense: free\n---\n"})
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        publish(api, {"README.md": b"No metadata\n"})


# ---- who may do what


def test_whoami(api):
    assert api.whoami()["name"] == "sunlicai"
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        api.whoami(token="hf_wrong")


@pytest.mark.parametrize("token, status", [("hf_wrong", 401), (False, 401), ("hf_stranger", 403)])
def test_only_the_owner_publishes(api, token, status):
    before = publish(api, {"config.json": b"{}"})
    with pytest.raises(HfHubHTTPError) as refused:
        api.create_commit(REPO, [CommitOperationAdd("config.json", b"[]")], commit_message="no", token=token)
    assert refused.value.response.status_code == status
    with pytest.raises(HfHubHTTPError) as refused:
        api.create_repo("sunlicai/another", token=token)
    assert refused.value.response.status_code == status
    assert load(api) == {"config.json": b"{}"}
    assert api.repo_info(REPO).sha == before.oid


def test_public_is_for_everyone_but_not_with_a_wrong_token(api):
    publish(api, {"model.safetensors": WEIGHTS})
    assert load(api, token=False) == {"model.safetensors": WEIGHTS}
    with pytest.raises(HfHubHTTPError) as refused:
        api.model_info(REPO, token="hf_wrong")
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("token", [False, "hf_stranger"])
def test_private_is_for_its_owner_and_missing_for_others(api, token):
    api.create_repo(REPO, private=True)
    publish(api, {"model.safetensors": WEIGHTS})
    with pytest.raises(RepositoryNotFoundError):
        api.hf_hub_download(REPO, "model.safetensors", token=token)
    assert load(api) == {"model.safetensors": WEIGHTS}


def test_no_token_reaches_the_storage(hub, api):
    publish(api, {"model.safetensors": WEIGHTS})
    load(api)
    stored = [status for _, path, status in hub.log if path.startswith(("/upload/", "/objects/"))]
    assert stored and set(stored) == {200}  # it answers 400 to a token
    assert ask("PUT", f"{hub.storage.host.url}/upload/guessed/1")[0] == 403
    assert ask("GET", f"{hub.storage.host.url}/objects/guessed/0")[0] == 403


# ---- what is not there


def test_missing_things_have_their_own_errors(hub, api, tmp_path):
    with pytest.raises(RepositoryNotFoundError):
        api.hf_hub_download("sunlicai/nothing", "config.json")
    with pytest.raises(RepositoryNotFoundError):
        api.create_commit("sunlicai/nothing", [CommitOperationAdd("a", b"")], commit_message="no")
    publish(api, {"config.json": b"{}"})
    with pytest.raises(RevisionNotFoundError):
        api.hf_hub_download(REPO, "config.json", revision="v9")
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download(REPO, "model.safetensors")
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(REPO, "no_folder"))


def test_a_commit_on_top_of_an_outdated_parent_is_refused(api):
    old = publish(api, {"config.json": b"{}"})
    new = publish(api, {"config.json": b"[]"})
    with pytest.raises(HfHubHTTPError, match="412"):
        publish(api, {"config.json": b"1"}, parent_commit=old.oid)
    publish(api, {"config.json": b"2"}, parent_commit=new.oid)
    assert load(api) == {"config.json": b"2"}


def test_a_hub_that_is_asked_too_often_stops_answering(hub, api, monkeypatch):
    monkeypatch.setattr("hub_http.MAX_REQUESTS", 2)
    assert [ask("GET", f"{hub.url}/api/whoami-v2")[0] for _ in range(3)] == [401, 401, 410]


def test_the_hub_is_gone_when_its_test_is_over(hub, api):
    publish(api, {"config.json": b"{}"})
    hub.__exit__()
    with pytest.raises(ConnectionRefusedError):
        ask("GET", f"{hub.url}/api/models/{REPO}")
    with pytest.raises(Exception, match=r"Connection refused|disconnected"):
        api.model_info(REPO)  # not over a connection kept open, either
