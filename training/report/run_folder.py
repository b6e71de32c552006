"""Reads a finished run: the few files of each stage that the report speaks of, and nothing else.

run folder -> `read_run` -> `FinishedRun` (dictionaries and data frames, one `ModalityRun` a modality) -> `results.py`.
A part that the run does not have is empty here; only a folder that is no run at all is an error.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from ...models.files import read_json
from ...models.modalities import MODALITIES, RECORDINGS_MODALITY, SYNTHETIC_MODALITY, Modality, get_modality
from ..run.folder import BEST, ITEMS_FILE, MODEL_FOLDER, QUALITY_FILE, TRAINING_FILE, Run
from ..run.stage import read_stage
from ..run.study_file import open_run, read_study
from .belonging import are_of, check_alike
from .formatting import listing

ANALYSIS_FILE = "analysis.json"
"""The numbers of the page that `evoslm analyze` writes beside the report."""


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
        ngram (`dict`): How these n-grams were made: `orders, smoothing`; empty if not known.
        outdated (`list[int]`): Seeds with scores of a model that was trained anew since; these are left out.
        scores (`dict[int, str]`): The fingerprint of each seed's scores, where the folder says it.
    """

    modality: Modality
    label: str
    tokenizer: dict = field(default_factory=dict)
    trainings: dict[int, dict] = field(default_factory=dict)
    items: dict[int, pd.DataFrame] = field(default_factory=dict)
    points: dict[int, dict[str, pd.DataFrame]] = field(default_factory=dict)
    baselines: pd.DataFrame | None = None
    ngram: dict = field(default_factory=dict)
    outdated: list[int] = field(default_factory=list)
    scores: dict[int, str] = field(default_factory=dict)

    @property
    def unscored(self) -> str | None:
        """What of it has no scores: all, or the seeds that were trained anew."""
        if not self.items:
            return self.label
        seeds = "seeds" if len(self.outdated) > 1 else "seed"
        return f"{self.label} (training {seeds} {listing(map(str, self.outdated))})" if self.outdated else None


@dataclass
class FinishedRun:
    """
    A run as the report reads it.

    Args:
        folder (`Path`): Where it lies.
        study (`dict`): `study.json`: configuration, versions, commit, device, seeds, stages.
        corpus (`dict`): `corpus/summary.json`.
        pairs (`dict`): `pairs/summary.json`.
        units (`dict[str, dict]`): Quality measures by the name of the quantizer's folder.
        unit_seeds (`dict`): How far quantizers of several seeds agree; empty where that was not asked.
        transfer (`dict`): `units`, quality by modality and kind of speech; `items`, scored Topic-SC in recorded
            speech by modality and seed; `baselines`, simple rules on the same by modality. Empty unless recordings
            were compared with synthetic voices.
        modalities (`dict[str, ModalityRun]`): By name, in the order of the chain of factors; only those with scores.
        missing (`list[str]`): Labels of the modalities that the run asked for and that have no scores, and of those
            in which a training seed has none of its present model.
        analysis (`list[str]`): Titles on the page that `evoslm analyze` wrote; none without one.
    """

    folder: Path
    study: dict
    corpus: dict
    pairs: dict
    units: dict[str, dict]
    unit_seeds: dict
    transfer: dict
    modalities: dict[str, ModalityRun]
    missing: list[str]
    analysis: list[str] = field(default_factory=list)

    def without_points(self) -> "FinishedRun":
        """The same without points along the way and baselines: what is not asked for need not be computed."""
        parts = {name: replace(part, points={}, baselines=None) for name, part in self.modalities.items()}
        return replace(self, modalities=parts)


def read_run(run_dir: str | Path) -> FinishedRun:
    """
    Read what the report needs from a run folder.

    Args:
        run_dir (`str` or `Path`): The folder that `evoslm study` wrote.

    Returns:
        `FinishedRun`: Its parts; those that are missing are empty.

    Raises:
        `FileNotFoundError`: If the folder is no run, or a run in which nothing was scored yet.
        `ValueError`: If another version of evoslm made it, `study.json` names a modality that does not exist, or one
            of the files is not readable, or trainings of different settings lie in one folder as seeds of a model.
    """
    run, study = open_run(run_dir), read_study(run_dir)
    encoder = study.get("encoder_label") or "units"
    chain = list(MODALITIES)
    names = sorted(study.get("modalities", chain), key=lambda name: chain.index(get_modality(name).name))
    parts = {name: read_modality(run, get_modality(name), encoder) for name in names}
    scored = {name: part for name, part in parts.items() if part.items}
    if not scored:
        raise FileNotFoundError(
            f"{run.folder} has no scores yet (scores/<modality>/seed-<n>/best); let `evoslm study` finish."
        )
    both = {RECORDINGS_MODALITY, SYNTHETIC_MODALITY}
    return FinishedRun(
        folder=run.folder,
        study=study,
        corpus=_read_json(run.corpus_summary, optional=True),
        pairs=_read_json(run.pairs_summary, optional=True),
        units={
            path.parts[-3]: _read_json(path) for path in sorted(run.folder.glob(f"units/*/utterances/{QUALITY_FILE}"))
        },
        unit_seeds=_read_seeds(run),
        transfer=_read_transfer(run.voice_transfer) if both <= set(scored) else {},
        modalities=scored,
        missing=[part.unscored for part in parts.values() if part.unscored],
        analysis=[part["title"] for part in _read_json(run.report / ANALYSIS_FILE, True).get("parts", {}).values()],
    )


def _read_transfer(folder: Path) -> dict:
    units = _read_json(folder / "speech" / "units.json", optional=True)
    items: dict[str, dict[int, pd.DataFrame]] = {name: {} for name in units}
    baselines = {}
    for name, by_seed in items.items():
        for path in sorted((folder / "scores" / name).glob("seed-*/items.parquet")):
            by_seed[_seed_of(path)] = _read_parquet(path)
        if (path := folder / "speech" / name / "baselines.parquet").is_file():
            baselines[name] = _read_parquet(path)
    return {"units": units, "items": items, "baselines": baselines} if units else {}


def _read_seeds(run: Run) -> dict:
    """How far seeds of k-means agree, if that was measured with the quantizer that is in use."""
    found, own = (read_stage(folder) for folder in (run.unit_seeds, run.units() / MODEL_FOLDER))
    if found is None or own is None:
        return {}
    shared = [name for name in found["keys"] if name not in ("version", "configuration.seeds")]
    same = all(own["keys"].get(name) == found["keys"][name] for name in shared)
    return _read_json(run.unit_seeds / "seeds.json", optional=True) if same else {}


def read_modality(run: Run, modality: Modality, encoder: str, seeds: Collection[int] | None = None) -> ModalityRun:
    """
    What a run made of one modality, as far as it got.

    Args:
        run ([`Run`]): The run.
        modality ([`Modality`]): The modality.
        encoder (`str`): What stands for its encoder in the label of a modality of speech.
        seeds (`Collection[int]`, *optional*): Training seeds to read; all that are there when not given.

    Raises:
        `ValueError`: If a file is not readable, or the seeds were trained with different settings.
    """
    part = ModalityRun(modality, modality.label.format(encoder=encoder))
    part.tokenizer = _read_json(run.tokenizer(modality.name) / "summary.json", optional=True)
    models = _by_seed(run.model(modality.name, 0).parent, seeds)
    check_alike(models)
    for seed, folder in models.items():
        if (folder / TRAINING_FILE).is_file():
            part.trainings[seed] = _read_json(folder / TRAINING_FILE)
    for seed, folder in _by_seed(run.scores(modality.name, 0).parent, seeds).items():
        if are_of(folder, run.model(modality.name, seed)):
            _read_scores(part, seed, folder)
        else:
            part.outdated.append(seed)
    baselines = run.baselines(modality.name)
    if (baselines / "baselines.parquet").is_file():
        part.baselines = _read_parquet(baselines / "baselines.parquet")
        part.ngram = _read_json(baselines / "summary.json", optional=True)
    return part


def _by_seed(folder: Path, seeds: Collection[int] | None) -> dict[int, Path]:
    """The folders `seed-<n>` in another, in the order of their seeds."""
    names = {path.name.removeprefix("seed-"): path for path in folder.glob("seed-*")}
    found = {int(name): path for name, path in names.items() if name.isdecimal()}
    return {seed: path for seed, path in sorted(found.items()) if seeds is None or seed in seeds}


def _read_scores(part: ModalityRun, seed: int, folder: Path) -> None:
    if (record := read_stage(folder)) is not None:
        part.scores[seed] = record["fingerprint"]
    for path in folder.glob(f"*/{ITEMS_FILE}"):
        if path.parent.name == BEST:
            part.items[seed] = _read_parquet(path)
        else:
            part.points.setdefault(seed, {})[path.parent.name] = _read_parquet(path)


def _seed_of(path: Path) -> int:
    """The seed in the name of a file's folder, `.../seed-<n>/file`."""
    return int(path.parent.name.removeprefix("seed-"))


def _read_json(path: Path, optional: bool = False) -> dict:
    if optional and not path.is_file():
        return {}
    try:
        return read_json(path)
    except ValueError as error:
        raise ValueError(
            f"{path} is not readable as JSON ({error}); remove its stage's folder and run again."
        ) from None


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not readable as parquet ({error}); remove its folder and run again.") from None
