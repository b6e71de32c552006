"""The HTTP interface of the Hub of the tests, request by request, as the real clients call it."""

import base64
import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote, urlsplit

from hub_repositories import DATE, LFS_SUFFIXES, Commit, HubError, Repository, describe_file, history_of, tree_entries

if TYPE_CHECKING:
    from hub_server import HubServer

KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
READ_TOKEN = "hf_loopback_read"


class HubHandler(BaseHTTPRequestHandler):
    hub: "HubServer"
    protocol_version = "HTTP/1.1"
    # Headers and content in one packet: the second of two small ones waits 40 ms for the first to be acknowledged.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def log_message(self, *arguments) -> None:
        pass

    def handle_any(self) -> None:
        url = urlsplit(self.path)
        self.parts = [unquote(part) for part in url.path.strip("/").split("/")]
        self.query = parse_qs(url.query)
        self.body = self.read_body()
        if self.hub.token in self.path or self.hub.token.encode() in self.body:
            self.hub.told_token.append(f"{self.command} {self.path}")
        self.fault = self.hub.take_fault(f"{self.command} {self.path}")
        try:
            if self.fault and self.fault.kind == "status":
                raise HubError(self.fault.status, "ServerError", "something went wrong here")
            self.route()
        except HubError as error:
            self.answer(
                {"error": str(error)}, error.status, {"X-Error-Code": error.code, "X-Error-Message": str(error)}
            )

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def route(self) -> None:
        parts = self.parts
        if parts == ["_faults"]:  # of a process that reads, in place of those that are left
            self.hub.faults.clear()
            for fault in json.loads(self.body):
                self.hub.fail(**fault)
            return self.answer({})
        if self.command not in ("GET", "HEAD") and "Authorization" not in self.headers and parts[0] != "_lfs":
            raise HubError(401, "Unauthorized", "writing needs a token")
        if self.command not in ("GET", "HEAD") and READ_TOKEN in self.headers.get("Authorization", ""):
            raise HubError(403, "Forbidden", "the token may only read")
        if parts[0] == "_lfs":
            self.hub.large_files[parts[1]] = self.body
            self.answer({})
        elif parts[:2] == ["api", "whoami-v2"]:
            self.who_am_i()
        elif parts[:2] == ["api", "collections"]:
            self.collection_api(parts[2:])
        elif parts[:2] in (["api", "users"], ["api", "organizations"]):
            self.overview(parts[1], parts[2])
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
        found = self.hub.repositories.get((kind, "/".join(name)))
        if found is None or (found.private and "Authorization" not in self.headers):
            raise HubError(404, "RepoNotFound", f"no {kind} {'/'.join(name)}")
        return found

    def who_am_i(self) -> None:
        if "Authorization" not in self.headers:
            raise HubError(401, "Unauthorized", "no token")
        role = "read" if READ_TOKEN in self.headers["Authorization"] else "write"
        groups = [{"name": name, "roleInOrg": role, "type": "org"} for name, role in self.hub.organizations.items()]
        token = {"type": "access_token", "accessToken": {"displayName": "loopback", "role": role}}
        self.answer({"type": "user", "name": self.hub.user, "orgs": groups, "auth": token})

    def overview(self, kind: str, name: str) -> None:
        known = (self.hub.user, *self.hub.others) if kind == "users" else tuple(self.hub.organizations)
        if name not in known:
            raise HubError(404, "NotFound", f"no {kind} {name}")
        self.answer({"user": name, "name": name, "fullname": name, "avatarUrl": "", "type": kind, "isPro": False})

    def collection_api(self, parts: list[str]) -> None:
        """`/api/collections`, `/api/collections/<namespace>/<slug>`, and `/items` of one with `/<id>`."""
        if not parts and self.command == "GET":
            owners = self.query.get("owner", [])
            found = [each for each in self.hub.collections.values() if each["owner"]["name"] in owners]
            # As the Hub lists them: their first items alone.
            self.answer([{**without(each, "position"), "items": each["items"][:4]} for each in found])
        elif not parts:
            self.create_collection(json.loads(self.body))
        else:
            slug = "/".join(parts[:2])
            if slug not in self.hub.collections:
                raise HubError(404, "NotFound", f"no collection {slug}")
            collection = self.hub.collections[slug]
            if parts[2:3] in (["item"], ["items"]):
                self.change_items(collection, parts[3:], json.loads(self.body))
            self.answer(collection)

    def create_collection(self, request: dict) -> None:
        if not self.hub.may_write(request["namespace"]):
            raise HubError(403, "Forbidden", f"no collections in {request['namespace']}")
        if len(request["title"]) > 59 or len(request.get("description") or "") > 150:
            raise HubError(400, "BadRequest", "too long")
        number = hashlib.sha1(str(len(self.hub.collections)).encode()).hexdigest()[:24]
        slug = f"{request['namespace']}/{re.sub('[^a-z0-9]+', '-', request['title'].lower())}-{number}"
        self.hub.collections[slug] = {
            **{"slug": slug, "title": request["title"], "description": request.get("description"), "items": []},
            **{"owner": {"name": request["namespace"]}, "lastUpdated": DATE, "position": 0, "theme": "green"},
            **{"private": request["private"], "upvotes": 0},
        }
        self.answer(self.hub.collections[slug])

    def change_items(self, collection: dict, number: list[str], request: dict) -> None:
        note = {"note": {"text": request["note"]}} if request.get("note") else {}
        if self.command == "PATCH":
            (item,) = (each for each in collection["items"] if each["_id"] == number[0])
            item.update(note)
        else:
            item = request["item"]
            self.repository(item["type"], item["id"].split("/"))
            if any((each["type"], each["id"]) == (item["type"], item["id"]) for each in collection["items"]):
                raise HubError(409, "Conflict", "it is in there")
            position = len(collection["items"])
            collection["items"].append({"_id": f"item-{position}", **item, "position": position, **note})

    def create_or_delete(self, action: str) -> None:
        request = json.loads(self.body)
        kind = request.get("type") or "model"
        name = f"{request.get('organization') or self.hub.user}/{request['name']}"
        if not self.hub.may_write(name.split("/")[0]):
            raise HubError(403, "Forbidden", f"you may not write to {name.split('/')[0]}")
        if action == "delete":
            self.repository(kind, name.split("/"))
            del self.hub.repositories[kind, name]
            return self.answer({})
        prefix = "" if kind == "model" else f"{kind}s/"
        if (kind, name) in self.hub.repositories:
            self.answer({"error": "exists", "url": f"{self.hub.url}/{prefix}{name}"}, 409)
        else:
            private = request.get("visibility") == "private" or bool(request.get("private"))
            repository = self.hub.repositories[kind, name] = Repository(kind, name, private=private)
            card = {"README.md": b"---\nsdk: gradio\n---\n"} if kind == "space" else {}
            repository.commit("initial commit", {".gitattributes": b""} | card)
            self.answer({"url": f"{self.hub.url}/{prefix}{name}", "id": name, "name": name})

    def repository_api(self, repository: Repository, action: str, revision: str, path: str) -> None:
        if action in ("commit", "preupload", "branch") and not self.hub.may_write(repository.name.split("/")[0]):
            raise HubError(403, "Forbidden", f"you may not write to {repository.name}")
        if action in ("info", "revision"):
            commit = repository.find(revision)
            files = [describe_file(name, content) for name, content in sorted(commit.files.items())]
            siblings = [{"rfilename": entry["path"], **entry} for entry in files]
            self.answer(
                {"id": repository.name, "modelId": repository.name, "author": repository.name.split("/")[0]}
                | {"sha": commit.sha, "lastModified": DATE, "createdAt": DATE, "siblings": siblings, "tags": []}
                | {"private": repository.private, "gated": False, "disabled": False, "downloads": 0, "likes": 0}
            )
        elif action == "tree":
            self.answer(self.tree(repository.find(revision), path))
        elif action == "paths-info":
            commit, wanted = repository.find(revision), self.requested_paths()
            entries = {entry["path"]: entry for entry in tree_entries(commit)}
            self.answer([entries[name] for name in wanted if name in entries])
        elif action == "refs":
            branches = [
                {"name": name, "ref": f"refs/heads/{name}", "targetCommit": repository.find(name).sha}
                for name in ("main", *repository.branches)
            ]
            pulls = [
                {"name": f"refs/pr/{pull.num}", "ref": f"refs/pr/{pull.num}", "targetCommit": pull.commit.sha}
                for pull in repository.pull_requests
            ]
            self.answer({"branches": branches, "converts": [], "tags": [], "pullRequests": pulls})
        elif action == "discussions":
            self.answer(self.discussions(repository))
        elif action == "commits":
            self.answer(
                [
                    {"id": commit.sha, "title": commit.message, "message": "", "date": DATE, "authors": []}
                    for commit in reversed(history_of(repository, revision))
                ]
            )
        elif action == "preupload":
            files = json.loads(self.body)["files"]
            modes = {file["path"]: "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular" for file in files}
            self.answer(
                {"files": [{"path": name, "uploadMode": mode, "shouldIgnore": False} for name, mode in modes.items()]}
            )
        elif action == "commit":
            self.write_commit(repository, revision)
        elif action == "branch" and self.command == "DELETE":
            repository.history(revision)  # which refuses one that is not there
            del repository.branches[revision]
            self.answer({})
        elif action == "branch":
            if revision in repository.branches:
                raise HubError(409, "Conflict", f"there is a branch {revision}")
            repository.branches[revision] = list(history_of(repository, "main"))
            self.answer({})
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

    def write_commit(self, repository: Repository, branch: str) -> None:
        head, message = repository.history(branch)[-1], ""
        files = dict(head.files)
        for line in self.body.decode().splitlines():
            operation = json.loads(line)
            key, value = operation["key"], operation["value"]
            if key == "header":
                message = value["summary"]
                if value.get("parentCommit") not in (None, head.sha):
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
        commit = repository.commit(message, files, branch)
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
        entries = [entry for entry in tree_entries(commit) if entry["path"].startswith(prefix)]
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
        content, entry = commit.files[path], describe_file(path, commit.files[path])
        headers = {"X-Repo-Commit": commit.sha, "ETag": f'"{entry["oid"]}"', "Accept-Ranges": "bytes"}
        headers["Content-Disposition"] = f'inline; filename="{quote(Path(path).name)}"'
        if "lfs" in entry:
            headers |= {"X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{entry["lfs"]["oid"]}"'}
            headers["ETag"] = headers["X-Linked-ETag"]
        if self.fault and self.fault.kind == "etag":
            headers |= {name: f'"{"0" * 64}"' for name in ("ETag", "X-Linked-ETag") if name in headers}
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
        kind = self.fault.kind if self.fault else None
        if kind == "lost":
            self.close_connection = True
            return
        if kind == "truncated":
            data = content = data[: len(data) // 2]
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if data is content else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if kind == "cut" else data)
        self.close_connection = self.close_connection or kind == "cut"


def without(value: dict, *names: str) -> dict:
    return {name: part for name, part in value.items() if name not in names}
