"""`evoslm transcribe`: what a model for speech recognition hears, and how many words of it are wrong.

recordings, utterances or a run -> [`~sounds.Sounds`] -> chunks, kept as they are transcribed -> `transcripts.jsonl`,
`summary.json`, `skipped.jsonl`. A command that was stopped goes on with the chunks that are missing.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from ...models.audio import SAMPLE_RATE
from ...models.files import read_json, read_json_lines, write_json, write_json_lines
from ...models.transcriber import Transcriber, recognition_errors
from ...models.transcriber.word_errors import ENGLISH, normalizer_of
from ..arguments.fields import check_values
from ..external_units.quantizers import is_external
from ..run.environment import describe_versions
from ..run.folder import MODEL_FOLDER, SKIPPED_FILE, SUMMARY_FILE
from ..run.stage import Stage, fingerprint_files
from ..run.study_file import open_run
from ..run.workers import resolve_device
from .sounds import CODEBOOK, Sound, Sounds, find_sounds, resynthesize

VERSION = 1
TRANSCRIPTS_FILE = "transcripts.jsonl"
AS_RECORDED = "as recorded"
_CHUNKS_FOLDER = "chunks"
_CHUNK_SIZE = 64
_MODEL_FILES = ("*.json", "*.safetensors", "model.bin")
_PACKAGES = ("torch", "transformers", "ctranslate2", "jiwer")


@dataclass
class TranscribeArguments:
    """
    Transcription of sound. Devices and sizes of batches change no result but for rounding.

    Args:
        run_dir (`str`, *optional*): A run's folder: its utterances are transcribed as they are, and as vocoders say
            their units.
        source (`str`, *optional*): Instead of a run: a folder of recordings, with or without transcripts, or of
            utterance shards.
        vocoders (`list[str]`, *optional*): Of a run, folders of vocoders, and `codebook`, which is read off the
            quantizer; when not given that one, but for units that `--units` brought, and the run's own, if it has
            been trained.
        output_dir (`str`, *optional*): Where the transcripts go; `<run_dir>/transcripts` when not given.
        split (`str`, *optional*, defaults to `"validation"`): Of a run and of shards, the split.
        max_utterances (`int`, *optional*): The first so many are transcribed; all when not given.
        model_id (`str`, *optional*, defaults to `"openai/whisper-small.en"`): A Whisper, or another model for speech
            recognition: a folder or an id on the Hub.
        revision (`str`, *optional*): Its commit, branch or tag on the Hub.
        language (`str`, *optional*): Language of the speech, for a multilingual Whisper, by its code; English when not
            given. Errors are counted after Whisper's normaliser of it.
        engine (`str`, *optional*, defaults to `"transformers"`): `ctranslate2` is the engine of faster-whisper.
        precision (`str`, *optional*, defaults to `"fp32"`): Of the computation.
        num_beams (`int`, *optional*, defaults to 1): Beams of the search, which CTC models have not.
        batch_size (`int`, *optional*, defaults to 8): Stretches of at most 30 s that go through the model together.
        device (`str`, *optional*, defaults to `"auto"`): Where models run; `auto` takes a GPU where there is one.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05): More recordings that cannot be read than this
            share of all end the command.
        overwrite (`bool`, *optional*, defaults to `False`): Replace transcripts that were made otherwise.
    """

    run_dir: str | None = None
    source: str | None = None
    vocoders: list[str] | None = None
    output_dir: str | None = None
    split: Literal["train", "validation", "test"] = "validation"
    max_utterances: int | None = field(default=None, metadata={"least": 1})
    model_id: str = "openai/whisper-small.en"
    revision: str | None = None
    language: str | None = None
    engine: Literal["transformers", "ctranslate2"] = "transformers"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    num_beams: int = field(default=1, metadata={"least": 1})
    batch_size: int = field(default=8, metadata={"least": 1})
    device: Literal["auto", "cpu", "cuda"] = "auto"
    max_skipped_fraction: float = field(default=0.05, metadata={"least": 0, "most": 1})
    overwrite: bool = False


def transcribe_sounds(arguments: TranscribeArguments) -> Path:
    """
    Transcribe, and compare with what was said where that is known.

    A row of `transcripts.jsonl` has `sound` (`"as recorded"`, or the vocoder), `id`, `text` (what was said),
    `transcript` and `seconds`. `summary.json` has what [`recognition_errors`] says of each kind of sound, and which
    normaliser (`"english"` or `"basic"`) texts went through before.

    Args:
        arguments ([`TranscribeArguments`]): Of the command.

    Returns:
        `Path`: The output folder.

    Raises:
        `FileNotFoundError`: If there is no such folder, run, vocoder or model.
        `ValueError`: If neither a run nor a source with an output folder is given, the model recognises no speech, too
            many recordings cannot be read, or the folder holds other transcripts.
    """
    check_values(arguments)
    device = resolve_device(arguments.device)
    kinds = _find_kinds(arguments, device)
    for sounds in kinds.values():
        files = sounds.files[: arguments.max_utterances]
        lost = [{"id": name, "reason": f"There is no recording {name}."} for name, is_there in files if not is_there]
        _check_skipped(lost, len(files), arguments.max_skipped_fraction)
    output_dir = Path(arguments.output_dir or Path(arguments.run_dir) / "transcripts")
    transcriber = Transcriber.from_pretrained(
        arguments.model_id, arguments.revision, arguments.language, arguments.engine, device, arguments.precision
    )
    transcriber.check_beams(arguments.num_beams)
    configuration = {
        "transcriber": transcriber.source | {"num_beams": arguments.num_beams},
        "max_utterances": arguments.max_utterances,
        "sounds": {name: sounds.fingerprint for name, sounds in kinds.items()},
    }
    if (normalizer := normalizer_of(arguments.language)) != ENGLISH:
        configuration["normalizer"] = normalizer
    if Path(arguments.model_id).is_dir():
        configuration["transcriber"]["files"] = fingerprint_files(Path(arguments.model_id), _MODEL_FILES)
    stage = Stage(output_dir, VERSION, configuration, packages=_PACKAGES)
    stage.run(lambda folder: _transcribe(arguments, kinds, transcriber, folder), arguments.overwrite)
    print(describe_transcripts(output_dir), flush=True)
    return output_dir


def describe_transcripts(folder: Path) -> str:
    """What `summary.json` says, a line for each kind of sound."""
    lines = []
    for name, found in read_json(folder / SUMMARY_FILE)["sounds"].items():
        line = f"{name}: {found['utterances']} utterances of {found['seconds'] / 60:.1f} min, {found['empty']} empty"
        if "wer" in found:
            line += f", WER {found['wer']:.1%}, CER {found['cer']:.1%} of {found['words']} words"
        lines.append(line + (f", {found['skipped']} skipped" if found["skipped"] else ""))
    return "\n".join([*lines, f"The transcripts are {folder / TRANSCRIPTS_FILE}."])


def _find_kinds(arguments: TranscribeArguments, device: str) -> dict[str, Sounds]:
    """The sounds by kind: a vocoder, or as they were recorded."""
    if arguments.run_dir is None:
        if arguments.source is None or arguments.output_dir is None:
            raise ValueError("Give a finished run (`evoslm transcribe RUN`), or both --source and --output_dir.")
        if arguments.vocoders:
            raise ValueError("--vocoders says a run's units; give the run instead of --source.")
        return {AS_RECORDED: find_sounds(Path(arguments.source), arguments.split)}
    if arguments.source is not None:
        raise ValueError(f"Give either a run or --source, not both: {arguments.run_dir}, {arguments.source}.")
    run = open_run(arguments.run_dir)
    own = run.folder / "vocoder"
    vocoders = arguments.vocoders
    if vocoders is None:
        read_off = [] if is_external(run.units() / MODEL_FOLDER) else [CODEBOOK]
        vocoders = [*read_off, *([str(own)] if own.is_dir() else [])]
    names = [Path(vocoder).name for vocoder in vocoders]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"Two vocoders are called {repeated}; give folders of different names.")
    kinds = {AS_RECORDED: find_sounds(run.utterances(), arguments.split)}
    return kinds | {
        name: resynthesize(run, arguments.split, vocoder, device) for name, vocoder in zip(names, vocoders)
    }


def _transcribe(
    arguments: TranscribeArguments, kinds: dict[str, Sounds], transcriber: Transcriber, folder: Path
) -> None:
    chunks = folder / _CHUNKS_FOLDER
    chunks.mkdir(exist_ok=True)
    rows, skipped, summary = [], [], {}
    for number, (name, sounds) in enumerate(kinds.items()):
        found = list(
            _transcribe_kind(arguments, islice(sounds.read(), arguments.max_utterances), transcriber, chunks, number)
        )
        heard = [{"sound": name} | row for row in found if "reason" not in row]
        lost = [{"sound": name} | row for row in found if "reason" in row]
        _check_skipped(lost, len(found), arguments.max_skipped_fraction)
        rows, skipped, summary[name] = rows + heard, skipped + lost, _summarize(heard, len(lost), arguments.language)
    write_json_lines(folder / TRANSCRIPTS_FILE, rows)
    write_json_lines(folder / SKIPPED_FILE, skipped)
    described = {"transcriber": transcriber.source | {"num_beams": arguments.num_beams}, "sounds": summary}
    write_json(folder / SUMMARY_FILE, described | {"versions": describe_versions()})
    shutil.rmtree(chunks)


def _transcribe_kind(
    arguments: TranscribeArguments, sounds: Iterator[Sound], transcriber: Transcriber, chunks: Path, number: int
) -> Iterator[dict[str, Any]]:
    from tqdm import tqdm

    with tqdm(unit="utterance", desc="transcribing") as bar:
        for index in range(2**31):
            chunk = list(islice(sounds, _CHUNK_SIZE))
            if not chunk:
                return
            kept = chunks / f"{number}-{index:06d}.jsonl"
            if not kept.is_file():
                write_json_lines(kept, _transcribe_chunk(arguments, chunk, transcriber))
            yield from read_json_lines(kept)
            bar.update(len(chunk))


def _transcribe_chunk(
    arguments: TranscribeArguments, chunk: list[Sound], transcriber: Transcriber
) -> list[dict[str, Any]]:
    """A row of each sound: its transcript, or the reason why there is none."""
    rows, waveforms, heard = [], [], []
    for sound in chunk:
        row = {"id": sound.id, "text": sound.text}
        try:
            waveforms.append(sound.decode())
            heard.append(row)
        except ValueError as error:
            row["reason"] = str(error)
        rows.append(row)
    texts = transcriber.transcribe(waveforms, SAMPLE_RATE, arguments.batch_size, arguments.num_beams)
    for row, text, waveform in zip(heard, texts, waveforms):
        row |= {"transcript": text, "seconds": round(len(waveform) / SAMPLE_RATE, 3)}
    return rows


def _check_skipped(skipped: list[dict[str, Any]], total: int, most: float) -> None:
    if len(skipped) > most * total:
        raise ValueError(
            f"{len(skipped)} of {total} recordings cannot be read, more than --max_skipped_fraction {most}; "
            f"{skipped[0]['id']}, for instance: {skipped[0]['reason']}"
        )


def _summarize(rows: list[dict[str, Any]], num_skipped: int, language: str | None) -> dict[str, Any]:
    counts = {"utterances": len(rows), "empty": sum(not row["transcript"] for row in rows), "skipped": num_skipped}
    counts["seconds"] = round(sum(row["seconds"] for row in rows), 3)
    compared = [row for row in rows if row["text"]]
    if not compared:
        return counts
    texts, transcripts = ([row[name] for row in compared] for name in ("text", "transcript"))
    errors = recognition_errors(texts, transcripts, language=language)
    return errors | counts | {"compared": len(compared), "normalizer": normalizer_of(language)}
