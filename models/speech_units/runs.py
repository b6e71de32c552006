"""Runs of equal symbols, of units or phones: where each begins, and the symbols without repetition.

symbols, one a frame -> [`run_starts`] -> a mask of the first of each run -> [`collapse_runs`], each run once.
"""

from collections.abc import Sequence

import numpy as np


def run_starts(symbols: Sequence | np.ndarray) -> np.ndarray:
    """
    Mark the first symbol of each run of equal symbols.

    Args:
        symbols (`Sequence` or `np.ndarray` of shape `(num_symbols,)`): Phones or units.

    Returns:
        `np.ndarray` of shape `(num_symbols,)`: bool.
    """
    symbols = np.asarray(symbols)
    starts = np.ones(len(symbols), dtype=bool)
    starts[1:] = symbols[1:] != symbols[:-1]
    return starts


def collapse_runs(symbols: Sequence | np.ndarray) -> list:
    """
    Write each run of equal symbols as one.

    Args:
        symbols (`Sequence` or `np.ndarray` of shape `(num_symbols,)`): Phones or units, e.g. `["S", "S", "AH0", "S"]`.

    Returns:
        `list`: The symbols without repetition, e.g. `["S", "AH0", "S"]`.
    """
    symbols = np.asarray(symbols)
    return symbols[run_starts(symbols)].tolist()
