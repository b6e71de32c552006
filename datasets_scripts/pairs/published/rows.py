"""Minimal pairs that somebody else recorded, as the rows that the project's own items have.

[`RecordedPair`] (audio, text, perhaps phones) -> [`build_recorded_pairs`] -> 16 kHz FLAC, phones, stretched phones ->
shards with the columns of `PAIR_SCHEMA`. `zerospeech_2021.py` and `hub.py` say where the pairs come from.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ....models.phones import SIL
from ....models.scoring.sides import PARTS
from ...phones.frames import phone_content
from ...phones.stretch import stretch_content
from ...recordings.reading import read_as_flac
from ...shards.writing import build_shards
from ...synthesis.synthesizer import shared_synthesizer
from ..rendering import PAIR_SCHEMA, PAIRS_PER_SHARD

_TEXTS_KEPT = 4096


@dataclass(frozen=True)
class RecordedSide:
    """
    One side of a pair, or its context.

    Args:
        audio (`str`): The file, relative to the pair's source, or whatever else `make_rows` finds the recording by.
            Errors call it so.
        text (`str`, *optional*): What is said, where that is known.
        phones (`tuple[str, ...]`, *optional*): ARPAbet with stress, without the silence at the edges.
    """

    audio: str
    text: str | None = None
    phones: tuple[str, ...] | None = None


@dataclass(frozen=True)
class RecordedPair:
    """
    One pair in one voice.

    Args:
        id (`str`): Unique together with the voice.
        task (`str`): What it asks about: `"swuggy"`, `"sblimp"` or another name.
        group (`str`): Frequency band, phenomenon, or the empty string.
        band (`str`): Frequency band, or the empty string.
        voice (`str`): Whose voice it is, or the empty string.
        positive (`RecordedSide`, *optional*): The side that a good language model finds likelier.
        negative (`RecordedSide`, *optional*): The other side.
        context (`RecordedSide`, *optional*): What both continue.
        problem (`str`, *optional*): Why it is no pair, if it is none: it is skipped for this reason.
        source (`Any`, *optional*): Where the recordings are: a folder, or what `make_rows` knows to open. No part
            of what a shard is made of.
    """

    id: str
    task: str
    group: str
    band: str
    voice: str
    positive: RecordedSide | None = None
    negative: RecordedSide | None = None
    context: RecordedSide | None = None
    problem: str = ""
    source: Any = field(default=None, repr=False)


def build_recorded_pairs(
    pairs: Iterable[RecordedPair],
    output_dir: str | Path,
    make_rows: Callable[[RecordedPair, dict], list[dict]] | None = None,
    stretch_factor: int | None = None,
    num_proc: int = 1,
    max_skipped_fraction: float = 0.05,
    progress: bool = True,
) -> dict[str, int]:
    """
    Write pairs of one task as shards, `test-00000-of-00004.parquet`, with the columns of `PAIR_SCHEMA`.

    Nobody has aligned these recordings, so `phones_repeat` is null everywhere, and so is `rate`. The phones of a pair
    come from the data if they are there for all its sides, else they are those that espeak gives the texts, with SIL
    at the edges and pauses as in every utterance. They are null for the whole pair where a side has neither or espeak
    cannot say it; the text is null for the whole pair where a side has none: both sides are written by one rule.

    Args:
        pairs (`Iterable[RecordedPair]`): The pairs, those of the same texts one behind the other.
        output_dir (`str` or `Path`): Where the shards go.
        make_rows (`Callable`, *optional*): Turns a pair into its row; by default [`make_rows_of_files`].
        stretch_factor (`int`, *optional*): How often `phones_stretch` repeats each phone, as in the training corpus;
            null without it.
        num_proc (`int`, *optional*, defaults to 1): Number of processes. The rows do not depend on it.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05): The largest share of pairs that may be skipped
            because they are none or cannot be read. `skipped.jsonl` names them.
        progress (`bool`, *optional*, defaults to `True`): Whether to show a progress bar.

    Returns:
        `dict[str, int]`: How many `pairs` there were, `rows` written, pairs `skipped`, and rows `without_text` and
        `without_phones`.

    Raises:
        `ValueError`: If there are no pairs, an id stands twice in a voice, too many pairs were skipped, or the folder
            holds shards of other pairs or settings.
    """
    pairs = list(pairs)
    _check_ids(pairs)
    results = build_shards(
        pairs,
        _split_of,
        make_rows or make_rows_of_files,
        {"stretch_factor": stretch_factor},
        PAIR_SCHEMA,
        output_dir,
        num_proc=num_proc,
        shard_size=PAIRS_PER_SHARD,
        max_skipped_fraction=max_skipped_fraction,
        progress=progress,
    )
    summary = {
        "pairs": len(pairs),
        "rows": sum(result["rows"] for result in results),
        "skipped": sum(len(result["skipped"]) for result in results),
        "without_text": 0,
        "without_phones": 0,
    }
    for result in results:
        columns = pq.read_table(Path(output_dir) / result["file"], columns=["positive_text", "positive_phones"])
        summary["without_text"] += columns["positive_text"].null_count
        summary["without_phones"] += columns["positive_phones"].null_count
    return summary


def make_rows_of_files(pair: RecordedPair, settings: dict) -> list[dict]:
    """
    The row of a pair whose sides are files.

    Raises:
        `ValueError`: If it is no pair, or a file is missing or cannot be read.
    """
    return recorded_row(pair, lambda side: read_as_flac(pair.source / side.audio, side.audio), settings)


def recorded_row(pair: RecordedPair, read: Callable[[RecordedSide], bytes], settings: dict) -> list[dict]:
    """
    The row of a pair.

    Args:
        pair (`RecordedPair`): The pair.
        read (`Callable[[RecordedSide], bytes]`): Gives a side's recording as FLAC.
        settings (`dict`): With `stretch_factor`.

    Returns:
        `list[dict]`: The one row.

    Raises:
        `ValueError`: If it is no pair or has no recording.
    """
    if pair.problem:
        raise ValueError(pair.problem)
    sides = {side: getattr(pair, side) for side in PARTS if getattr(pair, side) is not None}
    row = {column: getattr(pair, column) for column in ("id", "task", "group", "band", "voice")}
    row |= {"cluster": pair.id, "rate": None}
    has_text = all(side.text for side in sides.values())
    phones = _phones(sides)
    factor = settings["stretch_factor"]
    for name in PARTS:
        row |= dict.fromkeys((f"{name}_text", f"{name}_phones", f"{name}_phones_stretch"), "")
        row |= {f"{name}_phones_repeat": None, f"{name}_audio": None}
    for name, side in sides.items():
        row[f"{name}_text"] = side.text if has_text else None
        content = " ".join(phones[name]) if phones else None
        row[f"{name}_phones"] = content
        row[f"{name}_phones_stretch"] = stretch_content(content, factor) if content and factor else None
        row[f"{name}_audio"] = {"bytes": read(side), "path": f"{Path(side.audio).stem}.flac"}
    return [row]


def _check_ids(pairs: list[RecordedPair]) -> None:
    if not pairs:
        raise ValueError("There are no pairs to be made.")
    seen = set()
    for pair in pairs:
        if not pair.problem and (pair.id, pair.voice) in seen:
            raise ValueError(f"Two pairs have the id {pair.id!r} in the voice {pair.voice!r}; make ids unique.")
        seen.add((pair.id, pair.voice))


def _split_of(pair: RecordedPair) -> str:
    return "test"


def _phones(sides: dict[str, RecordedSide]) -> dict[str, list[str]] | None:
    """Phones of all sides by one rule, with the silence of an utterance at the edges; `None` if one has none."""
    if all(side.phones for side in sides.values()):
        phones = {name: [SIL, *side.phones, SIL] for name, side in sides.items()}
    else:
        try:
            phones = {name: _pronounce(side.text or "").split() for name, side in sides.items()}
        except ValueError:  # no text, or nothing that espeak can say
            return None
    # A context ends with the pause between the two.
    return {name: own[1:] if "context" in phones and name != "context" else own for name, own in phones.items()}


@lru_cache(_TEXTS_KEPT)
def _pronounce(text: str) -> str:
    return phone_content(shared_synthesizer().render(text).phones)
