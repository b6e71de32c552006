"""How numbers look in the report."""

from evoslm.training.report.formatting import count, markdown_table, number, scientific


def test_numbers():
    assert number(-1.25) == "−1.2"
    assert number(-0.0, sign=True) == "−0.0"
    assert number(float("nan")) == number(None) == "–"
    assert [count(value) for value in (0, 81_600, 1_364_000, 7.737e9, 123_456_789)] == [
        "0",
        "81,600",
        "1.36M",
        "7.74B",
        "123M",
    ]


def test_large_numbers_are_shown_by_their_magnitude():
    assert [scientific(value) for value in (2.73e11, 9.99e12, None)] == ["2.7e11", "1.0e13", "–"]


def test_tables_escape_bars():
    assert markdown_table(["a", "b"], [["x|y", "1"]]) == "| a | b |\n| :--- | ---: |\n| x\\|y | 1 |"
