"""Candidates for sWUGGY: the pseudo-words of many words at once, with the votes of n-grams and lengths on each.

words -> edited spellings -> those with the most word-like letters, pronounced -> those that are pseudo-words and have
the most word-like phones and pieces -> [`Candidates`].
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ...models.ngram import NGramModel, flatten
from ...models.phones import ARPABET, SIL
from ...models.tokenizers.base import SPECIAL_TOKENS
from ...models.tokenizers.text import BASE_CHARACTERS
from ..shards.reading import ReadAnew
from ..text.word_list import Lexicon, pronounce_all
from .pseudo_words import PseudoWord, SpellingEditor, reason_to_drop

MAX_ORDER = 3
PIECE_ORDER = 2
_SPELLINGS_PER_WORD = 48  # pronounced
_CANDIDATES_PER_WORD = 24  # kept
# The part of the nats by which a word's pieces are more probable that is added to a candidate's cost.
_PIECE_COST = 0.1
_CHUNK = 200
_SEQUENCES_PER_BLOCK = 4000


@dataclass(frozen=True)
class Candidates:
    """
    Pseudo-words and what a choice among them needs.

    Args:
        pseudo_words (`list[PseudoWord]`): The candidates.
        votes (`np.ndarray` of shape `(num_candidates, num_rules)`): 1 where a rule prefers the word, -1 where it
            prefers the pseudo-word, 0 where it has no preference.
        costs (`np.ndarray` of shape `(num_candidates,)`): Root mean square over the letter and phone n-grams of the
            difference of the two log-likelihoods, in nats, and a part of what the word's pieces are more probable.
    """

    pseudo_words: list[PseudoWord]
    votes: np.ndarray
    costs: np.ndarray


@dataclass(frozen=True)
class Pieces:
    """
    A tokenizer by whose pieces words should not be told from pseudo-words, as far as that can be had.

    Args:
        encode (`Callable[[list[str]], Sequence[Sequence[int]]]`): Turns contents into ids, without special tokens.
        vocab_size (`int`): Number of ids.
        of_phones (`bool`, *optional*, defaults to `False`): Whether contents are phones (`"SIL R IH1 V ER0 SIL"`)
            instead of text.
    """

    encode: Callable[[list[str]], Sequence[Sequence[int]]]
    vocab_size: int
    of_phones: bool = False


class CandidateMaker:
    """
    Makes candidates, and counts what becomes of the spellings that were tried.

    Args:
        words (`Sequence[str]`): All words that qualify; edits use their letter groups.
        texts (`Iterable[str]`): The utterances of the train split, gone through twice.
        phone_sequences (`Iterable[Sequence[str]]`): Their phones, gone through twice.
        synthesizer (`EspeakSynthesizer`): Pronounces words.
        lexicon ([`Lexicon`]): What no pseudo-word may be.
        tokenizers (`Mapping[str, Pieces]`): Tokenizers by name, whose n-grams and lengths vote, too.
    """

    def __init__(
        self,
        words: Sequence[str],
        texts: Iterable[str],
        phone_sequences: Iterable[Sequence[str]],
        synthesizer,
        lexicon: Lexicon,
        tokenizers: Mapping[str, Pieces],
    ):
        self._editor = SpellingEditor(words)
        self._letters = SymbolNgram(ReadAnew(lambda: map(_characters, texts)), [" ", *BASE_CHARACTERS])
        self._phones = SymbolNgram(phone_sequences, ARPABET)
        self._synthesizer = synthesizer
        self._lexicon = lexicon
        self._pieces = [PieceNgram(pieces, texts, phone_sequences) for pieces in tokenizers.values()]
        self._taken = set()
        self._num_tried = self._num_with_candidates = self._num_candidates = 0
        self._dropped = Counter()
        ngrams = [f"{symbols}-{order}" for symbols in ("letters", "phones") for order in range(1, MAX_ORDER + 1)]
        strict = [*ngrams, "fewer letters", "fewer phones"]
        orders = range(1, PIECE_ORDER + 1)
        self.rules = [
            *strict,
            *(f"{name}-{order}" for name in tokenizers for order in orders),
            *(f"fewer {name}" for name in tokenizers),
        ]
        self.is_strict = np.arange(len(self.rules)) < len(strict)

    def candidates(self, words: Sequence[str], num_words: int) -> Candidates:
        """Try `words` in their order until `num_words` of them have candidates."""
        parts = [Candidates([], np.zeros((0, len(self.rules))), np.zeros(0))]
        start = found = 0
        while found < num_words and start < len(words):
            part = self._candidates(words[start : start + min(_CHUNK, num_words - found)])
            start += min(_CHUNK, num_words - found)
            found += len({item.word for item in part.pseudo_words})
            parts.append(part)
        self._num_tried += start
        self._num_with_candidates += found
        return Candidates(
            [item for part in parts for item in part.pseudo_words],
            np.concatenate([part.votes for part in parts]),
            np.concatenate([part.costs for part in parts]),
        )

    def report(self) -> dict:
        """How many words were tried, for how many a pseudo-word was found, and why spellings were dropped."""
        return {
            "tried": self._num_tried,
            "with_candidates": round(self._num_with_candidates / max(self._num_tried, 1), 3),
            "candidates": self._num_candidates,
            "dropped": dict(sorted(self._dropped.items())),
        }

    def _candidates(self, words: Sequence[str]) -> Candidates:
        owners, spellings = self._spellings(words)
        margins = self._letters.margins(map(_characters, words), owners, map(_characters, spellings))
        kept = _cheapest(owners, np.abs(margins).max(1), _SPELLINGS_PER_WORD)
        self._dropped["letters too unlike the word's"] += len(owners) - len(kept)
        owners, margins, spellings = owners[kept], margins[kept], [spellings[index] for index in kept]

        sounds = pronounce_all(self._synthesizer, words)
        items = self._pseudo_words(words, sounds, owners, spellings)
        kept = np.array([index for index, item in enumerate(items) if item is not None], dtype=np.int64)
        owners, margins, items = owners[kept], margins[kept], [items[index] for index in kept]

        word_sides = [PseudoWord(word, word, phones) for word, phones in zip(words, sounds)]
        phones = [with_silence(item.phones) for item in items]
        phone_margins = self._phones.margins(map(with_silence, sounds), owners, phones)
        margins = np.concatenate([margins, phone_margins], axis=1)
        piece_margins, more_pieces = self._compare_pieces(word_sides, owners, items)
        costs = np.sqrt((margins**2).mean(1)) + _PIECE_COST * np.maximum(piece_margins, 0.0).sum(1)
        kept = _cheapest(owners, costs, _CANDIDATES_PER_WORD)
        self._dropped["phones or pieces too unlike the word's"] += len(items) - len(kept)
        self._num_candidates += len(kept)
        longer = _lengths(items) - _lengths(word_sides)[owners]
        votes = np.sign(np.concatenate([margins, longer, piece_margins, more_pieces], axis=1))
        return Candidates([items[index] for index in kept], votes[kept], costs[kept])

    def _compare_pieces(
        self, words: Sequence[PseudoWord], owners: np.ndarray, others: Sequence[PseudoWord]
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Pieces of `words[owners]` and of `others`.

        Returns:
            `tuple`: log p(word) - log p(other) in nats, of shape `(len(others), PIECE_ORDER * number of tokenizers)`;
            by how many pieces the others are longer, of shape `(len(others), number of tokenizers)`.
        """
        margins, longer = [np.zeros((len(others), 0))], [np.zeros((len(others), 0), dtype=np.int64)]
        for pieces in self._pieces:
            (word_scores, word_lengths), (scores, lengths) = pieces.score(words), pieces.score(others)
            margins.append(word_scores[owners] - scores)
            longer.append((lengths - word_lengths[owners])[:, None])
        return np.concatenate(margins, axis=1), np.concatenate(longer, axis=1)

    def _spellings(self, words: Sequence[str]) -> tuple[np.ndarray, list[str]]:
        """Edited spellings that are no words, and the index of the word that each was made from."""
        owners, spellings = [], []
        for owner, word in enumerate(words):
            edited = self._editor.edits(word)
            unknown = [spelling for spelling in edited if not self._lexicon.has_spelling(spelling)]
            self._dropped["spells another word"] += len(edited) - len(unknown)
            owners += [owner] * len(unknown)
            spellings += unknown
        return np.array(owners, dtype=np.int64), spellings

    def _pseudo_words(
        self, words: Sequence[str], sounds: list[tuple[str, ...]], owners: np.ndarray, spellings: list[str]
    ) -> list[PseudoWord | None]:
        """Pronounce spellings; `None` for those that are no pseudo-word of their owner."""
        items = []
        for owner, spelling, phones in zip(owners, spellings, pronounce_all(self._synthesizer, spellings)):
            reason = reason_to_drop(sounds[owner], phones, self._lexicon)
            if reason is None and not self._taken.isdisjoint((spelling, phones)):
                reason = "made from another word before"
            if reason is None:
                self._taken.update((spelling, phones))
            else:
                self._dropped[reason] += 1
            items.append(None if reason else PseudoWord(words[owner], spelling, phones))
        return items


class SymbolNgram:
    """
    The n-gram baseline of the modality that has these symbols, over the symbols themselves.

    Args:
        sequences (`Iterable[Sequence[str]]`): Training sequences, gone through twice and not kept.
        alphabet (`Iterable[str]`): Symbols that are in the vocabulary in any case.
    """

    def __init__(self, sequences: Iterable[Sequence[str]], alphabet: Iterable[str]):
        self._ids = {symbol: index for index, symbol in enumerate(dict.fromkeys((*SPECIAL_TOKENS, *alphabet)))}
        for sequence in sequences:
            for symbol in sorted(set(sequence).difference(self._ids)):
                self._ids[symbol] = len(self._ids)
        self._model = NGramModel.fit(self._blocks(sequences), vocab_size=len(self._ids), max_order=MAX_ORDER)

    def margins(
        self, words: Iterable[Sequence[str]], owners: np.ndarray, others: Iterable[Sequence[str]]
    ) -> np.ndarray:
        """log p(words[owners]) - log p(others) in nats for the orders 1 to 3, of shape `(len(owners), 3)`."""
        return self.log_likelihoods(words)[owners] - self.log_likelihoods(others)

    def log_likelihoods(self, sequences: Iterable[Sequence[str]]) -> np.ndarray:
        """Sum of log p over each sequence, of shape `(num_sequences, 3)`."""
        ids, offsets = self._encode(sequences)
        return self._model.log_likelihoods(ids, offsets=offsets)

    def _blocks(self, sequences: Iterable[Sequence[str]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        sequences = iter(sequences)
        while block := list(islice(sequences, _SEQUENCES_PER_BLOCK)):
            yield self._encode(block)

    def _encode(self, sequences: Iterable[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        ids, offsets = array("i"), array("q", [0])
        for sequence in sequences:
            ids.extend([self._ids[symbol] for symbol in sequence])
            offsets.append(len(ids))
        return np.frombuffer(ids, dtype=np.int32), np.frombuffer(offsets, dtype=np.int64)


class PieceNgram:
    """
    The n-gram baseline of a modality that has these pieces.

    Args:
        pieces ([`Pieces`]): The tokenizer.
        texts (`Iterable[str]`): The utterances of the train split, gone through once if it reads text.
        phone_sequences (`Iterable[Sequence[str]]`): Their phones, gone through once if it reads phones.
    """

    def __init__(self, pieces: Pieces, texts: Iterable[str], phone_sequences: Iterable[Sequence[str]]):
        self._pieces = pieces
        contents = map(" ".join, phone_sequences) if pieces.of_phones else iter(texts)
        blocks = iter(lambda: list(islice(contents, _SEQUENCES_PER_BLOCK)), [])
        self._model = NGramModel.fit(
            (flatten(pieces.encode(block)) for block in blocks), vocab_size=pieces.vocab_size, max_order=PIECE_ORDER
        )

    def score(self, items: Sequence[PseudoWord]) -> tuple[np.ndarray, np.ndarray]:
        """Log-likelihoods of the orders 1 and 2 in nats, of shape `(len(items), 2)`, and numbers of pieces."""
        if not items:
            return np.zeros((0, PIECE_ORDER)), np.zeros(0, dtype=np.int64)
        contents = [" ".join(with_silence(i.phones)) if self._pieces.of_phones else i.spelling for i in items]
        ids, offsets = flatten(self._pieces.encode(contents))
        return self._model.log_likelihoods(ids, offsets=offsets), np.diff(offsets)


def with_silence(phones: Sequence[str]) -> tuple[str, ...]:
    """Phones as an item has them: with the silence at both edges of every utterance."""
    return (SIL, *phones, SIL)


def _lengths(items: Sequence[PseudoWord]) -> np.ndarray:
    """Letters and phones of each, of shape `(len(items), 2)`."""
    return np.array([(len(item.spelling), len(item.phones)) for item in items], dtype=np.int64).reshape(-1, 2)


def _characters(text: str) -> str:
    """A text as the text tokenizers read it: with a space in front, so that every word begins alike."""
    return f" {text}"


def _cheapest(owners: np.ndarray, costs: np.ndarray, count: int) -> np.ndarray:
    """Indices of the `count` cheapest candidates of each owner, in the candidates' order."""
    order = np.lexsort((costs, owners))
    rank = np.arange(len(order)) - np.searchsorted(owners[order], owners[order])
    return np.sort(order[rank < count])
