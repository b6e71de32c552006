"""espeak's phoneme events -> ARPAbet phones and words with times.

events and samples -> [`phones_of`] -> [`floor_to_frame`] -> [`word_times`].
Times are in samples throughout; nothing here knows of files or of the library.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ...models.phones import SIL, espeak_word_to_arpabet

# Below this a pause is espeak's way of joining words, not a silence that a reader makes.
MIN_PAUSE = 0.05
_STOPS = frozenset(("P", "B", "T", "D", "K", "G", "CH", "JH"))


class PhoneEvent(NamedTuple):
    """
    One phoneme as espeak spoke it.

    Args:
        symbol (`str`): espeak's mnemonic with stress marks, e.g. `"'oU"`.
        sample (`int`): Where it starts.
        text_position (`int`): Where the word that it belongs to starts, in characters from 0.
    """

    symbol: str
    sample: int
    text_position: int


class Token(NamedTuple):
    """A white-space word of a text and the position of its first character."""

    word: str
    position: int


class TimedPhone(NamedTuple):
    """A phone, where it starts and ends, and the index of its token."""

    phone: str
    start: int
    end: int
    token: int


def phones_of(
    events: Sequence[PhoneEvent],
    samples: np.ndarray,
    tokens: Sequence[Token],
    closures: Sequence[int],
    min_pause: int,
) -> list[TimedPhone]:
    """
    Turn the events of a text into phones that follow each other without gaps.

    A symbol without a sound of its own, and a pause under `min_pause`, leave their time to the phone before them.
    espeak marks a stop where it bursts; here it begins with its closure, as forced aligners and phoneticians have it.

    Args:
        events (`Sequence[PhoneEvent]`): Phonemes in order, pauses among them.
        samples (`np.ndarray`): What was spoken: a closure is silence in it.
        tokens (`Sequence[Token]`): Words of the text that was spoken.
        closures (`Sequence[int]`): Lengths that a closure can have, ascending, see [`closure_before`].
        min_pause (`int`): Length of the shortest pause that stays.

    Returns:
        `list[TimedPhone]`: The phones with SIL, never two SIL in a row; SIL has the token before it.
    """
    phones: list[TimedPhone] = []
    sounding = np.flatnonzero(samples)
    owners = _tokens_of(events, tokens)
    ends = [event.sample for event in events[1:]] + [len(samples)]
    for event, end, mapped, token in zip(events, ends, _mapped(events, owners), owners):
        start = event.sample
        if mapped and mapped[0] in _STOPS and phones and phones[-1].phone != SIL:
            start -= closure_before(start, phones[-1].start, sounding, closures)
            phones[-1] = phones[-1]._replace(end=start)
        if not mapped or (mapped == (SIL,) and phones and phones[-1].phone == SIL):
            if phones:
                phones[-1] = phones[-1]._replace(end=end)
            continue
        cuts = [start + (end - start) * i // len(mapped) for i in range(len(mapped) + 1)]
        phones += [TimedPhone(phone, *cut, token) for phone, cut in zip(mapped, pairwise(cuts))]
    kept: list[TimedPhone] = []
    for phone in phones:
        if kept and phone.phone == SIL and phone.end - phone.start < min_pause:
            kept[-1] = kept[-1]._replace(end=phone.end)
        else:
            kept.append(phone)
    return kept


def closure_before(burst: int, earliest: int, sounding: np.ndarray, closures: Sequence[int]) -> int:
    """
    Length of the silence in front of a stop's burst.

    A voice that fades out softly makes it look up to a millisecond longer than it is. espeak makes only few lengths,
    so the longest of them that fits is the true one, and the same in every voice.

    Args:
        burst (`int`): Where the stop bursts.
        earliest (`int`): The closure cannot begin before this.
        sounding (`np.ndarray`): Positions of the samples that are not zero, ascending.
        closures (`Sequence[int]`): Lengths that a closure can have, see [`closure_lengths`].
    """
    silence = _silence_before(burst, earliest, sounding)
    return max((length for length in closures if length <= silence), default=0)


def closure_lengths(events: Sequence[PhoneEvent], samples: np.ndarray, sample_rate: int) -> list[int]:
    """
    Lengths of the closures in a text that has many stops, spoken in a voice whose sounds end clearly.

    Returns:
        `list[int]`: Different lengths in samples. espeak makes them in whole milliseconds.
    """
    sounding = np.flatnonzero(samples)
    per_millisecond = sample_rate / 1000
    milliseconds = set()
    for previous, event in pairwise(events):
        mapped = espeak_word_to_arpabet([event.symbol])[0]
        if mapped and mapped[0] in _STOPS and not previous.symbol.startswith("_"):
            silence = _silence_before(event.sample, previous.sample, sounding)
            milliseconds.add(int((silence + 1) / per_millisecond))
    return [int(length * per_millisecond) for length in sorted(milliseconds) if length > 0]


def floor_to_frame(bounds: Sequence[int], frame: int) -> list[int]:
    """
    Move the bounds between phones so that none is shorter than a frame, as far as the total allows.

    A short phone takes what it lacks from its longest neighbour, and from further away where neighbours have nothing
    to give. The first and the last bound stay.

    Args:
        bounds (`Sequence[int]`): Where each phone starts, and where the last one ends.
        frame (`int`): Length of a frame.
    """
    lengths = [end - start for start, end in pairwise(bounds)]
    shortest = min(frame, sum(lengths) // len(lengths))
    if min(lengths) >= shortest:
        return list(bounds)
    for i in range(len(lengths)):
        neighbours = [j for j in (i - 1, i + 1) if 0 <= j < len(lengths)]
        for j in sorted(neighbours, key=lambda j: -lengths[j]):
            taken = max(0, min(shortest - lengths[i], lengths[j] - shortest))
            lengths[i] += taken
            lengths[j] -= taken
    moved = [bounds[0]]
    for length in lengths:
        moved.append(moved[-1] + length)
    for i in range(1, len(moved) - 1):
        moved[i] = max(moved[i], moved[i - 1] + shortest)
    for i in range(len(moved) - 2, 0, -1):
        moved[i] = min(moved[i], moved[i + 1] - shortest)
    return moved


def word_times(tokens: Sequence[Token], phones: Sequence[TimedPhone]) -> list[tuple[str, int, int]]:
    """
    Times of all words of a text, from the phones of those that espeak tells apart.

    espeak speaks some words as one ("on the") and gives their phones to the first: they are shared out by letters. A
    token without a sound, such as a dash, has no length and stands where the word before it ends.

    Args:
        tokens (`Sequence[Token]`): White-space words of the text.
        phones (`Sequence[TimedPhone]`): Its phones; SIL is part of no word.

    Returns:
        `list[tuple[str, int, int]]`: Word, start and end of each token.
    """
    own: list[list[TimedPhone]] = [[] for _ in tokens]
    for phone in phones:
        if phone.phone != SIL:
            own[phone.token].append(phone)
    words: list[tuple[str, int, int]] = []
    position = next(phone.start for phone in phones if phone.phone != SIL)
    i = 0
    while i < len(tokens):
        last = i + 1
        while last < len(tokens) and not own[last]:
            last += 1
        for token, share in zip(tokens[i:last], _shares(tokens[i:last], own[i])):
            start, position = (share[0].start, share[-1].end) if share else (position, position)
            words.append((token.word, start, position))
        i = last
    return words


def _silence_before(position: int, earliest: int, sounding: np.ndarray) -> int:
    before = int(np.searchsorted(sounding, position))
    return position - max(earliest, int(sounding[before - 1]) + 1 if before else 0)


def _mapped(events: Sequence[PhoneEvent], owners: Sequence[int]) -> list[tuple[str, ...]]:
    """Phones of each event, mapped token by token."""
    mapped: list[tuple[str, ...]] = []
    first = 0
    for i in range(1, len(events) + 1):
        if i == len(events) or owners[i] != owners[first]:
            mapped += espeak_word_to_arpabet([event.symbol for event in events[first:i]])
            first = i
    return mapped


def _tokens_of(events: Sequence[PhoneEvent], tokens: Sequence[Token]) -> list[int]:
    """Index of each event's token; a pause belongs to the token before it."""
    owners, token = [], 0
    for event in events:
        if not event.symbol.startswith("_"):
            while token + 1 < len(tokens) and event.text_position >= tokens[token + 1].position:
                token += 1
        owners.append(token)
    return owners


def _shares(tokens: Sequence[Token], phones: Sequence[TimedPhone]) -> list[Sequence[TimedPhone]]:
    """Cut the phones of several tokens by their letters; who has letters has a phone, as long as there are enough."""
    letters = [sum(character.isalnum() for character in token.word) for token in tokens]
    shares, cut = [], 0
    for i, count in enumerate(letters):
        sounding_after = sum(later > 0 for later in letters[i + 1 :])
        left = sum(letters[i:])
        size = round((len(phones) - cut) * count / left) if left else 0
        size = min(max(size, count > 0), max(0, len(phones) - cut - sounding_after))
        shares.append(phones[cut : cut + size])
        cut += size
    return shares
