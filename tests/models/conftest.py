"""Quantizers that several tests of models ask."""

import pytest
from speech_like import AUDIO, WHO, in_batches

from evoslm.models.speech_units import SpeechUnitModel, fit_units


@pytest.fixture(scope="module")
def models() -> dict[str, SpeechUnitModel]:
    return {
        normalization: fit_units(in_batches(AUDIO, WHO, 4), num_units=40, normalization=normalization, seed=1)
        for normalization in ("none", "utterance", "speaker")
    }
