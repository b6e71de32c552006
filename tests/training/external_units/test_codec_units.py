"""Codecs of transformers as tokenizers: tiny ones with random weights."""

import numpy as np
import pytest
import torch
from tiny_codec import make_codec
from transformers import EncodecModel, HubertConfig, MimiModel

from evoslm.models.speech_units.features import check_audio
from evoslm.training.external_units.quantizers import open_units


@pytest.mark.parametrize(("kind", "label", "rate"), [("encodec", "EnCodec", 75.0), ("mimi", "Mimi", 12.5)])
def test_a_codec_gives_the_ids_of_its_first_codebook(tmp_path, kind, label, rate):
    units = open_units("codec", make_codec(kind, tmp_path))
    assert (units.config.label, units.config.frame_rate, units.config.num_units) == (label, rate, 64)
    rng = np.random.default_rng(0)
    audio = [rng.normal(0, 3000, size).astype(np.int16) for size in (16_000, 40_123, 5_000)]
    encoded = units.units(audio)
    assert [len(row) for row in encoded] == [int(len(samples) * rate / 16_000) for samples in audio]
    assert len(np.unique(np.concatenate(encoded))) > 3
    units.check_repeats(audio, ["a", "b", "c"])

    import soxr

    model = {"encodec": EncodecModel, "mimi": MimiModel}[kind].from_pretrained(tmp_path)
    heard = soxr.resample(check_audio(audio[1]).numpy(), 16_000, 24_000, quality="HQ")
    with torch.no_grad():
        codes = model.encode(torch.from_numpy(heard)[None, None]).audio_codes
    first = codes.reshape(-1, codes.shape[-1])[0].numpy()
    assert np.array_equal(first[: len(encoded[1])], encoded[1])


def test_what_is_no_codec_is_named(tmp_path):
    HubertConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"\(hubert\) is no EnCodec or Mimi of one channel, such as facebook/encodec"):
        open_units("codec", str(tmp_path))
    with pytest.raises(ValueError, match="codec cannot be made"):
        open_units("codec", str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="codec cannot be made: TypeError"):
        open_units("codec")
