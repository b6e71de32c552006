"""What can be measured of units from elsewhere: their bits, runs and recurrence, and whether words keep their units.

a table of ids + the utterances that the page knows -> [`measure_units`] -> a row of figures for the user's units, and
one for each anchor, of the same utterances.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...models.audio import SAMPLE_RATE
from ...models.speech_units.runs import collapse_runs
from ...models.unit_quality.stability import WordDraws, WordTokens, token_rates, word_stability
from ...training.external_units.ids import fit_to_frames
from ...training.unit_report.encoding import frames_of, spelled_alike
from .known_utterances import KnownUtterance, KnownUtterances

USUAL_RATES = (12.5, 21.5, 25.0, 37.5, 40.0, 50.0, 75.0, 86.1, 100.0)
"""Ids a second of common tokenizers; one that is nearer than the edges of utterances can tell is taken."""
_NEAR = 0.03
_EDGE_SECONDS = 0.04  # what a tokenizer may pad or leave out, beside rounding to whole frames
_RECURRING = 4
_DRAWS, _RESAMPLES = 20, 500
_PHONES = "Phones, one a frame"
_YOURS = "Your units"


@dataclass(frozen=True)
class Sequences:
    """
    Units of utterances.

    Args:
        label (`str`): What they are called.
        units (`list[Sequence]`): Of each utterance: numbers, or names of phones.
        seconds (`float`, *optional*): Of all of them together, where that is known.
    """

    label: str
    units: list[Sequence]
    seconds: float | None


def measure_units(table: dict[str, np.ndarray], rate: float, known: KnownUtterances | None) -> dict[str, Any]:
    """
    Measure units from elsewhere, beside anchors.

    Args:
        table (`dict[str, np.ndarray]`): Ids of each utterance, by its name.
        rate (`float`): Ids a second; 0 where that is to be read off the utterances that are known.
        known ([`KnownUtterances`], *optional*): What the page knows.

    Returns:
        `dict[str, Any]`: `utterances`, how many there are; `known`, of how many the page knows the words; `rate`, ids
        a second or `None`; `rows`, the user's units first, each with `label` and the figures of [`describe_units`]
        and, where words are known, `stability` (figures of [`word_stability`], without the single words); `notes`,
        what could not be measured and why.

    Raises:
        `ValueError`: If the ids are more or fewer than `rate` and the length of an utterance say.
    """
    found = known.find(table) if known is not None else []
    notes = [_say_known(len(found), len(table), known)]
    seconds_known = sum(utterance.seconds for utterance in found)
    of_known = {utterance.name: table[utterance.name] for utterance in found}
    inferred = rate == 0
    if inferred and len(found) > 1:
        rate = _guess_rate(sum(map(len, of_known.values())) / seconds_known)
    elif inferred and found:
        notes.append("Word stability is not measured: one utterance does not show that units have a fixed rate.")
    framewise = _fit(of_known, found, rate, inferred, notes) if found and rate else None
    # Without a rate or a length, ids have no seconds.
    whole = len(found) == len(table)
    seconds = seconds_known if whole else sum(map(len, table.values())) / rate if rate else None
    rows = [describe_units(Sequences(_YOURS, list(table.values()), seconds))]
    others = found or (known.some() if known is not None else [])
    anchors = _anchors(known, others)
    rows += [describe_units(anchor) for anchor in anchors]
    if framewise is not None:
        _add_stability(rows, [framewise, *(anchor.units for anchor in anchors)], rate, known, found, notes)
    return {
        "utterances": len(table),
        "known": len(found),
        "rate": rate if rate and (framewise is not None or not inferred) else None,
        "rows": rows,
        "notes": [note for note in notes if note],
    }


def describe_units(sequences: Sequences) -> dict[str, Any]:
    """
    What needs no words.

    Args:
        sequences ([`Sequences`]): Units of utterances.

    Returns:
        `dict[str, Any]`: `label`; `tokens`, how many; `units`, how many different ones; `bits`, the entropy of a
        single one; `tokens_per_second` and `bits_per_second` (`None` where seconds are not known); `run`, how many
        equal ones stand together on average; `recurring`, the share of sequences of four runs that another utterance
        has, too (`None` of one utterance).
    """
    numbers = _numbered(sequences.units)
    vocabulary = 1 + max(int(row.max()) for row in numbers)
    rates = token_rates(numbers, sequences.seconds or 1.0, vocabulary)
    runs = [collapse_runs(row) for row in numbers]
    tokens = sum(map(len, numbers))
    has_seconds = sequences.seconds is not None
    return {
        "label": sequences.label,
        "tokens": tokens,
        "units": len(np.unique(np.concatenate(numbers))),
        "bits": float(np.log2(rates["perplexity"])),
        "tokens_per_second": rates["tokens_per_second"] if has_seconds else None,
        "bits_per_second": rates["bits_per_second"] if has_seconds else None,
        "run": tokens / sum(map(len, runs)),
        "recurring": _recurring(runs),
    }


def _numbered(sequences: Sequence[Sequence]) -> list[np.ndarray]:
    """Units of any kind as numbers from 0 on."""
    names = {unit: number for number, unit in enumerate(sorted({unit for row in sequences for unit in row}))}
    return [np.array([names[unit] for unit in row], np.int64) for row in sequences]


def _recurring(runs: list[list[int]]) -> float | None:
    if len(runs) < 2:
        return None
    windows = [[tuple(row[start : start + _RECURRING]) for start in range(len(row) - _RECURRING + 1)] for row in runs]
    owners: dict[tuple, set[int]] = {}
    for number, row in enumerate(windows):
        for window in row:
            owners.setdefault(window, set()).add(number)
    total = sum(map(len, windows))
    return sum(len(owners[window]) > 1 for row in windows for window in row) / total if total else None


def _guess_rate(measured: float) -> float:
    nearest = min(USUAL_RATES, key=lambda rate: abs(rate - measured))
    return nearest if abs(nearest - measured) <= _NEAR * nearest else measured


def _fit(
    ids: dict[str, np.ndarray], found: list[KnownUtterance], rate: float, inferred: bool, notes: list[str]
) -> list[np.ndarray] | None:
    """An id for each frame of each utterance; `None` where they are not one a frame, which the notes then say."""
    fitted = None
    try:
        if not inferred or _is_fixed([len(ids[each.name]) for each in found], found, rate):
            fitted = [
                fit_to_frames(ids[each.name], round(each.seconds * SAMPLE_RATE), rate, "The file", repr(each.name))
                for each in found
            ]
    except ValueError as error:
        if not inferred:
            raise ValueError(f"{str(error).partition(';')[0]}; give the rate of its ids, or 0.") from error
    if fitted is None:
        notes.append(
            "Word stability is not measured: by their lengths these units are not one a frame of a fixed rate, so "
            "that nobody knows which belong to a word; give their rate if they have one."
        )
    elif inferred:
        notes.append(
            f"A fixed rate of {rate:.4g} units a second was inferred from the lengths of {len(found)} utterances; if "
            "these units have none, what is said of words means nothing."
        )
    return fitted


def _is_fixed(counts: list[int], found: list[KnownUtterance], rate: float) -> bool:
    """
    Whether so many ids are one a frame of a fixed rate: a tokenizer rounds all lengths in one way, so that what it has
    too many or too few of differs by a frame at most, and by what it does at the edges.
    """
    beyond = [count - each.seconds * rate for count, each in zip(counts, found)]
    return max(beyond) - min(beyond) <= 1 + _EDGE_SECONDS * rate


def _anchors(known: KnownUtterances | None, utterances: list[KnownUtterance]) -> list[Sequences]:
    if known is None or not utterances:
        return []
    seconds = sum(utterance.seconds for utterance in utterances)
    anchors = [Sequences(_PHONES, [known.phones_of(utterance) for utterance in utterances], seconds)]
    if known.label is not None and all(each.units is not None for each in utterances):
        anchors.append(Sequences(f"{known.label} of this run", [each.units for each in utterances], seconds))
    return anchors


def _add_stability(
    rows: list[dict[str, Any]],
    units: list[list[Sequence]],
    rate: float,
    known: KnownUtterances,
    found: list[KnownUtterance],
    notes: list[str],
) -> None:
    """The stability of words, of which all rows have the same tokens and draws."""
    numbered = [_numbered(row) for row in units]
    rates = [rate] + [known.frame_rate] * (len(units) - 1)
    words, speakers, tokens = [], [], [[] for _ in units]
    for number, utterance in enumerate(found):
        for word in utterance.words:
            parts = []
            for row, own_rate in zip(numbered, rates):
                first, last = frames_of(word, own_rate)
                parts.append(row[number][first : last + 1])
            if spelled_alike(word["word"]) and all(map(len, parts)):
                words.append(spelled_alike(word["word"]))
                speakers.append(utterance.speaker)
                for row, part in zip(tokens, parts):
                    row.append(part)
    if not words or len(set(words)) == len(words):
        notes.append("Word stability is not measured: no word is said twice in the utterances that are known.")
        return
    draws = WordDraws(words, speakers, _DRAWS)
    for row, own in zip(rows, tokens):
        found_of = word_stability(WordTokens(words, speakers, own), draws, num_resamples=_RESAMPLES)
        row["stability"] = {
            kind: {name: None if value != value else value for name, value in figures.items() if name != "by_word"}
            for kind, figures in found_of.items()
        }


def _say_known(known: int, total: int, utterances: KnownUtterances | None) -> str:
    if utterances is None:
        return "This page knows no utterances, so that there are neither words nor anchors to compare with."
    if known == total:
        return ""
    if known == 0:
        return (
            "None of these names is one of an utterance that this page knows: there is no word stability, and the "
            "anchors are of other utterances."
        )
    return f"The page knows {known} of {total} utterances by their names; words and anchors are of these alone."
