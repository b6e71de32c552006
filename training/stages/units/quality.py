"""How good the units of a run are, on audio that trained nothing.

utterances and their units -> those of the validation and test splits -> PNMI, purity, use, rates and boundaries, as
JSON numbers.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ....datasets_scripts.phones.frames import phones_to_frames
from ....datasets_scripts.phones.syllables import syllable_frames, syllable_names, syllable_starts
from ....models.audio import decode_flac, frame_samples_at
from ....models.speech_units.runs import run_starts
from .quantizer import ROWS_AT_A_TIME

TOLERANCES = (0.02, 0.05)
"""Seconds by which a boundary may be early or late: a frame, and what is usual for syllables."""
_WITHOUT_STRESS = str.maketrans("", "", "012")


def held_out_units(models: list, utterances: Path) -> tuple[list[list[np.ndarray]], list[list[str]]]:
    """Units of held-out audio by models that share an encoder, which reads it once; and its phones, frame by frame."""
    found: list[list[np.ndarray]] = [[] for _ in models]
    phones = []
    for shard in held_out_shards(utterances):
        for batch in pq.ParquetFile(shard).iter_batches(ROWS_AT_A_TIME, columns=["id", "audio", "speaker", "phones"]):
            rows = batch.to_pylist()
            for sequences, units in zip(found, _units_by(models, rows)):
                sequences += units
            for row, units in zip(rows, found[0][-len(rows) :]):
                phones.append(phones_to_frames(row["phones"], len(units), models[0].config.hop_length))
    return found, phones


def _units_by(models: list, rows: list[dict]) -> list[list[np.ndarray]]:
    """Units of some utterances by each model."""
    from ....models.speech_units.modeling_speech_units import SpeechUnitModel, nearest_centroids

    audio = [decode_flac(row["audio"]["bytes"]) for row in rows]
    if not isinstance(models[0], SpeechUnitModel):  # there are no frames to share
        return [model.units(audio, names=[row["id"] for row in rows]) for model in models]
    # Statistics are of the corpus, which the models have in common; only centroids differ.
    features = models[0].extract_features(audio, [row["speaker"] for row in rows])
    centroids = [model.centroids.double().to(models[0].device) for model in models]
    return [[nearest_centroids(matrix, own)[0].cpu().numpy() for matrix in features] for own in centroids]


def held_out_shards(utterances: Path) -> list[Path]:
    """The shards of the splits that train nothing."""
    return [shard for split in ("validation", "test") for shard in sorted(utterances.glob(f"{split}-*.parquet"))]


def measure_quality(utterances: Path, units: Path, num_units: int, frame_rate: float) -> dict:
    """PNMI, purity, use, runs and bit rate of the units against the phones, on the splits that trained nothing."""
    from ....models.unit_quality import UnitCounts

    counts, frame_samples = UnitCounts(num_units), frame_samples_at(frame_rate)
    for row, encoded in _read_held_out(utterances, units):
        frames = len(encoded["units"])
        counts.add(np.array(encoded["units"]), phones_to_frames(row["phones"], frames, frame_samples))
    return _json_numbers(counts.quality(frame_rate))


def measure_pnmi_of_others(utterances: Path, units: Path, num_units: int, frame_rate: float) -> float:
    """
    PNMI of the units of each held-out utterance with the phones of others: what few utterances and many units give by
    chance. Units keep their order, since those of a phone come together, and make chance larger than single frames do.
    """
    from ....models.unit_quality import UnitCounts

    counts, frame_samples = UnitCounts(num_units), frame_samples_at(frame_rate)
    held_out = list(_read_held_out(utterances, units))
    sequences = [np.array(encoded["units"]) for _, encoded in held_out]
    behind_one_another = np.concatenate(sequences)
    others = np.roll(behind_one_another, len(behind_one_another) // 2)
    for (row, _), moved in zip(held_out, np.split(others, np.cumsum([len(each) for each in sequences])[:-1])):
        counts.add(moved, phones_to_frames(row["phones"], len(moved), frame_samples))
    return counts.quality(frame_rate)["pnmi"]


def measure_syllable_quality(utterances: Path, units: Path, num_units: int, frame_rate: float) -> dict:
    """
    PNMI, purity, use and rates of syllable units, each against the aligned syllable that has most of its frames, on
    the splits that trained nothing.
    """
    from ....models.unit_quality import unit_quality

    sequences, syllables, frames, frame_samples = [], [], 0, frame_samples_at(frame_rate)
    for row, encoded in _read_held_out(utterances, units):
        sequences.append(np.array(encoded["units"]))
        phones = phones_to_frames(row["phones"], sum(encoded["frames"]), frame_samples)
        names = [name.translate(_WITHOUT_STRESS) for name in syllable_names(phones)]
        syllables.append([names[place] for place in _most_shared(encoded["frames"], syllable_frames(phones))])
        frames += sum(encoded["frames"])
    rate = sum(map(len, sequences)) / (frames / frame_rate)
    quality = unit_quality(sequences, syllables, frame_rate=rate, num_units=num_units)
    kept = {
        "syllable_pnmi": quality["pnmi"],
        "syllable_pnmi_chance": unit_quality(sequences, _shuffled(syllables), num_units=num_units)["pnmi"],
        "syllable_purity": quality["phone_purity"],
        "syllable_purity_without_pauses": quality["phone_purity_without_silence"],
        "num_syllables": quality["num_frames"],
    }
    same = ("units_used", "perplexity", "units_per_second", "bits_per_second", "num_utterances")
    return _json_numbers(kept | {name: quality[name] for name in same})


def measure_boundaries(utterances: Path, units: Path, frame_rate: float) -> dict:
    """
    How well segments end where aligned syllables and phones do, on the splits that trained nothing: precision, recall,
    F1 and R-value within each of [`TOLERANCES`]. Pauses are segments, and an utterance's edges are no boundaries.
    """
    from ....models.unit_quality import BoundaryCounts

    counts = {(what, tolerance): BoundaryCounts(tolerance) for what in _STARTS for tolerance in TOLERANCES}
    for row, encoded in _read_held_out(utterances, units):
        found = segment_starts(encoded, frame_rate)
        for (what, _), counted in counts.items():
            counted.add(found, _STARTS[what](row["phones"])[1:])
    return _json_numbers(
        {
            f"{what}_boundary_{name}_{1000 * tolerance:.0f}ms": value
            for (what, tolerance), counted in counts.items()
            for name, value in counted.scores().items()
        }
    )


def segment_starts(encoded: dict, frame_rate: float) -> np.ndarray:
    """Where each segment but the first begins, in seconds: by its `frames`, or where the unit of a frame changes."""
    if "frames" in encoded:
        return np.cumsum(encoded["frames"])[:-1] / frame_rate
    return np.flatnonzero(run_starts(encoded["units"]))[1:] / frame_rate


def _phone_starts(phones: list[dict]) -> list[float]:
    return [phone["start"] for phone in phones]


_STARTS = {"syllable": syllable_starts, "phone": _phone_starts}


def _most_shared(frames: list[int], others: np.ndarray) -> np.ndarray:
    """Of segments with so many frames, which of others each shares most of them with."""
    owner = np.repeat(np.arange(len(others)), others)
    return np.array([np.bincount(part).argmax() for part in np.split(owner, np.cumsum(frames)[:-1])])


def _shuffled(rows: list[list[str]]) -> list[list[str]]:
    """The same names in rows of the same lengths, in a random order."""
    names = np.array([name for row in rows for name in row])
    ends = np.cumsum([len(row) for row in rows])[:-1]
    return [part.tolist() for part in np.split(np.random.default_rng(0).permutation(names), ends)]


def _read_held_out(utterances: Path, units: Path) -> Iterator[tuple[dict, dict]]:
    """Utterances of the splits that trained nothing, and the rows of their units."""
    for shard in held_out_shards(utterances):
        rows = pq.read_table(shard, columns=["id", "phones"]).to_pylist()
        for row, encoded in zip(rows, pq.read_table(units / shard.name).to_pylist()):
            if row["id"] != encoded["id"]:
                raise ValueError(f"{shard.name}: units of {encoded['id']} beside the utterance {row['id']}.")
            yield row, encoded


def _json_numbers(values: dict) -> dict:
    return {name: None if math.isnan(value) else float(value) for name, value in values.items()}
