"""Audio in pieces: the whole of it, whatever the pieces, for both vocoders."""

import numpy as np
import pytest
import torch

from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel
from evoslm.models.vocoder import CodebookVocoder, UnitHifiGan, UnitHifiGanConfig, VocoderStream


def make_codebook(**arguments) -> CodebookVocoder:
    torch.manual_seed(0)
    return CodebookVocoder.from_quantizer(SpeechUnitModel(SpeechUnitConfig(num_units=50)), **arguments)


def make_hifigan() -> UnitHifiGan:
    torch.manual_seed(0)
    return UnitHifiGan(UnitHifiGanConfig(num_units=50, channels=32)).eval()


@pytest.mark.parametrize(
    ("make", "tolerance"),
    [(make_codebook, 1e-4), (lambda: make_codebook(num_iterations=2), 1e-2), (make_hifigan, 1e-4)],
    ids=["codebook", "griffin_lim", "hifigan"],
)
def test_the_pieces_joined_are_the_whole(make, tolerance):
    vocoder, rng = make(), np.random.default_rng(0)
    units = rng.integers(0, 50, 230).repeat(rng.integers(1, 3, 230))[:230].tolist()
    (whole,) = vocoder.waveforms([units])
    for step in (1, 7, 230):
        stream = VocoderStream(vocoder, min_frames=20)
        pieces = [stream.push(units[start : start + step]) for start in range(0, 230, step)]
        pieces.append(stream.finish())
        joined = np.concatenate(pieces)
        assert joined.shape == whole.shape
        assert np.abs(joined - whole).max() < tolerance
        assert step == 230 or sum(len(piece) > 0 for piece in pieces) > 3


def test_short_utterances_and_wrong_units():
    vocoder = make_codebook()
    stream = VocoderStream(vocoder)
    assert len(stream.push([3])) == 0
    np.testing.assert_allclose(stream.finish(), vocoder.waveforms([[3]])[0], atol=1e-4)
    assert len(VocoderStream(vocoder).finish()) == 0
    with pytest.raises(ValueError, match="no unit 50"):
        stream.push([50])
