"""Recordings in any format that libsndfile reads -> 16 kHz mono samples, or one sentence that says why not.

file (wav, flac, ogg, mp3; any rate, width and number of channels), or a stretch of it -> [`read_speech`] -> int16.
"""

from pathlib import Path

import numpy as np

from ...models.audio import encode_flac, to_speech
from .containers import open_whole

# Recordings above this are not read: aligning gets slower with length. Those between 30 s and this are cut at pauses.
MAX_READ_SECONDS = 300
# Speech whose peaks were cut off stays at full scale; a recording brought to full scale touches it in a few samples.
MAX_CLIPPED = 0.005
# -60 dB of full scale.
_SILENT = 0.001
# Lengths of cuts in manifests are rounded.
_TOLERANCE = 0.05
_BLOCK = 1 << 20


def read_speech(path: str | Path, start: float | None = None, end: float | None = None) -> np.ndarray:
    """
    Read a recording, or a stretch of it without the rest.

    Args:
        path (`str` or `Path`): The file.
        start (`float`, *optional*): Where the stretch begins, in seconds.
        end (`float`, *optional*): Where it ends.

    Returns:
        `np.ndarray` of shape `(num_samples,)`: int16, 16 kHz, the mean of all channels.

    Raises:
        `ValueError`: If it cannot be read or is no speech: missing, empty, not audio, truncated, silent, clipped, with
            samples that are no numbers, too long, or if the stretch is not in it.
    """
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise ValueError(f"The audio file {path.name} is missing.")
    if path.stat().st_size == 0:
        raise ValueError(f"The audio file {path.name} is empty.")
    try:
        with soundfile.SoundFile(open_whole(path, path.name)) as file:
            first, last = _bounds(file, path.name, start, end)
            samples = _read(file, first, last, path.name)
            rate, subtype = file.samplerate, file.subtype
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        raise ValueError(f"{path.name} cannot be read as audio ({_reason(error)}).") from error
    _check_samples(samples, subtype, path.name)
    if np.abs(samples.mean(1)).max() < _SILENT:
        raise ValueError(f"{path.name} is silent.")
    return to_speech(samples, rate)


def read_as_flac(source: Path | bytes, name: str) -> bytes:
    """
    A recording of any rate and number of channels as 16 kHz mono FLAC.

    Args:
        source (`Path` or `bytes`): The file, or what is in it: whatever libsndfile reads (WAV, FLAC, OGG, MP3, ...).
        name (`str`): What an error calls it.

    Returns:
        `bytes`: The FLAC file, 16 bits a sample.

    Raises:
        `ValueError`: If it is missing, empty or no recording.
    """
    return encode_flac(read_waveform(source, name))


def read_waveform(source: Path | bytes, name: str) -> np.ndarray:
    """The int16 samples of a recording at 16 kHz, its channels averaged; arguments and errors of [`read_as_flac`]."""
    import soundfile

    if isinstance(source, Path) and not source.is_file():
        raise ValueError(f"There is no recording {name}.")
    if not (source if isinstance(source, bytes) else source.stat().st_size):
        raise ValueError(f"The recording {name} is empty.")
    try:
        with soundfile.SoundFile(open_whole(source, f"The recording {name}")) as file:
            samples, rate = _read(file, 0, file.frames, f"The recording {name}"), file.samplerate
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        raise ValueError(f"The recording {name} cannot be read: {_reason(error)}.") from None
    if not len(samples):
        raise ValueError(f"The recording {name} is empty.")
    if not np.isfinite(samples).all():
        raise ValueError(f"The recording {name} holds samples that are no numbers.")
    return to_speech(samples, rate)


def find_audio(folder: Path, name: str) -> str:
    """The file of a recording that is named without its ending, in a folder; `name`.wav if there is none."""
    endings = ("", ".wav", ".flac", ".ogg", ".mp3")
    return next((name + ending for ending in endings if (folder / (name + ending)).is_file()), f"{name}.wav")


def _bounds(file, name: str, start: float | None, end: float | None) -> tuple[int, int]:
    """First sample and end of the stretch."""
    duration = file.frames / file.samplerate
    if file.frames == 0:
        raise ValueError(f"{name} has no samples.")
    first = 0 if start is None else round(start * file.samplerate)
    last = file.frames if end is None else round(end * file.samplerate)
    if first < 0 or last <= first or last > file.frames + _TOLERANCE * file.samplerate or first >= file.frames:
        raise ValueError(
            f"The cut from {first / file.samplerate:.2f} to {last / file.samplerate:.2f} s is not in {name}, which is "
            f"of {duration:.2f} s."
        )
    last = min(last, file.frames)
    if last - first > MAX_READ_SECONDS * file.samplerate:
        raise ValueError(f"It takes {(last - first) / file.samplerate:.0f} s, longer than {MAX_READ_SECONDS} s.")
    return first, last


def _read(file, first: int, last: int, name: str) -> np.ndarray:
    """The samples of a stretch, all of which have to be there."""
    if first:
        file.seek(first)
    samples = file.read(last - first, dtype="float32", always_2d=True)
    # The frames of an MP3 are counted before; decoders leave out some samples at its edges.
    if len(samples) < last - first and file.format != "MP3":
        raise ValueError(f"{name} is truncated: it has {len(samples)} of {last - first} samples.")
    return samples


def _check_samples(samples: np.ndarray, subtype: str, name: str) -> None:
    full_scale = 0.99 if subtype in ("PCM_U8", "PCM_S8") else 0.999
    clipped = 0
    for block in (samples[i : i + _BLOCK] for i in range(0, len(samples), _BLOCK)):
        if not np.isfinite(block).all():
            raise ValueError(f"{name} has samples that are not numbers.")
        clipped += int((np.abs(block).max(1) >= full_scale).sum())
    if clipped > MAX_CLIPPED * len(samples):
        raise ValueError(f"{name} is clipped: {clipped / len(samples):.1%} of its samples are at full scale.")


def _reason(error: Exception) -> str:
    # libsndfile has no words for some errors of its decoders.
    return (getattr(error, "error_string", "") or str(error)).strip().rstrip(".") or "it is damaged or cut off"
