"""Batches of audio beside the units of its frames, for the pre-training of an encoder.

utterance shards and unit shards -> a plan of each epoch (groups of rows, batches of like length, from the seed alone)
-> [`EncoderCrops.batches`], read group by group, decoded some batches ahead. Audio is never held but for some hundred
utterances; the batch of a step depends on the seed and the step, so a training can go on at any step.
"""

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from ...datasets_scripts.shards.reading import find_shards
from ...models.audio import SAMPLE_RATE, decode_flac
from ..run.workers import count_cores
from .masked_prediction import crop_frames

_POOL_ROWS = 1024
_AHEAD = 8
_EPSILON = 1e-7


@dataclass(frozen=True)
class _Row:
    """An utterance: where its audio lies, and its units."""

    name: str
    group: int
    index: int
    units: np.ndarray


class EncoderCrops:
    """
    A split's audio beside its units, of which batches of crops are made.

    A batch holds crops of equal length, so that nothing is padded: utterances of like length stand together, cut to
    the shortest of them or to `max_frames`, from a random frame on.

    Args:
        utterances (`Path`): Shards with `id` and `audio`.
        units (`Path`): Shards of the same names with `id` and `units`.
        split (`str`): `"train"`, `"validation"` or `"test"`.
        geometry (`tuple[int, int]`): Samples from a frame to the next, and samples that a frame sees.
        max_frames (`int`): Longest crop.
        min_frames (`int`): Shorter utterances are left out.
        batch_frames (`int`): Frames of a batch; fewer at the end of what is shuffled together.
        seed (`int`): Seed of order and crops.

    Raises:
        `FileNotFoundError`: If there are no shards of the split, or no units of one.
        `ValueError`: If units of an utterance are missing, or no utterance is long enough.
    """

    def __init__(
        self,
        utterances: Path,
        units: Path,
        split: str,
        geometry: tuple[int, int],
        max_frames: int,
        min_frames: int,
        batch_frames: int,
        seed: int,
    ):
        shards = find_shards(utterances, ("id", "audio")).get(split)
        if not shards:
            raise FileNotFoundError(f"There are no {split} utterances in {utterances}; make them first.")
        self.hop, self.span = geometry
        self.max_frames, self.batch_frames = max_frames, batch_frames
        self._key = [seed, ("train", "validation", "test").index(split)]
        self._groups: list[tuple[str, int]] = []
        self._rows: list[_Row] = []
        self.skipped: list[dict[str, str]] = []
        """Utterances that are left out, and why."""
        for shard in map(Path, shards):
            self._read(shard, units / shard.name, min_frames)
        if not self._rows:
            raise ValueError(
                f"No {split} utterance has {min_frames} frames; the run's utterances are too short for these masks."
            )
        self._members: dict[int, list[int]] = {}
        for number, row in enumerate(self._rows):
            self._members.setdefault(row.group, []).append(number)

    def _read(self, shard: Path, unit_shard: Path, min_frames: int) -> None:
        if not unit_shard.is_file():
            raise FileNotFoundError(f"There are no units of {shard.name} in {unit_shard.parent}; run fit-units first.")
        table = pq.read_table(unit_shard, columns=["id", "units"])
        column = table["units"].combine_chunks()
        found = {name: column[i].values for i, name in enumerate(table["id"].to_pylist())}
        file = pq.ParquetFile(shard)
        for number in range(file.num_row_groups):
            self._groups.append((str(shard), number))
            for index, name in enumerate(file.read_row_group(number, columns=["id"])["id"].to_pylist()):
                if name not in found:
                    raise ValueError(f"{shard.name}: there are no units of the utterance {name}; run fit-units again.")
                units = np.array(found[name], np.uint16)
                if len(units) < min_frames:
                    reason = f"It has {len(units)} frames, fewer than {min_frames}."
                    self.skipped.append({"id": name, "reason": reason})
                else:
                    self._rows.append(_Row(name, len(self._groups) - 1, index, units))

    @property
    def seconds(self) -> float:
        """Audio of all utterances."""
        return sum(len(row.units) for row in self._rows) * self.hop / SAMPLE_RATE

    def unit_entropy(self) -> float:
        """Entropy of a single unit in nats: the loss of a guess that knows how frequent the units are and no more."""
        counts: Counter[int] = Counter()
        for row in self._rows:
            counts.update(row.units.tolist())
        shares = np.array(list(counts.values())) / sum(counts.values())
        return float(-(shares * np.log(shares)).sum())

    def batches(self, first: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """
        The batches from a step on, without end.

        Args:
            first (`int`, *optional*, defaults to 0): The step.

        Yields:
            `tuple[torch.FloatTensor, torch.LongTensor]`: Waveforms of shape `(batch, num_samples)`, each utterance of
            mean 0 and variance 1, and units of shape `(batch, frames)`.

        Raises:
            `ValueError`: If the audio of an utterance cannot be read, or is not as long as its units say.
        """
        waiting: deque[Future] = deque()
        workers = ThreadPoolExecutor(min(_AHEAD, count_cores()))
        try:
            for step, rows, audio in self._planned(first):
                waiting.append(workers.submit(self._crop, step, rows, audio))
                if len(waiting) == _AHEAD:
                    yield waiting.popleft().result()
        finally:
            workers.shutdown(wait=False, cancel_futures=True)

    def _planned(self, first: int) -> Iterator[tuple[int, list[int], dict[int, list[bytes]]]]:
        step, epoch = 0, 0
        audio: dict[int, list[bytes]] = {}
        while True:
            for groups, batches in self._plan(epoch):
                if step + len(batches) > first:
                    audio = {group: audio.get(group) or self._audio(group) for group in groups}
                for rows in batches:
                    if step >= first:
                        yield step, rows, audio
                    step += 1
            epoch += 1

    def _plan(self, epoch: int) -> Iterator[tuple[list[int], list[list[int]]]]:
        """Groups of rows that are held at once, and the batches that are made of them."""
        rng = np.random.default_rng([*self._key, 0, epoch])
        groups: list[int] = []
        rows: list[int] = []
        order = rng.permutation(list(self._members)).tolist()
        for position, group in enumerate(order):
            groups.append(group)
            rows += self._members[group]
            if len(rows) >= _POOL_ROWS or position + 1 == len(order):
                shuffled = rng.permutation(rows)
                lengths = np.array([min(self.max_frames, len(self._rows[row].units)) for row in shuffled])
                by_length = np.argsort(lengths, kind="stable")
                batches, start = [], 0
                while start < len(rows):
                    size = max(1, self.batch_frames // int(lengths[by_length[start]]))
                    batches.append(shuffled[by_length[start : start + size]].tolist())
                    start += size
                yield groups, [batches[i] for i in rng.permutation(len(batches))]
                groups, rows = [], []

    def _audio(self, group: int) -> list[bytes]:
        shard, number = self._groups[group]
        return [row["bytes"] for row in pq.ParquetFile(shard).read_row_group(number, ["audio"])["audio"].to_pylist()]

    def _crop(self, step: int, rows: list[int], audio: dict[int, list[bytes]]) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng([*self._key, 1, step])
        chosen = [self._rows[row] for row in rows]
        frames = min(self.max_frames, *(len(row.units) for row in chosen))
        waveforms, units = [], []
        for row in chosen:
            start = int(rng.integers(len(row.units) - frames + 1))
            waveform = self._waveform(row, audio[row.group][row.index])
            waveforms.append(crop_frames(waveform, start, frames, self.hop, self.span))
            units.append(row.units[start : start + frames].astype(np.int64))
        return torch.stack(waveforms), torch.from_numpy(np.stack(units))

    def _waveform(self, row: _Row, flac: bytes) -> torch.Tensor:
        """The utterance as a quantizer's encoder hears it: of mean 0 and variance 1 as a whole."""
        try:
            samples = decode_flac(flac).astype(np.float32) / 2**15
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"The audio of the utterance {row.name} cannot be read: {error}") from error
        if len(samples) // self.hop != len(row.units):
            raise ValueError(
                f"The utterance {row.name} has {len(samples)} samples and {len(row.units)} units, which do not belong "
                "together; run fit-units again."
            )
        mean, variance = samples.mean(dtype=np.float64), samples.var(dtype=np.float64)
        return torch.from_numpy(((samples - mean) / np.sqrt(variance + _EPSILON)).astype(np.float32))
