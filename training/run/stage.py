"""Stages of a run: each builds one folder, whole or not at all, and is not redone when nothing that makes it changed.

configuration + fingerprints of what it reads + version -> fingerprint. `.<name>.partial` while it is built ->
renamed to `<name>` with its `stage.json` when whole; a stage that is started again finds what it had in `.partial`.
What is replaced on request stays until its replacement is whole, and one process builds a stage at a time.
"""

import hashlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ...models.files import read_json_if_whole, write_json
from .distributed import is_main, wait_until
from .environment import installed_versions

try:
    import resource
except ImportError:  # Windows
    resource = None

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
        packages (`Sequence[str]`, *optional*): Packages that shape the result. Their versions are recorded: a finished
            stage of other versions is used, and said so; a half-built one is not gone on with.
    """

    folder: Path
    version: int
    configuration: dict[str, Any]
    inputs: dict[str, Path] = field(default_factory=dict)
    packages: Sequence[str] = ()

    @property
    def partial(self) -> Path:
        """Where the result grows until it is whole."""
        return self._beside("partial")

    def keys(self) -> dict[str, Any]:
        """Everything that the fingerprint is made of, flat."""
        keys = {"version": self.version}
        keys |= {f"configuration.{name}": value for name, value in _flat(self.configuration).items()}
        keys |= {f"inputs.{name}": read_fingerprint(folder) for name, folder in self.inputs.items()}
        return json.loads(json.dumps(keys))

    def is_finished(self) -> bool:
        """Whether the folder is whole and made by exactly this configuration."""
        record = read_stage(self.folder)
        return record is not None and record["fingerprint"] == fingerprint(self.keys())

    def check(self, overwrite: bool = False) -> None:
        """
        Look beforehand whether [`~Stage.run`] would replace what is there.

        Raises:
            `ValueError`: If the folder was finished with another configuration and `overwrite` is not set.
        """
        if self.folder.exists() and not self.is_finished():
            self._check_folder(self.keys(), overwrite)

    def run(self, build: Callable[[Path], None], overwrite: bool = False, together: bool = False) -> bool:
        """
        Build the folder unless it is there already. Of processes that a launcher started, the main one builds, and
        the others wait or take part.

        Args:
            build (`Callable[[Path], None]`): Writes the result into the folder that it is given, which holds what an
                interrupted build of the same configuration left there.
            overwrite (`bool`, *optional*, defaults to `False`): Redo what another configuration finished or began.
            together (`bool`, *optional*, defaults to `False`): Whether all processes build, each its part.

        Returns:
            `bool`: Whether this process built anything by itself.

        Raises:
            `ValueError`: If the folder was finished, or begun, with another configuration and `overwrite` is not set
                (the message names what differs), or if another process is building it.
        """
        if not is_main():
            self._follow(build) if together else self.wait()
            return False
        if self.is_finished() and not self._beside("replaced").exists():
            self._say_versions()
            return False
        keys, versions = self.keys(), installed_versions(self.packages)
        with self._locked():
            self._finish_swap(keys)
            if self.is_finished():  # by who had the lock before, or by a command that was killed at its very end
                return False
            self._check_folder(keys, overwrite)
            pending = self._open_partial(keys, versions, overwrite)
            start = time.monotonic()
            try:
                build(self.partial)
            except BaseException:
                if self.partial.exists():
                    pending["seconds"] += time.monotonic() - start
                    write_json(self.partial / PENDING_FILE, pending)
                raise
            record = {
                "fingerprint": fingerprint(keys),
                "keys": keys,
                "versions": versions,
                "seconds": round(pending["seconds"] + time.monotonic() - start, 2),
                "peak_memory_mb": peak_memory_mb(),
            }
            write_json(self.partial / STAGE_FILE, record)
            self._finish_swap(keys)
        return True

    def _follow(self, build: Callable[[Path], None]) -> None:
        """Take part in what the main process builds at the same time; return when the folder is whole."""

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

    def wait(self) -> None:
        """Wait until the main process has finished it, and before it whatever it is made of."""

        def is_finished() -> bool:
            try:
                return self.is_finished()
            except FileNotFoundError:  # a stage before is not finished
                return False

        wait_until(is_finished)

    def _beside(self, what: str) -> Path:
        return self.folder.with_name(f".{self.folder.name}.{what}")

    def _check_folder(self, keys: dict[str, Any], overwrite: bool) -> None:
        """Refuse to replace what is not ours, and what nobody asked to be replaced."""
        if not self.folder.exists():
            return
        record = read_stage(self.folder)
        if record is None:
            raise ValueError(f"{self.folder} exists but was not made by evoslm; choose another --output_dir.")
        if not overwrite:
            raise ValueError(_describe_difference(self.folder, "made", record["keys"], keys))

    def _open_partial(self, keys: dict[str, Any], versions: dict[str, str], overwrite: bool) -> dict[str, Any]:
        """Begin to build, or go on where the same configuration was interrupted; return the record of that."""
        begun = read_json_if_whole(self.partial / PENDING_FILE) or read_stage(self.partial)
        if begun is not None and not overwrite:
            if begun["fingerprint"] != fingerprint(keys):
                raise ValueError(_describe_difference(self.folder, "begun", begun["keys"], keys))
            if begun["versions"] != versions:
                raise ValueError(
                    f"{self.folder} was begun with {_describe_versions(begun['versions'], versions)}. Install that "
                    "version again to go on, or pass --overwrite to begin anew."
                )
        if begun is not None and (begun["fingerprint"], begun["versions"]) == (fingerprint(keys), versions):
            return begun
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        pending = {"fingerprint": fingerprint(keys), "keys": keys, "versions": versions, "seconds": 0.0}
        write_json(self.partial / PENDING_FILE, pending)
        return pending

    def _finish_swap(self, keys: dict[str, Any]) -> None:
        """
        Give a whole result its name. What it replaces is moved away first and removed last, so that a kill at any step
        leaves one of the two whole; the next call goes on from there.
        """
        replaced, record = self._beside("replaced"), read_stage(self.partial)
        if record is not None and record["fingerprint"] == fingerprint(keys):
            (self.partial / PENDING_FILE).unlink(missing_ok=True)
            if self.folder.exists():
                shutil.rmtree(replaced, ignore_errors=True)
                os.replace(self.folder, replaced)
            os.replace(self.partial, self.folder)
        if not self.folder.exists() and replaced.exists():
            os.replace(replaced, self.folder)
        shutil.rmtree(replaced, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from building the same folder; their error names this one."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        holder = self._beside("holder.json")
        lock = FileLock(self._beside("lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            who = read_json_if_whole(holder) or {}
            raise ValueError(
                f"{self.folder} is being built by process {who.get('pid', 'unknown')} on {who.get('host', 'a host')} "
                f"since {who.get('since', 'a moment ago')}; let it finish, or stop it and run this command again."
            ) from None
        try:
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            write_json(holder, {"pid": os.getpid(), "host": platform.node(), "since": since})
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    def _say_versions(self) -> None:
        """One line where a finished stage was made with other versions than those that are installed."""
        made_with = read_stage(self.folder).get("versions", {})
        installed = installed_versions(self.packages)
        if made_with != installed:
            difference = _describe_versions(made_with, installed)
            print(
                f"evoslm: {self.folder} was made with {difference}; it is used as it is.", file=sys.stderr, flush=True
            )


def fingerprint(keys: Any) -> str:
    """Sixteen hexadecimal digits that stand for a JSON value."""
    return hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:16]


def fingerprint_files(folder: Path, patterns: Sequence[str] = ("*.json", "*.safetensors")) -> str:
    """Sixteen hexadecimal digits for the files of a folder: their names and contents, wherever they lie."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        digest.update(path.relative_to(folder).as_posix().encode())
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


def check_inputs(folder: Path, name: str, source: Path) -> None:
    """
    Refuse what was made from something else than lies in the run now.

    Args:
        folder (`Path`): A finished stage.
        name (`str`): What of its inputs.
        source (`Path`): The stage that it has to have been.

    Raises:
        `ValueError`: If it was another.
    """
    made, there = read_stage(folder), read_stage(source)
    if made is None or there is None:
        return
    if made["keys"].get(f"inputs.{name}") != there["fingerprint"]:
        raise ValueError(
            f"{folder} was made with another {name} than {source}; make it again, or give the one that belongs to it."
        )


def peak_memory_mb() -> float | None:
    """
    The largest resident set of this process or of one of its finished children so far, in MiB; `None` where the system
    does not say.
    """
    if resource is None:
        return None
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


def _describe_difference(folder: Path, done: str, old: dict[str, Any], keys: dict[str, Any]) -> str:
    differing = [
        f"{name.removeprefix('configuration.')} ({old.get(name, 'not set')} there, {keys.get(name, 'not set')} now)"
        for name in sorted(set(old) | set(keys))
        if old.get(name) != keys.get(name)
    ]
    return (
        f"{folder} was {done} with another configuration: {'; '.join(differing)}. Choose another --output_dir, or "
        "pass --overwrite to redo it."
    )


def _describe_versions(old: dict[str, str], new: dict[str, str]) -> str:
    return ", ".join(
        f"{name} {old.get(name, 'not installed')} (now {new.get(name, 'not installed')})"
        for name in sorted(set(old) | set(new))
        if old.get(name) != new.get(name)
    )
