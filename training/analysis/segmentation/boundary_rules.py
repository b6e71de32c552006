"""Rules that say where words begin, and how often they are right.

surprisals of an utterance's tokens -> where they peak above a threshold ([`peaks`]); or every n-th, or at random ->
times -> hits of the reference, utterance by utterance. Thresholds are chosen on other utterances than are measured.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from ....models.unit_quality.boundaries import BoundaryCounts
from .timed_tokens import TimedUtterance

COUNTS = ["hits", "found", "expected"]
LARGEST_STEP = 20
_THRESHOLDS = 50
_DRAWS = 20


def inside(utterance: TimedUtterance, tolerance: float) -> np.ndarray:
    """
    Which candidates lie between two pauses: the edges themselves are given.

    Args:
        utterance ([`TimedUtterance`]): An utterance.
        tolerance (`float`): How far from an edge a candidate has to be, in the unit of its times.

    Returns:
        `np.ndarray` of shape `(candidates,)`: bool.
    """
    found = np.zeros(len(utterance.starts), dtype=bool)
    for start, end in utterance.stretches:
        found |= (utterance.starts > start + tolerance + 1e-6) & (utterance.starts < end - tolerance - 1e-6)
    return found


def peaks(surprisals: np.ndarray) -> np.ndarray:
    """
    Which values are above the one before and not below the one behind; the ends have one neighbour only.

    Args:
        surprisals (`np.ndarray` of shape `(candidates,)`): Nats.

    Returns:
        `np.ndarray` of shape `(candidates,)`: bool.
    """
    around = np.concatenate([[-np.inf], surprisals, [-np.inf]])
    return (surprisals > around[:-2]) & (surprisals >= around[2:])


def count(utterances: Sequence[TimedUtterance], chosen: Iterable[np.ndarray], tolerance: float) -> pd.DataFrame:
    """
    How often candidates are boundaries of words.

    Args:
        utterances (`Sequence[TimedUtterance]`): Utterances.
        chosen (`Iterable[np.ndarray]`): Of each, which of its candidates are said to be boundaries; bool.
        tolerance (`float`): By how much a boundary may be early or late, in the unit of their times.

    Returns:
        `pd.DataFrame`: A row an utterance: `id, document, hits, found, expected`.
    """
    rows = []
    for utterance, own in zip(utterances, chosen):
        counts = BoundaryCounts(tolerance)
        counts.add(utterance.starts[own], utterance.boundaries)
        rows.append((utterance.id, utterance.document, counts.num_hits, counts.num_found, counts.num_expected))
    return pd.DataFrame(rows, columns=["id", "document", *COUNTS])


def f1(counts: pd.DataFrame) -> float:
    """F1 over all utterances."""
    hits, found, expected = counts[COUNTS].sum()
    return float(2 * hits / (found + expected)) if found + expected else 0.0


def choose_threshold(
    utterances: Sequence[TimedUtterance], surprisals: Sequence[np.ndarray], tolerance: float
) -> tuple[float, float]:
    """
    The threshold above which peaks of surprisal are boundaries with the highest F1.

    Args:
        utterances (`Sequence[TimedUtterance]`): Utterances to choose by.
        surprisals (`Sequence[np.ndarray]`): Of their candidates, nats.
        tolerance (`float`): As in [`count`].

    Returns:
        `tuple[float, float]`: The threshold in nats, and its F1; of equal ones the lowest.
    """
    found = [at_peaks(utterance, own, tolerance) for utterance, own in zip(utterances, surprisals)]
    heights = np.concatenate([own[is_peak] for own, is_peak in zip(surprisals, found)])
    if not len(heights):
        return 0.0, 0.0
    thresholds = np.unique(np.quantile(heights, np.linspace(0, 1, _THRESHOLDS, endpoint=False)))
    return _best(
        thresholds.tolist(),
        lambda threshold: count(
            utterances, [is_peak & (own >= threshold) for own, is_peak in zip(surprisals, found)], tolerance
        ),
    )


def at_peaks(utterance: TimedUtterance, surprisals: np.ndarray, tolerance: float) -> np.ndarray:
    """Which candidates between pauses are peaks of surprisal."""
    return peaks(surprisals) & inside(utterance, tolerance)


def above(
    utterances: Sequence[TimedUtterance], surprisals: Sequence[np.ndarray], threshold: float, tolerance: float
) -> list[np.ndarray]:
    """Of each utterance, which candidates are peaks of surprisal at or above a threshold."""
    return [at_peaks(utterance, own, tolerance) & (own >= threshold) for utterance, own in zip(utterances, surprisals)]


def every_nth(utterances: Sequence[TimedUtterance], step: int, tolerance: float) -> list[np.ndarray]:
    """Of each utterance, every n-th candidate between two pauses, counted from the pause."""
    chosen = []
    for utterance in utterances:
        allowed, own = inside(utterance, tolerance), np.zeros(len(utterance.starts), dtype=bool)
        for start, end in utterance.stretches:
            within = np.flatnonzero((utterance.starts >= start - 1e-6) & (utterance.starts < end - 1e-6))
            own[within[step::step]] = True
        chosen.append(own & allowed)
    return chosen


def choose_step(utterances: Sequence[TimedUtterance], tolerance: float) -> tuple[int, float]:
    """The n of every n-th candidate with the highest F1, and that F1."""
    step, best = _best(
        range(1, LARGEST_STEP + 1), lambda step: count(utterances, every_nth(utterances, step, tolerance), tolerance)
    )
    return int(step), best


def at_random(utterances: Sequence[TimedUtterance], counts: pd.DataFrame, tolerance: float, seed: int) -> pd.DataFrame:
    """
    As many boundaries an utterance as a rule found, drawn among the candidates between its pauses.

    Args:
        utterances (`Sequence[TimedUtterance]`): Utterances.
        counts (`pd.DataFrame`): What [`count`] says of the rule.
        tolerance (`float`): As in [`count`].
        seed (`int`): Of the draws.

    Returns:
        `pd.DataFrame`: As [`count`] gives it, the hits the mean over 20 draws.
    """
    random, draws = np.random.default_rng(seed), []
    allowed = [np.flatnonzero(inside(utterance, tolerance)) for utterance in utterances]
    for _ in range(_DRAWS):
        chosen = []
        for utterance, own, number in zip(utterances, allowed, counts["found"]):
            drawn = np.zeros(len(utterance.starts), dtype=bool)
            drawn[random.choice(own, min(number, len(own)), replace=False)] = True
            chosen.append(drawn)
        draws.append(count(utterances, chosen, tolerance))
    return draws[0].assign(hits=np.mean([drawn["hits"] for drawn in draws], axis=0))


def _best(options: Iterable[float], try_out: Callable[[float], pd.DataFrame]) -> tuple[float, float]:
    found = [(option, f1(try_out(option))) for option in options]
    return max(found, key=lambda pair: pair[1])
