"""Consecutive sentences -> passages short enough to be spoken within a limit.

[`estimate_seconds`] says how long a synthesizer needs for a text without asking one; [`split_long_sentence`] cuts a
sentence at its clauses where it has to; [`cut_passages`] makes passages of like length of a run of sentences.
"""

import re
from collections.abc import Sequence

# Fitted to espeak-ng's own durations at 140 words per minute on 500 passages of 16 novels (standard deviation 0.56 s)
# and raised by 9 per cent, so that about one passage in a thousand lasts longer than estimated.
_REFERENCE_RATE = 140
_SECONDS_PER_LETTER = 0.067
_SECONDS_PER_WORD = 0.05
_SECONDS_PER_SENTENCE = 0.50
_SECONDS_PER_SPELLED_LETTER = 0.25
_SECONDS_PER_COMMA = 0.42
_SECONDS_PER_DASH = 0.24

TARGET_WORDS = 50
MIN_SENTENCES = 4
MAX_SENTENCES = 8
_MIN_CLAUSE_WORDS = 5

_WORD = re.compile(r"[A-Za-z]+")
_SPELLED_LETTER = re.compile(r"[B-HJ-Z](?![a-z'])")
# Where to cut a sentence that takes more than this share of a passage, from the strongest boundary to the weakest:
# semicolons; main clauses with a subject of their own; and, where the sentence would fit nowhere, dashes, other
# clauses, any comma.
_CLAUSE_BOUNDARIES = (
    (0.35, re.compile(r"[;:] ")),
    (0.5, re.compile(r", (?=(?:and|but|for|so|yet|nor) (?:I|he|she|it|we|they|you|there|this|these|those)\b)")),
    (1.0, re.compile(r" - ")),
    (1.0, re.compile(r", (?=(?:and|but|or|for|nor|so|yet|while|when|where|who|which|as|if|because|though|till)\b)")),
    (1.0, re.compile(r", ")),
)


def estimate_seconds(text: str, words_per_minute: int = _REFERENCE_RATE) -> float:
    """
    Estimate how long a normalised text takes to speak, on the long side.

    At 140 words per minute, the slowest rate that utterances are spoken at, it is 0.067 s a letter, 0.25 s more for
    a letter that is read by its name, 0.05 s a word, 0.50 s a sentence, 0.42 s a comma, semicolon or colon and 0.24
    s a dash, with all pauses and the silence at both edges; at other rates in proportion.

    Args:
        text (`str`): Text as [`~text_normalization.normalize_text`] returns it.
        words_per_minute (`int`, *optional*, defaults to 140): Rate that the synthesizer is set to.

    Returns:
        `float`: Seconds.
    """
    words = _WORD.findall(text)
    seconds = (
        sum(map(len, words)) * _SECONDS_PER_LETTER
        + len(words) * _SECONDS_PER_WORD
        + len(_SPELLED_LETTER.findall(text)) * _SECONDS_PER_SPELLED_LETTER
        + (text.count(".") + text.count("!") + text.count("?")) * _SECONDS_PER_SENTENCE
        + (text.count(",") + text.count(";") + text.count(":")) * _SECONDS_PER_COMMA
        + text.count(" - ") * _SECONDS_PER_DASH
    )
    return seconds * _REFERENCE_RATE / words_per_minute


def split_long_sentence(sentence: str, max_seconds: float = 30.0) -> list[str]:
    """
    Cut a sentence that is long for a passage into sentences at the boundaries of its clauses.

    One that takes more than 0.35 of `max_seconds` is cut at a semicolon or colon if it has one; one that takes more
    than half of it also before a main clause with a subject of its own (", and she ..."); one that takes more than
    all of it also at a dash or another comma. The boundary nearest to the middle comes first. Every piece has five
    words or more, begins with a capital letter and ends in a full stop, the last one as the sentence ended.

    Args:
        sentence (`str`): A normalised sentence.
        max_seconds (`float`, *optional*, defaults to 30.0): Longest passage, by [`estimate_seconds`].

    Returns:
        `list[str]`: The pieces; the sentence alone if it need not be cut; nothing if it is too long and cannot be cut.
    """
    seconds = estimate_seconds(sentence)
    for share, boundary in _CLAUSE_BOUNDARIES:
        if seconds <= share * max_seconds:
            return [sentence]
        middle = _middle_boundary(sentence, boundary)
        if middle:
            head, tail = sentence[: middle.start()] + ".", sentence[middle.end() :]
            pieces = [split_long_sentence(piece, max_seconds) for piece in (head, tail[0].upper() + tail[1:])]
            return pieces[0] + pieces[1] if all(pieces) else []
    return [sentence] if seconds <= max_seconds else []


def cut_passages(sentences: Sequence[str], max_seconds: float = 30.0) -> list[tuple[str, ...]]:
    """
    Cut a run of consecutive sentences into passages.

    Of all ways to cut, it takes the one with the smallest sum over passages of ((words - 50) / 50)^2, plus 0.3 for
    each sentence that a passage has less than four, plus 1 for a passage of one sentence.

    Args:
        sentences (`Sequence[str]`): Consecutive sentences, each short enough by itself.
        max_seconds (`float`, *optional*, defaults to 30.0): Longest passage, by [`estimate_seconds`].

    Returns:
        `list[tuple[str, ...]]`: Passages of at most eight sentences, in order; together they are `sentences`.
    """
    seconds = [estimate_seconds(sentence) for sentence in sentences]
    words = [_num_words(sentence) for sentence in sentences]
    costs, begins = [0.0], [0]
    for end in range(1, len(sentences) + 1):
        options, duration, length = [], 0.0, 0
        for begin in range(end - 1, max(-1, end - 1 - MAX_SENTENCES), -1):
            duration += seconds[begin]
            length += words[begin]
            if duration > max_seconds and options:
                break
            options.append((costs[begin] + _passage_cost(length, end - begin), begin))
        cost, begin = min(options)
        costs.append(cost)
        begins.append(begin)
    passages, end = [], len(sentences)
    while end:
        passages.append(tuple(sentences[begins[end] : end]))
        end = begins[end]
    return passages[::-1]


def _middle_boundary(sentence: str, boundary: re.Pattern) -> re.Match | None:
    """The boundary nearest to the middle of a sentence that leaves enough words on both sides."""
    places = [
        place
        for place in boundary.finditer(sentence)
        if min(_num_words(sentence[: place.start()]), _num_words(sentence[place.end() :])) >= _MIN_CLAUSE_WORDS
    ]
    return min(places, key=lambda place: abs(place.start() - len(sentence) / 2), default=None)


def _passage_cost(num_words: int, num_sentences: int) -> float:
    missing = max(0, MIN_SENTENCES - num_sentences)
    return (num_words / TARGET_WORDS - 1) ** 2 + 0.3 * missing + (num_sentences == 1)


def _num_words(text: str) -> int:
    return len(text.split())
