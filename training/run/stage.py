"""Stages of a run: each builds one folder, whole or not at all, and is not redone when nothing that makes it changed.

configuration + fingerprints of what it reads + version -> fingerprint. `.<name>.partial` while it is built ->
renamed to `<name>` with its `stage.json` when whole; a stage that is started again finds what it had in `.partial`.
"""

import hashlib
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...models.files import read_json_if_whole, write_json
from .distributed import wait_until

STAGE_FILE = "stage.json"
PENDING_FILE = ".pending.json"


@dataclass(frozen=True)
class Stage:
    """
    What makes the contents of one folder.

    Args:
        folder (`Path`): Where the result lies when whole.
        version (`int`): Raised whenever the code behind the stage starts to give another result.
        configuration (`dict[str, Any]`): Every argument that changes the result: never paths, devices or process
            counts.
        inputs (`dict[str, Path]`, *optional*): Finished stages that it reads, by name.
    """

    folder: Path
    version: int
    configuration: dict[str, Any]
    inputs: dict[str, Path] = field(default_factory=dict)

    @property
    def partial(self) -> Path:
        """Where the result grows until it is whole."""
        return self.folder.with_name(f".{self.folder.name}.partial")

    def keys(self) -> dict[str, Any]:
        """Everything that the fingerprint is made of, flat."""
        keys = {"version": self.version}
        keys |= {f"configuration.{name}": value for name, value in _flat(self.configuration).items()}
        keys |= {f"inputs.{name}": read_fingerprint(folder) for name, folder in self.inputs.items()}
        return json.loads(json.dumps(keys))

    def is_finished(self) -> bool:
        """Whether the folder is whole and made by exactly this configuration."""
        record = read_json_if_whole(self.folder / STAGE_FILE)
        return record is not None and record["fingerprint"] == fingerprint(self.keys())

    def run(self, build: Callable[[Path], None], overwrite: bool = False) -> bool:
        """
        Build the folder unless it is there already.

        Args:
            build (`Callable[[Path], None]`): Writes the result into the folder that it is given, which holds what an
                interrupted build of the same configuration left there.
            overwrite (`bool`, *optional*, defaults to `False`): Redo a finished stage of another configuration.

        Returns:
            `bool`: Whether anything was built.

        Raises:
            `ValueError`: If the folder was finished with another configuration and `overwrite` is not set. The
                message names what differs.
        """
        keys = self.keys()
        if self.folder.exists():
            record = read_json_if_whole(self.folder / STAGE_FILE)
            if record is not None and record["fingerprint"] == fingerprint(keys):
                return False
            if record is None:
                raise ValueError(f"{self.folder} exists but was not made by evoslm; choose another --output_dir.")
            if not overwrite:
                raise ValueError(_describe_difference(self.folder, record, keys))
            shutil.rmtree(self.folder)
        pending = read_json_if_whole(self.partial / PENDING_FILE)
        if pending is None or pending["fingerprint"] != fingerprint(keys):
            shutil.rmtree(self.partial, ignore_errors=True)
            pending = {"fingerprint": fingerprint(keys), "seconds": 0.0}
        self.partial.mkdir(parents=True, exist_ok=True)
        write_json(self.partial / PENDING_FILE, pending)
        start = time.monotonic()
        try:
            build(self.partial)
        except BaseException:
            if self.partial.exists():
                pending["seconds"] += time.monotonic() - start
                write_json(self.partial / PENDING_FILE, pending)
            raise
        write_json(
            self.partial / STAGE_FILE,
            {
                "fingerprint": fingerprint(keys),
                "keys": keys,
                "seconds": round(pending["seconds"] + time.monotonic() - start, 2),
                "peak_memory_mb": peak_memory_mb(),
            },
        )
        (self.partial / PENDING_FILE).unlink()
        os.replace(self.partial, self.folder)
        return True

    def follow(self, build: Callable[[Path], None]) -> None:
        """
        Take part in a build that the main process [`run`]s at the same time; return when the folder is whole.

        Args:
            build (`Callable[[Path], None]`): As for [`run`].
        """

        def is_pending() -> bool:
            pending = read_json_if_whole(self.partial / PENDING_FILE)
            return pending is not None and pending["fingerprint"] == fingerprint(self.keys())

        wait_until(lambda: self.is_finished() or is_pending())
        if not self.is_finished():
            try:
                build(self.partial)
            except FileNotFoundError:  # it came too late to have anything to do
                if not self.is_finished():
                    raise
            wait_until(self.is_finished)


def fingerprint(keys: Any) -> str:
    """Sixteen hexadecimal digits that stand for a JSON value."""
    return hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:16]


def fingerprint_files(folder: Path, patterns: Sequence[str] = ("*.json", "*.safetensors")) -> str:
    """Sixteen hexadecimal digits for the files of a folder: their names and contents, wherever they lie."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(2**24):
                digest.update(block)
    return digest.hexdigest()[:16]


def read_fingerprint(folder: Path) -> str:
    """
    The fingerprint of a finished stage.

    Raises:
        `FileNotFoundError`: If the stage is not there or not whole.
    """
    record = read_json_if_whole(folder / STAGE_FILE)
    if record is None:
        raise FileNotFoundError(f"{folder} holds no finished stage; run the commands before this one first.")
    return record["fingerprint"]


def read_stage(folder: Path) -> dict[str, Any] | None:
    """The record of a finished stage (`fingerprint`, `keys`, `seconds`, `peak_memory_mb`), or `None`."""
    return read_json_if_whole(folder / STAGE_FILE)


def peak_memory_mb() -> float:
    """The largest resident set of this process or of one of its finished children so far, in MiB."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _describe_difference(folder: Path, record: dict[str, Any], keys: dict[str, Any]) -> str:
    old = record["keys"]
    differing = [
        f"{name.removeprefix('configuration.')} ({old.get(name, 'not set')} there, {keys.get(name, 'not set')} now)"
        for name in sorted(set(old) | set(keys))
        if old.get(name) != keys.get(name)
    ]
    return (
        f"{folder} was made with another configuration: {'; '.join(differing)}. Choose another --output_dir, or pass "
        "--overwrite to redo it."
    )
