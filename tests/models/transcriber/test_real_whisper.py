"""OpenAI's Whisper tiny.en on real recordings, and on what is no speech: where its weights are present."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoslm.models.transcriber import Transcriber, recognition_errors
from evoslm.models.transcriber.probe_sounds import (
    CHANGING_SOUNDS,
    QUIET_SOUNDS,
    STEADY_SOUNDS,
    add_babble,
    at_level,
)

RATE = 16_000
CLIPS = (2, 4, 8, 13, 16, 20)


@pytest.fixture(scope="module")
def folder() -> Path:
    folder = Path(__file__).resolve().parents[4] / "shared" / "models" / "whisper-tiny.en"
    if not folder.is_dir():
        pytest.skip(f"no weights beside the checkout ({folder.parent.name}/{folder.name})")
    return folder


@pytest.fixture(scope="module")
def transcriber(folder):
    return Transcriber.from_pretrained(folder, device="cpu")


@pytest.fixture(scope="module")
def clips(shared_data):
    """Waveforms at their own rate, 22.05 kHz, with their texts."""
    lines = (shared_data / "ljspeech" / "metadata.csv").read_text(encoding="utf-8").splitlines()
    texts = {line.split("|")[0]: line.split("|")[2] for line in lines}
    names = [f"LJ001-{number:04d}" for number in CLIPS]
    audio = [soundfile.read(shared_data / "ljspeech" / "flac" / f"{name}.flac", dtype="float32")[0] for name in names]
    return audio, [texts[name] for name in names]


def test_recordings_are_transcribed_with_few_errors(transcriber, clips):
    errors = recognition_errors(clips[1], transcriber.transcribe(clips[0], 22_050))
    assert errors["wer"] < 0.1 and errors["cer"] < 0.05 and errors["empty"] == 0


def test_soft_speech_and_speech_among_others_is_transcribed(transcriber, clips):
    audio, texts = clips[0][:3], clips[1][:3]
    soft = [at_level(samples, -40) for samples in audio]
    others, rng = clips[0][3:], np.random.default_rng(0)
    among = [add_babble(samples, others, rng, 5) for samples in audio]
    assert recognition_errors(texts, transcriber.transcribe(soft, 22_050))["wer"] < 0.1
    errors = recognition_errors(texts, transcriber.transcribe(among, 22_050))
    assert errors["wer"] < 0.5 and errors["empty"] == 0


def test_nothing_is_made_up_where_nobody_speaks(transcriber):
    sounds = QUIET_SOUNDS | STEADY_SOUNDS | CHANGING_SOUNDS
    waveforms = [at_level(make(3 * RATE, np.random.default_rng(0)), -25) for make in sounds.values()]
    assert dict(zip(sounds, transcriber.transcribe(waveforms, RATE))) == dict.fromkeys(sounds, "")


def test_the_other_engine_writes_the_same(folder, transcriber, clips, tmp_path, monkeypatch):
    pytest.importorskip("ctranslate2")
    monkeypatch.setenv("EVOSLM_CACHE", str(tmp_path))
    other = Transcriber.from_pretrained(folder, engine="ctranslate2", device="cpu")
    audio = clips[0][:3]
    assert other.transcribe(audio, 22_050) == transcriber.transcribe(audio, 22_050)
