"""Reads a finished run: the few files of each stage that the report speaks of, and nothing else.

run folder -> `read_run` -> `Run` (plain dictionaries and data frames, one `ModalityRun` a modality) -> `results.py`.
A part that the run does not have is empty here; only a folder that is no run at all is an error.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ...models.modalities import MODALITIES, Modality, get_modality


@dataclass
class ModalityRun:
    """
    What a run made of one modality.

    Args:
        modality (`Modality`): The modality.
        label (`str`): Its name in tables and figures, the encoder's name filled in.
        tokenizer (`dict`): `vocab_size, train_tokens, validation_tokens, tokens_per_second`; empty if missing.
        trainings (`dict[int, dict]`): `training.json` of each seed.
        items (`dict[int, pandas.DataFrame]`): Scored items of the best checkpoint of each seed.
        points (`dict[int, dict[str, pandas.DataFrame]]`): Scored items of the points along the way, by seed and point.
        baselines (`pandas.DataFrame`, *optional*): N-gram scores of the items over the same ids.
    """

    modality: Modality
    label: str
    tokenizer: dict = field(default_factory=dict)
    trainings: dict[int, dict] = field(default_factory=dict)
    items: dict[int, pd.DataFrame] = field(default_factory=dict)
    points: dict[int, dict[str, pd.DataFrame]] = field(default_factory=dict)
    baselines: pd.DataFrame | None = None


@dataclass
class Run:
    """
    A run as the report reads it.

    Args:
        folder (`Path`): Where it lies.
        study (`dict`): `study.json`: configuration, versions, commit, device, seeds, stages.
        corpus (`dict`): `corpus/summary.json`.
        pairs (`dict`): `pairs/summary.json`.
        units (`dict[str, dict]`): Quality measures by the name of the quantizer's folder.
        modalities (`dict[str, ModalityRun]`): By name, in the order of the chain of factors; only those with scores.
        missing (`list[str]`): Labels of the modalities that the run asked for and that have no scores.
    """

    folder: Path
    study: dict
    corpus: dict
    pairs: dict
    units: dict[str, dict]
    modalities: dict[str, ModalityRun]
    missing: list[str]


def read_run(run_dir: str | Path) -> Run:
    """
    Read what the report needs from a run folder.

    Args:
        run_dir (`str` or `Path`): The folder that `evoslm study` wrote.

    Returns:
        `Run`: Its parts; those that are missing are empty.

    Raises:
        `FileNotFoundError`: If the folder is no run, or a run in which nothing was scored yet.
        `ValueError`: If `study.json` names a modality that does not exist, or one of the files is not readable.
    """
    folder = Path(run_dir)
    if not (folder / "study.json").is_file():
        raise FileNotFoundError(
            f"{folder} is not the folder of a run (it holds no study.json); make one with `evoslm study --output_dir`."
        )
    study = _read_json(folder / "study.json")
    encoder = study.get("encoder_label") or "units"
    chain = list(MODALITIES)
    names = sorted(study.get("modalities", chain), key=lambda name: chain.index(get_modality(name).name))
    runs = {name: _read_modality(folder, get_modality(name), encoder) for name in names}
    scored = {name: run for name, run in runs.items() if run.items}
    if not scored:
        raise FileNotFoundError(
            f"{folder} has no scores yet (scores/<modality>/seed-<n>/best/items.parquet); let `evoslm study` finish."
        )
    return Run(
        folder=folder,
        study=study,
        corpus=_read_json(folder / "corpus" / "summary.json", optional=True),
        pairs=_read_json(folder / "pairs" / "summary.json", optional=True),
        units={path.parent.name: _read_json(path) for path in sorted(folder.glob("units/*/quality.json"))},
        modalities=scored,
        missing=[run.label for name, run in runs.items() if name not in scored],
    )


def _read_modality(folder: Path, modality: Modality, encoder: str) -> ModalityRun:
    run = ModalityRun(modality, modality.label.format(encoder=encoder))
    run.tokenizer = _read_json(folder / "tokenizers" / modality.name / "summary.json", optional=True)
    for path in sorted((folder / "models" / modality.name).glob("seed-*/training.json"), key=_seed_of):
        run.trainings[_seed_of(path)] = _read_json(path)
    scores = folder / "scores" / modality.name
    for path in sorted(scores.glob("seed-*/*/items.parquet"), key=lambda path: (_seed_of(path.parent), str(path))):
        seed, point = _seed_of(path.parent), path.parent.name
        if point == "best":
            run.items[seed] = _read_parquet(path)
        else:
            run.points.setdefault(seed, {})[point] = _read_parquet(path)
    if (scores / "baselines.parquet").is_file():
        run.baselines = _read_parquet(scores / "baselines.parquet")
    return run


def _seed_of(path: Path) -> int:
    """The seed in the name of a file's folder, `.../seed-<n>/file`."""
    return int(path.parent.name.removeprefix("seed-"))


def _read_json(path: Path, optional: bool = False) -> dict:
    if optional and not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not readable as JSON ({error}); remove its stage folder and run again.") from None


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not readable as parquet ({error}); remove its folder and run again.") from None
