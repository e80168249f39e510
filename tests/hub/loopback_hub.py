"""A small Hugging Face Hub on loopback: the endpoints that the real client uses to publish and to load.

    with LoopbackHub(tmp_path) as hub:
        subprocess.run([sys.executable, "publish.py"], env=hub.environment(home=tmp_path / "home"))

Like the real one it is two hosts, the Hub and the storage of large files. Models and datasets share every endpoint.
"""

import base64
import json
import os
import re
import threading
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs

import yaml  # comes with huggingface_hub
from card_rules import card_errors
from hub_faults import Faults
from hub_http import Host, HubError, Reply, Request, file_reply, json_reply, route
from hub_storage import LargeFileStorage
from hub_store import HubStore, lfs_pointer

LARGE_FILE = 10 * 2**20  # bytes; text beyond this goes to the storage, as any binary file does
USERS = {"hf_sunlicai": "sunlicai", "hf_stranger": "stranger"}  # token -> user


class LoopbackHub:
    """Serves what is stored below `root`, from entering to leaving. `log`: (method, path, status) of each request."""

    def __init__(self, root: Path):
        self.faults = Faults()
        self.log: list[tuple[str, str, int]] = []
        self.store = HubStore(root)
        self.storage = LargeFileStorage(self.store, self.faults, self.log)
        self._writing = threading.Lock()
        self._host = Host(self._routes(), self.faults, self.log)
        self.url = self._host.url

    def _routes(self) -> list:
        return [
            route("GET", "/api/whoami-v2", self._whoami),
            route("POST", "/api/validate-yaml", self._validate_yaml),
            route("POST", "/api/repos/create", self._create_repo),
            route("GET", "/api/{kind}/{repo}", self._repo_info),
            route("GET", "/api/{kind}/{repo}/revision/{revision}", self._repo_info),
            route("GET", "/api/{kind}/{repo}/refs", self._refs),
            route("GET", "/api/{kind}/{repo}/commits/{revision}", self._commits),
            route("GET", "/api/{kind}/{repo}/tree/{revision}", self._tree),
            route("GET", "/api/{kind}/{repo}/tree/{revision}/{path}", self._tree),
            route("POST", "/api/{kind}/{repo}/paths-info/{revision}", self._paths_info),
            route("POST", "/api/{kind}/{repo}/branch/{branch}", self._create_branch),
            route("POST", "/api/{kind}/{repo}/preupload/{revision}", self._preupload),
            route("POST", "/{kind/}{repo}.git/info/lfs/objects/batch", self._lfs_batch),
            route("POST", "/lfs/finish/{grant}", self._finish_upload),
            route("POST", "/api/{kind}/{repo}/commit/{revision}", self._commit),
            route("GET HEAD", "/{kind/}{repo}/resolve/{revision}/{path}", self._resolve),
        ]

    def __enter__(self) -> "LoopbackHub":
        self._host.start()
        self.storage.host.start()
        return self

    def __exit__(self, *_) -> None:
        self._host.stop()
        self.storage.host.stop()

    def environment(self, home: Path, token: str | None = "hf_sunlicai") -> dict[str, str]:
        """Variables for a client process that knows this Hub and no other, with its cache in `home`."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
        ours = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
        quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1"}
        return {**inherited, **ours, **quiet, **({"HF_TOKEN": token} if token else {})}

    # ---- who may see and do what

    def _user(self, request: Request) -> str | None:
        authorization = request.headers.get("Authorization")
        if authorization is None:
            return None
        user = USERS.get(authorization.removeprefix("Bearer "))
        if user is None:
            raise HubError(401, "Invalid credentials in Authorization header")
        return user

    def _known_user(self, request: Request) -> str:
        user = self._user(request)
        if user is None:
            raise HubError(401, "Invalid username or password.")
        return user

    def _check_writer(self, request: Request, namespace: str) -> None:
        user = self._known_user(request)
        if user != namespace:
            raise HubError(403, f"{user} may not write to {namespace}")

    def _repo(self, request: Request, kind: str, repo: str, write: bool = False) -> str:
        """The repository's name in the store. A private one looks to others as if it did not exist."""
        name, owner, user = f"{kind}/{repo}", repo.split("/")[0], self._user(request)
        state = self.store.repo(name)
        if state is None or (state["private"] and user != owner):
            raise HubError(404, "Repository not found", "RepoNotFound")
        if write:
            self._check_writer(request, owner)
        return name

    def _revision(self, name: str, revision: str) -> tuple[str, dict[str, dict]]:
        """A commit's id and its files."""
        commit_id = self.store.resolve(name, revision)
        if commit_id is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit_id, self.store.commit(name, commit_id)["files"]

    def _whoami(self, request: Request) -> Reply:
        token = {"displayName": "loopback", "role": "write"}
        user = {"type": "user", "name": self._known_user(request), "orgs": [], "auth": {"accessToken": token}}
        return json_reply(user)

    # ---- looking

    def _repo_info(self, request: Request, kind: str, repo: str, revision: str = "main") -> Reply:
        name = self._repo(request, kind, repo)
        commit_id, files = self._revision(name, revision)
        readme = self.store.blob(files["README.md"]["sha256"]).decode() if "README.md" in files else ""
        card = _front_matter(readme)
        info = {"id": repo, "author": repo.split("/")[0], "sha": commit_id, "cardData": card}
        info |= {key: card[key] for key in ("pipeline_tag", "library_name", "tags") if key in card}
        siblings = [{"rfilename": path} for path in files]
        return json_reply({**info, "private": self.store.repo(name)["private"], "siblings": siblings})

    def _refs(self, request: Request, kind: str, repo: str) -> Reply:
        branches = self.store.repo(self._repo(request, kind, repo))["branches"].items()
        listed = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": ids[0]} for name, ids in branches]
        return json_reply({"branches": listed, "tags": [], "converts": []})

    def _commits(self, request: Request, kind: str, repo: str, revision: str) -> Reply:
        name = self._repo(request, kind, repo)
        commit_ids, history = [self._revision(name, revision)[0]], []
        while commit_ids:
            commit = self.store.commit(name, commit_ids[0])
            described = {key: commit[key] for key in ("title", "message", "date")}
            history.append({"id": commit_ids[0], "authors": [{"user": repo.split("/")[0]}], **described})
            commit_ids = commit["parents"]
        return json_reply(history)

    def _tree(self, request: Request, kind: str, repo: str, revision: str, path: str = "") -> Reply:
        commit_id, files = self._revision(self._repo(request, kind, repo), revision)
        inside = f"{path}/" if path else ""
        found = {known: entry for known, entry in files.items() if known.startswith(inside)}
        if path and not found:
            raise HubError(404, f"No folder {path} on {revision}", "EntryNotFound", {"X-Repo-Commit": commit_id})
        folders = {str(parent) for known in found for parent in PurePosixPath(known).parents} - {"."}
        listing = [_describe_folder(folder) for folder in sorted(folders) if folder.startswith(inside)]
        listing += [_describe_file(known, entry) for known, entry in found.items()]
        if request.query.get("recursive") != ["true"]:
            listing = [item for item in listing if "/" not in item["path"].removeprefix(inside)]
        return json_reply(listing)

    def _paths_info(self, request: Request, kind: str, repo: str, revision: str) -> Reply:
        _, files = self._revision(self._repo(request, kind, repo), revision)
        paths = parse_qs(request.body.decode()).get("paths", [])
        listing = [_describe_file(path, files[path]) for path in paths if path in files]
        listing += [_describe_folder(path) for path in paths if any(known.startswith(f"{path}/") for known in files)]
        return json_reply(listing)

    def _resolve(self, request: Request, repo: str, revision: str, path: str, kind: str = "models") -> Reply:
        commit_id, files = self._revision(self._repo(request, kind, repo), revision)
        headers = {"X-Repo-Commit": commit_id}
        if path not in files:
            raise HubError(404, f"No file {path} on {revision}", "EntryNotFound", headers)
        entry = files[path]
        headers["ETag"] = f'"{entry["oid"]}"'
        if not entry["lfs"]:
            return file_reply(self.store.blob(entry["sha256"]), headers, request)
        headers |= {"X-Linked-Etag": f'"{entry["sha256"]}"', "X-Linked-Size": str(entry["size"])}
        return Reply(status=302, headers={**headers, "Location": self.storage.download_link(entry["sha256"])})

    # ---- publishing

    def _create_repo(self, request: Request) -> Reply:
        asked = request.json()
        namespace = asked.get("organization") or self._known_user(request)
        self._check_writer(request, namespace)
        kind, repo = asked.get("type", "model") + "s", f"{namespace}/{asked['name']}"
        answer = {"url": f"{self._web_url(kind)}/{repo}"}
        with self._writing:
            if self.store.repo(f"{kind}/{repo}") is not None:
                return json_reply({**answer, "error": f"You already created the repository {repo}"}, 409)
            self.store.create_repo(f"{kind}/{repo}", private=asked.get("visibility") == "private")
        return json_reply(answer)

    def _create_branch(self, request: Request, kind: str, repo: str, branch: str) -> Reply:
        name = self._repo(request, kind, repo, write=True)
        with self._writing:
            if branch in self.store.repo(name)["branches"]:
                raise HubError(409, f"Reference already exists: {branch}")
            starting_point, _ = self._revision(name, request.json().get("startingPoint", "main"))
            self.store.create_branch(name, branch, starting_point)
        return json_reply({})

    def _validate_yaml(self, request: Request) -> Reply:
        try:
            card = _front_matter(request.json()["content"])
        except yaml.YAMLError as error:
            return json_reply({"errors": [{"message": str(error)}], "warnings": []}, 400)
        errors = [{"message": message} for message in card_errors(card)]
        warnings = [] if card else [{"message": "empty or missing yaml metadata in repo card"}]
        return json_reply({"errors": errors, "warnings": warnings}, 400 if errors else 200)

    def _preupload(self, request: Request, kind: str, repo: str, revision: str) -> Reply:
        name = self._repo(request, kind, repo, write=True)
        if "create_pr" in request.query:
            raise HubError(400, "Pull requests are not part of the loopback Hub")
        _, files = self._revision(name, revision)
        answers = []
        for asked in request.json()["files"]:
            large = asked["size"] > LARGE_FILE or b"\0" in base64.b64decode(asked["sample"])
            answer = {"path": asked["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
            if asked["path"] in files:  # what the client compares with its own file to skip what has not changed
                known = files[asked["path"]]
                answer["oid"] = known["sha256"] if known["lfs"] else known["oid"]
            answers.append(answer)
        return json_reply({"files": answers})

    def _lfs_batch(self, request: Request, repo: str, kind: str = "models") -> Reply:
        self._repo(request, kind, repo, write=True)
        objects = request.json()["objects"]
        for asked in objects:
            if not self.store.has_blob(asked["oid"]):
                finish_url = f"{self.url}/lfs/finish"
                asked["actions"] = self.storage.grant_upload(asked["oid"], asked["size"], finish_url)
        return json_reply({"transfer": "basic", "objects": objects})

    def _finish_upload(self, request: Request, grant: str) -> Reply:
        self.storage.finish_upload(grant)
        return json_reply({"success": True})

    def _commit(self, request: Request, kind: str, repo: str, revision: str) -> Reply:
        """All of it or nothing: the store hears of the commit after its last operation was understood."""
        name = self._repo(request, kind, repo, write=True)
        header, *operations = (json.loads(line) for line in request.body.splitlines())
        with self._writing:
            if revision not in self.store.repo(name)["branches"]:
                raise HubError(404, f"No branch {revision} to commit to", "RevisionNotFound")
            parent, files = self._revision(name, revision)
            if header["value"].get("parentCommit", parent) != parent:
                raise HubError(412, f"A commit has happened since: {revision} is now {parent}")
            for operation in operations:
                self._apply(files, operation["key"], operation["value"])
            title, message = header["value"]["summary"], header["value"]["description"]
            commit_id = self.store.add_commit(name, revision, files, title, message)
        url = f"{self._web_url(kind)}/{repo}/commit/{commit_id}"
        return json_reply({"success": True, "commitOid": commit_id, "commitUrl": url})

    def _apply(self, files: dict[str, dict], key: str, value: dict) -> None:
        """One operation of a commit, applied to the files of its parent."""
        path = value["path"].rstrip("/")
        doomed = [known for known in files if known == path or known.startswith(f"{path}/")]
        if key == "file":
            files[path] = self.store.file_entry(base64.b64decode(value["content"]))
        elif key == "lfsFile" and self.store.has_blob(value["oid"]):
            files[path] = self.store.lfs_entry(value["oid"])
        elif key in ("deletedFile", "deletedFolder") and doomed:
            for known in doomed:
                del files[known]
        else:
            raise HubError(400, f"Cannot apply {key} to {path}: there is no such content or file")

    def _web_url(self, kind: str) -> str:
        return self.url if kind == "models" else f"{self.url}/{kind}"


def _front_matter(card: str) -> dict:
    """The YAML block that opens a README.md."""
    block = re.match(r"\A---\s*\n(.*?)\n---\s*(\n|\Z)", card, flags=re.DOTALL)
    return (yaml.safe_load(block[1]) if block else None) or {}


def _describe_file(path: str, entry: dict) -> dict:
    described = {"type": "file", "path": path, "size": entry["size"], "oid": entry["oid"]}
    if entry["lfs"]:
        pointer_size = len(lfs_pointer(entry["sha256"], entry["size"]))
        described["lfs"] = {"oid": entry["sha256"], "size": entry["size"], "pointerSize": pointer_size}
    return described


def _describe_folder(path: str) -> dict:
    return {"type": "directory", "path": path, "size": 0, "oid": "0" * 40}
