"""Topic-SC in recorded speech: contexts and endings cut out of the recordings that the pairs' text was made of.

pairs of text + held-out passages + utterances -> where each passage was recorded ([`find_recorded_pairs`]) -> the
pairs that are still balanced ([`keep_balanced`]) -> audio of context, true and wrong ending, cut in the pauses between
sentences -> shards with the columns of all minimal pairs. Only endings of the same reader stand against each other:
else the voice, not the topic, would tell them apart.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ....models.audio import FRAME_SAMPLES, SAMPLE_RATE, decode_flac
from ....models.phones import SIL
from ....models.scoring.sides import PARTS
from ...shards.utterance_rows import MAX_SECONDS
from ...shards.writing import build_shards
from ...synthesis.synthesizer import Rendering
from ...text.passages import Passage
from ...text.sentences import split_sentences
from ..balance import choose_balanced
from ..rendering import PAIR_SCHEMA, PAIRS_PER_SHARD, spoken_forms
from ..texts import PairText
from .topic_endings import MAX_CONTEXT, find_endings
from .topic_sc import BALANCED, LEAST_EXCESS, TOLERANCE

VERSION = 2
_SHARDS_KEPT = 8


@dataclass(frozen=True)
class RecordedPassage:
    """
    Where a passage was recorded.

    Args:
        id (`str`): Id of the passage.
        speaker (`str`): Who reads it, `""` where nobody says.
        utterances (`tuple[tuple[str, int], ...]`): Name of the shard and row of each utterance, in order.
        start (`int`): First sample of the context, from the beginning of the first utterance.
        ending (`int`): First sample of the ending.
        end (`int`): Number of samples of all utterances.
        folder (`str`): Where the shards lie.
    """

    id: str
    speaker: str
    utterances: tuple[tuple[str, int], ...]
    start: int
    ending: int
    end: int
    folder: str = field(repr=False)


@dataclass(frozen=True)
class TopicPair:
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

    @property
    def problem(self) -> str | None:
        """Why it cannot be asked, if so."""
        if not (self.true.speaker and self.wrong.speaker):
            return "nobody says who reads"
        if self.true.speaker != self.wrong.speaker:
            return "the wrong ending is of another reader"
        longest = max(passage.end - passage.ending for passage in (self.true, self.wrong))
        if self.true.ending - self.true.start + longest > MAX_SECONDS * SAMPLE_RATE:
            return f"it takes more than {MAX_SECONDS:.0f} s"
        return None


def build_recorded_topics(
    pairs: Iterable[PairText],
    passages: Iterable[Passage],
    utterances: str | Path,
    output_dir: str | Path,
    stretch_factor: int,
    votes: Mapping[str, Sequence[float]],
    num_proc: int = 1,
    progress: bool = True,
    frame_samples: float = FRAME_SAMPLES,
) -> dict:
    """
    Cut pairs of Topic-SC out of recordings and write them as shards, as [`render_pairs`] does for spoken ones.

    Args:
        pairs (`Iterable[PairText]`): Pairs, of which those of Topic-SC are read.
        passages (`Iterable[Passage]`): The held-out passages that they were made of.
        utterances (`str` or `Path`): The folder of the shards of utterances.
        output_dir (`str` or `Path`): Where `topic_sc/test-*.parquet` go.
        stretch_factor (`int`): How often `phones_stretch` repeats each phone.
        votes (`Mapping[str, Sequence[float]]`): By pair, which side the rules that look at shared words take for the
            true ending, as [`overlap_votes`] gives them.
        num_proc (`int`, *optional*, defaults to 1): Number of processes. The rows do not depend on it.
        progress (`bool`, *optional*, defaults to `True`): Whether to show a progress bar.
        frame_samples (`float`, *optional*, defaults to 320): Samples from one frame of `phones_repeat` to the next.

    Returns:
        `dict`: How many `pairs` of text there are, how many `rows` were written, and how many pairs were `left_out`
        for which reason.
    """
    pairs = [pair for pair in pairs if pair.task == "topic_sc"]
    found, left_out = find_recorded_pairs(pairs, passages, Path(utterances))
    found, unbalancing = keep_balanced(found, votes)
    if unbalancing:
        left_out["the words that it shares with its context would tell"] = unbalancing
    if found:
        build_shards(
            found,
            lambda pair: "test",
            make_rows,
            {"stretch_factor": stretch_factor, "frame_samples": frame_samples, "version": VERSION},
            PAIR_SCHEMA,
            Path(output_dir) / "topic_sc",
            num_proc,
            PAIRS_PER_SHARD,
            max_skipped_fraction=0.0,
            progress=progress,
        )
    return {"pairs": len(pairs), "rows": len(found), "left_out": dict(sorted(left_out.items()))}


def find_recorded_pairs(
    pairs: Sequence[PairText], passages: Iterable[Passage], utterances: Path
) -> tuple[list[TopicPair], Counter]:
    """
    Find the utterances that pairs of Topic-SC were made of. A pair that cannot be asked takes its twin with it: only
    together are they right for exactly one of two, whoever does not look at the context.

    Args:
        pairs (`Sequence[PairText]`): The pairs.
        passages (`Iterable[Passage]`): The held-out passages that they were made of.
        utterances (`Path`): The folder of the shards of utterances.

    Returns:
        `tuple[list[TopicPair], Counter]`: The pairs of one reader each, and how many others there are by reason.
    """
    passages = list(passages)
    endings = {ending.text: ending for ending in find_endings(passages)[0]}
    recorded = _locate(passages, utterances)
    found, problems = {}, {}
    for pair in pairs:
        true, wrong = endings.get(pair.positive), endings.get(pair.negative)
        if true is None or wrong is None or true.context != pair.context:
            problems[pair.id] = "it is not of these passages"
        elif true.passage not in recorded or wrong.passage not in recorded:
            problems[pair.id] = "its passages are not in the recordings as they are written"
        else:
            found[pair.id] = TopicPair(pair.id, pair, recorded[true.passage], recorded[wrong.passage])
            if problem := found[pair.id].problem:
                problems[pair.id] = problem
    left_out = {pair.cluster for pair in pairs if pair.id in problems}
    for pair in pairs:
        if pair.cluster in left_out:
            problems.setdefault(pair.id, "its twin is left out")
    return [pair for name, pair in found.items() if name not in problems], Counter(problems.values())


def keep_balanced(pairs: Sequence[TopicPair], votes: Mapping[str, Sequence[float]]) -> tuple[list[TopicPair], int]:
    """
    Leave out as many of the balanced pairs, twins together, as the rules need to be right for half of those that stay.

    Args:
        pairs (`Sequence[TopicPair]`): Pairs with their twins.
        votes (`Mapping[str, Sequence[float]]`): By pair, 1, 0 or -1 of each rule.

    Returns:
        `tuple[list[TopicPair], int]`: The pairs that stay, all unbalanced ones among them, and how many do not.
    """
    by_cluster = defaultdict(list)
    for pair in pairs:
        if pair.text.band == BALANCED:
            by_cluster[pair.text.cluster].append(votes[pair.id])
    if not by_cluster:
        return list(pairs), 0
    signs = np.array([np.mean(of_twins, axis=0) for of_twins in by_cluster.values()])
    clusters, costs = np.array(list(by_cluster)), np.zeros(len(signs))
    chosen = choose_balanced(clusters, signs, costs, len(signs), TOLERANCE, least_excess=LEAST_EXCESS)
    left_out = set(np.delete(clusters, chosen).tolist())
    kept = [pair for pair in pairs if pair.text.cluster not in left_out]
    return kept, len(pairs) - len(kept)


def make_rows(pair: TopicPair, settings: dict) -> list[dict]:
    """
    Cut one pair.

    Args:
        pair (`TopicPair`): The pair.
        settings (`dict`): `stretch_factor` and `frame_samples`.

    Returns:
        `list[dict]`: One row.
    """
    context, positive = _cut(pair.true)
    _, negative = _cut(pair.wrong)
    spoken = {"context": context, "positive": positive, "negative": negative}
    row = {column: getattr(pair.text, column) for column in ("id", "cluster", "task", "group", "band")}
    row |= {"voice": pair.true.speaker, "rate": 0}
    for side in PARTS:
        values = {"text": getattr(pair.text, side), **spoken_forms(spoken[side], settings)}
        row |= {f"{side}_{form}": value for form, value in values.items()}
        row[f"{side}_audio"]["path"] = f"{pair.id}-{side}.flac".replace("/", "-")
    return [row]


def noise_floor(audio: np.ndarray) -> float:
    """
    How loud the quietest tenth of the frames of a recording is at most, in dB of full scale. The true ending was
    recorded together with its context: where rooms or microphones differ, this alone may tell it from the wrong one.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): int16, at least one frame.
    """
    frames = audio[: len(audio) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES).astype(np.float64) / 2**15
    return float(10 * np.log10(np.quantile(np.square(frames).mean(1), 0.1) + 1e-10))


def _locate(passages: Iterable[Passage], utterances: Path) -> dict[str, RecordedPassage]:
    """The recorded passages by their ids."""
    rows, order = {}, []
    for split in ("validation", "test"):
        for shard in sorted(utterances.glob(f"{split}-*.parquet")):
            table = pq.read_table(shard, columns=["id", "speaker", "text", "duration", "words"])
            for index, row in enumerate(table.to_pylist()):
                rows[row["id"]] = len(order)
                order.append(row | {"place": (shard.name, index), "sentences": split_sentences(row["text"])})
    located = {}
    for passage in passages:
        if passage.id not in rows or len(passage.sentences) < 2:
            continue
        position, sentences, used = rows[passage.id], [], []
        # A passage is one utterance, or several that follow each other.
        while len(sentences) < len(passage.sentences) and position < len(order):
            used.append(order[position])
            sentences += order[position]["sentences"]
            position += 1
        if tuple(sentences) != tuple(passage.sentences) or len({row["speaker"] for row in used}) > 1:
            continue
        words, offset = [], 0.0
        for row in used:
            words += [(word["start"] + offset, word["end"] + offset) for word in row["words"]]
            offset += row["duration"]
        before = np.cumsum([0, *(len(sentence.split()) for sentence in sentences)])
        first = int(before[max(0, len(sentences) - 1 - MAX_CONTEXT)])
        located[passage.id] = RecordedPassage(
            id=passage.id,
            speaker=used[0]["speaker"],
            utterances=tuple(row["place"] for row in used),
            start=_between(words, first) if first else 0,
            ending=_between(words, int(before[len(sentences) - 1])),
            end=round(offset * SAMPLE_RATE),
            folder=str(utterances),
        )
    return located


def _cut(passage: RecordedPassage) -> tuple[Rendering, Rendering]:
    """Context and ending of a passage."""
    pieces = [_read_utterance(Path(passage.folder, shard), index) for shard, index in passage.utterances]
    audio = np.concatenate([piece.audio for piece in pieces])
    phones, offset = [], 0.0
    for piece in pieces:
        phones += [phone | {"start": phone["start"] + offset, "end": phone["end"] + offset} for phone in piece.phones]
        offset += piece.duration
    context = _slice(audio, phones, passage.start, passage.ending)
    return context, _slice(audio, phones, passage.ending, passage.end)


def _between(words: list[tuple[float, float]], index: int) -> int:
    """The sample in the middle of the pause in front of a word, at the beginning of a frame."""
    middle = (words[index - 1][1] + words[index][0]) / 2
    return round(middle * SAMPLE_RATE) // FRAME_SAMPLES * FRAME_SAMPLES


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
    return Rendering(decode_flac(row["audio"]["bytes"]), [], row["phones"])


@lru_cache(maxsize=_SHARDS_KEPT)
def _read_shard(shard: Path) -> list[dict]:
    """The rows of a shard, kept for the next pair of this process."""
    return pq.read_table(shard, columns=["audio", "phones"]).to_pylist()
