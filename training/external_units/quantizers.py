"""External units in the place of a quantizer: opened by what `--units` says, saved in a run, loaded from there.

flags -> [`open_units`], checked as far as that goes without a corpus -> `save_units` -> a folder with `config.json` ->
[`load_quantizer`], which loads a speech-unit model from a folder that has one.
"""

import operator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...models.files import read_json, write_json
from ...models.speech_units.identity import is_external
from .callables import CallableUnits, file_stamp, load_callable, probe
from .ids import MAX_FRAME_RATE, MAX_UNITS, MIN_FRAME_RATE
from .settings import ExternalUnitsConfig
from .tables import TABLE_SUFFIXES, TableUnits, read_table

CONFIG_FILE = "config.json"


def open_units(
    source: str,
    model: str | None = None,
    frame_rate: float | None = None,
    codebook_size: int | None = None,
    name: str | None = None,
) -> CallableUnits | TableUnits:
    """
    Find external units, and check what can be checked before there is a corpus.

    Args:
        source (`str`): As `--units`.
        model (`str`, *optional*): As `--units_model`.
        frame_rate (`float`, *optional*): Ids a second; as an adapter says of itself when not given.
        codebook_size (`int`, *optional*): Different ids; as an adapter says, or a table's largest, when not given.
        name (`str`, *optional*): In tables and figures; as an adapter says, or that of the function or file.

    Returns:
        [`CallableUnits`] or [`TableUnits`]: Its configuration has no gaps.

    Raises:
        `FileNotFoundError`: If there is no such file.
        `ValueError`: If it does not say how many ids a second or how many different ones there are, or says what is
            no such number, if ids are not ids, or a callable gives others the second time.
    """
    file = source if Path(source).suffix in TABLE_SUFFIXES else source.rpartition(":")[0]
    return _open_units(source, model, frame_rate, codebook_size, name, file_stamp(file))


@lru_cache(maxsize=1)
def _open_units(
    source: str,
    model: str | None,
    frame_rate: float | None,
    codebook_size: int | None,
    name: str | None,
    stamp: tuple[int, int] | None,
) -> CallableUnits | TableUnits:
    """[`open_units`], once for each state of a file: it is asked for in several places."""
    if Path(source).suffix in TABLE_SUFFIXES:
        if model is not None:
            raise ValueError("--units_model is what an adapter is made of; a table needs none: leave it out.")
        if frame_rate is None:
            raise ValueError(f"{source} does not say how many ids a second has; give --units_frame_rate.")
        return read_table(ExternalUnitsConfig(source, "table", frame_rate, codebook_size, name or Path(source).stem))
    function = load_callable(source, model)
    frame_rate = frame_rate or getattr(function, "frame_rate", None)
    codebook_size = codebook_size or getattr(function, "num_units", None)
    for what, flag, value in (
        ("how many ids a second has", "--units_frame_rate", frame_rate),
        ("how many different ids it has", "--units_codebook_size", codebook_size),
    ):
        if value is None:
            raise ValueError(f"{source} does not say {what}; give {flag}.")
    frame_rate, codebook_size = _check_rate(source, frame_rate), _check_size(source, codebook_size)
    label = str(name or getattr(function, "label", None) or source.rpartition(":")[2])
    config = ExternalUnitsConfig(source, "callable", frame_rate, codebook_size, label, model)
    return CallableUnits(replace(config, fingerprint=probe(function, config)), function)


def _check_rate(source: str, frame_rate: Any) -> float:
    try:
        frame_rate = float(frame_rate)
    except (TypeError, ValueError):
        raise ValueError(f"{source} has frame_rate = {frame_rate!r}; it is a number of ids a second.") from None
    if not MIN_FRAME_RATE <= frame_rate <= MAX_FRAME_RATE:
        raise ValueError(
            f"{source} has {frame_rate:g} ids a second; {MIN_FRAME_RATE} to {MAX_FRAME_RATE} are read, one a frame."
        )
    return frame_rate


def _check_size(source: str, codebook_size: Any) -> int:
    try:
        codebook_size = operator.index(codebook_size)
    except TypeError:
        raise ValueError(
            f"{source} has num_units = {codebook_size!r}; it is a whole number of different ids."
        ) from None
    if not 2 <= codebook_size <= MAX_UNITS:
        raise ValueError(f"{source} has {codebook_size} different ids; 2 to {MAX_UNITS} are read.")
    return codebook_size


def save_units(units: CallableUnits | TableUnits, folder: Path) -> None:
    """Write external units to a folder, for [`load_quantizer`]: a table whole, of a callable where it is found."""
    write_json(folder / CONFIG_FILE, units.config.to_dict())
    if isinstance(units, TableUnits):
        units.save(folder)


def has_quantizer(folder: Path) -> bool:
    """Whether a folder holds a quantizer: a speech-unit model, or external units."""
    return (Path(folder) / "model.safetensors").is_file() or is_external(folder)


def read_quantizer_config(folder: Path):
    """The [`SpeechUnitConfig`] or [`ExternalUnitsConfig`] of a quantizer's folder."""
    if is_external(folder):
        return ExternalUnitsConfig.from_dict(read_json(Path(folder) / CONFIG_FILE))
    from ...models.speech_units import SpeechUnitConfig

    return SpeechUnitConfig.from_pretrained(folder)


def load_quantizer(folder: Path, **model_arguments: Any):
    """
    Load what a run's folder of a quantizer holds.

    Args:
        folder (`Path`): The folder.
        model_arguments (*optional*): Of `SpeechUnitModel.from_pretrained`.

    Returns:
        [`SpeechUnitModel`], [`CallableUnits`] or [`TableUnits`]: With `config`, `units` and `to`.

    Raises:
        `FileNotFoundError`, `ValueError`: If a callable is no longer there, or gives other ids than when the folder
            was made.
    """
    if not is_external(folder):
        from ...models.speech_units import SpeechUnitModel

        return SpeechUnitModel.from_pretrained(folder, **model_arguments)
    config = read_quantizer_config(folder)
    if config.kind == "table":
        return TableUnits.load(Path(folder), config)
    return _load_callable_units(config)


@lru_cache(maxsize=1)
def _load_callable_units(config: ExternalUnitsConfig) -> CallableUnits:
    function = load_callable(config.source, config.model)
    if probe(function, config) != config.fingerprint:
        raise ValueError(
            f"{config.source} gives other ids than those that {config.label} had; take the code and the model that "
            "the run was made with."
        )
    return CallableUnits(config, function)
