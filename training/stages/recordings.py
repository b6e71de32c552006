"""The stage of recordings: aligned with their transcripts, in shards as of synthesized speech.

folder | LibriHeavy's manifests | Hub dataset -> [`read_recordings`] -> [`build_recordings`] -> parquet shards,
`skipped.jsonl`, `summary.json`.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ...datasets_scripts.phones.stretch import measure_stretch_factor
from ...datasets_scripts.recordings.sources import Recording
from ...models.files import write_json
from ..run.execution import Execution
from ..run.folder import SKIPPED_FILE, SUMMARY_FILE
from ..run.stage import Stage, fingerprint_files

_MODEL_FILES = ("*.json", "*.safetensors", "*.txt")


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
        config (`str`, *optional*): Its configuration.
        split (`str`, *optional*, defaults to `"train"`): Its split.
    """

    audio_dir: str | None = None
    manifest: str | None = None
    dataset: str | None = None
    text_column: str = "text"
    audio_column: str | None = None
    speaker_column: str | None = None
    document_column: str | None = None
    config: str | None = None
    split: str = "train"


@dataclass(frozen=True)
class RecordingSettings:
    """
    How recordings become utterances.

    Args:
        aligner (`str`): `pocketsphinx`, `ctc:MODEL` or `textgrid:FOLDER`.
        corpus_seed (`int`): Seed of the splits, where the source has none.
        max_words (`int`): Words of transcripts, of all splits together.
        max_skipped_fraction (`float`): Share of recordings that cannot be used above which the stage stops.
    """

    aligner: str
    corpus_seed: int
    max_words: int
    max_skipped_fraction: float

    def describe(self) -> dict:
        """All of it, with what an aligner's folder holds instead of where it lies: part of the stage's fingerprint."""
        kind, _, place = self.aligner.partition(":")
        if not Path(place).is_dir() or not place:
            return asdict(self)
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

    recordings, without_audio = read_recordings(source, settings.max_words)

    def build(partial: Path) -> None:
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

    # Their `repr` leaves paths out.
    digest = hashlib.sha256("\n".join(map(repr, recordings)).encode()).hexdigest()[:16]
    read = {"recordings": len(recordings), "digest": digest}
    packages = ("pocketsphinx", "espeakng-loader", "soxr", "num2words")
    stage = Stage(folder, 3, settings.describe() | {"source": read}, packages=packages)
    stage.run(build, execution.overwrite)


def read_recordings(source: RecordingSource, max_words: int) -> tuple[list[Recording], list[Recording]]:
    """
    The recordings of a corpus in the order of their source, until `max_words` of their transcripts are reached.

    Args:
        source ([`RecordingSource`]): Where they come from.
        max_words (`int`): Words of transcripts.

    Returns:
        `tuple[list[Recording], list[Recording]]`: The recordings, among them those that cannot be used, with the
        reason; and transcripts that have no audio, which are no bad recordings: one may hold a part of a corpus.

    Raises:
        `FileNotFoundError`: If the folder, the manifest or the dataset is not there.
        `ValueError`: If it cannot be read.
    """
    from ...datasets_scripts.recordings.hub import read_hub_recordings
    from ...datasets_scripts.recordings.sources import read_audio_folder, read_libriheavy

    if source.dataset is not None:
        found = read_hub_recordings(
            source.dataset,
            text_column=source.text_column,
            audio_column=source.audio_column,
            speaker_column=source.speaker_column,
            document_column=source.document_column,
            config=source.config,
            split=source.split,
        )
    elif source.manifest is not None:
        found = read_libriheavy(source.manifest, source.audio_dir)
    else:
        found = read_audio_folder(source.audio_dir)
    recordings, without_audio, words = [], [], 0
    for recording in found:
        if recording.problem and recording.size is None and recording.text:
            without_audio.append(recording)
            continue
        words += len(recording.text.split())
        if words > max_words:
            break
        recordings.append(recording)
    return recordings, without_audio
