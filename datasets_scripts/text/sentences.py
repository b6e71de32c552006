"""Where sentences end."""

import re

_ABBREVIATION = re.compile(r"(?:^|[\s\"“(\[])(?:mr|mrs|ms|dr|st|prof|rev|capt|col|gen|lt|messrs|mt|[b-hj-z])\.$", re.I)


_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*\s+(?=[^\w\s]*[A-Z0-9])")


def split_sentences(text: str) -> list[str]:
    """
    Split a text where sentences end: at `.`, `!` or `?` (and closing quotes) in front of a word with a capital letter,
    but not after an initial or an abbreviation such as "Mr."
    """
    sentences, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        sentence = text[start : match.end()].rstrip()
        if not _ABBREVIATION.search(sentence):
            sentences.append(sentence.lstrip())
            start = match.end()
    rest = text[start:].strip()
    return [*sentences, rest] if rest else sentences
