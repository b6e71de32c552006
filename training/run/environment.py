"""What a result was made with: versions, commit and device, saved beside every run."""

import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ... import __version__

PACKAGES = (
    "torch",
    "torchaudio",
    "transformers",
    "datasets",
    "tokenizers",
    "sentencepiece",
    "evaluate",
    "accelerate",
    "numpy",
    "scikit-learn",
    "espeakng-loader",
    "soxr",
    "onnxruntime",
    "pocketsphinx",
    "wordfreq",
    "num2words",
    "datasketch",
)


def describe_versions() -> dict[str, str]:
    """Versions of EvoSLM, Python and the packages that shape a result."""
    return {"evoslm": __version__, "python": platform.python_version()} | installed_versions(PACKAGES)


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of those packages that are installed."""
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


@cache
def describe_commit() -> str | None:
    """
    The commit of the checkout that the code runs from (with `+changes` if it differs), `None` for a wheel.

    Asked early: what is changed in a checkout while a run is under way is not what runs.
    """
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    git = ["git", "-C", str(folder)]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip() + ("+changes" if changes.stdout.strip() else "")


def describe_device(device: str) -> str:
    """The processor or GPU by name, with its cores or memory."""
    if device == "cuda":
        import torch

        properties = torch.cuda.get_device_properties(0)
        return f"{properties.name} ({properties.total_memory / 2**30:.0f} GiB)"
    from .workers import count_cores

    return f"{_processor_name()}, {count_cores()} cores"


def _processor_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
