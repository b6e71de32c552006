"""Which unit is of which word: none is lost and none comes twice, however words and units lie."""

import numpy as np
import pytest

from evoslm.datasets_scripts.mixing.alignment import assign_units, jitter_bounds, word_bounds
from evoslm.datasets_scripts.mixing.sequences import make_joint_utterance
from evoslm.datasets_scripts.mixing.switching import SWITCHING_RULES, switching_rule


def words_at(rng: np.random.Generator, num_words: int, seconds: float) -> list[dict]:
    """Words at random times, some of them without silence between them, some of no length."""
    times = np.sort(rng.uniform(0, seconds, 2 * num_words)).round(3)
    for word in range(1, num_words):
        if rng.random() < 0.5:
            times[2 * word] = times[2 * word - 1]
    return [
        {"word": f"w{number}", "start": float(start), "end": float(end)}
        for number, (start, end) in enumerate(zip(times[::2], times[1::2]))
    ]


@pytest.mark.parametrize("collapse", [True, False])
@pytest.mark.parametrize("jitter", [0.0, 3.0])
def test_no_unit_is_lost_and_none_comes_twice(collapse, jitter):
    rng = np.random.default_rng(0)
    for _ in range(300):
        frames, rate = int(rng.integers(1, 200)), float(rng.choice([12.5, 50, 75]))
        units = np.repeat(rng.integers(0, 9, frames), rng.integers(1, 6, frames))[:frames]
        words = words_at(rng, int(rng.integers(1, 30)), len(units) / rate)
        utterance = make_joint_utterance(words, units, rate, collapse, jitter, rng)
        expected = units[np.append(True, units[1:] != units[:-1])] if collapse else units
        assert utterance.units.tolist() == expected.tolist()
        assert len(utterance.unit_words) == len(expected) and (np.diff(utterance.unit_words) >= 0).all()
        assert utterance.unit_words[0] >= 0 and utterance.unit_words[-1] < len(words)
        # Whatever is cut out of it word by word is the whole again.
        for name in SWITCHING_RULES:
            spans = switching_rule(name).draw(utterance.times, rng)
            said = [span for span in spans if span.modality == "speech"]
            for span in said:
                own = utterance.alternate([span]).removeprefix("<speech>").strip().split("▪")[1:]
                inside = (utterance.unit_words >= span.first) & (utterance.unit_words < span.last)
                assert own == [str(unit) for unit in utterance.units[inside]]


def test_a_unit_is_of_the_word_that_has_most_of_it():
    rng = np.random.default_rng(1)
    for _ in range(200):
        bounds = np.sort(rng.uniform(0, 1, 6))
        edges = np.sort(rng.uniform(0, 1, 12))
        cells = np.concatenate([[-9], bounds, [9]])
        words = assign_units(edges, bounds)
        for unit, word in enumerate(words):
            shares = [
                max(0, min(edges[unit + 1], end) - max(edges[unit], start)) for start, end in zip(cells, cells[1:])
            ]
            assert shares[word] == pytest.approx(max(shares), abs=2e-6)


def test_silence_goes_half_to_each_and_a_half_goes_to_the_first():
    bounds = word_bounds([0.1, 0.5, 0.9], [0.3, 0.7, 1.0])
    assert bounds == pytest.approx([0.4, 0.8])
    frames = np.arange(51) / 50
    words = assign_units(frames, bounds)
    assert np.bincount(words).tolist() == [20, 20, 10]
    # Frame 20 lies from 0.40 to 0.42: a bound in its middle leaves it with the first word.
    assert assign_units(frames, np.array([0.41]))[20] == 0
    assert assign_units(frames, np.array([0.4099]))[20] == 1


def test_a_run_that_outlasts_a_word_leaves_it_without_units():
    words = [{"word": word, "start": start, "end": start + 0.1} for word, start in zip("abc", (0.0, 0.1, 0.2))]
    utterance = make_joint_utterance(words, [5] * 14 + [7], frame_rate=50)
    assert utterance.units.tolist() == [5, 7] and utterance.unit_words.tolist() == [0, 2]


def test_jitter_moves_bounds_as_far_as_it_says_and_keeps_their_order():
    bounds = np.linspace(0.5, 20, 400)
    moved = jitter_bounds(bounds, 2, 50, np.random.default_rng(0))
    assert (np.diff(moved) >= 0).all() and 0.02 < np.abs(moved - bounds).max() <= 0.04
    assert jitter_bounds(bounds, 2, 50, np.random.default_rng(0)).tolist() == moved.tolist()


@pytest.mark.parametrize(
    ("words", "units", "named"),
    [
        ([], [1], "no word has times"),
        ([{"word": "a", "start": 0.0, "end": 0.1}], [], "no units"),
        (
            [{"word": "a", "start": 0.0, "end": 0.1}, {"word": "b", "start": None, "end": None}],
            [1],
            "word 2 of 2 has no",
        ),
        (
            [{"word": "a", "start": 0.3, "end": 0.4}, {"word": "b", "start": 0.1, "end": 0.5}],
            [1],
            "word 2 of 2 begins",
        ),
        ([{"word": "<text>", "start": 0.0, "end": 0.1}], [1], "joint sequences keep for themselves"),
    ],
)
def test_utterances_that_cannot_be_joined_are_named(words, units, named):
    with pytest.raises(ValueError, match=named):
        make_joint_utterance(words, units, 50)
