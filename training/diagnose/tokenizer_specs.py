"""How a tokenizer is named on the command line, and what is asked of it before anything is made.

`name=spec,frame_rate=25` -> [`TokenizerSpec`] -> [`open_tokenizers`]: found, tried out on test tones and on two spoken
sentences -> [`DiagnosedTokenizer`]s.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..external_units.callables import CallableUnits
from ..external_units.ids import MAX_FRAME_RATE, MAX_UNITS, MIN_FRAME_RATE
from ..external_units.quantizers import open_units
from ..external_units.tables import TableUnits
from .corpus import anchor_words

_OPTIONS = ("model", "frame_rate", "codebook_size")
_OPTION = re.compile(rf",\s*({'|'.join(_OPTIONS)})=")
_NAME = re.compile(r"[\w .+-]+")
_SENTENCES = (
    "The old sailors often find a lantern near the pier.",
    "Two quiet girls have hidden nine yellow pumpkins.",
)
"""What a function is tried out on: most sounds of English, in seconds."""


@dataclass(frozen=True)
class TokenizerSpec:
    """
    What somebody said of a tokenizer.

    Args:
        source (`str`): As `--units`.
        name (`str`, *optional*): What it is called in the report.
        model (`str`, *optional*): What its adapter is made of.
        frame_rate (`float`, *optional*): Ids a second.
        codebook_size (`int`, *optional*): Different ids.
    """

    source: str
    name: str | None = None
    model: str | None = None
    frame_rate: float | None = None
    codebook_size: int | None = None


@dataclass(frozen=True)
class DiagnosedTokenizer:
    """
    A tokenizer that was found.

    Args:
        name (`str`): What it is called in the report.
        folder (`str`): The same as the name of a folder.
        units ([`CallableUnits`] or [`TableUnits`]): What gives its ids.
    """

    name: str
    folder: str
    units: CallableUnits | TableUnits

    @property
    def is_function(self) -> bool:
        """Whether it hears sound; the ids of a table are looked up."""
        return isinstance(self.units, CallableUnits)


def read_spec(text: str) -> TokenizerSpec:
    """
    Read a tokenizer as it is typed.

    Args:
        text (`str`): What `--units` takes, with a name before it and options behind it, or without: `mine.py:encode`,
            `Mimi=codec,model=kyutai/mimi`, `HuBERT=units.jsonl,frame_rate=50,codebook_size=500`.

    Returns:
        [`TokenizerSpec`]

    Raises:
        `ValueError`: If an option is given twice or is no number where it has to be one, or nothing is left.
    """
    source, *options = _OPTION.split(text)
    given: dict[str, str] = {}
    for option, value in zip(options[::2], options[1::2]):
        if option in given:
            raise ValueError(f"{text!r} gives {option} twice; give it once.")
        given[option] = value.strip()
    name, separator, rest = source.partition("=")
    if separator and _NAME.fullmatch(name):
        source = rest
    else:
        name = None
    if not source:
        raise ValueError(f"{text!r} names no tokenizer; give NAME=module:function, NAME=FILE.py:function or a table.")
    return TokenizerSpec(
        source,
        name,
        given.get("model"),
        _number(text, given, "frame_rate", float, MIN_FRAME_RATE, MAX_FRAME_RATE),
        _number(text, given, "codebook_size", int, 2, MAX_UNITS),
    )


def open_tokenizers(specs: Sequence[str]) -> list[DiagnosedTokenizer]:
    """
    Find tokenizers and try out those that are functions.

    Args:
        specs (`Sequence[str]`): As [`read_spec`] reads them.

    Returns:
        `list[DiagnosedTokenizer]`: In their order.

    Raises:
        `FileNotFoundError`, `ValueError`: As [`open_units`]; if two have one name, or one that of an anchor or that
            is no name; if a function fails on speech, does not give an id a frame of it, others the second time, or
            the same id for all of it; if a table has one id only.
    """
    found: list[DiagnosedTokenizer] = []
    for spec in map(read_spec, specs):
        try:
            units = open_units(spec.source, spec.model, spec.frame_rate, spec.codebook_size, spec.name)
        except ValueError as error:
            raise ValueError(in_options(str(error))) from error
        name = spec.name or units.config.label
        _check_name(name, spec)
        folder = re.sub(r"[^\w.-]+", "_", name).strip("._") or "tokenizer"
        for other in found:
            if folder.lower() == other.folder.lower():
                raise ValueError(f"Two tokenizers are called {name}; give each a name of its own, NAME=SPEC.")
        if isinstance(units, CallableUnits):
            _try_on_speech(units)
        else:
            _check_alphabet(units.config.source, [units[row] for row in units.names])
        found.append(DiagnosedTokenizer(name, folder, units))
    return found


def _check_name(name: str, spec: TokenizerSpec) -> None:
    """A name stands in tables, figures and folders, beside those of the anchors."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{spec.source} is called {name!r}; give it a name of letters, digits, spaces and _ . + -: NAME=SPEC."
        )
    if name.lower() in anchor_words():
        raise ValueError(f"{spec.source} is called {name}, as an anchor is; give it another name, NAME=SPEC.")


def _try_on_speech(units: CallableUnits) -> None:
    """Two sentences, each in another voice: a function may do well on tones and badly on speech."""
    from ...datasets_scripts.synthesis.synthesizer import shared_synthesizer

    speaking = shared_synthesizer()
    voices = speaking.speakers("many")
    audio = [speaking.render(text, voice=voices[5 * index]).audio for index, text in enumerate(_SENTENCES)]
    names = [f"a spoken sentence ({text!r})" for text in _SENTENCES]
    try:
        encoded = units.check_repeats(audio, names)
    except ValueError as error:
        raise ValueError(in_options(str(error))) from error
    _check_alphabet(units.config.source, encoded)


def _check_alphabet(source: str, sequences: Sequence[np.ndarray]) -> None:
    """Units that never change are no language: as of a tokenizer that hears nothing but silence."""
    used = {int(unit) for row in sequences for unit in np.unique(row)}
    if len(used) < 2:
        raise ValueError(
            f"{source} gives the id {min(used, default=0)} for everything that is said, as if it heard silence only; "
            "look at how it scales and resamples its input (float32 in [-1, 1], 16 kHz)."
        )


def in_options(message: str) -> str:
    """A message that names flags and commands of a study, in the words of a diagnosis."""
    for option in ("model", "frame_rate", "codebook_size"):
        message = message.replace(f"--units_{option}", f"{option}=... behind a comma")
    message = message.replace("`evoslm export-audio RUN --to DIR`", "`evoslm diagnose --export_audio DIR`")
    return message.replace("--units ", "A tokenizer ")


def _number(text: str, given: dict[str, str], option: str, kind: type, least: float, most: float):
    if option not in given:
        return None
    try:
        value = kind(given[option])
    except ValueError:
        raise ValueError(f"{text!r} has {option}={given[option]}, which is no number; give one.") from None
    if not least <= value <= most:
        raise ValueError(f"{text!r} has {option}={value:g}; it must be from {least} to {most}.")
    return value
