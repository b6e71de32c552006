"""The joint study: models of speech units and text on a run, everything that they are asked, and one report.

a run with units -> joint models with bits, CRA and minimal pairs -> what is inside them, continuations and their PELM
-> fine-tuning on spoken tasks, tested in both modalities -> `report.md` and `results.json`.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ...datasets_scripts.builders import stream_contents
from ...datasets_scripts.slu import SluTask, read_task, speak_task
from ...datasets_scripts.text.sentences import split_sentences
from ...models.files import read_json, write_json
from ...models.scoring.retrieval import DIRECTIONS
from ..arguments.study import CorpusArguments, JointStudyArguments
from ..finetune.command import FinetuneArguments, build_shared_units, finetune
from ..run.execution import Execution
from ..run.folder import MODEL_FOLDER, Run
from ..run.stage import Stage
from ..run.study_file import open_run, read_study
from ..run.workers import Job, run_jobs
from ..transcriber.training import TranscriberArguments, train_transcriber
from .command import JointArguments, pretrain_joint_models, tokenizer_settings
from .continuations import (
    CONTINUATIONS_FILE,
    PELM_FILE,
    ContinuationSettings,
    build_continuations,
    estimate_pelm,
)
from .external import EmbeddedModel, external_language_model
from .inside import attention_to_own_text, text_of_spoken_words
from .report import NEVER_SEEN, RESULTS_FILE, UNPAIRED
from .stages import JointSpeech, read_split
from .study_report import HELD_OUT, study_lines

INSIDE_FILE = "inside.json"
OWN_TASKS = ("stories_sa", "stories_ner")
"""Tasks that are told in the language of the generated stories."""
_TEST_FRACTION = 0.25
_OWN_DIRECTIONS = {"speech": ("u2u",), "text": ("t2t",)}


def study_joint_models(
    arguments: JointArguments, asked: JointStudyArguments, execution: Execution, seeds: list[int]
) -> Path:
    """
    Train joint models, ask them everything, and write the report; what is finished is not done again.

    Args:
        arguments ([`JointArguments`]): The models.
        asked ([`JointStudyArguments`]): What they are asked.
        execution ([`Execution`]): How it is done.
        seeds (`list[int]`): Training seeds; fine-tuning, sweeps and models of frames take the first.

    Returns:
        `Path`: The report.

    Raises:
        `FileNotFoundError`, `ValueError`: As the parts of it.
    """
    report = pretrain_joint_models(arguments)
    folder, run = report.parent, open_run(arguments.run_dir)
    speech = tokenizer_settings(arguments, run, read_study(arguments.run_dir)["configuration"]).speech
    print("evoslm: what brings units to text", flush=True)
    transcriber = train_transcriber(
        TranscriberArguments(str(run.folder), max_steps=asked.transcriber_steps, device=execution.device)
    )
    print("evoslm: the language model that judges continuations", flush=True)
    words = {"rich": asked.external_words * 2 // 3, "simple": asked.external_words // 3}
    external = external_language_model(asked.external_lm, embedded=EmbeddedModel(words=words))
    # What has not read both in one sequence is there for context retrieval alone.
    models = [name for name in arguments.models if name != UNPAIRED]
    print("evoslm: inside the models, and their continuations", flush=True)
    jobs = [
        Job(
            look_and_continue,
            {
                "folder": folder,
                "model": f"{name}/seed-{seed}",
                "run": run,
                "speech": speech,
                "transcriber": transcriber / MODEL_FOLDER,
                "external": external,
                "settings": ContinuationSettings(_OWN_DIRECTIONS.get(name, tuple(DIRECTIONS)), asked.num_prompts),
                "execution": execution,
            },
        )
        for name in models
        for seed in seeds
    ]
    run_jobs(jobs, execution.device_workers, "continuations")
    _finetune_all(folder, run, models, seeds[0], asked, execution)
    variants = _train_variants(folder, arguments, asked, seeds[0])
    results = read_json(folder / RESULTS_FILE) | {
        "inside": _read_all(folder, "inside", INSIDE_FILE, [m for m in models if m not in NEVER_SEEN], seeds),
        "pelm": _read_all(folder, "continuations", PELM_FILE, models, seeds),
        "pelm_estimates": {name: estimate_pelm(_read_continuations(folder, name, seeds)) for name in models},
        "slu": _read_slu(folder, models, asked.slu_tasks),
        "test_voices": task_voices(_corpus_of(run))["test"],
        "variants": variants,
        "transcriber": read_json(transcriber / RESULTS_FILE),
        "asked": asdict(asked),
    }
    write_json(folder / RESULTS_FILE, results)
    report.write_text(report.read_text(encoding="utf-8") + "\n".join(study_lines(results)) + "\n", encoding="utf-8")
    print(f"The report is {report}, with all that was asked.")
    return report


def look_and_continue(
    folder: Path,
    model: str,
    run: Run,
    speech: JointSpeech,
    transcriber: Path,
    external: Path,
    settings: ContinuationSettings,
    execution: Execution,
    report_progress: Callable[[float], None],
) -> None:
    """
    What is inside one joint model that knows both modalities (`inside/<model>`), and its continuations
    (`continuations/<model>`).

    Args:
        folder (`Path`): The folder of joint models.
        model (`str`): `<name>/seed-<n>`.
        run ([`Run`]): The run.
        speech ([`JointSpeech`]): How units are written.
        transcriber (`Path`): What brings units to text.
        external (`Path`): The language model that judges.
        settings ([`ContinuationSettings`]): How prompts are continued.
        execution ([`Execution`]): How it is done.
        report_progress (`Callable[[float], None]`): Called with the share of the work that is done.
    """
    inputs = {"model": folder / "models" / model, "utterances": run.utterances(), "units": run.units() / "utterances"}
    if len(settings.directions) == len(DIRECTIONS):

        def look(partial: Path) -> None:
            held_out = read_split(inputs["utterances"], inputs["units"], "test", speech)
            utterances = [utterance for _, utterance in held_out]
            found = {
                "attention": attention_to_own_text(inputs["model"], utterances, execution.device),
                "logit_lens": text_of_spoken_words(inputs["model"], utterances, execution.device),
            }
            write_json(partial / INSIDE_FILE, found)

        stage = Stage(folder / "inside" / model, 1, asdict(speech), inputs, packages=("torch", "transformers"))
        stage.run(look, execution.overwrite)
    report_progress(0.2)
    build_continuations(
        folder / "continuations" / model,
        speech=speech,
        transcriber=transcriber,
        external=external,
        settings=settings,
        execution=execution,
        **inputs,
    )
    report_progress(1.0)


@dataclass(frozen=True)
class FineTuning:
    """
    A fine-tuning of the study.

    Args:
        task (`str`): The task.
        model (`str`): The joint model.
        input (`str`): What it is trained on, `"text"` or `"speech"`.
    """

    task: str
    model: str
    input: str

    def folder(self, study: Path) -> Path:
        """Where it lies in the folder of joint models."""
        return study / "slu" / self.task / f"{self.model}-{self.input}"


def _finetune_all(
    folder: Path, run: Run, models: list[str], seed: int, asked: JointStudyArguments, execution: Execution
) -> None:
    """Every model on every task in both inputs, each tested on both."""
    corpus = _corpus_of(run)
    for name in asked.slu_tasks:
        print(f"evoslm: {name}", flush=True)
        own = {}
        if name in OWN_TASKS:
            own = {"lexicon": corpus.lexicon, "avoid": _training_sentences(run), "test_fraction": _TEST_FRACTION}
        task = read_task(name, seed=corpus.corpus_seed, limit=asked.slu_examples, **own)
        place, quantizer = folder / "slu" / Path(name).stem, run.units() / MODEL_FOLDER
        speak(task, place / "spoken", corpus, execution)
        build_shared_units(place / "units", quantizer, place / "spoken", asked.snr, corpus.corpus_seed, execution)
        jobs = []
        for model in models:
            for kind in ("speech", "text"):
                asked_of = FinetuneArguments(
                    checkpoint=str(folder / "models" / model / f"seed-{seed}"),
                    task=str(place / "spoken"),
                    output_dir=str(FineTuning(Path(name).stem, model, kind).folder(folder)),
                    input=kind,
                    test_input=["speech", "text"],
                    quantizer=str(quantizer),
                    units_dir=str(place / "units"),
                    method=asked.slu_method,
                    snr=asked.snr,
                    task_seed=corpus.corpus_seed,
                    epochs=asked.slu_epochs,
                    training_seeds=[seed],
                    num_proc=1,
                    device=execution.device,
                    overwrite=execution.overwrite,
                )
                cost = 3.0 if kind == "speech" else 1.0  # by the clock: units are longer than text
                jobs.append(Job(finetune_silently, {"arguments": asked_of}, cost))
        run_jobs(jobs, execution.device_workers, "fine-tuning")


def speak(task: SluTask, folder: Path, corpus: CorpusArguments, execution: Execution) -> None:
    """
    Speak a task in the corpus's voices.

    Args:
        task ([`SluTask`]): The task.
        folder (`Path`): Where to; what it has of another task or other voices is redone with `execution.overwrite`.
        corpus ([`CorpusArguments`]): Of the run.
        execution ([`Execution`]): How it is done.

    Raises:
        `ValueError`: If the folder has another one and that is not to be redone, or as [`speak_task`].
    """
    settings = {"voices": task_voices(corpus), "rate": corpus.rate, "seed": corpus.corpus_seed}
    settings |= {"synthesizer": corpus.synthesizer, "num_proc": execution.num_proc}
    was_there = folder.exists()
    try:
        speak_task(task, folder, **settings)
    except ValueError as error:
        if not was_there:
            raise
        if not execution.overwrite:
            raise ValueError(f"{error} Or have the task spoken and its models made anew with --overwrite.") from None
        shutil.rmtree(folder)
        speak_task(task, folder, **settings)


def task_voices(corpus: CorpusArguments) -> dict[str, str]:
    """
    The voices that a task is spoken in, by split: the corpus's, and for the test held-out ones where there are any.

    Args:
        corpus ([`CorpusArguments`]): Of the run.
    """
    voices = corpus.voices if not corpus.is_recorded else "many"
    return {"train": voices, "validation": voices, "test": HELD_OUT if corpus.synthesizer == "espeak" else voices}


def finetune_silently(arguments: FinetuneArguments, report_progress: Callable[[float], None]) -> None:
    """
    Fine-tune as one of many, whose own lines nobody could read.

    Args:
        arguments ([`FinetuneArguments`]): What to train on what.
        report_progress (`Callable[[float], None]`): Called when it is done.
    """
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        finetune(arguments)
    report_progress(1.0)


def _corpus_of(run: Run) -> CorpusArguments:
    return CorpusArguments(**read_study(run.folder)["configuration"]["corpus"])


def _training_sentences(run: Run) -> set[str]:
    """What the models have read in training, which no task tells again."""
    with tempfile.TemporaryDirectory() as cache:
        texts = stream_contents("text_bpe", run.utterances(), cache)["train"]
        return {sentence for text in texts for sentence in split_sentences(text, abbreviations=False)}


def _train_variants(
    folder: Path, arguments: JointArguments, asked: JointStudyArguments, seed: int
) -> dict[str, dict[str, Any]]:
    """CST + AST with other shares of both modalities, or on every unit; results by what is different."""
    changes = {f"paired {share:g}": {"ratios": _ratios(share)} for share in asked.paired_shares or ()}
    changes |= {"every unit": {"units": "frames"}} if asked.with_frames else {}
    found = {}
    for name, change in changes.items():
        print(f"evoslm: {name}", flush=True)
        own = folder / "variants" / name.replace(" ", "-")
        variant = replace(arguments, models=["cst_ast"], training_seeds=[seed], output_dir=str(own), **change)
        pretrain_joint_models(variant)
        found[name] = read_json(own / RESULTS_FILE)["models"]["cst_ast"]
    return found


def _ratios(paired: float) -> list[float]:
    alone = (1 - paired) / 2
    return [alone, paired, alone]


def _read_all(folder: Path, part: str, file: str, models: list[str], seeds: list[int]) -> dict[str, dict[str, Any]]:
    """What each model and seed was found to have, by their names."""
    return {
        model: {str(seed): read_json(folder / part / model / f"seed-{seed}" / file) for seed in seeds}
        for model in models
    }


def _read_continuations(folder: Path, model: str, seeds: list[int]) -> list[pd.DataFrame]:
    """What each training wrote behind its prompts, and what was said of it."""
    places = (folder / "continuations" / model / f"seed-{seed}" for seed in seeds)
    return [pd.read_parquet(place / CONTINUATIONS_FILE) for place in places]


def _read_slu(folder: Path, models: list[str], tasks: list[str]) -> dict[str, Any]:
    """By task, model, what it was trained on and what it was tested on."""
    found: dict[str, Any] = {}
    for task in (Path(name).stem for name in tasks):
        for model in models:
            for kind in ("speech", "text"):
                results = read_json(FineTuning(task, model, kind).folder(folder) / RESULTS_FILE)
                found.setdefault(task, {"task": results["task"], "models": {}, "rules": {}})
                found[task]["rules"][kind] = {name: rule["measures"] for name, rule in results["rules"].items()}
                by_test = {test["name"]: test["measures"] for test in results["tests"]}
                found[task]["models"].setdefault(model, {})[kind] = by_test
    return found
