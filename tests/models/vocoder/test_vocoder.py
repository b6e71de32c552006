"""Vocoders: units come back as audio of the right length and spectrum, always the same, from any encoder."""

import numpy as np
import pytest
import soundfile
import soxr
import torch
import torchaudio
from transformers import AutoConfig, AutoModel

from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel, fit_units
from evoslm.models.speech_units.features import MfccEncoder, check_audio
from evoslm.models.vocoder import (
    CodebookVocoder,
    CodebookVocoderConfig,
    UnitHifiGan,
    UnitHifiGanConfig,
    resynthesis_quality,
)
from evoslm.models.vocoder.pitch import track_pitch
from evoslm.models.vocoder.quality import mel_cepstral_distortion
from evoslm.models.vocoder.spectrum import MelSpectrum

RATE = 16_000
PITCH = {"high": 210.0, "low": 110.0}


def speak(seed: int, seconds: float = 2.0, pitch: float = 110.0) -> np.ndarray:
    """Something like speech: a harmonic tone whose two formants move, with hissing between, as int16."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    steps = np.arange(0, seconds + 0.2, 0.1)
    first, second = (np.interp(time, steps, rng.uniform(*limits, len(steps))) for limits in ((300, 900), (900, 2500)))
    voice = np.interp(time, steps, rng.choice([0.0, 1.0], len(steps), p=[0.2, 0.8]))
    tone = np.zeros_like(time)
    for harmonic in range(1, int(4000 / pitch)):
        frequency = harmonic * pitch
        gain = np.exp(-(((frequency - first) / 150) ** 2)) + np.exp(-(((frequency - second) / 200) ** 2))
        tone += gain * np.sin(2 * np.pi * frequency * time)
    hiss = np.diff(rng.normal(0, 600, len(time) + 1))
    return np.clip(voice * tone * 4000 + (1 - voice) * hiss, -32768, 32767).astype(np.int16)


WHO = [("high", "low")[i % 2] for i in range(10)]
AUDIO = [speak(i, pitch=PITCH[who]) for i, who in enumerate(WHO)]


@pytest.fixture(scope="module")
def quantizers() -> dict[str, SpeechUnitModel]:
    return {name: fit_units([(AUDIO, WHO)], 60, name, seed=1) for name in ("none", "utterance", "speaker")}


@pytest.fixture(scope="module")
def units(quantizers) -> list[np.ndarray]:
    return quantizers["none"].units(AUDIO)


@pytest.fixture(scope="module")
def vocoders(quantizers) -> dict[str, CodebookVocoder]:
    model = quantizers["none"]
    return {
        "centroids": CodebookVocoder.from_quantizer(model),
        "audio": CodebookVocoder.from_quantizer(model, audio=[(AUDIO[:5], None), (AUDIO[5:], None)]),
    }


def distortion(vocoder, units, speakers=None):
    return resynthesis_quality(AUDIO, vocoder.waveforms(units, speakers))["mcd"]


# Spectra


def test_frames_are_those_of_the_quantizer():
    config = SpeechUnitConfig()
    waveform = check_audio(AUDIO[0])
    log_mel = MelSpectrum(RATE, 320, config.window_ms, config.num_mel_bins, config.log_floor).log_mel(waveform)
    transform = torchaudio.functional.create_dct(13, 40, norm="ortho").double()
    assert torch.allclose(log_mel @ transform, MfccEncoder(config)([waveform])[0][:, :13], atol=1e-9)


def test_a_power_spectrum_has_the_mel_energies_that_it_was_made_of():
    spectrum = MelSpectrum(RATE, 320, 25.0, 40, 1e-4)
    log_mel = spectrum.log_mel(check_audio(AUDIO[0]))
    _, filters = spectrum._get_tables(log_mel.device)
    power = spectrum.power_spectrum(log_mel)
    assert (power >= 0).all()
    # Where neighbouring filters see a single harmonic, no smooth spectrum has quite their energies.
    difference = ((power @ filters + 1e-4).log() - log_mel).abs()
    assert float(difference.mean()) < 0.02 and float(difference.median()) < 0.001


@pytest.mark.parametrize(("num_frames", "hop_length"), [(1, 320), (2, 320), (50, 320), (7, 640), (9, 200)])
def test_there_are_exactly_as_many_samples_as_frames_ask_for(num_frames, hop_length):
    spectrum = MelSpectrum(RATE, hop_length, 25.0, 40, 1e-4)
    waveform = spectrum.waveform(torch.zeros(num_frames, 40), torch.ones(num_frames), 100.0, num_iterations=2)
    assert waveform.shape == (num_frames * hop_length,)
    assert torch.isfinite(waveform).all() and waveform.abs().max() > 0.01


def test_what_is_voiced_has_the_pitch_that_was_asked_for_and_the_rest_is_noise():
    spectrum = MelSpectrum(RATE, 320, 25.0, 40, 1e-4)
    voicing = torch.cat([torch.ones(50), torch.zeros(50)])
    waveform = spectrum.waveform(torch.zeros(100, 40), voicing, 100.0).numpy()
    pitch = track_pitch(waveform)
    assert np.median(pitch[5:45]) == pytest.approx(100, rel=0.01)
    assert (pitch[55:95] == 0).mean() > 0.9


# The codebook's voice


@pytest.mark.parametrize("source", ["centroids", "audio"])
def test_units_sound_like_what_they_were_read_off(vocoders, units, source):
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(row) for row in units]
    said = distortion(vocoders[source], units)
    assert said < 5
    assert said < 0.6 * distortion(vocoders[source], shuffled)


def test_the_same_units_give_the_same_audio_alone_in_a_batch_and_after_saving(vocoders, units, tmp_path):
    for name, vocoder in vocoders.items():
        vocoder.save_pretrained(tmp_path / name)
        again = AutoModel.from_pretrained(tmp_path / name, use_safetensors=True)
        assert isinstance(again, CodebookVocoder)
        rows = [units[0], units[1][:30], units[2][:1]]
        together = again.waveforms(rows)
        assert [len(waveform) for waveform in together] == [320 * len(row) for row in rows]
        for waveform, row in zip(together, rows):
            assert np.array_equal(vocoder.waveforms([row])[0], waveform)
        padded = torch.full((3, len(units[0])), -1)
        for target, row in zip(padded, rows):
            target[: len(row)] = torch.from_numpy(row.astype(np.int64))
        output = again(padded)
        assert output.sample_mask.sum(1).tolist() == [len(waveform) for waveform in together]
        for row, mask, waveform in zip(output.waveform, output.sample_mask, together):
            assert np.array_equal(row[mask].numpy(), waveform)
            assert not row[~mask].any()


def test_silence_is_silent(quantizers):
    audio = [np.concatenate([waveform, np.zeros(RATE, np.int16)]) for waveform in AUDIO]
    model = fit_units([(audio, None)], 60, seed=1)
    vocoder = CodebookVocoder.from_quantizer(model, audio=[(audio, None)])
    said = vocoder.waveforms(model.units(audio[:1]))[0]
    assert np.abs(said[-RATE // 2 :]).max() < 0.01 < np.abs(said[:RATE]).max()


def test_durations_repeat_units(vocoders):
    runs = vocoders["audio"].waveforms([[4, 9]], durations=[[3, 2]])
    assert np.array_equal(runs[0], vocoders["audio"].waveforms([[4, 4, 4, 9, 9]])[0])


def test_speakers_get_their_own_spectrum_and_pitch(quantizers):
    model = quantizers["speaker"]
    units = model.units(AUDIO, WHO)
    swapped = [{"high": "low", "low": "high"}[who] for who in WHO]
    with_audio = CodebookVocoder.from_quantizer(model, audio=[(AUDIO, WHO)])
    for vocoder in (CodebookVocoder.from_quantizer(model), with_audio):
        assert vocoder.config.speakers == ["high", "low"]
        assert distortion(vocoder, units, WHO) < distortion(vocoder, units, swapped)
    assert with_audio.voice_pitch.tolist() == pytest.approx([210, 110], rel=0.03)
    with pytest.raises(ValueError, match="several voices; name one for each utterance: high, low"):
        with_audio.waveforms(units)
    with pytest.raises(ValueError, match="no voice 'child'; choose from high, low"):
        with_audio.waveforms(units[:1], ["child"])


def test_a_voice_that_was_never_heard_speaks_as_the_others(quantizers, vocoders):
    vocoder = CodebookVocoder.from_quantizer(quantizers["speaker"], audio=[(AUDIO[::2], WHO[::2])])
    high, low = range(2)
    for statistics in (vocoder.voice_mean, vocoder.voice_std):
        assert torch.equal(statistics[low], statistics[high])


def test_an_encoder_without_a_spectrum_needs_audio_and_gets_a_table(quantizers, units):
    class Encoder:
        """The units of another model, as if nobody knew where they came from."""

        config = SpeechUnitConfig(num_units=60)
        centroids = quantizers["none"].centroids

        def units(self, audio, speakers=None):
            return [row[:-1] for row in quantizers["none"].units(audio)]  # it makes a frame less

        def fingerprint(self):
            return "unknown"

    Encoder.config.encoder = "pretrained"
    with pytest.raises(ValueError, match="'pretrained' are neither cepstra nor mel energies; give audio"):
        CodebookVocoder.from_quantizer(Encoder())
    vocoder = CodebookVocoder.from_quantizer(Encoder(), audio=[(AUDIO, None)], num_mel_bins=60)
    assert vocoder.config.num_mel_bins == vocoder.config.num_coefficients == 60
    assert distortion(vocoder, units) < 5


def test_a_unit_that_was_never_heard_borrows_its_neighbour(quantizers):
    model = quantizers["none"]
    vocoder = CodebookVocoder.from_quantizer(model, audio=[(AUDIO[:1], None)])
    seen = np.unique(model.units(AUDIO[:1])[0])
    assert vocoder.config.fit["num_unseen_units"] == 60 - len(seen) > 0
    rows = {tuple(row.tolist()) for row in vocoder.table}
    assert rows == {tuple(vocoder.table[int(unit)].tolist()) for unit in seen}


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ([[60]], "has units from 60 to 60; the vocoder knows those from 0 to 59"),
        ([[]], r"Utterance 0 has units of shape \(0,\)"),
        (np.array([1, 2]), "Units are one utterance"),
    ],
)
def test_wrong_units_are_one_sentence(vocoders, units, message):
    with pytest.raises(ValueError, match=message):
        vocoders["centroids"].waveforms(units)


# The neural voice


@pytest.mark.parametrize("hop_length", [320, 640, 200, 441])
def test_a_neural_vocoder_gives_exactly_one_hop_a_unit(hop_length):
    config = UnitHifiGanConfig(
        7, hop_length=hop_length, unit_embed_size=8, channels=64, resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1]],
    )  # fmt: skip
    vocoder = UnitHifiGan(config)
    assert [len(waveform) for waveform in vocoder.waveforms([[0, 3, 6], [1]])] == [3 * hop_length, hop_length]


def test_a_neural_vocoder_is_saved_and_found_by_the_auto_classes(tmp_path):
    config = UnitHifiGanConfig(7, unit_embed_size=8, channels=32, speakers=["a", "b"])
    vocoder = UnitHifiGan(config)
    vocoder.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path, use_safetensors=True)
    assert isinstance(again, UnitHifiGan) and isinstance(AutoConfig.from_pretrained(tmp_path), UnitHifiGanConfig)
    first, second = again.waveforms([[0, 3], [0, 3]], ["a", "b"])
    assert np.array_equal(first, vocoder.waveforms([[0, 3]], ["a"])[0])
    assert first.std() > 0.01 and not np.allclose(first, second)


@pytest.mark.parametrize(
    ("config", "arguments", "message"),
    [
        (UnitHifiGanConfig, {"upsample_rates": [4, 4]}, "make 16 samples of a unit, not 320"),
        (UnitHifiGanConfig, {"channels": 40}, "cannot be halved 4 times"),
        (UnitHifiGanConfig, {"num_units": 0}, "num_units is 0"),
        (CodebookVocoderConfig, {"table": "wax"}, "Unknown table 'wax'; choose from cepstra, log_mel"),
        (CodebookVocoderConfig, {"table": "log_mel"}, "has num_mel_bins"),
    ],
)
def test_wrong_configurations_are_one_sentence(config, arguments, message):
    with pytest.raises(ValueError, match=message):
        config(**arguments)


# Measures


def test_distortion_is_the_root_mean_square_in_decibels():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, RATE)
    assert mel_cepstral_distortion(noise, 0.5 * noise).max() < 0.1  # loudness does not count
    tilted = noise - 0.9 * np.concatenate([[0], noise[:-1]])
    spectrum = MelSpectrum(RATE, 320, 25.0, 40, 1e-4)
    first, second = (spectrum.log_mel(torch.from_numpy(signal)) for signal in (noise, tilted))
    difference = (first - second) * 10 / np.log(10)
    centred = difference - difference.mean(1, keepdim=True)
    expected = centred.square().mean(1).sqrt().mean()  # of the spectra themselves, not of 13 cepstra of them
    assert mel_cepstral_distortion(noise, tilted).mean() == pytest.approx(float(expected), rel=0.05)


def test_pitch_is_measured_in_cents_and_voicing_in_shares_of_frames():
    time = np.arange(RATE) / RATE
    tone = {f0: sum(np.sin(2 * np.pi * f0 * k * time) / k for k in range(1, 9)) / 4 for f0 in (100, 106, 200)}
    quality = resynthesis_quality([tone[100], tone[200]], [tone[106], tone[200]])
    error = 1200 * np.log2(1.06)
    assert quality["f0_rmse_cents"] == pytest.approx(error / np.sqrt(2), rel=0.02)
    assert quality["voicing_error"] == 0 and quality["num_voiced_frames"] == 100
    half = np.where(time < 0.5, tone[100], np.random.default_rng(0).normal(0, 0.2, RATE))
    assert resynthesis_quality([tone[100]], [half])["voicing_error"] == pytest.approx(0.5, abs=0.06)
    assert resynthesis_quality([tone[100]], [tone[100]])["mcd"] == 0


@pytest.mark.parametrize("f0", [70, 100, 150, 220, 330])
def test_the_tracker_finds_the_pitch_of_harmonic_sounds(f0):
    time = np.arange(RATE) / RATE
    pitch = track_pitch(sum(np.sin(2 * np.pi * f0 * k * time) / k for k in range(1, 10)))
    assert pitch[2:-2] == pytest.approx(np.full(46, f0), rel=0.005)
    assert (track_pitch(np.random.default_rng(0).normal(size=RATE)) > 0).mean() < 0.05


def test_real_speech_comes_back_with_half_the_distortion_of_shuffled_units(shared_data):
    files = sorted((shared_data / "ljspeech" / "flac").glob("*.flac"))[:6]
    audio = [soxr.resample(*soundfile.read(file, dtype="float32"), RATE) for file in files]
    model = fit_units([(audio, None)], 50, seed=0)
    vocoder = CodebookVocoder.from_quantizer(model, audio=[(audio, None)])
    units = model.units(audio[:2])
    rng = np.random.default_rng(0)
    said = resynthesis_quality(audio[:2], vocoder.waveforms(units))
    control = resynthesis_quality(audio[:2], vocoder.waveforms([rng.permutation(row) for row in units]))
    assert said["mcd"] < 0.75 * control["mcd"]
    assert said["voicing_error"] < 0.6 * control["voicing_error"]


def test_a_quantizer_of_segments_has_no_vocoder():
    model = SpeechUnitModel(SpeechUnitConfig(num_units=4, segment_parts=2))
    with pytest.raises(ValueError, match="units are of segments, not of frames"):
        CodebookVocoder.from_quantizer(model)
