"""How numbers and names look in the report: one function for each kind of number.

A missing number (`None`) is an en dash everywhere; minus signs are real ones; intervals stand in square brackets.
"""

import math
from collections.abc import Iterable, Sequence

RULE_LABELS = {"sum": "sum", "mean": "mean per token", "pmi": "PMI"}
MISSING = "–"
NBSP = "\u00a0"
OTHER_ENCODER = "‡"  # marks a figure of the paper that is of its own encoder


def number(value: float | None, digits: int = 1, sign: bool = False) -> str:
    """A plain number: `number(-1.25)` is `"−1.2"`."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")


def percent(fraction: float | None, sign: bool = False) -> str:
    """A fraction in per cent, without the sign for it: `percent(0.931)` is `"93.1"`."""
    return number(None if fraction is None else 100 * fraction, sign=sign)


def interval(estimate: dict, sign: bool = False) -> str:
    """The interval of an estimate in per cent or points, never broken over two lines: `"[91.0, 95.2]"`."""
    return f"[{percent(estimate['low'], sign)},{NBSP}{percent(estimate['high'], sign)}]"


def with_interval(estimate: dict | None, sign: bool = False, spread: bool = True) -> str:
    """An estimate in per cent or points with its interval, and its spread over training seeds where it has one."""
    if estimate is None:
        return MISSING
    over_seeds = f"{NBSP}±{NBSP}{percent(estimate['seed_sd'])}" if spread and "seed_sd" in estimate else ""
    return f"{percent(estimate['value'], sign)}{over_seeds} {interval(estimate, sign)}"


def count(value: float | None) -> str:
    """A number of things: exact below a million, with three digits and a letter above."""
    if value is None:
        return MISSING
    for size, letter in ((1e9, "B"), (1e6, "M")):
        if value >= size:
            digits = max(0, 2 - int(math.log10(value / size)))
            return f"{value / size:.{digits}f}{letter}"
    return f"{round(value):,}"


def scientific(value: float | None) -> str:
    """A large number by its magnitude: `scientific(2.73e11)` is `"2.7e11"`."""
    return MISSING if value is None else f"{value:.1e}".replace("e+", "e")


def duration(seconds: float | None) -> str:
    """A duration for a person: `"47 s"`, `"12.4 min"`, `"6.7 h"`."""
    if seconds is None:
        return MISSING
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def rate(value: float | None) -> str:
    """Tokens per second: two decimals, none where there is nothing behind the point."""
    return MISSING if value is None else f"{value:.2f}".removesuffix(".00")


def items(ns: Iterable[int]) -> str:
    """Numbers of pairs that may differ: `"n = 400"` or `"n = 398 to 400"`."""
    ns = sorted(set(ns))
    if not ns:
        return "n = 0"
    return f"n{NBSP}={NBSP}{ns[0]:,}" + (f"{NBSP}to{NBSP}{ns[-1]:,}" if len(ns) > 1 else "")


def listing(names: Iterable[str]) -> str:
    """Names in a row: `"a, b and c"`."""
    names = list(names)
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def papers(value: float | str | None, shown_as: str | None = None) -> str:
    """A figure of the paper's own: in italics, and with a mark where the paper's encoder is meant (`shown_as`)."""
    if value is None:
        return MISSING
    text = value if isinstance(value, str) else number(value)
    return f"*{text}{NBSP}{OTHER_ENCODER}*" if shown_as else f"*{text}*"


def spelled(value: int) -> str:
    """A number at the beginning of a sentence: in letters up to twelve."""
    words = ["One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve"]
    return words[value - 1] if 1 <= value <= len(words) else f"{value:,}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A Markdown table whose first `left` columns are aligned to the left and the others to the right."""
    lines = [header, [":---" if column < left else "---:" for column in range(len(header))], *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
