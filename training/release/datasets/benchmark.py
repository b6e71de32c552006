"""A dataset that says of itself that it is a benchmark, in the Hub's form of 2026: `eval.yaml` at its root.

tasks + the name of an evaluation framework -> [`write_benchmark`] -> `eval.yaml`, by whose tasks the `.eval_results`
of models are found.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

BENCHMARK_FILE = "eval.yaml"
_FRAMEWORK = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def check_framework(name: str | None) -> None:
    """
    Check that a name can be one of the Hub's evaluation frameworks; whether it is on its list, only the Hub can say.

    Args:
        name (`str`, *optional*): The name.

    Raises:
        `ValueError`: If it cannot be.
    """
    if name is not None and not _FRAMEWORK.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name of an evaluation framework on the Hub; give one such as inspect-ai, or leave "
            "--evaluation_framework out."
        )


def write_benchmark(folder: Path, name: str, description: str, framework: str, tasks: Sequence[str]) -> None:
    """
    Write `eval.yaml`.

    Args:
        folder (`Path`): The prepared folder of the dataset.
        name (`str`): The benchmark's.
        description (`str`): What it is, in a sentence.
        framework (`str`): Of [`check_framework`].
        tasks (`Sequence[str]`): Each a configuration of the dataset, with a split `test`.
    """
    content = {
        "name": name,
        "description": description,
        "evaluation_framework": framework,
        "tasks": [{"id": task, "config": task, "split": "test"} for task in tasks],
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    (folder / BENCHMARK_FILE).write_text(text, encoding="utf-8")
