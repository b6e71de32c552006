"""The corpus stages: text -> passages -> utterances, or recordings -> utterances -> passages.

stories | a folder of .txt files | a Hub dataset's column -> passages (and held-out ones for Topic-SC) -> speech with
word and phone times in fixed-size shards. Recordings are aligned with their transcripts, which are the passages.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from ..datasets_scripts.passages import SPLITS, Passage, read_passages, write_passages
from .arguments import RECORDED, Arguments, CorpusArguments
from .run import Run
from .stages import Stage, write_json
from .workers import count_cores

if TYPE_CHECKING:
    from ..datasets_scripts.audio_sources import Recording

PASSAGES_FILE = "passages.parquet"
HELD_OUT_FILE = "held_out.parquet"
SUMMARY_FILE = "summary.json"
SKIPPED_FILE = "skipped.jsonl"
# Stories that no split holds come from another seed, far from any that a person would ask for.
_HELD_OUT_SEED = 1_000_003
# Endings are matched in form and length, and not every passage has one: two and a half passages a pair.
_HELD_OUT_WORDS_PER_PAIR = 140
# Recordings of up to 30 s may be read faster than the synthetic voices speak; models see 2,048 frames, which is 41 s.
_LONGEST_TRANSCRIPT = 40.0
_SPLIT_SHARE = 0.05
_HELD_OUT_SENTENCES = 6


def build_passages(arguments: Arguments, run: Run) -> Path:
    """
    Build the text stage: `passages.parquet`, `held_out.parquet` and `summary.json`.

    Args:
        arguments ([`Arguments`]): Of the command.
        run ([`Run`]): Where to.

    Returns:
        `Path`: The stage's folder.
    """
    corpus = arguments.corpus
    configuration = {
        "corpus": corpus.corpus,
        "max_words": corpus.max_words,
        "seed": corpus.seed,
        "held_out_pairs": arguments.pairs.pairs_per_task,
        "source": None if corpus.is_recorded else _describe_source(corpus),
    }

    def build(folder: Path) -> None:
        if corpus.is_recorded:
            passages, held_out, summary = _read_transcripts(run.utterances())
        else:
            passages, held_out, summary = _read_passages(corpus, arguments.pairs.pairs_per_task)
        write_passages(passages, folder / PASSAGES_FILE)
        write_passages(held_out, folder / HELD_OUT_FILE)
        write_json(folder / SUMMARY_FILE, summary)

    inputs = {"utterances": run.utterances()} if corpus.is_recorded else {}
    Stage(run.passages, 1, configuration, inputs).run(build, arguments.run.overwrite)
    return run.passages


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
    from ..datasets_scripts.recorded_speech import build_recorded_utterances

    corpus = arguments.corpus
    recordings, without_audio = read_recordings(corpus)
    configuration = {
        "voices": RECORDED,
        "aligner": _describe_aligner(corpus.aligner),
        "seed": corpus.seed,
        "max_words": corpus.max_words,
        "max_skipped_fraction": corpus.max_skipped_fraction,
        "source": _describe_recordings(corpus, recordings),
    }

    def build(partial: Path) -> None:
        summary = build_recorded_utterances(
            recordings,
            partial,
            aligner=corpus.aligner,
            seed=corpus.seed,
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


def read_recordings(corpus: CorpusArguments) -> tuple[list["Recording"], list["Recording"]]:
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
    from ..datasets_scripts.audio_hub import read_hub_recordings
    from ..datasets_scripts.audio_sources import read_audio_folder, read_libriheavy

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


def build_utterances(arguments: Arguments, run: Run, voices: str) -> Path:
    """
    Build the speech stage in one set of voices: parquet shards, `skipped.jsonl` and `summary.json`.

    Interrupted, it keeps every finished shard.

    Args:
        arguments ([`Arguments`]): Of the command.
        run ([`Run`]): Where to.
        voices (`str`): `"one"` or `"many"`.

    Returns:
        `Path`: The stage's folder.
    """
    from ..datasets_scripts.synthesis import MAX_SECONDS, render_utterances

    corpus = arguments.corpus
    folder = run.utterances(voices)
    configuration = {
        "voices": voices,
        "rate": corpus.rate,
        "seed": corpus.seed,
        "max_skipped_fraction": corpus.max_skipped_fraction,
    }

    def build(partial: Path) -> None:
        summary = render_utterances(
            list(read_passages(run.passages / PASSAGES_FILE)),
            partial,
            voices=voices,
            rate=corpus.rate,
            seed=corpus.seed,
            num_proc=arguments.run.num_proc or count_cores(),
            max_skipped_fraction=corpus.max_skipped_fraction,
            max_seconds=_LONGEST_TRANSCRIPT if corpus.is_recorded else MAX_SECONDS,
        )
        summary["stretch_factor"] = count_stretch_factor(partial)
        write_json(partial / SUMMARY_FILE, summary)

    Stage(folder, 1, configuration, {"passages": run.passages}).run(build, arguments.run.overwrite)
    return folder


def count_stretch_factor(folder: Path) -> int:
    """How often Phone-Stretch repeats each phone: the training split's frames a phone, rounded."""
    frames = phones = 0
    for path in sorted(folder.glob("train-*.parquet")):
        table = pq.read_table(path, columns=["duration", "phones"])
        frames += sum(round(duration * 50) for duration in table["duration"].to_pylist())
        phones += len(table["phones"].combine_chunks().flatten())
    return max(1, round(frames / phones))


def summarize_corpus(run: Run, arguments: Arguments) -> dict:
    """What the corpus amounts to, split by split, from the utterances that were kept."""
    summary = {
        "corpus": arguments.corpus.corpus,
        "voices": arguments.corpus.own_voices,
        "rate": None if arguments.corpus.is_recorded else arguments.corpus.rate,
        "words": {},
        "utterances": {},
        "seconds": {},
        "documents": {},
    }
    speakers = set()
    for split in SPLITS:
        shards = sorted(run.utterances().glob(f"{split}-*.parquet"))
        rows = [pq.read_table(path, columns=["document", "text", "speaker", "duration"]) for path in shards]
        summary["utterances"][split] = sum(len(table) for table in rows)
        summary["words"][split] = sum(len(text.split()) for table in rows for text in table["text"].to_pylist())
        summary["seconds"][split] = round(sum(sum(table["duration"].to_pylist()) for table in rows), 2)
        summary["documents"][split] = len({name for table in rows for name in table["document"].to_pylist()})
        speakers.update(name for table in rows for name in table["speaker"].unique().to_pylist())
    summary["speakers"] = len(speakers)
    return summary


def _read_transcripts(utterances: Path) -> tuple[list[Passage], list[Passage], dict]:
    """
    The transcripts of utterances as passages. Topic-SC's are held out of the test split, which trains nothing: what
    follows each other in a document is joined until it is long enough to have a beginning and an end.
    """
    from ..datasets_scripts.synthesis import split_sentences

    passages = []
    for split in SPLITS:
        for shard in sorted(utterances.glob(f"{split}-*.parquet")):
            for row in pq.read_table(shard, columns=["id", "document", "text"]).to_pylist():
                sentences = tuple(split_sentences(row["text"]))
                passages.append(Passage(row["id"], row["document"], row["document"].split("/")[0], split, sentences))
    held_out: list[Passage] = []
    for passage in passages:
        if passage.split != "test":
            continue
        last = held_out[-1] if held_out else None
        if last and last.document == passage.document and len(last.sentences) < _HELD_OUT_SENTENCES:
            held_out[-1] = replace(last, sentences=last.sentences + passage.sentences)
        else:
            held_out.append(passage)
    return passages, held_out, {"dropped": {}}


def _describe_aligner(aligner: str) -> str:
    """The aligner, less where its model or TextGrids lie."""
    kind, _, place = aligner.partition(":")
    return f"{kind}:{Path(place).name if Path(place).exists() else place}" if place else kind


def _describe_recordings(corpus: CorpusArguments, recordings: list["Recording"]) -> dict:
    """What the recordings are, wherever they lie; their `repr` leaves paths out."""
    digest = hashlib.sha256("\n".join(map(repr, recordings)).encode()).hexdigest()[:16]
    return {"kind": corpus.corpus, "recordings": len(recordings), "digest": digest}


def _read_passages(corpus: CorpusArguments, num_pairs: int) -> tuple[list[Passage], list[Passage], dict]:
    """Passages of the corpus, passages that no split of it holds, and what was dropped on the way."""
    if corpus.corpus == "stories":
        return _read_stories(corpus, num_pairs)
    return _read_text(corpus, num_pairs)


def _read_stories(corpus: CorpusArguments, num_pairs: int) -> tuple[list[Passage], list[Passage], dict]:
    from ..datasets_scripts.stories import generate_stories

    passages = list(generate_stories(corpus.max_words, corpus.seed))
    known = {passage.text for passage in passages}
    spare = generate_stories(num_pairs * _HELD_OUT_WORDS_PER_PAIR, corpus.seed + _HELD_OUT_SEED)
    held_out = [replace(passage, split="test") for passage in spare if passage.text not in known]
    return passages, held_out, {"dropped": {}}


def _read_text(corpus: CorpusArguments, num_pairs: int) -> tuple[list[Passage], list[Passage], dict]:
    """
    Real text, with a test split that is larger than 5 % by what Topic-SC needs; the sections of it that are over are
    held out, so that they are of the same books as the corpus but in none of its splits.
    """
    from ..datasets_scripts.text_sources import passages_from_documents, read_hub_text, read_text_folder

    skipped: list[dict] = []
    if corpus.corpus == "text":
        documents = read_text_folder(corpus.text_dir, corpus.max_skipped_fraction, skipped)
    else:
        documents = read_hub_text(corpus.dataset, corpus.dataset_column, corpus.dataset_config)
    share = _SPLIT_SHARE * corpus.max_words
    spare = num_pairs * _HELD_OUT_WORDS_PER_PAIR
    total = corpus.max_words + spare
    passages, summary = passages_from_documents(
        documents,
        max_words=total,
        seed=corpus.seed,
        validation_fraction=share / total,
        test_fraction=(share + spare) / total,
        progress=True,
    )
    wanted = _SPLIT_SHARE * summary.words * corpus.max_words / total
    kept, held_out, words = [], [], 0
    test_documents = set()
    for passage in passages:
        if passage.split == "test" and passage.document not in test_documents and words >= wanted:
            held_out.append(passage)
            continue
        if passage.split == "test":
            test_documents.add(passage.document)
            words += len(passage.text.split())
        kept.append(passage)
    return kept, held_out, {"dropped": summary.dropped_by_reason, "skipped": skipped, "topics": summary.topics}


def _describe_source(corpus: CorpusArguments) -> dict | None:
    """What the text is, whatever the path that it lies at."""
    if corpus.corpus == "text":
        digest = hashlib.sha256()
        for path in sorted(path for path in Path(corpus.text_dir).rglob("*.txt") if path.is_file()):
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return {"text": digest.hexdigest()[:16]}
    if corpus.corpus == "hub":
        name = Path(corpus.dataset).name if Path(corpus.dataset).exists() else corpus.dataset
        return {"dataset": name, "config": corpus.dataset_config, "column": corpus.dataset_column}
    return None
