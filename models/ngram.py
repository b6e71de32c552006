"""N-gram baselines: what counts of 1 to 5 tokens alone know of the minimal pairs.

training ids, block by block -> n-grams numbered order by order -> counts, merged -> interpolated probabilities of all
orders at once -> sums.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_POSITIONS_PER_BLOCK = 2_000_000


class NGramModel:
    """
    Interpolated Witten-Bell n-gram models of every order from 1 to `max_order`, over token ids.

    With `c` a count in the training sequences, `T(h)` the number of different tokens that follow the history `h`, and
    `h'` the history without its oldest token:

        P_0(w) = 1 / vocab_size
        P_n(w | h) = (c(h w) + T(h) P_{n-1}(w | h')) / (c(h) + T(h)),    and P_{n-1}(w | h') where h was never seen

    (Bell, Cleary and Witten, "Text Compression", 1990, method C; interpolated as in Chen and Goodman, 1996.)
    Histories start with as many BOS as they need, BOS and end of sequence are never predicted, and `c(h)` counts only
    what is followed by a token, so that the probabilities of the `vocab_size` ids sum to one for every history.
    """

    @classmethod
    def fit(
        cls,
        ids: np.ndarray | Sequence[Sequence[int]] | Iterator[tuple[np.ndarray, np.ndarray]],
        offsets: np.ndarray | None = None,
        *,
        vocab_size: int,
        max_order: int = 5,
        asked: Sequence[Sequence[int]] | None = None,
    ) -> "NGramModel":
        """
        Count the n-grams of a corpus, block by block: beside the counts, memory does not grow with it.

        Args:
            ids (`np.ndarray`, `Sequence[Sequence[int]]` or `Iterator[tuple[np.ndarray, np.ndarray]]`):
                Training sequences, without BOS: a list of them; all end to end in one array, which may be
                memory-mapped, with `offsets`; or an iterator of such blocks of whole sequences, each with its offsets
                from 0.
            offsets (`np.ndarray` of shape `(num_sequences + 1,)`, *optional*):
                Where each sequence starts in `ids`, and the end of the last.
            vocab_size (`int`):
                Number of ids, unseen ones included.
            max_order (`int`, *optional*, defaults to 5):
                The longest n-gram.
            asked (`Sequence[Sequence[int]]`, *optional*):
                The sequences that will be scored, contexts in front. The model then counts what they need and nothing
                else, which does not grow with the corpus; it may not be asked about others.

        Returns:
            [`NGramModel`]: The model.

        Raises:
            `ValueError`: If there are no tokens, or ids outside the vocabulary.
        """
        if max_order < 1:
            raise ValueError(f"max_order must be at least 1, not {max_order}.")
        model = cls()
        model.vocab_size, model.max_order = vocab_size, max_order
        if offsets is None and isinstance(ids, Iterator):
            blocks = ids
        else:
            ids, offsets = flatten(ids) if offsets is None else (ids, np.asarray(offsets))
            blocks = cut_blocks(ids, offsets)
        needed = None if asked is None else model._count(*flatten(asked)).grams
        counts = None
        for block, bounds in blocks:
            if len(block):
                found = model._count(block, bounds)
                found = found if needed is None else found.restrict(needed, vocab_size + 1)
                counts = found if counts is None else counts.merge(found, vocab_size + 1)
        if counts is None:
            raise ValueError("There are no tokens to count n-grams in.")
        model._grams, model._counts = counts.grams, counts.counts
        model._histories = counts.histories(vocab_size + 1)
        return model

    def _count(self, ids: np.ndarray, offsets: np.ndarray) -> "_Counts":
        """The n-grams of some sequences."""
        symbols, targets = self._pad(ids, offsets)
        # An n-gram is the number of the (n-1)-gram before its last token, and that token: pairs, numbered anew.
        grams, tables = symbols, []
        counts = [np.bincount(grams[targets], minlength=self.vocab_size + 1)]
        for _ in range(1, self.max_order):
            keys = np.concatenate([[0], grams[:-1]]) * (self.vocab_size + 1) + symbols
            table, grams = np.unique(keys, return_inverse=True)
            tables.append(table)
            counts.append(np.bincount(grams[targets], minlength=len(table)))
        return _Counts(tables, counts)

    def log_likelihoods(
        self,
        sequences: np.ndarray | Sequence[Sequence[int]],
        contexts: Sequence[Sequence[int]] | None = None,
        *,
        offsets: np.ndarray | None = None,
    ) -> np.ndarray:
        """
        Sum of log p(sequence | BOS, context) by the models of all orders.

        Args:
            sequences (`np.ndarray` or `Sequence[Sequence[int]]`):
                What to score: a list of id sequences, or all end to end in one array, with `offsets`.
            contexts (`Sequence[Sequence[int]]`, *optional*):
                What comes before each sequence and is not scored.
            offsets (`np.ndarray` of shape `(num_sequences + 1,)`, *optional*):
                Where each sequence starts, if `sequences` is one array.

        Returns:
            `np.ndarray`: Log-likelihoods in nats, float64, of shape `(num_sequences, max_order)`; column `n` is the
            model of order `n + 1`.

        Raises:
            `ValueError`: If an id is outside the vocabulary, or there are not as many contexts as sequences.
        """
        ids, offsets = flatten(sequences) if offsets is None else (np.asarray(sequences), np.asarray(offsets))
        lengths, skipped = np.diff(offsets), np.zeros(len(offsets) - 1, dtype=np.int64)
        if contexts is not None:
            if len(contexts) != len(lengths):
                raise ValueError(
                    f"There are {len(lengths)} sequences and {len(contexts)} contexts; give one for each."
                )
            skipped = np.array([len(context) for context in contexts], dtype=np.int64)
            parts = np.split(ids, offsets[1:-1]) if len(lengths) else []
            ids, offsets = flatten([part for pair in zip(contexts, parts) for part in pair])
            offsets = offsets[::2]
        sums = np.zeros((len(lengths), self.max_order))
        start = 0
        for block, bounds in cut_blocks(ids, offsets):
            stop = start + len(bounds) - 1
            values = self._log_probabilities(block, bounds)
            owners = np.repeat(np.arange(stop - start), np.diff(bounds))
            place = np.arange(len(owners)) - bounds[:-1][owners]
            scored = place >= skipped[start:stop][owners]
            for order, column in enumerate(values):
                sums[start:stop, order] = np.bincount(owners[scored], column[scored], minlength=stop - start)
            start = stop
        return sums

    def token_log_probabilities(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """
        log p(token | BOS, the tokens before it) of every token by the models of all orders.

        Args:
            sequences (`Sequence[Sequence[int]]`): Token ids, without BOS.

        Returns:
            `list[np.ndarray]`: Of each sequence float64 of shape `(max_order, len(sequence))`, nats.

        Raises:
            `ValueError`: If an id is outside the vocabulary.
        """
        ids, offsets = flatten(sequences)
        found = []
        for block, bounds in cut_blocks(ids, offsets):
            found += np.split(np.stack(self._log_probabilities(block, bounds)), bounds[1:-1], axis=1)
        return found

    def _pad(self, ids: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The symbols with `max_order - 1` BOS (the id after the last) before each sequence; where the tokens are."""
        if len(ids) and (ids.min() < 0 or ids.max() >= self.vocab_size):
            raise ValueError(f"Ids from {ids.min()} to {ids.max()} are not in a vocabulary of {self.vocab_size}.")
        margin = self.max_order - 1
        sequence = np.repeat(np.arange(1, len(offsets)), np.diff(offsets))
        targets = np.arange(len(ids)) + margin * sequence
        symbols = np.full(len(ids) + margin * (len(offsets) - 1), self.vocab_size, dtype=np.int64)
        symbols[targets] = ids
        return symbols, targets

    def _log_probabilities(self, ids: np.ndarray, offsets: np.ndarray) -> list[np.ndarray]:
        """log p of every token given those before it in its sequence, for each order."""
        symbols, targets = self._pad(ids, offsets)
        probability, grams, logs = np.full(len(targets), 1 / self.vocab_size), symbols, []
        history = np.zeros(len(targets), dtype=np.int64)
        for order in range(self.max_order):
            if order:
                history = grams[targets - 1]
                keys = np.concatenate([[-1], grams[:-1]]) * (self.vocab_size + 1) + symbols
                grams = _find(self._grams[order - 1], keys)
            counts = _take(self._counts[order], grams[targets])
            followers, kinds = (_take(values, history) for values in self._histories[order])
            seen = followers > 0
            probability = np.where(
                seen, (counts + kinds * probability) / np.where(seen, followers + kinds, 1), probability
            )
            logs.append(np.log(probability))
        return logs


@dataclass(frozen=True)
class _Counts:
    """
    N-grams of the orders from 1 on, and how often each ends in a token.

    Args:
        grams (`list[np.ndarray]`): For each order from 2 on, sorted: the number of the n-gram without its last token
            in the order before, times the number of symbols, plus that token.
        counts (`list[np.ndarray]`): For each order from 1 on, the count of each n-gram; a padded one has none.
    """

    grams: list[np.ndarray]
    counts: list[np.ndarray]

    def merge(self, other: "_Counts", symbols: int) -> "_Counts":
        """The counts of both together."""
        grams, counts = [], [self.counts[0] + other.counts[0]]
        numbers = [np.arange(symbols)] * 2  # of the n-grams of each side in the merged order before
        for order, tables in enumerate(zip(self.grams, other.grams), start=1):
            # Numbers keep their order, so that a sorted table stays one.
            keys = [before[table // symbols] * symbols + table % symbols for before, table in zip(numbers, tables)]
            merged = np.union1d(*keys)
            numbers = [np.searchsorted(merged, found) for found in keys]
            total = np.zeros(len(merged), dtype=np.int64)
            for side, number in zip((self, other), numbers):
                total[number] += side.counts[order]
            grams.append(merged)
            counts.append(total)
        return _Counts(grams, counts)

    def restrict(self, needed: list[np.ndarray], symbols: int) -> "_Counts":
        """Only what follows the histories of other n-grams, whose tables are given."""
        grams, counts = [], self.counts[:1]
        kept = np.arange(symbols)  # the number of each n-gram among those that are kept
        asked = np.where(np.isin(kept, needed[0] // symbols), kept, -1) if needed else kept  # among the needed ones
        for table, count, wanted in zip(self.grams, self.counts[1:], needed):
            history, token = table // symbols, table % symbols
            is_kept = asked[history] >= 0
            grams.append(kept[history[is_kept]] * symbols + token[is_kept])
            counts.append(count[is_kept])
            asked = _find(wanted, np.where(is_kept, asked[history] * symbols + token, -1))
            kept = np.cumsum(is_kept) - 1
        return _Counts(grams, counts)

    def histories(self, symbols: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each order, how many tokens follow each history, and how many different ones."""
        found = [(np.array([self.counts[0].sum()]), np.array([np.count_nonzero(self.counts[0])]))]
        for table, count, before in zip(self.grams, self.counts[1:], self.counts):
            history, is_seen = table[count > 0] // symbols, count[count > 0]
            followers = np.zeros(len(before), dtype=np.int64)
            np.add.at(followers, history, is_seen)
            found.append((followers, np.bincount(history, minlength=len(before))))
        return found


def cut_blocks(ids: np.ndarray, offsets: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Whole sequences, of so many ids together, and where each of them starts among these."""
    start = 0
    while start < len(offsets) - 1:
        stop = int(np.searchsorted(offsets, offsets[start] + _POSITIONS_PER_BLOCK, side="right")) - 1
        stop = min(max(stop, start + 1), len(offsets) - 1)
        yield np.asarray(ids[offsets[start] : offsets[stop]]), offsets[start : stop + 1] - offsets[start]
        start = stop


def flatten(sequences: Iterable[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """
    Sequences end to end.

    Returns:
        `tuple(np.ndarray, np.ndarray)`: All ids, and the `num_sequences + 1` offsets between which each sequence lies.
    """
    sequences = [np.asarray(sequence, dtype=np.int64) for sequence in sequences]
    offsets = np.concatenate([[0], np.cumsum([len(sequence) for sequence in sequences], dtype=np.int64)])
    return np.concatenate([np.zeros(0, dtype=np.int64), *sequences]), offsets.astype(np.int64)


def _find(table: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Index of each key in a sorted table, -1 where it is not in it (as no negative key is)."""
    order = np.argsort(keys)  # searching in order is three times as fast: neighbours touch the same memory
    index = np.empty(len(keys), dtype=np.int64)
    index[order] = np.minimum(np.searchsorted(table, keys[order]), len(table) - 1)
    return np.where(table[index] == keys, index, -1)


def _take(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """`values[index]`, and 0 where the index is negative or past the end."""
    inside = (index >= 0) & (index < len(values))
    return np.where(inside, values[np.where(inside, index, 0)], 0)
