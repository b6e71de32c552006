"""Phones: ARPAbet with stress, and the one table that maps espeak's English symbols onto it.

espeak symbol (`"'oU"`, `"@L"`, `"_:"`) -> [`espeak_to_arpabet`] -> zero, one or two phones (`OW1`, `AH0 L`, `SIL`);
the symbols of a word -> [`espeak_word_to_arpabet`] -> its pronunciation. All phone modalities, minimal pairs and
measures of unit quality share the 71 symbols of [`ARPABET`].
"""

from collections.abc import Sequence
from functools import cache

SIL = "SIL"
SPN = "SPN"
VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N"),
    *("NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
)
ARPABET = (SIL, SPN, *CONSONANTS, *(f"{vowel}{stress}" for vowel in VOWELS for stress in (0, 1, 2)))
_VOWEL_SET = frozenset(VOWELS)

# All phonemes of espeak-ng's tables `en` and `en-us`, and what its base table adds to English text (loan words, marks,
# pauses). A vowel stands without stress; the first vowel takes the mark in front of the symbol, a second one gets 0.
# A symbol mapped to "" is no sound of its own: it ends or colours the phone before it, which gets its time.
_TABLE = {
    # Pauses and marks.
    "_": SIL, "_:": SIL, "_::": SIL, "_!": SIL, "_|": SIL, "_;_": SIL,
    "": "", ":": "", ";": "", "-": "", "||": "", "|": "", "_X1": "", "#X1": "",
    # Full vowels.
    "a": "AE", "aa": "AE", "a2": "AE", "a/": "AE",
    "A": "AA", "A:": "AA", "A#": "AA", "0": "AA", "0#": "AA",
    "O": "AO", "O:": "AO", "02": "AO", "O2": "AO",
    "V": "AH", "E": "EH", "E2": "EH", "E#": "EH", "e": "EH", "I": "IH", "U": "UH",
    "i:": "IY", "i": "IY", "u:": "UW", "u": "UW", "3:": "ER", "IR": "ER", "VR": "ER",
    "aI": "AY", "aU": "AW", "eI": "EY", "e:": "EY", "OI": "OY", "oU": "OW", "oU#": "OW", "o": "OW", "o:": "OW",
    # Reduced vowels.
    "@": "AH", "@-": "AH", "@2": "AH", "@5": "AH", "@#": "AH", "a#": "AH", "a#2": "AH", "e#": "AH",
    "I2": "IH", "I#": "IH", "I2#": "IH", "3": "ER",
    # Vowels that ARPAbet writes with two symbols.
    "A@": "AA R", "O@": "AO R", "o@": "AO R", "e@": "EH R", "i@3": "IH R", "U@": "UH R",
    "i@": "IY AH", "aI@": "AY AH", "aI3": "AY ER", "aU@": "AW ER", "A~": "AA N", "O~": "AO N",
    # Syllabic consonants.
    "@L": "AH L", "l-": "AH L", "m-": "AH M", "n-": "AH N", "N-": "AH NG",
    # Consonants with their variants: the flap (t#), the glottal stop (?) and the unreleased t (t2) are all T.
    "p": "P", "b": "B", "t": "T", "t#": "T", "t2": "T", "?": "T", "d": "D", "d#": "D", "k": "K", "g": "G",
    "tS": "CH", "ts": "T S", "dZ": "JH", "f": "F", "v": "V", "v#": "V", "T": "TH", "D": "DH", "s": "S", "z": "Z",
    "z#": "Z", "z/2": "Z", "S": "SH", "Z": "ZH", "h": "HH", "m": "M", "n": "N", "N": "NG", "n^": "N Y",
    "l": "L", "l#": "L", "l/2": "L", "l/3": "L", "L": "L", "L/": "L", "l^": "L Y",
    "r": "R", "r-": "R", "r/": "R", "R": "R", "R2": "R", "R3": "R", "*": "R", "**": "R", "j": "Y", "w": "W", "w#": "W",
    # Sounds of loan words that English speakers replace.
    "x": "K", "X": "K", "C": "K", "q": "K", "c": "K", "Q": "G", "B": "B", "H": "HH", "y": "UW", "Y": "ER",
}  # fmt: skip


@cache
def espeak_to_arpabet(symbol: str) -> tuple[str, ...]:
    """
    Map one phoneme of espeak-ng's voice `en-us`, with its stress marks, onto ARPAbet.

    Args:
        symbol (`str`): espeak's own mnemonic (not IPA), e.g. `"'oU"`, `"t#"`, `"@L"`, `"_:"`.

    Returns:
        `tuple[str, ...]`: The phones, all in [`ARPABET`]. Empty for a symbol that is no sound of its own, two where
        ARPAbet writes one sound of espeak with two symbols; they then share its time equally.

    Raises:
        `ValueError`: If the symbol has no entry in the table.
    """
    name = symbol.lstrip("',%=")
    marks = symbol[: len(symbol) - len(name)]
    if name not in _TABLE:
        name = name.rstrip(":")  # a lengthened sound, as in "waaay"
    if name not in _TABLE:
        raise ValueError(
            f"espeak symbol {symbol!r} has no ARPAbet phone; spell the text in English letters, or add the symbol to "
            "the table in models/phones.py."
        )
    stress = 1 if "'" in marks else 2 if "," in marks else 0
    phones = []
    for phone in _TABLE[name].split():
        if phone in _VOWEL_SET:
            phone, stress = f"{phone}{stress}", 0
        phones.append(phone)
    return tuple(phones)


def espeak_word_to_arpabet(symbols: Sequence[str]) -> list[tuple[str, ...]]:
    """
    Map the phonemes of one word.

    espeak writes the r between an r-coloured vowel and another vowel ("story", `"'o@" "r"`) a second time; ARPAbet
    does not (S T AO1 R IY0), so this `r` gets no phone of its own.

    Args:
        symbols (`Sequence[str]`): espeak's mnemonics in order.

    Returns:
        `list[tuple[str, ...]]`: Phones of each symbol.

    Raises:
        `ValueError`: If a symbol has no entry in the table.
    """
    mapped, last = [], ""
    for symbol in symbols:
        phones = espeak_to_arpabet(symbol)
        if phones == ("R",) and (last == "R" or last.startswith("ER")):
            phones = ()
        mapped.append(phones)
        last = phones[-1] if phones else last
    return mapped
