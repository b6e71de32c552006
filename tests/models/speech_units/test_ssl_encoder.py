"""SSL encoders: frames of a layer, the same in any batch and (nearly) in windows, and part of the saved model."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from changing_sound import speech
from transformers import (
    AutoModel,
    Data2VecAudioConfig,
    Data2VecAudioModel,
    HubertConfig,
    HubertModel,
    LlamaConfig,
    LlamaModel,
    SEWConfig,
    Wav2Vec2Config,
    Wav2Vec2ConformerConfig,
    Wav2Vec2ConformerModel,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel, fit_units
from evoslm.models.speech_units.pretrained_encoder import describe_encoder
from evoslm.training.stages.units.encoders import EncoderSettings

SHAPE = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embedding_groups": 4,
    "num_conv_pos_embeddings": 16,
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
KINDS = {
    "hubert-base": (HubertModel, HubertConfig(**SHAPE)),
    "hubert-large": (HubertModel, HubertConfig(**SHAPE, **LARGE)),
    "wav2vec2": (Wav2Vec2Model, Wav2Vec2Config(**SHAPE)),
    "wavlm": (WavLMModel, WavLMConfig(**SHAPE)),
}
BATCH_NORM = {**LARGE, "conv_pos_batch_norm": True}
# 25 frames a second behind a batch normalisation, as in mHuBERT's.
SLOW = {"conv_dim": (16,) * 8, "conv_stride": (5, 2, 2, 2, 2, 2, 2, 2), "conv_kernel": (10, 3, 3, 3, 3, 2, 2, 2)}
# Convolutions between frames, each of which sees what the one before and what stands between them made of padding.
CONVOLVING = {
    "batch norm": (HubertModel, HubertConfig(**SHAPE, conv_pos_batch_norm=True)),
    "batch norm, large": (HubertModel, HubertConfig(**SHAPE, **BATCH_NORM)),
    "25 Hz": (HubertModel, HubertConfig(**SHAPE | SLOW, num_feat_extract_layers=8, conv_pos_batch_norm=True)),
    "data2vec": (Data2VecAudioModel, Data2VecAudioConfig(**SHAPE | {"num_conv_pos_embeddings": 5})),
    "conformer": (Wav2Vec2ConformerModel, Wav2Vec2ConformerConfig(**SHAPE, conv_depthwise_kernel_size=7)),
}
RNG = np.random.default_rng(0)


AUDIO = [speech(seconds, seed) for seed, seconds in enumerate((1.0, 2.5, 0.31, 1.7, 2.5, 0.02))]


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    kind, config = KINDS[request.param]
    path = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    model = kind(config).eval()
    with torch.no_grad():  # beyond what initialisation gives, so that layers and frames differ
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and "conv" not in name:
                weight.mul_(3)
    model.save_pretrained(path)
    normalize = request.param != "hubert-base"
    Wav2Vec2FeatureExtractor(do_normalize=normalize).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def model(folder):
    return fit_units([(AUDIO, None)], num_units=12, encoder_id=str(folder), encoder_layer=2, seed=0)


def test_features_are_those_of_the_layer(folder, model):
    """With the encoder's own padding, which has no frame for the last 80 samples, and in the middle of a waveform."""
    source = AutoModel.from_pretrained(folder).eval()
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    audio = torch.from_numpy(AUDIO[1])
    if extractor.do_normalize:
        audio = (audio - audio.mean()) / (audio.var(correction=0) + 1e-7).sqrt()
    padded = torch.nn.functional.pad(audio, (40, 40))
    with torch.no_grad():
        states = source(padded[None], output_hidden_states=True).hidden_states
    assert len(states) == 5
    found = model.encoder([torch.from_numpy(AUDIO[1])])[0]
    assert found.shape == (125, 24) == states[2][0].shape
    assert (found - states[2][0]).abs().max() < 1e-4
    assert (found - states[1][0]).abs().max() > 0.1
    assert len(model.encoder.model.encoder.layers) == 2  # what is not used is not kept


def test_frames_are_the_same_in_any_batch(model):
    together = model.encoder([torch.from_numpy(audio) for audio in AUDIO])
    for audio, features in zip(AUDIO, together):
        assert len(features) == len(audio) // 320
        assert (model.encoder([torch.from_numpy(audio)])[0] - features).abs().max() < 1e-4
    units, alone = model.units(AUDIO), [model.units([audio])[0] for audio in AUDIO]
    assert np.mean(np.concatenate(units) != np.concatenate(alone)) < 0.001


@pytest.mark.parametrize("kind", CONVOLVING)
def test_convolutions_between_frames_see_no_padding(kind, tmp_path):
    """What a batch normalisation or a bias makes of padding reaches the frames beside it otherwise."""
    architecture, config = CONVOLVING[kind]
    torch.manual_seed(0)
    encoder = architecture(config).eval()
    with torch.no_grad():
        for name, value in encoder.state_dict().items():
            if name.endswith("bias") or name.endswith("running_mean"):
                value.normal_()
            elif value.ndim > 1 and "conv" not in name:
                value.mul_(3)
    encoder.save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    rate = 25 if kind == "25 Hz" else 50
    recordings = [audio for audio in AUDIO if len(audio) * rate >= 16_000]
    model = fit_units([(recordings, None)], num_units=12, encoder_id=str(tmp_path), encoder_layer=2, frame_rate=rate)
    together = model.encoder([torch.from_numpy(audio) for audio in recordings])
    for audio, features in zip(recordings, together):
        assert len(features) == len(audio) * rate // 16_000
        assert (model.encoder([torch.from_numpy(audio)])[0] - features).abs().max() < 1e-4
    alone = [model.units([audio])[0] for audio in recordings]
    assert (np.concatenate(model.units(recordings)) == np.concatenate(alone)).all()


def test_a_run_refuses_what_it_has_no_audio_or_frames_for_in_words_that_can_be_followed(tmp_path):
    HubertModel(HubertConfig(**SHAPE)).save_pretrained(tmp_path / "hubert")
    Wav2Vec2FeatureExtractor(sampling_rate=8_000).save_pretrained(tmp_path / "hubert")
    with pytest.raises(ValueError, match="reads audio at 8000 Hz, and a run has it at 16000 Hz") as refused:
        EncoderSettings(str(tmp_path / "hubert")).describe()
    assert "--" not in str(refused.value) and "facebook/hubert-base-ls960" in str(refused.value)
    rates = dict(re.findall(r"(sampling_rate|frame_rate)=(\d+)", str(refused.value)))
    rates = {name: int(value) for name, value in rates.items()}
    model = fit_units([(AUDIO[:5], None)], num_units=4, encoder_id=str(tmp_path / "hubert"), **rates)
    assert model.config.frame_rate == 25

    quick = {"conv_dim": (16,) * 4, "conv_stride": (5, 2, 2, 2), "conv_kernel": (10, 3, 3, 3)}
    HubertModel(HubertConfig(**SHAPE | quick, num_feat_extract_layers=4)).save_pretrained(tmp_path / "quick")
    with pytest.raises(ValueError, match=r"quick makes 400 frames a second, and a run has 12\.5 to 100"):
        EncoderSettings(str(tmp_path / "quick")).describe()


def test_windows_change_no_unit_in_a_hundred(model, monkeypatch):
    audio = speech(20, 7)
    whole = model.units([audio])[0]
    monkeypatch.setattr(model.encoder, "window_seconds", 10.0)
    monkeypatch.setattr(model.encoder, "margin_seconds", 3.0)
    assert len(model.encoder.cut(0, len(whole))) == 5
    windows = model.units([audio])[0]
    assert np.mean(windows != whole) < 0.01


def test_a_saved_model_is_whole_and_needs_no_source(folder, model, tmp_path):
    model.save_pretrained(tmp_path)
    assert not list(tmp_path.rglob("*.bin")) and not list(tmp_path.rglob("*.pt"))
    description = json.loads((tmp_path / "config.json").read_text())["pretrained"]
    assert description["source"] == folder.name and str(folder.parent) not in json.dumps(description)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert isinstance(loaded, SpeechUnitModel) and loaded.fingerprint() == model.fingerprint()
    for found, expected in zip(loaded.units(AUDIO), model.units(AUDIO)):
        assert (found == expected).all()


def test_another_encoder_is_another_quantizer(folder, model):
    other = fit_units([(AUDIO, None)], num_units=12, encoder_id=str(folder), encoder_layer=3, seed=0)
    assert other.fingerprint() != model.fingerprint()


def test_bfloat16_is_close_and_leaves_the_codebook_as_it_is(model, tmp_path):
    model.save_pretrained(tmp_path)
    half = SpeechUnitModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert half.encoder.model.dtype == torch.bfloat16 and half.centroids.dtype == torch.float32
    exact, rounded = np.concatenate(model.units(AUDIO)), np.concatenate(half.units(AUDIO))
    assert np.mean(exact != rounded) < 0.2


def test_a_saved_model_loads_where_the_package_is_not(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    np.save(tmp_path / "audio.npy", AUDIO[0])
    code = (
        "import sys; sys.modules['evoslm'] = None\nimport numpy as np; from transformers import AutoModel\n"
        f"model = AutoModel.from_pretrained({str(tmp_path / 'model')!r}, trust_remote_code=True)\n"
        f"print(model.units([np.load({str(tmp_path / 'audio.npy')!r})])[0].tolist())"
    )
    environment = os.environ | {"HF_MODULES_CACHE": str(tmp_path / "modules")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == model.units(AUDIO[:1])[0].tolist()


def test_the_label_says_what_it_is(model):
    assert model.config.encoder_label in ("HuBERT", "wav2vec 2.0", "WavLM")
    assert SpeechUnitConfig().encoder_label == "MFCC"
    assert SpeechUnitConfig(encoder="log_mel").encoder_label == "log-mel"


def test_log_mel_frames_are_log_energies():
    audio = (0.3 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)).astype(np.float32)
    model = SpeechUnitModel(SpeechUnitConfig(encoder="log_mel", num_units=2))
    features = model.encoder([torch.from_numpy(audio)])[0]
    assert features.shape == (50, 40) == (50, model.config.feature_size)
    louder = model.encoder([torch.from_numpy(audio * 2)])[0]
    loudest = features[25].argmax()
    assert louder[25, loudest] - features[25, loudest] == pytest.approx(np.log(4), abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoder_layer": 5}, "has 4 layers; layer 5 is none of them"),
        ({"encoder_layer": 0}, "layer 0 is none of them"),
        ({"sampling_rate": 8000}, "reads 16000 samples a second and makes a frame of 320"),
        ({"frame_rate": 25.0}, "give sampling_rate=16000 and frame_rate=50"),
        ({"encoder": "mfcc"}, "go together"),
    ],
)
def test_what_does_not_fit_the_encoder_is_named(folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_units([(AUDIO, None)], num_units=12, encoder_id=str(folder), **arguments)


def test_what_is_no_encoder_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    LlamaModel(
        LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    ).save_pretrained(tmp_path / "llama")
    with pytest.raises(ValueError, match=r"llama \(llama\) does not turn waveforms into frames"):
        describe_encoder(str(tmp_path / "llama"))
    SEWConfig().save_pretrained(tmp_path / "sew")
    with pytest.raises(ValueError, match=r"sew \(sew\) pools frames before its layers"):
        describe_encoder(str(tmp_path / "sew"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="is no encoder"):
        describe_encoder(str(tmp_path / "empty"))
    HubertConfig(**SHAPE).save_pretrained(tmp_path / "weightless")
    with pytest.raises(ValueError, match="no weights in safetensors"):
        fit_units([(AUDIO, None)], num_units=12, encoder_id=str(tmp_path / "weightless"))
