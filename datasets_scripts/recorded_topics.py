"""Topic-SC in recorded speech: contexts and endings cut out of the recordings that the pairs' text was made of.

pairs of text + held-out passages + utterances -> where each passage was recorded ([`find_recorded_pairs`]) -> audio of
context, true and wrong ending, cut in the pauses between sentences -> shards with the columns of all minimal pairs.
Only endings of the same reader stand against each other: else the voice, not the topic, would tell them apart.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ..models.phones import SIL
from .audio_reading import decode_flac
from .pair_rendering import MAX_SECONDS, PAIR_SCHEMA, PAIRS_PER_SHARD, SIDES, spoken_forms
from .pairs_text import PairText
from .passages import Passage
from .phone_frames import FRAME_SAMPLES
from .shards import build_shards
from .synthesis import FRAME, SAMPLE_RATE, Rendering, split_sentences
from .topic_sc import MAX_CONTEXT

VERSION = 1
_SHARDS_KEPT = 8


@dataclass(frozen=True)
class RecordedPassage:
    """
    Where a passage was recorded.

    Args:
        id (`str`): Id of the passage.
        speaker (`str`): Who reads it.
        utterances (`tuple[tuple[str, int], ...]`): Name of the shard and row of each utterance, in order.
        first_word (`int`): Index of the context's first word among the words of all of them.
        ending_word (`int`): Index of the ending's first word.
        folder (`str`): Where the shards lie.
    """

    id: str
    speaker: str
    utterances: tuple[tuple[str, int], ...]
    first_word: int
    ending_word: int
    folder: str = field(repr=False)


@dataclass(frozen=True)
class RecordedPair:
    """
    A pair of Topic-SC with the two passages that it is cut out of.

    Args:
        id (`str`): Id of the pair.
        text (`PairText`): Its text.
        true (`RecordedPassage`): The passage of the context and the true ending.
        wrong (`RecordedPassage`): The passage whose ending is the wrong one.
    """

    id: str
    text: PairText
    true: RecordedPassage
    wrong: RecordedPassage


def build_recorded_topics(
    pairs: Iterable[PairText],
    passages: Iterable[Passage],
    utterances: str | Path,
    output_dir: str | Path,
    stretch_factor: int,
    num_proc: int = 1,
    progress: bool = True,
) -> dict:
    """
    Cut pairs of Topic-SC out of recordings and write them as shards, as [`render_pairs`] does for spoken ones.

    Args:
        pairs (`Iterable[PairText]`): Pairs, of which those of Topic-SC are read.
        passages (`Iterable[Passage]`): The held-out passages that they were made of.
        utterances (`str` or `Path`): The folder of the shards of utterances.
        output_dir (`str` or `Path`): Where `topic_sc/test-*.parquet` go.
        stretch_factor (`int`): How often `phones_stretch` repeats each phone.
        num_proc (`int`, *optional*, defaults to 1): Number of processes. The rows do not depend on it.
        progress (`bool`, *optional*, defaults to `True`): Whether to show a progress bar.

    Returns:
        `dict`: How many `pairs` of text there are, how many `rows` were written, and how many pairs were `left_out`
        for which reason.
    """
    pairs = [pair for pair in pairs if pair.task == "topic_sc"]
    found, left_out = find_recorded_pairs(pairs, passages, Path(utterances))
    rows = 0
    if found:
        results = build_shards(
            found,
            lambda pair: "test",
            make_rows,
            {"stretch_factor": stretch_factor, "version": VERSION},
            PAIR_SCHEMA,
            Path(output_dir) / "topic_sc",
            num_proc,
            PAIRS_PER_SHARD,
            max_skipped_fraction=1.0,
            progress=progress,
        )
        rows = sum(result["rows"] for result in results)
        left_out.update(skip["reason"] for result in results for skip in result["skipped"])
    return {"pairs": len(pairs), "rows": rows, "left_out": dict(sorted(left_out.items()))}


def find_recorded_pairs(
    pairs: Sequence[PairText], passages: Iterable[Passage], utterances: Path
) -> tuple[list[RecordedPair], Counter]:
    """
    Find the utterances that pairs of Topic-SC were made of.

    Args:
        pairs (`Sequence[PairText]`): The pairs.
        passages (`Iterable[Passage]`): The held-out passages that they were made of.
        utterances (`Path`): The folder of the shards of utterances.

    Returns:
        `tuple[list[RecordedPair], Counter]`: The pairs of one reader each, and how many others there are by reason.
    """
    recorded = _locate(passages, utterances)
    found, left_out = [], Counter()
    for pair in pairs:
        true, wrong = recorded.get(pair.positive), recorded.get(pair.negative)
        if true is None or wrong is None:
            left_out["its passages are not in the recordings"] += 1
        elif true.speaker != wrong.speaker:
            left_out["the wrong ending is of another reader"] += 1
        else:
            found.append(RecordedPair(pair.id, pair, true, wrong))
    return found, left_out


def make_rows(pair: RecordedPair, settings: dict) -> list[dict]:
    """
    Cut one pair.

    Args:
        pair (`RecordedPair`): The pair.
        settings (`dict`): The `stretch_factor`.

    Returns:
        `list[dict]`: One row.

    Raises:
        `ValueError`: If the context with either ending is longer than 30 s.
    """
    context, positive = _cut(pair.true)
    _, negative = _cut(pair.wrong)
    spoken = {"context": context, "positive": positive, "negative": negative}
    if context.duration + max(positive.duration, negative.duration) > MAX_SECONDS:
        raise ValueError(f"It takes more than {MAX_SECONDS:.0f} s.")
    row = {column: getattr(pair.text, column) for column in ("id", "cluster", "task", "group", "band")}
    row |= {"voice": pair.true.speaker, "rate": 0}
    forms = {"stretch_factor": settings["stretch_factor"]}
    forms |= {"frame_samples": FRAME_SAMPLES, "window_samples": FRAME_SAMPLES}
    for side in SIDES:
        values = {"text": getattr(pair.text, side), **spoken_forms(spoken[side], forms)}
        row |= {f"{side}_{form}": value for form, value in values.items()}
        row[f"{side}_audio"]["path"] = f"{pair.id}-{side}.flac".replace("/", "-")
    return [row]


def _locate(passages: Iterable[Passage], utterances: Path) -> dict[str, RecordedPassage]:
    """The recorded passages by their endings."""
    rows, order = {}, []
    for split in ("validation", "test"):
        for shard in sorted(utterances.glob(f"{split}-*.parquet")):
            for index, row in enumerate(pq.read_table(shard, columns=["id", "speaker", "text"]).to_pylist()):
                rows[row["id"]] = len(order)
                order.append((shard.name, index, row["speaker"], split_sentences(row["text"])))
    located = {}
    for passage in passages:
        if passage.id not in rows or len(passage.sentences) < 2:
            continue
        position, sentences, used = rows[passage.id], [], []
        # A passage is one utterance, or several that follow each other.
        while len(sentences) < len(passage.sentences) and position < len(order):
            used.append(order[position])
            sentences += order[position][3]
            position += 1
        if tuple(sentences) != tuple(passage.sentences) or len({row[2] for row in used}) > 1:
            continue
        words = np.cumsum([0, *(len(sentence.split()) for sentence in sentences)])
        located[sentences[-1]] = RecordedPassage(
            id=passage.id,
            speaker=used[0][2],
            utterances=tuple((shard, index) for shard, index, _, _ in used),
            first_word=int(words[max(0, len(sentences) - 1 - MAX_CONTEXT)]),
            ending_word=int(words[len(sentences) - 1]),
            folder=str(utterances),
        )
    return located


def _cut(passage: RecordedPassage) -> tuple[Rendering, Rendering]:
    """Context and ending of a passage."""
    pieces = [_read_utterance(Path(passage.folder, shard), index) for shard, index in passage.utterances]
    audio = np.concatenate([piece.audio for piece in pieces])
    words, phones, offset = [], [], 0.0
    for piece in pieces:
        for entries, own in ((words, piece.words), (phones, piece.phones)):
            entries += [entry | {"start": entry["start"] + offset, "end": entry["end"] + offset} for entry in own]
        offset += piece.duration
    start = _between(words, passage.first_word) if passage.first_word else 0
    ending = _between(words, passage.ending_word)
    return tuple(_slice(audio, phones, *span) for span in ((start, ending), (ending, len(audio))))


def _between(words: list[dict], index: int) -> int:
    """The sample in the middle of the pause in front of a word, at the beginning of a frame."""
    middle = (words[index - 1]["end"] + words[index]["start"]) / 2
    return round(middle * SAMPLE_RATE) // FRAME * FRAME


def _slice(audio: np.ndarray, phones: list[dict], start: int, end: int) -> Rendering:
    kept = []
    for phone in phones:
        first, last = (min(max(round(phone[edge] * SAMPLE_RATE), start), end) - start for edge in ("start", "end"))
        if last > first and kept and phone["phone"] == kept[-1]["phone"] == SIL:
            kept[-1] = kept[-1] | {"end": last / SAMPLE_RATE}  # where one utterance ends and the next begins
        elif last > first:
            kept.append(phone | {"start": first / SAMPLE_RATE, "end": last / SAMPLE_RATE})
    return Rendering(audio[start:end], [], kept)


def _read_utterance(shard: Path, index: int) -> Rendering:
    row = _read_shard(shard)[index]
    return Rendering(decode_flac(row["audio"]["bytes"]), row["words"], row["phones"])


@lru_cache(maxsize=_SHARDS_KEPT)
def _read_shard(shard: Path) -> list[dict]:
    """The rows of a shard, kept for the next pair of this process."""
    return pq.read_table(shard, columns=["audio", "words", "phones"]).to_pylist()
