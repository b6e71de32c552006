"""The text stage: stories, a folder of .txt files, a Hub dataset's column or transcripts -> passages.

source -> [`build_passages`] -> `passages.parquet` (the corpus), `held_out.parquet` (what no split of it holds, for
Topic-SC) and `summary.json`. Of recordings the transcripts are the passages ([`build_transcripts`]).
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

import pyarrow.parquet as pq

from ...datasets_scripts.text.hub_rows import describe_dataset
from ...datasets_scripts.text.passages import SPLITS, Passage, write_passages
from ...datasets_scripts.text.sources import list_text_files
from ...datasets_scripts.text.splits import seeded_rank
from ...models.files import write_json
from ...models.hub_commit import find_commit
from ..run.execution import Execution
from ..run.folder import HELD_OUT_FILE, PASSAGES_FILE, SUMMARY_FILE
from ..run.stage import Stage

logger = logging.getLogger(__name__)

# Stories that no split holds come from another seed, far from any that a person would ask for.
_HELD_OUT_SEED = 1_000_003
# Enough for thousands of pairs; a small corpus need not read so much text for its items.
_MOST_HELD_OUT_WORDS, _HELD_OUT_SHARE, _LEAST_HELD_OUT_WORDS = 300_000, 2, 20_000
_HELD_OUT_SENTENCES = 6
# Of a stream, which has no end that one would wait for: as much as sections are chosen from.
_STREAMED_SHARE = 3


@dataclass(frozen=True)
class TextSource:
    """
    Where text comes from: generated stories unless a folder or a dataset is given.

    Args:
        stories (`str`, *optional*, defaults to `"rich"`): The language of generated stories, `"simple"` or `"rich"`.
        lexicon (`str`, *optional*): A file of words and sentences for simple ones.
        text_dir (`str`, *optional*): A folder of .txt files.
        dataset (`str`, *optional*): A dataset's id on the Hub, or its folder.
        column (`str`, *optional*, defaults to `"text"`): Its column of text.
        config (`str`, *optional*): Its configuration.
        split (`str`, *optional*, defaults to `"train"`): Its split.
        revision (`str`, *optional*): Its commit, branch or tag on the Hub.
    """

    stories: str = "rich"
    lexicon: str | None = None
    text_dir: str | None = None
    dataset: str | None = None
    column: str = "text"
    config: str | None = None
    split: str = "train"
    revision: str | None = None

    def pinned(self) -> "TextSource":
        """The same, of the commit that a dataset on the Hub has now."""
        if self.dataset is None:
            return self
        return replace(self, revision=find_commit(self.dataset, self.revision))

    def describe(self) -> dict[str, str | None]:
        """What the text is, whatever the path that it lies at: part of the stage's fingerprint."""
        if self.text_dir is not None:
            digest = hashlib.sha256()
            # All that is read, by the names that become those of documents.
            for path in list_text_files(self.text_dir):
                name = path.relative_to(self.text_dir).as_posix()
                digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
            return {"kind": "text", "files": digest.hexdigest()[:16]}
        if self.dataset is not None:
            described = describe_dataset(self.dataset, self.revision)
            return {"kind": "hub", **described, "config": self.config, "split": self.split, "column": self.column}
        return {"kind": "stories", "stories": self.stories, "lexicon": describe_lexicon(self.lexicon)}


@dataclass(frozen=True)
class TextSettings:
    """
    How much text is taken.

    Args:
        max_words (`int`): Words of all splits together.
        corpus_seed (`int`): Seed of stories, and of which sections of real text are taken.
        max_skipped_fraction (`float`): Share of unreadable files above which the stage stops.
    """

    max_words: int
    corpus_seed: int
    max_skipped_fraction: float

    @property
    def held_out_words(self) -> int:
        """Words that are held out for items, whatever the number of items."""
        return min(_MOST_HELD_OUT_WORDS, _HELD_OUT_SHARE * self.max_words + _LEAST_HELD_OUT_WORDS)


def build_passages(folder: Path, source: TextSource, settings: TextSettings, execution: Execution) -> None:
    """
    Build the text stage.

    Args:
        folder (`Path`): Where to.
        source ([`TextSource`]): Where the text comes from.
        settings ([`TextSettings`]): How much of it is taken.
        execution ([`Execution`]): How it is done.

    Raises:
        `FileNotFoundError`: If there is no such folder or dataset.
        `ValueError`: If it holds too little text, or too much that cannot be read.
    """
    source = source.pinned()

    def build(partial: Path) -> None:
        if source.text_dir is None and source.dataset is None:
            _tell_stories(partial, source, settings)
        else:
            _write(partial, *_read_text(source, settings))

    configuration = asdict(settings) | {"source": source.describe()}
    Stage(folder, 4, configuration, packages=("num2words", "datasketch")).run(build, execution.overwrite)


def build_transcripts(folder: Path, utterances: Path, execution: Execution) -> None:
    """
    Build the text stage of recordings: the transcripts of their utterances.

    Args:
        folder (`Path`): Where to.
        utterances (`Path`): The stage of recordings.
        execution ([`Execution`]): How it is done.
    """
    Stage(folder, 3, {}, {"utterances": utterances}).run(
        lambda partial: _read_transcripts(partial, utterances), execution.overwrite
    )


def describe_lexicon(path: str | None) -> str | None:
    """The contents of a file of words and sentences, in a few characters, wherever it lies."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16] if path and Path(path).is_file() else path


def _write(folder: Path, passages: Iterable[Passage], held_out: Iterable[Passage], summary: dict) -> None:
    """What is held out is asked for last: it may be known only when all passages are."""
    write_passages(passages, folder / PASSAGES_FILE)
    write_passages(held_out, folder / HELD_OUT_FILE)
    write_json(folder / SUMMARY_FILE, summary)


def _tell_stories(folder: Path, source: TextSource, settings: TextSettings) -> None:
    from ...datasets_scripts.stories import generate_stories

    def tell(max_words: int, seed: int) -> Iterator[Passage]:
        return generate_stories(source.stories, max_words, seed, source.lexicon)

    spare = list(tell(settings.held_out_words, settings.corpus_seed + _HELD_OUT_SEED))
    texts, known = {passage.text for passage in spare}, set()

    def passages() -> Iterator[Passage]:
        for passage in tell(settings.max_words, settings.corpus_seed):
            if passage.text in texts:
                known.add(passage.text)
            yield passage

    held_out = (replace(passage, split="test") for passage in spare if passage.text not in known)
    _write(folder, passages(), held_out, {"dropped": {}})


def _read_text(source: TextSource, settings: TextSettings) -> tuple[Iterable[Passage], Iterable[Passage], dict]:
    """
    Real text; what is held out is of the same books as the corpus but of sections that none of its splits has.
    """
    from ...datasets_scripts.text.sources import passages_from_documents, read_hub_text, read_text_folder

    skipped: list[dict] = []
    if source.text_dir is not None:
        documents = read_text_folder(source.text_dir, settings.max_skipped_fraction, skipped)
    else:
        documents = read_hub_text(
            source.dataset,
            source.column,
            source.config,
            source.split,
            source.revision,
            max_words=_STREAMED_SHARE * (settings.max_words + settings.held_out_words),
        )
    passages, held_out, summary = passages_from_documents(
        documents,
        max_words=settings.max_words,
        seed=settings.corpus_seed,
        spare_words=settings.held_out_words,
        progress=True,
    )
    # Few pairs need the first of them, which have to be of every book.
    held_out = held_out.ordered_by(lambda document: seeded_rank(settings.corpus_seed, "held out", document))
    found = {"dropped": summary.dropped_by_reason, "skipped": skipped, "topics": summary.topics}
    if summary.is_short:
        found["warning"] = (
            f"The text has little beyond the {settings.max_words:,} words that were asked for: {summary.words:,} are "
            f"in the splits, and {summary.spare_words:,} are held out for Topic-SC."
        )
        logger.warning(found["warning"])
    return passages, held_out, found


def _read_transcripts(folder: Path, utterances: Path) -> None:
    """The transcripts of utterances as passages. Topic-SC's are held out of the test split, which trains nothing."""
    from ...datasets_scripts.text.sentences import split_sentences

    def passages(split: str) -> Iterator[Passage]:
        for shard in sorted(utterances.glob(f"{split}-*.parquet")):
            for row in pq.read_table(shard, columns=["id", "document", "topic", "text"]).to_pylist():
                sentences = tuple(split_sentences(row["text"]))
                yield Passage(row["id"], row["document"], row["topic"], split, sentences)

    _write(folder, chain.from_iterable(map(passages, SPLITS)), _join(passages("test")), {"dropped": {}})


def _join(passages: Iterable[Passage]) -> Iterator[Passage]:
    """What follows each other in a document, joined until it is long enough to have a beginning and an end."""
    last: Passage | None = None
    for passage in passages:
        if last and last.document == passage.document and len(last.sentences) < _HELD_OUT_SENTENCES:
            last = replace(last, sentences=last.sentences + passage.sentences)
        else:
            if last:
                yield last
            last = passage
    if last:
        yield last
