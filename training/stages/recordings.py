"""The stage of recordings: aligned with their transcripts, in shards as of synthesized speech."""

import hashlib
import json
from pathlib import Path

from ...datasets_scripts.recordings.sources import Recording
from ...models.files import write_json
from ..arguments.study import RECORDED, Arguments, CorpusArguments
from ..run.folder import SKIPPED_FILE, SUMMARY_FILE, Run
from ..run.stage import Stage
from ..run.workers import count_cores
from .speech import count_stretch_factor


def build_recordings(arguments: Arguments, run: Run) -> Path:
    """
    Build the speech stage of recordings: aligned with their transcripts, in shards as of synthesized speech.

    Interrupted, it keeps every finished shard.

    Args:
        arguments ([`Arguments`]): Of the command.
        run ([`Run`]): Where to.

    Returns:
        `Path`: The stage's folder.
    """
    from ...datasets_scripts.recordings.utterances import build_recorded_utterances

    corpus = arguments.corpus
    recordings, without_audio = read_recordings(corpus)
    configuration = {
        "voices": RECORDED,
        "aligner": _describe_aligner(corpus.aligner),
        "seed": corpus.corpus_seed,
        "max_words": corpus.max_words,
        "max_skipped_fraction": corpus.max_skipped_fraction,
        "source": _describe_recordings(corpus, recordings),
    }

    def build(partial: Path) -> None:
        summary = build_recorded_utterances(
            recordings,
            partial,
            aligner=corpus.aligner,
            seed=corpus.corpus_seed,
            num_proc=arguments.run.num_proc or count_cores(),
            max_skipped_fraction=corpus.max_skipped_fraction,
        )
        summary["stretch_factor"] = count_stretch_factor(partial)
        summary["transcripts_without_audio"] = len(without_audio)
        with (partial / SKIPPED_FILE).open("a", encoding="utf-8") as file:
            for recording in without_audio:
                file.write(json.dumps({"id": recording.id, "reason": recording.problem}, ensure_ascii=False) + "\n")
        write_json(partial / SUMMARY_FILE, summary)

    Stage(run.utterances(), 2, configuration).run(build, arguments.run.overwrite)
    return run.utterances()


def read_recordings(corpus: CorpusArguments) -> tuple[list[Recording], list[Recording]]:
    """
    The recordings of a corpus in the order of their source, until `max_words` of their transcripts are reached.

    Args:
        corpus ([`CorpusArguments`]): Of the command.

    Returns:
        `tuple[list[Recording], list[Recording]]`: The recordings, among them those that cannot be used, with the
        reason; and transcripts that have no audio, which are no bad recordings: one may hold a part of a corpus.

    Raises:
        `FileNotFoundError`: If the folder, the manifest or the dataset is not there.
        `ValueError`: If it cannot be read.
    """
    from ...datasets_scripts.recordings.hub import read_hub_recordings
    from ...datasets_scripts.recordings.sources import read_audio_folder, read_libriheavy

    if corpus.corpus == "audio":
        source = read_audio_folder(corpus.audio_dir)
    elif corpus.corpus == "libriheavy":
        source = read_libriheavy(corpus.manifest, corpus.audio_dir)
    else:
        source = read_hub_recordings(
            corpus.dataset,
            text_column=corpus.dataset_column,
            audio_column=corpus.audio_column,
            speaker_column=corpus.speaker_column,
            document_column=corpus.document_column,
            config=corpus.dataset_config,
            split=corpus.dataset_split,
        )
    recordings, without_audio, words = [], [], 0
    for recording in source:
        if recording.problem and recording.size is None and recording.text:
            without_audio.append(recording)
            continue
        words += len(recording.text.split())
        if words > corpus.max_words:
            break
        recordings.append(recording)
    return recordings, without_audio


def _describe_aligner(aligner: str) -> str:
    """The aligner, less where its model or TextGrids lie."""
    kind, _, place = aligner.partition(":")
    return f"{kind}:{Path(place).name if Path(place).exists() else place}" if place else kind


def _describe_recordings(corpus: CorpusArguments, recordings: list[Recording]) -> dict:
    """What the recordings are, wherever they lie; their `repr` leaves paths out."""
    digest = hashlib.sha256("\n".join(map(repr, recordings)).encode()).hexdigest()[:16]
    return {"kind": corpus.corpus, "recordings": len(recordings), "digest": digest}
