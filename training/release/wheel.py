"""The installed package as a wheel, so that a release can be used where EvoSLM is on no index of packages.

import packages + metadata of the installation -> [`write_wheel`] -> `evoslm-<version>-py3-none-any.whl`. Nothing is
built and nothing is asked of a network: checkouts and installed wheels give the same file for the same sources.
"""

import base64
import hashlib
from collections.abc import Iterator
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from ... import __path__ as _ROOT
from ... import __version__

PACKAGE = "evoslm"
ROOMS = ("models", "datasets_scripts", "metrics", "training", "spaces")
_SUFFIXES = (".py", ".yaml", ".json", ".md", ".txt", ".html", ".css", ".js")
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest of a zip: the time of a release is not a part of it
_WHEEL = "Wheel-Version: 1.0\nGenerator: evoslm\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel_name() -> str:
    """The file's name."""
    return f"{PACKAGE}-{__version__}-py3-none-any.whl"


def write_wheel(folder: Path) -> Path:
    """
    Write the package that is running as a wheel.

    Args:
        folder (`Path`): Where to.

    Returns:
        `Path`: The wheel, the same bytes for the same sources.
    """
    folder.mkdir(parents=True, exist_ok=True)
    installed = distribution(PACKAGE)
    info = f"{PACKAGE}-{__version__}.dist-info"
    files = dict(_sources())
    files |= {f"{info}/METADATA": (installed.read_text("METADATA") or installed.read_text("PKG-INFO") or "").encode()}
    files |= {f"{info}/WHEEL": _WHEEL.encode()}
    files |= {f"{info}/entry_points.txt": (installed.read_text("entry_points.txt") or "").encode()}
    record = "".join(f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in sorted(files.items()))
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    path = folder / wheel_name()
    with ZipFile(path, "w") as archive:
        for name, content in files.items():
            entry = ZipInfo(name, _DATE)
            entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, content)
    return path


def _sources() -> Iterator[tuple[str, bytes]]:
    """Names in the wheel and contents of every file of the package, in order."""
    yield from _read(PACKAGE, Path(_ROOT[0]), nested=False)
    for room in ROOMS:
        if spec := find_spec(f"{PACKAGE}.{room}"):  # a checkout has it in another folder than a wheel
            yield from _read(f"{PACKAGE}/{room}", Path(spec.submodule_search_locations[0]))


def _read(name: str, folder: Path, nested: bool = True) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__pycache__")):
            continue
        if path.is_file() and path.suffix in _SUFFIXES:
            yield f"{name}/{path.name}", path.read_bytes()
        elif path.is_dir() and nested:
            yield from _read(f"{name}/{path.name}", path)


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
