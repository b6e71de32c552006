"""`evoslm diagnose TOKENIZER ...`: what a tokenizer of speech costs a language model, and why.

tokenizers -> found and tried out -> corpus and items in the cache -> encoded, timed and kept -> models of tokenizers
and of anchors that are not there yet, in one queue -> results -> one page.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from filelock import FileLock

from ..commands import build_dataset
from ..external_units.export import ExportArguments, export_audio
from ..report.formatting import duration, number
from ..report.page import write_files
from ..run.environment import describe_device
from ..run.execution import Execution
from ..run.folder import Run
from ..run.workers import count_cores, prepare_workers, resolve_device, run_jobs
from .corpus import DiagnosisCorpus, Measured, nearest_rate, open_corpus
from .document import write_document
from .encoding import Encoding, check_tokenizer, encode_tokenizer
from .results import compute_diagnosis
from .tokenizer_specs import DiagnosedTokenizer, open_tokenizers
from .trainings import layer_jobs, prepare_anchor, prepare_tokenizer, training_jobs
from .waterfall import Waterfall, layer_figure

TOKENIZERS_FOLDER = "tokenizers"


@dataclass
class DiagnoseArguments:
    """
    Tokenizers of speech to be diagnosed.

    Args:
        tokenizers (`list[str]`, *optional*): Each `NAME=SPEC`, where the spec is what `--units` of a study takes, with
            options behind commas: `mine.py:encode`, `Mimi=codec,model=kyutai/mimi`,
            `HuBERT=units.jsonl,frame_rate=50,codebook_size=500`.
        preset (`str`, *optional*, defaults to `"diagnose"`): Corpus, items, model and schedule: the name of a preset
            of a study, or a YAML file, which may name a corpus of your own.
        output_dir (`str`, *optional*): Where units, models and the report go; `runs/<preset>` when not given.
        training_seeds (`list[int]`, *optional*): Training seeds, at least two; those of the preset when not given.
        export_audio (`str`, *optional*): Write the audio that a table needs ids of to this folder, and stop.
        num_proc (`int`, *optional*): Worker processes; the number of cores when not given.
        device (`str`, *optional*, defaults to `"auto"`): Where adapters and language models run.
        overwrite (`bool`, *optional*, defaults to `False`): Redo what a tokenizer has of other ids, or of another
            preset.
    """

    tokenizers: list[str] | None = None
    preset: str = "diagnose"
    output_dir: str | None = None
    training_seeds: list[int] | None = None
    export_audio: str | None = None
    num_proc: int | None = field(default=None, metadata={"least": 1})
    device: Literal["auto", "cpu", "cuda"] = "auto"
    overwrite: bool = False


def diagnose(arguments: DiagnoseArguments) -> Path:
    """
    Diagnose tokenizers.

    Args:
        arguments ([`DiagnoseArguments`]): Of the command.

    Returns:
        `Path`: `report.md`, beside `report.html`, `results.json` and the figure; of `export_audio` its folder.

    Raises:
        `FileNotFoundError`: If a table or file is not there.
        `ValueError`: If a tokenizer is none, has not the ids of everything, or there are fewer than two seeds.
    """
    execution = Execution(
        arguments.num_proc or count_cores(), resolve_device(arguments.device), overwrite=arguments.overwrite
    )
    if arguments.export_audio is None and not arguments.tokenizers:
        raise ValueError("Give a tokenizer, as in `evoslm diagnose NAME=mine.py:encode`, or --export_audio FOLDER.")
    tokenizers = open_tokenizers(arguments.tokenizers or [])
    corpus = open_corpus(arguments.preset, execution)
    seeds = arguments.training_seeds or corpus.arguments.run.training_seeds
    if len(set(seeds)) < 2:
        raise ValueError("A diagnosis needs two training seeds at least, since one training shows nothing.")
    if execution.num_proc > 1:
        prepare_workers()
    build_corpus(corpus)
    if arguments.export_audio is not None:
        return export_audio(
            ExportArguments(str(corpus.run.folder), arguments.export_audio, execution.num_proc, arguments.overwrite)
        )
    output_dir = Path(arguments.output_dir or Path("runs") / Path(arguments.preset).stem)
    measured = place_tokenizers(tokenizers, output_dir, corpus)
    encodings = encode_all(tokenizers, measured, corpus, execution)
    train_all(measured, sorted(set(seeds)), corpus, execution)
    say("report")
    results = compute_diagnosis(tokenizers, measured, encodings, sorted(set(seeds)), corpus)
    figures = {figure.name: figure for figure in (Waterfall(results), layer_figure(results))}
    report = write_files(output_dir / "report", results, figures, write_document(results, figures))
    for name, result in results["tokenizers"].items():
        for warning in result["warnings"]:
            say(f"{name}: {warning}")
    print(f"The report is {report} (and report.html beside it).", flush=True)
    return report


def build_corpus(corpus: DiagnosisCorpus) -> None:
    """Text, utterances and minimal pairs, which whoever comes first makes."""
    corpus.run.folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(corpus.run.folder.with_suffix(".lock")):
        build_dataset(corpus.arguments)


def place_tokenizers(
    tokenizers: list[DiagnosedTokenizer], output_dir: Path, corpus: DiagnosisCorpus
) -> list[Measured]:
    """Where each tokenizer's units, models and scores lie."""
    folders = (output_dir / TOKENIZERS_FOLDER / tokenizer.folder for tokenizer in tokenizers)
    return [
        Measured(tokenizer.name, Run(folder, corpus.run.voices), frame_rate=tokenizer.units.config.frame_rate)
        for tokenizer, folder in zip(tokenizers, folders)
    ]


def encode_all(
    tokenizers: list[DiagnosedTokenizer], measured: list[Measured], corpus: DiagnosisCorpus, execution: Execution
) -> list[Encoding]:
    """
    Each tokenizer hears everything before any model is trained, or its table is read, and it is said how long hearing
    took. All of them are checked first: hearing may take an hour.
    """
    for tokenizer, place in zip(tokenizers, measured):
        check_tokenizer(tokenizer, place, corpus, execution)
    encodings = []
    for tokenizer, place in zip(tokenizers, measured):
        say(f"encoding by {tokenizer.name}" if tokenizer.is_function else f"looking up the ids of {tokenizer.name}")
        encodings.append(encode_tokenizer(tokenizer, place, corpus, execution))
        taken = encodings[-1]
        done = (
            f"{tokenizer.name} encoded {duration(taken.speech_seconds)} of speech in {duration(taken.seconds)}, "
            f"{number(taken.real_time, 0)} times real time"
            if tokenizer.is_function
            else f"The ids of {tokenizer.name} were looked up for {duration(taken.speech_seconds)} of speech"
        )
        print(f"{done}; its units are kept in {place.raw.utterances.parent}.", flush=True)
    return encodings


def train_all(measured: list[Measured], seeds: list[int], corpus: DiagnosisCorpus, execution: Execution) -> None:
    """The models of all tokenizers, and those of the anchors that no diagnosis has trained yet."""
    in_cache = Execution(execution.num_proc, execution.device, overwrite=True)
    say("anchors, language models and their scores on " + describe_device(execution.device))
    with FileLock(corpus.run.folder.with_suffix(".lock")):
        for anchor in corpus.anchors:
            prepare_anchor(anchor, corpus, in_cache)
        for place in measured:
            prepare_tokenizer(place, corpus, execution)
        jobs = [job for anchor in corpus.anchors for job in training_jobs(anchor, seeds, corpus, in_cache)]
        jobs += [job for place in measured for job in training_jobs(place, seeds, corpus, execution)]
        run_jobs(jobs, execution.device_workers, "training and scoring")
        nearest = {nearest_rate(place.frame_rate) for place in measured}
        shown = [anchor for anchor in corpus.anchors if anchor.frame_rate in (None, *nearest)]
        jobs = [job for anchor in shown for job in layer_jobs(anchor, seeds, corpus, in_cache)]
        jobs += [job for place in measured for job in layer_jobs(place, seeds, corpus, execution)]
        run_jobs(jobs, execution.device_workers, "layers")


def say(text: str) -> None:
    """A line about what is done now."""
    print("evoslm:", text, flush=True)
