"""Training data: ids of every utterance, tokenised once, memory-mapped, and packed by the batch.

content -> `ids.npy` + `offsets.npy` -> batches of utterance numbers that are the same for every modality -> one packed
row a batch, in which documents cannot see each other and nothing is padded.
"""

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from ...models.packed_attention import pack_documents


def write_ids(folder: Path, split: str, sequences: Iterable[np.ndarray], vocab_size: int = 2**16) -> int:
    """
    Write a split's ids as flat arrays: `<split>.ids.npy` (uint16, or uint32 for a vocabulary that needs it) and
    `<split>.offsets.npy` (int64). The ids are never held all at once, and the offsets take 8 bytes a sequence.

    Args:
        folder (`Path`): Where to.
        split (`str`): The split's name.
        sequences (`Iterable[np.ndarray]`): Ids of each utterance, read once.
        vocab_size (`int`, *optional*, defaults to 65,536): Ids are smaller than this.

    Returns:
        `int`: The number of ids.

    Raises:
        `ValueError`: If an id is not in the vocabulary.
    """
    dtype, offsets = np.dtype(np.uint16 if vocab_size <= 2**16 else np.uint32), array("q", [0])
    with open(folder / f"{split}.ids.npy", "wb") as file:
        _write_npy_header(file, dtype, 0)
        for sequence in sequences:
            if len(sequence) and not 0 <= np.min(sequence) <= np.max(sequence) < vocab_size:
                raise ValueError(f"Ids from {np.min(sequence)} on are not in a vocabulary of {vocab_size}.")
            file.write(np.asarray(sequence).astype(dtype).tobytes())
            offsets.append(offsets[-1] + len(sequence))
        file.seek(0)
        _write_npy_header(file, dtype, offsets[-1])
    np.save(folder / f"{split}.offsets.npy", np.frombuffer(offsets, dtype=np.int64))
    return offsets[-1]


def _write_npy_header(file: BinaryIO, dtype: np.dtype, size: int) -> None:
    """The header of a flat array; NumPy makes it as long for any size, so that files can grow."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(file, header)


class TokenizedUtterances(Dataset):
    """
    A split's utterances as ids, memory-mapped.

    Args:
        folder (`str` or `Path`): Where [`write_ids`] wrote.
        split (`str`): The split's name.
        bos_token_id (`int`): Put before each utterance.
        eos_token_id (`int`): Put after each utterance.
    """

    def __init__(self, folder: str | Path, split: str, bos_token_id: int, eos_token_id: int):
        self.ids = np.load(Path(folder) / f"{split}.ids.npy", mmap_mode="r")
        self.offsets = np.load(Path(folder) / f"{split}.offsets.npy", mmap_mode="r")
        self.bos_token_id, self.eos_token_id = bos_token_id, eos_token_id

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        """The int64 ids of one utterance with `<s>` and `</s>` around them."""
        content = self.ids[self.offsets[index] : self.offsets[index + 1]]
        ids = np.empty(len(content) + 2, dtype=np.int64)
        ids[0], ids[1:-1], ids[-1] = self.bos_token_id, content, self.eos_token_id
        return ids

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of every utterance, `<s>` and `</s>` included."""
        return np.diff(self.offsets) + 2


class UtteranceBatchSampler(Sampler[list[int]]):
    """
    Batches of utterance numbers, from nothing but their count, the seed and the epoch: the same for every modality.

    Where several processes train, or a batch is too large for a device's memory, each batch is shared out: every
    process gets as many shares of it, of about as many tokens each, and all shares together are the batch.

    Args:
        num_utterances (`int`): Utterances in the split.
        batch_size (`int`): Utterances in a batch; the last batch of an epoch may hold fewer.
        seed (`int`): Seed of the order.
        lengths (`np.ndarray`, *optional*): Tokens of each utterance, for the shares to be even.
        rank (`int`, *optional*, defaults to 0): Which process this is.
        world_size (`int`, *optional*, defaults to 1): How many there are.
        shares (`int`, *optional*, defaults to 1): Shares of each batch for each process, one after another.
    """

    def __init__(
        self,
        num_utterances: int,
        batch_size: int,
        seed: int,
        lengths: np.ndarray | None = None,
        rank: int = 0,
        world_size: int = 1,
        shares: int = 1,
    ):
        self.num_utterances, self.batch_size, self.seed, self.epoch = num_utterances, batch_size, seed, 0
        self.lengths, self.rank, self.world_size, self.shares = lengths, rank, world_size, shares
        self._order: tuple[int, np.ndarray] | None = None

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches, which are updates, in an epoch."""
        return -(-self.num_utterances // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives."""
        self.epoch = epoch

    def batch_of_update(self, update: int) -> list[int]:
        """The whole batch of an update, counted from 1 over all epochs."""
        epoch, index = divmod(update - 1, self.batches_per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, self._order_of(epoch)
        return self._order[1][index * self.batch_size : (index + 1) * self.batch_size].tolist()

    def _order_of(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, epoch]).permutation(self.num_utterances)

    def __len__(self) -> int:
        return self.batches_per_epoch * self.shares

    def __iter__(self) -> Iterator[list[int]]:
        first = self.epoch * self.batches_per_epoch + 1
        for update in range(first, first + self.batches_per_epoch):
            batch = self.batch_of_update(update)
            if self.world_size * self.shares == 1:
                yield batch
            else:
                yield from self._share_out(batch)[self.rank :: self.world_size]

    def _share_out(self, batch: list[int]) -> list[list[int]]:
        """Longest first, each to the share that has the fewest tokens so far; a share may stay empty."""
        shares: list[list[int]] = [[] for _ in range(self.world_size * self.shares)]
        tokens = [0] * len(shares)
        sizes = np.ones(len(batch)) if self.lengths is None else self.lengths[batch]
        for index in np.argsort(-sizes, kind="stable"):
            lightest = min(range(len(shares)), key=lambda share: (tokens[share], share))
            shares[lightest].append(batch[index])
            tokens[lightest] += int(sizes[index])
        return shares


def collate_packed(sequences: list[np.ndarray]) -> dict[str, torch.Tensor]:
    """
    Lay utterances end to end in one row.

    Args:
        sequences (`list[np.ndarray]`): Ids of each utterance, as [`TokenizedUtterances`] gives them; of none becomes
            a row of one token, in which nothing is predicted. An id that is read and not predicted is written as its
            bitwise complement, `~id`.

    Returns:
        `dict[str, torch.Tensor]`: `input_ids`, `labels` (-100 on what is not predicted, each `<s>` among it) and
        `position_ids` (which restart) of shape `(1, tokens)`, and `documents` of shape `(utterances, longest)`.
    """
    sequences = sequences or [np.zeros(1, dtype=np.int64)]
    written = torch.from_numpy(np.concatenate(sequences))[None]
    position_ids, documents = pack_documents([len(sequence) for sequence in sequences])
    labels = torch.where((position_ids == 0) | (written < 0), -100, written)
    input_ids = torch.where(written < 0, ~written, written)
    return {"input_ids": input_ids, "labels": labels, "position_ids": position_ids, "documents": documents}
