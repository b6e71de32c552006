"""Passages -> spoken utterances in shards.

`Passage` -> voice, pitch and rate of its id -> a [`Synthesizer`] -> [`make_utterance`], one row -> shards.
The same passages and seed give the same files with any number of processes.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from ...models.audio import encode_flac
from ..shards.utterance_rows import MAX_SECONDS, build_utterance_shards
from ..shards.writing import SHARD_SIZE
from ..text.passages import Passage
from .by_name import ESPEAK, VERSION, describe_synthesis, load_synthesizer, locate_synthesizer
from .voices import VOICES


def render_utterances(
    passages: Iterable[Passage],
    output_dir: str | Path,
    voices: str = "one",
    rate: str = "fixed",
    seed: int = 0,
    synthesizer: str = ESPEAK,
    num_proc: int = 1,
    shard_size: int = SHARD_SIZE,
    max_skipped_fraction: float = 0.05,
    max_seconds: float = MAX_SECONDS,
    progress: bool = True,
) -> dict:
    """
    Speak passages into shards of utterances, one row a passage, with the columns of `UTTERANCE_SCHEMA`.

    The same passages, settings and seed give the same files whatever the number of processes. Whole shards of an
    earlier call are kept, a damaged one is made again. A passage that takes too long or cannot be spoken is skipped,
    counted and listed in `skipped.jsonl`.

    Args:
        passages (`Iterable[Passage]`):
            What to speak. Memory does not grow with their number, unless they are an iterator.
        output_dir (`str` or `Path`):
            Where `train-00000-of-00012.parquet` etc. go.
        voices (`str`, *optional*, defaults to `"one"`):
            `"one"` or `"many"`: speakers of the synthesizer.
        rate (`str`, *optional*, defaults to `"fixed"`):
            `"fixed"` or `"random"`.
        seed (`int`, *optional*, defaults to 0):
            Seed of voices, pitches and rates.
        synthesizer (`str`, *optional*, defaults to `"espeak"`):
            `"espeak"`, or `"piper:VOICE"`, see [`load_synthesizer`].
        num_proc (`int`, *optional*, defaults to 1):
            How many processes speak.
        shard_size (`int`, *optional*, defaults to 128):
            Utterances a shard.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05):
            The largest share of passages that may be skipped.
        max_seconds (`float`, *optional*, defaults to 30):
            The longest utterance.
        progress (`bool`, *optional*, defaults to `True`):
            Whether to show a progress bar.

    Returns:
        `dict`: Numbers of `utterances`, `seconds`, `words` and `skipped` passages.

    Raises:
        `FileNotFoundError`: If there is no such voice of Piper.
        `ValueError`: If the synthesizer, the voices or the rate are unknown, too many passages were skipped, or the
            folder holds shards of other passages or settings.
        `OSError`: If the folder cannot be written or the disk is full.
    """
    located = locate_synthesizer(synthesizer)
    load_synthesizer(located).speaker_settings("", voices, rate, seed)
    settings = {"voices": voices, "rate": rate, "seed": seed}
    if synthesizer == ESPEAK:
        settings |= {"definitions": [voice.definition for voice in VOICES[voices]], "version": VERSION}
    else:
        settings["synthesis"] = describe_synthesis(voices, synthesizer)
    if max_seconds != MAX_SECONDS:
        settings["max_seconds"] = max_seconds
    return build_utterance_shards(
        passages,
        _split_of,
        partial(make_utterance, synthesizer=located),
        settings,
        output_dir,
        num_proc=num_proc,
        shard_size=shard_size,
        max_skipped_fraction=max_skipped_fraction,
        progress=progress,
    )


def make_utterance(passage: Passage, settings: dict, synthesizer: str = ESPEAK) -> list[dict]:
    """
    Speak a passage as [`render_utterances`] says.

    Args:
        passage (`Passage`): The passage.
        settings (`dict`): `voices`, `rate`, `seed` and, where it is not [`MAX_SECONDS`], `max_seconds`.
        synthesizer (`str`, *optional*, defaults to `"espeak"`): A synthesizer that lies on this machine.

    Returns:
        `list[dict]`: The one row.

    Raises:
        `ValueError`: If it takes too long or cannot be spoken.
    """
    speaking = load_synthesizer(synthesizer)
    speaker = speaking.speaker_settings(passage.id, settings["voices"], settings["rate"], settings["seed"])
    rendering = speaking.render(passage.sentences, speaker.voice, speaker.pitch, speaker.rate)
    longest = settings.get("max_seconds", MAX_SECONDS)
    if rendering.duration > longest:
        raise ValueError(f"It takes {rendering.duration:.1f} s, longer than {longest:g} s.")
    return [
        {
            "id": passage.id,
            "document": passage.document,
            "topic": passage.topic,
            "text": passage.text,
            "speaker": speaker.voice,
            "rate": speaker.rate,
            "audio": {"bytes": encode_flac(rendering.audio), "path": f"{passage.id}.flac"},
            "duration": rendering.duration,
            "words": rendering.words,
            "phones": rendering.phones,
        }
    ]


def _split_of(passage: Passage) -> str:
    return passage.split
