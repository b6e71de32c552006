"""Phones spoken by espeak: what it says is what was asked for, in any neighbourhood."""

import random

import numpy as np
import pytest

from evoslm.datasets_scripts.synthesis import phone_speech
from evoslm.datasets_scripts.synthesis.phone_speech import render_phones, speak_phones
from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer, shared_synthesizer
from evoslm.models.audio import FRAME_SAMPLES
from evoslm.models.phones import ARPABET, SIL, SPN, espeak_to_arpabet

SOUNDS = [phone for phone in ARPABET if phone not in (SIL, SPN)]


def said(phones):
    """espeak's own events for some phones, mapped onto ARPAbet."""
    has_primary = any(phone[-1] == "1" for phone in phones)
    text = phone_speech.phones_to_mnemonics(phones) + ("" if has_primary else phone_speech._CARRIER)
    _, events = shared_synthesizer().espeak.speak(text, "base", 50, 175, mnemonics=True)
    mapped = [phone for event in events for phone in espeak_to_arpabet(event.symbol) if phone != SIL]
    return mapped if has_primary else mapped[:-2]


def phones_in(rendering):
    return [phone["phone"] for phone in rendering.phones]


@pytest.mark.parametrize("phone", SOUNDS)
def test_every_phone_comes_back_from_espeak_alone_and_between_others(phone):
    for phones in ([phone], ["T", phone], [phone, "T"], ["AH0", "N", phone, "K", "S"]):
        assert said(phones) == phones


def test_sequences_that_no_language_has_come_back_as_well():
    rng = random.Random(0)
    for length in (2, 3, 5, 10, 60, 250) * 5:
        phones = rng.choices(SOUNDS, k=length)
        assert phones_in(render_phones(phones)) == phones


def test_all_symbols_can_be_spoken_in_one_go():
    rendering = render_phones(ARPABET)
    assert phones_in(rendering) == list(ARPABET)
    sounding = [
        np.abs(rendering.audio[round(p["start"] * 16_000) : round(p["end"] * 16_000)]).max() for p in rendering.phones
    ]
    assert sounding[0] == 0 and min(sounding[1:]) > 0


def test_times_follow_each_other_and_end_with_the_audio():
    rendering = render_phones(["SIL", "HH", "AH0", "L", "OW1", "SIL", "SPN", "W", "ER1", "L", "D", "SIL"])
    ends = [phone["end"] for phone in rendering.phones]
    assert [phone["start"] for phone in rendering.phones] == [0, *ends[:-1]]
    assert ends[-1] == rendering.duration and len(rendering.audio) % FRAME_SAMPLES == 0
    assert all(phone["end"] > phone["start"] for phone in rendering.phones)
    pauses = [phone for phone in rendering.phones if phone["phone"] == SIL]
    assert [round(pause["end"] - pause["start"], 9) for pause in pauses] == [0.1, 0.2, 0.1]


def test_the_phones_of_a_text_sound_like_the_text():
    text = EspeakSynthesizer().render("The little dog ran home.")
    spoken = render_phones(phones_in(text))
    assert phones_in(spoken) == phones_in(text)
    assert spoken.duration == pytest.approx(text.duration, rel=0.15)


def test_the_same_phones_give_the_same_audio_and_voices_another():
    phones = ["HH", "AH0", "L", "OW1"]
    audio = speak_phones(phones)
    assert audio.dtype == np.int16
    speak_phones(["T", "UW1"], "female-1", rate=200)
    assert np.array_equal(speak_phones(phones), audio)
    assert not np.array_equal(speak_phones(phones, "female-1"), audio)


@pytest.mark.parametrize(
    ("phones", "settings", "message"),
    [
        ([], {}, "no phones to speak"),
        (["HH", "OW"], {}, "'OW' is no phone"),
        (["OW1"], {"voice": "robot"}, "Unknown voice 'robot'"),
        (["OW1"], {"rate": 1}, "Rate is 1 words per minute"),
    ],
)
def test_what_cannot_be_spoken_is_one_sentence(phones, settings, message):
    with pytest.raises(ValueError, match=message):
        speak_phones(phones, **settings)
