"""Text that was once read in a wrong encoding: "donâ€™t", or U+0092 for an apostrophe -> what was written.

characters -> the bytes that they were -> UTF-8, or Windows-1252 for U+0080 to U+009F -> characters.
Only what is hardly ever meant is taken for a mistake; the rest stays as it is.
"""

import re
from collections.abc import Callable

_MAX_PASSES = 4


def repair_encoding(text: str) -> str:
    """
    Undo wrong encodings where they are certain.

    UTF-8 read as Windows-1252, Latin-1, Mac Roman or code page 437 is decoded, as often as that was done to it, and
    U+0080 to U+009F, which no text has, become the quotation marks, dashes and letters of Windows-1252.

    Args:
        text (`str`): Any text.

    Returns:
        `str`: The text; the same where nothing is certainly wrong. «CAFÉ» keeps its letters.
    """
    if text.isascii():
        return text
    for _ in range(_MAX_PASSES):
        repaired = text
        for pattern, written in _MISTAKES:
            repaired = pattern.sub(written, repaired)
        if repaired == text:
            break
        text = repaired
    return _LOST_MARK.sub("”", text).translate(_WINDOWS_CONTROLS)


def _bytes_of(codec: str) -> dict[str, int]:
    """Character -> byte from 0x80 on, with the C1 controls for bytes that the codec lacks."""
    byte_of = {chr(byte): byte for byte in range(0x80, 0xA0)}
    for byte in range(0x80, 0x100):
        character = bytes([byte]).decode(codec, "ignore")
        if character:
            byte_of[character] = byte
    return byte_of


def _mistake(codec: str, is_latin: bool) -> tuple[re.Pattern, Callable[[re.Match], str]]:
    """A pattern of what certainly was UTF-8, and what was written where it matches."""
    byte_of = _bytes_of(codec)

    def written(match: re.Match) -> str:
        try:
            return bytes(byte_of[character] for character in match[0]).decode("utf-8")
        except UnicodeDecodeError:
            return match[0]

    def among(first: int, last: int) -> str:
        found = (re.escape(character) for character, byte in byte_of.items() if first <= byte <= last)
        return f"[{''.join(found)}]"

    follows, accented = among(0x80, 0xBF), among(0xC3, 0xC3)
    choices = [
        f"{among(0xE2, 0xE2)}{among(0x80, 0x9F)}{follows}",  # punctuation: E2 80 99 is an apostrophe
        f"{among(0xF0, 0xF0)}{among(0x9F, 0x9F)}{follows}{{2}}",  # emoji
        f"{among(0xEF, 0xEF)}{among(0xBB, 0xBB)}{among(0xBF, 0xBF)}",  # a byte order mark
    ]
    if is_latin:
        other_scripts = (
            f"(?:{among(0xC2, 0xDF)}{follows}|{among(0xE0, 0xEF)}{follows}{{2}}|{among(0xF0, 0xF4)}{follows}{{3}})"
        )
        # "IRMÃ”" may be a word in capitals and the end of a quotation.
        ends_word = rf"(?!(?<=[A-Z]{accented})[”’»›…](?![^\W\d_]))"
        rarer = among(0xC4, 0xC5)
        choices.insert(0, f"{other_scripts}{{2,}}")
        choices += [f"{among(0xC2, 0xC2)}{follows}", f"{accented}{ends_word}{follows}"]
        choices += [f"(?<=[a-z]){rarer}{follows}", f"{rarer}{follows}(?=[a-z])"]
    else:
        choices += [rf"(?<=[^\W\d_]){accented}{follows}", rf"{accented}{follows}(?=[^\W\d_])"]
    return re.compile("|".join(choices)), written


_MISTAKES = (_mistake("cp1252", True), _mistake("mac_roman", False), _mistake("cp437", False))
# The closing quotation mark is E2 80 9D, and Windows-1252 has nothing for 9D.
_LOST_MARK = re.compile("â€\ufffd?")
_WINDOWS_CONTROLS = {
    byte: character for byte in range(0x80, 0xA0) if (character := bytes([byte]).decode("cp1252", "ignore"))
}
