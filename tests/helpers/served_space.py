"""A page of a run in a process of its own, as `evoslm demo` serves it, and requests to it that no library makes nice.

[`ServedSpace`] -> the page's address, the folder of its files, its memory; [`wait_until_served`] -> a page of another
command; [`ask`] -> what it answers to one request.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import psutil

START_SECONDS = ANSWER_SECONDS = 600
"""A machine that does much else may take its time."""


class ServedSpace:
    """
    `evoslm demo RUN`, started, and with every way out of the machine turned to a listener that counts.

    Args:
        run (`Path`): The run.
        folder (`Path`): Where the server's temporary files and its log go.
    """

    def __init__(self, run: Path, folder: Path):
        self.folder, self.log = folder, folder / "server.log"
        self.temporary = folder / "temporary"
        self.temporary.mkdir(parents=True)
        self.listener = CountingListener()
        self.url = f"http://127.0.0.1:{free_port()}"
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        outside = f"http://127.0.0.1:{self.listener.port}"
        environment |= {"HTTP_PROXY": outside, "HTTPS_PROXY": outside, "ALL_PROXY": outside, "NO_PROXY": "127.0.0.1"}
        environment |= {"TMPDIR": str(self.temporary), "HF_HUB_OFFLINE": "1"}
        command = [
            sys.executable,
            "-m",
            "evoslm.training.cli",
            "demo",
            str(run),
            "--port",
            self.url.rpartition(":")[2],
        ]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            wait_until_served(self.url, self.process, self.log)
        except RuntimeError:
            self.stop()
            raise

    def is_alive(self) -> bool:
        """Whether the page is answered."""
        return is_served(self.url)

    def memory_mb(self) -> float:
        """What the server and its children hold in memory, in MB."""
        parent = psutil.Process(self.process.pid)
        return sum(process.memory_info().rss for process in [parent, *parent.children(recursive=True)]) / 1e6

    def stop(self) -> None:
        """Ends the server and the listener."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.listener.close()


def wait_until_served(url: str, process: subprocess.Popen, log: Path) -> None:
    """
    Wait for a page.

    Raises:
        `RuntimeError`: If its process has ended, or takes too long; with the end of its log.
    """
    start = time.monotonic()
    while not is_served(url):
        if process.poll() is not None or time.monotonic() - start > START_SECONDS:
            raise RuntimeError(f"the page was not served:\n{log.read_text()[-4000:]}")
        time.sleep(0.2)


def is_served(url: str) -> bool:
    """Whether a page is answered."""
    try:
        return httpx.get(f"{url}/config", timeout=30, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


class CountingListener:
    """A socket on loopback that takes connections, counts them, and closes them without a word."""

    def __init__(self):
        self.count = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            self.count += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def ask(client: httpx.Client, api_name: str, data: list[Any]) -> tuple[str | None, list[Any]]:
    """
    Ask an endpoint as the page does, through the queue, whatever the values are.

    Args:
        client (`httpx.Client`): Of the page's address.
        api_name (`str`): The endpoint, without its slash.
        data (`list`): A value for each of the API's inputs.

    Returns:
        `tuple`: What is said of an error, or nothing, and the last values that were sent.
    """
    events = client.get("/config").json()["dependencies"]
    index = next(event["id"] for event in events if event["api_name"] == api_name)
    session = uuid.uuid4().hex
    # NaN is no JSON, but what Python writes and reads.
    body = json.dumps({"data": data, "fn_index": index, "session_hash": session})
    joined = client.post("/gradio_api/queue/join", content=body, headers={"Content-Type": "application/json"})
    if joined.status_code != 200:
        return refusal_of(joined), []
    last: list[Any] = []
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
            if message.get("msg") in ("process_generating", "process_completed"):
                output = message["output"]
                if message.get("success") is False or output.get("error"):
                    return output.get("error") or "", last
                last = output.get("data") or last
            if message.get("msg") in ("process_completed", "unexpected_error", "close_stream"):
                break
    return None, last


def refusal_of(response: httpx.Response) -> str:
    """The sentence of a response that is an error."""
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return response.text
    if isinstance(detail, list):
        return "; ".join(f"{problem['parameter_name']}: {problem['message']}" for problem in detail)
    return str(detail)
