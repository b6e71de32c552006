"""What every kind of generated stories has in common: numbers, a length in words, and splits.

number of a story -> `tell` -> `Passage` -> [`tell_stories`] -> a corpus of so many words.
"""

import hashlib
from collections.abc import Callable, Iterator
from itertools import count

from ..text.passages import Passage


def tell_stories(tell: Callable[[int], Passage], max_words: int, longest: int) -> Iterator[Passage]:
    """
    Tell stories until they have so many words.

    Args:
        tell (`Callable[[int], Passage]`): Tells the story of a number.
        max_words (`int`): The corpus ends before the story that would exceed it.
        longest (`int`): Words of the longest story.

    Raises:
        `ValueError`: If `max_words` is too small for one story.
    """
    if max_words < longest:
        raise ValueError(f"max_words={max_words} may be less than one story: ask for {longest} words or more.")
    total = 0
    for number in count():
        passage = tell(number)
        total += len(passage.text.split())
        if total > max_words:
            return
        yield passage


def story_split(seed: int, number: int) -> str:
    """The split of a story, by a hash of the seed and its number: about 90, 5 and 5 % are of each."""
    share = int.from_bytes(hashlib.sha256(f"split-{seed}-{number}".encode()).digest()[:4], "big") % 100
    return "train" if share < 90 else "validation" if share < 95 else "test"
