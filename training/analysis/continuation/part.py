"""The continuation task as a part of the analysis: prompts, outputs, and what another language model makes of them.

run + arguments -> what is missing, said first -> transcribers of the run, the judge -> [`build_outputs`] of every
model, side by side -> [`judge_texts`] -> sounds beside the page. What is finished is not done again.
"""

import shutil
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ....models.files import read_json_if_whole, write_json
from ...run.execution import Execution
from ...run.folder import MODEL_FOLDER, TRAINING_FILE
from ...run.stage import STAGE_FILE, Stage
from ...run.workers import Job, run_jobs
from ..arguments import AnalyzeArguments
from ..parts import AnalyzedRun, Section
from .outputs import AUDIO_FOLDER, Continued, GenerationSettings, build_outputs, build_true, sound_name
from .prompts import HELD_OUT, PROMPTS_FILE, choose_prompts, read_prompts, read_texts
from .to_text import TextChannel, find_channel, needed_transcribers

PART = "continuation"
ASKED_FILE = "asked.json"


def find_lack(run: AnalyzedRun, arguments: AnalyzeArguments) -> str | None:
    """
    What the run lacks: models, or speech to begin with.

    Raises:
        `FileNotFoundError`: If there is no such file of prompts, recogniser or language model.
        `ValueError`: If one of them is none.
    """
    if not run.models:
        return f"{run.paths.folder} has no language models; let `evoslm study` make them."
    if arguments.prompts == HELD_OUT and not (run.paths.utterances() / STAGE_FILE).is_file():
        return f"{run.paths.folder} has no utterances to take prompts of; give --prompts topics."
    if arguments.prompts != HELD_OUT:
        read_texts(arguments.prompts)
    if arguments.transcriber is not None:
        _pin_recognizer(arguments.transcriber)
    if arguments.external_model is not None:
        _check_judge(arguments.external_model)
    return None


def build(run: AnalyzedRun, arguments: AnalyzeArguments, execution: Execution) -> None:
    """
    Continue the prompts by every model and judge what was written.

    Raises:
        `FileNotFoundError`, `ValueError`: As [`find_lack`]; or if a prompt cannot be asked, or a stage was made with
            another configuration.
    """
    from ...joint.external import EmbeddedModel, external_language_model
    from .judging import judge_prompts, judge_settings, judge_texts, judged_folder, load_judge

    asked, left_out = _continued(run, arguments, execution)
    folder = run.folder(PART)
    _build_prompts(run, folder, arguments, execution)
    _train_transcribers(run, [own.modality for own in asked], arguments, execution)
    jobs = []
    for own in asked:
        seeds = run.seeds(own.modality)
        shared = {"asked": own, "execution": execution}
        jobs += [Job(build_outputs, shared | {"training_seed": seed}, _cost(own)) for seed in seeds]
        if arguments.prompts == HELD_OUT:
            jobs.append(Job(build_true, shared | {"training_seed": seeds[0]}, _cost(own) / 10))
    run_jobs(jobs, execution.device_workers, "continuations")
    print("evoslm: the language model that judges continuations", flush=True)
    words = {"rich": arguments.external_words * 2 // 3, "simple": arguments.external_words // 3}
    external = external_language_model(arguments.external_model, embedded=EmbeddedModel(words=words))
    load = lru_cache(maxsize=1)(partial(load_judge, external, execution.device))
    prompts = folder / "prompts"
    for own in asked:
        true = [own.true] if arguments.prompts == HELD_OUT else []
        for outputs in [*map(own.outputs, run.seeds(own.modality)), *true]:
            judge_texts(judged_folder(own, outputs), outputs, prompts, external, load, execution)
    if arguments.prompts == HELD_OUT:
        judge_prompts(folder / "judged" / "true", prompts, external, load, execution)
    _copy_sounds(run, asked)
    judge = "a text model trained by EvoSLM on other generated stories" if arguments.external_model is None else None
    made_with = asdict(_settings(arguments)) | {
        "prompts": arguments.prompts if arguments.prompts in (HELD_OUT, "topics") else Path(arguments.prompts).name,
        "judge": judge or _last_name(arguments.external_model),
        "is_embedded": arguments.external_model is None,
        "channels": {own.modality: own.channel.kind for own in asked},
        "left_out": left_out,
        "transcriber": _pin_recognizer(arguments.transcriber) if arguments.transcriber else None,
        "seeds": {own.modality: run.seeds(own.modality) for own in asked},
    }
    write_json(folder / ASKED_FILE, made_with | judge_settings(external))


def write_section(run: AnalyzedRun) -> Section | None:
    """The section of what lies under the part's folder; `None` where nothing does."""
    made_with = read_json_if_whole(run.folder(PART) / ASKED_FILE)
    if made_with is None:
        return None
    from .section import describe_continuations

    return describe_continuations(run, run.folder(PART), made_with)


def _settings(arguments: AnalyzeArguments) -> GenerationSettings:
    return GenerationSettings(
        arguments.generation_seeds, arguments.temperature, arguments.top_p, arguments.max_seconds
    )


def _continued(
    run: AnalyzedRun, arguments: AnalyzeArguments, execution: Execution
) -> tuple[list[Continued], list[str]]:
    """The modalities that are asked, and those whose units nothing brings to text."""
    pinned = _pin_recognizer(arguments.transcriber) if arguments.transcriber else {}
    names = list(dict.fromkeys(name for name, _ in run.models))
    kinds = {name: find_channel(run.paths, name, arguments.transcriber) for name in names}
    asked = []
    for name in names:
        if kinds[name] is not None:
            channel = TextChannel(run.paths, name, arguments.transcriber, pinned.get("revision"), execution.device)
            is_heard = kinds[name] == "by ear"
            asked.append(
                Continued(run.paths, run.folder(PART), channel, pinned if is_heard else {}, _settings(arguments))
            )
    left_out = [name for name in names if kinds[name] is None]
    for name in left_out:
        print(f"evoslm: without {name}, whose units nothing here brings to text.", flush=True)
    if not asked:
        raise ValueError(
            f"Nothing brings the units of {', '.join(left_out)} to text; give --transcriber, a recogniser that hears "
            "them by a vocoder, or other --modalities."
        )
    return asked, left_out


def _build_prompts(run: AnalyzedRun, folder: Path, arguments: AnalyzeArguments, execution: Execution) -> None:
    utterances = run.paths.utterances()

    def build_prompts(partial_folder: Path) -> None:
        prompts = choose_prompts(arguments.prompts, utterances, arguments.num_prompts)
        write_json(partial_folder / PROMPTS_FILE, prompts)

    configuration: dict[str, Any] = {"num_prompts": arguments.num_prompts}
    if arguments.prompts == HELD_OUT:
        inputs = {"utterances": utterances}
    else:
        inputs, configuration["texts"] = {}, [prompt.prompt for prompt in read_texts(arguments.prompts)]
    Stage(folder / "prompts", 1, configuration, inputs).run(build_prompts, execution.overwrite)


def _train_transcribers(
    run: AnalyzedRun, modalities: list[str], arguments: AnalyzeArguments, execution: Execution
) -> None:
    """Those of the run's own that are needed and not there; one that is there is used, whatever its training was."""
    from ...transcriber.training import TranscriberArguments, train_transcriber

    for name in needed_transcribers(run.paths, modalities, arguments.transcriber):
        if not (run.paths.folder / "transcribers" / name / MODEL_FOLDER / TRAINING_FILE).is_file():
            print(f"evoslm: what brings {name} to text", flush=True)
            train_transcriber(
                TranscriberArguments(
                    str(run.paths.folder),
                    modality=name,
                    max_steps=arguments.transcriber_steps,
                    device=execution.device,
                )
            )


def _copy_sounds(run: AnalyzedRun, asked: list[Continued]) -> None:
    """The sounds of each modality's first model go beside the page."""
    count = len(read_prompts(run.folder(PART) / "prompts"))
    for own in asked:
        for place in range(count):
            sound = own.outputs(run.seeds(own.modality)[0]) / AUDIO_FOLDER / f"{place:02d}.wav"
            if sound.is_file():
                target = run.paths.report / sound_name(own.modality, place)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(sound, target)


def _cost(asked: Continued) -> float:
    """About how long the outputs of a modality take: as many steps as they have tokens."""
    from ....models.files import read_json
    from ...run.folder import SUMMARY_FILE

    return read_json(asked.run.tokenizer(asked.modality) / SUMMARY_FILE)["tokens_per_second"]


@lru_cache(maxsize=1)
def _pin_recognizer(source: str) -> dict[str, Any]:
    """Which recogniser that is; one that cannot be loaded is named before anything else begins."""
    from ....models.transcriber import Transcriber
    from ...run.stage import fingerprint_files

    pinned = dict(Transcriber.from_pretrained(source, device="cpu").source)
    if Path(source).is_dir():
        pinned["fingerprint"] = fingerprint_files(Path(source))
    return pinned


@lru_cache(maxsize=1)
def _check_judge(source: str) -> None:
    """
    One that cannot be loaded is named before anything else begins: its weights are laid out as the model needs them,
    of their files' headers alone, so that a large one takes no memory and no time.
    """
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from ...joint.external import external_language_model

    folder = external_language_model(source)
    try:
        AutoTokenizer.from_pretrained(folder)
        architectures = AutoConfig.from_pretrained(folder).architectures or []
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{source} is no language model with its tokenizer that can be loaded: {_first_line(error)}"
        ) from error
    if not any("CausalLM" in name or "LMHead" in name or "ConditionalGeneration" in name for name in architectures):
        raise ValueError(f"{source} ({', '.join(architectures)}) is no causal language model; give another one.")
    try:
        _, found = AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, device_map="meta", output_loading_info=True, ignore_mismatched_sizes=True
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ValueError(
            f"The weights of {source} cannot be loaded: {_first_line(error)}; get the model again."
        ) from error
    if lacking := sorted(found["missing_keys"]):
        raise ValueError(f"The weights of {source} lack {len(lacking)}, such as {lacking[0]}; get the model again.")
    if others := sorted(name for name, *_ in found["mismatched_keys"]):
        raise ValueError(
            f"The weights of {source} have other shapes than its config.json says, such as {others[0]}; get the model "
            "again."
        )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _last_name(source: str) -> str:
    return Path(source).stem if Path(source).exists() else source
