"""Near-duplicate passages: shingles -> MinHash -> candidates -> exact comparison.

Books come in several editions and quote each other; a test passage that also stands in the training set measures
memory. What was seen lies in a database that has a file of its own as soon as it outgrows its cache, so that memory
does not grow with the corpus.
"""

import hashlib
import re
import sqlite3
import zlib
from collections.abc import Iterable, Sequence

from datasketch import MinHash, MinHashLSH

THRESHOLD = 0.7
REPEATED_SHARE = 0.5

_SHINGLE_WORDS = 3
# Below THRESHOLD, since the index finds only about half of the pairs whose similarity is just its own threshold.
_CANDIDATE_THRESHOLD = 0.5
_NUM_PERMUTATIONS = 64
_LONG_SENTENCE_WORDS = 8
_WORD = re.compile(r"[a-z]+")
# SQLite makes a file for a database without a name, and removes it; nobody asks for what a kill leaves of it.
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -32768;
CREATE TABLE bands (digest INTEGER, passage INTEGER, PRIMARY KEY (digest, passage)) WITHOUT ROWID;
CREATE TABLE passages (number INTEGER PRIMARY KEY, words TEXT);
CREATE TABLE long_sentences (digest INTEGER PRIMARY KEY);
"""


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
        index = MinHashLSH(threshold=_CANDIDATE_THRESHOLD, num_perm=_NUM_PERMUTATIONS)
        self._bands, self._rows_a_band = index.b, index.r
        self._empty = MinHash(num_perm=_NUM_PERMUTATIONS, seed=1, hashfunc=zlib.crc32)
        self._seen = sqlite3.connect("")
        self._seen.executescript(_TABLES)
        self._num_passages = 0

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
        digests = {_digest(sentence.encode()): len(sentence.split()) for sentence in long_sentences}
        repeated = sum(digests[digest] for (digest,) in self._find("SELECT digest FROM long_sentences", digests))
        if repeated and repeated >= REPEATED_SHARE * sum(map(len, words)):
            return False

        flat = " ".join(word for sentence in words for word in sentence)
        shingles = _shingles(flat)
        signature = self._empty.copy()
        signature.update_batch([shingle.encode() for shingle in shingles])
        bands = [_digest(bytes([band]) + values.tobytes()) for band, values in enumerate(self._cut(signature))]
        query = "SELECT DISTINCT words FROM bands JOIN passages ON number = passage"
        if any(_jaccard(shingles, _shingles(other)) >= THRESHOLD for (other,) in self._find(query, bands)):
            return False
        self._seen.execute("INSERT INTO passages VALUES (?, ?)", (self._num_passages, flat))
        self._seen.executemany("INSERT INTO bands VALUES (?, ?)", [(band, self._num_passages) for band in bands])
        self._seen.executemany("INSERT OR IGNORE INTO long_sentences VALUES (?)", [(digest,) for digest in digests])
        self._num_passages += 1
        return True

    def _cut(self, signature: MinHash) -> list:
        """The bands of a signature: passages that agree in one of them are compared."""
        values, rows = signature.hashvalues, self._rows_a_band
        return [values[band * rows : (band + 1) * rows] for band in range(self._bands)]

    def _find(self, query: str, digests: Iterable[int]) -> list[tuple]:
        """Rows with one of some digests."""
        digests = list(digests)
        return self._seen.execute(f"{query} WHERE digest IN ({','.join('?' * len(digests))})", digests).fetchall()


def _digest(data: bytes) -> int:
    """Eight bytes of a hash, as the signed number that SQLite keeps."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big", signed=True)


def _shingles(text: str) -> set[str]:
    words = text.split()
    return {" ".join(words[i : i + _SHINGLE_WORDS]) for i in range(max(1, len(words) - _SHINGLE_WORDS + 1))}


def _jaccard(a: set, b: set) -> float:
    common = len(a & b)
    return common / (len(a) + len(b) - common)
