"""Pronunciations that somebody else wrote, in ARPAbet or IPA, as this project's phones.

"AE1 B D AH0 K T" or "æ b d ə k t" or "ˈæbdəkt" -> symbols, found in a table -> the phones of `models/phones.py`.
Stress that is not written is put on the first full vowel: sides of a minimal pair are then stressed by one rule.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from ...models.phones import ARPABET, CONSONANTS, SIL, SPN, VOWELS

_STRESS_MARKS = {"ˈ": "1", "'": "1", "ˌ": "2", ",": "2"}
# Ties and the marks of a narrow transcription say nothing that ARPAbet could; the others part symbols.
_DROPPED = dict.fromkeys(map(ord, "\u0361\u035c\u02b0\u02b2\u02b7\u0329\u032f\u0303\u031a"))
_SEPARATORS = ".-_/[]|\u02d0\u02de"
_REDUCED = frozenset(("ə", "ɚ", "ɨ", "ɪ̈", "ᵻ", "ɐ"))

# A vowel stands without stress. English written in IPA, American or British.
IPA = {
    **dict(zip("pbtdkfvszmnlw", ("P", "B", "T", "D", "K", "F", "V", "S", "Z", "M", "N", "L", "W"))),
    "ɡ": "G", "g": "G", "θ": "TH", "ð": "DH", "ʃ": "SH", "ʒ": "ZH", "tʃ": "CH", "ʧ": "CH", "dʒ": "JH", "ʤ": "JH",
    "h": "HH", "ɦ": "HH", "ŋ": "NG", "ɫ": "L", "ɹ": "R", "r": "R", "ɻ": "R", "ɾ": "T", "ʔ": "T", "j": "Y", "ʍ": "W",
    "x": "K", "ç": "HH",
    "i": "IY", "iː": "IY", "ɪ": "IH", "ɨ": "IH", "ᵻ": "IH", "e": "EH", "ɛ": "EH", "æ": "AE", "a": "AE", "ɑ": "AA",
    "ɑː": "AA", "ɒ": "AA", "ɔ": "AO", "ɔː": "AO", "ʊ": "UH", "u": "UW", "uː": "UW", "ʉ": "UW", "ʌ": "AH", "ə": "AH",
    "ɐ": "AH", "ɚ": "ER", "ɝ": "ER", "ɜ": "ER", "ɜː": "ER", "ɜ˞": "ER", "ɜɹ": "ER", "ɜːɹ": "ER", "ɜr": "ER",
    "eɪ": "EY", "aɪ": "AY", "ɔɪ": "OY", "aʊ": "AW", "oʊ": "OW", "əʊ": "OW", "o": "OW", "oː": "OW", "eː": "EY",
    "ɪə": "IH R", "ɛə": "EH R", "ʊə": "UH R",
}  # fmt: skip
_ARPABET = {phone.rstrip("012"): phone.rstrip("012") for phone in ARPABET}
_VOWELS = frozenset(VOWELS)
_LONGEST_SYMBOL = 3  # what is written without a space is a symbol up to here, and a word beyond


def read_phone_table(source: Mapping[str, str] | str | Path | None) -> dict[str, str]:
    """
    A table of one's own from symbols to phones.

    Args:
        source (`Mapping[str, str]`, `str` or `Path`, *optional*): The table or a JSON file of it: `{"ɵ": "UH1", "ɨə":
            "IY AH"}`, one phone or several, vowels with stress or without.

    Returns:
        `dict[str, str]`: The table.

    Raises:
        `FileNotFoundError`: If there is no such file.
        `ValueError`: If it is no such table, or a phone is none of ARPAbet.
    """
    if source is None:
        return {}
    if not isinstance(source, Mapping):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"There is no table of phones at {path}.")
        try:
            source = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is not JSON ({error}); a table of phones reads {{'ɵ': 'UH'}}.") from None
        if not isinstance(source, dict) or not all(isinstance(value, str) for value in source.values()):
            raise ValueError(f"{path} is no table of phones: it has to be one object of strings, {{'ɵ': 'UH'}}.")
    for symbol, phones in source.items():
        for phone in phones.split():
            if phone not in ARPABET and phone not in _VOWELS:
                raise ValueError(f"The table of phones maps {symbol!r} to {phone!r}, which is no phone of ARPAbet.")
    return dict(source)


def find_alphabet(pronunciations: Iterable[str], table: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    The table that reads some pronunciations: ARPAbet (of any case, with stress or without) if all their symbols are of
    it, else IPA.

    The whole column decides, not one pronunciation: "y" is one sound in ARPAbet and another in IPA.

    Args:
        pronunciations (`Iterable[str]`): All of them.
        table (`Mapping[str, str]`, *optional*): Symbols of one's own, which come first.

    Returns:
        `dict[str, str]`: Phones by symbol.

    Raises:
        `ValueError`: If a symbol is in no table. The message names it.
    """
    own, distinct = dict(table or {}), sorted(set(pronunciations))
    symbols = {symbol for pronunciation in distinct for symbol in pronunciation.split()}
    foreign = {symbol for symbol in symbols if symbol not in own and _bare(symbol) not in _ARPABET}
    if not foreign or sum(symbol.isupper() for symbol in symbols) > len(symbols) / 2:
        alphabet = {symbol: _ARPABET[_bare(symbol)] for symbol in symbols.difference(foreign, own)} | own
    else:
        alphabet = IPA | own
    for pronunciation in distinct:
        to_arpabet(pronunciation, alphabet)
    return alphabet


def to_arpabet(pronunciation: str, alphabet: Mapping[str, str]) -> tuple[str, ...]:
    """
    Read one pronunciation.

    Args:
        pronunciation (`str`): Symbols with spaces between them or without, stress as digits behind vowels or as marks
            in front of syllables, or none.
        alphabet (`Mapping[str, str]`): What [`find_alphabet`] found.

    Returns:
        `tuple[str, ...]`: Phones with stress.

    Raises:
        `ValueError`: If a symbol is not in the alphabet. The message names it.
    """
    phones: list[str] = []
    full: list[int] = []  # where a vowel stands that may be stressed
    mark = ""
    for symbol, digit in _symbols(pronunciation, alphabet):
        if symbol in _STRESS_MARKS:
            mark = _STRESS_MARKS[symbol]
            continue
        for phone in alphabet[symbol].split():
            if phone in _VOWELS:
                if symbol not in _REDUCED:
                    full.append(len(phones))
                phone, mark, digit = f"{phone}{digit or mark or 0}", "", ""
            elif phone not in CONSONANTS and phone not in (SIL, SPN):
                mark = ""  # the table says the stress itself
            phones.append(phone)
    vowels = [index for index, phone in enumerate(phones) if phone[-1].isdigit()]
    if vowels and not any(phones[index][-1] == "1" for index in vowels):
        nucleus = (full or vowels)[0]
        phones[nucleus] = f"{phones[nucleus][:-1]}1"
    return tuple(phones)


def _bare(symbol: str) -> str:
    return symbol.upper().rstrip("012")


def _symbols(pronunciation: str, alphabet: Mapping[str, str]) -> list[tuple[str, str]]:
    """Symbols of the alphabet with the digit behind them, and stress marks; the longest symbol that fits each time."""
    longest = max(map(len, alphabet))
    found = []
    for word in pronunciation.translate(_DROPPED).split():
        if word in alphabet:
            found.append((word, word[-1] if word[-1] in "012" and len(word) > 1 else ""))
            continue
        position = 0
        while position < len(word):
            ends = range(min(len(word), position + longest), position, -1)
            symbol = next((word[position:end] for end in ends if word[position:end] in alphabet), word[position])
            position += len(symbol)
            if symbol in alphabet:
                digit = word[position : position + 1]
                digit = digit if digit and digit in "012" else ""
                found.append((symbol, digit))
                position += len(digit)
            elif symbol in _STRESS_MARKS:
                found.append((symbol, ""))
            elif symbol not in _SEPARATORS:
                unknown = word if len(word) <= _LONGEST_SYMBOL else symbol
                raise ValueError(
                    f"The symbol {unknown!r} of the pronunciation {pronunciation!r} is in no table of ARPAbet or IPA "
                    "here; map it in a phone_table."
                )
    return found
