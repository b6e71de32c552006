from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoslm.datasets_scripts.synthesis.phone_events import (
    PhoneEvent,
    TimedPhone,
    Token,
    closure_before,
    floor_to_frame,
    phones_of,
    word_times,
)


def spoken(*events: tuple[str, int], end: int, silent: range = range(0)) -> list[tuple[str, int, int]]:
    samples = np.ones(end, np.int16)
    samples[list(silent)] = 0
    events = [PhoneEvent(symbol, sample, 0) for symbol, sample in events]
    phones = phones_of(events, samples, [Token("word", 0)], closures=[30, 60], min_pause=50)
    assert all(phone.end == following.start for phone, following in pairwise(phones))
    return [(phone.phone, phone.start, phone.end) for phone in phones]


def test_a_symbol_for_two_phones_shares_its_time():
    assert spoken(("l", 0), ("@L", 10), end=30) == [("L", 0, 10), ("AH0", 10, 20), ("L", 20, 30)]


def test_a_symbol_without_a_sound_leaves_its_time_to_the_phone_before():
    assert spoken(("i:", 0), (";", 10), ("oU", 30), end=50) == [("IY0", 0, 30), ("OW0", 30, 50)]


def test_pauses_are_joined_and_short_ones_go():
    assert spoken(("a", 0), ("_:", 10), ("_", 50), ("b", 70), end=80) == [
        ("AE0", 0, 10),
        ("SIL", 10, 70),
        ("B", 70, 80),
    ]
    assert spoken(("a", 0), ("_", 10), ("s", 50), end=80) == [("AE0", 0, 50), ("S", 50, 80)]


def test_a_stop_begins_with_its_closure():
    assert spoken(("a", 0), ("t", 100), end=120, silent=range(40, 100)) == [("AE0", 0, 40), ("T", 40, 120)]
    assert spoken(("a", 0), ("s", 100), end=120, silent=range(40, 100)) == [("AE0", 0, 100), ("S", 100, 120)]


def test_a_closure_that_seems_longer_than_it_is_has_its_true_length():
    sounding = np.arange(35)
    assert closure_before(100, 0, sounding, closures=[30, 60]) == 60
    assert closure_before(100, 50, sounding, closures=[30, 60]) == 30
    assert closure_before(20, 0, sounding, closures=[30, 60]) == 0


@given(st.lists(st.integers(0, 900), min_size=1, max_size=30))
def test_no_phone_is_shorter_than_a_frame_if_the_total_allows(lengths):
    bounds = [7 + sum(lengths[:i]) for i in range(len(lengths) + 1)]
    moved = floor_to_frame(bounds, 320)
    assert (moved[0], moved[-1], len(moved)) == (bounds[0], bounds[-1], len(bounds))
    assert all(end - start >= min(320, sum(lengths) // len(lengths)) for start, end in pairwise(moved))
    if all(length >= 320 for length in lengths):
        assert moved == bounds


def test_a_short_phone_takes_from_its_longest_neighbour_only():
    assert floor_to_frame([0, 1000, 1100, 1500, 2500], 320) == [0, 780, 1100, 1500, 2500]


@pytest.mark.parametrize(
    ("text", "phones", "times"),
    [
        # espeak gives all phones of "on the" to "on".
        ("on the bed", "0000222", [(0, 20), (20, 40), (40, 70)]),
        ("it - is", "0022", [(0, 20), (20, 20), (20, 40)]),
        ("- yes", "111", [(0, 0), (0, 30)]),
        ("such a so-and-so", "000222", [(0, 20), (20, 30), (30, 60)]),
        ("end of a", "000", [(0, 10), (10, 20), (20, 30)]),
    ],
)
def test_every_word_of_the_text_has_its_time(text, phones, times):
    words = text.split()
    timed = [TimedPhone("AH0", 10 * i, 10 * i + 10, int(token)) for i, token in enumerate(phones)]
    assert word_times([Token(word, 0) for word in words], timed) == [(w, *time) for w, time in zip(words, times)]
