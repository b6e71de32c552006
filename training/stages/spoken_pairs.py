"""The minimal pairs in every form: text -> phones, stretched and repeated phones, and speech in one set of voices.

`pairs.parquet` -> [`build_spoken_pairs`] -> `<task>/test-*.parquet`, one row a pair and voice, and `summary.json`.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.parquet as pq

from ...datasets_scripts.pairs.texts import PairText
from ...models.files import read_json, write_json
from ..run.execution import Execution
from ..run.folder import PAIRS_FILE, SUMMARY_FILE
from ..run.stage import Stage
from .speech import read_stretch_factor, synthesis_configuration


@dataclass(frozen=True)
class SpokenPairSettings:
    """
    How pairs are spoken.

    Args:
        voices (`str`): `"one"` or `"many"`.
        rate (`str`): `"fixed"` or `"random"`.
        corpus_seed (`int`): Seed of voices, pitches and rates.
        voices_per_pair (`int`): Renderings of a pair, each by another voice.
        max_skipped_fraction (`float`): Share of pairs that cannot be spoken above which the stage stops.
        frame_samples (`float`): Samples from one frame of the encoder to the next, which phones are repeated by.
        synthesizer (`str`, *optional*, defaults to `"espeak"`): What speaks: `"espeak"` or `"piper:VOICE"`.
    """

    voices: str
    rate: str
    corpus_seed: int
    voices_per_pair: int
    max_skipped_fraction: float
    frame_samples: float
    synthesizer: str = "espeak"


def build_spoken_pairs(
    folder: Path, texts: Path, utterances: Path, settings: SpokenPairSettings, execution: Execution
) -> None:
    """
    Speak the minimal pairs.

    Args:
        folder (`Path`): Where to.
        texts (`Path`): The text of the pairs.
        utterances (`Path`): The speech stage of the run's own voices, which says how phones are stretched.
        settings ([`SpokenPairSettings`]): How they are spoken.
        execution ([`Execution`]): How it is done.

    Raises:
        `ValueError`: If too many pairs cannot be spoken.
    """
    from ...datasets_scripts.pairs.rendering import render_pairs
    from ...datasets_scripts.synthesis.by_name import synthesis_packages

    def build(partial: Path) -> None:
        summary = render_pairs(
            read_pair_texts(texts),
            partial,
            settings.voices,
            settings.rate,
            settings.corpus_seed,
            stretch_factor=read_stretch_factor(utterances, settings.frame_samples),
            frame_samples=settings.frame_samples,
            synthesizer=settings.synthesizer,
            voices_per_pair=settings.voices_per_pair,
            num_proc=execution.num_proc,
            max_skipped_fraction=settings.max_skipped_fraction,
        )
        write_json(partial / SUMMARY_FILE, summary)

    inputs = {"text": texts, "utterances": utterances}
    packages = synthesis_packages(settings.synthesizer)
    Stage(folder, 5, synthesis_configuration(asdict(settings)), inputs, packages).run(build, execution.overwrite)


def read_pair_texts(texts: Path) -> list[PairText]:
    """The pairs of a stage that `build_pair_texts` built."""
    return [PairText(**row) for row in pq.read_table(texts / PAIRS_FILE).to_pylist()]


def summarize_pairs(texts: Path, spoken: Path) -> dict:
    """
    Count the pairs of each task that were spoken.

    Args:
        texts (`Path`): The text of the pairs.
        spoken (`Path`): The spoken pairs.

    Returns:
        `dict`: By task: `n`, `groups`, how many were `made`, what was dropped in `rendering` and by `report`, and how
        many pairs have sides that are alike in Phone-Repeat, whose frames may be longer than what tells them apart.
    """
    summary = {}
    made_of, rendered = read_json(texts / SUMMARY_FILE), read_json(spoken / SUMMARY_FILE)
    for task, made in made_of.items():
        shards = sorted((spoken / task).glob("test-*.parquet"))
        columns = ["id", "group", "positive_phones_repeat", "negative_phones_repeat"]
        tables = [pq.read_table(path, columns=columns) for path in shards]
        rows = {row["id"]: row["group"] for table in tables for row in table.to_pylist()}
        alike = {
            row["id"]
            for table in tables
            for row in table.to_pylist()
            if row["positive_phones_repeat"] == row["negative_phones_repeat"]
        }
        summary[task] = {
            "n": len(rows),
            "groups": dict(sorted(Counter(rows.values()).items())),
            "made": made["made"],
            "rendering": rendered.get(task, {}),
            "report": made["report"],
            "alike_in_phone_repeat": len(alike),
        }
    return summary
