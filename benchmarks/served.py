"""The page of a run in a process of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

START_SECONDS = 300


@contextmanager
def served_page(run_dir: str, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """
    Serve a page until the block ends.

    Args:
        run_dir (`str`): The run.
        folder (`Path`): Where its temporary files and its log go.

    Returns:
        `tuple[str, psutil.Process]`: Its address, as soon as it answers there, and its process.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [sys.executable, "-m", "evoslm.training.cli", "demo", run_dir, "--port", str(port)]
    with (folder / "server.log").open("w", encoding="utf-8") as log:
        environment = os.environ | {"TMPDIR": str(folder)}
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        start = time.monotonic()
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() - start > START_SECONDS:
                    raise SystemExit((folder / "server.log").read_text(encoding="utf-8")) from None
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()
