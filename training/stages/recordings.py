"""The stage of recordings: aligned with their transcripts, in shards as of synthesized speech.

folder | LibriHeavy's manifests | Hub dataset -> [`read_recordings`] -> [`build_recordings`] -> parquet shards,
`skipped.jsonl`, `summary.json`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ...datasets_scripts.phones.stretch import measure_stretch_factor
from ...datasets_scripts.recordings.aligners.loading import pin_aligner
from ...datasets_scripts.recordings.sources import Recording
from ...models.files import write_json
from ...models.hub_commit import find_commit
from ..run.execution import Execution
from ..run.folder import SKIPPED_FILE, SUMMARY_FILE
from ..run.stage import Stage, fingerprint_files

_MODEL_FILES = ("*.json", "*.safetensors", "*.txt")
# A file of up to this is read whole to tell it from another; LibriHeavy's take hours to read.
_WHOLE_BYTES = 2**20
_NUM_BLOCKS, _BLOCK_BYTES = 16, 2**16


@dataclass(frozen=True)
class RecordingSource:
    """
    Where recordings come from: a folder, LibriHeavy's manifests beside one, or a dataset.

    Args:
        audio_dir (`str`, *optional*): A folder of recordings with transcripts, or what manifests speak of.
        manifest (`str`, *optional*): LibriHeavy's `*_cuts_*.jsonl.gz`, or a folder of them.
        dataset (`str`, *optional*): A dataset's id on the Hub, or its folder.
        text_column (`str`, *optional*, defaults to `"text"`): Its column of transcripts.
        audio_column (`str`, *optional*): Its column of recordings.
        speaker_column (`str`, *optional*): Its column of speakers.
        document_column (`str`, *optional*): Its column of documents.
        topic_column (`str`, *optional*): Its column of topics.
        config (`str`, *optional*): Its configuration.
        split (`str`, *optional*, defaults to `"train"`): Its split.
        revision (`str`, *optional*): Its commit, branch or tag on the Hub.
    """

    audio_dir: str | None = None
    manifest: str | None = None
    dataset: str | None = None
    text_column: str = "text"
    audio_column: str | None = None
    speaker_column: str | None = None
    document_column: str | None = None
    topic_column: str | None = None
    config: str | None = None
    split: str = "train"
    revision: str | None = None

    def pinned(self) -> "RecordingSource":
        """The same, of the commit that a dataset on the Hub has now."""
        if self.dataset is None:
            return self
        return replace(self, revision=find_commit(self.dataset, self.revision))


@dataclass(frozen=True)
class RecordingSettings:
    """
    How recordings become utterances.

    Args:
        aligner (`str`): `pocketsphinx`, `ctc:MODEL` or `textgrid:FOLDER`.
        corpus_seed (`int`): Seed of the documents that are taken, and of the splits that the source has not.
        max_words (`int`): Words of transcripts, of all splits together.
        max_skipped_fraction (`float`): Share of recordings that cannot be used above which the stage stops.
    """

    aligner: str
    corpus_seed: int
    max_words: int
    max_skipped_fraction: float

    def describe(self) -> dict:
        """
        All of it, with what an aligner's folder holds instead of where it lies, or the commit of its model: part of
        the stage's fingerprint.
        """
        kind, _, place = self.aligner.partition(":")
        if not Path(place).is_dir() or not place:
            return asdict(self) | {"aligner": pin_aligner(self.aligner)}
        patterns = ("**/*.TextGrid",) if kind == "textgrid" else _MODEL_FILES
        return asdict(self) | {"aligner": kind, "aligner_files": fingerprint_files(Path(place), patterns)}


def build_recordings(folder: Path, source: RecordingSource, settings: RecordingSettings, execution: Execution) -> None:
    """
    Build the stage of recordings. Interrupted, it keeps every finished shard.

    Args:
        folder (`Path`): Where to.
        source ([`RecordingSource`]): Where they come from.
        settings ([`RecordingSettings`]): How they become utterances.
        execution ([`Execution`]): How it is done.

    Raises:
        `FileNotFoundError`: If the folder, the manifest or the dataset is not there.
        `ValueError`: If it cannot be read, or too many recordings cannot be used.
    """
    from ...datasets_scripts.recordings.utterances import build_recorded_utterances

    source, settings = source.pinned(), replace(settings, aligner=pin_aligner(settings.aligner))
    # What a commit holds need not be read to be known.
    is_known = source.revision is not None
    found = None if is_known else read_recordings(source, settings.max_words, settings.corpus_seed)

    def build(partial: Path) -> None:
        recordings, without_audio = found or read_recordings(source, settings.max_words, settings.corpus_seed)
        summary = build_recorded_utterances(
            recordings,
            partial,
            aligner=settings.aligner,
            seed=settings.corpus_seed,
            num_proc=execution.num_proc,
            max_skipped_fraction=settings.max_skipped_fraction,
        )
        summary["stretch_factor"] = measure_stretch_factor(partial)
        summary["transcripts_without_audio"] = len(without_audio)
        with (partial / SKIPPED_FILE).open("a", encoding="utf-8") as file:
            for recording in without_audio:
                file.write(json.dumps({"id": recording.id, "reason": recording.problem}, ensure_ascii=False) + "\n")
        write_json(partial / SUMMARY_FILE, summary)

    if is_known:
        read = asdict(source)
    else:
        read = {"recordings": len(found[0]), "digest": _digest(found[0])}
    packages = ("pocketsphinx", "espeakng-loader", "soxr", "num2words")
    stage = Stage(folder, 5, settings.describe() | {"source": read}, packages=packages)
    stage.run(build, execution.overwrite)


def read_recordings(source: RecordingSource, max_words: int, seed: int) -> tuple[list[Recording], list[Recording]]:
    """
    As many recordings of a corpus as have `max_words` words: documents of a folder or of manifests are chosen by the
    seed ([`sample_recordings`]); a dataset, of which every row has to be fetched, is read from its beginning.

    Args:
        source ([`RecordingSource`]): Where they come from.
        max_words (`int`): Words of transcripts.
        seed (`int`): Which documents are chosen.

    Returns:
        `tuple[list[Recording], list[Recording]]`: The recordings in the order of their source, among them those that
        cannot be used, with the reason; and transcripts that have no audio, which are no bad recordings: one may hold
        a part of a corpus.

    Raises:
        `FileNotFoundError`: If the folder, the manifest or the dataset is not there.
        `ValueError`: If it cannot be read.
    """
    from ...datasets_scripts.recordings.hub import read_hub_recordings
    from ...datasets_scripts.recordings.sampling import sample_recordings
    from ...datasets_scripts.recordings.sources import read_audio_folder, read_libriheavy

    without_audio: list[Recording] = []

    def with_audio(found: Iterable[Recording]) -> Iterator[Recording]:
        for recording in found:
            if recording.problem and recording.size is None and recording.text:
                without_audio.append(recording)
            else:
                yield recording

    if source.dataset is not None:
        found = read_hub_recordings(
            source.dataset,
            text_column=source.text_column,
            audio_column=source.audio_column,
            speaker_column=source.speaker_column,
            document_column=source.document_column,
            topic_column=source.topic_column,
            config=source.config,
            split=source.split,
            revision=source.revision,
        )
        return list(_until(with_audio(found), max_words)), without_audio
    if source.manifest is not None:
        found = read_libriheavy(source.manifest, source.audio_dir)
    else:
        found = read_audio_folder(source.audio_dir)
    return sample_recordings(with_audio(found), max_words, seed), without_audio


def _digest(recordings: Iterable[Recording]) -> str:
    """Sixteen hexadecimal digits for what is said of recordings and for their sound, wherever they lie."""
    digest, sounds = hashlib.sha256(), {}
    for recording in recordings:
        if recording.path not in sounds:
            sounds.clear()  # cuts of a file stand together
            sounds[recording.path] = _digest_sound(recording) if recording.size else b""
        # Its `repr` leaves the path out.
        digest.update(repr(recording).encode() + sounds[recording.path])
    return digest.hexdigest()[:16]


def _digest_sound(recording: Recording) -> bytes:
    """A digest of a recording's file: of one that is long, of blocks throughout it."""
    digest = hashlib.sha256()
    with open(recording.path, "rb") as file:
        if recording.size <= _WHOLE_BYTES:
            digest.update(file.read())
        else:
            for block in range(_NUM_BLOCKS):
                file.seek(block * (recording.size - _BLOCK_BYTES) // (_NUM_BLOCKS - 1))
                digest.update(file.read(_BLOCK_BYTES))
    return digest.digest()


def _until(recordings: Iterable[Recording], max_words: int) -> Iterator[Recording]:
    """The first recordings, until their transcripts have `max_words` words."""
    words = 0
    for recording in recordings:
        words += len(recording.text.split())
        if words > max_words:
            return
        yield recording
