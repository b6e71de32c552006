"""Recordings with transcripts -> utterances, the same rows that synthesized speech gives.

`Recording` -> samples -> forced alignment -> (cut at sentence ends where longer than 30 s) -> rows in shards.
What cannot be read, does not match its transcript or stays too long is skipped, and named in `skipped.jsonl`.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ...models.audio import FRAME_SAMPLES, SAMPLE_RATE, encode_flac
from ..shards.utterance_rows import MAX_SECONDS, build_utterance_shards
from ..shards.writing import SHARD_SIZE
from ..synthesis.phone_events import TimedPhone
from ..synthesis.synthesizer import Rendering
from ..text.passages import SPLITS
from .aligners.alignment import Aligner, Alignment, finish_alignment, spoken_text, tokens_of
from .aligners.loading import load_aligner
from .layout import topic_of
from .reading import read_speech
from .sampling import assign_splits
from .sources import Recording

# Part of what a shard is made of: raise it when the same recording gives other rows.
VERSION = 5
# A recording that is too long is cut in the middle of a pause of at least this, in seconds, where a sentence ends.
MIN_CUT_PAUSE = 0.2


def build_recorded_utterances(
    recordings: Iterable[Recording],
    output_dir: str | Path,
    aligner: str = "pocketsphinx",
    min_score: float | None = None,
    seed: int = 0,
    num_proc: int = 1,
    shard_size: int = SHARD_SIZE,
    max_skipped_fraction: float = 0.05,
    validation_fraction: float = 0.05,
    test_fraction: float = 0.05,
    progress: bool = True,
) -> dict:
    """
    Align recordings with their transcripts and write them as shards of utterances, with the columns of
    `UTTERANCE_SCHEMA`. `text` is the transcript as it is read aloud, `rate` the words per minute, rounded.

    The same recordings, settings and seed give the same files whatever the number of processes. Whole shards of an
    earlier call are kept, a damaged one is made again. Splits that the recordings do not name are drawn from the
    documents by the seed ([`assign_splits`]).

    Args:
        recordings (`Iterable[Recording]`):
            What `sources.py` or `hub.py` gives. Memory does not grow with their number but for the
            names of documents, unless they are an iterator.
        output_dir (`str` or `Path`):
            Where `train-00000-of-00012.parquet` etc. go.
        aligner (`str`, *optional*, defaults to `"pocketsphinx"`):
            What aligns, see [`load_aligner`].
        min_score (`float`, *optional*):
            Recordings whose transcripts fit worse are skipped. Defaults to the aligner's own bound.
        seed (`int`, *optional*, defaults to 0):
            Seed of the splits.
        num_proc (`int`, *optional*, defaults to 1):
            How many processes align.
        shard_size (`int`, *optional*, defaults to 128):
            Recordings a shard.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05):
            The largest share of recordings that may be skipped.
        validation_fraction (`float`, *optional*, defaults to 0.05):
            Share of documents for validation, at least one.
        test_fraction (`float`, *optional*, defaults to 0.05):
            Share of documents for test, at least one.
        progress (`bool`, *optional*, defaults to `True`):
            Whether to show a progress bar.

    Returns:
        `dict`: Numbers of `utterances`, `seconds`, `words` and `skipped` recordings.

    Raises:
        `FileNotFoundError`: If the aligner's model or folder cannot be found.
        `ValueError`: If there are fewer than three recordings, there is no such aligner, too many recordings were
            skipped or all of a split were, or the folder holds shards of other recordings or settings.
        `OSError`: If the folder cannot be written or the disk is full.
    """
    if iter(recordings) is recordings:
        recordings = list(recordings)
    _aligner(aligner, min_score)  # a wrong name is better said before any work
    split_of = assign_splits(recordings, seed, validation_fraction, test_fraction)
    summary = build_utterance_shards(
        recordings,
        split_of,
        make_recorded_utterances,
        {"aligner": aligner, "min_score": min_score, "version": VERSION},
        output_dir,
        num_proc=num_proc,
        shard_size=shard_size,
        max_skipped_fraction=max_skipped_fraction,
        progress=progress,
    )
    for split in SPLITS:
        if not any(pq.read_metadata(path).num_rows for path in Path(output_dir).glob(f"{split}-*.parquet")):
            raise ValueError(
                f"No recording of the {split} split could be used: {Path(output_dir, 'skipped.jsonl')} says why."
            )
    return summary


def make_recorded_utterances(recording: Recording, settings: dict) -> list[dict]:
    """
    Turn a recording into rows as [`build_recorded_utterances`] says.

    Returns:
        `list[dict]`: One row, or several, `ID/000` etc., of a recording longer than 30 s.

    Raises:
        `ValueError`: If it cannot be used; says why.
    """
    if recording.problem:
        raise ValueError(recording.problem)
    text = spoken_text(recording.text)
    audio = read_speech(recording.path, recording.start, recording.end)
    # A TextGrid is named after the file, in a folder of the speaker's name or not; of a cut, after the cut.
    file = Path(recording.path)
    name = recording.id if recording.start is not None else f"{file.parent.name}/{file.stem}"
    alignment = _aligner(settings["aligner"], settings["min_score"]).align(audio, text, name)
    whole = finish_alignment(audio, text, alignment)
    if whole.duration <= MAX_SECONDS:
        return [_row(recording, recording.id, text, whole)]
    pieces = cut_at_pauses(audio, text, alignment)
    return [_row(recording, f"{recording.id}/{i:03d}", *piece) for i, piece in enumerate(pieces)]


def cut_at_pauses(
    audio: np.ndarray, text: str, alignment: Alignment, max_seconds: float = MAX_SECONDS
) -> list[tuple[str, Rendering]]:
    """
    Cut a long recording where a sentence ends in a pause, into pieces as long as they may be.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): The recording.
        text (`str`): Its transcript.
        alignment (`Alignment`): Where the phones of the transcript are.
        max_seconds (`float`, *optional*, defaults to 30): The longest piece.

    Returns:
        `list[tuple[str, Rendering]]`: Text and sound of each piece.

    Raises:
        `ValueError`: If sentences without such a pause take longer than `max_seconds`.
    """
    tokens, phones = tokens_of(text), alignment.phones
    # Token and sample at which a piece may end, with the index of the first phone behind it.
    ends = [
        (phone.token + 1, (phone.end + following.start) // 2 // FRAME_SAMPLES * FRAME_SAMPLES, i + 1)
        for i, (phone, following) in enumerate(zip(phones, phones[1:]))
        if following.token > phone.token
        and following.start - phone.end >= MIN_CUT_PAUSE * SAMPLE_RATE
        and any(token.word.rstrip("'")[-1:] in ".!?" for token in tokens[phone.token : following.token])
    ]
    ends.append((len(tokens), len(audio), len(phones)))
    pieces = []
    token, sample, phone = 0, 0, 0
    while ends:
        fitting: tuple | None = None
        for end in ends:
            piece = _piece(audio, text, phones[phone : end[2]], (token, end[0]), (sample, end[1]))
            if piece[1].duration > max_seconds:
                break
            fitting = (end, piece)
        if fitting is None:
            seconds = (ends[0][1] - sample) / SAMPLE_RATE
            raise ValueError(
                f"It takes {len(audio) / SAMPLE_RATE:.1f} s, longer than {max_seconds:g} s, and has {seconds:.1f} s "
                "without a pause at the end of a sentence."
            )
        (token, sample, phone), piece = fitting
        pieces.append(piece)
        ends = [end for end in ends if end[0] > token]
    return pieces


def _piece(
    audio: np.ndarray, text: str, phones: list[TimedPhone], words: tuple[int, int], samples: tuple[int, int]
) -> tuple[str, Rendering]:
    own = " ".join(token.word for token in tokens_of(text)[slice(*words)])
    shifted = [
        phone._replace(start=phone.start - samples[0], end=phone.end - samples[0], token=phone.token - words[0])
        for phone in phones
    ]
    return own, finish_alignment(audio[slice(*samples)], own, Alignment(shifted))


def _row(recording: Recording, utterance_id: str, text: str, rendering: Rendering) -> dict:
    return {
        "id": utterance_id,
        "document": recording.document,
        "topic": recording.topic or topic_of(recording.document),
        "text": text,
        "speaker": recording.speaker,
        "rate": round(len(text.split()) * 60 / rendering.duration),
        "audio": {"bytes": encode_flac(rendering.audio), "path": f"{utterance_id}.flac"},
        "duration": rendering.duration,
        "words": rendering.words,
        "phones": rendering.phones,
    }


@cache
def _aligner(name: str, min_score: float | None) -> Aligner:
    return load_aligner(name, min_score)
