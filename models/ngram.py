"""N-gram baselines: what counts of 1 to 5 tokens alone know of the minimal pairs.

training ids -> n-grams numbered order by order -> counts -> interpolated probabilities of all orders at once -> sums.
"""

from collections.abc import Iterable, Sequence

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
        ids: np.ndarray | Sequence[Sequence[int]],
        offsets: np.ndarray | None = None,
        *,
        vocab_size: int,
        max_order: int = 5,
    ) -> "NGramModel":
        """
        Count the n-grams of a corpus.

        Args:
            ids (`np.ndarray` or `Sequence[Sequence[int]]`):
                Training sequences, without BOS: a list of them, or all end to end in one array, with `offsets`.
            offsets (`np.ndarray` of shape `(num_sequences + 1,)`, *optional*):
                Where each sequence starts in `ids`, and the end of the last.
            vocab_size (`int`):
                Number of ids, unseen ones included.
            max_order (`int`, *optional*, defaults to 5):
                The longest n-gram.

        Returns:
            [`NGramModel`]: The model.

        Raises:
            `ValueError`: If there are no tokens, or ids outside the vocabulary.
        """
        if max_order < 1:
            raise ValueError(f"max_order must be at least 1, not {max_order}.")
        model = cls()
        model.vocab_size, model.max_order = vocab_size, max_order
        ids, offsets = flatten(ids) if offsets is None else (np.asarray(ids), np.asarray(offsets))
        if not len(ids):
            raise ValueError("There are no tokens to count n-grams in.")
        symbols, targets = model._pad(ids, offsets)

        # An n-gram is the number of the (n-1)-gram before its last token, and that token: pairs, numbered anew.
        grams, model._grams, model._counts, model._histories = symbols, [], [], []
        model._counts.append(np.bincount(grams[targets], minlength=vocab_size + 1))
        model._histories.append((np.array([len(targets)]), np.array([np.count_nonzero(model._counts[0])])))
        for _ in range(1, max_order):
            before = grams[targets - 1]
            keys = np.concatenate([[0], grams[:-1]]) * (vocab_size + 1) + symbols
            table, grams = np.unique(keys, return_inverse=True)
            counts = np.bincount(grams[targets], minlength=len(table))
            history = table[counts > 0] // (vocab_size + 1)
            size = int(before.max()) + 1
            model._grams.append(table)
            model._counts.append(counts)
            model._histories.append((np.bincount(before, minlength=size), np.bincount(history, minlength=size)))
        return model

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
        while start < len(lengths):
            stop = int(np.searchsorted(offsets, offsets[start] + _POSITIONS_PER_BLOCK, side="right")) - 1
            stop = min(max(stop, start + 1), len(lengths))
            block = ids[offsets[start] : offsets[stop]]
            values = self._log_probabilities(block, offsets[start : stop + 1] - offsets[start])
            owners = np.repeat(np.arange(stop - start), np.diff(offsets[start : stop + 1]))
            place = np.arange(len(owners)) - (offsets[start:stop] - offsets[start])[owners]
            scored = place >= skipped[start:stop][owners]
            for order, column in enumerate(values):
                sums[start:stop, order] = np.bincount(owners[scored], column[scored], minlength=stop - start)
            start = stop
        return sums

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
