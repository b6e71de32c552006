"""Phones on the frame grid: exact lengths, order kept, no phone lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoslm.datasets_scripts.phones.frames import (
    frame_counts,
    num_frames,
    phones_to_frames,
    repeat_content,
)
from evoslm.models.audio import frame_samples_at
from evoslm.models.phones import ARPABET
from evoslm.models.speech_units import SpeechUnitConfig
from evoslm.models.speech_units.runs import collapse_runs


def aligned(*phones: tuple[str, float]) -> list[dict]:
    """Phones with lengths in milliseconds, laid behind one another."""
    bounds = np.cumsum([0, *(length for _, length in phones)]) / 1000
    return [
        {"phone": phone, "start": float(start), "end": float(end)}
        for (phone, _), start, end in zip(phones, bounds, bounds[1:])
    ]


def test_each_phone_gets_the_frames_between_its_rounded_boundaries():
    phones = aligned(("SIL", 100), ("DH", 30), ("AH0", 70))
    assert phones_to_frames(phones, 10) == ["SIL"] * 5 + ["DH"] * 2 + ["AH0"] * 3
    assert repeat_content(phones, 10) == "SIL SIL SIL SIL SIL DH DH AH0 AH0 AH0"


def test_a_phone_too_short_for_a_frame_borrows_one_from_its_longest_neighbour():
    phones = aligned(("AH0", 60), ("T", 2), ("S", 98))
    assert frame_counts([phone["end"] for phone in phones], 8).tolist() == [3, 1, 4]
    phones = aligned(("AH0", 100), ("T", 2), ("S", 58))
    assert frame_counts([phone["end"] for phone in phones], 8).tolist() == [4, 1, 3]


def test_a_run_of_short_phones_borrows_from_further_away():
    phones = aligned(("AH0", 20), ("T", 1), ("D", 1), ("S", 1), ("IY1", 97))
    assert phones_to_frames(phones, 6) == ["AH0", "T", "D", "S", "IY1", "IY1"]


def test_phones_that_outnumber_the_frames_are_an_error():
    with pytest.raises(ValueError, match="3 phones do not fit on 2 frames"):
        phones_to_frames(aligned(("AH0", 10), ("T", 10), ("S", 20)), 2)
    with pytest.raises(ValueError, match="0 phones do not fit on 2 frames"):
        phones_to_frames([], 2)
    assert phones_to_frames([], 0) == []


def test_the_shortest_phones_have_no_frame_where_frames_are_long_and_fewer():
    phones = aligned(("S", 20), ("T", 20), ("R", 20), ("IH1", 60))
    assert phones_to_frames(phones, 3, 640) == ["S", "T", "IH1"]
    phones = aligned(("S", 60), ("T", 20), ("R", 30), ("IH1", 90), ("NG", 40))
    assert phones_to_frames(phones, 6, 640) == ["S", "T", "R", "IH1", "IH1", "NG"]


def test_below_25_hz_a_frame_is_the_phones_that_holds_most_of_it():
    phones = aligned(("S", 60), ("T", 20), ("R", 30), ("IH1", 90), ("NG", 40))
    assert phones_to_frames(phones, 3, 1_280) == ["S", "IH1", "IH1"]  # of the last 80 ms each has half
    phones = aligned(("SIL", 90), ("DH", 30), ("AH0", 40), ("K", 70), ("SIL", 90))
    assert phones_to_frames(phones, 4, 1_280) == ["SIL", "AH0", "K", "SIL"]
    # A remainder that is shorter than a frame has none, and what the last phone leaves out is its own.
    assert phones_to_frames(aligned(("AH0", 100), ("T", 70)), 2, 1_280) == ["AH0", "T"]
    assert phones_to_frames(aligned(("AH0", 100), ("T", 100)), 3, 1_280) == ["AH0", "T", "T"]
    assert phones_to_frames(aligned(("AH0", 40)), 0, 1_280) == []


def test_frames_need_not_have_a_whole_number_of_samples():
    third = frame_samples_at(75)
    assert third == 16_000 / 75 and isinstance(frame_samples_at(50), int)
    assert [num_frames(seconds, third) for seconds in (0.013, 1 / 75, 1, 7, 1000)] == [0, 0, 75, 525, 75_000]
    assert num_frames(214 / 16_000, third) == 1
    assert num_frames(10, frame_samples_at(11_025 / 128)) == 861  # 44.1 kHz in frames of 512 samples
    phones = aligned(("SIL", 120), ("AH0", 80))
    assert phones_to_frames(phones, 15, third) == ["SIL"] * 9 + ["AH0"] * 6


def test_phones_of_other_audio_are_an_error():
    with pytest.raises(ValueError, match=r"end at 1\.00 s and 25 frames at 0\.50 s"):
        phones_to_frames(aligned(("SIL", 1000)), 25)


def test_the_number_of_frames_is_that_of_the_encoder():
    assert [num_frames(samples / 16_000) for samples in (0, 319, 320, 639, 640, 16_000)] == [0, 0, 1, 1, 2, 50]
    slower = SpeechUnitConfig(frame_rate=25.0, window_ms=50.0)
    for samples in (0, 639, 640, 100_001):
        assert num_frames(samples / 16_000, slower.hop_length) == slower.num_frames(samples)


def test_phones_lie_on_the_frames_of_an_encoder_of_another_rate():
    phones = aligned(("SIL", 120), ("AH0", 80))
    assert phones_to_frames(phones, 5, frame_samples=640) == ["SIL"] * 3 + ["AH0"] * 2
    assert repeat_content(phones, 20, frame_samples=160).split() == ["SIL"] * 12 + ["AH0"] * 8


@st.composite
def alignments(draw) -> tuple[list[dict], int]:
    phones = draw(st.lists(st.tuples(st.sampled_from(ARPABET), st.integers(1, 400)), min_size=1, max_size=60))
    total = sum(length for _, length in phones)
    shortest = 20 * len(phones)
    padding = max(0, shortest - total)
    phones[-1] = (phones[-1][0], phones[-1][1] + padding + -(total + padding) % 20)
    return aligned(*phones), sum(length for _, length in phones) // 20


@settings(max_examples=300, deadline=None)
@given(alignments())
def test_frames_are_exact_complete_and_in_order(alignment):
    phones, frames = alignment
    symbols = phones_to_frames(phones, frames)
    raw = [phone["phone"] for phone in phones]
    assert len(symbols) == frames
    counts = frame_counts([phone["end"] for phone in phones], frames)
    assert counts.min() >= 1 and counts.sum() == frames
    assert symbols == [phone for phone, count in zip(raw, counts) for _ in range(count)]
    assert collapse_runs(symbols) == collapse_runs(raw)


@settings(max_examples=100, deadline=None)
@given(alignments(), st.sampled_from([12.5, 20, 24.9]))
def test_long_frames_are_exact_and_in_order(alignment, rate):
    phones, _ = alignment
    ends, frame_samples = [phone["end"] for phone in phones], frame_samples_at(rate)
    frames = num_frames(ends[-1], frame_samples)
    counts = frame_counts(ends, frames, frame_samples)
    assert counts.min() >= 0 and counts.sum() == frames
    seconds = frame_samples / 16_000
    for frame, owner in enumerate(np.repeat(np.arange(len(phones)), counts)):
        starts = np.array([phone["start"] for phone in phones])
        shares = np.minimum(ends, (frame + 1) * seconds) - np.maximum(starts, frame * seconds)
        assert shares[owner] >= shares.max() - 1e-6
