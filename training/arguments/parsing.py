"""From flags to arguments: `HfArgumentParser` on dataclasses, a YAML preset underneath, flags on top.

argv -> preset -> [`parse_arguments`] -> `Arguments`, checked before any work is done. A command that is no study's has
one dataclass, which [`parse_group`] reads.
"""

import sys
from dataclasses import asdict, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from ..pretrain.deepspeed_config import read_deepspeed
from ..run import distributed
from .study import FRAME_FEATURES, GROUPS, Arguments, CorpusArguments, HardwareArguments, RunArguments, UnitArguments

PRESET_FOLDER = Path(__file__).parents[1] / "presets"
CHOICES = {
    "corpus": ("stories", "text", "hub", "audio", "libriheavy"),
    "voices": ("one", "many"),
    "rate": ("fixed", "random"),
    "device": ("auto", "cpu", "cuda"),
    "split": ("dev", "test"),
    "encoder_precision": ("fp32", "bf16"),
    "unit_normalization": ("none", "utterance", "speaker"),
    "kmeans": ("minibatch", "torch", "faiss"),
    "train_until": ("epochs", "converged"),
    "lr_scheduler": ("wsd", "cosine"),
    "precision": ("auto", "bf16", "fp32"),
    "attention": ("auto", "packed", "flash_attention_2", "sdpa", "eager", "flex_attention"),
    "report_to": ("none", "tensorboard", "trackio"),
    "long_sequences": ("error", "slide"),
}


def list_presets() -> list[str]:
    """Names of the presets that come with the package."""
    return sorted(path.stem for path in PRESET_FOLDER.glob("*.yaml"))


def read_preset(preset: str) -> dict[str, Any]:
    """
    Read a preset as a flat dict of argument values.

    Raises:
        `ValueError`: If there is no such preset or it sets something that is no argument.
    """
    path = Path(preset) if preset.endswith((".yaml", ".yml")) else PRESET_FOLDER / f"{preset}.yaml"
    if not path.is_file():
        raise ValueError(f"Unknown preset {preset!r}; choose from {', '.join(list_presets())}, or give a YAML file.")
    values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    known = {item.name for group in GROUPS.values() for item in fields(group)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"Preset {preset!r} sets {', '.join(unknown)}, which is no argument of a study.")
    return values


def parse_arguments(argv: list[str], command: str = "study") -> Arguments:
    """
    Read a command's arguments: defaults, then the preset, then the flags.

    Args:
        argv (`list[str]`): Flags, without the command's name.
        command (`str`, *optional*, defaults to `"study"`): The command's name, for the usage line.

    Returns:
        [`Arguments`]: One dataclass a group.

    Raises:
        `ValueError`: If a preset, flag, value or combination is unknown or cannot work.
    """
    preset = read_preset(_find_flag(argv, "preset") or RunArguments.preset)
    arguments = Arguments(*_parse(list(GROUPS.values()), argv, command, preset))
    check_arguments(arguments)
    return arguments


def parse_group(group: type, argv: list[str], command: str) -> Any:
    """
    Read the arguments of a command that is no study's: of one dataclass, without a preset.

    Args:
        group (`type`): The dataclass. Numbers that stand in its `least` (a dict by name) are checked against it.
        argv (`list[str]`): Flags, without the command's name.
        command (`str`): The command's name, for the usage line.

    Returns:
        `Any`: The dataclass with what the flags say.

    Raises:
        `ValueError`: If a flag or value is unknown or missing.
    """
    (arguments,) = _parse([group], argv, command)
    _check_choices(asdict(arguments))
    for name, least in getattr(group, "least", {}).items():
        _check_least(name, getattr(arguments, name), least)
    return arguments


def _parse(groups: list[type], argv: list[str], command: str, defaults: dict[str, Any] | None = None) -> list:
    from transformers import HfArgumentParser

    parser = HfArgumentParser(groups, prog=f"evoslm {command}", allow_abbrev=False)
    parser.error = _raise_value_error
    parser.set_defaults(**(defaults or {}))
    *parsed, unknown = parser.parse_args_into_dataclasses(
        args=argv, return_remaining_strings=True, look_for_args_file=False
    )
    if unknown:
        flags = [word for word in unknown if word.startswith("-")] or unknown
        raise ValueError(f"Unknown flag {flags[0]!r}; `evoslm {command} --help` lists all of them.")
    return parsed


def _check_choices(values: dict[str, Any]) -> None:
    for name, value in values.items():
        if name in CHOICES and value not in CHOICES[name]:
            raise ValueError(f"--{name} is {value!r}; choose from {', '.join(CHOICES[name])}.")


def _check_least(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise ValueError(f"--{name} is {value}; it must be at least {least}.")


def check_arguments(arguments: Arguments) -> None:
    """Raise a `ValueError` for values that cannot work together, before any work is done."""
    for group in GROUPS:
        _check_choices(asdict(getattr(arguments, group)))
    if not arguments.modalities:
        raise ValueError("No modality is asked for; give --modalities, for example `--modalities paper`.")
    corpus, model, train = arguments.corpus, arguments.model, arguments.pretrain
    _check_hardware(arguments.hardware)
    _check_encoder(arguments.units)
    if corpus.corpus == "text" and not corpus.text_dir and not arguments.hardware.dry_run:
        raise ValueError("--corpus text needs --text_dir, a folder of .txt files.")
    if corpus.corpus == "hub" and not corpus.dataset and not arguments.hardware.dry_run:
        raise ValueError("--corpus hub needs --dataset, a dataset's id or folder.")
    _check_recordings(corpus, arguments.units)
    if corpus.corpus != "stories" and corpus.text_dir and not Path(corpus.text_dir).is_dir():
        raise FileNotFoundError(f"There is no folder {corpus.text_dir}; --text_dir names a folder of .txt files.")
    for name, value, least in (
        ("max_words", corpus.max_words, 1),
        ("num_units", arguments.units.num_units, 2),
        ("num_syllable_units", arguments.units.num_syllable_units, 2),
        ("syllable_parts", arguments.units.syllable_parts, 1),
        ("compare_seeds", arguments.units.compare_seeds, 0),
        ("pairs_per_task", arguments.pairs.pairs_per_task, 1),
        ("utterances_per_batch", train.utterances_per_batch, 1),
        ("num_proc", arguments.run.num_proc, 1),
        ("utterances_per_pass", arguments.hardware.utterances_per_pass, 1),
        ("save_every", arguments.hardware.save_every, 1),
        ("num_devices", arguments.hardware.num_devices, 1),
    ):
        _check_least(name, value, least)
    if train.epochs <= 0:
        raise ValueError(f"--epochs is {train.epochs}; it must be above 0.")
    if model.hidden_size % model.num_attention_heads or model.num_attention_heads % model.num_key_value_heads:
        raise ValueError(
            f"--hidden_size {model.hidden_size} must be a multiple of --num_attention_heads "
            f"{model.num_attention_heads}, and that of --num_key_value_heads {model.num_key_value_heads}."
        )
    if "speech_bpe" in arguments.modalities and model.unit_bpe_vocab_size <= arguments.units.num_units:
        raise ValueError(
            f"--unit_bpe_vocab_size is {model.unit_bpe_vocab_size}; it must be above --num_units "
            f"{arguments.units.num_units}, since every unit is a piece of its own."
        )


def _check_recordings(corpus: CorpusArguments, units: UnitArguments) -> None:
    if corpus.corpus in ("audio", "libriheavy") and not corpus.audio_dir:
        raise ValueError(f"--corpus {corpus.corpus} needs --audio_dir, a folder of recordings.")
    if corpus.corpus == "libriheavy" and not corpus.manifest:
        raise ValueError("--corpus libriheavy needs --manifest, a file or folder of its *_cuts_*.jsonl.gz.")
    if corpus.is_recorded and units.unit_normalization == "speaker":
        raise ValueError(
            "--unit_normalization speaker needs statistics of every voice, and minimal pairs are spoken by synthetic "
            "ones that no recording has; choose none or utterance."
        )


def _check_encoder(units: UnitArguments) -> None:
    if units.is_ssl and "/" not in units.encoder and not Path(units.encoder).is_dir():
        raise ValueError(
            f"--encoder is {units.encoder!r}; choose from {', '.join(FRAME_FEATURES)}, or give the folder or the Hub "
            "id of a self-supervised encoder."
        )
    if units.kmeans == "faiss" and find_spec("faiss") is None:
        raise ValueError("--kmeans faiss needs the package faiss-cpu or faiss-gpu, which is not installed.")
    asked = (units.encoder_layer, units.encoder_revision, units.encoder_precision)
    if not units.is_ssl and asked != (None, None, "fp32"):
        raise ValueError(f"--encoder {units.encoder} has no layers, revision or precision to choose.")


def _check_hardware(hardware: HardwareArguments) -> None:
    if hardware.deepspeed is not None:
        read_deepspeed(hardware.deepspeed)
        if not (hardware.dry_run or distributed.is_launched()):
            raise ValueError(
                "--deepspeed shares a training out among processes: start `evoslm pretrain` with torchrun, accelerate "
                "launch or deepspeed (docs/training.md)."
            )
    needed = {
        "--attention flash_attention_2": ("flash_attn", hardware.attention == "flash_attention_2"),
        "--report_to tensorboard": ("tensorboard", hardware.report_to == "tensorboard"),
        "--report_to trackio": ("trackio", hardware.report_to == "trackio"),
    }
    for flag, (package, is_asked) in needed.items():
        if is_asked and find_spec(package) is None:
            raise ValueError(f"{flag} needs the package {package.replace('_', '-')}, which is not installed.")


def _find_flag(argv: list[str], name: str) -> str | None:
    """The value of `--name value` or `--name=value`, if given."""
    for index, word in enumerate(argv):
        if word == f"--{name}" and index + 1 < len(argv):
            return argv[index + 1]
        if word.startswith(f"--{name}="):
            return word.split("=", 1)[1]
    return None


def _raise_value_error(message: str) -> None:
    """What argparse calls instead of printing its usage: the same one-sentence errors as everywhere."""
    raise ValueError(f"{message[0].upper()}{message[1:]}; see `{Path(sys.argv[0]).name} --help`.")
