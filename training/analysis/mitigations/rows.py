"""The rows of the table: every model of units that a run and others beside it have, and the anchors around them.

finished runs -> [`read_rows`] -> [`Row`] of speech, of each answer, and of text and phones: scores, what makes its
sound, and where its ids lie.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ....models.files import read_json
from ....models.modalities import get_modality
from ...joint.report import LABELS
from ...report.run_folder import FinishedRun, ModalityRun, read_run
from ...run.folder import ITEMS_FILE, TRAINING_FILE, Run
from ...run.stage import STAGE_FILE
from ...run.study_file import open_run
from ..made_of import is_made_of
from .comparable import check_comparable

SPEECH = "speech_units"
"""What is to be mended: a unit a frame, in the voices of the run."""
ANCHORS = ("text_bpe", "text_raw", "phone_bpe", "phone_raw", "phone_repeat")
TOPLINES = ("phone_repeat", "text_bpe", "text_raw")
"""What a gap is measured to: sound without its variability, and text (in pieces, or else in letters)."""
JOINT_MODELS = ("speech", "ast", "cst_ast")
"""Joint models that are scored on speech alone, the first of which has seen nothing but that."""
_ANSWERS = {
    "speech_units": "a unit a frame",
    "speech_dedup": "runs collapsed",
    "speech_bpe": "pieces of runs",
    "speech_duration_penalized": "each change costs",
    "speech_syllable": "syllables, aligned (an oracle)",
    "speech_syllable_unsupervised": "syllables, found in the sound",
}
_JOINT_ANSWERS = {
    "speech": "pieces of runs, speech alone",
    "ast": "text and speech alternate at words",
    "cst_ast": "text and speech alternate, or follow each other",
}
_SAID = {
    "unit_normalization": "normalised by {}",
    "num_units": "K = {}",
    "num_syllable_units": "K = {}",
    "encoder_layer": "layer {}",
    "duration_penalty": "penalty {:g}",
}
"""How settings of units are said that another run was told."""


@dataclass(frozen=True)
class Spoken:
    """
    What a row's sound is made of; rows with the same have one sound.

    Args:
        name (`str`): The folder of the stage.
        run ([`Run`]): Whose units.
        unit_of (`str`): Which of them, one of `UNIT_KINDS`.
        keeps_durations (`bool`): Whether there is a unit a frame.
    """

    name: str
    run: Run
    unit_of: str
    keeps_durations: bool


@dataclass(frozen=True)
class Row:
    """
    A model of the table.

    Args:
        key (`str`): Its name in results: `speech_dedup`, `speech_bpe/1024`, `joint/ast`, and of the second further run
            `run-2:speech_units`.
        label (`str`): Its name in tables and figures.
        answer (`str`): What it does, in words; `""` of an anchor.
        modality (`str`): Whose colours it has.
        items (`dict[int, pandas.DataFrame]`): Scored pairs by training seed.
        tokenizer (`Path`): Where its tokenizer, and the ids of its utterances, lie.
        trainings (`dict[int, dict]`): `training.json` by training seed.
        run ([`Run`]): Whose it is.
        spoken ([`Spoken`], *optional*): What its sound is made of; `None` of text and phones.
        is_joint (`bool`, *optional*, defaults to `False`): Whether its tokenizer is one of text and units.
        reads_text (`bool`, *optional*, defaults to `False`): Whether it is a model of units that was trained on text,
            too.
    """

    key: str
    label: str
    answer: str
    modality: str
    items: dict[int, pd.DataFrame] = field(repr=False)
    tokenizer: Path
    trainings: dict[int, dict[str, Any]] = field(repr=False)
    run: Run
    spoken: Spoken | None = None
    is_joint: bool = False
    reads_text: bool = False


def open_others(run: Run, others: Sequence[str]) -> list[tuple[Run, FinishedRun]]:
    """
    Open further runs whose rows go into the table.

    Args:
        run ([`Run`]): The run whose table it is.
        others (`Sequence[str]`): Folders of finished runs.

    Raises:
        `FileNotFoundError`: If one is no run, or nothing was scored in it yet.
        `ValueError`: If one is not comparable, is given twice, or has no model of units.
    """
    opened, seen = [], {run.folder.resolve()}
    for folder in others:
        other = open_run(folder)
        if other.folder.resolve() in seen:
            raise ValueError(f"{folder} is given twice; give each run once.")
        seen.add(other.folder.resolve())
        check_comparable(run, other)
        finished = read_run(folder)
        if not any(name in _ANSWERS for name in finished.modalities):
            raise ValueError(f"{folder} has no model of speech units; it adds nothing to the table: leave it out.")
        opened.append((other, finished))
    return opened


def read_rows(
    run: Run, finished: FinishedRun, others: Sequence[tuple[Run, FinishedRun]], sizes: Sequence[tuple[int, Path]]
) -> list[Row]:
    """
    The rows, anchors first, then speech, then its answers.

    Args:
        run ([`Run`]): The run whose table it is.
        finished ([`FinishedRun`]): What it scored.
        others (`Sequence[tuple[Run, FinishedRun]]`): As [`open_others`] gives them.
        sizes (`Sequence[tuple[int, Path]]`): Further sizes of Speech-BPE, and where their models lie.

    Raises:
        `ValueError`: If the run has no model of units of frames, which all others are compared with.
    """
    if SPEECH not in finished.modalities:
        raise ValueError(
            f"{run.folder} has no scores of {SPEECH}, which answers are compared with; run `evoslm study` with "
            f"--modalities phone_repeat {SPEECH} speech_dedup."
        )
    rows = [_of_modality(run, finished.modalities[name], "") for name in ANCHORS if name in finished.modalities]
    rows += [
        _of_modality(run, part, _of_answer(finished, name))
        for name, part in finished.modalities.items()
        if name in _ANSWERS
    ]
    rows += [_of_size(run, finished, size, folder) for size, folder in sizes]
    rows += list(_of_joint(run))
    called = name_runs([run, *(other for other, _ in others)])
    for number, (other, theirs) in enumerate(others, 1):
        changes, encoder = _changes(finished, theirs), theirs.study["encoder_label"]
        encoders = [encoder] if encoder != finished.study["encoder_label"] else []
        for name, part in theirs.modalities.items():
            if name in _ANSWERS:
                names_it = bool(encoders) and "{encoder}" in part.modality.label
                said = changes if names_it else [*encoders, *changes]
                changed = "" if names_it and not said else _say_changes(said, called[other.folder])
                rows.append(_of_other(other, part, number, changed, _of_answer(theirs, name)))
        rows += _of_joint(other, number, _say_changes([*encoders, *changes], called[other.folder]))
    return _tell_apart(rows, called)


def name_runs(runs: Iterable[Run]) -> dict[Path, str]:
    """
    What runs are called.

    Args:
        runs (`Iterable[Run]`): Different runs; one may come several times.

    Returns:
        `dict[Path, str]`: By folder its name, with as many folders above it as tell all of them apart.
    """
    parts = {run.folder: run.folder.resolve().parts for run in runs}
    for length in range(1, max(map(len, parts.values())) + 1):
        called = {folder: "/".join(own[-length:]) for folder, own in parts.items()}
        if len(set(called.values())) == len(set(parts.values())):
            break
    return called


def _say_changes(changes: Sequence[str], called: str) -> str:
    """What a label has behind it of a further run."""
    return "".join(f", {change}" for change in changes) or f" ({called})"


def _tell_apart(rows: Sequence[Row], called: dict[Path, str]) -> list[Row]:
    """Rows of further runs that differ from the run in the same way say whose they are."""
    count = Counter(row.label for row in rows)
    return [
        replace(row, label=f"{row.label} ({called[row.run.folder]})") if count[row.label] > 1 else row for row in rows
    ]


def _of_answer(finished: FinishedRun, name: str) -> str:
    if name == "speech_bpe":
        return f"{_ANSWERS[name]}, {finished.modalities[name].tokenizer.get('vocab_size', 0):,} ids"
    return _ANSWERS[name]


def _of_modality(run: Run, part: ModalityRun, answer: str) -> Row:
    name = part.modality.name
    spoken = _spoken(run, name) if part.modality.is_speech else None
    return Row(name, part.label, answer, name, part.items, run.tokenizer(name), part.trainings, run, spoken)


def _of_other(run: Run, part: ModalityRun, number: int, changed: str, answer: str) -> Row:
    name, label = part.modality.name, part.label + changed
    key, spoken = f"run-{number}:{name}", _spoken(run, name, number)
    return Row(key, label, answer, name, part.items, run.tokenizer(name), part.trainings, run, spoken)


def _of_size(run: Run, finished: FinishedRun, size: int, folder: Path) -> Row:
    items = _read_seeds(folder / "scores", f"best/{ITEMS_FILE}")
    items = {seed: own for seed, own in items.items() if seed in finished.modalities[SPEECH].items}
    trainings = {seed: read_json(folder / "models" / f"seed-{seed}" / TRAINING_FILE) for seed in items}
    label = f"{get_modality('speech_bpe').label}, {size:,}"
    answer = f"{_ANSWERS['speech_bpe']}, {size:,} ids"
    spoken = _spoken(run, "speech_bpe")
    return Row(f"speech_bpe/{size}", label, answer, "speech_bpe", items, folder / "tokenizer", trainings, run, spoken)


def _of_joint(run: Run, number: int = 0, changed: str = "") -> Iterator[Row]:
    """Models of text and speech that lie in a run and are of its units, by what they make of speech alone."""
    folder, earlier = run.folder / "joint", find_earlier_joint(run)
    for name in JOINT_MODELS:
        items = _read_seeds(folder / "scores" / name, f"speech/{ITEMS_FILE}")
        if items and name not in earlier:
            trainings = {seed: read_json(folder / "models" / name / f"seed-{seed}" / TRAINING_FILE) for seed in items}
            yield Row(
                f"run-{number}:joint/{name}" if number else f"joint/{name}",
                f"Joint, {LABELS[name]}{changed}",
                _JOINT_ANSWERS[name],
                "speech_bpe",
                items,
                folder / "tokenizer",
                trainings,
                run,
                _spoken(run, SPEECH if reads_frames(folder / "tokenizer") else "speech_dedup", number),
                is_joint=True,
                reads_text=name != "speech",
            )


def find_earlier_joint(run: Run) -> list[str]:
    """The joint models of a run that were scored and are, or some of them, of other units than the run has now."""
    folder, units = run.folder / "joint", run.units() / "utterances"
    is_of_units = is_made_of(folder / "tokenizer", {"units": units})

    def is_current(scores: Path) -> bool:
        model = folder / "models" / scores.relative_to(folder / "scores")
        is_of_tokenizer = is_made_of(model, {"tokenizer": folder / "tokenizer"})
        return is_of_units and is_of_tokenizer and is_made_of(scores, {"model": model, "units": units})

    return [name for name in JOINT_MODELS if not all(map(is_current, folder.glob(f"scores/{name}/seed-*")))]


def reads_frames(tokenizer: Path) -> bool:
    """Whether joint models read every unit, not each run of equal units once; by the stage of their tokenizer."""
    return read_json(tokenizer / STAGE_FILE)["keys"]["configuration.speech.collapse"] is False


def _spoken(run: Run, modality: str, number: int = 0) -> Spoken:
    entry = get_modality(modality)
    keeps_durations = entry.frame_rate is not None
    kind = entry.unit_of if entry.unit_of != "frame" else "frames" if keeps_durations else "runs"
    return Spoken(f"run-{number}-{kind}" if number else kind, run, entry.unit_of, keeps_durations)


def _changes(finished: FinishedRun, other: FinishedRun) -> list[str]:
    """What another run's units were told differently, in words, but for the encoder."""
    own, theirs = (each.study["configuration"]["units"] for each in (finished, other))
    changed = {name: value for name, value in theirs.items() if value != own.get(name) and value is not None}
    return [said.format(changed[name]) for name, said in _SAID.items() if name in changed]


def _read_seeds(folder: Path, file: str) -> dict[int, pd.DataFrame]:
    """Scored pairs by training seed."""
    found = {
        int(path.name.removeprefix("seed-")): pd.read_parquet(path / file)
        for path in folder.glob("seed-*")
        if (path / file).is_file()
    }
    return dict(sorted(found.items()))
