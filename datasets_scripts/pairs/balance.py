"""Balanced choice: candidates that share no word (no ending), such that no simple rule prefers a side of their pairs.

signs of the rules for every candidate, costs -> local search from the cheapest choice -> indices of those chosen.
"""

from typing import NamedTuple

import numpy as np

# What the square of the votes too many costs, in units of the mean cost of a candidate: small enough that the first
# corrections are made where they are cheap, large enough that the last vote is worth more than any one candidate.
_VOTE_COST = 10.0
# What each vote too many costs of a rule that may be beyond the tolerance: always the same, so that one that cannot be
# balanced does not outweigh the others.
_LOOSE_VOTE_COST = 1.0
_MAX_SWEEPS = 40


def choose_balanced(
    owners: np.ndarray,
    signs: np.ndarray,
    costs: np.ndarray,
    num_chosen: int,
    tolerance: float,
    strict: np.ndarray | bool = True,
    least_excess: float = 1.0,
) -> np.ndarray:
    """
    Choose candidates, at most one an owner, for which every rule is right half of the time.

    Starts from the cheapest candidates. Each in turn is then exchanged for the candidate, of its own or of unused
    owners, that brings the votes of all rules nearest to balance at the least cost, until no exchange helps.

    Args:
        owners (`np.ndarray` of shape `(num_candidates,)` or `(num_candidates, k)`): Which word a candidate belongs to,
            or which k things it is made of.
        signs (`np.ndarray` of shape `(num_candidates, num_rules)`): 1 where a rule prefers the positive side, -1
            where it prefers the negative side, 0 where it has no preference; of several pairs their mean.
        costs (`np.ndarray` of shape `(num_candidates,)`): What choosing a candidate costs; non-negative.
        num_chosen (`int`): How many are wanted; fewer are chosen where there are fewer owners.
        tolerance (`float`): How far a rule's accuracy may be from one half, as a fraction.
        strict (`np.ndarray` of shape `(num_rules,)` or `bool`, *optional*, defaults to `True`): Rules that must keep
            the tolerance, even if fewer are chosen. The others come as near as they can.
        least_excess (`float`, *optional*, defaults to 1): How many votes too many are always allowed: an odd number of
            pairs has no half.

    Returns:
        `np.ndarray`: Sorted indices of the chosen candidates.
    """
    numbered = np.unique(owners, return_inverse=True)[1].reshape(owners.shape)
    owners = numbered if owners.ndim > 1 else numbered[:, None]
    signs = signs.astype(np.float64)
    allowed = _Allowed(tolerance, least_excess)
    strict = np.broadcast_to(strict, signs.shape[1])
    prices = costs / max(float(costs.mean()), 1e-9) if len(costs) else costs
    chosen = _cheapest(owners, prices, num_chosen)
    chosen = _exchange(chosen, owners, signs, prices, allowed, strict)
    while len(chosen) and allowed.excess(signs[chosen].sum(0), len(chosen))[strict].any():
        without = signs[chosen].sum(0) - signs[chosen]
        excess = allowed.excess(without, len(chosen) - 1)[:, strict]
        chosen = np.delete(chosen, np.argmin((excess**2).sum(1)))
    return np.sort(chosen)


class _Allowed(NamedTuple):
    """How far votes may be from balance."""

    tolerance: float
    least_excess: float

    def excess(self, votes: np.ndarray, count: int) -> np.ndarray:
        """By how many votes each rule is beyond what is allowed."""
        return np.maximum(np.abs(votes) - max(2 * self.tolerance * count, self.least_excess), 0.0)


def _cheapest(owners: np.ndarray, prices: np.ndarray, num_chosen: int) -> np.ndarray:
    """The cheapest candidates, each the cheapest that was left to all of its owners."""
    chosen, free = [], np.ones(owners.max(initial=-1) + 1, dtype=bool)
    for candidate in np.argsort(prices, kind="stable"):
        if len(chosen) == num_chosen:
            break
        if free[owners[candidate]].all():
            free[owners[candidate]] = False
            chosen.append(candidate)
    return np.array(chosen, dtype=np.int64)


def _exchange(
    chosen: np.ndarray,
    owners: np.ndarray,
    signs: np.ndarray,
    prices: np.ndarray,
    allowed: _Allowed,
    strict: np.ndarray,
) -> np.ndarray:
    chosen = chosen.copy()
    free = np.ones(owners.max(initial=-1) + 1, dtype=bool)
    free[owners[chosen]] = False
    votes = signs[chosen].sum(0)
    for _ in range(_MAX_SWEEPS):
        changed = False
        for slot, current in enumerate(chosen):
            free[owners[current]] = True
            rest = votes - signs[current]
            options = np.flatnonzero(free[owners].all(axis=1))
            excess = allowed.excess(rest + signs[options], len(chosen))
            totals = prices[options] + np.where(strict, _VOTE_COST * excess**2, _LOOSE_VOTE_COST * excess).sum(1)
            best = options[np.argmin(totals)]
            if best != current and totals.min() < totals[np.searchsorted(options, current)] - 1e-9:
                chosen[slot], changed = best, True
            votes = rest + signs[chosen[slot]]
            free[owners[chosen[slot]]] = False
        if not changed:
            break
    return chosen
