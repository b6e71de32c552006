import re

import pytest

from evoslm.datasets_scripts.text.normalization import normalize_text
from evoslm.datasets_scripts.text.numbers import spell_numbers


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("in 1897 and 1905", "in eighteen ninety-seven and nineteen oh-five"),
        ("the 1860s and the '90s", "the eighteen sixties and the nineties"),
        ("13,000 people", "Thirteen thousand people"),
        ("on 3 May or the 21st June", "on the third of May or the twenty-first of June"),
        ("May 20, 1853", "May twentieth, eighteen fifty-three"),
        ("the 2d, 3rd and 112th", "the second, third and one hundred and twelfth"),
        ("at 8:35, 8:05 and 8:00", "at eight thirty-five, eight oh five and eight o'clock"),
        (
            "for £5, $3.50, £1 and €2.5 million",
            "for five pounds, three dollars and fifty cents, one pound and two point five million euros",
        ),
        ("it cost 10s. 9d.", "it cost ten shillings and nine pence"),
        ("only 4 1/2 or 3/4 of it", "only four and a half or three quarters of it"),
        ("from 12-15 of 3.14", "from twelve to fifteen of three point one four"),
        ("at -5 degrees", "at minus five degrees"),
        ("agent 007", "agent  zero zero seven "),
        ("Henry VIII and World War II", "Henry the eighth and World War two"),
        ("In Chapter IV. It was I, not X.", "In Chapter four. It was I, not X."),
        ("weighs 70 kg", "weighs seventy kilograms"),
    ],
)
def test_numbers_are_read_as_what_they_are(written, spoken):
    assert spell_numbers(written).split() == spoken.split()


def test_a_number_that_opens_a_sentence_has_a_capital():
    assert spell_numbers("It ended. 3 May came.") == "It ended. The third of May came."


@pytest.mark.parametrize("number", ["9" * 40, "0" * 30, "1:99", "99/0", "3.1.4", "1,00,000", "2024-05-06"])
def test_odd_numbers_leave_no_digit(number):
    assert not any(character.isdigit() for character in spell_numbers(f"it is {number} now"))


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("In 1066 the Normans came.", "In ten sixty-six the Normans came."),
        ("It was in 1066.", "It was in ten sixty-six."),
        (
            "He died in 626, and in 529 Cyrus was king.",
            "He died in six twenty-six, and in five twenty-nine Cyrus was king.",
        ),
        (
            "In the year 562 he, in 1042 and 1066 they",
            "In the year five sixty-two he, in ten forty-two and ten sixty-six they",
        ),
        ("from 605 to 562 B.C. and A.D. 890", "from six oh-five to five sixty-two B.C. and A.D. eight ninety"),
        ("on 14 October 1066, or May 1066", "on the fourteenth of October ten sixty-six, or May ten sixty-six"),
        (
            "William (1066-1087) and Hastings (1066)",
            "William (ten sixty-six to ten eighty-seven) and Hastings (ten sixty-six)",
        ),
        (
            "since 1066 the, By 1050 he, circa 975,",
            "since ten sixty-six the, By ten fifty he, circa nine seventy-five,",
        ),
        ("in the spring of 1016 and the 1060s", "in the spring of ten sixteen and the ten sixties"),
    ],
)
def test_years_before_1100_are_read_as_years(written, spoken):
    assert spell_numbers(written).split() == spoken.split()


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("In 120 pages and in 1066 words", "In one hundred and twenty pages and in one thousand and sixty-six words"),
        ("one in 120, or 1 in 105.", "one in one hundred and twenty, or one in one hundred and five."),
        ("in 120 American cities", "in one hundred and twenty American cities"),
        ("in 104 and 105 cases", "in one hundred and four and one hundred and five cases"),
        ("After 150, before 120 men", "After one hundred and fifty, before one hundred and twenty men"),
        ("It weighs 1066 pounds.", "It weighs one thousand and sixty-six pounds."),
        ("in 1,066 days or in 120.5", "in one thousand and sixty-six days or in one hundred and twenty point five"),
        ("from 1042 to 1066.", "from one thousand and forty-two to one thousand and sixty-six."),
    ],
)
def test_what_is_not_certainly_a_year_is_a_number(written, spoken):
    assert re.sub(r"\s+(?=[,.])", "", " ".join(spell_numbers(written).split())) == spoken


def test_early_years_are_said_as_a_reader_said_them(shared_data):
    lines = (shared_data / "ljspeech" / "metadata.csv").read_text(encoding="utf-8").splitlines()
    rows = {name: (printed, read) for name, printed, read in (line.split("|") for line in lines)}
    for name in ("0048", "0052", "0053", "0060", "0064", "0180", "0182", "0188", "0255", "0257"):
        printed, read = (normalize_text(text).replace("-", " ") for text in rows[f"LJ028-{name}"])
        assert printed == read
