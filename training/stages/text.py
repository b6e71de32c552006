"""The corpus stages: text -> passages -> utterances, or recordings -> utterances -> passages.

stories | a folder of .txt files | a Hub dataset's column -> passages (and held-out ones for Topic-SC) -> speech with
word and phone times in fixed-size shards. Recordings are aligned with their transcripts, which are the passages.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from ...datasets_scripts.text.passages import SPLITS, Passage, write_passages
from ...models.files import write_json
from ..arguments.study import Arguments, CorpusArguments
from ..run.folder import HELD_OUT_FILE, PASSAGES_FILE, SUMMARY_FILE, Run
from ..run.stage import Stage

if TYPE_CHECKING:
    pass

# Stories that no split holds come from another seed, far from any that a person would ask for.
_HELD_OUT_SEED = 1_000_003
# Endings are matched in form and length, and not every passage has one: two and a half passages a pair.
_HELD_OUT_WORDS_PER_PAIR = 140
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
        "seed": corpus.corpus_seed,
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


def _read_transcripts(utterances: Path) -> tuple[list[Passage], list[Passage], dict]:
    """
    The transcripts of utterances as passages. Topic-SC's are held out of the test split, which trains nothing: what
    follows each other in a document is joined until it is long enough to have a beginning and an end.
    """
    from ...datasets_scripts.text.sentences import split_sentences

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


def _read_passages(corpus: CorpusArguments, num_pairs: int) -> tuple[list[Passage], list[Passage], dict]:
    """Passages of the corpus, passages that no split of it holds, and what was dropped on the way."""
    if corpus.corpus == "stories":
        return _read_stories(corpus, num_pairs)
    return _read_text(corpus, num_pairs)


def _read_stories(corpus: CorpusArguments, num_pairs: int) -> tuple[list[Passage], list[Passage], dict]:
    from ...datasets_scripts.stories.generation import generate_stories

    passages = list(generate_stories(corpus.max_words, corpus.corpus_seed))
    known = {passage.text for passage in passages}
    spare = generate_stories(num_pairs * _HELD_OUT_WORDS_PER_PAIR, corpus.corpus_seed + _HELD_OUT_SEED)
    held_out = [replace(passage, split="test") for passage in spare if passage.text not in known]
    return passages, held_out, {"dropped": {}}


def _read_text(corpus: CorpusArguments, num_pairs: int) -> tuple[list[Passage], list[Passage], dict]:
    """
    Real text, with a test split that is larger than 5 % by what Topic-SC needs; the sections of it that are over are
    held out, so that they are of the same books as the corpus but in none of its splits.
    """
    from ...datasets_scripts.text.sources import passages_from_documents, read_hub_text, read_text_folder

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
        seed=corpus.corpus_seed,
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
