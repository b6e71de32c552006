"""What the table needs beside a finished study, in stages: further models, sound of units, transcripts of it.

rows -> Speech-BPE in further sizes -> the sound of every kind of units -> what is heard of it -> `results.json`. What
is finished is not done again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ....models.files import write_json
from ...external_units.quantizers import is_external, read_quantizer_config
from ...report.page import plain_numbers
from ...report.run_folder import FinishedRun
from ...run.execution import Execution
from ...run.folder import MODEL_FOLDER, Run
from ...run.stage import read_fingerprint
from ...run.workers import Job, run_jobs
from .hearing import find_squim, find_transcriber, hear_with_recogniser, hear_with_units, predict_opinion
from .results import RECORDED, RESULTS_FILE, compute_results, read_sound
from .resynthesis import build_sound, check_hop
from .rows import SPEECH, Row, Spoken, find_earlier_joint, open_others, read_rows
from .unit_bpe import build_sizes, check_sizes, finished_sizes

SPLIT = "test"
_TRAINED = ", by the vocoder of the run"


def find_lack_of(run: Run, finished: FinishedRun, runs: Sequence[str], sizes: Sequence[int]) -> str | None:
    """
    What a run lacks for the table, in a sentence with the way out.

    Args:
        run ([`Run`]): The run.
        finished ([`FinishedRun`]): What it scored.
        runs (`Sequence[str]`): Further runs.
        sizes (`Sequence[int]`): Further sizes of Speech-BPE.

    Raises:
        `FileNotFoundError`, `ValueError`: If a further run or a size cannot be taken.
    """
    if SPEECH not in finished.modalities:
        return (
            f"{run.folder} has no scores of {SPEECH}, which answers are compared with; run `evoslm study` with "
            f"--modalities phone_repeat {SPEECH} speech_dedup."
        )
    others = open_others(run, runs)
    check_sizes(run, sizes)
    rows = read_rows(run, finished, others, [])
    if not sizes and not any(row.answer and row.key != SPEECH for row in rows):
        return (
            f"{run.folder} has no answer to what speech costs, such as speech_dedup or speech_syllable; run `evoslm "
            "study` with one of these among --modalities, or give further runs by --runs."
        )
    return None


def build_table(
    run: Run,
    finished: FinishedRun,
    folder: Path,
    runs: Sequence[str],
    sizes: Sequence[int],
    transcriber: str | None,
    num_utterances: int,
    execution: Execution,
) -> None:
    """
    Build what the table needs, and compute it.

    Args:
        run ([`Run`]): The run.
        finished ([`FinishedRun`]): What it scored.
        folder (`Path`): Where stages and `results.json` go.
        runs (`Sequence[str]`): Further runs.
        sizes (`Sequence[int]`): Further sizes of Speech-BPE, beside those that were trained before.
        transcriber (`str`, *optional*): A model for speech recognition; the run's transcriber of units when not given.
        num_utterances (`int`): Held-out utterances that are made audible.
        execution ([`Execution`]): How it is done.

    Raises:
        `FileNotFoundError`, `ValueError`: If a further run cannot be taken, there is no such transcriber, or a stage
            was made otherwise and may not be redone.
    """
    others = open_others(run, runs)
    if transcriber is not None:
        _check_recogniser(transcriber, execution)
    seeds = sorted(finished.modalities[SPEECH].items)
    if sizes:
        build_sizes(run, folder / "unit_bpe", sizes, seeds, execution)
    _say_earlier_joint([run, *(other for other, _ in others)])
    rows = read_rows(run, finished, others, finished_sizes(run, folder / "unit_bpe", seeds, execution))
    sounds, reasons = _build_sounds(run, folder / "sound", rows, num_utterances, execution)
    by = _hear(run, folder, list(sounds), transcriber, num_utterances, execution)
    weights = find_squim()
    for name in sounds if weights else ():
        sound = folder / "sound" / name
        predict_opinion(folder / "opinion" / name, sound, run.utterances(), SPLIT, weights, execution)
    results = compute_results(rows) | {
        "split": SPLIT,
        "num_utterances": num_utterances,
        "heard_by": by,
        "opinion_by": None if weights is None else "SQUIM",
        "sounds": {
            name: read_sound(folder, name, by is not None, weights is not None) | {"label": label}
            for name, label in {RECORDED: "as recorded", **sounds}.items()
        },
        "not_spoken": reasons,
        "made_of": _pin_scores(run, rows),
    }
    write_json(folder / RESULTS_FILE, plain_numbers(results))


def _say_earlier_joint(runs: Sequence[Run]) -> None:
    for run in runs:
        for name in find_earlier_joint(run):
            print(
                f"evoslm: without the joint model {name} of {run.folder}, which is of other units than the run has "
                "now; `evoslm pretrain-joint` with --overwrite makes it anew.",
                flush=True,
            )


def _pin_scores(run: Run, rows: Sequence[Row]) -> dict[str, str]:
    """The fingerprints of the run's own scores, by which the page sees whether its models are still there."""
    own = [row for row in rows if row.run is run and row.key == row.modality]
    return {f"{row.key}/seed-{seed}": read_fingerprint(run.scores(row.key, seed)) for row in own for seed in row.items}


def _check_recogniser(transcriber: str, execution: Execution) -> None:
    """What cannot be loaded is said before anything is trained."""
    from ....models.transcriber import Transcriber

    Transcriber.from_pretrained(transcriber, device=execution.device)


def _build_sounds(
    run: Run, folder: Path, rows: Sequence[Row], num_utterances: int, execution: Execution
) -> tuple[dict[str, str], dict[str, str]]:
    """Sounds with what they are called, and why there is none of a row."""
    spoken: dict[str, Spoken] = {}
    called: dict[str, list[str]] = {}
    for row in rows:
        if row.spoken:
            spoken.setdefault(row.spoken.name, row.spoken)
            called.setdefault(row.spoken.name, []).append(row.label)
    labels, reasons, jobs = {}, {}, []
    for name, each in spoken.items():
        config = read_quantizer_config(each.run.units(unit_of=each.unit_of) / MODEL_FOLDER)
        try:
            check_hop(config.hop_length)
        except ValueError as error:
            reasons[name] = str(error)
            continue
        vocoders = {name: None}
        if (each.run.folder / "vocoder" / "model.safetensors").is_file() and each.unit_of == "frame":
            vocoders[f"{name}-vocoder"] = each.run.folder / "vocoder"
        for sound, vocoder in vocoders.items():
            labels[sound] = "; ".join(called[name]) + (_TRAINED if vocoder else "")
            told = {
                "folder": folder / sound,
                "run": each.run,
                "unit_of": each.unit_of,
                "num_utterances": num_utterances,
                "keeps_durations": each.keeps_durations,
                "vocoder": vocoder,
                "overwrite": execution.overwrite,
            }
            jobs.append(Job(build_sound, told))
    run_jobs(jobs, execution.num_proc, "sound")
    return labels, reasons


def _hear(
    run: Run, folder: Path, sounds: list[str], transcriber: str | None, num_utterances: int, execution: Execution
) -> dict[str, Any] | None:
    """Transcripts of the utterances as they were spoken and of each sound; what heard them, or nothing."""
    can_hear = transcriber is not None or (find_transcriber(run) and not is_external(run.units() / MODEL_FOLDER))
    if not can_hear:
        return None
    for name in (RECORDED, *sounds):
        print(f"evoslm: hearing {name}", flush=True)
        place, sound = folder / "heard" / name, _place(run, folder, name)
        most = num_utterances if name == RECORDED else None
        if transcriber is not None:
            hear_with_recogniser(place, sound, SPLIT, transcriber, execution, most)
        else:
            hear_with_units(place, sound, SPLIT, run, execution, most)
    if transcriber is not None:
        return {"kind": "recogniser", "name": Path(transcriber).name if Path(transcriber).is_dir() else transcriber}
    return {"kind": "units", "name": f"transcribers/{find_transcriber(run)}"}


def _place(run: Run, folder: Path, name: str) -> Path:
    return run.utterances() if name == RECORDED else folder / "sound" / name
