"""Minimal pairs, spoken: every form of context, positive and negative side at once.

`PairText`s -> voice, pitch and rate of each -> context and both sides spoken alike -> one row a pair and voice, with
text, phones, stretched and repeated phones, and audio -> shards, a folder a task. Twins are kept or dropped together.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import pyarrow as pa

from ...metrics.tasks import TASKS
from ...models.audio import FRAME_SAMPLES, encode_flac
from ...models.scoring.sides import PARTS
from ..phones.frames import num_frames, phone_content, repeat_content
from ..phones.stretch import stretch_content
from ..shards.utterance_rows import MAX_SECONDS
from ..shards.writing import build_shards
from ..synthesis.by_name import ESPEAK, describe_synthesis, load_synthesizer, locate_synthesizer
from ..synthesis.synthesizer import EDGE_SILENCE, SENTENCE_PAUSE, Rendering, Synthesizer, shared_synthesizer
from ..synthesis.voices import SpeakerSettings
from .texts import PairText

PAIRS_PER_SHARD = 32  # with their twins
SOUNDS_ALIKE = "both sides sound alike"

_FORMS = {
    **dict.fromkeys(("text", "phones", "phones_stretch", "phones_repeat"), pa.string()),
    "audio": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
}
_KEYS = [
    *((column, pa.string()) for column in ("id", "cluster", "task", "group", "band", "voice")),
    ("rate", pa.int32()),
]
PAIR_SCHEMA = pa.schema([*_KEYS, *((f"{side}_{form}", kind) for side in PARTS for form, kind in _FORMS.items())])
UNIT_PAIR_SCHEMA = pa.schema([*_KEYS, *((f"{side}_units", pa.string()) for side in PARTS)])
"""Of pairs as a modality of speech reads them: its contents, which `unit_contents.py` writes."""


@dataclass(frozen=True)
class Cluster:
    """
    What is kept or dropped as one: a pair, with its twin where it has one.

    Args:
        id (`str`): Of the cluster.
        pairs (`tuple[PairText, ...]`): Its pairs.
    """

    id: str
    pairs: tuple[PairText, ...]


def render_pairs(
    pairs: Iterable[PairText],
    output_dir: str | Path,
    voices: str,
    rate: str,
    seed: int,
    stretch_factor: int,
    voices_per_pair: int = 1,
    frame_samples: float = FRAME_SAMPLES,
    synthesizer: str = ESPEAK,
    num_proc: int = 1,
    shard_size: int = PAIRS_PER_SHARD,
    max_skipped_fraction: float = 0.05,
    progress: bool = True,
) -> dict[str, dict]:
    """
    Speak minimal pairs and write them as shards, a folder a task. A pair whose sides have the same phones is dropped,
    and so are the other pairs of its cluster: only together are twins right for exactly one of two, whatever rule
    does not look at what they ask about.

    Context, positive and negative side of a row have the same voice, pitch and rate, and so have two pairs with the
    same two sides. A side has the silence of an utterance at both edges; where there is a context, that has it at the
    beginning and the pause of a sentence at its end, and the sides begin without: context and side, one behind the
    other, are exactly one utterance.

    Args:
        pairs (`Iterable[PairText]`): Pairs of one or more tasks. Rows are in their order, but that twins follow each
            other.
        output_dir (`str` or `Path`): Where `swuggy/test-00000-of-00004.parquet`, ... go.
        voices (`str`): `"one"` or `"many"`, as for utterances.
        rate (`str`): `"fixed"` or `"random"`, as for utterances.
        seed (`int`): Decides voice, pitch and rate of each pair.
        stretch_factor (`int`): How often `phones_stretch` repeats each phone.
        voices_per_pair (`int`, *optional*, defaults to 1): In how many voices each pair is spoken, a row each.
        frame_samples (`float`, *optional*, defaults to 320): Samples from one frame of `phones_repeat` to the next.
        synthesizer (`str`, *optional*, defaults to `"espeak"`): `"espeak"`, or `"piper:VOICE"`, as for utterances.
        num_proc (`int`, *optional*, defaults to 1): Number of processes. The rows do not depend on it.
        shard_size (`int`, *optional*, defaults to 32): Clusters a shard.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05): The largest share of a task's pairs that may be
            skipped because they cannot be spoken within 30 s with the sounds of English.
        progress (`bool`, *optional*, defaults to `True`): Whether to show a progress bar.

    Returns:
        `dict[str, dict]`: For each task how many `pairs` were given, how many `rows` were written, how many pairs were
        dropped because they or their twins `sound_alike`, and how many were `skipped` for other reasons.

    Raises:
        `ValueError`: If a task is unknown, an id stands twice, `voices` has fewer than `voices_per_pair`, too many
            pairs were skipped, or the folder holds shards of other pairs or settings.
    """
    located = locate_synthesizer(synthesizer)
    num_speakers = len(load_synthesizer(located).speakers(voices))
    if not 1 <= voices_per_pair <= num_speakers:
        raise ValueError(
            f"voices_per_pair is {voices_per_pair}; with {voices} voices it must be from 1 to {num_speakers}."
        )
    by_task = _by_task(pairs)
    settings = {
        "voices": voices,
        "rate": rate,
        "seed": seed,
        "stretch_factor": stretch_factor,
        "voices_per_pair": voices_per_pair,
        "frame_samples": frame_samples,
    }
    if synthesizer != ESPEAK:
        settings["synthesis"] = describe_synthesis(voices, synthesizer)
    summary = {}
    for task, clusters in by_task.items():
        sizes = {cluster.id: len(cluster.pairs) for cluster in clusters}
        results = build_shards(
            clusters,
            lambda cluster: "test",
            partial(make_cluster_rows, synthesizer=located),
            settings,
            PAIR_SCHEMA,
            Path(output_dir) / task,
            num_proc=num_proc,
            shard_size=shard_size,
            max_skipped_fraction=1.0,
            progress=progress,
        )
        reasons: Counter = Counter()
        for result in results:
            for skip in result["skipped"]:
                reasons[skip["reason"]] += sizes[skip["id"]]
        num_alike = reasons.pop(SOUNDS_ALIKE, 0)
        if reasons.total() > max_skipped_fraction * sum(sizes.values()):
            raise ValueError(
                f"{reasons.total()} of {sum(sizes.values())} {task} pairs cannot be spoken, most often because: "
                f"{reasons.most_common(1)[0][0]} See {Path(output_dir) / task / 'skipped.jsonl'}."
            )
        summary[task] = {
            "pairs": sum(sizes.values()),
            "rows": sum(result["rows"] for result in results),
            "sound_alike": num_alike,
            "skipped": reasons.total(),
        }
    return summary


def make_cluster_rows(cluster: Cluster, settings: dict, synthesizer: str = ESPEAK) -> list[dict]:
    """
    Speak the pairs of a cluster.

    Args:
        cluster (`Cluster`): The pairs.
        settings (`dict`): The arguments of [`render_pairs`] that rows depend on.
        synthesizer (`str`, *optional*, defaults to `"espeak"`): A synthesizer that lies on this machine.

    Returns:
        `list[dict]`: A row a pair and voice.

    Raises:
        `ValueError`: If one of the pairs sounds alike or cannot be spoken.
    """
    return [row for pair in cluster.pairs for row in make_rows(pair, settings, synthesizer)]


def make_rows(pair: PairText, settings: dict, synthesizer: str = ESPEAK) -> list[dict]:
    """
    Speak one pair.

    Args:
        pair (`PairText`): The pair.
        settings (`dict`): The arguments of [`render_pairs`] that rows depend on.
        synthesizer (`str`, *optional*, defaults to `"espeak"`): A synthesizer that lies on this machine.

    Returns:
        `list[dict]`: A row a voice.

    Raises:
        `ValueError`: If the sides sound alike, or cannot be spoken within 30 s with the sounds of English.
    """
    rows, speaking = [], load_synthesizer(synthesizer)
    voices_and_rate = (settings["voices"], settings["rate"], settings["seed"], settings["voices_per_pair"])
    for speaker in pair_speakers(pair, *voices_and_rate, speaking):
        spoken = speak_pair(speaking, pair, speaker)
        if phone_content(spoken["positive"].phones) == phone_content(spoken["negative"].phones):
            raise ValueError(SOUNDS_ALIKE)
        row = {column: getattr(pair, column) for column in ("id", "cluster", "task", "group", "band")}
        row |= {"voice": speaker.voice, "rate": speaker.rate}
        for side in PARTS:
            forms = {"text": getattr(pair, side), **spoken_forms(spoken.get(side), settings)}
            row |= {f"{side}_{form}": value for form, value in forms.items()}
            if side in spoken:
                row[f"{side}_audio"]["path"] = f"{pair.id}-{speaker.voice}-{side}.flac".replace("/", "-")
        rows.append(row)
    return rows


def pair_speakers(
    pair: PairText, voices: str, rate: str, seed: int, number: int = 1, synthesizer: Synthesizer | None = None
) -> list[SpeakerSettings]:
    """
    Draw how a pair is spoken: `number` times, each in another voice, of espeak where no other synthesizer is given.

    The two sides decide, whichever of them is the positive one. Two pairs that have each other's sides are thus spoken
    alike, and a rule that does not look at the context is right for exactly one of them.
    """
    key = f"{pair.task}: {' / '.join(sorted((pair.positive, pair.negative)))}"
    speaking = synthesizer or shared_synthesizer()
    speakers: dict[str, SpeakerSettings] = {}
    for attempt in count():
        if len(speakers) == number:
            return list(speakers.values())
        speaker = speaking.speaker_settings(f"{key} #{attempt}", voices, rate, seed)
        speakers.setdefault(speaker.voice, speaker)


def speak_pair(synthesizer: Synthesizer, pair: PairText, speaker: SpeakerSettings) -> dict[str, Rendering]:
    """
    Speak the sides of a pair, and its context if it has one, in one voice.

    Returns:
        `dict[str, Rendering]`: `"positive"`, `"negative"` and, with a context, `"context"`.

    Raises:
        `ValueError`: If the context with either side takes more than 30 s.
    """
    style = {"voice": speaker.voice, "pitch": speaker.pitch, "rate": speaker.rate}
    spoken = {}
    if pair.context:
        spoken["context"] = synthesizer.render(pair.context, trailing_silence=SENTENCE_PAUSE, **style)
    leading_silence = 0.0 if pair.context else EDGE_SILENCE
    for side in ("positive", "negative"):
        spoken[side] = synthesizer.render(getattr(pair, side), leading_silence=leading_silence, **style)
        seconds = spoken[side].duration + (spoken["context"].duration if pair.context else 0.0)
        if seconds > MAX_SECONDS:
            raise ValueError(f"It takes {MAX_SECONDS:.0f} s or more to speak.")
    return spoken


def spoken_forms(rendering: Rendering | None, settings: dict) -> dict:
    """
    Write a side in every form but its text.

    Args:
        rendering ([`Rendering`] or `None`): The side; `None` for one that the pair lacks.
        settings (`dict`): `stretch_factor` and `frame_samples`, as in [`render_pairs`].

    Returns:
        `dict`: Phones, stretched and repeated phones, and audio; empty strings and `None` where there is no side.
    """
    if rendering is None:
        return {form: None if form == "audio" else "" for form in _FORMS if form != "text"}
    phones, frames = phone_content(rendering.phones), num_frames(rendering.duration, settings["frame_samples"])
    return {
        "phones": phones,
        "phones_stretch": stretch_content(phones, settings["stretch_factor"]),
        "phones_repeat": repeat_content(rendering.phones, frames, settings["frame_samples"]),
        "audio": {"bytes": encode_flac(rendering.audio)},
    }


def _by_task(pairs: Iterable[PairText]) -> dict[str, list[Cluster]]:
    """The clusters of each task, in the order of their first pairs."""
    by_task, seen = defaultdict(lambda: defaultdict(list)), set()
    for pair in pairs:
        if pair.task not in TASKS:
            raise ValueError(f"Pair {pair.id} is of an unknown task {pair.task!r}; choose from {', '.join(TASKS)}.")
        if pair.id in seen:
            raise ValueError(f"The id {pair.id} stands for two minimal pairs; make ids unique.")
        seen.add(pair.id)
        by_task[pair.task][pair.cluster].append(pair)
    return {
        task: [Cluster(name, tuple(members)) for name, members in clusters.items()]
        for task, clusters in by_task.items()
    }
