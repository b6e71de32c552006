"""`evoslm finetune CHECKPOINT`: a language model learns a task of spoken language understanding.

checkpoint + task (+ its speech and a quantizer) -> units -> a fine-tuned model for each training seed -> predictions
on text, on speech and in noise -> a report.
"""

from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...datasets_scripts.slu import SluExample, SluTask
from ...models.slu.adapters import describe_base
from ...models.slu.answers import AnswerFormat
from ...models.slu.configuration_slu import CLASSIFICATION, SluConfig
from ...models.slu.contents import SPEECH, check_input
from ...models.speech_units.identity import HASH_KEY, check_same_quantizer, quantizer_hash
from ..arguments.fields import check_values
from ..external_units.quantizers import load_quantizer
from ..pretrain.deepspeed_config import refuse_sharing_alone
from ..pretrain.hardware import resolve_precision
from ..run import distributed
from ..run.environment import describe_commit, describe_device, describe_versions, installed_versions
from ..run.execution import Execution
from ..run.workers import Job, count_cores, resolve_device, run_jobs
from ..score.pair_files import find_model
from .measures import check_test
from .report import REPORT_FILE, write_report
from .rules import answers_of_rules
from .speech import (
    NOISES,
    build_noisy_units,
    build_other_speech,
    build_other_units,
    build_speech,
    build_task_units,
    check_quantizer,
    check_speech,
    is_spoken_task,
    name_other_speech,
    noise_folder,
    read_quantizer_config,
    read_units,
)
from .stages import Condition, finetune_and_test
from .tasks import answers_of, contents_of, keep_spoken, open_task
from .training import FinetuneSettings, Rows

_LEARNING_RATES = {"lora": 2e-3, "full": 5e-4}
_CLEAN, _NOISY = "clean", "noisy"  # folders of units
_UNITS_PRECISION = "fp32"
FROM_SCRATCH = "from_scratch"  # the folder of models that began from new weights
_ANSWER_ROOM = 1.5  # the longest answer that is allowed, to the longest of training


@dataclass
class FinetuneArguments:
    """
    Fine-tuning on a task, and its test.

    Args:
        checkpoint (`str`): A causal language model, of a run or any other: a folder or an id on the Hub.
        task (`str`): The task: its name, a file, or the folder that it was spoken into.
        output_dir (`str`): Where everything goes.
        input (`str`, *optional*, defaults to `"text"`): What is read in training: the text, or units of speech.
        test_input (`list[str]`, *optional*): What is read in the test, one or both; the training's input when not
            given. The other one shows what is learned of the task itself (zero-shot transfer).
        method (`str`, *optional*, defaults to `"lora"`): Whether a LoRA is trained (and the rows of new tokens), or
            all weights.
        training_seeds (`list[int]`, *optional*, defaults to `[0]`): One model for each.
        from_scratch (`bool`, *optional*, defaults to `False`): With `--method full`: train the same model from new
            weights on the task, too, to show what its pre-training is worth.
        revision (`str`, *optional*): The checkpoint's commit, branch or tag on the Hub.
        source (`str`, *optional*): Of the tasks of SLUE and of sentence_polarity, where their data lies.
        speech_dir (`str`, *optional*): Utterance shards of the task; it is spoken by the project's synthesis when not
            given, unless --task is a folder of them.
        quantizer (`str`, *optional*): The folder of the quantizer whose units the checkpoint reads: a speech-unit
            model, or a run's function or codec.
        units_dir (`str`, *optional*): Where the units of the task's speech go, and are found by a fine-tuning that
            shares it; `<output_dir>/units` when not given.
        units (`str`, *optional*, defaults to `"runs"`): How a joint model's units are written: each run of equal ones
            once, or every frame.
        snr (`list[float]`, *optional*): Signal-to-noise ratios in dB at which speech is tested, too, in white noise
            and in babble.
        test_speech (`list[str]`, *optional*): In what else the test split is heard, and what that costs: utterance
            shards of it, such as recordings, or a synthesizer (`espeak`, `piper:VOICE`), which speaks it.
        task_seed (`int`, *optional*, defaults to 0): Seed of the task's splits, and of noise.
        limit (`int`, *optional*): Most examples of the task.
        epochs (`int`, *optional*, defaults to 10): Passes over the training split; the one with the lowest validation
            loss is kept.
        batch_size (`int`, *optional*, defaults to 16): Examples an update.
        learning_rate (`float`, *optional*): The highest; 2e-3 for LoRA and 5e-4 for all weights when not given.
        weight_decay (`float`, *optional*, defaults to 0.01): Of AdamW.
        lora_rank (`int`, *optional*, defaults to 8): Of LoRA's matrices.
        lora_alpha (`float`, *optional*, defaults to 16.0): LoRA is scaled by alpha / rank.
        lora_dropout (`float`, *optional*, defaults to 0.0): Of what LoRA reads.
        max_new_tokens (`int`, *optional*): Longest answer; one and a half times the longest of training when not
            given.
        merge (`bool`, *optional*, defaults to `False`): Write a LoRA with its base as a plain model, too, in `merged`.
        precision (`str`, *optional*, defaults to `"auto"`): Of the training; `auto` is bf16 on a GPU alone.
        deepspeed (`str`, *optional*): `zero1`, `zero2`, `zero3` or a JSON file, for processes that a launcher starts.
        num_proc (`int`, *optional*): Worker processes; the number of cores when not given.
        device (`str`, *optional*, defaults to `"auto"`): Where models run; `auto` takes a GPU where there is one.
        overwrite (`bool`, *optional*, defaults to `False`): Redo finished models whose configuration differs.
    """

    checkpoint: str
    task: str
    output_dir: str
    input: Literal["text", "speech"] = "text"
    test_input: list[Literal["text", "speech"]] | None = None
    method: Literal["lora", "full"] = "lora"
    training_seeds: list[int] = field(default_factory=lambda: [0])
    from_scratch: bool = False
    revision: str | None = None
    source: str | None = None
    speech_dir: str | None = None
    quantizer: str | None = None
    units_dir: str | None = None
    units: Literal["runs", "frames"] = "runs"
    snr: list[float] | None = None
    test_speech: list[str] | None = None
    task_seed: int = 0
    limit: int | None = field(default=None, metadata={"least": 3})
    epochs: int = field(default=10, metadata={"least": 1})
    batch_size: int = field(default=16, metadata={"least": 1})
    learning_rate: float | None = field(default=None, metadata={"above": 0})
    weight_decay: float = field(default=0.01, metadata={"least": 0})
    lora_rank: int = field(default=8, metadata={"least": 1})
    lora_alpha: float = field(default=16.0, metadata={"above": 0})
    lora_dropout: float = field(default=0.0, metadata={"least": 0, "most": 1})
    max_new_tokens: int | None = field(default=None, metadata={"least": 1})
    merge: bool = False
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    deepspeed: str | None = None
    num_proc: int | None = field(default=None, metadata={"least": 1})
    device: Literal["auto", "cpu", "cuda"] = "auto"
    overwrite: bool = False


def finetune(arguments: FinetuneArguments) -> Path:
    """
    Fine-tune a model with each training seed, or go on with what is missing, and write the report.

    Args:
        arguments ([`FinetuneArguments`]): What to train on what.

    Returns:
        `Path`: The report.

    Raises:
        `FileNotFoundError`: If there is no such checkpoint, task, speech or quantizer.
        `ValueError`: If the checkpoint does not read the input or the quantizer's units, the task has no audio, its
            test split has one example only, an argument is out of range, or the folder holds models of another
            configuration and `overwrite` is not set.
    """
    from transformers import AutoConfig

    check_values(arguments)
    arguments = _without_repeats(arguments)
    device = resolve_device(arguments.device)
    execution = Execution(arguments.num_proc or count_cores(), device, arguments.overwrite)
    base = find_model(arguments.checkpoint, arguments.revision)
    modality = getattr(AutoConfig.from_pretrained(base), "modality", None)
    inputs = list(dict.fromkeys([arguments.input, *(arguments.test_input or [])]))
    for kind in inputs:
        check_input(modality, kind, arguments.checkpoint)
    if arguments.from_scratch and arguments.method != "full":
        raise ValueError(
            "A LoRA beside new weights that stay as they are learns little; give --from_scratch with --method full."
        )
    refuse_sharing_alone(arguments.deepspeed, "finetune")
    if arguments.batch_size % distributed.world_size():
        raise ValueError(
            f"{distributed.world_size()} processes cannot share batches of {arguments.batch_size}; choose a "
            "--batch_size that they divide."
        )
    if SPEECH not in (arguments.test_input or [arguments.input]):
        for flag, given, what in (
            ("--snr", arguments.snr, "noise in speech"),
            ("--test_speech", arguments.test_speech, "other speech"),
        ):
            if given:
                raise ValueError(
                    f"{flag} is {what}, and only text is tested; leave it out, or add --test_input speech."
                )
    task = open_task(arguments.task, arguments.task_seed, arguments.limit, arguments.source)
    others = name_other_speech(arguments.test_speech or (), task)
    folder = Path(arguments.output_dir)
    spoken = _Speech.of(arguments, task, base, folder, execution) if SPEECH in inputs else None
    splits, without_audio = {}, {}
    for split in ("train", "validation", "test"):
        units = spoken.units(split) if spoken else None
        splits[split], without_audio[split] = keep_spoken(task.splits[split], units)
    check_test(splits["test"])
    task = replace(task, splits=splits)
    config = _make_config(arguments, task, splits["train"], base, spoken)
    conditions = _make_conditions(arguments, config, task, spoken, others, folder, execution)
    precision = resolve_precision(arguments.precision, device)
    _run_seeds(arguments, config, base, splits, spoken, conditions, precision, execution)
    made_with = {
        "task": {
            "name": task.name,
            "kind": task.kind,
            "labels": list(config.labels),
            "sizes": {split: len(examples) for split, examples in splits.items()},
            "without_audio": without_audio,
        },
        "base": asdict(config.base) | {"modality": modality},
        "configuration": asdict(arguments),
        "precision": precision,
        "versions": describe_versions() | installed_versions(["peft"]),
        "commit": describe_commit(),
        "device": describe_device(device),
    }
    if distributed.is_main():
        distributed.say("evoslm: what rules reach without a language model")
        units = spoken.units("train") | spoken.units("test") if arguments.input == SPEECH else None
        rules = answers_of_rules(task, arguments.input, units)
        seeds, scratch = arguments.training_seeds, folder / FROM_SCRATCH if arguments.from_scratch else None
        write_report(folder, config, splits["test"], conditions, seeds, rules, made_with, scratch)
    report = folder / REPORT_FILE
    distributed.say(f"The report is {report}.")
    return report


def _without_repeats(arguments: FinetuneArguments) -> FinetuneArguments:
    """The same with each condition and seed once."""
    given = {name: getattr(arguments, name) for name in ("test_input", "training_seeds", "snr", "test_speech")}
    return replace(arguments, **{name: values and list(dict.fromkeys(values)) for name, values in given.items()})


@dataclass(frozen=True)
class _Speech:
    """A task's utterances, their units, and the quantizer that made them, with its hash."""

    quantizer: Path
    quantizer_hash: str
    utterances: Path
    folder: Path

    @classmethod
    def of(
        cls, arguments: FinetuneArguments, task: SluTask, base: Path, folder: Path, execution: Execution
    ) -> "_Speech":
        if arguments.quantizer is None:
            raise ValueError("Speech is read as units; give the quantizer's folder (--quantizer).")
        quantizer = Path(arguments.quantizer)
        check_quantizer(quantizer)
        units_hash = _check_units(base, quantizer)
        speech = Path(arguments.speech_dir or arguments.task)
        if arguments.speech_dir is None and not is_spoken_task(speech):
            speech = folder / "speech"
            distributed.say("evoslm: speech of the task")
            build_speech(speech, task, arguments.task_seed, execution)
        check_speech(speech, task)
        units = _units_folder(arguments, folder)
        distributed.say("evoslm: units of the task")
        build_task_units(units / _CLEAN, quantizer, speech, _UNITS_PRECISION, execution)
        return cls(quantizer, units_hash, speech, units / _CLEAN)

    @property
    def is_synthetic(self) -> bool:
        """Whether it is known to be of the project's synthesis."""
        return is_spoken_task(self.utterances)

    def units(self, split: str) -> dict[str, np.ndarray]:
        """The units of a split by id."""
        return read_units(self.folder, split)


def build_shared_units(
    folder: Path, quantizer: Path, speech: Path, snr: list[float] | None, task_seed: int, execution: Execution
) -> None:
    """
    Encode a task's speech where several fine-tunings with this `units_dir` find it.

    Args:
        folder (`Path`): Their `units_dir`.
        quantizer (`Path`): The folder of the quantizer.
        speech (`Path`): Utterance shards of the task.
        snr (`list[float]`, *optional*): Of noise, in dB, as they ask for it.
        task_seed (`int`): Of noise.
        execution ([`Execution`]): How it is done.
    """
    build_task_units(folder / _CLEAN, quantizer, speech, _UNITS_PRECISION, execution)
    if snr:
        build_noisy_units(folder / _NOISY, quantizer, speech, list(dict.fromkeys(snr)), task_seed, execution)


def _units_folder(arguments: FinetuneArguments, folder: Path) -> Path:
    return Path(arguments.units_dir or folder / "units")


def _check_units(base: Path, quantizer: Path) -> str:
    """Refuse a quantizer with units that the model has no token for, or other ones than it reads; else its hash."""
    from transformers import AutoConfig, AutoTokenizer

    from ...models.slu.contents import write_contents

    num_units, config = read_quantizer_config(quantizer).num_units, AutoConfig.from_pretrained(base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    (content,) = write_contents(getattr(config, "modality", None), SPEECH, [[num_units - 1]])
    if tokenizer.unk_token_id in tokenizer(content)["input_ids"]:
        raise ValueError(
            f"{quantizer} has {num_units} units, and {base} has no token for the last of them; give the quantizer "
            "whose units it was trained on (--quantizer)."
        )
    found = quantizer_hash(load_quantizer(quantizer))
    check_same_quantizer(config, {HASH_KEY: found, "_name_or_path": str(quantizer)})
    return found


def _make_config(
    arguments: FinetuneArguments, task: SluTask, train: list[SluExample], base: Path, spoken: _Speech | None
) -> SluConfig:
    from transformers import AutoConfig, AutoTokenizer

    of_base = AutoConfig.from_pretrained(base)
    modality, labels = getattr(of_base, "modality", None), task.labels
    answers = answers_of(task.kind, labels, train)
    characters, longest = (), arguments.max_new_tokens or 1
    if task.kind != CLASSIFICATION:
        written = AnswerFormat.of_training(modality, labels, (phrase for row in answers for _, phrase in row))
        tokenizer = AutoTokenizer.from_pretrained(base)
        written.grow(tokenizer)
        longest = max(len(written.answer_ids(tokenizer, row)) for row in answers)
        characters, longest = written.characters, arguments.max_new_tokens or int(_ANSWER_ROOM * longest) + 1
    return SluConfig(
        task=task.name,
        kind=task.kind,
        labels=labels,
        base=describe_base(arguments.checkpoint, base, arguments.revision),
        modality=modality,
        trained_on=arguments.input,
        collapse=arguments.units == "runs",
        characters=characters,
        max_new_tokens=longest,
        quantizer=None if arguments.quantizer is None else str(Path(arguments.quantizer).resolve()),
        unit_quantizer_hash=spoken.quantizer_hash if spoken else getattr(of_base, HASH_KEY, None),
        reads_end=task.kind == CLASSIFICATION,
        cut_edges=spoken is not None and spoken.is_synthetic,
    )


def _make_conditions(
    arguments: FinetuneArguments,
    config: SluConfig,
    task: SluTask,
    spoken: _Speech | None,
    others: dict[str, str],
    folder: Path,
    execution: Execution,
) -> list[Condition]:
    def make(kind: str, units: dict[str, np.ndarray] | None, **how) -> Condition:
        kept, _ = keep_spoken(task.splits["test"], units)
        if len(kept) < 2:
            raise ValueError(
                f"{len(kept) or 'None'} of the {len(task.splits['test'])} tested examples has units in "
                f"{how.get('heard') or how.get('noise')}; two at least are needed."
            )
        contents = contents_of(config.modality, kind, kept, units, config.collapse)
        return Condition(kind, [example.id for example in kept], contents, **how)

    conditions = []
    for kind in arguments.test_input or [arguments.input]:
        conditions.append(make(kind, spoken.units("test") if kind == SPEECH else None))
        if kind != SPEECH:
            continue
        if arguments.snr:
            distributed.say("evoslm: units of the task in noise")
            noisy = _units_folder(arguments, folder) / _NOISY
            build_noisy_units(
                noisy, spoken.quantizer, spoken.utterances, arguments.snr, arguments.task_seed, execution
            )
            for noise in NOISES:
                for snr in arguments.snr:
                    units = read_units(noise_folder(noisy, noise, snr), "test")
                    conditions.append(make(kind, units, noise=noise, snr=snr))
        for name, source in others.items():
            distributed.say(f"evoslm: the test split, heard in {name}")
            speech = build_other_speech(folder / "heard" / name, source, task, arguments.task_seed, execution)
            cut = spoken.is_synthetic and not is_spoken_task(speech)
            place = _units_folder(arguments, folder) / "heard" / name
            build_other_units(place, spoken.quantizer, speech, cut, execution)
            units, clean = read_units(place, "test"), spoken.units("test")
            conditions.append(make(kind, units, heard=name))
            if all(np.array_equal(units[key], clean[key]) for key in conditions[-1].ids):
                raise ValueError(
                    f"{source} says the test split as {spoken.utterances} does, so that there is nothing to compare; "
                    "give other speech (--test_speech)."
                )
    return conditions


def _run_seeds(
    arguments: FinetuneArguments,
    config: SluConfig,
    base: Path,
    splits: dict[str, list[SluExample]],
    spoken: _Speech | None,
    conditions: list[Condition],
    precision: str,
    execution: Execution,
) -> None:
    rows: dict[str, Any] = {}
    for split in ("train", "validation"):
        units = spoken.units(split) if spoken and arguments.input == SPEECH else None
        # A class that only the validation split has cannot be scored by the model.
        known = [
            example for example in splits[split] if config.kind != CLASSIFICATION or example.label in config.labels
        ]
        contents = contents_of(config.modality, arguments.input, known, units, config.collapse)
        rows[split] = Rows(contents, answers_of(config.kind, config.labels, known))
    jobs, folder = [], Path(arguments.output_dir)
    ways = [(folder, False)] + [(folder / FROM_SCRATCH, True)] * arguments.from_scratch
    for seed, (place, from_scratch) in product(arguments.training_seeds, ways):
        settings = FinetuneSettings(
            arguments.method,
            seed,
            arguments.epochs,
            arguments.batch_size,
            arguments.learning_rate or _LEARNING_RATES[arguments.method],
            arguments.weight_decay,
            arguments.lora_rank,
            arguments.lora_alpha,
            arguments.lora_dropout,
            precision,
            arguments.merge,
        )
        model = place / "models" / f"seed-{seed}"
        training = {"folder": model, "base": base, "config": config, "settings": settings, "execution": execution}
        training |= {"deepspeed": arguments.deepspeed, "from_scratch": from_scratch}
        testing = {"folder": place / "predictions" / f"seed-{seed}", "model": model, "base": base}
        testing |= {"conditions": conditions}
        job = {"training": training | rows, "testing": testing | {"execution": execution}}
        jobs.append(Job(finetune_and_test, job))
    distributed.say("evoslm: fine-tuning")
    run_jobs(jobs, 1 if distributed.world_size() > 1 else execution.device_workers, "fine-tuning")
