"""Letters without spaces -> words: the likeliest cut into words of a training corpus.

words with their counts + letters -> a search over all cuts (Viterbi, unigram) -> words. What is no word is left as it
is, its letters joined, and costs more than any word.
"""

import math
from collections import Counter
from collections.abc import Iterable


class WordSpacer:
    """
    Puts spaces between words.

    Args:
        words (`Iterable[str]`): The running words of a corpus, each as often as it occurs; letters and digits.
    """

    def __init__(self, words: Iterable[str]):
        counts = Counter(word.lower() for word in words if word)
        total = sum(counts.values()) + 1
        self._costs = {word: math.log(total / count) for word, count in counts.items()}
        self._longest = max(map(len, self._costs), default=1)
        # Less likely than two of the rarest words, so that letters stand alone only where no word fits.
        self._letter_cost = 2 * math.log(total) + 1

    def space(self, letters: str) -> str:
        """
        Cut letters into words.

        Args:
            letters (`str`): Letters without spaces.

        Returns:
            `str`: The same letters in lower case with spaces.
        """
        letters = letters.lower()
        best: list[tuple[float, int, bool]] = [(0.0, 0, True)]  # cost, where the last piece begins, if it is a word
        for end in range(1, len(letters) + 1):
            options = [(best[end - 1][0] + self._letter_cost, end - 1, False)]
            for start in range(max(0, end - self._longest), end):
                cost = self._costs.get(letters[start:end])
                if cost is not None:
                    options.append((best[start][0] + cost, start, True))
            best.append(min(options))
        pieces, end = [], len(letters)
        while end:
            _, start, is_word = best[end]
            pieces.append((letters[start:end], is_word))
            end = start
        text, after_word = "", True
        for piece, is_word in reversed(pieces):
            text += ("" if not text or not (is_word or after_word) else " ") + piece
            after_word = is_word
        return text
