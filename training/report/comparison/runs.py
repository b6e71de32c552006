"""What several runs have in common, and what each drew or was told by itself.

folders -> [`read_runs`] -> [`ComparedRun`]s -> [`differing_settings`], [`are_replicates`], [`shared_parts`],
[`shared_text`].
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ....datasets_scripts.text.passages import read_passages
from ...run.folder import MODEL_FOLDER, PASSAGES_FILE, Run
from ...run.stage import read_stage
from ..run_folder import FinishedRun, read_run

DRAWN = ("corpus_seed", "training_seeds")
"""Settings in which replicates of one study differ, and no others."""
_GROUPS = ("corpus", "pairs", "units", "model", "pretrain")
_OF_POINTS = ("point_pairs", "points")  # which are not compared
_PARTS = {
    "the text": lambda run: run.passages,
    "which voice says what": lambda run: run.utterances(),
    "the pairs": lambda run: run.pairs_text,
    "the quantizer": lambda run: run.units() / MODEL_FOLDER,
}


@dataclass(frozen=True)
class ComparedRun:
    """
    One of the runs that are compared.

    Args:
        name (`str`): What it is called, as short as tells it from the others.
        finished ([`FinishedRun`]): Its files, without points along the way and baselines.
        report (`str`, *optional*): The address of its own report, seen from the report over all.
    """

    name: str
    finished: FinishedRun
    report: str | None = None

    @property
    def run(self) -> Run:
        """Its paths."""
        return Run(self.finished.folder, self.finished.study["voices"])

    @property
    def corpus_seed(self) -> int | None:
        """The seed of text, voices, pairs and quantizer."""
        return self.settings.get("corpus_seed")

    @property
    def training_seeds(self) -> list[int]:
        """The seeds of what was trained and scored."""
        return sorted({seed for part in self.finished.modalities.values() for seed in part.items})

    @property
    def precisions(self) -> list[str]:
        """What its models were trained in."""
        trainings = (training for part in self.finished.modalities.values() for training in part.trainings.values())
        return sorted({training["precision"] for training in trainings if "precision" in training})

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What makes its numbers, by the name of the flag."""
        configuration = self.finished.study.get("configuration", {})
        flat = {name: value for group in _GROUPS for name, value in configuration.get(group, {}).items()}
        kept = {name: value for name, value in flat.items() if name not in _OF_POINTS}
        return kept | {"training_seeds": self.training_seeds, "precision": self.precisions}


def read_runs(folders: Sequence[str | Path], output_dir: str | Path) -> list[ComparedRun]:
    """
    Read runs that are to be compared.

    Args:
        folders (`Sequence[str]` or `Sequence[Path]`): The folders that `evoslm study` wrote.
        output_dir (`str` or `Path`): Where their comparison will lie.

    Raises:
        `FileNotFoundError`: If a folder is no run, or nothing was scored in it yet.
        `ValueError`: If there are fewer than two, one is given twice, or one of the files is not readable.
    """
    resolved = [Path(folder).resolve() for folder in folders]
    if len(resolved) < 2:
        raise ValueError(
            "A comparison needs two finished runs at least, as in `evoslm compare runs/first runs/second`."
        )
    for folder in resolved:
        if resolved.count(folder) > 1:
            raise ValueError(f"{folder} is given twice; give each run once.")
    return [
        ComparedRun(name, read_run(folder).without_points(), _find_report(folder, Path(output_dir).resolve()))
        for name, folder in zip(_short_names(resolved), resolved)
    ]


def differing_settings(runs: Sequence[ComparedRun]) -> dict[str, list]:
    """What the runs were told differently: the value of each run, by setting. What one of them has not is left out."""
    common = [name for name in runs[0].settings if all(name in run.settings for run in runs)]
    values = {name: [run.settings[name] for run in runs] for name in common}
    return {name: found for name, found in values.items() if any(value != found[0] for value in found)}


def are_replicates(runs: Sequence[ComparedRun]) -> bool:
    """Whether each has a corpus seed of its own, and they differ in nothing else than what seeds decide."""
    seeds = {run.corpus_seed for run in runs}
    return len(seeds) == len(runs) and None not in seeds and set(differing_settings(runs)) <= set(DRAWN)


def shared_parts(runs: Sequence[ComparedRun]) -> dict[str, bool]:
    """Of each part that all runs made: whether two of them have the same, by the fingerprints of their stages."""
    shared = {}
    for part, folder_of in _PARTS.items():
        records = [read_stage(folder_of(run.run)) for run in runs]
        if all(record is not None for record in records):
            shared[part] = len({record["fingerprint"] for record in records}) < len(records)
    return shared


def shared_text(runs: Sequence[ComparedRun]) -> float | None:
    """The largest share of one run's training passages that another has, too; `None` where a run's are not there."""
    paths = [run.run.passages / PASSAGES_FILE for run in runs]
    if not all(path.is_file() for path in paths):
        return None
    digests = [_digest_passages(path) for path in paths]
    shares = [
        float(np.isin(one, other).mean()) for one in digests for other in digests if other is not one and len(one)
    ]
    return max(shares, default=None)


def _digest_passages(path: Path) -> np.ndarray:
    """Eight bytes for the text of each training passage, which tell millions apart."""
    texts = (passage.text for passage in read_passages(path, "train"))
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _find_report(folder: Path, output_dir: Path) -> str | None:
    page = folder / "report" / "report.html"
    return Path(os.path.relpath(page, output_dir)).as_posix() if page.is_file() else None


def _short_names(folders: Sequence[Path]) -> list[str]:
    """As many of the last folders of each path as tell it from the others."""
    for depth in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]
