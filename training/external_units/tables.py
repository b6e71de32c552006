"""Tables of ids, a row an utterance or a side of a pair: JSONL as discophon writes it, or parquet.

rows of `file` and `units` -> [`read_table`] -> [`TableUnits`], which looks names up -> [`~TableUnits.select`], what a
run needs -> [`~TableUnits.save`] as flat arrays, which every worker maps into its memory.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...models.audio import SAMPLE_RATE
from ...models.files import read_json, write_json
from .ids import fit_to_frames, read_ids
from .settings import ExternalUnitsConfig

TABLE_SUFFIXES = (".jsonl", ".parquet")
_AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus")
_NAMES_FILE, _IDS_FILE, _OFFSETS_FILE = "names.json", "ids.npy", "offsets.npy"


def audio_name(rendering: str, row_id: str, voice: str | None = None, part: str | None = None) -> str:
    """
    The name of an utterance, or of a part of a minimal pair, in a table and as a file.

    Args:
        rendering (`str`): The folder of the run that holds it: `utterances`, `rendered`, `utterances_one_voice`, ...
        row_id (`str`): The row's id.
        voice (`str`, *optional*): Of a pair, who speaks.
        part (`str`, *optional*): Of a pair, `"context"`, `"positive"` or `"negative"`.

    Returns:
        `str`: One word for all of it, without the name of a folder.
    """
    other_voices = rendering.partition("_")[2]
    return "-".join(word for word in (row_id, voice, part, other_voices) if word).replace("/", "-")


class TableUnits:
    """
    Units by the name of their audio, behind the interface of [`SpeechUnitModel`].

    Args:
        config ([`ExternalUnitsConfig`]): What is known of them.
        names (`list[str]`): Names, sorted.
        ids (`np.ndarray` of shape `(num_ids,)`): uint16, of one name behind another.
        offsets (`np.ndarray` of shape `(num_names + 1,)`): Where each begins.
    """

    def __init__(self, config: ExternalUnitsConfig, names: list[str], ids: np.ndarray, offsets: np.ndarray):
        self.config, self.names, self._ids, self._offsets = config, names, ids, offsets
        self._rows = {name: row for row, name in enumerate(names)}

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __getitem__(self, name: str) -> np.ndarray:
        row = self._rows[name]
        return self._ids[self._offsets[row] : self._offsets[row + 1]]

    def fingerprint(self) -> str:
        """What stands for its ids."""
        return self.config.fingerprint

    def to(self, device: str) -> "TableUnits":
        """Nothing is computed."""
        return self

    def units(
        self,
        audio: Sequence[np.ndarray],
        speakers: Sequence[str] | None = None,
        sampling_rate: int = SAMPLE_RATE,
        segments: None = None,
        names: Sequence[str] | None = None,
    ) -> list[np.ndarray]:
        """
        Look utterances up.

        Args:
            audio (`Sequence[np.ndarray]`): Waveforms at 16 kHz, of which the length is read.
            speakers (`Sequence[str]`, *optional*): Not read.
            sampling_rate (`int`, *optional*, defaults to 16000): Not read.
            segments (`None`, *optional*): Not read: units are of frames.
            names (`Sequence[str]`): As [`audio_name`] gives them.

        Returns:
            `list[np.ndarray]`: A unit for each whole frame, as uint16.

        Raises:
            `ValueError`: If there are no names, the table lacks one, or has other than an id a frame of it.
        """
        if names is None:
            raise ValueError(
                f"{self.config.source} has the ids of a run's own utterances and pairs; other audio has to be given "
                "to the tokenizer itself, by a module:function."
            )
        return [self.fit(name, len(waveform)) for waveform, name in zip(audio, names)]

    def fit(self, name: str, num_samples: int) -> np.ndarray:
        """The units of a name, one for each whole frame; errors are those of [`~TableUnits.units`]."""
        self.check_names([name])
        return fit_to_frames(self[name], num_samples, self.config.frame_rate, self.config.source, name)

    def check_names(self, names: Iterable[str]) -> None:
        """
        Whether all of some names are there.

        Raises:
            `ValueError`: If not; it says how many, and the first of them.
        """
        names = list(names)
        missing = [name for name in names if name not in self._rows]
        if missing:
            raise ValueError(
                f"{self.config.source} lacks {len(missing)} of {len(names)} utterances and sides of pairs, the first "
                f"of them {missing[0]!r}; `evoslm export-audio RUN --to DIR` writes all of them by their names."
            )

    def select(self, names: Iterable[str]) -> "TableUnits":
        """The rows of some names alone, which have to be there."""
        names = sorted(names)
        self.check_names(names)
        sequences = [self[name] for name in names]
        offsets = np.cumsum([0, *map(len, sequences)])
        return TableUnits(self.config, names, np.concatenate([np.zeros(0, np.uint16), *sequences]), offsets)

    def save(self, folder: Path) -> None:
        """Write it to a folder, beside its configuration."""
        write_json(folder / _NAMES_FILE, self.names)
        np.save(folder / _IDS_FILE, self._ids)
        np.save(folder / _OFFSETS_FILE, self._offsets)

    @classmethod
    def load(cls, folder: Path, config: ExternalUnitsConfig) -> "TableUnits":
        """Read what [`~TableUnits.save`] wrote; ids stay on the disk until they are asked for."""
        ids = np.load(folder / _IDS_FILE, mmap_mode="r")
        return cls(config, read_json(folder / _NAMES_FILE), ids, np.load(folder / _OFFSETS_FILE))


def read_table(config: ExternalUnitsConfig) -> TableUnits:
    """
    Read a table of ids.

    Args:
        config ([`ExternalUnitsConfig`]): Says where; without `num_units` the largest id says how many there are.

    Returns:
        [`TableUnits`]: Its configuration says how many different ids there are, and has the table's fingerprint, which
        does not depend on the order of rows nor on the kind of file.

    Raises:
        `FileNotFoundError`: If there is no such file.
        `ValueError`: If it cannot be read, a row has no name or no ids, a name stands twice, or ids are out of range.
    """
    path = Path(config.source)
    if not path.is_file():
        raise FileNotFoundError(f"There is no table {path}; --units names a file of rows with `file` and `units`.")
    read = _read_json_lines if path.suffix == ".jsonl" else _read_parquet
    sequences: dict[str, np.ndarray] = {}
    for file, ids in read(path):
        name = _name_of(file, path)
        if name in sequences:
            raise ValueError(f"{path} has {name!r} twice; give one row an utterance.")
        sequences[name] = read_ids(ids, config.num_units, str(path), repr(name)).astype(np.uint16)
    if not sequences:
        raise ValueError(f"{path} has no rows; give one an utterance.")
    names, digest = sorted(sequences), hashlib.sha256()
    for name in names:
        digest.update(f"{name}\n{len(sequences[name])}\n".encode())
        digest.update(sequences[name].astype("<u2").tobytes())
    largest = max(int(ids.max()) for ids in sequences.values())
    known = replace(config, num_units=config.num_units or largest + 1, fingerprint=digest.hexdigest()[:16])
    offsets = np.cumsum([0, *(len(sequences[name]) for name in names)])
    return TableUnits(known, names, np.concatenate([sequences[name] for name in names]), offsets)


def _name_of(file: Any, path: Path) -> str:
    if not isinstance(file, str) or not file:
        raise ValueError(f"{path} has a row whose `file` is {file!r}; give the name of its audio.")
    name = file.replace("\\", "/").rpartition("/")[2]
    return name[: -len(Path(name).suffix)] if Path(name).suffix in _AUDIO_SUFFIXES else name


def _read_json_lines(path: Path) -> Iterator[tuple[Any, Any]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ValueError(f"Line {number} of {path} is no JSON ({error}); write it again.") from error
            if not isinstance(row, dict) or not {"file", "units"} <= set(row):
                raise ValueError(f'Line {number} of {path} is not {{"file": ..., "units": [...]}}; write it again.')
            yield row["file"], row["units"]


def _read_parquet(path: Path) -> Iterator[tuple[Any, Any]]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} cannot be read as parquet ({error}); write it again.") from error
    with file:
        if missing := {"file", "units"} - set(file.schema_arrow.names):
            raise ValueError(f"{path} has no column {sorted(missing)[0]!r}; a table of ids has `file` and `units`.")
        kind = file.schema_arrow.field("units").type
        if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
            raise ValueError(f"{path} has a column `units` of type {kind}; it has to hold lists of whole numbers.")
        for batch in file.iter_batches(1000, columns=["file", "units"]):
            for file_name, ids in zip(batch["file"].to_pylist(), batch["units"]):
                yield file_name, ids.values.to_numpy(zero_copy_only=False) if ids.is_valid else None
