"""Loops and silence: what is one, and what is speech."""

import random

import pytest

from evoslm.models.phones import ARPABET
from evoslm.models.pipelines.stopping import is_looping_in_frames, trailing_loop


@pytest.mark.parametrize(
    ("symbols", "period"),
    [
        ("the cat the cat the cat the cat ", 8),
        ("and so on and on and on and on and on and on", 7),
        ("aaaaaaaaaaaaaaaa", 1),
        ("no no no no", None),
        ("Ha, ha, ha, said the old man to the other old man.", None),
        ("", None),
    ],
)
def test_a_loop_is_gone_through_four_times_and_is_long(symbols, period):
    assert trailing_loop(symbols, min_symbols=16) == period


def test_a_loop_of_sounds_of_any_length_is_one_and_speech_is_none():
    rng = random.Random(0)
    words = [[rng.choice(ARPABET) for _ in range(5)] for _ in range(30)]

    def frames(phones: list[str]) -> list[str]:
        return [phone for phone in phones for _ in range(rng.randint(3, 9))]

    speech = frames([phone for word in words for phone in word])
    loop = frames([phone for _ in range(6) for phone in words[0]])
    assert not any(is_looping_in_frames(speech[:end], 50.0) for end in range(len(speech)))
    assert is_looping_in_frames(speech + loop, 50.0)
    assert not is_looping_in_frames(speech + ["AA1"] * 74, 50.0)
    assert is_looping_in_frames(speech + ["AA1"] * 75, 50.0)
