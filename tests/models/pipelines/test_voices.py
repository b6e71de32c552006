"""What is written is heard in pieces: all of it, in order, as soon as a piece is complete."""

import random

import numpy as np
import pytest

from evoslm.datasets_scripts.synthesis.prompt_speech import PromptSynthesizer
from evoslm.models.phones import ARPABET, SIL
from evoslm.models.pipelines.voices import PhoneVoice, TextVoice, UnitVoice, Voice
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel
from evoslm.models.vocoder import CodebookVocoder

TEXT = "The lion sings, and the quiet otter hears it in the garden. Then it goes home! Yes"
PHONES = ["DH", "AH0", "L", "AY1", "AH0", "N", "SIL", "S", "IH1", "NG", "Z", "SIL", "SIL", "IH0", "T"]


@pytest.fixture(scope="module")
def synthesizer() -> PromptSynthesizer:
    return PromptSynthesizer()


def speak(voice: Voice, symbols) -> list[np.ndarray]:
    pieces = []
    for symbol in symbols:
        voice.write([symbol])
        pieces.append(voice.hear())
    return [piece for piece in [*pieces, voice.hear(is_last=True)] if len(piece)]


def check(voice: Voice, pieces: list[np.ndarray]) -> None:
    audio = np.concatenate(pieces)
    assert audio.dtype == np.float32
    assert np.abs(audio).max() > 0.05
    assert len(voice.starts) == len(voice.symbols)
    assert voice.starts == sorted(voice.starts)
    assert voice.spoken_seconds == len(audio) / voice.sampling_rate >= voice.starts[-1]


def test_text_is_spoken_in_sentences_and_clauses(synthesizer):
    voice = TextVoice(synthesizer)
    pieces = speak(voice, TEXT)
    check(voice, pieces)
    assert len(pieces) == 3
    second = TEXT.index("Then")
    assert voice.starts[second] == pytest.approx(len(pieces[0]) / 16_000, abs=1e-6)


def test_text_without_spaces_and_text_that_cannot_be_spoken(synthesizer):
    voice = TextVoice(synthesizer, has_spaces=False)
    check(voice, speak(voice, "ThelionsingsTheotterhears" + "a" * 40))
    voice = TextVoice(synthesizer)
    assert speak(voice, " . , ! ") == []
    assert voice.starts == [0.0] * 7


@pytest.mark.parametrize(("repeats", "frame_rate"), [(1, None), (4, None), (6, 50.0)])
def test_phones_are_spoken_between_pauses(synthesizer, repeats, frame_rate):
    voice = PhoneVoice(synthesizer, 1 if frame_rate else repeats, frame_rate)
    symbols = [phone for phone in PHONES for _ in range(repeats)]
    pieces = speak(voice, symbols)
    check(voice, pieces)
    assert sum(not piece.any() for piece in pieces) == 2, "the pauses"
    silence = voice.starts[PHONES.index("IH0") * repeats] - voice.starts[(PHONES.index("Z") + 1) * repeats]
    assert silence == pytest.approx(12 / 50 if frame_rate else 0.4)


def test_any_phones_that_a_model_may_write_are_heard(synthesizer):
    rng = random.Random(0)
    for _ in range(20):
        voice = PhoneVoice(synthesizer)
        phones = [rng.choice(ARPABET) for _ in range(rng.randint(1, 90))]
        speak(voice, phones)
        assert len(voice.starts) == len(phones)
    voice = PhoneVoice(synthesizer, frame_rate=50.0)
    voice.write(["AA1", *[SIL] * 50])
    assert voice.silence == 1.0


@pytest.mark.parametrize("unit_rate", [50.0, 18.3])
def test_units_last_as_long_as_they_do_on_average(unit_rate):
    vocoder = CodebookVocoder.from_quantizer(SpeechUnitModel(SpeechUnitConfig(num_units=20)))
    rng = np.random.default_rng(0)
    units = [str(unit) for unit in rng.integers(0, 20, 90)]
    voice = UnitVoice(vocoder, unit_rate, {"3", "4"}, is_framewise=unit_rate == 50.0)
    pieces = speak(voice, units)
    assert len(pieces) > 2
    assert len(np.concatenate(pieces)) / 16_000 == pytest.approx(90 / unit_rate, abs=0.02)
    assert voice.starts == pytest.approx([i / unit_rate for i in range(90)])
    voice.write(["3", "4"] * 10)
    assert voice.silence == pytest.approx(20 / unit_rate)
