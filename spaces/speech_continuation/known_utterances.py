"""Utterances whose words, phones and units the page knows, so that units from elsewhere can be measured beside them.

a run's folder, or a dataset on the Hub -> [`KnownUtterances`] -> by the names that `evoslm export-audio` gives, what
was said, when and by whom.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets_scripts.phones.frames import phones_to_frames
from ...models.audio import FRAME_RATE, frame_samples_at
from ...models.modalities import get_modality
from ...training.external_units.tables import audio_name
from ...training.run.folder import Run
from ...training.run.study_file import open_run, read_study

_SOME = 40
"""Utterances that anchors are measured on where none of the user's is known."""
_OF_HUB = 300
_COLUMNS = ["id", "speaker", "duration", "words", "phones"]


@dataclass(frozen=True)
class KnownUtterance:
    """
    What was said in an utterance.

    Args:
        name (`str`): The name that a table of units has to give it.
        speaker (`str`): Who said it.
        seconds (`float`): How long it takes.
        words (`list[dict]`): `word`, `start` and `end` in seconds.
        phones (`list[dict]`): `phone`, `start` and `end` in seconds.
        units (`np.ndarray`, *optional*): The run's own, one a frame.
    """

    name: str
    speaker: str
    seconds: float
    words: list[dict[str, Any]] = field(repr=False)
    phones: list[dict[str, Any]] = field(repr=False)
    units: np.ndarray | None = field(default=None, repr=False)


class KnownUtterances(ABC):
    """
    Utterances by their names; they are read when they are first asked for.

    Args:
        frame_rate (`float`): Frames a second of phones and of the run's units.
        label (`str`, *optional*): What the run's units are called; `None` where there are none.
    """

    def __init__(self, frame_rate: float = FRAME_RATE, label: str | None = None):
        self.frame_rate, self.label = frame_rate, label

    @abstractmethod
    def find(self, names: Collection[str]) -> list[KnownUtterance]:
        """Those of some names that are known."""

    @abstractmethod
    def some(self) -> list[KnownUtterance]:
        """A few held-out ones."""

    def phones_of(self, utterance: KnownUtterance) -> list[str]:
        """The phone of each frame of an utterance."""
        hop = frame_samples_at(self.frame_rate)
        return phones_to_frames(utterance.phones, int(utterance.seconds * self.frame_rate + 1e-6), hop)


class RunUtterances(KnownUtterances):
    """
    Those of a run, in all splits.

    Args:
        folder (`Path`): The run.
    """

    def __init__(self, folder: Path):
        self._run, study = open_run(folder), read_study(folder)
        has_units = any(self._units_folder(self._run).glob("*.parquet"))
        label = get_modality("speech_units").label.format(encoder=study.get("encoder_label") or "units")
        super().__init__(study.get("frame_rate") or FRAME_RATE, label if has_units else None)
        self._lock = threading.Lock()

    def find(self, names: Collection[str]) -> list[KnownUtterance]:
        """As in [`KnownUtterances`]."""
        with self._lock:
            places = self._places
        by_shard: dict[Path, list[str]] = {}
        for name in names:
            if name in places:
                by_shard.setdefault(places[name], []).append(name)
        return [utterance for shard, own in by_shard.items() for utterance in self._read(shard, set(own))]

    def some(self) -> list[KnownUtterance]:
        """As in [`KnownUtterances`]."""
        with self._lock:
            held_out = [name for name, shard in self._places.items() if shard.name.startswith("test-")]
        return self.find(held_out[:_SOME])

    @cached_property
    def _places(self) -> dict[str, Path]:
        import pyarrow.parquet as pq

        return {
            audio_name("utterances", name): shard
            for shard in sorted(self._run.utterances().glob("*-*.parquet"))
            for name in pq.read_table(shard, columns=["id"])["id"].to_pylist()
        }

    def _read(self, shard: Path, names: set[str]) -> list[KnownUtterance]:
        import pyarrow.parquet as pq

        units = {}
        if self.label is not None:
            table = pq.read_table(self._units_folder(self._run) / shard.name, columns=["id", "units"])
            units = dict(zip(table["id"].to_pylist(), table["units"]))
        rows = pq.read_table(shard, columns=_COLUMNS).to_pylist()
        found = []
        for row in rows:
            if (name := audio_name("utterances", row["id"])) in names:
                own = units.get(row["id"])
                found.append(_known(row, name, None if own is None else np.array(own.as_py(), np.int64)))
        return found

    @staticmethod
    def _units_folder(run: Run) -> Path:
        return run.units() / "utterances"


class HubUtterances(KnownUtterances):
    """
    The first of the held-out ones of a dataset on the Hub.

    Args:
        dataset (`str`): Its id.
    """

    def __init__(self, dataset: str):
        super().__init__()
        self._dataset, self._lock = dataset, threading.Lock()

    def find(self, names: Collection[str]) -> list[KnownUtterance]:
        """As in [`KnownUtterances`]."""
        with self._lock:
            return [utterance for utterance in self._first if utterance.name in names]

    def some(self) -> list[KnownUtterance]:
        """As in [`KnownUtterances`]."""
        with self._lock:
            return self._first[:_SOME]

    @cached_property
    def _first(self) -> list[KnownUtterance]:
        """A page without them is a page, so that a dataset that cannot be read is said and no more."""
        from datasets import load_dataset

        try:
            rows = load_dataset(self._dataset, split="test", streaming=True).select_columns(_COLUMNS).take(_OF_HUB)
            return [_known(row, audio_name("utterances", row["id"])) for row in rows]
        except (OSError, ValueError) as error:
            print(f"There are no utterances to compare with: {self._dataset} cannot be read ({error}).", flush=True)
            return []


def find_utterances(source: Path | str | None) -> KnownUtterances | None:
    """
    The utterances of a run, or of a dataset on the Hub.

    Args:
        source (`Path` or `str`, *optional*): A run's folder, or an id.

    Returns:
        [`KnownUtterances`] or `None`: `None` where the run has no utterances, or no source is given.
    """
    if isinstance(source, Path):
        is_run = (source / "study.json").is_file() and any(source.glob("corpus/utterances/*.parquet"))
        return RunUtterances(source) if is_run else None
    return HubUtterances(source) if source else None


def _known(row: dict[str, Any], name: str, units: np.ndarray | None = None) -> KnownUtterance:
    return KnownUtterance(name, row["speaker"], row["duration"], row["words"], row["phones"], units)
