"""What ids of units have to be, whoever made them: whole numbers in range, one a frame of the audio.

what a function returned or a table holds -> [`read_ids`] -> [`fit_to_frames`] -> uint16, a unit for every frame that
Phone-Repeat has of the same audio.
"""

from typing import Any

import numpy as np

from ...models.audio import SAMPLE_RATE, count_frames, frame_samples_at

MAX_UNITS = 2**16
"""A unit has two bytes."""
MIN_FRAME_RATE, MAX_FRAME_RATE = 5, 200
"""Ids a second."""
_EDGE_SECONDS = 0.04  # what tokenizers pad or leave out at the edges


def read_ids(ids: Any, num_units: int | None, source: str, of: str) -> np.ndarray:
    """
    Take ids of whatever type.

    Args:
        ids (`Any`): A sequence, array or tensor of whole numbers, of shape `(num_frames,)`.
        num_units (`int`, *optional*): How many different ids there are.
        source (`str`): What an error calls their maker.
        of (`str`): What an error calls the audio.

    Returns:
        `np.ndarray` of shape `(num_frames,)`: int64.

    Raises:
        `ValueError`: If they are nothing, no whole numbers, of another shape, negative or too large.
    """
    if ids is None:
        raise ValueError(f"{source} gives nothing for {of}; it has to give one id a frame.")
    values = ids.detach().cpu().numpy() if hasattr(ids, "detach") else _as_array(ids)
    if values is None or values.ndim != 1:
        shape = "rows of different lengths" if values is None else f"shape {tuple(values.shape)}"
        raise ValueError(f"{source} gives ids of {shape} for {of}; it has to give one id a frame, in one row.")
    if len(values) == 0:
        raise ValueError(f"{source} gives no ids for {of}; it has to give one id a frame.")
    if values.dtype.kind not in "iu":
        raise ValueError(f"{source} gives values of type {values.dtype} for {of}; ids are whole numbers.")
    smallest, largest = int(values.min()), int(values.max())
    if smallest < 0:
        raise ValueError(f"{source} gives the id {smallest} for {of}; ids are 0 or above.")
    if largest >= MAX_UNITS:
        raise ValueError(f"{source} gives the id {largest} for {of}; at most {MAX_UNITS} different ids are read.")
    if num_units is not None and largest >= num_units:
        raise ValueError(
            f"{source} gives the id {largest} for {of}, and has {num_units} different ids, 0 to {num_units - 1}; give "
            "the size of its codebook by --units_codebook_size."
        )
    return values.astype(np.int64)


def fit_to_frames(ids: np.ndarray, num_samples: int, frame_rate: float, source: str, of: str) -> np.ndarray:
    """
    Give audio exactly one id for each of its whole frames. Tokenizers pad the edges of their audio or leave them out:
    up to a frame, or 40 ms where that is longer, may be too many at the end, which are cut off, or too few, where the
    last id is repeated.

    Args:
        ids (`np.ndarray` of shape `(num_ids,)`): As [`read_ids`] gives them.
        num_samples (`int`): Samples of the audio, at 16 kHz.
        frame_rate (`float`): Ids a second.
        source (`str`): What an error calls their maker.
        of (`str`): What an error calls the audio.

    Returns:
        `np.ndarray` of shape `(num_frames,)`: uint16.

    Raises:
        `ValueError`: If there are more or fewer ids than that.
    """
    frames = count_frames(num_samples, frame_samples_at(frame_rate))
    if abs(len(ids) - frames) > max(1, round(_EDGE_SECONDS * frame_rate)):
        raise ValueError(
            f"{source} gives {len(ids)} ids for {of}, which is {num_samples / SAMPLE_RATE:.2f} s and has {frames} "
            f"frames at {frame_rate:g} Hz; give the rate of its ids by --units_frame_rate."
        )
    kept = ids[:frames]
    return np.pad(kept, (0, frames - len(kept)), "edge").astype(np.uint16)


def _as_array(ids: Any) -> np.ndarray | None:
    try:
        return np.asarray(ids)
    except ValueError:  # rows of different lengths
        return None
