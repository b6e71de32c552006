"""
What units of Whisper's encoder depend on beside the sound: where its windows begin, and the precision.

Generated stories in Klatt voices, and with `--ljspeech FOLDER` a reader's recordings -> one half of each, joined to a
long recording -> its units, and those of the same without its first seconds, so that all windows begin later -> which
share of the units changed, by how near an edge of a window is; the length of the overlap is chosen on that half. The
other half -> what changes then. Recordings one by one -> their units in bf16. Without `--whisper MODEL` weights are
random and the figures mean nothing.
"""

import os
from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch

from evoslm.datasets_scripts.stories.simple.generation import generate_stories
from evoslm.datasets_scripts.synthesis.utterances import make_utterance
from evoslm.models.audio import SAMPLE_RATE, decode_flac
from evoslm.models.speech_units import SpeechUnitModel, fit_unit_normalizations
from evoslm.training.report.formatting import markdown_table, number

from .common import open_whisper, random_whisper, read_recordings
from .flags import LJSPEECH, WHISPER, full_or_quick

UNITS, FITTED, STORIES = full_or_quick((500, 160, 44), (20, 6, 12))
"""Clusters, stories that k-means is fitted on, and others whose units are compared."""
FIT_SEED, SEED = 105, 104
SHIFT = 5.0
"""Seconds by which windows begin later."""
EDGES = (0, 1, 2, 3, 4, 6, 9, np.inf)
"""Seconds to the nearest edge of a window, between which shares are given."""
IN_BF16 = 8
"""Recordings whose units are computed in bf16, too."""


def run() -> str:
    model = open_whisper(os.environ[WHISPER]) if WHISPER in os.environ else random_whisper()
    fitted = list(_speak(FITTED, FIT_SEED))
    model = fit_unit_normalizations(([[audio], None] for audio in fitted), ["none"], UNITS, SEED, encoder_of=model)[
        "none"
    ]
    heard = {"Klatt": list(_speak(STORIES, SEED))}
    if LJSPEECH in os.environ:
        heard["LJSpeech"] = list(read_recordings(os.environ[LJSPEECH]))
    halves = {name: (audio[::2], audio[1::2]) for name, audio in heard.items()}
    margin = model.encoder.margin_seconds
    by_distance = {name: changed_by_distance(model, chosen) for name, (chosen, _) in halves.items()}
    reported = {name: changed_by_distance(model, other) for name, (_, other) in halves.items()}
    described = model.config.pretrained
    return "\n".join(
        [
            "## Units of Whisper's encoder, by where its windows begin and by precision",
            "",
            f"{described['source']}, layer {described['layer']}, K = {UNITS} by k-means on {_minutes(fitted)} of "
            f"other stories in Klatt voices. Units that change, in per cent, where all windows of "
            f"{model.encoder.window_seconds:g} s, which do not overlap here, begin {SHIFT:g} s later; by the time to "
            "the nearest edge of a window, before or after. One half of the recordings, on which the overlap is "
            "chosen:",
            "",
            markdown_table(
                ["recordings", "speech", *map(_name_bin, EDGES, EDGES[1:])],
                [
                    [name, _minutes(halves[name][0]), *(number(share, 1) for share in _by_bin(found))]
                    for name, found in by_distance.items()
                ],
            ),
            "",
            f"The other half, on which nothing was chosen; the last column as units are made, with {margin:g} s of "
            "context at either end of a window:",
            "",
            markdown_table(
                ["recordings", "speech", "beyond 2 s", f"beyond {margin:g} s", "as they are made"],
                [
                    [
                        name,
                        _minutes(halves[name][1]),
                        *(number(_share(found, beyond), 1) for beyond in (2, margin)),
                        number(_share(changed_as_made(model, halves[name][1]), 0), 1),
                    ]
                    for name, found in reported.items()
                ],
            ),
            "",
            f"Units that bf16 changes, of {IN_BF16} recordings by themselves:",
            "",
            markdown_table(
                ["recordings", "speech", "changed"],
                [
                    [name, _minutes(audio[:IN_BF16]), number(changed_in_bf16(model, audio[:IN_BF16]), 2)]
                    for name, audio in heard.items()
                ],
            ),
        ]
    )


Compared = tuple[np.ndarray, np.ndarray]
"""Of frames: seconds to the nearest edge of a window, and whether their unit changed."""


def changed_by_distance(model: SpeechUnitModel, audio: list[np.ndarray], overlap: float = 0.0) -> Compared:
    """
    Which units change where all windows begin [`SHIFT`] seconds later.

    Args:
        model ([`SpeechUnitModel`]): The quantizer.
        audio (`list[np.ndarray]`): Recordings, which are joined; those that are left out are shorter than a window.
        overlap (`float`, *optional*, defaults to 0.0): Seconds at either end of a window that are context only.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: Seconds to the nearest edge of the two windows that heard a frame, infinite
        where windows have none, and whether its units differ.
    """
    encoder, whole = model.encoder, np.concatenate(audio)
    shift = round(SHIFT * model.config.frame_rate)
    own, encoder.margin_seconds = encoder.margin_seconds, overlap
    try:
        before, after = (model.units([part])[0] for part in (whole, whole[shift * model.config.hop_length :]))
        distances = [_to_edge(encoder.cut(0, len(units)), len(units)) for units in (before, after)]
    finally:
        encoder.margin_seconds = own
    nearest = np.minimum(distances[0][shift:], distances[1]) / model.config.frame_rate
    return nearest, before[shift:] != after


def changed_as_made(model: SpeechUnitModel, audio: list[np.ndarray]) -> Compared:
    """The same with the encoder's own overlap, of frames that are no nearer to an end of the recording than that."""
    margin = model.encoder.margin_seconds
    nearest, changed = changed_by_distance(model, audio, margin)
    inside = slice(round(margin * model.config.frame_rate), -round(margin * model.config.frame_rate))
    return nearest[inside], changed[inside]


def changed_in_bf16(model: SpeechUnitModel, audio: list[np.ndarray]) -> float:
    """The share of units, in per cent, that differ if the encoder runs in bf16."""
    exact = np.concatenate(model.units(audio))
    model.encoder.model.to(torch.bfloat16)
    rounded = np.concatenate(model.units(audio))
    model.encoder.model.to(torch.float32)
    return 100 * float(np.mean(exact != rounded))


def _to_edge(pieces: list, frames: int) -> np.ndarray:
    """Frames from each to the nearest edge of its window; the ends of the recording are none."""
    distances = np.full(frames, np.inf)
    for piece in pieces:
        at = np.arange(piece.first, piece.last)
        if piece.start > 0:
            distances[at] = np.minimum(distances[at], at - piece.start)
        if piece.end < frames:
            distances[at] = np.minimum(distances[at], piece.end - 1 - at)
    return distances


def _by_bin(found: Compared) -> list[float]:
    nearest, changed = found
    bins = ((nearest >= low) & (nearest < high) for low, high in zip(EDGES, EDGES[1:]))
    return [100 * float(changed[inside].mean()) if inside.any() else float("nan") for inside in bins]


def _share(found: Compared, beyond: float) -> float:
    nearest, changed = found
    return 100 * float(changed[nearest >= beyond].mean())


def _name_bin(low: float, high: float) -> str:
    return f"{low:g} to {high:g} s" if np.isfinite(high) else f"beyond {low:g} s"


def _minutes(audio: list[np.ndarray]) -> str:
    return f"{sum(map(len, audio)) / SAMPLE_RATE / 60:.1f} min"


def _speak(number_of_stories: int, seed: int) -> Iterator[np.ndarray]:
    """Generated stories, each in a Klatt voice that is drawn for it."""
    settings = {"voices": "many", "rate": "fixed", "seed": seed}
    for story in islice(generate_stories(10**6, seed), number_of_stories):
        (row,) = make_utterance(story, settings)
        yield decode_flac(row["audio"]["bytes"])
