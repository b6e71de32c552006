"""Functions from sound to ids: found by name, called, and called again to see that they give the same ids.

`module:function`, `FILE.py:function` or an adapter with `--units_model` -> [`load_callable`] -> [`CallableUnits`],
which quantizes like a speech-unit model. What is told about it in a fingerprint is its name and the ids that it gives
for one fixed waveform ([`probe`]), for nobody can say what all the code behind a function does.
"""

import hashlib
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ...models.audio import SAMPLE_RATE
from .ids import fit_to_frames, read_ids
from .settings import ExternalUnitsConfig

ADAPTERS = {"codec": f"{__package__}.codecs:CodecUnits"}
"""Adapters that come with the package, by the name that `--units` takes them by."""
PROBE_SECONDS = 2.0


class CallableUnits:
    """
    Units that a function makes of a waveform, behind the interface of [`SpeechUnitModel`].

    Args:
        config ([`ExternalUnitsConfig`]): What is known of them.
        function (`Callable`): Takes a waveform (float32 in [-1, 1], of shape `(num_samples,)`) and its sampling rate,
            and gives the ids of its frames.
    """

    def __init__(self, config: ExternalUnitsConfig, function: Callable):
        self.config, self.function = config, function

    def fingerprint(self) -> str:
        """What stands for its ids."""
        return self.config.fingerprint

    def to(self, device: str) -> "CallableUnits":
        """Move what the function is made of, where it is an adapter that can be moved."""
        if hasattr(self.function, "to"):
            self.function.to(device)
        return self

    def units(
        self,
        audio: Sequence[np.ndarray],
        speakers: Sequence[str] | None = None,
        sampling_rate: int = SAMPLE_RATE,
        segments: None = None,
        names: Sequence[str] | None = None,
    ) -> list[np.ndarray]:
        """
        Quantize utterances, one at a time.

        Args:
            audio (`Sequence[np.ndarray]`): Waveforms at 16 kHz: int16, or floating point in [-1, 1].
            speakers (`Sequence[str]`, *optional*): Not read.
            sampling_rate (`int`, *optional*, defaults to 16000): Samples per second, to have it checked.
            segments (`None`, *optional*): Not read: units are of frames.
            names (`Sequence[str]`, *optional*): What an error calls them.

        Returns:
            `list[np.ndarray]`: A unit for each whole frame, as uint16.

        Raises:
            `ValueError`: If the function fails, or gives other than ids in range, one a frame.
        """
        if sampling_rate != SAMPLE_RATE:
            raise ValueError(f"The audio has {sampling_rate} samples per second; resample it to {SAMPLE_RATE} first.")
        names = names or [f"audio {index}" for index in range(len(audio))]
        return [self._units(waveform, name) for waveform, name in zip(audio, names)]

    def check_repeats(self, audio: Sequence[np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
        """
        Call the function twice on the same audio.

        Returns:
            `list[np.ndarray]`: As [`~CallableUnits.units`].

        Raises:
            `ValueError`: As [`~CallableUnits.units`], or if the second time gives other ids.
        """
        return [self._units(waveform, name, calls=2) for waveform, name in zip(audio, names)]

    def _units(self, waveform: np.ndarray, name: str, calls: int = 1) -> np.ndarray:
        first, *others = (call(self.function, waveform, self.config, name) for _ in range(calls))
        for other in others:
            check_same(first, other, self.config.source, name)
        return fit_to_frames(first, len(waveform), self.config.frame_rate, self.config.source, name)


def call(function: Callable, waveform: np.ndarray, config: ExternalUnitsConfig, name: str) -> np.ndarray:
    """
    The ids that a function gives for a waveform.

    Raises:
        `ValueError`: If it fails, or gives other than ids in range.
    """
    from ...models.speech_units.features import check_audio

    samples = check_audio(waveform, name=name).numpy()
    try:
        ids = function(samples, SAMPLE_RATE)
    except Exception as error:
        raise ValueError(f"{config.source} fails on {name}: {_first_line(error)}") from error
    return read_ids(ids, config.num_units, config.source, name)


def check_same(first: np.ndarray, second: np.ndarray, source: str, name: str) -> None:
    """
    Whether the same audio was given the same ids.

    Raises:
        `ValueError`: If not.
    """
    way_out = "a study needs the same ids every time: leave out dropout and sampling, or fix their seed."
    if len(first) != len(second):
        raise ValueError(f"{source} gives {len(first)} ids for {name}, and {len(second)} the second time; {way_out}")
    if differing := int((first != second).sum()):
        raise ValueError(
            f"{source} gives other ids for {differing} of {len(first)} frames of {name} the second time; {way_out}"
        )


def probe(function: Callable, config: ExternalUnitsConfig) -> str:
    """
    Try a function on two seconds of a fixed waveform, twice.

    Returns:
        `str`: Sixteen hexadecimal digits that stand for its ids.

    Raises:
        `ValueError`: If it fails, or gives other than ids in range, one a frame, the same both times.
    """
    waveform, name = probe_waveform(), f"{PROBE_SECONDS:g} s of test tones"
    first, second = (call(function, waveform, config, name) for _ in range(2))
    check_same(first, second, config.source, name)
    units = fit_to_frames(first, len(waveform), config.frame_rate, config.source, name)
    return hashlib.sha256(units.astype("<u2").tobytes()).hexdigest()[:16]


def probe_waveform() -> np.ndarray:
    """Two seconds that change all the time, as int16: a rising buzz that swells and fades, over noise."""
    seconds = np.arange(int(PROBE_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * (100 * seconds + 25 * seconds**2)
    buzz = sum(np.sin(order * phase) / order for order in range(1, 20)) * (
        0.55 + 0.45 * np.sin(2 * np.pi * 4 * seconds)
    )
    noise = np.random.default_rng(0).normal(size=len(seconds))
    return np.rint(2**15 * (0.15 * buzz + 0.01 * noise)).astype(np.int16)


def load_callable(source: str, model: str | None = None) -> Callable:
    """
    Find a function, or make one by an adapter; it is kept for the next time that this process asks for it, as long as
    its file stays the same.

    Args:
        source (`str`): `module:function`, `FILE.py:function` or one of [`ADAPTERS`]. A class is made an object of.
        model (`str`, *optional*): What the adapter is called with first: a folder or a Hub id.

    Returns:
        `Callable`: From a waveform and its sampling rate to ids.

    Raises:
        `FileNotFoundError`: If there is no such file.
        `ValueError`: If there is no such module or function, or it cannot be made.
    """
    return _load_callable(source, model, file_stamp(source.rpartition(":")[0]))


def file_stamp(path: str) -> tuple[int, int] | None:
    """What changes with a file; `None` of what is none."""
    if not Path(path).is_file():
        return None
    found = Path(path).stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=1)
def _load_callable(source: str, model: str | None, stamp: tuple[int, int] | None) -> Callable:
    place, _, name = ADAPTERS.get(source, source).rpartition(":")
    if not place or not name:
        raise ValueError(
            f"--units is {source!r}; give module:function, FILE.py:function, a table (.jsonl or .parquet), or one of "
            f"{', '.join(ADAPTERS)} with --units_model."
        )
    found = getattr(_import(place), name, None)
    if found is None:
        raise ValueError(f"There is no {name} in {place}; --units names a function or an adapter as {place}:NAME.")
    try:
        made = found(model) if model is not None else found() if isinstance(found, type) else found
    except Exception as error:
        raise ValueError(f"{source} cannot be made{f' of {model}' if model else ''}: {_first_line(error)}") from error
    if not callable(made):
        raise ValueError(f"{source} is a {type(made).__name__}, not a function from a waveform and its rate to ids.")
    return made


def _import(place: str) -> Any:
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {place}; --units names one as FILE.py:function.")
        load, wanted = (lambda: _run_file(path)), path.stem
    else:
        if "" not in sys.path and str(Path.cwd()) not in sys.path:  # as `python -m` has it
            sys.path.append(str(Path.cwd()))
        load, wanted = (lambda: import_module(place)), place
    try:
        return load()
    except ModuleNotFoundError as error:
        if error.name and (wanted == error.name or wanted.startswith(f"{error.name}.")):
            raise ValueError(
                f"There is no module {place}; start the command in its folder, or put that on PYTHONPATH."
            ) from error
        raise ValueError(f"{place} needs the module {error.name}, which is not installed.") from error
    except Exception as error:
        raise ValueError(f"{place} cannot be imported: {_first_line(error)}") from error


def _run_file(path: Path) -> ModuleType:
    """A file as a module with a name of its own, by which what it defines, such as a dataclass, finds the module."""
    name = f"_evoslm_units_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    spec = spec_from_file_location(name, path)
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}{f': {lines[0]}' if lines else ''}"
