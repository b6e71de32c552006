"""Numbers as they are read aloud: text with digits -> text without.

Dates, times, sums of money, years, ordinals, fractions and Roman numerals each have their own pattern, tried from
the most to the least specific; `normalization.py` calls [`spell_numbers`] once abbreviations (No., Sept., p.m.)
are written out.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from num2words import num2words

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

# Sign -> (one, many, one hundredth, many hundredths).
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
}
_UNITS = {
    "km": ("kilometre", "kilometres"),
    "kg": ("kilogram", "kilograms"),
    "cm": ("centimetre", "centimetres"),
    "mm": ("millimetre", "millimetres"),
    "mph": ("mile an hour", "miles an hour"),
    "lb": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ft": ("foot", "feet"),
}
_DENOMINATORS = {2: ("half", "halves"), 4: ("quarter", "quarters")}
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50}
# Above this many digits a number is a code or a telephone number, and is read digit by digit.
_LONGEST_CARDINAL = 12

_MONTH = "(?P<month>" + "|".join(MONTHS) + ")"
_NUMBER = r"\d{1,3}(?:,\d{3})+|\d+"
_ROMAN = r"(?=[IVXL])(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?<=[IVXL])"
_NUMBERED = (
    r"(?P<noun>(?i:(?:chapter|book|volume|part|act|scene|canto|section|psalm|number|letter|table|figure|war|phase"
    r"|type)s?))"
)


def spell_numbers(text: str) -> str:
    """
    Write every number of a text in words.

    Args:
        text (`str`): Text in which abbreviations before and after numbers are already expanded.

    Returns:
        `str`: The text without a digit. A number that opens a sentence starts with a capital letter.
    """
    if _HAS_ROMAN.search(text):
        text = _NUMBERED_ROMAN.sub(lambda m: f"{m['noun']} {_cardinal(_roman_value(m['roman']))}", text)
        text = _REGNAL_ROMAN.sub(lambda m: f"{m['name']} the {_ordinal(_roman_value(m['roman']))}", text)
        text = _BARE_ROMAN.sub(_opening_capital(lambda m: _cardinal(_roman_value(m["roman"]))), text)
    if not _HAS_DIGIT.search(text):
        return text
    for pattern, spoken in _RULES:
        text = pattern.sub(_opening_capital(spoken), text)
    return text


def _roman_value(numeral: str) -> int:
    values = [_ROMAN_VALUES[letter] for letter in numeral]
    following = values[1:] + [0]
    return sum(-value if value < after else value for value, after in zip(values, following))


def _opening_capital(spoken: Callable[[re.Match], str]) -> Callable[[re.Match], str]:
    """Give the words for a match a capital letter where they open a sentence, and a space before a letter."""

    def replace(match: re.Match) -> str:
        words = spoken(match) + " " * match.string[match.end() : match.end() + 1].isalnum()
        before = match.string[max(0, match.start() - 12) : match.start()].rstrip(" \n\t\"'(-")
        opens = before[-1:] in ".!?" if before else match.start() < 12
        # A word before the number has the capital that its writer gave it.
        if not opens or match[0][0].islower():
            return words
        words = words.lstrip()
        return words[0].upper() + words[1:]

    return replace


@lru_cache(maxsize=4096)
def _words(number: int, kind: str) -> str:
    return num2words(number, to=kind).replace(",", "")


def _digits(digits: str) -> str:
    return " ".join(_words(int(digit), "cardinal") for digit in digits)


def _cardinal(number: int | str) -> str:
    digits = str(number).replace(",", "")
    if len(digits) > _LONGEST_CARDINAL or (len(digits) > 1 and digits[0] == "0"):
        return _digits(digits)
    return _words(int(digits), "cardinal")


def _ordinal(number: int | str) -> str:
    digits = str(number).replace(",", "")
    return _digits(digits) if len(digits) > _LONGEST_CARDINAL else _words(int(digits), "ordinal")


def _year(match: re.Match) -> str:
    return _words(int(match["year"]), "year")


def _early_years(match: re.Match) -> str:
    return _EARLY_YEAR.sub(lambda year: _words(int(year[0]), "year"), match[0])


def _plural(words: str) -> str:
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def _decimal(match: re.Match) -> str:
    return f"{_cardinal(match['whole'])} point {_digits(match['decimals'])}"


def _time(match: re.Match) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    if minute == 0:
        return f"{_cardinal(hour)} o'clock"
    return f"{_cardinal(hour)} {'oh ' if minute < 10 else ''}{_cardinal(minute)}"


def _fraction(match: re.Match) -> str:
    upper, lower = int(match["upper"]), int(match["lower"])
    if lower < 2:
        return f"{_cardinal(upper)} over {_cardinal(lower)}"
    one, many = _DENOMINATORS.get(lower) or (_ordinal(lower), _ordinal(lower) + "s")
    if match["whole"]:
        part = f"a {one}" if upper == 1 else f"{_cardinal(upper)} {many}"
        return f"{_cardinal(match['whole'])} and {part}"
    return f"{_cardinal(upper)} {one if upper == 1 else many}"


def _money(match: re.Match) -> str:
    one, many, one_hundredth, many_hundredths = _CURRENCIES[match["sign"]]
    amount, scale, decimals = _cardinal(match["amount"]), match["scale"] or "", match["decimals"] or ""
    if scale or len(decimals) not in (0, 2):
        point = f" point {_digits(decimals)}" if decimals else ""
        return " ".join(f"{amount}{point} {scale} {many}".split())
    spoken = f"{amount} {one if match['amount'] == '1' else many}"
    if decimals and int(decimals):
        spoken += f" and {_cardinal(int(decimals))} {one_hundredth if int(decimals) == 1 else many_hundredths}"
    return spoken


def _shillings(match: re.Match) -> str:
    spoken = f"{_cardinal(match['shillings'])} {'shilling' if match['shillings'] == '1' else 'shillings'}"
    return f"{spoken} and {_cardinal(match['pence'])} pence" if match["pence"] else spoken


def _measure(match: re.Match) -> str:
    one, many = _UNITS[match["unit"]]
    return f"{_cardinal(match['amount'])} {one if match['amount'] == '1' else many}"


_HAS_DIGIT = re.compile(r"\d")
_HAS_ROMAN = re.compile(r"\b[IVXL]+\b")
_NUMBERED_ROMAN = re.compile(rf"\b{_NUMBERED}\.?\s+(?P<roman>{_ROMAN})\b(?!')")
# "Henry VIII" is a king, "It was I" is not: the numeral has two letters or more, or is V or X.
_REGNAL_ROMAN = re.compile(rf"\b(?P<name>[A-Z][a-z]+)\s+(?P<roman>(?!I\b|L\b){_ROMAN})\b(?!\.[A-Z])")
_BARE_ROMAN = re.compile(rf"(?<![A-Za-z'.&-])(?P<roman>(?=[IVXL]{{2}}){_ROMAN})(?![A-Za-z&-])")

# Years before 1100 look like any number: "in 1066" and "in 626 Assurbanipal died" are years, "in 120 pages" and
# "one in 120" are not. What is neither for certain is read as a number.
_EARLY = r"(?:10\d\d|[1-9]\d\d)(?![.,:/]?\d|-?[A-Za-z%])"
_EARLY_YEAR = re.compile(rf"\b{_EARLY}")
_EARLY_RANGE = rf"{_EARLY}(?:\s+(?:to|and|or|until|till)\s+{_EARLY})?"
_AFTER_YEARS = (
    "a|an|the|he|she|it|they|we|I|his|her|its|their|our|this|that|these|those|there|here|when|where|while|who|which|and"
    "|or|but|by|at|on|for|from|to|until|was|were|is|had|has|did|after|before|under|as|against|upon|only"
)
# "In 120 American cities": a plural behind a name says that things are counted.
_COUNTED = r"(?:[A-Z][\w'-]*\s+)+(?!(?:was|is|has|his|as|its|this)\b)[a-z]+s\b"
_ENDS_YEAR = rf"(?=\s*(?:$|[.,;:!?)\"']|--|\s-)|\s+(?:(?:{_AFTER_YEARS})\b(?!\s+\d)|(?!{_COUNTED})[A-Z]))"
_EARLY_YEARS = (
    rf"\b(?<![\d.,]){_EARLY}(?=(?:\s+(?:to|and|or|until|till)\s+\d{{1,4}})?,?\s+(?:B\.? ?C|A\.? ?D|C\.? ?E|BCE)\b)",
    rf"\bA\.? ?D\.?\s+{_EARLY}",
    rf"\b(?:[Tt]he|[Ii]n) years?(?: of)?\s+{_EARLY_RANGE}",
    rf"(?<!\bone )(?<!\bOne )(?<!\d )\b[Ii]n\s+(?:(?:early|late)\s+)?{_EARLY_RANGE}{_ENDS_YEAR}",
    rf"\b(?:[Ss]ince|[Uu]ntil|[Tt]ill|[Bb]efore|[Aa]fter|By)\s+(?=\d{{4}}){_EARLY}{_ENDS_YEAR}",
    rf"\b(?:[Cc]irca|[Cc]a?\.)\s+{_EARLY_RANGE}{_ENDS_YEAR}",
    rf"\b(?i:winter|spring|summer|autumn|battle|conquest|invasion|events) of\s+{_EARLY}{_ENDS_YEAR}",
    rf"\b{_MONTH}(?:\s[a-z-]+)?,?\s+{_EARLY}{_ENDS_YEAR}",
    rf"(?<=\()(?=\d{{4}}){_EARLY}(?:\s+to\s+1\d\d\d)?(?=\))",
)

_RULES: tuple[tuple[re.Pattern, Callable[[re.Match], str]], ...] = (
    (re.compile(r"(?<=\d)-(?=\d)"), lambda m: " to "),
    (re.compile(r"(?<=[\s(:])-(?=\d)"), lambda m: "minus "),
    (re.compile(r"\b(?P<shillings>\d{1,2})s\.(?:\s?(?P<pence>\d{1,2})d\b\.?)?"), _shillings),
    (
        re.compile(rf"(?:\b[Tt]he )?(?<![\d.,:/])\b(?P<day>[12]?\d|3[01])(?:st|nd|rd|th|d)?\s+{_MONTH}\b"),
        lambda m: f"the {_ordinal(m['day'])} of {m['month']}",
    ),
    (
        re.compile(rf"\b{_MONTH}\s+(?P<day>[12]?\d|3[01])(?:st|nd|rd|th|d)?\b(?![:/,.]?\d)"),
        lambda m: f"{m['month']} {_ordinal(m['day'])}",
    ),
    (
        re.compile(
            rf"(?P<sign>[$£€])\s?(?P<amount>{_NUMBER})(?:\.(?P<decimals>\d+))?"
            r"(?:\s(?P<scale>hundred|thousand|million|billion|trillion)\b)?"
        ),
        _money,
    ),
    (re.compile(r"\b(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)\b(?!:)(?:\s+o'clock)?"), _time),
    (re.compile(r"\b(?:(?P<whole>\d+)\s+)?(?P<upper>\d{1,3})/(?P<lower>\d{1,3})\b(?!/)"), _fraction),
    (re.compile(rf"\b(?P<number>{_NUMBER})(?:st|nd|rd|th|d|ST|ND|RD|TH)\b"), lambda m: _ordinal(m["number"])),
    (
        re.compile(r"\b(?P<decade>(?:1[1-9]|20)\d0|10[1-9]0|(?<=[Tt]he )(?:1000|[1-9]\d0))'?s\b"),
        lambda m: _plural(_words(int(m["decade"]), "year")),
    ),
    (re.compile(r"'(?P<decade>[2-9]0)s\b"), lambda m: _plural(_cardinal(m["decade"]))),
    (re.compile(rf"\b(?P<amount>{_NUMBER})\s?(?P<unit>{'|'.join(_UNITS)})s?\b"), _measure),
    (re.compile(r"(?<!\d)(?P<whole>\d+)\.(?P<decimals>\d+)(?![\d.])"), _decimal),
    *((re.compile(pattern), _early_years) for pattern in _EARLY_YEARS),
    (re.compile(r"\b(?<![.,])(?P<year>(?:1[1-9]|20)\d\d)(?![\d,]\d)\b"), _year),
    (re.compile(rf"'?(?P<number>{_NUMBER})"), lambda m: f" {_cardinal(m['number'])} "),
)
