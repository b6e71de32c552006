"""Training data of joint models: a sequence for each utterance, drawn anew in each epoch and tokenised as it comes.

utterances and units -> a mixture's draw for the epoch -> ids, those without loss marked -> batches of the same
utterances in the same order as those of every other model of the corpus.
"""

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from ...datasets_scripts.mixing.mixture import Mixture
from ...datasets_scripts.mixing.sequences import JointUtterance
from ...models.tokenizers.joint import bears_loss
from .data import UtteranceBatchSampler


class DrawnSequences(Dataset):
    """
    What utterances are in one epoch.

    Args:
        utterances (`Sequence[tuple[str, JointUtterance]]`): Ids and utterances.
        mixture ([`Mixture`]): Draws their sequences.
        tokenizer (`PreTrainedTokenizerBase`): A joint one.
        epoch (`int`): Passes over the data before this one.
        loss_on (`str`, *optional*, defaults to `"all"`): One of `LOSS_ON`.

    Attributes:
        kinds (`list[str]`): The kind of each sequence.
        lengths (`np.ndarray`): Tokens of each, `<s>` and `</s>` included.
    """

    def __init__(
        self,
        utterances: Sequence[tuple[str, JointUtterance]],
        mixture: Mixture,
        tokenizer: PreTrainedTokenizerBase,
        epoch: int,
        loss_on: str = "all",
    ):
        drawn = [mixture.draw(utterance_id, utterance, epoch) for utterance_id, utterance in utterances]
        self.kinds = [kind for kind, _ in drawn]
        self._sequences = []
        for ids in tokenizer([content for _, content in drawn]).input_ids if drawn else []:
            ids = np.array([*ids, tokenizer.eos_token_id])
            bears = bears_loss(tokenizer, ids, loss_on)
            bears[0] = True  # `<s>` is never predicted, and is written as it is
            self._sequences.append(np.where(bears, ids, ~ids))
        self.lengths = np.array([len(sequence) for sequence in self._sequences], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._sequences)

    def __getitem__(self, index: int) -> np.ndarray:
        """The int64 ids of a sequence, as [`collate_packed`] reads them."""
        return self._sequences[index]


class JointSequences(Dataset):
    """
    The sequences of all epochs: number `epoch * num_utterances + index` is what an utterance is in an epoch. One epoch
    is held at a time.

    Args:
        utterances (`Sequence[tuple[str, JointUtterance]]`): Ids and utterances of the training split.
        mixture ([`Mixture`]): Draws their sequences.
        tokenizer (`PreTrainedTokenizerBase`): A joint one.
        loss_on (`str`, *optional*, defaults to `"all"`): One of `LOSS_ON`.

    Attributes:
        lengths ([`LengthsByEpoch`]): Tokens of sequences by their numbers.
    """

    def __init__(
        self,
        utterances: Sequence[tuple[str, JointUtterance]],
        mixture: Mixture,
        tokenizer: PreTrainedTokenizerBase,
        loss_on: str = "all",
    ):
        self._utterances, self._mixture, self._tokenizer, self._loss_on = utterances, mixture, tokenizer, loss_on
        self._drawn: tuple[int, DrawnSequences] | None = None
        self.lengths = LengthsByEpoch(self)

    def __len__(self) -> int:
        """Utterances, which are the sequences of an epoch."""
        return len(self._utterances)

    def __getitem__(self, number: int) -> np.ndarray:
        """The int64 ids of a sequence, as [`collate_packed`] reads them."""
        epoch, index = divmod(number, len(self))
        return self.of_epoch(epoch)[index]

    def of_epoch(self, epoch: int) -> DrawnSequences:
        """
        The sequences of an epoch.

        Args:
            epoch (`int`): Passes over the data before it.
        """
        if self._drawn is None or self._drawn[0] != epoch:
            sequences = DrawnSequences(self._utterances, self._mixture, self._tokenizer, epoch, self._loss_on)
            self._drawn = epoch, sequences
        return self._drawn[1]


class LengthsByEpoch:
    """
    Tokens of the sequences of [`JointSequences`], `<s>` and `</s>` included; an epoch's are kept once asked for.

    Args:
        sequences ([`JointSequences`]): The sequences.
    """

    def __init__(self, sequences: JointSequences):
        self._sequences, self._known = sequences, {}

    def __getitem__(self, numbers: Sequence[int]) -> np.ndarray:
        """The tokens of sequences by their numbers."""
        epochs, indices = np.divmod(np.asarray(numbers, dtype=np.int64), len(self._sequences))
        return np.array([self._of_epoch(int(epoch))[index] for epoch, index in zip(epochs, indices)], dtype=np.int64)

    def max(self) -> int:
        """Tokens of the longest sequence of the first epoch."""
        return int(self._of_epoch(0).max())

    def _of_epoch(self, epoch: int) -> np.ndarray:
        if epoch not in self._known:
            self._known[epoch] = self._sequences.of_epoch(epoch).lengths
        return self._known[epoch]


class JointBatchSampler(UtteranceBatchSampler):
    """The batches of [`UtteranceBatchSampler`] in the numbers of [`JointSequences`], which have the epoch in them."""

    def _order_of(self, epoch: int) -> np.ndarray:
        return epoch * self.num_utterances + super()._order_of(epoch)
