"""A tiny corpus: utterances in the schema of the shards, with real FLAC, made without a synthesizer."""

import io
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from evoslm.datasets_scripts.builders.utterances import FEATURES
from evoslm.models.phones import ARPABET, SIL

SAMPLE_RATE = 16_000
SHARDS = {"train": 3, "validation": 1, "test": 1}


def make_utterance(rng: random.Random, utterance_id: str, rate: int = 175, speaker: str = "base") -> dict:
    """One row: random phones of 0 to 200 ms with a silence at both ends, on a whole number of 20 ms frames."""
    symbols = [SIL, *rng.choices(ARPABET[2:], k=rng.randint(5, 25)), SIL]
    symbols.insert(3, symbols[2])  # a true repeat, as in "big girl"
    lengths = [rng.choice((1, 3, 8, 20, 60, 90, 140, 200)) * 16 for _ in symbols]
    lengths[-1] += -sum(lengths) % 320 + 320 * len(lengths)
    bounds = np.cumsum([0, *lengths]) / SAMPLE_RATE
    phones = [
        {"phone": symbol, "start": float(start), "end": float(end)}
        for symbol, start, end in zip(symbols, bounds, bounds[1:])
    ]
    flac = io.BytesIO()
    noise = np.array([rng.randint(-99, 99) for _ in range(320)], dtype=np.int16)
    soundfile.write(flac, np.resize(noise, sum(lengths)), SAMPLE_RATE, format="FLAC")
    text = " ".join(rng.choices(("A", "lion", "sees", "two", "foxes", "tonight"), k=5)) + "."
    edges = np.linspace(phones[1]["start"], phones[-2]["end"], 6)
    return {
        "id": utterance_id,
        "document": f"story-{utterance_id[-1]}",
        "topic": "stories",
        "text": text,
        "speaker": speaker,
        "rate": rate,
        "audio": {"bytes": flac.getvalue(), "path": f"{utterance_id}.flac"},
        "duration": sum(lengths) / SAMPLE_RATE,
        "words": [
            {"word": word, "start": float(start), "end": float(end)}
            for word, start, end in zip(text.split(), edges, edges[1:])
        ],
        "phones": phones,
    }


@pytest.fixture
def tiny_utterances() -> Callable[..., dict[str, list[dict]]]:
    """
    Write shards of utterances into a folder, and return the rows by split.

    `tiny_utterances(folder, rows=4, seed=0, rates=(175,), speakers=("base",))` writes three shards of `rows`
    utterances for train and one each for validation and test.
    """

    def write(folder: Path, rows: int = 4, seed: int = 0, rates=(175,), speakers=("base",)) -> dict[str, list[dict]]:
        rng = random.Random(seed)
        folder.mkdir(parents=True, exist_ok=True)
        schema = pa.schema({name: field.type for name, field in zip(FEATURES, FEATURES.arrow_schema)})
        by_split = {}
        for split, count in SHARDS.items():
            by_split[split] = [
                make_utterance(rng, f"{split}-{index}", rng.choice(rates), rng.choice(speakers))
                for index in range(rows * count)
            ]
            for shard in range(count):
                table = pa.Table.from_pylist(by_split[split][shard * rows : (shard + 1) * rows], schema=schema)
                pq.write_table(table, folder / f"{split}-{shard:05d}-of-{count:05d}.parquet")
        return by_split

    return write


@pytest.fixture
def tiny_units() -> Callable[..., dict[str, list[dict]]]:
    """
    Write shards of units for the rows that `tiny_utterances` returned: one unit for each 320 samples of their audio.

    `tiny_units(folder, by_split, num_units=50)` returns the rows by split.
    """

    def write(folder: Path, by_split: dict[str, list[dict]], num_units: int = 50) -> dict[str, list[dict]]:
        rng = np.random.default_rng(0)
        folder.mkdir(parents=True, exist_ok=True)
        units = {}
        for split, rows in by_split.items():
            units[split] = []
            for row in rows:
                samples, _ = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
                runs = np.repeat(rng.integers(0, num_units, len(samples) // 320), rng.integers(1, 4))
                units[split].append({"id": row["id"], "units": runs[: len(samples) // 320].tolist()})
            schema = pa.schema({"id": pa.string(), "units": pa.list_(pa.uint16())})
            pq.write_table(pa.Table.from_pylist(units[split], schema), folder / f"{split}-00000-of-00001.parquet")
        return units

    return write
