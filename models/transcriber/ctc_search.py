"""Labels of CTC and characters: text -> labels, log-probabilities of labels -> the likeliest text.

A label is 0, the blank, or 1 + the index of a character. There is no language model: what it would know of English
would be taken for the speaker's. A [`Lexicon`] knows which words there are, and not which follow each other.
"""

from collections.abc import Iterable, Sequence

import numpy as np

BLANK = 0
_LEAST = -12.0
"""Labels with a lower log-probability at a step are not tried there."""


def write_as_spoken(text: str, characters: str) -> str:
    """
    A text as a transcriber writes it: small letters, single spaces, and no sign that is none of the characters.

    Args:
        text (`str`): A normalised text. A hyphen parts two words.
        characters (`str`): The characters that are known, the space among them.

    Returns:
        `str`: The text; empty if there is no known character but spaces.
    """
    small = text.lower().replace("-", " ")
    return " ".join("".join(character for character in small if character in characters).split())


def count_steps(labels: Sequence[int]) -> int:
    """Steps that CTC needs for labels: one each, and a blank between two equal ones."""
    return len(labels) + sum(first == second for first, second in zip(labels, labels[1:]))


def greedy_labels(best: Sequence[int]) -> list[int]:
    """What the likeliest label of each step spells: runs once, without blanks."""
    best = np.asarray(best)
    is_new = np.append(True, best[1:] != best[:-1])[: len(best)]
    return best[is_new & (best != BLANK)].tolist()


class Lexicon:
    """
    The words that a search may write.

    Args:
        words (`Iterable[str]`): The words, as a transcriber writes them.
        characters (`str`): The characters that are known, the space among them.

    Raises:
        `ValueError`: If there are no words.
    """

    def __init__(self, words: Iterable[str], characters: str):
        spelled = {tuple(1 + characters.index(letter) for letter in word) for word in words if word}
        if not spelled:
            raise ValueError("The lexicon is empty; give the words that may be written.")
        self.space = 1 + characters.index(" ")
        self.words = spelled
        self.beginnings = {word[:length] for word in spelled for length in range(1, len(word) + 1)}

    def allows(self, prefix: tuple[int, ...], label: int) -> bool:
        """Whether a label may follow: a space a word, a letter what begins a word."""
        word = self.last_word(prefix)
        return word in self.words if label == self.space else (*word, label) in self.beginnings

    def last_word(self, prefix: tuple[int, ...]) -> tuple[int, ...]:
        """What stands behind the last space."""
        start = len(prefix)
        while start and prefix[start - 1] != self.space:
            start -= 1
        return prefix[start:]

    def whole_words(self, prefix: tuple[int, ...]) -> tuple[int, ...]:
        """A prefix without a word that has only begun."""
        word = self.last_word(prefix)
        return prefix if not word or word in self.words else prefix[: len(prefix) - len(word)]


def prefix_beam_search(log_probs: np.ndarray, num_beams: int, lexicon: Lexicon | None = None) -> list[int]:
    """
    Search for the labels with the highest probability over all alignments (1408.2873).

    Args:
        log_probs (`np.ndarray` of shape `(num_steps, num_labels)`): Log-probabilities of the labels at each step.
        num_beams (`int`): Prefixes that are kept.
        lexicon ([`Lexicon`], *optional*): The only words that may be written.

    Returns:
        `list[int]`: The labels, without blanks.
    """
    # Of each prefix, the log-probability of the alignments that end in a blank, and of those that do not.
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -np.inf)}
    for step in log_probs.astype(np.float64):
        tried = [int(label) for label in np.flatnonzero(step > _LEAST) if label != BLANK]
        longer: dict[tuple[int, ...], tuple[float, float]] = {}
        for prefix, (in_blank, in_label) in beams.items():
            total = np.logaddexp(in_blank, in_label)
            again = in_label + step[prefix[-1]] if prefix else -np.inf
            _add(longer, prefix, total + step[BLANK], again)
            for label in tried:
                if lexicon is None or lexicon.allows(prefix, label):
                    # The same label again begins a new character only behind a blank.
                    before = in_blank if prefix and label == prefix[-1] else total
                    _add(longer, (*prefix, label), -np.inf, before + step[label])
        ranked = sorted(longer.items(), key=lambda beam: (-np.logaddexp(*beam[1]), beam[0]))
        beams = dict(ranked[:num_beams])
    best = next(iter(beams))
    if lexicon is not None:
        best = lexicon.whole_words(next((prefix for prefix in beams if lexicon.whole_words(prefix) == prefix), best))
    return list(best)


def _add(
    beams: dict[tuple[int, ...], tuple[float, float]], prefix: tuple[int, ...], in_blank: float, in_label: float
) -> None:
    blank, label = beams.get(prefix, (-np.inf, -np.inf))
    beams[prefix] = float(np.logaddexp(blank, in_blank)), float(np.logaddexp(label, in_label))
