"""What a transcriber of units gets wrong on the test split, beside what a recogniser hears of the same units.

model + test utterances -> `transcripts.jsonl`; the recogniser's transcripts of vocoders (`transcription/`) -> word and
character error rates with intervals over utterances -> `results.json` and `report.md`.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from ...models.files import read_json, read_json_lines, write_json, write_json_lines
from ...models.modalities import get_modality
from ...models.transcriber import UnitTranscriber, error_intervals, recognition_errors
from ..report.formatting import count, with_interval
from ..run.environment import describe_commit, describe_versions
from ..run.folder import MODEL_FOLDER, SUMMARY_FILE, TRAINING_FILE, Run
from ..run.stage import read_fingerprint, read_stage
from ..run.study_file import read_study
from ..transcription.transcribing import TRANSCRIPTS_FILE, TranscribeArguments, transcribe_sounds
from .batches import can_align
from .symbols import SpokenUtterance

RESULTS_FILE = "results.json"
REPORT_FILE = "report.md"
WHOLE, SECOND_HALVES = "whole utterances", "second halves"
WITHOUT_SEARCH = ", likeliest labels"
_HEARD_FOLDER, _HEARD_SPLIT = "heard", "test"


def hear_units(run: Run, output_dir: Path, model_id: str, max_heard: int | None, overwrite: bool) -> Path:
    """
    Let a recogniser transcribe the test split: as it was spoken, and as vocoders say its units.

    Args:
        run ([`Run`]): The run.
        output_dir (`Path`): Its transcripts go into the folder `heard` there.
        model_id (`str`): The recogniser, by folder or Hub id.
        max_heard (`int`, *optional*): The first so many utterances; all when `None`.
        overwrite (`bool`): Replace transcripts that were made otherwise.

    Returns:
        `Path`: The folder of its transcripts.

    Raises:
        `FileNotFoundError`, `ValueError`: As [`transcribe_sounds`].
    """
    return transcribe_sounds(
        TranscribeArguments(
            run_dir=str(run.folder),
            output_dir=str(output_dir / _HEARD_FOLDER),
            split=_HEARD_SPLIT,
            max_utterances=max_heard,
            model_id=model_id,
            overwrite=overwrite,
        )
    )


def find_heard(run: Run, output_dir: Path) -> Path | None:
    """
    What a recogniser has heard of a run as it is now, when it was asked before.

    Args:
        run ([`Run`]): The run.
        output_dir (`Path`): As in [`hear_units`].

    Returns:
        `Path`, *optional*: The folder of its transcripts; `None` if there are none, or units were made anew since.
    """
    folder = output_dir / _HEARD_FOLDER
    record = read_stage(folder)
    if record is None:
        return None
    utterances, units = map(read_fingerprint, (run.utterances(), run.units() / "utterances"))
    now = (f"{utterances} {_HEARD_SPLIT}", f"{utterances} {units} {_HEARD_SPLIT}")
    heard = [value for name, value in record["keys"].items() if name.startswith("configuration.sounds.")]
    return folder if all(value.startswith(now) for value in heard) else None


def evaluate_transcriber(
    run: Run, output_dir: Path, utterances: Sequence[SpokenUtterance], heard: Path | None = None
) -> dict[str, Any]:
    """
    Count a transcriber's errors, and write them down.

    Args:
        run ([`Run`]): The run.
        output_dir (`Path`): The transcriber is in the folder `model` there.
        utterances (`Sequence[SpokenUtterance]`): The test split; texts without words are left out.
        heard (`Path`, *optional*): What a recogniser heard, as [`hear_units`] gives it.

    Returns:
        `dict[str, Any]`: What is in `results.json`. Under `transcripts`, by what was read or heard: `wer` and `cer`
        with their intervals, edits by kind, and how many transcripts are empty; of the transcriber also
        `cannot_be_aligned`, the texts that are too long for CTC and count all the same.
    """
    model = UnitTranscriber.from_pretrained(output_dir / MODEL_FOLDER)
    utterances = [utterance for utterance in utterances if model.read_text(utterance.text)]
    parts = {WHOLE: [(utterance.symbols, utterance.text) for utterance in utterances]}
    parts[SECOND_HALVES] = [utterance.second_half() for utterance in utterances]
    searches = {"": {}, WITHOUT_SEARCH: {"num_beams": 1}}
    rows, found = [], {}
    for (name, part), (how, search) in product(parts.items(), searches.items()):
        transcripts = model.transcribe([symbols for symbols, _ in part], **search)
        texts = [text for _, text in part]
        rows += [
            {"part": name + how, "id": utterance.id, "text": text, "transcript": transcript}
            for utterance, text, transcript in zip(utterances, texts, transcripts)
        ]
        aligned = [can_align(model, model.read_symbols(symbols), model.read_text(text)) for symbols, text in part]
        found[name + how] = _errors(texts, transcripts) | {"cannot_be_aligned": aligned.count(False)}
    if heard is not None:
        found |= _heard_errors(heard)
    write_json_lines(output_dir / TRANSCRIPTS_FILE, rows)
    results = {
        "modality": model.config.modality,
        "model": model.config.to_diff_dict() | {"words": len(model.config.words)},
        "training": {
            name: value
            for name, value in read_json(output_dir / MODEL_FOLDER / TRAINING_FILE).items()
            if name != "train"
        },
        "transcripts": found,
        "heard_by": None if heard is None else read_json(heard / SUMMARY_FILE)["transcriber"],
        "versions": describe_versions(),
        "commit": describe_commit(),
    }
    write_json(output_dir / RESULTS_FILE, results)
    (output_dir / REPORT_FILE).write_text(_describe(results, read_study(run.folder)), encoding="utf-8")
    return results


def _errors(texts: Sequence[str], transcripts: Sequence[str]) -> dict[str, Any]:
    return recognition_errors(texts, transcripts) | error_intervals(texts, transcripts)


def _heard_errors(folder: Path) -> dict[str, Any]:
    by_sound: dict[str, list[dict[str, Any]]] = {}
    for row in read_json_lines(folder / TRANSCRIPTS_FILE):
        by_sound.setdefault(row["sound"], []).append(row)
    return {
        f"heard: {sound}": _errors([row["text"] for row in rows], [row["transcript"] for row in rows])
        for sound, rows in by_sound.items()
    }


def _describe(results: dict[str, Any], study: dict[str, Any]) -> str:
    training, modality = results["training"], get_modality(results["modality"])
    label = modality.label.format(encoder=study["encoder_label"])
    num_utterances = results["model"]["fit"]["utterances"]
    of_units = f" of {study['encoder_label']}" if modality.is_speech else ""
    lines = [
        f"# {label} to text",
        "",
        f"A CTC model of {count(training['parameters'])} parameters, trained on {num_utterances:,} utterances"
        f"{of_units} for {training['epochs']:g} epochs; the weights are those of step "
        f"{training['best']['step']}, which had the fewest character errors on the validation split. "
        f"{len(training['skipped'])} training utterances were left out, since CTC has too few steps for their text or "
        f"they have none, and {training['unaligned']} cuts added no loss.",
        "",
        "Errors on the test split in per cent, with 95 % intervals over utterances: of a search with "
        f"{results['model']['beam_width']} beams that writes none but the {results['model']['words']:,} words of the "
        "training split, and of the likeliest labels, whatever they spell.",
        "",
        "| what was read or heard | utterances | words | WER | CER | empty | cannot be aligned |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, found in results["transcripts"].items():
        cells = [name, count(found["utterances"]), count(found["words"])]
        cells += [with_interval(found["wer"]), with_interval(found["cer"])]
        cells += [count(found["empty"]), count(found.get("cannot_be_aligned"))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
