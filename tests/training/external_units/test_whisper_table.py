"""A table that somebody makes with Whisper and a codebook, without this package, has the units of the encoder."""

import json

import numpy as np
import pytest
import torch
from changing_sound import speech
from safetensors.torch import load_file
from tiny_whisper import LAYER, save_whisper
from transformers import AutoModel, WhisperFeatureExtractor

from evoslm.models.speech_units import fit_units
from evoslm.training.external_units.quantizers import open_units

AUDIO = {f"clip-{seed}": speech(seconds, seed) for seed, seconds in enumerate((1.0, 1.9, 0.31, 1.7, 1.93, 0.5))}


def units_by_transformers(whisper, codebook, audio):
    """Units by transformers and NumPy alone, as docs/units.md describes frames and codebook."""
    extractor, source = WhisperFeatureExtractor.from_pretrained(whisper), AutoModel.from_pretrained(whisper).eval()
    encoder, positions = source.encoder, source.encoder.embed_positions.weight
    mean, std, weight, centroids = (
        codebook[name].double().numpy() for name in ("feature_mean", "feature_std", "feature_weight", "centroids")
    )
    units = {}
    for name, waveform in audio.items():
        frames = len(waveform) // 320
        log_mel = extractor(waveform, sampling_rate=16_000, return_tensors="pt").input_features
        encoder.embed_positions = torch.nn.Embedding.from_pretrained(positions[:frames])
        encoder.config.max_source_positions = frames
        with torch.no_grad():
            states = encoder(log_mel[:, :, 1 : 2 * frames + 1], output_hidden_states=True).hidden_states[LAYER][0]
        features = (states.double().numpy() - mean) / std * weight
        units[name] = ((features[:, None] - centroids) ** 2).sum(2).argmin(1)
    return units


@pytest.mark.parametrize("bins", [80, 128])
def test_a_table_made_with_whisper_has_the_units_of_the_encoder(tmp_path, bins):
    whisper = save_whisper(tmp_path / "whisper", bins)
    audio = list(AUDIO.values())
    model = fit_units([(audio, None)], num_units=12, encoder_id=str(whisper), encoder_layer=LAYER, seed=0)
    model.save_pretrained(tmp_path / "quantizer")
    codebook = load_file(tmp_path / "quantizer" / "model.safetensors")
    made = units_by_transformers(whisper, codebook, AUDIO)
    lines = (json.dumps({"file": f"wav/{name}.wav", "units": row.tolist()}) for name, row in made.items())
    (tmp_path / "units.jsonl").write_text("\n".join(lines))
    table = open_units(str(tmp_path / "units.jsonl"), frame_rate=50, codebook_size=12)
    ours, theirs = model.units(audio), table.units(audio, names=list(AUDIO))
    assert sum(map(len, ours)) == 366 and len(set(np.concatenate(ours))) > 6
    assert all(np.array_equal(one, other) for one, other in zip(ours, theirs))
