"""The quantizer: frames where they should be, units that depend on one utterance only, fits that can be repeated."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torchaudio
from speech_like import AUDIO, RATE, WHO, in_batches

from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel, fit_units
from evoslm.models.speech_units.features import MfccEncoder, check_audio

# Frames


@pytest.mark.parametrize("num_samples", [320, 321, 400, 639, 640, 16_000, 16_319, 100_001])
def test_there_is_one_frame_for_every_320_whole_samples(num_samples):
    config = SpeechUnitConfig()
    features = MfccEncoder(config)([torch.randn(num_samples)])[0]
    assert config.num_frames(num_samples) == num_samples // 320
    assert features.shape == (num_samples // 320, 39)
    assert features.dtype == torch.float64


def test_frame_i_describes_samples_320_i_to_320_i_plus_320():
    config = SpeechUnitConfig()
    quiet = torch.zeros(20 * 320)
    middle, border = quiet.clone(), quiet.clone()
    middle[10 * 320 + 160] = 1.0
    border[10 * 320] = 1.0
    silence, click, click_between = (features[:, :13] for features in MfccEncoder(config)([quiet, middle, border]))
    assert (click != silence).any(1).nonzero()[:, 0].tolist() == [10]
    assert (click_between != silence).any(1).nonzero()[:, 0].tolist() == [9, 10]


def test_cepstra_are_those_of_torchaudio():
    config = SpeechUnitConfig(log_floor=1e-6)
    waveform = check_audio(AUDIO[0])
    reference = torchaudio.transforms.MFCC(
        RATE,
        n_mfcc=13,
        log_mels=True,
        melkwargs={
            "n_fft": 512,
            "win_length": 400,
            "hop_length": 320,
            "n_mels": 40,
            "f_min": 20.0,
            "center": False,
        },
    ).double()
    # torchaudio centres its window of 400 samples in 512, so that frame i is centred on 320 i + 256.
    expected = reference(torch.nn.functional.pad(waveform.double(), (96, 96))).T
    ours = MfccEncoder(config)([waveform])[0]
    assert torch.allclose(ours[:, :13], expected[: len(ours)], atol=1e-3)
    deltas = torchaudio.functional.compute_deltas(ours[:, :13].T[None])[0].T
    assert torch.equal(ours[:, 13:26], deltas)


def test_int16_and_float_samples_give_the_same_units(models):
    as_float = [audio.astype(np.float32) / 32768 for audio in AUDIO]
    for ours, theirs in zip(models["none"].units(AUDIO), models["none"].units(as_float)):
        assert np.array_equal(ours, theirs)


# Units depend on one utterance only


@pytest.mark.parametrize("normalization", ["none", "utterance", "speaker"])
def test_units_are_the_same_in_any_batch(models, normalization):
    model = models[normalization]
    alone = [model.units([audio], [who])[0] for audio, who in zip(AUDIO, WHO)]
    together = model.units(AUDIO, WHO)
    order = np.random.default_rng(0).permutation(len(AUDIO))
    shuffled = model.units([AUDIO[i] for i in order], [WHO[i] for i in order])
    for i, units in enumerate(alone):
        assert units.dtype == np.uint16
        assert len(units) == model.config.num_frames(len(AUDIO[i]))
        assert np.array_equal(units, together[i])
        assert np.array_equal(units, shuffled[list(order).index(i)])


def test_features_are_equal_to_the_last_bit_in_any_batch_and_with_any_number_of_threads():
    encoder = MfccEncoder(SpeechUnitConfig())
    waveforms = [check_audio(audio) for audio in AUDIO]
    num_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = [encoder([waveform])[0] for waveform in waveforms]
        torch.set_num_threads(2)
        together = encoder(waveforms[::-1])[::-1]
    finally:
        torch.set_num_threads(num_threads)
    assert all(torch.equal(one, other) for one, other in zip(alone, together))


@pytest.mark.parametrize("normalization", ["none", "utterance", "speaker"])
def test_forward_on_a_padded_batch_gives_the_units_of_each_utterance(models, normalization):
    model = models[normalization]
    lengths = torch.tensor([len(audio) for audio in AUDIO])
    input_values = torch.full((len(AUDIO), int(lengths.max())), 0.5)  # padding that would be heard if it were read
    for row, audio in zip(input_values, AUDIO):
        row[: len(audio)] = check_audio(audio)
    mask = (torch.arange(input_values.shape[1]) < lengths[:, None]).long()
    output = model(input_values, attention_mask=mask, speakers=WHO, output_distances=True)
    expected = model.units(AUDIO, WHO)
    assert torch.equal(output.frame_mask.sum(1), model.config.num_frames(lengths))
    for row, frames, distances, units in zip(output.units, output.frame_mask, output.distances, expected):
        assert np.array_equal(row[frames].numpy(), units)
        assert (row[~frames] == -1).all()
        assert np.array_equal(distances[frames].argmin(1).numpy(), units)
    assert model(input_values, mask, WHO, return_dict=False)[0].equal(output.units)


def test_distances_are_squared_euclidean(models):
    features = models["none"].extract_features(AUDIO[:1])[0]
    distances = models["none"](check_audio(AUDIO[0])[None], output_distances=True).distances[0]
    expected = torch.cdist(features, models["none"].centroids.double()) ** 2
    assert torch.allclose(distances.double(), expected, rtol=1e-4, atol=1e-4)


# Normalisation


def test_an_isolated_word_gets_the_statistics_of_its_speaker_not_its_own(models):
    model = models["speaker"]
    raw = MfccEncoder(model.config)([check_audio(AUDIO[1][: RATE // 2])])[0]
    row = model.config.speakers.index(WHO[1])
    expected = (raw - model.speaker_mean[row]) / model.speaker_std[row] * model.feature_weight
    features = model.extract_features([AUDIO[1][: RATE // 2]], [WHO[1]])[0]
    assert torch.allclose(features, expected)
    assert float(features.mean(0).abs().max()) > 0.1  # it is not centred on itself


def test_speaker_statistics_are_those_of_all_of_their_speech(models):
    model = models["speaker"]
    encoder = MfccEncoder(model.config)
    for row, speaker in enumerate(model.config.speakers):
        spoken = [check_audio(audio) for audio, who in zip(AUDIO, WHO) if who == speaker]
        features = torch.cat(encoder(spoken))
        assert torch.allclose(model.speaker_mean[row].double(), features.mean(0), atol=1e-4)
        assert torch.allclose(model.speaker_std[row].double(), features.std(0, correction=0), rtol=1e-3)


def test_normalisation_takes_away_what_is_constant_in_an_utterance():
    audio = [waveform.astype(np.float32) / 32768 for waveform in AUDIO]
    fits = {
        name: fit_units([(audio, WHO)], 40, name, seed=1, log_floor=1e-9, max_frames=1000)
        for name in ("none", "utterance")
    }
    changed = {
        name: np.mean(model.units([audio[0]])[0] != model.units([0.1 * audio[0]])[0]) for name, model in fits.items()
    }
    assert changed["utterance"] < 0.02
    assert changed["none"] > 0.3


def test_an_unknown_speaker_is_an_error_until_they_are_added(models, tmp_path):
    models["speaker"].save_pretrained(tmp_path / "copy")
    model = SpeechUnitModel.from_pretrained(tmp_path / "copy")
    with pytest.raises(ValueError, match=r"no statistics of speaker 'new'; add them with model.add_speaker\('new'"):
        model.units([AUDIO[0]], ["new"])
    with pytest.raises(ValueError, match="only 0.5 s of speaker 'new'; give at least 2 s"):
        model.add_speaker("new", [AUDIO[0][: RATE // 2]])
    before, known = model.fingerprint(), model.units([AUDIO[0]], [WHO[0]])[0]
    model.add_speaker("new", AUDIO[::2])
    model.save_pretrained(tmp_path / "more")
    model = SpeechUnitModel.from_pretrained(tmp_path / "more")
    assert model.config.speakers == ["high", "low", "new"]
    assert np.array_equal(model.units([AUDIO[0]], [WHO[0]])[0], known)
    # All of what the speaker "high" said is the same speech, whatever the name.
    assert np.mean(model.units([AUDIO[0]], ["new"])[0] == known) > 0.98
    assert model.fingerprint() != before


# Publishing


@pytest.mark.parametrize("normalization", ["none", "speaker"])
def test_a_saved_model_is_the_same_model(models, normalization, tmp_path):
    model = models[normalization]
    model.save_pretrained(tmp_path)
    again = SpeechUnitModel.from_pretrained(tmp_path)
    assert again.config.to_dict().keys() == model.config.to_dict().keys()
    assert again.config.fit == model.config.fit
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    assert again.fingerprint() == model.fingerprint()
    assert all(np.array_equal(a, b) for a, b in zip(again.units(AUDIO, WHO), model.units(AUDIO, WHO)))


def test_a_saved_model_holds_no_pickle(models, tmp_path):
    models["none"].save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors", ".py"}


def test_half_precision_leaves_the_quantizer_as_it_is(models, tmp_path):
    models["none"].save_pretrained(tmp_path)
    model = SpeechUnitModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert model.fingerprint() == models["none"].fingerprint()


@pytest.mark.end_to_end
def test_a_saved_model_loads_where_evoslm_is_not_installed(models, tmp_path):
    models["speaker"].save_pretrained(tmp_path / "model")
    np.save(tmp_path / "audio.npy", AUDIO[0])
    code = (
        "import json, sys\nsys.modules['evoslm'] = None\nimport numpy as np\nfrom transformers import AutoModel\n"
        f"model = AutoModel.from_pretrained({str(tmp_path / 'model')!r}, trust_remote_code=True)\n"
        f"units = model.units([np.load({str(tmp_path / 'audio.npy')!r})], [{WHO[0]!r}])[0]\n"
        "print(json.dumps([model.fingerprint(), units.tolist()]))"
    )
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    fingerprint, units = json.loads(done.stdout.splitlines()[-1])
    assert fingerprint == models["speaker"].fingerprint()
    assert units == models["speaker"].units(AUDIO[:1], WHO[:1])[0].tolist()


def test_the_fingerprint_contains_what_made_the_quantizer(models):
    base = models["none"].fingerprint()
    assert fit_units(in_batches(AUDIO, WHO, 4), 40, seed=1).fingerprint() == base
    for changes in ({"seed": 2}, {"num_units": 39}, {"max_frames": 500}, {"log_floor": 1e-5}):
        arguments = {"num_units": 40, "seed": 1, **changes}
        assert fit_units(in_batches(AUDIO, WHO, 4), **arguments).fingerprint() != base
    assert fit_units(in_batches(AUDIO[:-1], WHO, 4), 40, seed=1).fingerprint() != base
    assert models["utterance"].fingerprint() != base != models["speaker"].fingerprint()


# Real recordings


def test_recordings_become_units(shared_data):
    import soundfile
    import soxr

    paths = sorted((shared_data / "ljspeech" / "flac").glob("*.flac"))[:8]
    audio = []
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32")
        audio.append(soxr.resample(samples, rate, RATE))
    model = fit_units([(audio, None)], 50)
    units = model.units(audio, sampling_rate=RATE)
    assert [len(sequence) for sequence in units] == [len(waveform) // 320 for waveform in audio]
    assert set(np.concatenate(units)) == set(range(50))
    assert model.config.fit["num_dead_units"] == 0


# Bad input


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(0, np.int16), "Audio 1 is empty"),
        (np.zeros(319, np.int16), "Audio 1 has 319 samples, less than the 320 of one frame"),
        (np.full(1000, np.nan, np.float32), "Audio 1 holds NaN"),
        (np.array([0.0, np.inf] * 500), "Audio 1 holds NaN or infinite"),
        (np.full(1000, 20_000.0), "Audio 1 has a sample of 20000; scale it"),
        (np.zeros((2, 1000), np.float32), r"Audio 1 has shape \(2, 1000\); give one channel"),
        (np.zeros(1000, np.int64), "Audio 1 has samples of type int64"),
        (np.array(["loud"] * 1000), "Audio 1 has samples of type <U4"),
    ],
)
def test_audio_that_cannot_be_read_is_named(models, audio, message):
    with pytest.raises(ValueError, match=message):
        models["none"].units([AUDIO[0], audio])
    with pytest.raises(ValueError, match=message):
        fit_units([([AUDIO[0], audio], None)], 10)


def test_what_does_not_fit_the_model_is_named(models):
    with pytest.raises(ValueError, match="22050 samples per second and the model reads 16000; resample"):
        models["none"].units([AUDIO[0]], sampling_rate=22_050)
    with pytest.raises(ValueError, match="one waveform; give a list"):
        models["none"].units(AUDIO[0])
    with pytest.raises(ValueError, match="give the speaker of each utterance"):
        models["speaker"].units(AUDIO[:2], ["low"])
    with pytest.raises(ValueError, match="needs no speakers"):
        models["none"].add_speaker("new", AUDIO)
    with pytest.raises(ValueError, match="pad on the right"):
        models["none"](torch.zeros(1, 800), attention_mask=torch.tensor([[0] * 400 + [1] * 400]))
    with pytest.raises(ValueError, match="give a mask of samples"):
        models["none"](torch.zeros(1, 800), attention_mask=torch.ones(1, 2))
    assert models["none"].units([]) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoder": "mfc"}, "Unknown encoder 'mfc'; choose from mfcc"),
        ({"normalization": "voice"}, "Unknown normalization 'voice'; choose from none, utterance, speaker"),
        ({"num_units": 0}, "num_units is 0; it must be from 1 to 65536"),
        ({"num_units": 70_000}, "num_units is 70000"),
        ({"frame_rate": 49.0}, "does not divide the sampling rate of 16000 Hz"),
        ({"num_cepstra": 41}, "num_cepstra is 41"),
        ({"window_ms": 10.0}, "shorter than a frame"),
        ({"log_floor": 0.0}, "log_floor is 0"),
    ],
)
def test_a_configuration_outside_its_range_is_explained(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpeechUnitConfig(**arguments)
