"""Tokenizers whose faults are known, made of the aligned phones of a corpus: what a diagnosis has to find in them.

utterances and pairs of a run -> the phone of each 20 ms -> ids permuted, frames replaced by noise, allophones by
speaker, frames doubled -> [`write_table`] -> a table for `evoslm diagnose`. `docs/diagnose.md` has what it found.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...datasets_scripts.phones.frames import num_frames, phones_to_frames
from ...models.files import written_whole
from ...models.phones import ARPABET
from ...models.scoring.sides import PARTS
from ..external_units.tables import audio_name
from ..run.folder import Run
from .phone_units import number_phones

FRAME_RATE = 50.0


@dataclass(frozen=True)
class Faults:
    """
    What a tokenizer does to phones.

    Args:
        noise (`float`, *optional*, defaults to 0): Share of frames that are a random id instead.
        allophones (`int`, *optional*, defaults to 1): Ids a phone, of which each speaker uses one.
        repeats (`int`, *optional*, defaults to 1): How often every frame stands.
        permuted (`bool`, *optional*, defaults to `True`): Whether ids are in a random order.
        seed (`int`, *optional*, defaults to 0): Of all of it.
    """

    noise: float = 0.0
    allophones: int = 1
    repeats: int = 1
    permuted: bool = True
    seed: int = 0

    @property
    def frame_rate(self) -> float:
        """Ids a second."""
        return FRAME_RATE * self.repeats

    @property
    def num_units(self) -> int:
        """Different ids."""
        return len(ARPABET) * self.allophones

    def apply(self, phones: np.ndarray, speaker: str, name: str) -> np.ndarray:
        """
        Write phones as this tokenizer does.

        Args:
            phones (`np.ndarray` of shape `(num_frames,)`): The number of the phone of each 20 ms.
            speaker (`str`): Who speaks.
            name (`str`): Of the audio: the same audio gets the same noise.

        Returns:
            `np.ndarray` of shape `(repeats * num_frames,)`: int64.
        """
        units = phones.astype(np.int64)
        if self.allophones > 1:
            chosen = _generator(self.seed, speaker).integers(self.allophones, size=len(ARPABET))
            units = units * self.allophones + chosen[units]
        if self.noise:
            random = _generator(self.seed, name)
            hit = random.random(len(units)) < self.noise
            units = np.where(hit, random.integers(self.num_units, size=len(units)), units)
        if self.permuted:
            units = _generator(self.seed, "order").permutation(self.num_units)[units]
        return np.repeat(units, self.repeats)


TOKENIZERS = {
    "permuted": Faults(),
    "noise 10 %": Faults(noise=0.1),
    "noise 30 %": Faults(noise=0.3),
    "2 allophones": Faults(allophones=2),
    "8 allophones": Faults(allophones=8),
    "doubled": Faults(repeats=2),
}
"""What a diagnosis is shown to name right."""
UNSEEN = {"doubled, 4 allophones": Faults(repeats=2, allophones=4)}
"""Two faults at once, diagnosed after all of the others."""


def write_table(run: Run, faults: Faults, path: Path) -> Path:
    """
    Write what a tokenizer gives for the utterances and pairs of a run.

    Args:
        run ([`Run`]): With utterances, and pairs whose Phone-Repeat has 50 frames a second.
        faults ([`Faults`]): The tokenizer.
        path (`Path`): A parquet file.

    Returns:
        `Path`: The same.
    """
    names, units = [], []
    for shard in sorted(run.utterances().glob("*-*.parquet")):
        for row in pq.read_table(shard, columns=["id", "speaker", "phones", "duration"]).to_pylist():
            phones = number_phones(phones_to_frames(row["phones"], num_frames(row["duration"])))
            names.append(audio_name(run.utterances().name, row["id"]))
            units.append(faults.apply(phones, row["speaker"], names[-1]))
    for shard in sorted(run.pairs().glob("*/test-*.parquet")):
        columns = [f"{part}_phones_repeat" for part in PARTS]
        for row in pq.read_table(shard, columns=["id", "voice", *columns]).to_pylist():
            for part, column in zip(PARTS, columns):
                if row[column]:
                    names.append(audio_name(run.pairs().name, row["id"], row["voice"], part))
                    units.append(faults.apply(number_phones(row[column].split()), row["voice"], names[-1]))
    with written_whole(path) as partial:
        pq.write_table(pa.table({"file": names, "units": pa.array(units, pa.list_(pa.uint16()))}), partial)
    return path


def _generator(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))
