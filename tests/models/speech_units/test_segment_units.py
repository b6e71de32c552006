"""Units of segments: pooled frames, clustered and found again, and segments that do not fit the audio."""

import pytest
import torch
from speech_like import AUDIO, WHO, in_batches

from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel, fit_units
from evoslm.models.speech_units.modeling_speech_units import pool_segments


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


def test_segments_that_do_not_fit_are_named():
    model = SpeechUnitModel(SpeechUnitConfig(num_units=4, segment_parts=1))
    audio = [AUDIO[0]]
    with pytest.raises(ValueError, match="units are of segments"):
        model.units(audio)
    with pytest.raises(ValueError, match="Audio 0 has .* frames, and segments of 3"):
        model.units(audio, segments=[[3]])
    with pytest.raises(ValueError, match="at least one frame"):
        model.units(audio, segments=[[len(AUDIO[0]) // 320, 0]])
    with pytest.raises(ValueError, match="units are of frames"):
        SpeechUnitModel(SpeechUnitConfig(num_units=4)).units(audio, segments=[[3]])
    with pytest.raises(ValueError, match="segment_parts needs the frames"):
        fit_units(in_batches(AUDIO, WHO, 4), num_units=4, segment_parts=1)
    with pytest.raises(ValueError, match="segment_parts is -1"):
        SpeechUnitConfig(segment_parts=-1)
