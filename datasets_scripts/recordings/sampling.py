"""Which recordings of a corpus are taken, and of which split each is.

recordings -> [`sample_recordings`], as many words of whole documents -> [`assign_splits`], where the source has none.
Both go by the seed and the names of documents, never by the order in which a source happens to list them.
"""

import heapq
import logging
from collections.abc import Callable, Iterable

from ..text.passages import SPLITS
from ..text.splits import draw_splits, seeded_rank
from .sources import Recording

logger = logging.getLogger(__name__)

_HELD_OUT = ("validation", "test")
# Of the words that are taken, where a split of the source has so many: few, but enough to measure a loss on.
_LEAST_SHARE = 0.05


def sample_recordings(recordings: Iterable[Recording], max_words: int, seed: int) -> list[Recording]:
    """
    Take documents at random until their transcripts have `max_words` words. The last document of each split is cut.

    Where the source says splits, each has the share of the words that it has there; validation and test have at least
    a twentieth, or all that is theirs.

    Args:
        recordings (`Iterable[Recording]`): The corpus. It is read once, and little more than the sample is held.
        max_words (`int`): Words of transcripts, of all splits together.
        seed (`int`): Which documents are taken.

    Returns:
        `list[Recording]`: In the order of the corpus, at least one of each split that it has.
    """
    pools: dict[str, _Pool] = {}
    for number, recording in enumerate(recordings):
        split = recording.split or "train"
        pools.setdefault(split, _Pool(max_words, seed)).add(number, recording)
    words = {split: pool.words_seen for split, pool in pools.items()}
    shares = words if sum(words.values()) <= max_words else _share_out(words, max_words)
    taken = [pair for split, pool in pools.items() for pair in pool.take(shares[split])]
    return [recording for _, recording in sorted(taken, key=lambda pair: pair[0])]


def assign_splits(
    recordings: Iterable[Recording], seed: int, validation_fraction: float = 0.05, test_fraction: float = 0.05
) -> Callable[[Recording], str]:
    """
    Find a split for every recording. Those that the source says are kept; recordings of none are for training. Splits
    that are missing are drawn from the documents of the training split, else of validation, else of test; or from its
    recordings, where it has too few documents.

    Args:
        recordings (`Iterable[Recording]`): The corpus, which is gone through once or twice.
        seed (`int`): Which documents are drawn.
        validation_fraction (`float`, *optional*, defaults to 0.05): Share of them for validation, at least one.
        test_fraction (`float`, *optional*, defaults to 0.05): Share of them for test, at least one.

    Returns:
        `Callable[[Recording], str]`: Names the split of a recording.

    Raises:
        `ValueError`: If there are fewer usable recordings than splits.
    """
    documents: dict[str, dict[str, None]] = {}
    named = set()
    for recording in recordings:
        if not recording.problem:
            named.add(recording.split)
            documents.setdefault(recording.split or "train", {})[recording.document] = None
    donor = next((split for split in SPLITS if split in documents), "train")
    drawn = [split for split in _HELD_OUT if split not in documents or split == donor]
    if not drawn:
        return lambda recording: recording.split or "train"
    names = list(documents.get(donor, ()))
    of_documents = len(names) > len(drawn)
    if not of_documents:
        of_donor = (recording for recording in recordings if (recording.split or "train") == donor)
        names = [recording.id for recording in of_donor if not recording.problem]
    if len(names) <= len(drawn):
        raise ValueError(
            f"There are {len(names)} usable recordings for the splits train, {' and '.join(drawn)}, which need one "
            "each; add recordings, or say which split each is of."
        )
    if named - {None}:
        logger.warning(
            "No recordings are of the split %s: the documents of %s are shared among train, %s.",
            " or ".join(split for split in SPLITS if split not in documents),
            donor,
            ", ".join(drawn),
        )
    if not of_documents:
        logger.warning(
            "There are only %d documents: the recordings are split, not the documents.", len(documents[donor])
        )
    split_of = draw_splits(names, seed, validation_fraction, test_fraction, drawn)

    def find(recording: Recording) -> str:
        split = recording.split or "train"
        name = recording.document if of_documents else recording.id
        return split_of.get(name, "train") if split == donor else split

    return find


class _Pool:
    """
    The documents of a split that come first in an order that the seed decides, with about as many words as are wanted.

    Args:
        max_words (`int`): Words that are wanted at most.
        seed (`int`): Decides the order.
    """

    def __init__(self, max_words: int, seed: int):
        self.words_seen = 0
        self._max_words, self._seed = max_words, seed
        self._recordings: dict[str, list[tuple[int, Recording]]] = {}
        self._words: dict[str, int] = {}
        self._kept = 0
        self._last: list[tuple[int, str]] = []  # the last in order on top: ranks are negated
        self._bound = float("inf")

    def add(self, number: int, recording: Recording) -> None:
        """Keep a recording, unless its document comes behind enough others; forget those that it pushes behind."""
        words, document = _num_words(recording), recording.document
        self.words_seen += words
        if document not in self._recordings:
            rank = int.from_bytes(seeded_rank(self._seed, "choice", document), "big")
            if rank >= self._bound:
                return
            heapq.heappush(self._last, (-rank, document))
            self._recordings[document], self._words[document] = [], 0
        self._recordings[document].append((number, recording))
        self._words[document] += words
        self._kept += words
        while self._kept - self._words[self._last[0][1]] >= self._max_words:
            rank, document = heapq.heappop(self._last)
            self._bound = -rank
            self._kept -= self._words.pop(document)
            del self._recordings[document]

    def take(self, max_words: int) -> list[tuple[int, Recording]]:
        """The first recordings in order, with their numbers: as many as have `max_words` words, but at least one."""
        taken, words = [], 0
        for _, document in sorted(self._last, reverse=True):
            for number, recording in self._recordings[document]:
                words += _num_words(recording)
                if words > max_words and any(not one.problem for _, one in taken):
                    return taken
                taken.append((number, recording))
        return taken


def _share_out(words: dict[str, int], max_words: int) -> dict[str, int]:
    """Words of each split that are taken of a source with too many."""
    total = sum(words.values())
    largest = next(split for split in SPLITS if split in words)
    shares = {
        split: min(count, round(max_words * max(count / total, _LEAST_SHARE)))
        for split, count in words.items()
        if split != largest
    }
    return shares | {largest: max_words - sum(shares.values())}


def _num_words(recording: Recording) -> int:
    """Words of a transcript that can be used."""
    return 0 if recording.problem else len(recording.text.split())
