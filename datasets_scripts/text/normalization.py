"""Written English -> the words a reader says, in letters and . , ! ? ' ; : - alone.

paragraph -> plain characters -> abbreviations, numbers, capitals -> quotation marks, dashes, punctuation -> sentences.
What comes out means the same to a text model and to a speech synthesizer: every . ! or ? ends a sentence, and the next
one begins with a capital letter, which is where espeak-ng ends its sentences too.
"""

import re
import unicodedata
from collections.abc import Mapping

from .numbers import MONTHS, spell_numbers
from .wrong_encodings import repair_encoding

# Titles lose their full stop wherever they stand: a name follows.
_TITLES = {
    "Mr": "Mister",
    "Mrs": "Missus",
    "Ms": "Miz",
    "Messrs": "Messieurs",
    "Dr": "Doctor",
    "Prof": "Professor",
    "Rev": "Reverend",
    "Hon": "Honourable",
    "Capt": "Captain",
    "Col": "Colonel",
    "Gen": "General",
    "Lieut": "Lieutenant",
    "Lt": "Lieutenant",
    "Serg": "Sergeant",
    "Sergt": "Sergeant",
    "Sgt": "Sergeant",
    "Maj": "Major",
    "Gov": "Governor",
    "Sen": "Senator",
    "Rep": "Representative",
    "Supt": "Superintendent",
    "Mme": "Madame",
    "Mlle": "Mademoiselle",
    "Mdlle": "Mademoiselle",
    "Mt": "Mount",
}
# Before a number; "No." by itself is a sentence.
_BEFORE_NUMBERS = {
    "no": "number",
    "nos": "numbers",
    "p": "page",
    "pp": "pages",
    "vol": "volume",
    "vols": "volumes",
    "chap": "chapter",
    "ch": "chapter",
    "fig": "figure",
    "sec": "section",
}
# These may also end a sentence, and then their full stop ends it.
_ABBREVIATIONS = {
    "etc": "et cetera",
    "&c": "et cetera",
    "viz": "namely",
    "i.e": "that is",
    "e.g": "for example",
    "vs": "versus",
    "cf": "compare",
    "Esq": "Esquire",
    "Jr": "Junior",
    "Jun": "Junior",
    "Sr": "Senior",
    "Co": "Company",
    "Ltd": "Limited",
    "Inc": "Incorporated",
    "Bros": "Brothers",
    "Ave": "Avenue",
    "Rd": "Road",
    "lb": "pound",
    "lbs": "pounds",
    "oz": "ounces",
    "ft": "feet",
    "per cent": "per cent",
    "Sept": "September",
} | {month[:3]: month for month in MONTHS if month[:3] not in ("Mar", "May", "Jun")}
# Clippings of dialect. espeak-ng reads th' as the letters t and h, and o' as "oh".
_ELISIONS = {
    "th'": "the",
    "t'": "the",
    "an'": "and",
    "o'": "of",
    "wi'": "with",
    "i'": "in",
    "ha'": "have",
    "giv'": "give",
}

# A capitalised word of this list after "U.S." or "Co." opens a new sentence; any other is taken for a name.
_STARTERS = (
    "A|After|All|An|And|As|At|Before|But|By|Did|Do|Even|Every|For|From|Had|Has|Have|He|Her|Here|His|How|However|I|If|In|Is"
    "|It|Its|Let|Many|May|Most|My|No|Nor|Not|Now|Of|Oh|On|Once|One|Or|Our|Out|Perhaps|Quite|She|Should|Since|So|Some|Still"
    "|Such|Take|That|The|Their|Then|There|These|They|This|Those|Though|Thus|To|Two|Upon|Was|We|Well|Were|What|When|Where"
    "|Which|While|Who|Why|Will|With|Would|Yes|Yet|You|Your|Mister|Missus|Miss"
)
_SPEECH_VERBS = (
    "said|says|say|asked|ask|asks|cried|cry|cries|exclaimed|replied|answered|returned|repeated|inquired|enquired"
    "|demanded|shouted|whispered|murmured|muttered|began|continued|added|observed|remarked|called|ejaculated|screamed"
    "|thought|interrupted|gasped|roared|sighed|sobbed|faltered|echoed|growled|laughed|went on|broke in|burst out"
    "|put in|retorted|suggested|urged|protested|pleaded|wailed|moaned|groaned|snapped|yelled|announced|declared"
    "|persisted|responded"
)
_FORMS_OF_ADDRESS = "Mister|Missus|Miss|Miz|Doctor|Sir|Lady|Lord|Captain|Aunt|Uncle|Old|Young|The"
_NAME = rf"(?:(?:{_FORMS_OF_ADDRESS})\s+)?[A-Z][A-Za-z'-]*(?:\s+[A-Z][a-z]+)?"

_MAX_PASSES = 8


def normalize_text(text: str, word_case: Mapping[str, str] | None = None) -> str:
    """
    Rewrite a paragraph as it is read aloud.

    Abbreviations, numbers, dates, times and sums of money are written in words. Quotation marks and underscores go,
    brackets become commas, double hyphens a dash with spaces; accents are taken off, and what was read in a wrong
    encoding is put right ([`~wrong_encodings.repair_encoding`]). A . ! or ? stays only where a sentence ends: "Oh!
    cried she" becomes "Oh, cried she". Normalising twice is the same as normalising once.

    Args:
        text (`str`): One paragraph. Line breaks in it count as spaces.
        word_case (`Mapping[str, str]`, *optional*):
            How words in capitals are to be written, for instance `{"VERY": "very"}`; see [`find_word_case`]. Others
            stay as they are.

    Returns:
        `str`: Text of the letters a-z and A-Z, single spaces and `. , ! ? ' ; : -`. A hyphen stands inside a word or,
        between spaces, for a dash. Characters without a reading (other scripts, signs) are left out.
    """
    for _ in range(_MAX_PASSES):
        spoken = _normalize_once(text, word_case)
        if spoken == text:
            break
        text = spoken
    return text


def find_word_case(text: str) -> dict[str, str]:
    """
    Decide from a document how its words in capitals ("She was VERY tired", "NANTUCKET") are to be written.

    A word is written as the document writes it elsewhere, in small letters or with a capital, whichever is more
    frequent. One that never stands elsewhere gets a capital if it has four letters or more, else it stays: it may
    be spelled out (USA).

    Args:
        text (`str`): The whole document, not normalised.

    Returns:
        `dict[str, str]`: Word in capitals -> how to write it.
    """
    shouted = {word for word in _CAPITALS.findall(text) if not _ROMAN_LETTERS.fullmatch(word)}
    counts = dict.fromkeys((form for word in shouted for form in (word.lower(), word.capitalize())), 0)
    for word in _WORD.findall(text):
        if word in counts:
            counts[word] += 1
    word_case = {}
    for word in shouted:
        small, capital = counts[word.lower()], counts[word.capitalize()]
        if small or capital:
            word_case[word] = word.lower() if small >= capital else word.capitalize()
        elif len(word) >= 4:
            word_case[word] = word.capitalize()
    return word_case


def _normalize_once(text: str, word_case: Mapping[str, str] | None) -> str:
    text = _plain_characters(text)
    if word_case:
        text = _CAPITALS.sub(lambda m: word_case.get(m[0], m[0]), text)
    text = _expand_abbreviations(text)
    text = spell_numbers(text)
    text = _SIGNS.sub(lambda m: _SIGN_WORDS[m[0]], text)
    text = _remove_quotation_marks(text)
    text = _BROKEN_COMPOUND.sub("-", text)
    text = _DASH.sub(" \N{EN DASH} ", text)
    text = _PUNCTUATION.sub(_settle_punctuation, text)
    return " ".join(text.split())


def _plain_characters(text: str) -> str:
    """Map typographic characters to their plain ones, take accents off, and drop what has no reading."""
    text = _NOTES.sub(" ", text)
    text = _TOKENIZED.sub(r"\1", text)
    if not text.isascii():
        text = _VULGAR_FRACTION.sub(r"\1 ", repair_encoding(text).translate(_CHARACTERS))
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
        text = text.translate(_CHARACTERS)
    text = text.translate(_ASCII_CHARACTERS)
    text = _REDACTED_NAME.sub(r"\1", text)
    text = _REDACTED.sub(" blank", text)
    return _UNREADABLE.sub(" ", text)


def _expand_abbreviations(text: str) -> str:
    if _TITLE_WORD.search(text):
        text = _TITLE.sub(lambda m: _TITLES[(m[1] or m[2]).capitalize()], text)
    if "." not in text:
        return text
    text = _STREET.sub("Street", text)
    text = _SAINT.sub("Saint", text)
    text = _BEFORE_NUMBER.sub(lambda m: _like(m[1], _BEFORE_NUMBERS[m[1].lower()]) + " ", text)
    text = _ABBREVIATION.sub(_expand_abbreviation, text)
    text = _INITIALISM.sub(lambda m: " ".join(_LETTER.findall(m[0])).upper() + _stop_if_end(m), text)
    return _INITIAL.sub(lambda m: m[1] + _stop_if_end(m), text)


def _expand_abbreviation(match: re.Match) -> str:
    short = match[1]
    words = _ABBREVIATIONS.get(short) or _ABBREVIATIONS.get(short.capitalize()) or _ABBREVIATIONS[short.lower()]
    return _like(short, words) + _stop_if_end(match)


def _like(short: str, words: str) -> str:
    return words[0].upper() + words[1:] if short[0].isupper() and short not in ("No", "Nos") else words


def _stop_if_end(match: re.Match) -> str:
    """A full stop where the sentence ends with the abbreviation just matched, else nothing."""
    return "." if _ENDS_SENTENCE.match(match.string, match.end()) else ""


def _remove_quotation_marks(text: str) -> str:
    """Drop single and double quotation marks, once they have shown which . ! ? and -- inside speech end a sentence."""
    if '"' in text or "'" in text:
        text = _SPEECH_BROKEN_OFF.sub(". ", text)
        text = _SPEECH_TAG.sub(", ", text)
        text = text.replace('"', " ") if _SPACED_QUOTE.search(text) else text.replace('"', "")
        if "'" in text:
            text = text.replace("o' clock", "o'clock")
            text = _APOSTROPHE.sub(_keep_apostrophe, text)
    return text


def _keep_apostrophe(match: re.Match) -> str:
    word, after = match["word"], match.string[match.end() : match.end() + 2]
    if not word:
        return ""
    elision = _ELISIONS.get(match[0].lower())
    if elision:
        return _like(match[0], elision)
    # "the dogs' house" keeps its apostrophe; after any other letter it is a quotation mark or a clipping (goin').
    quoted = match.start() and match.string[match.start() - 1] == "'"
    return match[0] if word[-1] == "s" and not quoted and after[:1] == " " and after[1:].islower() else word


def _settle_punctuation(match: re.Match) -> str:
    """Put one mark in the place of a run of them, and let . ! ? stand only where a sentence ends."""
    marks, after = match[0], match.string[match.end() : match.end() + 1]
    stop = next((mark for mark in marks if mark in "!?"), "." if "." in marks else "")
    if not match.start():
        return ""
    if stop and not after:
        return stop
    if stop and after.isupper():
        return stop + " "
    if marks.strip() == ".":
        return " "
    weak = next((mark for mark in ";:\N{EN DASH}" if mark in marks), ",")
    return " - " if weak == "\N{EN DASH}" else weak + " "


_CHARACTERS = str.maketrans(
    dict.fromkeys("“”„‟«»‹›″〝〞", '"')
    | dict.fromkeys("‘’‚‛′ʼ´", "'")
    | dict.fromkeys("‐‑−", "-")
    | dict.fromkeys("—―⸺⸻", "--")
    | dict.fromkeys("¹²³⁰⁴⁵⁶⁷⁸⁹®©™ªº\u00ad\u200b\u200c\u200d\u2060\ufeff", "")
    | {"–": "-", "⁄": "/", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ß": "ss", "ø": "o", "Ø": "O", "ð": "d"}
    | {"þ": "th", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i"}
    | {"°": " degrees ", "§": " section ", "×": " times "}
)
_ASCII_CHARACTERS = str.maketrans({"_": "", "`": "'", "[": "(", "]": ")", "{": "(", "}": ")", "|": " ", "*": " "})
_SIGN_WORDS = {
    "&": " and ",
    "%": " per cent",
    "+": " plus ",
    "=": " equals ",
    "$": " dollars ",
    "£": " pounds ",
    "€": " euros ",
    "/": " ",
}

_NOTES = re.compile(r"\[(?:(?:Illustration|Footnote|Transcriber|Sidenote|Note)\b[^\]]*|[\d*†‡]+)\]", re.IGNORECASE)
# Corpora cut into tokens: "is n't", "John 's", "13 @,@ 000".
_TOKENIZED = re.compile(r"\s+(?=(?:n't|'(?:s|re|ll|ve))\b)|\s*@([-,.])@\s*")
_VULGAR_FRACTION = re.compile(r"(\d)(?=[¼½¾⅐-⅞])")
_UNREADABLE = re.compile(r"[^A-Za-z0-9.,!?'\";:()&%$£€/+=-]+")
# "Mrs. S---- of the ----shire", "A.D. ---": names and dates that a writer kept to himself.
_REDACTED_NAME = re.compile(r"(?<![A-Za-z'])([A-HJ-Z])-{2,}(?![A-Za-z])")
_REDACTED = re.compile(r"(?:(?<=\s)-{3,}(?=[\s.,;:!?']|shire|th\b)|(?<=\d)-{2,}(?=[\s.,;:!?]))")
_WORD = re.compile(r"[A-Za-z']+")
_LETTER = re.compile(r"[A-Za-z]")
_ROMAN_LETTERS = re.compile(r"[IVXL]+")
_CAPITALS = re.compile(r"\b[A-Z][A-Z']*[A-Z]\b")
_ENDS_SENTENCE = re.compile(rf"[\"')]*(?:\s*$|\s+[\"'(]*(?:{_STARTERS})\b)")
_TITLE_WORD = re.compile(r"\b(?:[A-Z][a-z]{1,5}\.|M[rR][sS]?\b|D[rR]\b)")
_TITLE = re.compile(
    rf"\b((?i:{'|'.join(sorted(_TITLES, key=len, reverse=True))}))\.(?=\s*(?:[A-Z(\"'-]|\d)|[,']|\s+[a-z])"
    r"|\b(M[rR][sS]?|D[rR])\b(?=\s+[A-Z])"
)
_STREET = re.compile(rf"(?<=[a-z]\s)St(?:\.(?=\s+[a-z]|[,;:!?])|(?=\.\s*(?:$|\s(?:{_STARTERS})\b)))")
_SAINT = re.compile(r"\bSt\.?(?=[\s-]+[A-Z])")
_BEFORE_NUMBER = re.compile(r"\b(Nos?|[Pp]p?|[Vv]ols?|[Cc]h(?:ap)?|[Ff]ig|[Ss]ec)\.\s*(?=\d|[IVXL]+\b)")
_ABBREVIATION = re.compile(
    r"(?<![A-Za-z0-9.'])("
    + "|".join(re.escape(short) for short in sorted(_ABBREVIATIONS, key=len, reverse=True))
    + r")\.",
    re.IGNORECASE,
)
_INITIALISM = re.compile(r"(?<![A-Za-z'.])(?:[A-Za-z]\.\s?(?=[A-Za-z]\.))+[A-Za-z]\.")
_INITIAL = re.compile(r"(?<![A-Za-z'.-])([A-HJ-Z])\.(?!\.)")
_SIGNS = re.compile(r"[&%+=$£€/]")
_SPEECH_BROKEN_OFF = re.compile(r"-{2,}[\"']+\s+(?=[\"']*[A-Z])")
_SPEECH_TAG = re.compile(rf"(?:[!?]+[\"']+\s+(?={_NAME}\s+(?:{_SPEECH_VERBS})\b)|\.[\"']+\s+(?=[a-z]))")
_SPACED_QUOTE = re.compile(r"\S\"\S")
_APOSTROPHE = re.compile(r"(?P<word>\b[A-Za-z]+)?'(?![A-Za-z])|(?<![A-Za-z])'")
# "high- backed" was broken at the end of a line, "two- and three-legged" was not.
_BROKEN_COMPOUND = re.compile(r"(?<=[a-z])-\s+(?=(?!and\b|or\b|to\b)[a-z])")
_DASH = re.compile(r"-{2,}|(?<![A-Za-z])-|-(?![A-Za-z])")
_PUNCTUATION = re.compile(r"\s*[.,!?;:()\N{EN DASH}][\s.,!?;:()\N{EN DASH}]*")
