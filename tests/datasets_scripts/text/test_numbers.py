import pytest

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
