"""What the Hub of the tests keeps: repositories with their branches, commits and pull requests, in memory."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

LFS_SUFFIXES = (".parquet", ".safetensors", ".bin", ".npy", ".arrow", ".flac", ".wav", ".png", ".model")
DATE = "2025-01-01T00:00:00.000Z"


class HubError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code = status, code


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
    """A repository with its main branch, other branches, and pull requests to it."""

    kind: str
    name: str
    commits: list[Commit] = field(default_factory=list)
    pull_requests: list[PullRequest] = field(default_factory=list)
    branches: dict[str, list[Commit]] = field(default_factory=dict)
    private: bool = False

    def commit(self, message: str, files: dict[str, bytes], branch: str = "main") -> Commit:
        history = self.history(branch)
        named = "" if branch == "main" else f" {branch}"
        sha = hashlib.sha1(f"{self.kind} {self.name}{named} {len(history)}".encode()).hexdigest()
        history.append(Commit(sha, message, files))
        return history[-1]

    def history(self, branch: str) -> list[Commit]:
        """The commits of a branch, oldest first."""
        branch = branch.removeprefix("refs/heads/")
        if branch != "main" and branch not in self.branches:
            raise HubError(404, "RevisionNotFound", f"no branch {branch}")
        return self.commits if branch == "main" else self.branches[branch]

    def open_pull_request(self, author: str, title: str, files: dict[str, bytes]) -> PullRequest:
        """Offer files beside those of the branch."""
        num = len(self.pull_requests) + 1
        sha = hashlib.sha1(f"{self.kind} {self.name} pull request {num}".encode()).hexdigest()
        self.pull_requests.append(PullRequest(num, author, title, Commit(sha, title, self.commits[-1].files | files)))
        return self.pull_requests[-1]

    def find(self, revision: str) -> Commit:
        for history in (self.commits, *self.branches.values()):
            for commit in history:
                if revision == commit.sha:
                    return commit
        for pull in self.pull_requests:
            if revision in (f"refs/pr/{pull.num}", pull.commit.sha):
                return pull.commit
        return self.history(revision)[-1]


def history_of(repository: Repository, revision: str) -> list[Commit]:
    """The commits up to one, oldest first."""
    found = repository.find(revision)
    for history in (repository.commits, *repository.branches.values()):
        if found in history:
            return history[: history.index(found) + 1]
    return [found]


def describe_file(path: str, content: bytes) -> dict:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry = {"type": "file", "path": path, "size": len(content), "oid": blob}
    if path.endswith(LFS_SUFFIXES):
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha256, "sha256": sha256, "size": len(content), "pointerSize": 134}
    return entry


def tree_entries(commit: Commit) -> list[dict]:
    last = {"id": commit.sha, "title": commit.message, "date": DATE}
    folders = {str(parent) for path in commit.files for parent in Path(path).parents if str(parent) != "."}
    entries = [{"type": "directory", "path": folder, "size": 0, "oid": "0" * 40} for folder in sorted(folders)]
    entries += [describe_file(path, content) for path, content in sorted(commit.files.items())]
    return [entry | {"lastCommit": last} for entry in entries]
