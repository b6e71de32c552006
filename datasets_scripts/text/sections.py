"""Books -> chapter-sized sections of prose, and a seeded choice of them.

[`Document`] -> paragraphs (Project Gutenberg's licence and line breaks removed) -> [`Section`] ->
[`choose_sections`] -> [`sentence_runs`], without headings, tables of contents and whatever else is not prose.
"""

import heapq
import json
import re
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from .normalization import find_word_case, normalize_text
from .sentences import split_paragraph
from .splits import seeded_rank

# Raw text that is chosen from, as a multiple of `max_words`: what is dropped later comes out of it.
_POOL_FACTOR = 3
# A longer paragraph is cut at a sentence end, so that no section grows with its longest paragraph.
_MAX_PARAGRAPH_CHARS = 4000
# Where a text has no blank line, lines longer than this are paragraphs, and shorter ones are broken lines.
_LONGEST_BROKEN_LINE = 100
_MAX_HEADING_WORDS = 20
_CAPITALS_OF_A_HEADING = 0.7

_NUMERAL = (
    r"(?:[IVXLC]+|\d+|the\s+\w+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    r"|\w+teen|\w+ty(?:-\w+)?)"
)
_PART = r"(?:chapter|book|volume|vol\.|part|section|canto|act|scene|letter|adventure|stave)"
_WHOLE_HEADING = r"(?:preface|prologue|epilogue|introduction|contents|index|appendix|postscript|finale|the end|finis)"
_HEADING = re.compile(
    rf"\s*=.*=\s*|\W*(?:{_PART}\s+{_NUMERAL}\b.*|{_WHOLE_HEADING}\W*|[IVXLC\d]+\W*)", re.IGNORECASE | re.DOTALL
)
_LEADER_DOTS = re.compile(r"(?:\.\s?){5,}")
_CHAPTER = re.compile(r"\bchapter\s+[IVXLC\d]+\b", re.IGNORECASE)
_CHAPTERS_OF_CONTENTS = 3
_MARKUP = re.compile(r"[{}<>\\^~#]|\S@\w|\bhttps?:|\bwww\.|\.(?:jpe?g|png|gif|html?)\b")
_GUTENBERG_START = re.compile(r"\*{3}\s*START OF (?:THE|THIS) PROJECT GUTENBERG.*?\*{3}", re.DOTALL)
_GUTENBERG_END = re.compile(r"\*{3}\s*END OF (?:THE|THIS) PROJECT GUTENBERG")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_INSIDE_PARAGRAPH = re.compile(r"(?<=[a-z]{3}[.!?])[\"']*\s+(?=[\"']*[A-Z])")


@dataclass(frozen=True)
class Document:
    """
    A text as its source has it.

    Args:
        id (`str`): Unique within the source: the file's path without `.txt`, or the row's number.
        text (`str`): The text, its paragraphs set off by blank lines.
        title (`str`): What its passages are about, their `topic`: the book.
    """

    id: str
    text: str
    title: str


@dataclass(frozen=True)
class Section:
    """
    Consecutive paragraphs of a document.

    Args:
        id (`str`): The document's id and the section's number: "emma/0012".
        topic (`str`): The document's title.
        paragraphs (`tuple[str, ...]`): As they are written.
        word_case (`dict[str, str]`): How the document's words in capitals are to be written.
    """

    id: str
    topic: str
    paragraphs: tuple[str, ...]
    word_case: dict[str, str]

    @property
    def num_words(self) -> int:
        """Words between white space, before anything is left out."""
        return sum(len(paragraph.split()) for paragraph in self.paragraphs)


def cut_sections(document: Document, section_words: int) -> list[Section]:
    """
    Cut a document at its paragraphs.

    A section ends with the paragraph that brings it to `section_words`, or before a heading once it has half of
    them. A rest of less than a quarter goes to the section before it.
    """
    groups: list[list[str]] = [[]]
    words = 0
    for paragraph in split_paragraphs(document.text):
        if words >= section_words or (words >= section_words / 2 and _is_heading(paragraph)):
            groups.append([])
            words = 0
        groups[-1].append(paragraph)
        words += len(paragraph.split())
    if len(groups) > 1 and words < section_words / 4:
        rest = groups.pop()
        groups[-1] += rest
    word_case = find_word_case(document.text)
    return [
        Section(f"{document.id}/{i:04d}", document.title, tuple(group), word_case)
        for i, group in enumerate(groups)
        if group
    ]


class ScratchFile:
    """Values of JSON on the disk, in a file without a name that goes with this object."""

    def __init__(self):
        self._file = tempfile.TemporaryFile()  # noqa: SIM115

    def write(self, value: object) -> int:
        """Add a value, and return the place that [`ScratchFile.read`] finds it at."""
        place = self._file.seek(0, 2)
        self._file.write(json.dumps(value).encode() + b"\n")
        return place

    def read(self, place: int):
        """The value at a place; tuples come back as lists."""
        self._file.seek(place)
        return json.loads(self._file.readline())


class SectionFile:
    """
    Sections on the disk; in memory is where each of them lies.

    Sections of a document lie behind one another, so that its words in capitals are written once.
    """

    def __init__(self):
        self._file = ScratchFile()
        self._order: list[tuple[int, int]] = []
        self._case: dict[str, str] | None = None
        self._case_at = 0
        self._read_case = lru_cache(32)(self._file.read)

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Section]:
        for case_at, section_at in self._order:
            section_id, topic, paragraphs = self._file.read(section_at)
            yield Section(section_id, topic, tuple(paragraphs), self._read_case(case_at))

    def write(self, section: Section) -> tuple[int, int]:
        """Add a section, and return where its words in capitals and it lie."""
        if self._case is not section.word_case:
            self._case, self._case_at = section.word_case, self._file.write(section.word_case)
        return self._case_at, self._file.write((section.id, section.topic, section.paragraphs))

    def put_in_order(self, places: list[tuple[int, int]]) -> None:
        """Say which sections there are, and in which order."""
        self._order = places


def choose_sections(sections: Iterable[Section], max_words: int | None, seed: int) -> SectionFile:
    """
    Put sections into an order that is random but for the seed, as many as about `3 * max_words` words need.

    Which sections come first depends on the seed and their names, not on the order or number of the others.

    Args:
        sections (`Iterable[Section]`): All sections, read once and kept on the disk.
        max_words (`int` or `None`): Words wanted in the end; `None` keeps all sections.
        seed (`int`): Seed.

    Returns:
        [`SectionFile`]: Sections in the order in which to use them.
    """
    limit = float("inf") if max_words is None else _POOL_FACTOR * max_words
    heap: list[tuple[int, str, int, tuple[int, int]]] = []  # the last in order on top: ranks are negated
    words, file = 0, SectionFile()
    for section in sections:
        rank = int.from_bytes(seeded_rank(seed, "choice", section.id), "big")
        if words >= limit and -rank < heap[0][0]:
            continue
        heapq.heappush(heap, (-rank, section.id, section.num_words, file.write(section)))
        words += section.num_words
        while words - heap[0][2] >= limit:
            words -= heapq.heappop(heap)[2]
    file.put_in_order([place for *_, place in sorted(heap, key=lambda entry: -entry[0])])
    return file


def sentence_runs(section: Section, dropped: Counter[str]) -> Iterator[list[str]]:
    """
    Read a section aloud: yield runs of consecutive sentences, normalised.

    A run ends at a heading, at a scene break and wherever something was left out.

    Args:
        section (`Section`): The section.
        dropped (`Counter[str]`): Counts what is left out, by reason.
    """
    run: list[str] = []
    for paragraph in section.paragraphs:
        reason = reason_to_drop(paragraph)
        sentences, remainder = [], ""
        if reason:
            dropped[f"paragraph: {reason}"] += 1
        else:
            sentences, remainder = split_paragraph(normalize_text(paragraph, section.word_case))
        run += sentences
        if remainder:
            dropped["sentence: no final punctuation"] += 1
        if (remainder or not sentences) and run:
            yield run
            run = []
    if run:
        yield run


def reason_to_drop(paragraph: str) -> str | None:
    """
    Say why a paragraph is not prose that can be read aloud.

    Returns:
        `str` or `None`: `"heading or contents"`, `"markup"`, `"script other than Latin"`, or `None` for prose.
    """
    if _MARKUP.search(paragraph):
        return "markup"
    if not paragraph.isascii() and any(_is_foreign_letter(character) for character in set(paragraph)):
        return "script other than Latin"
    if _is_heading(paragraph) or _LEADER_DOTS.search(paragraph):
        return "heading or contents"
    if len(_CHAPTER.findall(paragraph)) >= _CHAPTERS_OF_CONTENTS:
        return "heading or contents"
    return None


def split_paragraphs(text: str) -> list[str]:
    """
    Cut a text into paragraphs, each on one line, without Project Gutenberg's licence.

    Paragraphs are set off by blank lines; in a text without any, lines of more than 100 characters are paragraphs.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    if start := _GUTENBERG_START.search(text):
        text = text[start.end() :]
    if end := _GUTENBERG_END.search(text):
        text = text[: end.start()]
    text = text.strip()
    blocks = _BLANK_LINE.split(text)
    if len(blocks) == 1 and max(map(len, text.split("\n"))) > _LONGEST_BROKEN_LINE:
        blocks = text.split("\n")
    paragraphs = []
    for block in blocks:
        paragraph = " ".join(block.replace("-\n", "-").split())
        while len(paragraph) > _MAX_PARAGRAPH_CHARS:
            end = _INSIDE_PARAGRAPH.search(paragraph, _MAX_PARAGRAPH_CHARS // 2)
            if not end:
                break
            paragraphs.append(paragraph[: end.end()].rstrip())
            paragraph = paragraph[end.end() :]
        if paragraph:
            paragraphs.append(paragraph)
    return paragraphs


def _is_heading(paragraph: str) -> bool:
    letters = [character for character in paragraph if character.isalpha()]
    if not letters:
        return False
    if len(paragraph.split()) <= _MAX_HEADING_WORDS and _HEADING.fullmatch(paragraph):
        return True
    if len(letters) == 1 or paragraph.rstrip("\"'_)").endswith(("!", "?")):
        return False
    return sum(letter.isupper() for letter in letters) > _CAPITALS_OF_A_HEADING * len(letters)


def _is_foreign_letter(character: str) -> bool:
    return ord(character) > 0x24F and character.isalpha() and "LATIN" not in unicodedata.name(character, "")
