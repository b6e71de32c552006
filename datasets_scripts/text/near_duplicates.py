"""Near-duplicate passages: shingles -> MinHash -> candidates -> exact comparison.

Books come in several editions and quote each other; a test passage that also stands in the training set measures
memory.
"""

import re
import zlib
from collections.abc import Sequence

from datasketch import MinHash, MinHashLSH

THRESHOLD = 0.7
REPEATED_SHARE = 0.5

_SHINGLE_WORDS = 3
# Below THRESHOLD, since the index finds only about half of the pairs whose similarity is just its own threshold.
_CANDIDATE_THRESHOLD = 0.5
_NUM_PERMUTATIONS = 64
_LONG_SENTENCE_WORDS = 8
_WORD = re.compile(r"[a-z]+")


class NearDuplicateFilter:
    """
    Remembers passages and tells whether a new one repeats one of them.

    A passage is a near-duplicate if its set of three-word sequences (small letters, without punctuation) has a Jaccard
    similarity of 0.7 or more with that of an earlier passage; candidates come from `datasketch`'s MinHash index (64
    permutations, fixed seed) and are then compared exactly. It is one, too, if half of its words stand in sentences of
    eight words or more that came before word for word: so two copies of a book are found although their passages begin
    at different sentences.
    """

    def __init__(self):
        self._index = MinHashLSH(threshold=_CANDIDATE_THRESHOLD, num_perm=_NUM_PERMUTATIONS)
        self._empty = MinHash(num_perm=_NUM_PERMUTATIONS, seed=1, hashfunc=zlib.crc32)
        self._passages: list[str] = []
        self._long_sentences: set[str] = set()

    def add(self, sentences: Sequence[str]) -> bool:
        """
        Compare a passage with all that were added before, and add it unless it repeats one.

        Args:
            sentences (`Sequence[str]`): The sentences of the passage.

        Returns:
            `bool`: Whether it was new.
        """
        words = [_WORD.findall(sentence.lower()) for sentence in sentences]
        long_sentences = {" ".join(sentence) for sentence in words if len(sentence) >= _LONG_SENTENCE_WORDS}
        repeated = sum(len(sentence.split()) for sentence in long_sentences & self._long_sentences)
        if repeated and repeated >= REPEATED_SHARE * sum(map(len, words)):
            return False

        flat = " ".join(word for sentence in words for word in sentence)
        shingles = _shingles(flat)
        signature = self._empty.copy()
        signature.update_batch([shingle.encode() for shingle in shingles])
        if any(_jaccard(shingles, _shingles(self._passages[i])) >= THRESHOLD for i in self._index.query(signature)):
            return False
        self._index.insert(len(self._passages), signature, check_duplication=False)
        self._passages.append(flat)
        self._long_sentences |= long_sentences
        return True


def _shingles(text: str) -> set[str]:
    words = text.split()
    return {" ".join(words[i : i + _SHINGLE_WORDS]) for i in range(max(1, len(words) - _SHINGLE_WORDS + 1))}


def _jaccard(a: set, b: set) -> float:
    common = len(a & b)
    return common / (len(a) + len(b) - common)
