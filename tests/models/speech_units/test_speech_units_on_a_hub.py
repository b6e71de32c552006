"""Quantizer, processor and vocoder travel: pushed to a Hub, and loaded from it by the ordinary clients."""

import json
import os
import subprocess
import sys

from hub_server import HubServer

PUSH = """
import sys
import numpy as np, torch
from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor
from evoslm.models.speech_units import SpeechUnitProcessor, fit_units
from evoslm.models.vocoder import CodebookVocoder

torch.manual_seed(0)
shape = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
shape |= {"conv_dim": (16,) * 7, "num_conv_pos_embedding_groups": 4, "num_conv_pos_embeddings": 16}
HubertModel(HubertConfig(**shape)).push_to_hub("user/tiny-hubert")
Wav2Vec2FeatureExtractor().push_to_hub("user/tiny-hubert")
audio = [np.load(sys.argv[1])]
# The encoder comes from the Hub by its id, and is part of what goes there.
model = fit_units([(audio, None)], num_units=8, ssl_model_id="user/tiny-hubert", ssl_layer=2)
assert model.config.ssl["source"] == "user/tiny-hubert" and len(model.config.ssl["revision"]) == 40
model.push_to_hub("user/units")
SpeechUnitProcessor.from_config(model.config).push_to_hub("user/units")
CodebookVocoder.from_quantizer(model, audio=[(audio, None)]).push_to_hub("user/voice")
print(model.units(audio)[0].tolist())
"""

LOAD = """
import sys
import numpy as np
{prelude}
from transformers import AutoModel, AutoProcessor
audio = np.load(sys.argv[1])
model = AutoModel.from_pretrained("user/units"{trust})
processor = AutoProcessor.from_pretrained("user/units"{trust})
vocoder = AutoModel.from_pretrained("user/voice"{trust})
units = processor.units(model(**processor(audio, sampling_rate=16_000)))[0]
waveform = vocoder.waveforms([units])[0]
assert len(waveform) == 320 * len(units) and np.isfinite(np.asarray(waveform)).all()
print(units.tolist())
"""


def run(code, hub, folder, audio):
    environment = {**os.environ, **hub.environment(folder), "HF_MODULES_CACHE": str(folder / "modules")}
    command = [sys.executable, "-c", code, str(audio)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr[-4000:]
    return json.loads(result.stdout.strip().splitlines()[-1])


def test_units_are_the_same_from_a_hub_with_and_without_this_package(tmp_path):
    import numpy as np

    rng = np.random.default_rng(0)
    time = np.arange(32_000) / 16_000
    np.save(
        tmp_path / "audio.npy", (0.1 * rng.standard_normal(32_000) + np.sin(900 * time * time)).astype(np.float32) / 4
    )
    with HubServer() as hub:
        pushed = run(PUSH, hub, tmp_path / "pusher", tmp_path / "audio.npy")
        files = set(hub.repositories["model", "user/units"].commits[-1].files)
        with_package = LOAD.format(prelude="import evoslm", trust="")
        without = LOAD.format(prelude="sys.modules['evoslm'] = None", trust=", trust_remote_code=True")
        found = [
            run(code, hub, tmp_path / f"reader-{i}", tmp_path / "audio.npy")
            for i, code in enumerate((with_package, without))
        ]
    assert found == [pushed, pushed]
    assert {"config.json", "model.safetensors", "processor_config.json"} <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl"))]
