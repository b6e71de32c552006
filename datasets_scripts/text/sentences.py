"""Where sentences end: in any text, and in a paragraph as [`normalize_text`] writes it.

text or transcript -> [`split_sentences`] -> what is spoken by itself; a paragraph of a book -> [`split_paragraph`] ->
whole sentences and what is left of it.
"""

import re

_ABBREVIATION = re.compile(r"(?:^|[\s\"“(\[])(?:mr|mrs|ms|dr|st|prof|rev|capt|col|gen|lt|messrs|mt|[b-hj-z])\.$", re.I)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*\s+(?=[^\w\s]*[A-Z0-9])")


def split_sentences(text: str, abbreviations: bool = True) -> list[str]:
    """
    Split a text where sentences end: at `.`, `!` or `?` (and closing quotes) in front of a word with a capital letter,
    but not after an initial or an abbreviation such as "Mr."

    Args:
        text (`str`): The text.
        abbreviations (`bool`, *optional*, defaults to `True`): Whether it may have any. Normalised text has none: in
            it "plan B. Then" is where a sentence ends.
    """
    sentences, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        sentence = text[start : match.end()].rstrip()
        if not (abbreviations and _ABBREVIATION.search(sentence)):
            sentences.append(sentence.lstrip())
            start = match.end()
    rest = text[start:].strip()
    return [*sentences, rest] if rest else sentences


def split_paragraph(text: str) -> tuple[list[str], str]:
    """
    Cut a normalised paragraph into sentences.

    Args:
        text (`str`): What [`normalize_text`] returned.

    Returns:
        `tuple[list[str], str]`: The sentences, each beginning with a capital letter and ending in `.`, `!` or `?`, and
        what comes after the last of them (`""` where nothing does). A remainder that breaks off in a comma, colon,
        semicolon or dash ("He said:") is closed with a full stop and counted among the sentences.
    """
    sentences = split_sentences(text, abbreviations=False)
    remainder = sentences.pop() if sentences and sentences[-1][-1] not in ".!?" else ""
    if remainder[-1:] in tuple(",:;-"):
        closed = remainder.rstrip(" ,:;-")
        sentences += [closed + "."] if closed else []
        remainder = ""
    return [sentence[0].upper() + sentence[1:] for sentence in sentences], remainder
