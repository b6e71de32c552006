"""Recordings in every form that a caller may have, and what is no recording."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoslm.models.pipelines.audio_prompts import read_audio


@pytest.fixture(scope="module")
def tone() -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 220 * np.arange(16_000) / 16_000)).astype(np.float32)


def test_all_forms_of_a_recording_are_the_same_audio(tone, tmp_path):
    soundfile.write(tmp_path / "tone.flac", tone, 16_000)
    int16 = np.rint(tone * 2**15).astype(np.int16)
    forms = [
        tmp_path / "tone.flac",
        {"array": tone, "sampling_rate": 16_000},
        {"raw": tone.tolist(), "sampling_rate": 16_000},
        (16_000, int16),
        (16_000, np.stack([int16, int16], axis=1)),
        (np.int64(16_000), int16.astype(np.int32) << 16),
    ]
    for form in forms:
        audio = read_audio(form, 16_000)
        assert audio.dtype == np.float32
        np.testing.assert_allclose(audio, tone, atol=1e-4)
    assert len(read_audio((16_000, tone), 8_000)) == 8_000


def test_of_silence_at_the_ends_a_tenth_of_a_second_is_left(tone):
    silence = np.zeros(12_000, np.float32)
    audio = read_audio((16_000, np.concatenate([silence, tone, silence])), 16_000)
    assert len(audio) == pytest.approx(16_000 + 2 * 1_600, abs=640)
    assert np.abs(audio[:1_200]).max() == 0 == np.abs(audio[-1_200:]).max()


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Path("nothing.wav"), "no recording"),
        ((16_000, np.zeros(16_000)), "silent"),
        ((16_000, np.full(16_000, 1e-4)), "silent"),
        ((16_000, np.ones(31 * 16_000)), "longer than 30 s"),
        ((16_000, np.ones(100)), "shorter than 0.1 s"),
        ((16_000, np.zeros(0)), "shorter than 0.1 s"),
        ((16_000, np.full(16_000, np.nan)), "finite"),
        ((0, np.ones(16_000)), "sampling rate"),
        (("16000", np.ones(16_000)), "sampling rate"),
        ({"array": np.ones(16_000)}, "sampling_rate"),
        ({"path": "a.wav", "sampling_rate": 16_000}, "give both"),
        (3, "not int"),
        (None, "not NoneType"),
    ],
)
def test_what_is_no_recording_is_refused_in_a_sentence(prompt, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        read_audio(prompt, 16_000)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not audio", b"RIFF\x00\x00\x00\x00WAVE"])
def test_a_file_that_is_no_audio_is_refused(content, tmp_path):
    (tmp_path / "prompt.wav").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as audio"):
        read_audio(tmp_path / "prompt.wav", 16_000)
