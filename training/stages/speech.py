"""The stage of synthesized speech: passages -> utterances with the times of words and phones, in one set of voices.

passages -> [`build_utterances`] -> parquet shards, `skipped.jsonl`, `summary.json`; [`summarize_utterances`] counts
what a corpus amounts to, whether it was synthesized or recorded.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...datasets_scripts.phones.stretch import measure_stretch_factor
from ...datasets_scripts.text.passages import SPLITS, read_passages
from ...models.audio import FRAME_SAMPLES
from ...models.files import read_json, write_json
from ..run.execution import Execution
from ..run.folder import PASSAGES_FILE, SUMMARY_FILE
from ..run.stage import Stage


@dataclass(frozen=True)
class SpeechSettings:
    """
    How passages are spoken.

    Args:
        voices (`str`): `"one"` or `"many"`.
        rate (`str`): `"fixed"` or `"random"`.
        corpus_seed (`int`): Seed of voices, pitches and rates.
        max_skipped_fraction (`float`): Share of passages that cannot be spoken above which the stage stops.
        max_seconds (`float`): The longest utterance.
        synthesizer (`str`, *optional*, defaults to `"espeak"`): What speaks: `"espeak"` or `"piper:VOICE"`.
    """

    voices: str
    rate: str
    corpus_seed: int
    max_skipped_fraction: float
    max_seconds: float
    synthesizer: str = "espeak"


def build_utterances(folder: Path, passages: Path, settings: SpeechSettings, execution: Execution) -> None:
    """
    Build the speech stage in one set of voices. Interrupted, it keeps every finished shard.

    Args:
        folder (`Path`): Where to.
        passages (`Path`): The text stage.
        settings ([`SpeechSettings`]): How it is spoken.
        execution ([`Execution`]): How it is done.

    Raises:
        `FileNotFoundError`: If there is no such voice of Piper.
        `ValueError`: If too many passages cannot be spoken, or the synthesizer has no such voices.
    """
    from ...datasets_scripts.synthesis.by_name import synthesis_packages
    from ...datasets_scripts.synthesis.utterances import render_utterances

    def build(partial: Path) -> None:
        summary = render_utterances(
            read_passages(passages / PASSAGES_FILE),
            partial,
            voices=settings.voices,
            rate=settings.rate,
            seed=settings.corpus_seed,
            synthesizer=settings.synthesizer,
            num_proc=execution.num_proc,
            max_skipped_fraction=settings.max_skipped_fraction,
            max_seconds=settings.max_seconds,
        )
        summary["stretch_factor"] = measure_stretch_factor(partial)
        write_json(partial / SUMMARY_FILE, summary)

    packages = synthesis_packages(settings.synthesizer)
    stage = Stage(folder, 3, synthesis_configuration(asdict(settings)), {"passages": passages}, packages)
    stage.run(build, execution.overwrite)


def summarize_utterances(utterances: Path) -> dict:
    """
    What a corpus amounts to, from the utterances that were kept.

    Args:
        utterances (`Path`): A stage of speech.

    Returns:
        `dict`: `words`, `utterances`, `seconds` and `documents` by split, and the number of `speakers`.
    """
    summary = {"words": {}, "utterances": {}, "seconds": {}, "documents": {}}
    speakers = set()
    for split in SPLITS:
        utterances_of_split, words, seconds, documents = 0, 0, 0.0, [np.zeros(0, dtype=np.uint64)]
        for path in sorted(utterances.glob(f"{split}-*.parquet")):
            rows = pq.read_table(path, columns=["document", "text", "speaker", "duration"])
            utterances_of_split += len(rows)
            words += sum(len(text.split()) for text in rows["text"].to_pylist())
            seconds += pc.sum(rows["duration"]).as_py() or 0.0
            documents.append(_digests(rows["document"].unique().to_pylist()))
            speakers.update(rows["speaker"].unique().to_pylist())
        summary["utterances"][split] = utterances_of_split
        summary["words"][split] = words
        summary["seconds"][split] = round(seconds, 2)
        summary["documents"][split] = len(np.unique(np.concatenate(documents)))
    summary["speakers"] = len(speakers)
    return summary


def read_stretch_factor(utterances: Path, frame_samples: float = FRAME_SAMPLES) -> int:
    """
    How often Phone-Stretch repeats each phone, so that it is as long as Phone-Repeat on the whole.

    Args:
        utterances (`Path`): A stage of speech, whose summary has it for frames of 20 ms.
        frame_samples (`float`, *optional*, defaults to 320): Samples from one frame of the encoder to the next.
    """
    if frame_samples != FRAME_SAMPLES:
        return measure_stretch_factor(utterances, frame_samples)
    return read_json(utterances / SUMMARY_FILE)["stretch_factor"]


def synthesis_configuration(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with `voices` and a `synthesizer` for a fingerprint: that by what it is, not by where it lies."""
    from ...datasets_scripts.synthesis.by_name import describe_synthesis

    others = {name: value for name, value in settings.items() if name != "synthesizer"}
    return others | {"synthesis": describe_synthesis(settings["voices"], settings["synthesizer"])}


def _digests(names: list[str]) -> np.ndarray:
    """Eight bytes for each name, which tell millions of documents apart."""
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)
