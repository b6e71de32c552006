"""The corpus stages: text -> passages -> utterances.

stories | a folder of .txt files | a Hub dataset's column -> passages (and held-out ones for Topic-SC) -> speech with
word and phone times in fixed-size shards.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from ..datasets_scripts.passages import SPLITS, Passage, read_passages, write_passages
from .arguments import Arguments, CorpusArguments
from .run import Run
from .stages import Stage, write_json
from .workers import count_cores

PASSAGES_FILE = "passages.parquet"
HELD_OUT_FILE = "held_out.parquet"
SUMMARY_FILE = "summary.json"
# Stories that no split holds come from another seed, far from any that a person would ask for.
_HELD_OUT_SEED = 1_000_003
# Endings are matched in form and length, and not every passage has one: two and a half passages a pair.
_HELD_OUT_WORDS_PER_PAIR = 140
_SPLIT_SHARE = 0.05


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
        "source": _describe_source(corpus),
    }

    def build(folder: Path) -> None:
        passages, held_out, summary = _read_passages(corpus, arguments.pairs.pairs_per_task)
        write_passages(passages, folder / PASSAGES_FILE)
        write_passages(held_out, folder / HELD_OUT_FILE)
        write_json(folder / SUMMARY_FILE, summary)

    Stage(run.passages, 1, configuration).run(build, arguments.run.overwrite)
    return run.passages


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
    from ..datasets_scripts.synthesis import render_utterances

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
        "voices": arguments.corpus.voices,
        "rate": arguments.corpus.rate,
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
