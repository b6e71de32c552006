"""The processor takes any recording, and gives units with times and content; it loads with AutoProcessor."""

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModel, AutoProcessor

from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel, SpeechUnitProcessor


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SpeechUnitModel(SpeechUnitConfig(num_units=20))


@pytest.fixture(scope="module")
def processor(model):
    return SpeechUnitProcessor.from_config(model.config)


def tone(seconds, rate, frequency=440.0):
    return (0.2 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def test_any_rate_and_channel_count_gives_the_same_frames(processor):
    expected = processor(tone(0.5, 16_000)).input_values[0]
    for rate in (8_000, 22_050, 44_100, 96_000):
        mono = tone(0.5, rate)
        for audio in (mono, np.stack([mono] * 6), np.stack([mono, mono], axis=1), torch.from_numpy(mono)):
            found = processor(audio, sampling_rate=rate).input_values[0]
            assert found.shape == expected.shape
            assert (found - expected)[800:-800].abs().max() < 2e-3
    samples = (tone(0.5, 16_000) * 2**15).astype(np.int16)
    assert (processor(np.stack([samples, samples])).input_values[0] - expected).abs().max() < 1e-4


def test_units_of_a_batch_are_those_of_each_recording(model, processor):
    audio = [tone(0.5, 16_000), tone(0.33, 16_000, 900.0)]
    batch = processor(audio)
    assert batch.attention_mask.sum(1).tolist() == [8000, 5280]
    units = processor.units(model(**batch))
    for found, expected in zip(units, model.units(audio)):
        assert found.dtype == np.uint16 and (found == expected).all()


def test_times_and_content_of_units(processor):
    units = [7, 7, 3, 3, 3, 7]
    assert processor.times(units) == [
        {"unit": 7, "start": 0.0, "end": 0.04},
        {"unit": 3, "start": 0.04, "end": 0.1},
        {"unit": 7, "start": 0.1, "end": 0.12},
    ]
    assert len(processor.times(units, dedup=False)) == 6 and processor.times([]) == []
    assert processor.decode(units) == "7 7 3 3 3 7" and processor.decode(units, dedup=True) == "7 3 7"
    assert processor.batch_decode([units, []]) == ["7 7 3 3 3 7", ""]
    assert processor.encode(processor.decode(units)).tolist() == units
    with pytest.raises(ValueError, match="'x' is no unit"):
        processor.encode("3 x")


def test_it_is_saved_beside_the_model_and_found_by_the_auto_classes(model, processor, tmp_path):
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(loaded, SpeechUnitProcessor) and loaded.feature_extractor.frame_rate == 50.0
    assert AutoFeatureExtractor.from_pretrained(tmp_path).sampling_rate == 16_000
    audio = tone(0.4, 44_100)
    units = loaded.units(AutoModel.from_pretrained(tmp_path)(**loaded(audio, sampling_rate=44_100)))
    assert len(units[0]) == 20


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        (np.zeros(0, np.float32), 16_000, "Audio 0 is empty"),
        (np.zeros(100, np.float32), 16_000, "less than the 320 of one frame"),
        (np.full(1000, np.nan, np.float32), 16_000, "NaN or infinite"),
        (np.zeros((100, 100), np.float32), 16_000, "none of channels and samples"),
        (np.zeros(1000, np.uint8), 16_000, "samples of type uint8"),
        (np.zeros(1000, np.float32), -1, "-1 samples per second"),
    ],
)
def test_what_is_no_recording_is_named(processor, audio, rate, message):
    with pytest.raises(ValueError, match=message):
        processor(audio, sampling_rate=rate)


def test_units_of_segments_last_as_long_as_their_frames():
    processor = SpeechUnitProcessor.from_config(SpeechUnitConfig(num_units=9, segment_parts=3))
    times = processor.times([4, 4, 1], frames=[10, 5, 35])
    assert times == [
        {"unit": 4, "start": 0.0, "end": 0.2},
        {"unit": 4, "start": 0.2, "end": 0.3},
        {"unit": 1, "start": 0.3, "end": 1.0},
    ]
    with pytest.raises(ValueError, match="units are of segments; give the frames"):
        processor.times([4, 4, 1])
    with pytest.raises(ValueError, match="3 units and frames of 2"):
        processor.times([4, 4, 1], frames=[10, 5])


def test_a_processor_of_segments_is_saved_whole(tmp_path):
    SpeechUnitProcessor.from_config(SpeechUnitConfig(segment_parts=2)).save_pretrained(tmp_path)
    assert SpeechUnitProcessor.from_pretrained(tmp_path).feature_extractor.segment_parts == 2
