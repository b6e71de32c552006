"""Syllables: the maximal onset principle, across words, with pauses by themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoslm.datasets_scripts.phones.syllables import syllabify, syllable_frames, syllable_names
from evoslm.models.phones import ARPABET, SIL, SPN


@pytest.mark.parametrize(
    ("phones", "expected"),
    [
        ("EH1 K S T R AH0", "EH1-K S-T-R-AH0"),  # extra
        ("S IH1 NG ER0", "S-IH1-NG ER0"),  # singer: nothing begins with NG
        ("AE1 T L AH0 S", "AE1-T L-AH0-S"),  # atlas: nothing begins with T L
        ("V IH1 ZH AH0 N", "V-IH1 ZH-AH0-N"),  # vision
        ("K AA1 N S T AH0 N T", "K-AA1-N S-T-AH0-N-T"),  # constant
        ("IH0 K S P L OY1 T S", "IH0-K S-P-L-OY1-T-S"),  # exploits
        ("AE1 N EH1 G", "AE1 N-EH1-G"),  # an egg
        ("K R IY0 EY1 T", "K-R-IY0 EY1-T"),  # create
        ("SIL HH M SIL SPN SIL AH0 SIL", "SIL HH-M SIL SPN SIL AH0 SIL"),
        ("", ""),
    ],
)
def test_consonants_go_to_the_vowel_behind_them_where_they_can_begin_a_word(phones, expected):
    phones = phones.split()
    assert " ".join(syllable_names(phones)) == expected
    assert syllabify(phones) == [name.count("-") + 1 for name in expected.split()]


@given(st.lists(st.sampled_from(ARPABET), max_size=60))
def test_every_phone_is_in_one_syllable_and_no_syllable_has_two_vowels(phones):
    counts = syllabify(phones)
    assert sum(counts) == len(phones) and all(count > 0 for count in counts)
    starts = np.cumsum([0, *counts])
    for start, end in zip(starts, starts[1:]):
        syllable = phones[start:end]
        assert sum(phone[-1].isdigit() for phone in syllable) <= 1
        assert len(syllable) == 1 or not {SIL, SPN} & set(syllable)


def test_frames_of_syllables_are_those_of_their_phones():
    frames = ["SIL"] * 3 + ["T"] * 2 + ["EH1"] * 4 + ["N"] * 1 + ["AH0"] * 2 + ["SIL"] * 5
    assert syllable_frames(frames).tolist() == [3, 6, 3, 5]
    assert syllable_names(frames) == ["SIL", "T-EH1", "N-AH0", "SIL"]
    assert syllable_frames([]).tolist() == []
