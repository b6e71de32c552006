"""What units say when all that is known of an utterance is what a modality writes of it: made audible, and measured.

units of the training split + its audio -> a table of spectra by unit, and mean durations -> held-out utterances ->
`<split>-*.parquet`, sound in durations that symbols alone give; `quality.json`, how far sound in the durations that
were spoken is from what was said.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ....datasets_scripts.shards.columns import column_options
from ....models.audio import SAMPLE_RATE, decode_flac, encode_flac, to_int16
from ....models.files import write_json, written_whole
from ...external_units.quantizers import read_quantizer_config
from ...run.folder import MODEL_FOLDER, QUALITY_FILE, Run
from ...run.stage import Stage, fingerprint_files
from ...transcription.sounds import load_vocoder
from .written import Written, expected_frames, frames_of, mean_durations, read_written

PACKAGES = ("torch", "torchaudio", "numpy")
READ_OFF = 200
"""Training utterances that a table is made of."""
SEGMENT_PARTS = 6
"""Of a syllable, which is no steady sound: each part has a spectrum of its own."""
_CLOSE = 1e-3  # how near parts of one unit lie, beside other units


@dataclass(frozen=True)
class SoundSettings:
    """
    What is said, and in which durations.

    Args:
        num_utterances (`int`): The first so many of the split.
        split (`str`, *optional*, defaults to `"test"`): The split.
        keeps_durations (`bool`, *optional*, defaults to `False`): Whether a modality writes a unit a frame; else the
            sound that is heard has the mean duration of each symbol.
        vocoder (`str`, *optional*): Which trained vocoder speaks, by what is in its folder; a table of mean spectra
            when not given.
    """

    num_utterances: int
    split: str = "test"
    keeps_durations: bool = False
    vocoder: str | None = None


def sound_stage(
    folder: Path, run: Run, unit_of: str, num_utterances: int, keeps_durations: bool, vocoder: Path | None = None
) -> tuple[Stage, SoundSettings]:
    """
    What makes the sound of one kind of units.

    Args:
        folder (`Path`): Where to.
        run ([`Run`]): A run with units of that kind.
        unit_of (`str`): One of `UNIT_KINDS`.
        num_utterances (`int`): Held-out utterances.
        keeps_durations (`bool`): Whether there is a unit a frame.
        vocoder (`Path`, *optional*): The folder of a vocoder that was trained on these units.
    """
    identity = None if vocoder is None else fingerprint_files(vocoder)
    settings = SoundSettings(num_utterances, keeps_durations=keeps_durations, vocoder=identity)
    inputs = {"utterances": run.utterances(), "units": run.units(unit_of=unit_of) / "utterances"}
    return Stage(folder, 1, asdict(settings), inputs, PACKAGES), settings


def build_sound(
    folder: Path,
    run: Run,
    unit_of: str,
    num_utterances: int,
    keeps_durations: bool,
    vocoder: Path | None = None,
    overwrite: bool = False,
    report_progress=None,
) -> None:
    """
    Make the sound of one kind of units, and measure it; the job of a worker.

    Args:
        folder, run, unit_of, num_utterances, keeps_durations, vocoder: As in [`sound_stage`].
        overwrite (`bool`, *optional*, defaults to `False`): Redo what was made otherwise.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of the work that is done.
    """
    stage, settings = sound_stage(folder, run, unit_of, num_utterances, keeps_durations, vocoder)
    report_progress = report_progress or (lambda share: None)
    stage.run(lambda partial: _build(partial, run, unit_of, settings, vocoder, report_progress), overwrite)


def _build(partial: Path, run: Run, unit_of: str, settings: SoundSettings, vocoder: Path | None, report) -> None:
    from ....models.vocoder import resynthesis_quality

    speaker = _TableSpeaker(run, unit_of, settings) if vocoder is None else _TrainedSpeaker(run, vocoder)
    report(0.5)
    rows, references, resyntheses, frames = [], [], [], [0, 0]
    for row, written in _side_by_side(run, unit_of, settings.split, settings.num_utterances):
        told = written.frames if settings.keeps_durations else expected_frames(written.symbols, speaker.durations)
        references.append(decode_flac(row["audio"]["bytes"]))
        resyntheses.append(speaker.say(written.symbols, written.frames, row["speaker"]))
        heard = resyntheses[-1] if settings.keeps_durations else speaker.say(written.symbols, told, row["speaker"])
        frames = [frames[0] + int(told.sum()), frames[1] + int(written.frames.sum())]
        audio = {"bytes": encode_flac(to_int16(heard)), "path": None}
        rows.append({name: row[name] for name in ("id", "text", "speaker")} | {"audio": audio})
        report(0.5 + 0.4 * len(rows) / settings.num_utterances)
    if not rows:
        raise ValueError(f"{run.utterances()} has no {settings.split} utterances that could be spoken.")
    table = pa.Table.from_pylist(rows)
    with written_whole(partial / f"{settings.split}-00000-of-00001.parquet") as path:
        pq.write_table(table, path, **column_options(table.schema))
    quality = resynthesis_quality(references, resyntheses, hop_length=speaker.hop_length)
    quality |= {"utterances": len(rows), "seconds": sum(map(len, references)) / SAMPLE_RATE}
    write_json(partial / QUALITY_FILE, _numbers(quality | {"length_ratio": frames[0] / frames[1]}))


class _TableSpeaker:
    """Says units by their mean spectra in the training split, in the voice of whoever spoke."""

    def __init__(self, run: Run, unit_of: str, settings: SoundSettings):
        from ....models.vocoder import CodebookVocoder

        folder = run.units(unit_of=unit_of)
        config = read_quantizer_config(folder / MODEL_FOLDER)
        self.hop_length = check_hop(config.hop_length)
        self._parts = SEGMENT_PARTS if getattr(config, "segment_parts", 0) else 1
        self.durations = mean_durations(folder / "utterances", config.num_units)
        self._speakers = _known_speakers(run, settings)
        # A short recording may have a frame less than its units.
        utterances = (
            (
                decode_flac(row["audio"]["bytes"]),
                frames_of(written.symbols, written.frames, self._parts),
                row["speaker"] if self._speakers else None,
            )
            for row, written in _side_by_side(run, unit_of, "train", READ_OFF)
        )
        self._vocoder = CodebookVocoder.from_units(
            utterances,
            config.num_units * self._parts,
            _positions(folder / MODEL_FOLDER, self._parts),
            hop_length=self.hop_length,
            speakers=self._speakers,
        )

    def say(self, symbols: np.ndarray, frames: np.ndarray, speaker: str) -> np.ndarray:
        """Float samples of symbols that last so many frames each."""
        speakers = [speaker] if self._speakers else None
        return self._vocoder.waveforms([frames_of(symbols, frames, self._parts)], speakers)[0]


class _TrainedSpeaker:
    """Says units of frames by a vocoder that was trained on them."""

    def __init__(self, run: Run, vocoder: Path):
        self._vocoder = load_vocoder(run, str(vocoder))
        self.hop_length = self._vocoder.config.hop_length
        self.durations = mean_durations(run.units() / "utterances", self._vocoder.config.num_units)

    def say(self, symbols: np.ndarray, frames: np.ndarray, speaker: str) -> np.ndarray:
        """Float samples of symbols that last so many frames each."""
        return self._vocoder.waveforms([np.repeat(symbols, frames)], [speaker])[0]


def check_hop(hop_length: float) -> int:
    """
    The samples of a frame, which a vocoder needs whole.

    Raises:
        `ValueError`: If they are not.
    """
    if hop_length != int(hop_length):
        raise ValueError(f"A frame has {hop_length:g} samples, and a vocoder needs a whole number of them.")
    return int(hop_length)


def _known_speakers(run: Run, settings: SoundSettings) -> list[str]:
    """The speakers of what a table is read off; none where a held-out utterance has another, so that all are one."""
    trained = set(_column(run, "train", READ_OFF, "speaker"))
    return sorted(trained) if set(_column(run, settings.split, settings.num_utterances, "speaker")) <= trained else []


def _column(run: Run, split: str, number: int, name: str) -> list[str]:
    shards = sorted(run.utterances().glob(f"{split}-*.parquet"))
    rows = (value for shard in shards for value in pq.read_table(shard, columns=[name])[name].to_pylist())
    return list(islice(rows, number))


def _side_by_side(run: Run, unit_of: str, split: str, number: int) -> Iterator[tuple[dict, Written]]:
    """The first utterances of a split, with what is written of each; those without a unit are passed over."""
    written = read_written(run.units(unit_of=unit_of) / "utterances", split)
    for row, units in islice(zip(_read_utterances(run, split), written), number):
        if row["id"] != units.id:
            raise ValueError(f"Units of {units.id} stand beside the utterance {row['id']}; run the study again.")
        if len(units.symbols):
            yield row, units


def _read_utterances(run: Run, split: str) -> Iterator[dict]:
    for shard in sorted(run.utterances().glob(f"{split}-*.parquet")):
        for batch in pq.ParquetFile(shard).iter_batches(32, columns=["id", "text", "speaker", "audio"]):
            yield from batch.to_pylist()


def _positions(quantizer: Path, parts: int) -> np.ndarray | None:
    """Where the rows of a table lie: a unit's parts close to each other, where its centroid is."""
    weights = quantizer / "model.safetensors"
    if not weights.is_file():  # units from elsewhere have no centroids
        return None
    from safetensors.numpy import load_file

    centroids = load_file(weights)["centroids"].astype(np.float64)
    place = _CLOSE * centroids.std() * np.arange(parts)[:, None]
    return np.hstack([np.repeat(centroids, parts, axis=0), np.tile(place, (len(centroids), 1))])


def _numbers(values: dict) -> dict:
    """NaN, which JSON does not know, as nothing."""
    return {name: None if value != value else value for name, value in values.items()}
