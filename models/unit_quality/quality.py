"""How much units say about phones, and what they cost: the measures that stand beside every quantizer.

units and phones of the same frames, utterance by utterance -> joint counts -> mutual information and purities; and
runs of equal units -> rates. On held-out audio: on the audio that the quantizer was fitted on they flatter it.
"""

import math
from collections.abc import Sequence

import numpy as np

from ..speech_units.runs import run_starts

SILENCE = "SIL"
_STRESS = "012"


def without_stress(phone: str) -> str:
    """A phone without its mark of stress: `AH0` and `AH1` are `AH`."""
    return phone.rstrip(_STRESS)


def unit_quality(
    units: Sequence[np.ndarray],
    frame_phones: Sequence[Sequence[str]],
    frame_rate: float = 50.0,
    num_units: int | None = None,
) -> dict[str, float]:
    """
    Measure units against the phones of the same frames.

    With p the joint distribution of phones y and units z over frames (2106.07447, Section IV): phone-normalised
    mutual information (PNMI) is I(y; z) / H(y), the share of the uncertainty about the phone that the unit removes;
    phone purity is the accuracy of naming each unit by its most frequent phone; cluster purity is that of naming each
    phone by its most frequent unit. These three are given for phones without stress (`AH0`, `AH1` -> `AH`), with SIL
    as a phone like any other; with the suffix `_with_stress`, for phones as they are; with `_without_silence`, over
    the frames that are not SIL: silence is easy to find, and a corpus holds as much of it as its pauses are long.
    `SPN` counts as a phone.

    Args:
        units (`Sequence[np.ndarray]`):
            Units of each utterance, of shape `(num_frames,)`.
        frame_phones (`Sequence[Sequence[str]]`):
            Phone of each frame of each utterance, in ARPAbet.
        frame_rate (`float`, *optional*, defaults to 50.0):
            Frames per second.
        num_units (`int`, *optional*):
            Number of clusters K; by default the largest unit plus one.

    Returns:
        `dict[str, float]`:
        - **pnmi**, **phone_purity**, **cluster_purity**, and the same with `_with_stress`, `_without_silence` and
          `_with_stress_without_silence`; `nan` where there are no such frames or only one phone.
        - **pnmi_bias** -- by how much `pnmi` is expected to be too high because there are few frames (the first-order
          term of Miller and Madow): compare quantizers of different K only where it is small beside the difference.
        - **units_used** -- share of the K units that occur.
        - **perplexity** -- the number of equally frequent units that would have the same entropy.
        - **mean_run_frames**, **mean_run_ms** -- mean length of a run of equal units within an utterance.
        - **mean_phone_run_frames** -- the same of phones, for comparison.
        - **units_per_second**, **units_per_second_dedup** -- symbols per second, all of them and with each run as one.
        - **bits_per_second**, **bits_per_second_dedup** -- entropy of a single symbol times that rate (the bit rate of
          the ZeroSpeech challenge, 1904.11469): an upper bound that a model of sequences lowers.
        - **num_utterances**, **num_frames**.

    Raises:
        `ValueError`: If there are no frames, or units and phones of an utterance differ in number.

    Examples:

    ```python
    >>> quality = unit_quality([[0, 0, 1, 1]], [["SIL", "SIL", "AH0", "T"]])
    >>> quality["phone_purity"], quality["mean_run_frames"], quality["mean_run_ms"]
    (0.75, 2.0, 40.0)
    ```
    """
    units = [np.asarray(sequence, np.int64) for sequence in units]
    if len(units) != len(frame_phones):
        raise ValueError(f"There are units of {len(units)} utterances, but phones of {len(frame_phones)}; give both.")
    counts = UnitCounts(num_units or max((int(sequence.max()) + 1 for sequence in units if len(sequence)), default=1))
    for sequence, phones in zip(units, frame_phones):
        counts.add(sequence, phones)
    return counts.quality(frame_rate)


class UnitCounts:
    """
    Counts of units and phones, from which [`unit_quality`] follows: of any number of utterances, one at a time.

    Args:
        num_units (`int`): Number of clusters K.
    """

    def __init__(self, num_units: int):
        self.num_units, self.num_utterances = num_units, 0
        self._joint: dict[str, np.ndarray] = {}
        self._runs = np.zeros(num_units, np.int64)
        self._num_phone_runs = 0

    def add(self, units: np.ndarray, phones: Sequence[str]) -> None:
        """
        Count the frames of an utterance.

        Args:
            units (`np.ndarray` of shape `(num_frames,)`): Its units.
            phones (`Sequence[str]`): The phone of each frame.

        Raises:
            `ValueError`: If there are not as many of the one as of the other, or a unit is not one of the K.
        """
        units = np.asarray(units, np.int64)
        if len(units) != len(phones):
            raise ValueError(
                f"Utterance {self.num_utterances} has {len(units)} units, but phones of {len(phones)} frames; align "
                "them first."
            )
        self.num_utterances += 1
        if not len(units):
            return
        if units.min() < 0 or units.max() >= self.num_units:
            raise ValueError(f"Units must be from 0 to {self.num_units - 1}; found {units.min()} to {units.max()}.")
        names, index = np.unique(np.asarray(phones), return_inverse=True)
        for name, row in zip(names.tolist(), _count_pairs(units, index, len(names), self.num_units)):
            self._joint[name] = self._joint.get(name, 0) + row
        self._runs += np.bincount(units[run_starts(units)], minlength=self.num_units)
        self._num_phone_runs += int(run_starts(index).sum())

    def by_phone(self) -> dict[str, np.ndarray]:
        """
        The frames of each phone without stress, `SIL` among them, by unit: int64 of shape `(num_units,)` each.
        """
        counts: dict[str, np.ndarray] = {}
        for name, row in self._joint.items():
            phone = without_stress(name)
            counts[phone] = counts.get(phone, 0) + row
        return counts

    def quality(self, frame_rate: float = 50.0) -> dict[str, float]:
        """
        The measures of [`unit_quality`].

        Raises:
            `ValueError`: If there are no frames.
        """
        if not self._joint:
            raise ValueError("There are no frames to measure unit quality on; give at least one utterance.")
        by_phone, result = self.by_phone(), {}
        for suffix, joint in (
            ("", by_phone),
            ("_with_stress", self._joint),
            ("_without_silence", by_phone),
            ("_with_stress_without_silence", self._joint),
        ):
            rows = [joint[name] for name in sorted(joint) if not ("silence" in suffix and name == SILENCE)]
            counts = np.stack(rows) if rows else np.zeros((0, self.num_units), np.int64)
            measures = {"pnmi": _pnmi(counts)}
            measures |= {"phone_purity": _purity(counts, 0), "cluster_purity": _purity(counts, 1)}
            result.update({name + suffix: value for name, value in measures.items()})
        result["pnmi_bias"] = _pnmi_bias(np.stack([by_phone[name] for name in sorted(by_phone)]))

        frequency = sum(self._joint.values())
        frames, runs = int(frequency.sum()), int(self._runs.sum())
        seconds = frames / frame_rate
        bits = _entropy(frequency) / math.log(2)
        result.update(
            units_used=float(np.mean(frequency > 0)),
            perplexity=2.0**bits,
            mean_run_frames=frames / runs,
            mean_run_ms=1000 * frames / runs / frame_rate,
            mean_phone_run_frames=frames / self._num_phone_runs,
            units_per_second=float(frame_rate),
            units_per_second_dedup=runs / seconds,
            bits_per_second=bits * frame_rate,
            bits_per_second_dedup=_entropy(self._runs) / math.log(2) * runs / seconds,
            num_utterances=self.num_utterances,
            num_frames=frames,
        )
        return result


def compare_units(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> dict[str, float]:
    """
    Measure how far two quantizers agree on the same frames, whatever they call their clusters.

    Args:
        first (`Sequence[np.ndarray]`): Units of each utterance by one quantizer, of shape `(num_frames,)`.
        second (`Sequence[np.ndarray]`): Units of the same frames by another.

    Returns:
        `dict[str, float]`:
        - **nmi** -- mutual information over the mean of the two entropies: 1 where either tells the other. With many
          clusters and few frames it is too high, as any such estimate.
        - **matched** -- share of frames that agree under the best one-to-one renaming of units (the Hungarian method).
        - **num_frames**.

    Raises:
        `ValueError`: If there are no frames, or they are not the same ones.

    Examples:

    ```python
    >>> compare_units([[0, 0, 1, 1]], [[5, 5, 5, 7]])["matched"]
    0.75
    ```
    """
    from scipy.optimize import linear_sum_assignment

    if [len(row) for row in first] != [len(row) for row in second]:
        raise ValueError("The two sets of units are not of the same frames; encode the same audio with both.")
    one, other = (np.concatenate([np.zeros(0, np.int64), *map(np.asarray, rows)]) for rows in (first, second))
    if len(one) == 0:
        raise ValueError("There are no frames to compare units on; give at least one utterance.")
    counts = _joint_counts(other.astype(np.int64), one, int(other.max()) + 1)
    entropies = _entropy(counts.sum(1)), _entropy(counts.sum(0))
    information = sum(entropies) - _entropy(counts.ravel())
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return {
        "nmi": information / (sum(entropies) / 2) if sum(entropies) else 1.0,
        "matched": float(counts[rows, columns].sum() / len(one)),
        "num_frames": len(one),
    }


def _joint_counts(units: np.ndarray, phones: np.ndarray, num_units: int) -> np.ndarray:
    """Counts of shape (phones, units)."""
    names, index = np.unique(phones, return_inverse=True)
    return _count_pairs(units, index, len(names), num_units)


def _count_pairs(units: np.ndarray, phones: np.ndarray, num_phones: int, num_units: int) -> np.ndarray:
    """Counts of shape (phones, units), of phones by number."""
    return np.bincount(phones * num_units + units, minlength=num_phones * num_units).reshape(num_phones, num_units)


def _entropy(counts: np.ndarray) -> float:
    """Entropy in nats of the distribution that counts stand for."""
    probabilities = counts[counts > 0] / counts.sum()
    return -float((probabilities * np.log(probabilities)).sum())


def _pnmi(counts: np.ndarray) -> float:
    phone_entropy = _entropy(counts.sum(1)) if counts.size else 0.0
    if phone_entropy == 0:
        return float("nan")
    return (phone_entropy + _entropy(counts.sum(0)) - _entropy(counts.ravel())) / phone_entropy


def _pnmi_bias(counts: np.ndarray) -> float:
    phone_entropy = _entropy(counts.sum(1))
    if phone_entropy == 0:
        return float("nan")
    cells, phones, units = ((table > 0).sum() for table in (counts, counts.sum(1), counts.sum(0)))
    return float((cells - phones - units + 1) / (2 * counts.sum()) / phone_entropy)


def _purity(counts: np.ndarray, axis: int) -> float:
    """Share of frames in the largest cell of their column (axis 0) or row (axis 1)."""
    return float(counts.max(axis).sum() / counts.sum()) if counts.size else float("nan")
