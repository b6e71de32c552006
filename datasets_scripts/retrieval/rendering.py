"""Blocks of passages, spoken anew: every context and continuation of a block in one voice, at one pitch and rate.

`Block`s -> how each is spoken -> audio of contexts and continuations -> one row a passage -> shards.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pyarrow as pa

from ...models.audio import encode_flac
from ..shards.utterance_rows import MAX_SECONDS
from ..shards.writing import build_shards
from ..synthesis.by_name import ESPEAK, describe_synthesis, load_synthesizer, locate_synthesizer
from ..synthesis.synthesizer import SENTENCE_PAUSE
from .blocks import Block

BLOCKS_PER_SHARD = 16
PARTS = ("context", "continuation")

_AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
BLOCK_SCHEMA = pa.schema(
    [
        *((column, pa.string()) for column in ("id", "block", "topic", "voice")),
        ("rate", pa.int32()),
        *((f"{part}_{form}", kind) for part in PARTS for form, kind in (("text", pa.string()), ("audio", _AUDIO))),
    ]
)


def render_blocks(
    blocks: Iterable[Block],
    output_dir: str | Path,
    voices: str,
    rate: str,
    seed: int,
    any_voice: bool = False,
    synthesizer: str = ESPEAK,
    num_proc: int = 1,
    shard_size: int = BLOCKS_PER_SHARD,
    max_skipped_fraction: float = 0.05,
    progress: bool = True,
) -> dict:
    """
    Speak blocks and write them as shards, a row a passage.

    All of a block has one voice, pitch and rate, so that a voice tells nothing of what belongs together. A context has
    the silence of an utterance at its beginning and the pause of a sentence at its end, and continuations begin
    without: any context with any continuation behind it is one utterance.

    Args:
        blocks (`Iterable[Block]`): The blocks.
        output_dir (`str` or `Path`): Where `test-00000-of-00004.parquet`, ... go.
        voices (`str`): `"one"` or `"many"`, as for utterances.
        rate (`str`): `"fixed"` or `"random"`, as for utterances.
        seed (`int`): Decides voice, pitch and rate of each block.
        any_voice (`bool`, *optional*, defaults to `False`): Whether each passage is spoken by itself instead, its
            context and continuation alike: what is retrieved then may be the voice.
        synthesizer (`str`, *optional*, defaults to `"espeak"`): `"espeak"`, or `"piper:VOICE"`, as for utterances.
        num_proc (`int`, *optional*, defaults to 1): Number of processes. The rows do not depend on it.
        shard_size (`int`, *optional*, defaults to 16): Blocks a shard.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05): The largest share of blocks that may be skipped
            because one of their passages cannot be spoken, or a context with a continuation takes more than 30 s.
        progress (`bool`, *optional*, defaults to `True`): Whether to show a progress bar.

    Returns:
        `dict`: How many `blocks` and `rows` were written, and how many blocks were `skipped`.

    Raises:
        `ValueError`: If there are no such voices, too many blocks were skipped, or the folder holds shards of other
            blocks or settings.
    """
    located = locate_synthesizer(synthesizer)
    load_synthesizer(located).speaker_settings("", voices, rate, seed)
    settings = {"voices": voices, "rate": rate, "seed": seed, "any_voice": any_voice}
    settings["synthesis"] = describe_synthesis(voices, synthesizer)
    results = build_shards(
        blocks,
        lambda block: "test",
        partial(make_block_rows, synthesizer=located),
        settings,
        BLOCK_SCHEMA,
        output_dir,
        num_proc=num_proc,
        shard_size=shard_size,
        max_skipped_fraction=max_skipped_fraction,
        progress=progress,
    )
    skipped = sum(len(result["skipped"]) for result in results)
    return {
        "blocks": sum(result["items"] for result in results) - skipped,
        "rows": sum(result["rows"] for result in results),
        "skipped": skipped,
    }


def make_block_rows(block: Block, settings: dict, synthesizer: str = ESPEAK) -> list[dict]:
    """
    Speak a block.

    Args:
        block ([`Block`]): The block.
        settings (`dict`): The arguments of [`render_blocks`] that rows depend on.
        synthesizer (`str`, *optional*, defaults to `"espeak"`): A synthesizer that lies on this machine.

    Returns:
        `list[dict]`: A row a passage.

    Raises:
        `ValueError`: If a passage cannot be spoken, or a context with a continuation takes more than 30 s.
    """
    speaking, rows, longest = load_synthesizer(synthesizer), [], dict.fromkeys(PARTS, 0.0)
    for passage in block.passages:
        who = f"{block.id}: {passage.id}" if settings["any_voice"] else block.id
        speaker = speaking.speaker_settings(who, settings["voices"], settings["rate"], settings["seed"])
        style = {"voice": speaker.voice, "pitch": speaker.pitch, "rate": speaker.rate}
        spoken = {
            "context": speaking.render(passage.context, trailing_silence=SENTENCE_PAUSE, **style),
            "continuation": speaking.render(passage.continuation, leading_silence=0.0, **style),
        }
        row = {"id": passage.id, "block": block.id, "topic": passage.topic}
        row |= {"voice": speaker.voice, "rate": speaker.rate}
        for part, rendering in spoken.items():
            longest[part] = max(longest[part], rendering.duration)
            row[f"{part}_text"] = getattr(passage, part)
            path = f"{passage.id}-{part}.flac".replace("/", "-")
            row[f"{part}_audio"] = {"bytes": encode_flac(rendering.audio), "path": path}
        rows.append(row)
    if sum(longest.values()) > MAX_SECONDS:
        raise ValueError(f"A context with a continuation takes more than {MAX_SECONDS} s to speak.")
    return rows
