"""Real text: a folder of .txt files, or a column of a Hugging Face dataset -> `Passage`.

files or rows -> `Document` -> sections of about 2,000 words -> (a seeded choice of them) -> sentences as read aloud ->
passages without near-duplicates -> train, validation and test.
"""

import codecs
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tqdm.auto import tqdm

from .cutting import cut_passages, split_long_sentence
from .hub_rows import checked_hub_rows, open_hub_rows
from .near_duplicates import NearDuplicateFilter
from .passages import SPLITS, Passage
from .sections import Document, ScratchFile, Section, choose_sections, cut_sections, sentence_runs
from .splits import draw_splits
from .wrong_encodings import repair_encoding

MIN_PASSAGE_WORDS = 8
# Of a text that has little beyond what is trained on.
_SPARE_SHARE = 0.1

_MAX_CONTROL_SHARE = 0.001
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f\x7f]")
_ENCODINGS = (  # the longer marks first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass
class TextSummary:
    """
    What became of a corpus.

    Args:
        documents (`int`): Sections that passages were taken from.
        topics (`int`): Books or rows that these belong to.
        passages (`int`): Passages.
        words (`int`): Words in them.
        passages_by_split (`dict[str, int]`): Passages in train, validation and test.
        spare_words (`int`): Words of passages that no split holds.
        is_short (`bool`): Whether the text has too few words beyond `max_words`, so that spare ones were taken off it.
        dropped_by_reason (`dict[str, int]`):
            What was left out of those sections: `"paragraph: ..."` counts paragraphs, `"sentence: ..."` sentences,
            `"passage: ..."` passages.
    """

    documents: int = 0
    topics: int = 0
    passages: int = 0
    words: int = 0
    passages_by_split: dict[str, int] = field(default_factory=dict)
    spare_words: int = 0
    is_short: bool = False
    dropped_by_reason: dict[str, int] = field(default_factory=dict)


def read_text_folder(
    text_dir: str | Path, max_skipped_fraction: float = 0.05, skipped: list[dict[str, str]] | None = None
) -> Iterator[Document]:
    """
    Read the `.txt` files of a folder and its sub-folders, a document a file, in the order of their names.

    A file is UTF-8, or UTF-16 or UTF-32 with a byte order mark. Other encodings are not guessed, since nobody
    notices a wrong guess: such a file is skipped, and so is one that is empty or not text at all. What was read in a
    wrong encoding before it was written in UTF-8 is put right ([`~wrong_encodings.repair_encoding`]).

    Args:
        text_dir (`str` or `Path`): The folder.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05): The share of files that may be skipped.
        skipped (`list[dict[str, str]]`, *optional*):
            A list to which `{"path", "reason"}` of each skipped file is added.

    Returns:
        `Iterator[Document]`: Documents with the relative path without `.txt` as id and title.

    Raises:
        `FileNotFoundError`: If there is no such folder, or no `.txt` file in it.
        `ValueError`: If `text_dir` is not a folder or, once all files are read, if too many were skipped.
    """
    paths = list_text_files(text_dir)
    return _read_files(Path(text_dir), paths, max_skipped_fraction, [] if skipped is None else skipped)


def list_text_files(text_dir: str | Path) -> list[Path]:
    """
    The files that [`read_text_folder`] reads, in the order of their names.

    Args:
        text_dir (`str` or `Path`): The folder.

    Raises:
        `FileNotFoundError`: If there is no such folder, or no `.txt` file in it.
        `ValueError`: If it is a file.
    """
    folder = Path(text_dir)
    if not folder.exists():
        raise FileNotFoundError(f"There is no folder {folder}; --text_dir must be a folder of .txt files.")
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file; --text_dir must be the folder that holds the .txt files.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".txt" and path.is_file())
    paths = [path for path in paths if not path.name.startswith(".")]
    if not paths:
        raise FileNotFoundError(f"No .txt file lies in {folder} or below it; put the texts there as .txt, in UTF-8.")
    return paths


def read_hub_text(
    dataset: str,
    column: str,
    config: str | None = None,
    split: str = "train",
    revision: str | None = None,
    max_documents: int | None = None,
    max_words: int | None = None,
) -> Iterator[Document]:
    """
    Stream a text column of a Hugging Face dataset, a document a row.

    Args:
        dataset (`str`): Name on the Hub, or a local folder with files that `load_dataset` reads.
        column (`str`): The column that holds the text. Rows without text in it are passed over.
        config (`str`, *optional*): Configuration of the dataset.
        split (`str`, *optional*, defaults to `"train"`): Split of the dataset.
        revision (`str`, *optional*): Commit, branch or tag on the Hub.
        max_documents (`int`, *optional*): Read no more rows than this.
        max_words (`int`, *optional*): Read no more rows once they have so many words: what lies behind is not fetched.

    Returns:
        `Iterator[Document]`: Documents with ids `row-0000000`, ..., which are their titles too.

    Raises:
        `FileNotFoundError`: If the dataset cannot be found or reached.
        `ValueError`: If it has no such configuration, split or column, or the column holds no text.
    """
    rows = itertools.islice(open_hub_rows(dataset, [column], config, split, revision), max_documents)
    return _read_rows(rows, dataset, column, max_words)


def passages_from_documents(
    documents: Iterable[Document],
    max_words: int | None = 200_000,
    seed: int = 0,
    max_seconds: float = 30.0,
    section_words: int = 2_000,
    validation_fraction: float = 0.05,
    test_fraction: float = 0.05,
    spare_words: int = 0,
    progress: bool = False,
) -> tuple["CutPassages", "CutPassages", TextSummary]:
    """
    Make a corpus of passages out of real text.

    Each text is cut into sections the size of a chapter, "emma/0012", at a paragraph and, where one is near, at a
    chapter heading. A section is the `document` of its passages and the book their `topic`. Sections, not books,
    are split into train, validation and test: with whole books held out, their style and names would weigh more
    than anything that the modalities do, and pairs whose wrong ending comes from another book could hardly be made
    from a book or two.

    The sections are taken in an order that depends on the seed and their names alone until `max_words` is reached,
    so that a small corpus has its share of every book. Headings, tables of contents, markup and paragraphs in other
    scripts are left out; what remains is rewritten as it is read aloud ([`~text_normalization.normalize_text`]) and
    cut into passages of consecutive sentences ([`~passage_cutting.cut_passages`]). A passage that repeats one that
    was taken before it ([`~near_duplicates.NearDuplicateFilter`]) is dropped, whichever splits the two would be in.

    Spare passages, of which test items can be made, are of the sections that come next. Where fewer words than a tenth
    of the text are left beyond `max_words`, a tenth of it is spare and the splits share the rest.

    Args:
        documents (`Iterable[Document]`): What [`read_text_folder`] or [`read_hub_text`] return. Read once, not kept.
        max_words (`int`, *optional*, defaults to 200000): Words in all passages together, at most. `None` takes all.
        seed (`int`, *optional*, defaults to 0): Seed of the choice and of the split.
        max_seconds (`float`, *optional*, defaults to 30.0): Longest passage, by [`~passage_cutting.estimate_seconds`].
        section_words (`int`, *optional*, defaults to 2000): Words in a section.
        validation_fraction (`float`, *optional*, defaults to 0.05): Share of sections for validation, at least one.
        test_fraction (`float`, *optional*, defaults to 0.05): Share of sections for test, at least one.
        spare_words (`int`, *optional*, defaults to 0): Words of passages that no split holds, about as many.
        progress (`bool`, *optional*, defaults to `False`): Whether to show a progress bar.

    Returns:
        `tuple[CutPassages, CutPassages, TextSummary]`: Passages of the splits and spare ones (whose `split` is
        `"test"`), each ordered by section and place in it, with ids such as "emma/0012/003", and what was kept and
        dropped.

    Raises:
        `ValueError`: If the text is too small for a section in each split, two documents have the same id, or an
            argument is out of range.
    """
    if max_words is not None and max_words < 1:
        raise ValueError(f"max_words is {max_words}; it must be 1 or more, or None for the whole text.")
    if validation_fraction < 0 or test_fraction < 0 or validation_fraction + test_fraction >= 1:
        raise ValueError(
            f"validation_fraction {validation_fraction} and test_fraction {test_fraction} must be 0 or more and leave "
            "something to train on."
        )
    wanted = None if max_words is None else max_words + spare_words
    sections = choose_sections(_all_sections(documents, section_words), wanted, seed)
    dropped: Counter[str] = Counter()
    sections = tqdm(sections, desc="Reading text", unit="section", disable=not progress)
    file = ScratchFile()
    found = [
        _CutSection(section.id, section.topic, len(passages), sum(map(_passage_words, passages)), file.write(passages))
        for section, passages in _cut_sections_into_passages(sections, wanted, max_seconds, dropped)
    ]
    kept, spare, is_short = _set_apart(found, file, max_words, spare_words)
    if len(kept) < len(SPLITS):
        why = "; ".join(f"{reason} {count}" for reason, count in sorted(dropped.items())) or "nothing"
        raise ValueError(
            f"The corpus is too small: it gives {len(kept)} section(s) of about {section_words} words, and "
            f"train, validation and test need one each (left out: {why}); add text, or raise max_words."
        )
    split_of = draw_splits((section.id for section in kept), seed, validation_fraction, test_fraction)
    passages = CutPassages(file, sorted(kept), split_of)
    by_split = {split: sum(s.num_passages for s in kept if split_of[s.id] == split) for split in SPLITS}
    summary = TextSummary(
        documents=len(kept),
        topics=len({section.topic for section in kept}),
        passages=len(passages),
        words=sum(section.words for section in kept),
        passages_by_split=by_split,
        spare_words=sum(section.words for section in spare),
        is_short=is_short,
        dropped_by_reason=dict(sorted(dropped.items())),
    )
    return passages, CutPassages(file, sorted(spare)), summary


class _CutSection(NamedTuple):
    """A section whose passages lie on the disk; its first `num_passages`, of so many `words`, are meant."""

    id: str
    topic: str
    num_passages: int
    words: int
    place: int


class CutPassages:
    """
    Passages on the disk, read section by section whenever they are gone through.

    Args:
        file ([`~sections.ScratchFile`]): Holds the sentences of each section's passages.
        sections (`Sequence[_CutSection]`): Which sections, in their order.
        split_of (`Mapping[str, str]`, *optional*): Their splits by their ids, `"test"` where it has none.
    """

    def __init__(self, file: ScratchFile, sections: Sequence[_CutSection], split_of: Mapping[str, str] | None = None):
        self._file, self._sections, self._split_of = file, sections, split_of or {}

    def __len__(self) -> int:
        return sum(section.num_passages for section in self._sections)

    def __iter__(self) -> Iterator[Passage]:
        for section in self._sections:
            split = self._split_of.get(section.id, "test")
            for number, sentences in enumerate(self._file.read(section.place)[: section.num_passages]):
                yield Passage(f"{section.id}/{number:03d}", section.id, section.topic, split, tuple(sentences))

    def ordered_by(self, key: Callable[[str], bytes]) -> "CutPassages":
        """The same passages, their documents in the order of a key of their ids."""
        return CutPassages(self._file, sorted(self._sections, key=lambda section: key(section.id)), self._split_of)


def _set_apart(
    found: Sequence[_CutSection], file: ScratchFile, max_words: int | None, spare_words: int
) -> tuple[list[_CutSection], list[_CutSection], bool]:
    """The sections of the splits, spare ones, and whether the former had to make room for them."""
    kept, spare = [], []
    words = sum(section.words for section in found)
    room = words if max_words is None else max_words
    is_short = spare_words > 0 and words - room < _SPARE_SHARE * words
    if is_short:
        room = words - round(_SPARE_SHARE * words)
    for position, section in enumerate(found):
        if section.words > room:
            # The first passage that is too many ends the corpus; what is left of its section is no one's.
            ends = list(itertools.accumulate(map(_passage_words, file.read(section.place))))
            if fitting := sum(end <= room for end in ends):
                kept.append(section._replace(num_passages=fitting, words=ends[fitting - 1]))
            spare = list(found[position + 1 :]) if spare_words else []
            break
        kept.append(section)
        room -= section.words
    return kept, spare, is_short


def _all_sections(documents: Iterable[Document], section_words: int) -> Iterator[Section]:
    seen = set()
    for document in documents:
        if document.id in seen:
            raise ValueError(f"Two documents have the id {document.id!r}; every document needs its own.")
        seen.add(document.id)
        yield from cut_sections(document, section_words)


def _cut_sections_into_passages(
    sections: Iterable[Section], max_words: int | None, max_seconds: float, dropped: Counter[str]
) -> Iterator[tuple[Section, list[tuple[str, ...]]]]:
    """Sections that have passages, with the sentences of each passage; at most `max_words` words in all."""
    near_duplicates = NearDuplicateFilter()
    num_words, is_full = 0, False
    for section in sections:
        passages = []
        for passage in _section_passages(section, max_seconds, dropped):
            words_in_passage = _passage_words(passage)
            if words_in_passage < MIN_PASSAGE_WORDS:
                dropped["passage: too short"] += 1
            elif max_words is not None and num_words + words_in_passage > max_words:
                is_full = True
                break
            elif not near_duplicates.add(passage):
                dropped["passage: near-duplicate"] += 1
            else:
                passages.append(passage)
                num_words += words_in_passage
        if passages:
            yield section, passages
        if is_full:
            return


def _section_passages(section: Section, max_seconds: float, dropped: Counter[str]) -> Iterator[tuple[str, ...]]:
    for run in sentence_runs(section, dropped):
        fitting: list[str] = []
        for sentence in run:
            pieces = split_long_sentence(sentence, max_seconds)
            if not pieces:
                dropped["sentence: too long"] += 1
                yield from cut_passages(fitting, max_seconds)
                fitting = []
            fitting += pieces
        yield from cut_passages(fitting, max_seconds)


def _passage_words(sentences: Iterable[str]) -> int:
    return sum(sentence.count(" ") + 1 for sentence in sentences)


def _read_files(
    folder: Path, paths: list[Path], max_skipped_fraction: float, skipped: list[dict[str, str]]
) -> Iterator[Document]:
    num_skipped = 0
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            text = _decode(path.read_bytes())
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            skipped.append({"path": str(path), "reason": reason or "cannot be read"})
            num_skipped += 1
            continue
        yield Document(id=name[: -len(".txt")], text=text, title=name[: -len(".txt")])
    if num_skipped > max_skipped_fraction * len(paths):
        first = skipped[-num_skipped]
        raise ValueError(
            f"{num_skipped} of {len(paths)} .txt files in {folder} cannot be used, more than max_skipped_fraction="
            f"{max_skipped_fraction} allows; the first is {Path(first['path']).name}: {first['reason']}."
        )


def _decode(data: bytes) -> str:
    """Text of a file; `ValueError` says in a few words why it has none."""
    encoding = next((encoding for mark, encoding in _ENCODINGS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in data:
        raise ValueError("a binary file, not text")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"not {encoding.removesuffix('-sig').upper()} text (byte {error.start} is 0x{data[error.start]:02x}); "
            "save it as UTF-8"
        ) from None
    if len(_CONTROL.findall(text)) > _MAX_CONTROL_SHARE * len(text):
        raise ValueError("a binary file, not text")
    if not text.strip():
        raise ValueError("an empty file")
    return repair_encoding(text)


def _read_rows(rows: Iterable[Mapping], dataset: str, column: str, max_words: int | None) -> Iterator[Document]:
    words = 0
    for i, row in enumerate(checked_hub_rows(rows, dataset, column)):
        text = row[column]
        if text and text.strip():
            words += len(text.split())
            yield Document(id=f"row-{i:07d}", text=repair_encoding(text), title=f"row-{i:07d}")
            if max_words is not None and words >= max_words:
                return
    if not words:
        raise ValueError(f"The column {column!r} of the dataset {dataset!r} holds no text.")
