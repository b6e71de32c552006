"""Alignments that the Montreal Forced Aligner made: TextGrid files -> words and phones with their times.

FOLDER/**/NAME.TextGrid -> [`read_textgrid`] -> tiers `words` and `phones` -> [`Alignment`].
The format is Praat's long text format (fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html).
"""

import re
import unicodedata
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ....models.audio import SAMPLE_RATE
from ....models.phones import ARPABET, SIL, SPN, VOWELS
from ...synthesis.phone_events import TimedPhone
from ...text.normalization import normalize_text
from .alignment import Alignment, AlignmentError, has_letters, tokens_of

_SILENCES = frozenset(("", "sil", "sp", "<eps>"))
# What the aligner writes for a word that its dictionary lacks, for one broken off, and for noises in the transcript.
_NOISES = frozenset(("spn", "<unk>", "<cutoff>", "[bracketed]", "[laughter]"))
_SYMBOLS = frozenset(ARPABET)
# A recording and its TextGrid may differ by rounding and by a last frame, not by more.
_MAX_DIFFERENCE = 0.1


class Interval(NamedTuple):
    """A labelled stretch of a tier, in seconds."""

    label: str
    start: float
    end: float


class TextGridAligner:
    """
    Looks alignments up in a folder of TextGrids, `NAME.TextGrid` for the recording `NAME`.

    Args:
        folder (`str` or `Path`): The folder; TextGrids may lie in folders below it.

    Raises:
        `FileNotFoundError`: If there is no such folder, or no TextGrid in it.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(f"There is no folder {self.folder}; give the one that holds the TextGrids.")
        if not self._paths:
            raise FileNotFoundError(f"No .TextGrid file lies in {self.folder} or below it.")

    @cached_property
    def _paths(self) -> dict[str, Path | None]:
        """TextGrids by name; `None` for a name that several have."""
        paths: dict[str, Path | None] = {}
        for path in sorted(self.folder.rglob("*")):
            if path.suffix.lower() == ".textgrid" and not path.name.startswith("."):
                for name in {path.stem, path.relative_to(self.folder).with_suffix("").as_posix()}:
                    paths[name] = None if name in paths else path
        return paths

    def align(self, audio: np.ndarray, text: str, name: str = "") -> Alignment:
        """
        Take the phones of a recording from its TextGrid; see [`~alignment.Aligner`].

        Raises:
            `AlignmentError`: If there is no TextGrid of that name, it is damaged, has a symbol that is no phone, or is
                not of this recording or transcript.
        """
        path = self._paths.get(name) or self._paths.get(Path(name).name)
        if path is None:
            several = name in self._paths or Path(name).name in self._paths
            raise AlignmentError(f"{'Several TextGrids are' if several else 'No TextGrid is'} named {name!r}.")
        tiers = read_textgrid(path)
        for tier in ("words", "phones"):
            if tier not in tiers:
                raise AlignmentError(f"{path.name} has no tier {tier!r}; it has {', '.join(tiers) or 'none'}.")
        phones = [interval for interval in tiers["phones"] if interval.label.lower() not in _SILENCES]
        words = [interval for interval in tiers["words"] if interval.label.lower() not in _SILENCES]
        duration = len(audio) / SAMPLE_RATE
        if tiers["phones"] and abs(tiers["phones"][-1].end - duration) > _MAX_DIFFERENCE:
            raise AlignmentError(
                f"{path.name} is of {tiers['phones'][-1].end:.2f} s, and the recording of {duration:.2f} s."
            )
        owners = _owners([word.label for word in words], text, path.name)
        aligned, position = [], 0
        for phone in phones:
            middle = (phone.start + phone.end) / 2
            while position + 1 < len(words) and middle >= words[position].end:
                position += 1
            bounds = [min(round(bound * SAMPLE_RATE), len(audio)) for bound in (phone.start, phone.end)]
            aligned.append(TimedPhone(arpabet_of(phone.label, path.name), *bounds, owners[position]))
        return Alignment(aligned)


def arpabet_of(label: str, where: str) -> str:
    """
    One phone label of the Montreal aligner's English (ARPAbet) models.

    Raises:
        `AlignmentError`: If it is no phone; names the label.
    """
    if label.lower() in _SILENCES:
        return SIL
    if label.lower() in _NOISES:
        return SPN
    symbol = label.upper()
    if symbol in VOWELS:
        symbol += "0"  # a dictionary without stress
    if symbol not in _SYMBOLS:
        raise AlignmentError(
            f"{where} has the phone {label!r}, which is not ARPAbet; align with the model and dictionary"
            " english_us_arpa."
        )
    return symbol


def read_textgrid(path: str | Path) -> dict[str, list[Interval]]:
    """
    Read a TextGrid in Praat's long text format, UTF-8 or UTF-16.

    Args:
        path (`str` or `Path`): The file.

    Returns:
        `dict[str, list[Interval]]`: Intervals of each interval tier by its name; a name without what stands before
        " - " ("speaker - words").

    Raises:
        `AlignmentError`: If it is not such a file, or its intervals do not follow each other.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise AlignmentError(f"{path.name} is not a TextGrid in UTF-8 or UTF-16.") from error
    if '"TextGrid"' not in text[:200] or "item" not in text:
        raise AlignmentError(f"{path.name} is not a TextGrid in Praat's long text format; export it in that one.")
    tiers: dict[str, list[Interval]] = {}
    current: list[Interval] | None = None
    is_interval_tier = False
    for match in _ITEM.finditer(text):
        kind, name, start, end, label = match.groups()
        if kind is not None:
            is_interval_tier, current = kind == "IntervalTier", None
        elif name is not None:
            current = tiers.setdefault(name.rsplit(" - ", 1)[-1], []) if is_interval_tier else None
        elif current is not None:
            try:
                current.append(Interval(label.replace('""', '"').strip(), float(start), float(end)))
            except ValueError as error:
                raise AlignmentError(f"{path.name} has a time that is no number: {start}, {end}.") from error
    for name, intervals in tiers.items():
        if any(a.end > b.start + 1e-6 or a.end <= a.start for a, b in pairwise([*intervals, Interval("", 1e9, 2e9)])):
            raise AlignmentError(f"The intervals of tier {name!r} in {path.name} do not follow each other.")
    return tiers


def _owners(labels: list[str], text: str, where: str) -> list[int]:
    """
    For each word of the TextGrid, the index of the white-space word of the text that it is (part of).

    The aligner cuts at hyphens and some apostrophes: the letters say whose the parts are. A mark stands for what is
    between such cuts, for a whole word if both would do.
    """
    tokens = [(index, token.word) for index, token in enumerate(tokens_of(text)) if has_letters(token.word)]
    letters = "".join(_letters(word) for _, word in tokens)
    owner_of_letter = [index for index, word in tokens for _ in _letters(word)]
    cuts = _cuts([word for _, word in tokens])
    # After as many labels: the letters that they may stand for -> (words cut at a mark, owners of the labels).
    reached: dict[int, tuple[int, list[int]]] = {0: (0, [])}
    for label in labels:
        following: dict[int, tuple[int, list[int]]] = {}
        for position, (num_cut, owners) in reached.items():
            owner = owner_of_letter[min(position, len(letters) - 1)]
            if label.lower() in _NOISES:
                steps = cuts.get(position, {})
            else:
                steps = {position + len(own): 0 for own in _spellings(label) if letters.startswith(own, position)}
            for end, is_cut in steps.items():
                found = (num_cut + is_cut, [*owners, owner])
                following[end] = min(following.get(end, found), found)
        if not following:
            position = max(reached)
            expected = dict(tokens)[owner_of_letter[position]] if position < len(letters) else "its end"
            raise AlignmentError(f"{where} has the word {label!r} where the transcript has {expected!r}.")
        reached = following
    if len(letters) not in reached:
        raise AlignmentError(f"{where} ends before the transcript does.")
    return reached[len(letters)][1]


def _cuts(words: list[str]) -> dict[int, dict[int, bool]]:
    """Where a part may begin, in letters of the text -> where it may end, and whether that is less than a word."""
    cuts: dict[int, dict[int, bool]] = {}
    start = 0
    for word in words:
        lengths = [len(_letters(part)) for part in re.split(r"[\W_]+", word)]
        edges = sorted(set(accumulate(lengths, initial=start)))
        for index, edge in enumerate(edges[:-1]):
            cuts[edge] = {end: index > 0 or end < edges[-1] for end in edges[index + 1 :]}
        start = edges[-1]
    return cuts


def _spellings(label: str) -> set[str]:
    """Letters of a label as the aligner got it, and as it is read aloud ("Dr.", "o'")."""
    own, aloud = _letters(label), _letters(normalize_text(label))
    return {own, aloud or own}


def _letters(word: str) -> str:
    return "".join(character for character in unicodedata.normalize("NFKD", word.lower()) if character.isalnum())


_STRING = r'"((?:[^"]|"")*)"'
_ITEM = re.compile(
    rf"class\s*=\s*{_STRING}|name\s*=\s*{_STRING}|xmin\s*=\s*(\S+)\s+xmax\s*=\s*(\S+)\s+text\s*=\s*{_STRING}"
)
