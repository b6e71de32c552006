"""Entities as a text that a model can generate, and what can be read of one that it did generate.

(label, phrase) pairs -> [`format_entities`] -> `PERSON: young baker; PLACE: pantry` -> [`parse_entities`] -> the
pairs, and what was no entity.
"""

import re
import string
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

NO_ENTITIES = "none"
"""What a sentence without entities is written as."""

_SEPARATOR = re.compile(r"[;\n]+")
_BRACKETED = re.compile(r"(?P<phrase>.*?)\s*[(\[](?P<label>[^()\[\]]*)[)\]]")
_BETWEEN_WORDS = r"(?:[^\w:;,]|_)+"  # of a label
_AROUND_PHRASES = string.punctuation + string.whitespace + "“”‘’"


class ParsedEntities(NamedTuple):
    """
    What was read of a text.

    Args:
        entities (`list[tuple[str, str]]`): Canonical labels and phrases, in the order of the text.
        without_label (`int`): Stretches of text that name no label.
        without_phrase (`int`): Labels that no phrase follows.
    """

    entities: list[tuple[str, str]]
    without_label: int = 0
    without_phrase: int = 0

    @property
    def is_malformed(self) -> bool:
        """Whether a part of the text was no entity."""
        return self.without_label + self.without_phrase > 0


def canonical_label(label: str) -> str:
    """
    A label in capitals, with `_` for whatever is neither letter nor digit: `"work of art"` is `"WORK_OF_ART"`, and
    `"geo:city"` is `"GEO_CITY"`; empty where it has neither.
    """
    return re.sub(r"[\W_]+", "_", label).strip("_").upper()


def canonical_phrase(phrase: str) -> str:
    """A phrase in small letters, with single spaces and no punctuation around it."""
    return " ".join(phrase.casefold().split()).strip(_AROUND_PHRASES)


def format_entities(entities: Iterable[Sequence[str]]) -> str:
    """
    Write entities in the one form that models are taught.

    Args:
        entities (`Iterable[Sequence[str]]`): (label, phrase) pairs, in the order of the text.

    Returns:
        `str`: `"PERSON: young baker; PLACE: pantry"`, or `"none"` where there are none.
    """
    parts = (f"{canonical_label(label)}: {canonical_phrase(phrase).replace(';', ',')}" for label, phrase in entities)
    return "; ".join(parts) or NO_ENTITIES


def parse_entities(text: str, labels: Collection[str] = ()) -> ParsedEntities:
    """
    Read entities from a text, in the form of [`format_entities`] or near it.

    Entities may stand in any order and be separated by semicolons or lines; where the label is one of `labels`, also
    by a comma or nothing, and it may stand behind its phrase: `pantry: PLACE` or `pantry (PLACE)`. Case, spaces and
    punctuation around a phrase do not count. Another label in front of a colon is taken for what it says.

    Args:
        text (`str`): What a model generated; an empty one has no entities.
        labels (`Collection[str]`, *optional*): Labels that there are.

    Returns:
        [`ParsedEntities`]: What could be read. The rest is counted.
    """
    known = {canonical_label(label) for label in labels}
    if canonical_phrase(text) in ("", NO_ENTITIES):
        return ParsedEntities([])
    entities: list[tuple[str, str]] = []
    without_label = without_phrase = 0
    for part in _parts(text, known):
        label, phrase = _label_and_phrase(part, known)
        if not label:
            without_label += 1
        elif not phrase:
            without_phrase += 1
        else:
            entities.append((label, phrase))
    return ParsedEntities(entities, without_label, without_phrase)


def _parts(text: str, known: set[str]) -> list[str]:
    """What may be one entity each: between separators, and from one known label with a colon to the next."""
    parts = _SEPARATOR.split(text)
    if known:
        longest_first = sorted(known, key=len, reverse=True)
        names = "|".join(re.escape(label).replace("_", _BETWEEN_WORDS) for label in longest_first)
        before_label = re.compile(rf"(?<![:\w])(?=(?:{names})\s*:)", re.IGNORECASE)
        parts = [piece for part in parts for piece in before_label.split(part)]
    return [part for part in parts if part.strip(_AROUND_PHRASES)]


def _label_and_phrase(part: str, known: set[str]) -> tuple[str, str]:
    """Label and phrase of a part; empty where there is none."""
    bracketed = _BRACKETED.fullmatch(part.strip())
    if bracketed and canonical_label(bracketed["label"]) in known:
        return canonical_label(bracketed["label"]), canonical_phrase(bracketed["phrase"])
    first, colon, second = part.partition(":")
    if not colon:
        label = canonical_label(part)
        return (label, "") if label in known else ("", canonical_phrase(part))
    if canonical_label(first) not in known and canonical_label(second) in known:
        first, second = second, first
    return canonical_label(first), canonical_phrase(second)
