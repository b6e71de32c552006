"""A small Hub on loopback: enough of the HTTP interface for the real clients to create, upload, list and download.

`with HubServer() as hub: subprocess.run(..., env={**os.environ, **hub.environment(cache_folder)})`: the clients read
`HF_ENDPOINT` when they are imported, so whatever talks to this server runs in a process of its own. Models, datasets
and Spaces live in memory, one list of commits each; writing needs a token, and large files go through LFS.
"""

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

LFS_SUFFIXES = (".parquet", ".safetensors", ".bin", ".npy", ".arrow", ".flac", ".wav", ".png", ".model")
KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
DATE = "2025-01-01T00:00:00.000Z"


@dataclass
class Commit:
    """One state of a repository: the bytes of each path."""

    sha: str
    message: str
    files: dict[str, bytes]


@dataclass
class PullRequest:
    """An open pull request: who offers which state of the repository, under which title."""

    num: int
    author: str
    title: str
    commit: Commit


@dataclass
class Repository:
    """A repository with one branch, and pull requests to it."""

    kind: str
    name: str
    commits: list[Commit] = field(default_factory=list)
    pull_requests: list[PullRequest] = field(default_factory=list)

    def commit(self, message: str, files: dict[str, bytes]) -> Commit:
        sha = hashlib.sha1(f"{self.kind} {self.name} {len(self.commits)}".encode()).hexdigest()
        self.commits.append(Commit(sha, message, files))
        return self.commits[-1]

    def open_pull_request(self, author: str, title: str, files: dict[str, bytes]) -> PullRequest:
        """Offer files beside those of the branch."""
        num = len(self.pull_requests) + 1
        sha = hashlib.sha1(f"{self.kind} {self.name} pull request {num}".encode()).hexdigest()
        self.pull_requests.append(PullRequest(num, author, title, Commit(sha, title, self.commits[-1].files | files)))
        return self.pull_requests[-1]

    def find(self, revision: str) -> Commit:
        for commit in self.commits:
            if revision == commit.sha:
                return commit
        for pull in self.pull_requests:
            if revision in (f"refs/pr/{pull.num}", pull.commit.sha):
                return pull.commit
        if revision in ("main", "refs/heads/main"):
            return self.commits[-1]
        raise HubError(404, "RevisionNotFound", f"no revision {revision}")


class HubError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code = status, code


class HubServer:
    """
    The server. Use it as a context manager.

    Attributes:
        url: Its address, for `HF_ENDPOINT`.
        repositories: By kind and name, e.g. `hub.repositories["dataset", "user/name"].commits[-1].files`.
        requests: Every request so far, e.g. `"GET /api/whoami-v2 200"`.
    """

    def __init__(self, user: str = "user"):
        self.user = user
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large_files: dict[str, bytes] = {}
        self.requests: list[str] = []
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "HubServer":
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self, cache_folder: str | Path) -> dict[str, str]:
        """What a process needs in its environment to talk to this Hub and to no other."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": "hf_loopback",
            "HF_HOME": str(cache_folder),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_DATASETS_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments) -> None:
        pass

    def handle_any(self) -> None:
        url = urlsplit(self.path)
        self.parts = [unquote(part) for part in url.path.strip("/").split("/")]
        self.query = parse_qs(url.query)
        self.body = self.read_body()
        try:
            self.route()
        except HubError as error:
            self.answer(
                {"error": str(error)}, error.status, {"X-Error-Code": error.code, "X-Error-Message": str(error)}
            )

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

    def route(self) -> None:
        parts = self.parts
        if self.command not in ("GET", "HEAD") and "Authorization" not in self.headers and parts[0] != "_lfs":
            raise HubError(401, "Unauthorized", "writing needs a token")
        if parts[0] == "_lfs":
            self.hub.large_files[parts[1]] = self.body
            self.answer({})
        elif parts[:2] == ["api", "whoami-v2"]:
            self.answer({"type": "user", "name": self.hub.user, "orgs": [], "auth": {"type": "access_token"}})
        elif parts[:2] == ["api", "validate-yaml"]:
            self.answer({"errors": [], "warnings": []})
        elif parts[:2] == ["api", "repos"]:
            self.create_or_delete(parts[2])
        elif parts[0] == "api" and parts[1] in KINDS:
            action, revision, path = parts[4] if parts[4:] else "info", parts[5] if parts[5:] else "main", parts[6:]
            self.repository_api(self.repository(KINDS[parts[1]], parts[2:4]), action, revision, "/".join(path))
        else:
            kind = KINDS[parts.pop(0)] if parts[0] in KINDS else "model"
            if parts[-4:] == ["info", "lfs", "objects", "batch"]:
                self.offer_uploads(self.repository(kind, [parts[0], parts[1].removesuffix(".git")]))
            elif parts[2:3] in (["resolve"], ["raw"]):
                self.download(self.repository(kind, parts[:2]), parts[3], "/".join(parts[4:]))
            else:
                raise HubError(404, "EntryNotFound", f"no such address {self.path}")

    def repository(self, kind: str, name: list[str]) -> Repository:
        try:
            return self.hub.repositories[kind, "/".join(name)]
        except KeyError:
            raise HubError(404, "RepoNotFound", f"no {kind} {'/'.join(name)}") from None

    def create_or_delete(self, action: str) -> None:
        request = json.loads(self.body)
        kind = request.get("type") or "model"
        name = f"{request.get('organization') or self.hub.user}/{request['name']}"
        if action == "delete":
            self.repository(kind, name.split("/"))
            del self.hub.repositories[kind, name]
            return self.answer({})
        prefix = "" if kind == "model" else f"{kind}s/"
        if (kind, name) in self.hub.repositories:
            self.answer({"error": "exists", "url": f"{self.hub.url}/{prefix}{name}"}, 409)
        else:
            repository = self.hub.repositories[kind, name] = Repository(kind, name)
            repository.commit("initial commit", {".gitattributes": b""})
            self.answer({"url": f"{self.hub.url}/{prefix}{name}", "id": name, "name": name})

    def repository_api(self, repository: Repository, action: str, revision: str, path: str) -> None:
        if action in ("info", "revision"):
            commit = repository.find(revision)
            files = [_describe(name, content) for name, content in sorted(commit.files.items())]
            siblings = [{"rfilename": entry["path"], **entry} for entry in files]
            self.answer(
                {"id": repository.name, "modelId": repository.name, "author": repository.name.split("/")[0]}
                | {"sha": commit.sha, "lastModified": DATE, "createdAt": DATE, "siblings": siblings, "tags": []}
                | {"private": False, "gated": False, "disabled": False, "downloads": 0, "likes": 0}
            )
        elif action == "tree":
            self.answer(self.tree(repository.find(revision), path))
        elif action == "paths-info":
            commit, wanted = repository.find(revision), self.requested_paths()
            entries = {entry["path"]: entry for entry in _tree_entries(commit)}
            self.answer([entries[name] for name in wanted if name in entries])
        elif action == "refs":
            main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repository.commits[-1].sha}
            pulls = [
                {"name": f"refs/pr/{pull.num}", "ref": f"refs/pr/{pull.num}", "targetCommit": pull.commit.sha}
                for pull in repository.pull_requests
            ]
            self.answer({"branches": [main], "converts": [], "tags": [], "pullRequests": pulls})
        elif action == "discussions":
            self.answer(self.discussions(repository))
        elif action == "commits":
            self.answer(
                [
                    {"id": commit.sha, "title": commit.message, "message": "", "date": DATE, "authors": []}
                    for commit in reversed(repository.commits)
                ]
            )
        elif action == "preupload":
            files = json.loads(self.body)["files"]
            modes = {file["path"]: "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular" for file in files}
            self.answer(
                {"files": [{"path": name, "uploadMode": mode, "shouldIgnore": False} for name, mode in modes.items()]}
            )
        elif action == "commit":
            self.write_commit(repository)
        else:
            raise HubError(404, "EntryNotFound", f"no such address {self.path}")

    def discussions(self, repository: Repository) -> dict:
        authors = self.query.get("author")
        found = [
            {"num": pull.num, "title": pull.title, "author": {"name": pull.author}, "createdAt": DATE}
            | {"status": "open", "repo": {"name": repository.name, "type": repository.kind}, "isPullRequest": True}
            for pull in repository.pull_requests
            if authors is None or pull.author in authors
        ]
        return {"discussions": found, "count": len(found), "start": 0}

    def write_commit(self, repository: Repository) -> None:
        files, message = dict(repository.commits[-1].files), ""
        for line in self.body.decode().splitlines():
            operation = json.loads(line)
            key, value = operation["key"], operation["value"]
            if key == "header":
                message = value["summary"]
                if value.get("parentCommit") not in (None, repository.commits[-1].sha):
                    raise HubError(412, "PreconditionFailed", "the branch has moved on")
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.hub.large_files[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
            elif key == "deletedFolder":
                folder = value["path"].rstrip("/") + "/"
                files = {name: file for name, file in files.items() if not name.startswith(folder)}
        commit = repository.commit(message, files)
        url = f"{self.hub.url}/{'' if repository.kind == 'model' else repository.kind + 's/'}{repository.name}"
        self.answer({"success": True, "commitOid": commit.sha, "commitUrl": f"{url}/commit/{commit.sha}"})

    def offer_uploads(self, repository: Repository) -> None:
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            offer = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.hub.large_files:
                offer["actions"] = {"upload": {"href": f"{self.hub.url}/_lfs/{wanted['oid']}"}}
            objects.append(offer)
        self.answer({"transfer": "basic", "objects": objects})

    def tree(self, commit: Commit, folder: str) -> list[dict]:
        prefix = f"{folder}/" if folder else ""
        entries = [entry for entry in _tree_entries(commit) if entry["path"].startswith(prefix)]
        if folder and not entries:
            raise HubError(404, "EntryNotFound", f"no folder {folder}")
        if self.query.get("recursive", ["false"])[0].lower() in ("true", "1"):
            return entries
        return [entry for entry in entries if "/" not in entry["path"][len(prefix) :]]

    def requested_paths(self) -> list[str]:
        if "json" in self.headers.get("Content-Type", ""):
            return json.loads(self.body)["paths"]
        return parse_qs(self.body.decode())["paths"]

    def download(self, repository: Repository, revision: str, path: str) -> None:
        commit = repository.find(revision)
        if path not in commit.files:
            raise HubError(404, "EntryNotFound", f"no file {path}")
        content, entry = commit.files[path], _describe(path, commit.files[path])
        headers = {"X-Repo-Commit": commit.sha, "ETag": f'"{entry["oid"]}"', "Accept-Ranges": "bytes"}
        headers["Content-Disposition"] = f'inline; filename="{quote(Path(path).name)}"'
        if "lfs" in entry:
            headers |= {"X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{entry["lfs"]["oid"]}"'}
            headers["ETag"] = headers["X-Linked-ETag"]
        if requested := self.headers.get("Range"):
            first, _, last = requested.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(0, len(content) - int(last))
            stop = min(int(last) + 1 if first and last else len(content), len(content))
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
            return self.answer(content[start:stop], 206 if start < len(content) else 416, headers)
        self.answer(content, 200, headers)

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, content: dict | list | bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.hub.requests.append(f"{self.command} {self.path} {status}")
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if data is content else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _describe(path: str, content: bytes) -> dict:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry = {"type": "file", "path": path, "size": len(content), "oid": blob}
    if path.endswith(LFS_SUFFIXES):
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha256, "sha256": sha256, "size": len(content), "pointerSize": 134}
    return entry


def _tree_entries(commit: Commit) -> list[dict]:
    last = {"id": commit.sha, "title": commit.message, "date": DATE}
    folders = {str(parent) for path in commit.files for parent in Path(path).parents if str(parent) != "."}
    entries = [{"type": "directory", "path": folder, "size": 0, "oid": "0" * 40} for folder in sorted(folders)]
    entries += [_describe(path, content) for path, content in sorted(commit.files.items())]
    return [entry | {"lastCommit": last} for entry in entries]
