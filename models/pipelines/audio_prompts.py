"""Recordings as prompts: a file, samples with their rate, or a row of `datasets` -> mono audio that can be continued.

prompt -> [`read_audio`] -> float32 at the rate that is wanted, of a length and loudness that make sense.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..speech_units.processing_speech_units import to_mono

MAX_SECONDS = 30.0
"""The longest recording: what models were trained on is at most this long."""
_MIN_SECONDS = 0.1
_SILENCE = 10 ** (-60 / 20)
"""Of full scale, as a root of the mean square: a recording that is softer than this holds no speech."""
_EDGE_SILENCE = 0.1
_EDGE_LEVEL = 10 ** (-50 / 20)
"""Of the loudest part: what is softer than this at either end is silence."""
_PART = 0.02


def read_audio(prompt: Any, sampling_rate: int, max_seconds: float = MAX_SECONDS) -> np.ndarray:
    """
    Read a recording.

    Args:
        prompt (`str`, `Path`, `Mapping` or `tuple`): A file that libsndfile reads; `{"array" or "raw",
            "sampling_rate"}` as of `datasets` and of transformers' pipelines; or `(sampling_rate, samples)`, as of
            gradio. Samples are int16 or floating point in [-1, 1], of shape `(num_samples,)`,
            `(num_channels, num_samples)` or `(num_samples, num_channels)`.
        sampling_rate (`int`): Samples per second that are wanted.
        max_seconds (`float`, *optional*, defaults to 30): The longest recording.

    Returns:
        `np.ndarray` of shape `(num_samples,)`: float32, mono. Of silence at either end 0.1 s is left, as utterances of
        a corpus have it: behind more, a model takes an utterance to be over.

    Raises:
        `FileNotFoundError`: If there is no such file.
        `ValueError`: If it is no audio, is longer than `max_seconds` or shorter than 0.1 s, or is silent.
    """
    samples, rate = _read(prompt, max_seconds)
    num_samples = max(np.shape(samples), default=0)
    _check_length(num_samples / rate, max_seconds)
    waveform = to_mono(samples, rate, sampling_rate)
    if _levels(waveform, sampling_rate).max() < _SILENCE:
        raise ValueError("The recording is silent; speak closer to the microphone, or give another one.")
    return cut_edges(waveform, sampling_rate)


def cut_edges(waveform: np.ndarray, sampling_rate: int) -> np.ndarray:
    """
    Leave 0.1 s of the silence at either end of a recording, as utterances of the project's synthesis have it.

    Args:
        waveform (`np.ndarray` of shape `(num_samples,)`): int16 or floating point.
        sampling_rate (`int`): Samples per second.

    Returns:
        `np.ndarray` of shape `(num_samples,)`: Of the same type; all of it where nothing sounds.
    """
    levels = _levels(waveform, sampling_rate)
    sounding = np.flatnonzero(levels > levels.max() * _EDGE_LEVEL)
    if not len(sounding):
        return waveform
    first, last = sounding[0] * _PART - _EDGE_SILENCE, (sounding[-1] + 1) * _PART + _EDGE_SILENCE
    return waveform[max(0, round(first * sampling_rate)) : round(last * sampling_rate)]


def _levels(waveform: np.ndarray, sampling_rate: int) -> np.ndarray:
    """The root of the mean square of each 20 ms; of what is left at the end, too, if it is shorter."""
    size = round(_PART * sampling_rate)
    padded = np.pad(waveform.astype(np.float64), (0, -len(waveform) % size))
    return np.sqrt(np.square(padded.reshape(-1, size)).mean(1))


def _read(prompt: Any, max_seconds: float) -> tuple[np.ndarray, int]:
    if isinstance(prompt, (str, Path)):
        return _read_file(Path(prompt), max_seconds)
    if isinstance(prompt, Mapping):
        samples = next((prompt[key] for key in ("array", "raw") if prompt.get(key) is not None), None)
        if samples is None or prompt.get("sampling_rate") is None:
            raise ValueError('A recording as a dict has "array" (or "raw") and "sampling_rate"; give both.')
        rate = prompt["sampling_rate"]
    elif isinstance(prompt, tuple) and len(prompt) == 2:
        rate, samples = prompt
    else:
        raise ValueError(
            f"A prompt is a text, or audio as a path, a dict or (sampling_rate, samples), not {type(prompt).__name__}."
        )
    if not isinstance(rate, (int, np.integer)) or isinstance(rate, bool) or rate < 1:
        raise ValueError(f"The sampling rate is {rate!r}; give samples per second as a whole number above 0.")
    samples = np.asarray(samples)
    if samples.dtype == np.int32:  # 32-bit files, as gradio and scipy read them
        samples = (samples / 2**31).astype(np.float32)
    return samples, int(rate)


def _read_file(path: Path, max_seconds: float) -> tuple[np.ndarray, int]:
    import soundfile

    if not path.is_file():
        raise FileNotFoundError(f"There is no recording {path}.")
    try:
        with soundfile.SoundFile(path) as file:  # the length first: an hour of audio need not be decoded to be refused
            _check_length(file.frames / file.samplerate, max_seconds)
            return file.read(dtype="float32", always_2d=True).T, file.samplerate
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise ValueError(
            f"The recording {path.name} cannot be read as audio; give a WAV, FLAC, OGG or MP3."
        ) from error


def _check_length(seconds: float, max_seconds: float) -> None:
    if seconds > max_seconds:
        raise ValueError(f"The recording takes {seconds:.1f} s, longer than {max_seconds:g} s; cut it.")
    if seconds < _MIN_SECONDS:
        raise ValueError(f"The recording takes {seconds:.2f} s, shorter than {_MIN_SECONDS:g} s; give a longer one.")
