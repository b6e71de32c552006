"""Batches of a transcriber's training: utterances, half of them cut from one word to another.

[`SpokenUtterance`]s -> those that CTC can align -> an order and cuts that follow from the seed and the epoch ->
symbols and labels of a step, of like lengths.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch

from ...models.speech_units.runs import collapse_runs
from ...models.transcriber.configuration_unit_transcriber import CHARACTERS
from ...models.transcriber.ctc_search import count_steps, write_as_spoken
from ...models.transcriber.modeling_unit_transcriber import NO_LABEL, PADDING, UnitTranscriber, pad_rows
from .symbols import SpokenUtterance

_ROOM = 1.5
"""Steps for each that CTC needs: where few symbols have many letters, an utterance's mean would not do."""
_BATCHES_SORTED_TOGETHER = 8


def choose_upsampling(utterances: Sequence[SpokenUtterance], collapse: bool) -> int:
    """The fewest labels a symbol with which 99 % of the utterances have 1.5 times the steps that CTC needs."""
    needed = []
    for utterance in utterances:
        symbols = collapse_runs(utterance.symbols) if collapse else utterance.symbols
        needed.append(count_steps(write_as_spoken(utterance.text, CHARACTERS)) / max(1, len(symbols)))
    return max(1, math.ceil(_ROOM * np.quantile(needed, 0.99)))


def can_align(model: UnitTranscriber, symbols: Sequence[int], labels: Sequence[int]) -> bool:
    """Whether a transcriber has as many steps for an utterance as CTC needs for its text."""
    return len(symbols) * model.config.upsampling >= count_steps(labels)


class TranscriberBatches:
    """
    The training split in batches.

    Args:
        utterances (`Sequence[SpokenUtterance]`): The utterances. Those without words, and those that cannot be aligned
            whole, are left out and named in `skipped`.
        model ([`UnitTranscriber`]): Says how symbols and texts are read.
        batch_size (`int`): Utterances a step.
        cut_share (`float`): Share of them that are cut.
        seed (`int`): Of order and cuts.

    Raises:
        `ValueError`: If no utterance is left.
    """

    def __init__(
        self,
        utterances: Sequence[SpokenUtterance],
        model: UnitTranscriber,
        batch_size: int,
        cut_share: float,
        seed: int,
    ):
        self.model, self.batch_size, self.cut_share, self.seed = model, batch_size, cut_share, seed
        self.skipped: list[dict[str, str]] = []
        self.utterances: list[SpokenUtterance] = []
        for utterance in utterances:
            if reason := self._reason_to_skip(utterance):
                self.skipped.append({"id": utterance.id, "reason": reason})
            else:
                self.utterances.append(utterance)
        if not self.utterances:
            raise ValueError(
                f"None of {len(utterances)} training utterances can be aligned with its text; raise --upsampling. "
                f"{self.skipped[0]['reason']}"
                if self.skipped
                else "There are no training utterances."
            )
        self.steps_per_epoch = math.ceil(len(self.utterances) / batch_size)
        self._epoch: int | None = None
        self._batches: list[list[tuple[list[int], list[int]]]] = []

    def batch(self, step: int) -> tuple[torch.LongTensor, torch.LongTensor, int]:
        """
        What a step sees.

        Args:
            step (`int`): Number of the step from the beginning of the training.

        Returns:
            `tuple[torch.LongTensor, torch.LongTensor, int]`: Symbols of shape `(batch_size, num_symbols)`, labels of
            shape `(batch_size, num_characters)`, and how many of the cuts cannot be aligned, and so add no loss.
        """
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._draw(epoch)
        symbols, labels = zip(*self._batches[index])
        unaligned = sum(not can_align(self.model, *pair) for pair in zip(symbols, labels))
        return pad_rows(symbols, PADDING), pad_rows(labels, NO_LABEL), unaligned

    def _draw(self, epoch: int) -> list[list[tuple[list[int], list[int]]]]:
        rng = np.random.default_rng([self.seed, epoch])
        examples = [self._example(self.utterances[index], rng) for index in rng.permutation(len(self.utterances))]
        together = _BATCHES_SORTED_TOGETHER * self.batch_size
        batches = []
        for start in range(0, len(examples), together):
            rows = sorted(examples[start : start + together], key=lambda example: len(example[0]))
            batches += [rows[first : first + self.batch_size] for first in range(0, len(rows), self.batch_size)]
        return [batches[index] for index in rng.permutation(len(batches))]

    def _example(self, utterance: SpokenUtterance, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        num_words = len(utterance.words)
        if rng.random() < self.cut_share and num_words > 1:
            first, last = np.sort(rng.choice(num_words + 1, 2, replace=False))
            symbols, text = utterance.cut(first, last)
            labels = self.model.read_text(text)
            if len(symbols) and labels:
                return self.model.read_symbols(symbols.tolist()), labels
        return self.model.read_symbols(utterance.symbols.tolist()), self.model.read_text(utterance.text)

    def _reason_to_skip(self, utterance: SpokenUtterance) -> str | None:
        labels = self.model.read_text(utterance.text)
        if not labels:
            return "It has no words."
        symbols = self.model.read_symbols(utterance.symbols.tolist())
        if not can_align(self.model, symbols, labels):
            steps = len(symbols) * self.model.config.upsampling
            return f"{steps} steps of {len(symbols)} symbols are too few for a text that needs {count_steps(labels)}."
        return None
