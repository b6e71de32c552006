"""Quantizer, processor and vocoder travel: pushed to a Hub, and loaded from it by the ordinary clients.

An encoder comes from a Hub, too, and only in safetensors: where its main branch has none, from the Hub's conversion.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hub_server import HubServer, Repository
from transformers import (
    HubertConfig,
    HubertModel,
    Wav2Vec2FeatureExtractor,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

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
model = fit_units([(audio, None)], num_units=8, encoder_id="user/tiny-hubert", encoder_layer=2)
assert model.config.pretrained["source"] == "user/tiny-hubert" and len(model.config.pretrained["revision"]) == 40
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

FIT_ALL = """
import json, sys
import numpy as np
from evoslm.models.speech_units import fit_units
from evoslm.training.stages.units.encoders import EncoderSettings

def fit(revision):
    audio = [np.load(sys.argv[1])]
    try:
        described = EncoderSettings("group/encoder", 2, revision).describe()
        model = fit_units(
            [(audio, None)], num_units=8, encoder_id="group/encoder", encoder_layer=2, encoder_revision=revision
        )
        assert described["revision"] == model.config.pretrained["revision"]
        return [described["revision"], model.fingerprint(), model.units(audio)[0].tolist()]
    except ValueError as error:
        return str(error)

print(json.dumps([fit(revision) for revision in {revisions}]))
"""
FIT = FIT_ALL.replace("[fit(revision) for revision in {revisions}]", "fit({revision})")


def run(code, hub, folder, audio, **environment):
    environment = {
        **os.environ,
        **hub.environment(folder),
        "HF_MODULES_CACHE": str(folder / "modules"),
        **environment,
    }
    command = [sys.executable, "-c", code, str(audio)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr[-4000:]
    return json.loads(result.stdout.strip().splitlines()[-1])


@pytest.fixture
def audio(tmp_path):
    rng = np.random.default_rng(0)
    time = np.arange(32_000) / 16_000
    path = tmp_path / "audio.npy"
    np.save(path, (0.1 * rng.standard_normal(32_000) + np.sin(900 * time * time)).astype(np.float32) / 4)
    return path


@pytest.fixture
def pickled(tmp_path):
    """A repository whose branch has pickled weights only, and the files of its conversion."""
    torch.manual_seed(0)
    shape = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    shape |= {"conv_dim": (16,) * 7, "num_conv_pos_embedding_groups": 4, "num_conv_pos_embeddings": 16}
    folder = tmp_path / "encoder"
    HubertModel(HubertConfig(**shape)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    weights = {"model.safetensors": files.pop("model.safetensors")}
    repository = Repository("model", "group/encoder")
    repository.commit("upload model", files | {"pytorch_model.bin": b"a pickle that nobody reads"})
    return repository, weights


def test_units_are_the_same_from_a_hub_with_and_without_this_package(tmp_path, audio):
    with HubServer() as hub:
        pushed = run(PUSH, hub, tmp_path / "pusher", audio)
        files = set(hub.repositories["model", "user/units"].commits[-1].files)
        with_package = LOAD.format(prelude="import evoslm", trust="")
        without = LOAD.format(prelude="sys.modules['evoslm'] = None", trust=", trust_remote_code=True")
        found = [run(code, hub, tmp_path / f"reader-{i}", audio) for i, code in enumerate((with_package, without))]
    assert found == [pushed, pushed]
    assert {"config.json", "model.safetensors", "processor_config.json"} <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl"))]


TITLE = "Adding `safetensors` variant of this model"


def test_an_encoder_without_safetensors_on_its_branch_is_read_from_the_conversion_of_its_weights(
    tmp_path, audio, pickled
):
    """As `facebook/hubert-base-ls960` is; what others offer under the same title, or for other weights, is not it."""
    repository, weights = pickled
    stale = {**weights, "pytorch_model.bin": b"what was on the branch before"}
    repository.open_pull_request("SFconvertbot", TITLE, stale)
    conversion = repository.open_pull_request("SFconvertbot", TITLE, weights)
    repository.open_pull_request("stranger", TITLE, weights)
    with HubServer() as hub:
        hub.repositories["model", "group/encoder"] = repository
        found = run(FIT.format(revision=None), hub, tmp_path / "cache", audio)
        asked = len(hub.requests)
        without_hub = run(FIT.format(revision=None), hub, tmp_path / "cache", audio, HF_HUB_OFFLINE="1")
        assert len(hub.requests) == asked
        pinned = run(FIT.format(revision=repr(found[0])), hub, tmp_path / "other", audio)
    assert found[0] == conversion.commit.sha
    assert without_hub == found == pinned
    assert not [line for line in hub.requests if "pytorch_model.bin" in line]


def test_an_encoder_that_nobody_has_in_safetensors_is_refused_in_a_sentence_with_a_way_out(tmp_path, audio, pickled):
    repository, weights = pickled
    with HubServer() as hub:
        hub.repositories["model", "group/encoder"] = repository
        nothing = run(FIT.format(revision=None), hub, tmp_path / "first", audio)
        repository.open_pull_request("stranger", TITLE, weights)
        offered = run(FIT.format(revision=None), hub, tmp_path / "second", audio)
        trusted = run(FIT.format(revision="'refs/pr/1'"), hub, tmp_path / "second", audio)
        assert not [line for line in hub.requests if "pytorch_model.bin" in line]
    assert nothing.startswith("group/encoder has no weights in safetensors, and no others are read; give another")
    assert "give the revision refs/pr/1, if you trust" in offered
    assert trusted[0] == repository.pull_requests[0].commit.sha


def test_whisper_is_read_at_the_commit_that_is_asked_for_and_later_without_a_hub(tmp_path, audio):
    shape = {"d_model": 24, "encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 32, "vocab_size": 8}
    shape |= {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 8, "max_source_positions": 50}
    shape |= dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)
    repository = Repository("model", "group/encoder")
    for seed in range(2):
        torch.manual_seed(seed)
        WhisperModel(WhisperConfig(**shape)).save_pretrained(tmp_path / "encoder")
        if seed == 0:
            files = {path.name: path.read_bytes() for path in (tmp_path / "encoder").iterdir()}
            deaf = repository.commit("no feature extractor", files).sha
            WhisperFeatureExtractor().save_pretrained(tmp_path / "encoder")
        files = {path.name: path.read_bytes() for path in (tmp_path / "encoder").iterdir()}
        repository.commit(f"weights of seed {seed}", files)
    first, last = (commit.sha for commit in repository.commits[-2:])
    with HubServer() as hub:
        hub.repositories["model", "group/encoder"] = repository
        newest, pinned, refused = run(FIT_ALL.format(revisions=[None, first, deaf]), hub, tmp_path / "cache", audio)
        offline = run(FIT_ALL.format(revisions=[first]), hub, tmp_path / "cache", audio, HF_HUB_OFFLINE="1")
    assert (newest[0], pinned[0]) == (last, first) and newest[1:] != pinned[1:]
    assert offline == [pinned]
    assert refused.startswith("group/encoder has no feature extractor (preprocessor_config.json)")
