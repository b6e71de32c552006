"""The quantizer: frames where they should be, units that depend on one utterance only, fits that can be repeated."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torchaudio

from evoslm.models.speech_units import (
    SpeechUnitConfig,
    SpeechUnitModel,
    compare_units,
    fit_unit_seeds,
    fit_units,
)
from evoslm.models.speech_units.features import MfccEncoder, check_audio
from evoslm.models.speech_units.kmeans import ALGORITHMS, LLOYD_ITERATIONS, _lloyd, kmeans
from evoslm.models.speech_units.modeling_speech_units import pool_segments

RATE = 16_000
SPEAKERS = ("high", "low")


def speak(seed: int, seconds: float, pitch: float = 120.0) -> np.ndarray:
    """Something like speech: a harmonic tone whose two formants move, with pauses, as int16."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    steps = np.arange(0, seconds + 0.2, 0.1)
    first, second = (np.interp(time, steps, rng.uniform(*limits, len(steps))) for limits in ((300, 900), (900, 2500)))
    loudness = np.interp(time, steps, rng.choice([0.0, 1.0], len(steps), p=[0.2, 0.8]))
    audio = np.zeros_like(time)
    for harmonic in range(1, int(4000 / pitch)):
        frequency = harmonic * pitch
        gain = np.exp(-(((frequency - first) / 150) ** 2)) + np.exp(-(((frequency - second) / 200) ** 2))
        audio += gain * np.sin(2 * np.pi * frequency * time)
    return np.clip(loudness * audio * 4000 + rng.normal(0, 20, len(time)), -32768, 32767).astype(np.int16)


def corpus(num_utterances: int = 16) -> tuple[list[np.ndarray], list[str]]:
    lengths = np.random.default_rng(7).uniform(0.5, 3, num_utterances)
    speakers = [SPEAKERS[i % 2] for i in range(num_utterances)]
    audio = [speak(i, seconds, {"high": 210.0, "low": 110.0}[speakers[i]]) for i, seconds in enumerate(lengths)]
    return audio, speakers


AUDIO, WHO = corpus()


def in_batches(audio, speakers, size):
    for start in range(0, len(audio), size):
        yield audio[start : start + size], speakers[start : start + size]


@pytest.fixture(scope="module")
def models() -> dict[str, SpeechUnitModel]:
    return {
        normalization: fit_units(in_batches(AUDIO, WHO, 4), num_units=40, normalization=normalization, seed=1)
        for normalization in ("none", "utterance", "speaker")
    }


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


# Fitting


@pytest.mark.parametrize("normalization", ["none", "utterance", "speaker"])
def test_a_fit_depends_on_neither_order_nor_batches_nor_threads(models, normalization):
    order = np.random.default_rng(3).permutation(len(AUDIO))
    shuffled = in_batches([AUDIO[i] for i in order], [WHO[i] for i in order], 5)
    num_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(num_threads, 2))
        model = fit_units(shuffled, 40, normalization, seed=1)
    finally:
        torch.set_num_threads(num_threads)
    assert model.fingerprint() == models[normalization].fingerprint()


def test_a_sample_of_frames_depends_on_neither_order_nor_batches():
    order = np.random.default_rng(4).permutation(len(AUDIO))
    one = fit_units(in_batches(AUDIO, WHO, 3), 10, seed=5, max_frames=200)
    other = fit_units(in_batches([AUDIO[i] for i in order], [WHO[i] for i in order], 7), 10, seed=5, max_frames=200)
    assert one.config.fit["num_sampled_frames"] == 200
    assert one.fingerprint() == other.fingerprint()


def test_a_fit_says_how_it_went(models):
    fit = models["none"].config.fit
    num_frames = sum(len(audio) // 320 for audio in AUDIO)
    assert (fit["num_utterances"], fit["num_frames"], fit["num_sampled_frames"]) == (
        len(AUDIO),
        num_frames,
        num_frames,
    )
    assert (fit["seed"], fit["num_dead_units"]) == (1, 0)
    features = torch.cat(models["none"].extract_features(AUDIO))
    distances = torch.cdist(features, models["none"].centroids.double()).min(1).values ** 2
    assert fit["inertia"] == pytest.approx(float(distances.mean()), rel=1e-6)


def test_more_units_describe_frames_more_closely():
    inertias = [fit_units([(AUDIO, WHO)], number).config.fit["inertia"] for number in (5, 20, 80)]
    assert inertias[0] > inertias[1] > inertias[2]


def test_dead_clusters_are_moved_to_frames_that_need_them():
    points = np.array([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    frames = points[np.random.default_rng(0).integers(0, 4, 400)]
    beginning = torch.tensor([[5.0, 5], [100, 100], [100, 100], [100, 100]]).double()
    centroids, report = _lloyd(torch.from_numpy(frames), beginning, LLOYD_ITERATIONS)
    assert sorted(map(tuple, centroids)) == sorted(map(tuple, points))
    assert report["num_reseeded_units"] >= 3
    assert (report["num_dead_units"], report["inertia"]) == (0, 0.0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_kmeans_finds_clusters_that_are_there(algorithm):
    if algorithm == "faiss":
        pytest.importorskip("faiss", reason="faiss is not installed")
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 20, (12, 5))
    frames = centres[rng.integers(0, 12, 3000)] + rng.normal(0, 0.1, (3000, 5))
    centroids, report = kmeans(frames, 12, seed=0, algorithm=algorithm)
    assert np.array_equal(centroids, kmeans(frames, 12, seed=0, algorithm=algorithm)[0])
    assert np.sqrt(((centroids[:, None] - centres) ** 2).sum(-1)).min(0).max() < 0.1
    assert report["inertia"] == pytest.approx(5 * 0.01, rel=0.1)


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


def test_a_fit_that_cannot_be_made_is_explained():
    with pytest.raises(ValueError, match="no audio to fit units on"):
        fit_units([], 10)
    with pytest.raises(ValueError, match="only 1 distinct frames for 10 units; give more speech, or ask for fewer"):
        fit_units([([np.zeros(16_000, np.int16)], None)], 10)
    with pytest.raises(ValueError, match="speaker of each utterance"):
        fit_units([([AUDIO[0]], None)], 10, normalization="speaker")
    with pytest.raises(ValueError, match="less than the 10 units"):
        fit_units([([AUDIO[0]], None)], 10, max_frames=5)


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


def test_an_unknown_kmeans_is_named():
    with pytest.raises(ValueError, match="choose from minibatch, torch, faiss"):
        kmeans(np.random.default_rng(0).normal(size=(50, 3)), 4, algorithm="spectral")


def test_all_kmeans_describe_speech_about_equally_well(models):
    frames = np.concatenate([f.numpy() for f in models["none"].extract_features(AUDIO)])
    inertia = {name: kmeans(frames, 40, 1, name)[1]["inertia"] for name in ("minibatch", "torch")}
    assert inertia["torch"] == pytest.approx(inertia["minibatch"], rel=0.03)


def test_several_seeds_are_fitted_with_one_pass_and_are_those_of_single_fits(models):
    fitted = fit_unit_seeds(in_batches(AUDIO, WHO, 4), [1, 2], num_units=40)
    assert [model.config.fit["seed"] for model in fitted] == [1, 2]
    assert fitted[0].fingerprint() == models["none"].fingerprint()
    assert not torch.equal(fitted[0].centroids, fitted[1].centroids)
    one, other = (model.units(AUDIO) for model in fitted)
    agreement = compare_units(one, other)
    assert 0.5 < agreement["matched"] < 1 and 0.6 < agreement["nmi"] < 1


# Segments


def in_segments(audio, speakers, size, frames=7):
    for batch, who in in_batches(audio, speakers, size):
        yield batch, who, [cut(len(row) // 320, frames) for row in batch]


def cut(num_frames: int, frames: int) -> list[int]:
    """Segments of so many frames, the last one shorter."""
    counts = [frames] * (num_frames // frames)
    return counts + ([num_frames % frames] if num_frames % frames else [])


def test_a_segment_is_the_means_of_its_parts():
    features = torch.arange(12.0).double()[:, None]
    pooled = pool_segments(features, [6, 1, 5], 3)
    assert pooled.tolist() == [[0.5, 2.5, 4.5], [6, 6, 6], [7, 8.5, 10.5]]
    assert pool_segments(features, [6, 6], 1).tolist() == [[2.5], [8.5]]


@pytest.mark.parametrize("normalization", ["none", "utterance", "speaker"])
def test_units_of_segments_are_those_nearest_to_their_pooled_frames(normalization):
    model = fit_units(in_segments(AUDIO, WHO, 4), num_units=12, normalization=normalization, seed=1, segment_parts=3)
    assert model.centroids.shape == (12, 3 * 39)
    segments = [cut(len(row) // 320, 7) for row in AUDIO]
    units = model.units(AUDIO, WHO, segments=segments)
    assert [len(row) for row in units] == [len(row) for row in segments]
    frames = frame_model_like(model).extract_features(AUDIO[:1], WHO[:1])[0]
    pooled = pool_segments(frames, segments[0], 3)
    expected = torch.cdist(pooled, model.centroids.double()).argmin(1)
    assert expected.tolist() == units[0].tolist()
    # Shuffled, alone, and as a padded batch: the same.
    assert model.units(AUDIO[5:6], WHO[5:6], segments=segments[5:6])[0].tolist() == units[5].tolist()
    lengths = [len(row) for row in AUDIO[:2]]
    batch = torch.zeros(2, max(lengths), dtype=torch.int16)
    mask = torch.zeros(2, max(lengths))
    for row, (samples, length) in enumerate(zip(AUDIO, lengths)):
        batch[row, :length], mask[row, :length] = torch.from_numpy(samples), 1
    output = model(batch, mask, speakers=WHO[:2], segments=segments[:2])
    assert [row[row >= 0].tolist() for row in output.units] == [row.tolist() for row in units[:2]]


def frame_model_like(model):
    """A model with the same statistics whose units are of frames."""
    config = SpeechUnitConfig(num_units=12, normalization=model.config.normalization, speakers=model.config.speakers)
    frames = SpeechUnitModel(config)
    for name in ("feature_mean", "feature_std", "feature_weight", "speaker_mean", "speaker_std"):
        getattr(frames, name).copy_(getattr(model, name))
    return frames


def test_a_model_of_segments_is_saved_whole(tmp_path):
    model = fit_units(in_segments(AUDIO, WHO, 4), num_units=12, segment_parts=2)
    model.save_pretrained(tmp_path)
    loaded = SpeechUnitModel.from_pretrained(tmp_path)
    assert loaded.fingerprint() == model.fingerprint() and loaded.config.segment_parts == 2


def test_segments_that_do_not_fit_are_named(models):
    model = SpeechUnitModel(SpeechUnitConfig(num_units=4, segment_parts=1))
    audio = [AUDIO[0]]
    with pytest.raises(ValueError, match="units are of segments"):
        model.units(audio)
    with pytest.raises(ValueError, match="Audio 0 has .* frames, and segments of 3"):
        model.units(audio, segments=[[3]])
    with pytest.raises(ValueError, match="at least one frame"):
        model.units(audio, segments=[[len(AUDIO[0]) // 320, 0]])
    with pytest.raises(ValueError, match="units are of frames"):
        models["none"].units(audio, segments=[[3]])
    with pytest.raises(ValueError, match="segment_parts needs the frames"):
        fit_units(in_batches(AUDIO, WHO, 4), num_units=4, segment_parts=1)
    with pytest.raises(ValueError, match="segment_parts is -1"):
        SpeechUnitConfig(segment_parts=-1)
