"""Pictures of sound: a spectrogram, the symbols that a model reads or writes under it, and how likely it found each.

audio + symbols with their times + log-likelihoods -> [`draw_timeline`] -> an SVG in the colours of the page, light or
dark, that a screen reader can name.
"""

import base64
import io
import zlib
from collections.abc import Sequence
from html import escape

import numpy as np

_WIDTH, _LEFT, _RIGHT = 760, 44, 8
_SPECTROGRAM, _SYMBOLS, _CURVE, _AXIS = 96, 26, 64, 22
_LEAST_NATS = -12.0
_BANDS, _FFT, _HIGHEST = 64, 512, 8000
_MIN_LABEL = 9.0
_LETTER = 6.3


def draw_timeline(
    audio: np.ndarray,
    sampling_rate: int,
    tokens: Sequence[str],
    starts: Sequence[float],
    log_likelihoods: Sequence[float] | None,
    name: str,
) -> str:
    """
    Draw what was said over its time.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): Mono.
        sampling_rate (`int`): Samples per second.
        tokens (`Sequence[str]`): The symbols, in order.
        starts (`Sequence[float]`): When each begins, in seconds.
        log_likelihoods (`Sequence[float]`, *optional*): Of each symbol, in nats; without them there is no curve.
        name (`str`): What is seen, for those who do not see it.

    Returns:
        `str`: HTML with one `<svg>`; whatever stands in symbols and name is text in it.
    """
    seconds = max(len(audio) / sampling_rate, *(starts[-1:] or [0.0]), 0.1)
    scale = (_WIDTH - _LEFT - _RIGHT) / seconds
    runs = _runs(tokens, starts, seconds)
    has_curve = bool(log_likelihoods)
    height = _SPECTROGRAM + _SYMBOLS + (_CURVE if has_curve else 0) + _AXIS
    parts = [_picture(audio, sampling_rate, _LEFT, 0, len(audio) / sampling_rate * scale)]
    parts += [_symbol(token, _LEFT + start * scale, (end - start) * scale) for token, start, end in runs]
    if has_curve:
        parts.append(_curve(starts, log_likelihoods, seconds, scale, _SPECTROGRAM + _SYMBOLS))
    parts.append(_axis(seconds, scale, height - _AXIS))
    parts.append(_row_names(has_curve))
    return (
        f'<div class="timeline" role="region" tabindex="0" aria-label="{escape(name)}">'
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(name)}">{"".join(parts)}</svg></div>'
    )


def _runs(tokens: Sequence[str], starts: Sequence[float], seconds: float) -> list[tuple[str, float, float]]:
    """Symbols with begin and end; equal ones that follow each other are one."""
    runs: list[tuple[str, float, float]] = []
    for place, token in enumerate(tokens):
        end = starts[place + 1] if place + 1 < len(starts) else seconds
        if runs and runs[-1][0] == token:
            runs[-1] = (token, runs[-1][1], end)
        else:
            runs.append((token, starts[place], end))
    return runs


def _symbol(token: str, left: float, width: float) -> str:
    """A box in a colour of the symbol's own, with its name where there is room for it."""
    hue = zlib.crc32(token.encode()) % 360
    shown = token.replace("▁", " ").strip() or "␣"
    top = _SPECTROGRAM + 2
    box = (
        f'<g><title>{escape(shown)}</title><rect class="symbol" x="{left:.1f}" y="{top}" '
        f'width="{max(width, 0.4):.1f}" height="{_SYMBOLS - 4}" style="--hue:{hue}"/>'
    )
    if width >= max(_MIN_LABEL, len(shown) * _LETTER + 2):
        middle = left + width / 2
        box += f'<text class="label" x="{middle:.1f}" y="{top + 15}" text-anchor="middle">{escape(shown)}</text>'
    return box + "</g>"


def _curve(starts: Sequence[float], log_likelihoods: Sequence[float], seconds: float, scale: float, top: float) -> str:
    """Steps, from 0 nats at the top to the least that is shown at the bottom."""
    lowest = max(_LEAST_NATS, min(-1.0, float(np.floor(min(log_likelihoods)))))
    inner = _CURVE - 14

    def height(value: float) -> float:
        return top + 7 + inner * min(1.0, max(value, lowest) / lowest)

    points = []
    for place, value in enumerate(log_likelihoods):
        end = starts[place + 1] if place + 1 < len(starts) else seconds
        points += [f"{_LEFT + time * scale:.1f},{height(value):.1f}" for time in (starts[place], end)]
    guides = "".join(
        f'<line class="guide" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{height(value):.1f}" y2="{height(value):.1f}"/>'
        f'<text class="tick" x="{_LEFT - 4}" y="{height(value) + 4:.1f}" text-anchor="end">{value:.0f}</text>'.replace(
            ">-", ">−"
        )
        for value in (0.0, lowest)
    )
    return f'{guides}<polyline class="curve" points="{" ".join(points)}"/>'


def _axis(seconds: float, scale: float, top: float) -> str:
    step = next(step for step in (0.5, 1, 2, 5) if seconds / step <= 10 or step == 5)
    ticks = np.arange(0, seconds + 1e-6, step)
    return "".join(
        f'<path class="guide" d="M{x:.1f},{top}v4"/>'
        f'<text class="tick" x="{x:.1f}" y="{top + 17}" text-anchor="middle">{time:g}</text>'
        for time, x in ((time, _LEFT + time * scale) for time in ticks)
    )


def _row_names(has_curve: bool) -> str:
    rows = [("8 kHz", 10), ("0", _SPECTROGRAM - 2)]
    texts = [f'<text class="tick" x="{_LEFT - 4}" y="{y}" text-anchor="end">{name}</text>' for name, y in rows]
    bottom = _SPECTROGRAM + _SYMBOLS + (_CURVE if has_curve else 0) + 17
    texts.append(f'<text class="tick" x="{_LEFT - 14}" y="{bottom}" text-anchor="end">s</text>')
    return "".join(texts)


def _picture(audio: np.ndarray, sampling_rate: int, left: float, top: float, width: float) -> str:
    """The spectrogram as an image; nothing where the sound is shorter than a window."""
    if len(audio) < _FFT:
        return ""
    data = base64.b64encode(_png(_log_mel(np.asarray(audio, np.float32), sampling_rate))).decode()
    return (
        f'<image x="{left}" y="{top}" width="{width:.1f}" height="{_SPECTROGRAM}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{data}"/>'
    )


def _log_mel(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Log energies in mel bands, at most one frame a pixel; shape `(num_bands, num_frames)`, between 0 and 1."""
    hop = max(_FFT // 4, -(-len(audio) // _WIDTH))
    frames = np.lib.stride_tricks.sliding_window_view(audio, _FFT)[::hop] * np.hanning(_FFT).astype(np.float32)
    power = np.abs(np.fft.rfft(frames)) ** 2
    mel = 2595 * np.log10(1 + np.fft.rfftfreq(_FFT, 1 / sampling_rate) / 700)
    centres = np.linspace(0, 2595 * np.log10(1 + min(_HIGHEST, sampling_rate / 2) / 700), _BANDS + 2)[1:-1]
    weights = np.maximum(0, 1 - np.abs(mel[:, None] - centres) / (2 * (centres[1] - centres[0])))
    decibels = 10 * np.log10(power @ weights + 1e-8).T
    top = decibels.max()
    return np.clip((decibels - (top - 70)) / 70, 0, 1)


def _png(values: np.ndarray) -> bytes:
    """Values between 0 and 1 as a PNG from dark to bright, low bands at the bottom."""
    from PIL import Image

    steps = np.linspace(0, 1, 5)
    colours = np.array([(13, 8, 45), (84, 20, 108), (178, 52, 92), (244, 130, 60), (252, 240, 180)], np.float64)
    flipped = values[::-1]
    image = np.stack([np.interp(flipped, steps, colours[:, channel]) for channel in range(3)], axis=-1)
    buffer = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).quantize(64).save(buffer, "PNG")
    return buffer.getvalue()
