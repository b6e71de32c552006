"""The report's measures of units as phones: error rate and boundaries, by what each unit most often stands on.

units and phones of the recordings that were fitted on -> a phone for each unit -> the recordings that are measured, as
phones, beside those that were spoken -> [`measure_phones`], a part of the row of a quantizer and form.
"""

from collections.abc import Callable

import numpy as np

from ...models.unit_quality.boundaries import BoundaryCounts
from ...models.unit_quality.phone_discovery import MAPPINGS, TOLERANCE, PhoneDiscovery, map_units, phone_runs
from ...models.unit_quality.quality import UnitCounts
from .encoding import EncodedRecordings

Cut = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From the units of a recording to its tokens and the frame that each begins at."""


def measure_phones(
    fitted: EncodedRecordings,
    measured: EncodedRecordings,
    normalization: str,
    cut: Cut,
    vocab_size: int,
    seed: int = 0,
) -> dict[str, dict]:
    """
    How far tokens are phones, by phones that were chosen for them on other recordings.

    Args:
        fitted ([`EncodedRecordings`]): What phones are chosen on; recordings without phones are left out.
        measured ([`EncodedRecordings`]): What is measured; each recording has phones.
        normalization (`str`): Of the quantizer.
        cut (`Callable`): From units to tokens: runs of equal units, or BPE pieces.
        vocab_size (`int`): How many different tokens there may be.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap.

    Returns:
        `dict[str, dict]`: `unit_boundaries`, the boundaries between tokens against those between phones; `many_to_one`
        and `one_to_one`, by each mapping what [`PhoneDiscovery.scores`] gives. Nothing where no recording that was
        fitted on has phones.
    """
    counts = UnitCounts(vocab_size)
    for units, phones in zip(fitted.units[normalization], fitted.phones):
        if phones:
            counts.add(on_frames(*cut(units), len(units)), phones)
    by_phone, rate = counts.by_phone(), measured.frame_rate
    if not by_phone:
        return {}
    discoveries = {kind: PhoneDiscovery(map_units(by_phone, kind), rate) for kind in MAPPINGS}
    edges = BoundaryCounts(TOLERANCE, matching="nearest")
    for units, aligned, document in zip(measured.units[normalization], measured.aligned, measured.documents):
        ids, starts = cut(units)
        edges.add(starts[1:] / rate, phone_runs(aligned)[1][1:])
        for discovery in discoveries.values():
            discovery.add(on_frames(ids, starts, len(units)), aligned, document)
    boundaries = edges.scores() | {"over_segmentation": edges.over_segmentation}
    return {"unit_boundaries": boundaries} | {kind: found.scores(seed) for kind, found in discoveries.items()}


def on_frames(ids: np.ndarray, starts: np.ndarray, num_frames: int) -> np.ndarray:
    """The token that each frame lies in, of shape `(num_frames,)`."""
    return np.repeat(ids, np.diff(starts, append=num_frames))
