"""Where a sequence changes between speech and text (AST): at words, by one of four rules.

words with their times -> a rule, drawn from a generator -> spans of words, each in one modality. All but one rule cut
an utterance into spans that follow one another; `segments` may say a span twice, once in each modality.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

SPEECH, TEXT = "speech", "text"


@dataclass(frozen=True)
class Span:
    """
    Words in a row that are said, or written.

    Args:
        modality (`str`): `"speech"` or `"text"`.
        first (`int`): Number of the first word, from 0.
        last (`int`): Number behind the last word.
    """

    modality: str
    first: int
    last: int


class SwitchingRule(ABC):
    """Draws where an utterance changes between speech and text."""

    @abstractmethod
    def draw(self, times: np.ndarray, rng: np.random.Generator) -> list[Span]:
        """
        Draw the spans of an utterance.

        Args:
            times (`np.ndarray` of shape `(num_words + 1,)`): When each word begins, and when the last ends, in
                seconds; at least one word.
            rng (`np.random.Generator`): Draws.

        Returns:
            `list[Span]`: Spans of at least one word; neighbours are of different modalities.
        """


@dataclass(frozen=True)
class PerWord(SwitchingRule):
    """
    After each word the modality changes with one probability; the first word is said or written as a coin falls.

    Args:
        probability (`float`, *optional*, defaults to 0.3): Of a change after a word.
    """

    probability: float = 0.3

    def __post_init__(self):
        _check_share("probability", self.probability)

    def draw(self, times: np.ndarray, rng: np.random.Generator) -> list[Span]:
        """See [`SwitchingRule.draw`]."""
        changes = np.flatnonzero(rng.random(len(times) - 2) < self.probability) + 1
        return _alternate(_coin(rng), [0, *changes.tolist(), len(times) - 1])


@dataclass(frozen=True)
class Spans(SwitchingRule):
    """
    Spans of text and of speech in turn, of lengths that are drawn evenly from two ranges (Spirit LM, 2402.05755: 10
    to 30 words of text, 5 to 15 of speech). The first is of either as a coin falls, and the last is as long as the
    utterance lets it be.

    Args:
        text (`tuple[int, int]`, *optional*, defaults to `(10, 30)`): Fewest and most words of a span of text.
        speech (`tuple[int, int]`, *optional*, defaults to `(5, 15)`): Fewest and most words of a span of speech.
        scaled (`bool`, *optional*, defaults to `True`): Whether the ranges shrink, both by one factor, for utterances
            of fewer words than two spans of each have in the mean, so that these change three times, too.
    """

    text: tuple[int, int] = (10, 30)
    speech: tuple[int, int] = (5, 15)
    scaled: bool = True

    def __post_init__(self):
        for name in (TEXT, SPEECH):
            fewest, most = getattr(self, name)
            if not 1 <= fewest <= most:
                raise ValueError(f"{name} has to be a range of at least one word, not {fewest} to {most}.")

    def draw(self, times: np.ndarray, rng: np.random.Generator) -> list[Span]:
        """See [`SwitchingRule.draw`]."""
        num_words = len(times) - 1
        usual = sum(self.text) + sum(self.speech)  # twice the mean of a span of each
        factor = min(1, num_words / usual) if self.scaled else 1
        modality = first = _coin(rng)
        cuts = [0]
        while cuts[-1] < num_words:
            fewest, most = (max(1, round(bound * factor)) for bound in getattr(self, modality))
            cuts.append(min(num_words, cuts[-1] + int(rng.integers(fewest, most + 1))))
            modality = _other(modality)
        return _alternate(first, cuts)


@dataclass(frozen=True)
class Poisson(SwitchingRule):
    """
    Spans of speech, whose numbers of words are drawn from a Poisson distribution, at random places of a text, until a
    share of all words is said (2411.17607; slamkit has a rule of this kind).

    Args:
        mean (`float`, *optional*, defaults to 10): Mean number of words of a span of speech before the last is cut;
            no span has fewer than one.
        speech_share (`float`, *optional*, defaults to 0.3): The share of words that are said, to the word.
    """

    mean: float = 10
    speech_share: float = 0.3

    def __post_init__(self):
        _check_share("speech_share", self.speech_share)
        if not self.mean > 0:
            raise ValueError(f"mean has to be positive, not {self.mean}.")

    def draw(self, times: np.ndarray, rng: np.random.Generator) -> list[Span]:
        """See [`SwitchingRule.draw`]."""
        num_words = len(times) - 1
        said = round(self.speech_share * num_words)
        lengths: list[int] = []
        while (left := said - sum(lengths)) > 0:
            # Two spans of speech have a written word between them, or are one.
            if len(lengths) > num_words - said:
                lengths[-1] += left
            else:
                lengths.append(min(left, max(1, int(rng.poisson(self.mean)))))
        rng.shuffle(lengths)
        # Written words between spans: at least one, and the rest anywhere, before the first and behind the last, too.
        free = num_words - said - max(0, len(lengths) - 1)
        dividers = np.sort(rng.integers(0, free + 1, len(lengths)))
        spans, word, before = [], 0, 0
        for number, (length, divider) in enumerate(zip(lengths, dividers.tolist())):
            written = divider - before + (number > 0)
            spans += [Span(TEXT, word, word + written), Span(SPEECH, word + written, word + written + length)]
            word, before = word + written + length, divider
        spans.append(Span(TEXT, word, num_words))
        return [span for span in spans if span.first < span.last]


@dataclass(frozen=True)
class Segments(SwitchingRule):
    """
    Segments of about as many seconds, in speech and text in turn; after a segment, the next one or, with a
    probability, the same again in the other modality (USDM, 2402.05706).

    Args:
        seconds (`float`, *optional*, defaults to 10): How long a segment is: the words nearest to its multiples end
            them. What is left over at the end is of the last segment if it is less than half of one.
        repeat (`float`, *optional*, defaults to 0.5): The probability that a segment comes again.
    """

    seconds: float = 10.0
    repeat: float = 0.5

    def __post_init__(self):
        _check_share("repeat", self.repeat)
        if not self.seconds > 0:
            raise ValueError(f"seconds has to be positive, not {self.seconds}.")

    def draw(self, times: np.ndarray, rng: np.random.Generator) -> list[Span]:
        """See [`SwitchingRule.draw`]."""
        elapsed = times - times[0]
        segments = max(1, round(elapsed[-1] / self.seconds))
        nearest = [int(np.argmin(np.abs(elapsed - self.seconds * number))) for number in range(1, segments)]
        cuts = sorted({0, *nearest, len(times) - 1})
        modality, spans = _coin(rng), []
        for first, last in zip(cuts, cuts[1:]):
            spans.append(Span(modality, first, last))
            modality = _other(modality)
            if rng.random() < self.repeat:
                spans.append(Span(modality, first, last))
                modality = _other(modality)
        return spans


SWITCHING_RULES: dict[str, type[SwitchingRule]] = {
    "spans": Spans,
    "per_word": PerWord,
    "poisson": Poisson,
    "segments": Segments,
}
"""The rules by name, the default first."""


def switching_rule(name: str, **options) -> SwitchingRule:
    """
    Make a rule by its name.

    Args:
        name (`str`): One of `SWITCHING_RULES`.
        options (additional keyword arguments, *optional*): Arguments of the rule, e.g. `probability=0.5`.

    Raises:
        `ValueError`: If there is no such rule, it has no such argument, or an argument is outside its range.
    """
    if name not in SWITCHING_RULES:
        raise ValueError(f"There is no switching rule {name!r}; choose from {', '.join(SWITCHING_RULES)}.")
    known = [field.name for field in fields(SWITCHING_RULES[name])]
    for option in options:
        if option not in known:
            raise ValueError(f"The switching rule {name} has no {option!r}; it has {', '.join(known)}.")
    return SWITCHING_RULES[name](**options)


def read_rule_options(name: str, given: Sequence[str]) -> dict[str, Any]:
    """
    Arguments of a rule as they are written on a command line.

    Args:
        name (`str`): One of `SWITCHING_RULES`.
        given (`Sequence[str]`): `argument=value`, a range of words as `10-30`, a truth value as `true` or `false`.

    Returns:
        `dict[str, Any]`: For [`switching_rule`].

    Raises:
        `ValueError`: If one is not of this form, or its value is not of the argument's kind.
    """
    kinds = {field.name: type(field.default) for field in fields(SWITCHING_RULES[name])}
    options = {}
    for each in given:
        option, equals, value = each.partition("=")
        try:
            if not equals:
                raise ValueError
            options[option] = _READERS.get(kinds.get(option), str)(value)
        except (ValueError, KeyError):
            raise ValueError(
                f"{each!r} is no argument of the switching rule {name}; write argument=value, such as text=10-30, "
                f"with one of {', '.join(kinds)}."
            ) from None
    return options


def _read_range(value: str) -> tuple[int, int]:
    fewest, most = value.split("-")
    return int(fewest), int(most)


_READERS = {float: float, int: float, bool: {"true": True, "false": False}.__getitem__, tuple: _read_range}


def _alternate(modality: str, cuts: Sequence[int]) -> list[Span]:
    spans = []
    for first, last in zip(cuts, cuts[1:]):
        spans.append(Span(modality, first, last))
        modality = _other(modality)
    return spans


def _other(modality: str) -> str:
    return TEXT if modality == SPEECH else SPEECH


def _coin(rng: np.random.Generator) -> str:
    return SPEECH if rng.random() < 0.5 else TEXT


def _check_share(name: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"{name} has to be between 0 and 1, not {share}.")
