"""A small Hub on loopback: enough of the HTTP interface for the real clients to create, upload, list and download.

`with HubServer() as hub: subprocess.run(..., env={**os.environ, **hub.environment(cache_folder)})`: the clients read
`HF_ENDPOINT` when they are imported, so whatever talks to this server runs in a process of its own. Models, datasets
and Spaces live in memory, one list of commits a branch; writing needs a token and a namespace of one's own, large
files go through LFS, and collections tie repositories. `hub.fail("GET .*/resolve/", "cut")` breaks what it answers.
"""

import re
import threading
from dataclasses import dataclass
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

from hub_handler import HubHandler
from hub_repositories import Repository

TOKEN = "hf_loopback"
FAULTS = ("status", "lost", "cut", "truncated", "etag")


@dataclass
class Fault:
    """
    What goes wrong with the next requests that match.

    Args:
        pattern (`str`): Of method and path, e.g. `"PUT /_lfs/"`, a regular expression.
        kind (`str`): `"status"`: nothing is done and an error answered. `"lost"`: it is done, and the connection ends
            without an answer. `"cut"`: the connection ends in the middle of the content. `"truncated"`: half of the
            content is there, and is all that there is. `"etag"`: the content is told by the wrong name.
        times (`int`): How often.
        status (`int`): Of the error.
    """

    pattern: str
    kind: str
    times: int = 1
    status: int = 500


class HubServer:
    """
    The server. Use it as a context manager.

    Attributes:
        token: With which one may write.
        url: Its address, for `HF_ENDPOINT`.
        repositories: By kind and name, e.g. `hub.repositories["dataset", "user/name"].commits[-1].files`.
        collections: By slug, as the API gives them.
        faults: What is still to go wrong, see [`HubServer.fail`].
        requests: Every request so far, e.g. `"GET /api/whoami-v2 200"`.
        told_token: Those of them that have the token in their address or body, where it does not belong.

    Args:
        user: Whose the token is.
        organizations: Groups that the user is in, each with a role there.
        others: Users and organisations that are somebody else's.
    """

    token = TOKEN

    def __init__(self, user: str = "user", organizations: dict[str, str] | None = None, others: tuple[str, ...] = ()):
        self.user = user
        self.organizations = organizations or {}
        self.others = others
        self.collections: dict[str, dict] = {}
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large_files: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.told_token: list[str] = []
        handler = type("Handler", (HubHandler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        serve = partial(self._server.serve_forever, poll_interval=0.02)
        self._thread = threading.Thread(target=serve, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "HubServer":
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail(self, pattern: str, kind: str = "status", times: int = 1, status: int = 500) -> Fault:
        """Let the next requests that match go wrong."""
        assert kind in FAULTS
        self.faults.append(Fault(pattern, kind, times, status))
        return self.faults[-1]

    def take_fault(self, request: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times and re.match(fault.pattern, request):
                    fault.times -= 1
                    return fault
        return None

    def may_write(self, namespace: str) -> bool:
        return namespace == self.user or self.organizations.get(namespace) in ("admin", "write", "contributor")

    def serve_this_process(self, monkeypatch) -> None:
        """Let the Hub's client of this process talk to this Hub and to no other, whenever it was imported."""
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        resolve = f"{self.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", resolve)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)

    def environment(self, cache_folder: str | Path) -> dict[str, str]:
        """What a process needs in its environment to talk to this Hub and to no other."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": TOKEN,
            "HF_HOME": str(cache_folder),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_DATASETS_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
