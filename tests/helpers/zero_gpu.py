"""ZeroGPU on a machine without a GPU: the scheduler that its package asks, and an app that the package runs.

[`Scheduler`] -> a server on loopback that lends a device to whoever asks, and keeps for how long; [`run_app`] -> an
`app.py` under the `spaces` package itself, whose processes have their weights on the processor. Run it as
`python zero_gpu.py APP`, in [`Scheduler.environment`].
"""

import json
import runpy
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Scheduler:
    """
    Answers what `spaces.zero.client` asks. Use it as a context manager.

    Attributes:
        seconds (`list[int]`): For how long a device was asked for, call by call.
        processes (`list[int]`): Those that began to work on it.
        keeps_processes (`bool`): Whether a process may go on to the next call of its function.
    """

    def __init__(self):
        self.seconds: list[int] = []
        self.processes: list[int] = []
        self.keeps_processes = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"scheduler": self}))
        self._server.daemon_threads = True

    def __enter__(self) -> "Scheduler":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *error) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to believe that it is on ZeroGPU."""
        return {
            "SPACES_ZERO_GPU": "true",
            "SPACES_ZERO_DEVICE_API_URL": f"http://127.0.0.1:{self._server.server_port}",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def answer(self, path: str, query: dict[str, str]) -> dict | None:
        if path == "/schedule":
            self.seconds.append(int(query["durationSeconds"]))
            device = {"nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": str(len(self.seconds))}
            return device | {"idle": self.keeps_processes}
        if path == "/allow":
            self.processes.append(int(query["pid"]))
        return None


class _Handler(BaseHTTPRequestHandler):
    scheduler: Scheduler

    def do_POST(self):
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        content = json.dumps(self.scheduler.answer(address.path, query)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


def run_app(path: str) -> None:
    """Run an `app.py`. Only three functions of the package are others: a device is found, and weights go to it."""
    from spaces.zero import torch as device  # before torch
    from spaces.zero.torch.patching import cuda_aliases

    def move(callback=None):
        for given, weights in cuda_aliases.items():
            given.data = weights

    device.init = lambda name: None
    device.pack = lambda: 0  # into a folder of the user's
    device.move = move
    runpy.run_path(path, run_name="__main__")


if __name__ == "__main__":
    run_app(sys.argv[1])
