"""Phones on the frame grid of speech units: what Phone-Raw and Phone-Repeat are made of.

aligned phones -> frames of each phone ([`frame_counts`]) -> one symbol a frame ([`phones_to_frames`]) -> content.
The number of frames is that of the units of the same audio, so that Phone-Repeat and units differ in nothing but the
alphabet (2412.17048, Section 3.1).
"""

from collections.abc import Sequence

import numpy as np

from ...models.audio import FRAME_SAMPLES, SAMPLE_RATE, count_frames

# An aligner may leave a last frame without a phone, an encoder may have one frame less than the audio has time for.
# More than that means that phones and frames are not of the same audio.
_MAX_EXCESS_FRAMES = 2
_LONGEST_SHARED_FRAME = 640
"""Samples of the longest frame, 40 ms, that a phone which is too short for one borrows from its neighbour."""


def num_frames(duration: float, frame_samples: float = FRAME_SAMPLES) -> int:
    """
    Count the frames, and so the units, of a recording.

    Args:
        duration (`float`): Seconds of 16 kHz audio.
        frame_samples (`float`, *optional*, defaults to 320): Samples from one frame of the encoder to the next.

    Returns:
        `int`: The number of whole frames, which is that of [`~SpeechUnitConfig.num_frames`] for every encoder.
    """
    return count_frames(round(duration * SAMPLE_RATE), frame_samples)


def frame_counts(ends: Sequence[float], frames: int, frame_samples: float = FRAME_SAMPLES) -> np.ndarray:
    """
    Share the frames of a recording among its phones.

    At 25 frames a second or more a phone has the frames between its rounded boundaries. One that is too short for any
    borrows a frame from its longest neighbour, or from the nearest phone that has one to spare; the last phone takes
    what is left at the end. Every phone has at least 20 ms. Where frames are longer and fewer than the phones, the
    shortest phones have none.

    Below 25 frames a second, where borrowing would move phones by more than they last, each frame is the phone's that
    holds most of it, the earlier one's of two that hold as much, and a phone that holds most of no frame has none.

    Args:
        ends (`Sequence[float]`): Where each phone ends, in seconds from the start of the first, without gaps.
        frames (`int`): Number of frames to share.
        frame_samples (`float`, *optional*, defaults to 320): Samples from one frame of the encoder to the next.

    Returns:
        `np.ndarray`: Frames of each phone, int64 of shape `(phones,)`, `frames` together: each at least 1 where there
        are as many frames and these are not longer than 40 ms.

    Raises:
        `ValueError`: If there are more phones than frames of 20 ms or less, or the phones end elsewhere than the
            frames.
    """
    ends = np.asarray(ends, dtype=np.float64)
    if (len(ends) > frames and frame_samples <= FRAME_SAMPLES) or (len(ends) == 0 and frames > 0):
        raise ValueError(f"{len(ends)} phones do not fit on {frames} frames; align the utterance again.")
    if len(ends) == 0:
        return np.zeros(0, dtype=np.int64)
    frame_rate = SAMPLE_RATE / frame_samples
    if abs(ends[-1] * frame_rate - frames) > _MAX_EXCESS_FRAMES:
        raise ValueError(
            f"{len(ends)} phones end at {ends[-1]:.2f} s and {frames} frames at {frames / frame_rate:.2f} s; they are "
            "not of the same audio."
        )
    if frame_samples > _LONGEST_SHARED_FRAME:
        return _of_the_greatest_share(ends * frame_rate, frames)
    if len(ends) > frames:
        return _of_the_longest(ends, frames)
    boundaries = np.minimum(np.floor(ends * frame_rate + 0.5).astype(np.int64), frames)
    boundaries[-1] = frames
    counts = np.diff(boundaries, prepend=0)
    for phone in np.flatnonzero(counts == 0):
        counts[_lender(counts, phone)] -= 1
        counts[phone] = 1
    return counts


def phones_to_frames(phones: Sequence[dict], frames: int, frame_samples: float = FRAME_SAMPLES) -> list[str]:
    """
    Write aligned phones as one symbol a frame.

    Args:
        phones (`Sequence[dict]`): `{"phone", "start", "end"}` in order and without gaps, times in seconds.
        frames (`int`): Number of frames, see [`num_frames`].
        frame_samples (`float`, *optional*, defaults to 320): Samples from one frame of the encoder to the next.

    Returns:
        `list[str]`: Exactly `frames` symbols, in the order of the phones, each phone as [`frame_counts`] says.

    Raises:
        `ValueError`: As [`frame_counts`].
    """
    counts = frame_counts([phone["end"] for phone in phones], frames, frame_samples)
    return [phone["phone"] for phone, count in zip(phones, counts) for _ in range(count)]


def phone_content(phones: Sequence[dict]) -> str:
    """The content of Phone-Raw and Phone-BPE: each phone once."""
    return " ".join(phone["phone"] for phone in phones)


def repeat_content(phones: Sequence[dict], frames: int, frame_samples: float = FRAME_SAMPLES) -> str:
    """The content of Phone-Repeat: each phone once a frame, see [`phones_to_frames`]."""
    return " ".join(phones_to_frames(phones, frames, frame_samples))


def _of_the_greatest_share(ends: np.ndarray, frames: int) -> np.ndarray:
    """Each frame to the phone that holds most of it; `ends` are in frames."""
    ends = np.minimum(ends, frames)
    ends[-1] = frames
    # Between two neighbouring edges, of phones or of frames, lies what one phone has of one frame.
    edges = np.unique(np.concatenate([[0.0], ends, np.arange(frames + 1)]))
    middles = (edges[:-1] + edges[1:]) / 2
    owners = np.searchsorted(ends, middles, side="right")
    by_share = np.lexsort((owners, -np.diff(edges).round(6), np.floor(middles)))
    _, first = np.unique(np.floor(middles[by_share]), return_index=True)
    return np.bincount(owners[by_share[first]], minlength=len(ends)).astype(np.int64)


def _of_the_longest(ends: np.ndarray, frames: int) -> np.ndarray:
    """One frame for each of the longest phones, none for the others."""
    counts = np.zeros(len(ends), dtype=np.int64)
    counts[np.argsort(-np.diff(ends, prepend=0.0), kind="stable")[:frames]] = 1
    return counts


def _lender(counts: np.ndarray, phone: int) -> int:
    for distance in range(1, len(counts)):
        neighbours = [n for n in (phone - distance, phone + distance) if 0 <= n < len(counts) and counts[n] > 1]
        if neighbours:
            return max(neighbours, key=lambda neighbour: counts[neighbour])
    raise AssertionError("there are at least as many frames as phones, so one of them has two")
