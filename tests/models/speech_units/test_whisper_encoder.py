"""Whisper's encoder: frames of a layer without padding, in windows of long audio, and part of the saved model."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from changing_sound import speech
from tiny_whisper import AUDIO, LAYER, POSITIONS, save_whisper, whisper_frames
from transformers import AutoModel, WhisperFeatureExtractor

from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel, SpeechUnitProcessor, fit_units
from evoslm.models.speech_units.pretrained_encoder import describe_encoder, load_encoder_weights
from evoslm.training.cli import main
from evoslm.training.stages.units.encoders import EncoderSettings


@pytest.fixture(scope="module", params=(80, 128))
def folder(request, tmp_path_factory):
    return save_whisper(tmp_path_factory.mktemp("whisper") / f"tiny-{request.param}", request.param)


@pytest.fixture(scope="module")
def model(folder):
    return fit_units([(AUDIO, None)], num_units=12, encoder_id=str(folder), encoder_layer=LAYER, seed=0)


def test_log_mel_frames_are_those_of_the_feature_extractor_from_the_second_on(folder, model):
    """Of short audio, too, of which the mirror in front is a large part."""
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    for audio in AUDIO:
        expected = extractor(audio, sampling_rate=16_000, return_tensors="pt").input_features[0].T
        found = model.encoder.log_mel(torch.from_numpy(audio))
        assert len(found) == 2 * (len(audio) // 320)
        assert (found - expected[1 : len(found) + 1]).abs().max() < 1e-4


def test_features_are_those_of_the_layer_with_as_many_positions_as_frames(folder, model):
    source = AutoModel.from_pretrained(folder).eval()
    for audio in (torch.from_numpy(audio) for audio in AUDIO[:2]):
        found = model.encoder([audio])[0]
        expected = whisper_frames(source, model.encoder.log_mel(audio), LAYER)
        assert found.shape == (len(audio) // 320, 24) == expected.shape
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
        other = whisper_frames(source, model.encoder.log_mel(audio), LAYER - 1)
        assert (found - other).abs().max() > 1e-2 * expected.abs().max()


def test_frames_are_the_same_in_any_batch(model):
    together = model.encoder([torch.from_numpy(audio) for audio in AUDIO])
    for audio, features in zip(AUDIO, together):
        assert (model.encoder([torch.from_numpy(audio)])[0] - features).abs().max() < 1e-4 * features.abs().max()
    alone = [model.units([audio])[0] for audio in AUDIO]
    assert np.mean(np.concatenate(model.units(AUDIO)) != np.concatenate(alone)) < 0.01


@pytest.mark.parametrize("samples", [320, 639, 640, 31_999, 32_000, 32_320, 100_001])
def test_audio_has_as_many_frames_as_mfcc_gives_it(model, samples):
    mfcc = SpeechUnitModel(SpeechUnitConfig(num_units=2))
    audio = np.resize(AUDIO[1], samples)
    assert len(model.units([audio])[0]) == len(mfcc.units([audio])[0]) == samples // 320


def test_long_audio_is_heard_in_windows_that_overlap_and_keep_each_frame_once(model):
    encoder = model.encoder
    pieces = encoder.cut(0, 1_000)
    assert all(len(piece) <= POSITIONS for piece in pieces) and len(pieces[1]) == POSITIONS
    assert [piece.first for piece in pieces[1:]] == [piece.last for piece in pieces[:-1]]
    assert (pieces[0].first, pieces[-1].last) == (0, 1_000)
    inner = [piece for piece in pieces if piece.start and piece.end < 1_000]
    margin = round(50 * encoder.margin_seconds)
    assert inner and all(piece.first - piece.start == piece.end - piece.last == margin > 0 for piece in inner)


def test_a_window_of_long_audio_is_what_whisper_makes_of_its_log_mel(folder, model):
    """And its range is that of the recording: a loud sound elsewhere is heard in the floor of a quiet window."""
    source = AutoModel.from_pretrained(folder).eval()
    audio = torch.from_numpy(speech(9, 7))
    audio[: 3 * 16_000] *= 1e-3
    found = model.encoder([audio])[0]
    whole = model.encoder.log_mel(audio)
    for piece in model.encoder.cut(0, 450):
        seen = whole[2 * piece.start : 2 * piece.end]
        expected = whisper_frames(source, seen, LAYER)[piece.first - piece.start : piece.last - piece.start]
        assert (found[piece.first : piece.last] - expected).abs().max() < 1e-4 * expected.abs().max()


def test_a_saved_model_is_whole_and_needs_no_source(folder, model, tmp_path):
    model.save_pretrained(tmp_path)
    assert not list(tmp_path.rglob("*.bin")) and not list(tmp_path.rglob("*.pt"))
    text = (tmp_path / "config.json").read_text()
    assert json.loads(text)["pretrained"]["source"] == folder.name and str(folder.parent) not in text
    assert len(model.encoder.model.layers) == LAYER  # what is not used is not kept
    assert not [name for name in model.state_dict() if "decoder" in name or "encoder.model.layer_norm" in name]
    loaded = AutoModel.from_pretrained(tmp_path)
    assert isinstance(loaded, SpeechUnitModel) and loaded.fingerprint() == model.fingerprint()
    processor = SpeechUnitProcessor.from_config(model.config)
    for audio, expected in zip(AUDIO, model.units(AUDIO)):
        assert (processor.units(loaded(**processor(audio, sampling_rate=16_000)))[0] == expected).all()


def test_a_saved_model_loads_where_the_package_is_not(tmp_path):
    whisper = save_whisper(tmp_path / "whisper")
    model = fit_units([(AUDIO, None)], num_units=12, encoder_id=str(whisper), encoder_layer=LAYER)
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


def test_bfloat16_is_close_and_leaves_the_codebook_as_it_is(model, tmp_path):
    model.save_pretrained(tmp_path)
    half = SpeechUnitModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert half.encoder.model.dtype == torch.bfloat16 and half.centroids.dtype == torch.float32
    exact, rounded = np.concatenate(model.units(AUDIO)), np.concatenate(half.units(AUDIO))
    assert np.mean(exact != rounded) < 0.3


def test_another_layer_is_another_quantizer_and_without_one_it_is_three_quarters_of_the_way_up(folder, model):
    other = fit_units([(AUDIO, None)], num_units=12, encoder_id=str(folder), seed=0)
    assert other.config.pretrained["layer"] == 3 and other.fingerprint() != model.fingerprint()
    assert model.config.encoder_label == "Whisper" == EncoderSettings(str(folder)).label


def test_a_run_has_its_frames_and_knows_its_files(tmp_path):
    settings = EncoderSettings(str(save_whisper(tmp_path / "whisper")), LAYER, precision="bf16")
    described = settings.describe()
    assert settings.frame_samples == 320 and described["layer"] == LAYER and described["precision"] == "bf16"
    assert settings.describe() == described and str(tmp_path) not in str(described)
    save_whisper(tmp_path / "whisper", seed=1)
    assert settings.describe() != described


def test_what_does_not_fit_is_named_before_anything_starts(tmp_path, capsys):
    whisper = save_whisper(tmp_path / "whisper")
    flags = ["--preset", "smoke", "--output_dir", str(tmp_path / "run"), "--modalities", "speech_units"]

    def refused(*more):
        for command in ("study", "fit-units"):
            assert main([command, *flags, "--encoder", str(whisper), *more]) == 2
        return re.sub(r"\s+", " ", capsys.readouterr().err)

    assert "whisper has 4 layers; layer 5 is none of them" in refused("--encoder_layer", "5")
    assert "whisper has 4 layers; layer 0 is none of them" in refused("--encoder_layer", "0")
    WhisperFeatureExtractor(feature_size=128).save_pretrained(whisper)
    assert "reads 80 mel bins, and the feature extractor beside it makes 128" in refused()
    (whisper / "preprocessor_config.json").unlink()
    assert "whisper has no feature extractor (preprocessor_config.json)" in refused()
    assert not (tmp_path / "run" / "corpus").exists()


def test_a_feature_extractor_may_be_part_of_a_processor(tmp_path):
    whisper = save_whisper(tmp_path / "whisper")
    extractor = json.loads((whisper / "preprocessor_config.json").read_text())
    (whisper / "preprocessor_config.json").unlink()
    (whisper / "processor_config.json").write_text(json.dumps({"feature_extractor": extractor}))
    assert describe_encoder(str(whisper))["mel"] == {"feature_size": 80, "n_fft": 400, "hop_length": 160}


@pytest.fixture(scope="module")
def tiny_en():
    folder = Path(__file__).resolve().parents[4] / "shared" / "models" / "whisper-tiny.en"
    if not folder.is_dir():
        pytest.skip(f"no weights beside the checkout ({'/'.join(folder.parts[-3:])})")
    return folder


@pytest.fixture(scope="module")
def recording(shared_data):
    """37 s of one reader."""
    import soundfile as sf
    import soxr

    clips = [sf.read(shared_data / "ljspeech" / "flac" / f"LJ001-{number:04d}.flac") for number in (1, 3, 4, 5, 6)]
    audio = np.concatenate([samples for samples, _ in clips])
    return torch.from_numpy(soxr.resample(audio, clips[0][1], 16_000).astype(np.float32))


@pytest.fixture(scope="module")
def real(tiny_en):
    pretrained = describe_encoder(str(tiny_en))
    model = SpeechUnitModel(SpeechUnitConfig(encoder="pretrained", pretrained=pretrained))
    model.encoder.model.load_state_dict(load_encoder_weights(str(tiny_en), pretrained))
    return model.encoder


def test_real_weights_hear_nearly_the_same_without_the_silence_that_fills_up_a_window(tiny_en, real, recording):
    """Attention has no silence to look at: frames are near those of the padded window, and far from one another."""
    audio = recording[: 8 * 16_000]
    found = real([audio])[0]
    source = AutoModel.from_pretrained(tiny_en, dtype=torch.float32).eval()
    padded = real.log_mel(torch.nn.functional.pad(audio, (0, 22 * 16_000)))
    expected = whisper_frames(source, padded, real.config.pretrained["layer"])[: len(found)].double()
    distance = (found - expected).norm(dim=1).median()
    between = (expected - expected.roll(100, 0)).norm(dim=1).median()
    assert distance < 0.5 * between


def test_real_weights_hear_nearly_the_same_wherever_a_window_begins(real, recording):
    """5 s later here; frames within 2 s of the edges of the first window are not compared."""
    shift, inside = 250, slice(350, 1_250)
    one, other = real([recording])[0], real([recording[320 * shift :]])[0]
    assert len(one) > 1_500 and len(other) == len(one) - shift
    distance = (one[inside] - other[inside.start - shift : inside.stop - shift]).norm(dim=1).median()
    between = (one[inside] - one[inside].roll(100, 0)).norm(dim=1).median()
    assert distance < 0.5 * between
