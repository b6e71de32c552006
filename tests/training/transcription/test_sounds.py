"""What is transcribed: which recordings there are, and which vocoders a run's units are spoken by."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from speech_like import speak

from evoslm.models.files import read_json, write_json
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel
from evoslm.models.speech_units.identity import HASH_KEY, quantizer_hash
from evoslm.models.vocoder import UnitHifiGan, UnitHifiGanConfig
from evoslm.training.run.stage import read_fingerprint
from evoslm.training.run.study_file import open_run
from evoslm.training.transcription import sounds as module
from evoslm.training.transcription.sounds import CODEBOOK, find_sounds, load_vocoder, resynthesize


def save_vocoder(folder, num_units, quantizer=None, unit_hash=None):
    """A vocoder that hardly has weights: of a run, on the quantizer of that fingerprint, or released with a hash."""
    shape = {"resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3, 5]]}
    model = UnitHifiGan(UnitHifiGanConfig(num_units, channels=32, unit_embed_size=4, **shape))
    if unit_hash is not None:
        setattr(model.config, HASH_KEY, unit_hash)
    model.save_pretrained(folder)
    if quantizer is not None:
        write_json(folder / "stage.json", {"fingerprint": "vocoder", "keys": {"inputs.quantizer": quantizer}})
    return str(folder)


def test_a_recording_that_was_replaced_is_another_sound(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, speak(0, 0.2), 16_000)
    first = find_sounds(tmp_path, "test").fingerprint
    assert find_sounds(tmp_path, "test").fingerprint == first
    size = path.stat().st_size
    soundfile.write(path, speak(1, 0.2), 16_000)
    assert path.stat().st_size == size and find_sounds(tmp_path, "test").fingerprint != first


def test_a_vocoder_of_other_units_is_refused_before_anything_is_heard(finished_run, tmp_path):
    run = open_run(finished_run)
    folder = run.units() / "model"
    quantizer = SpeechUnitModel.from_pretrained(folder)
    num_units, own = quantizer.config.num_units, quantizer_hash(quantizer)
    given = {
        "other": save_vocoder(tmp_path / "other", num_units, quantizer="another"),
        "released": save_vocoder(tmp_path / "released", num_units, unit_hash="0" * 16),
        "larger": save_vocoder(tmp_path / "larger", num_units + 1),
    }
    messages = {
        "other": f"{given['other']} was made with another quantizer than {folder}",
        "released": f"released is of the speech units {'0' * 16} and {folder} of {own}",
        "larger": f"is one of {num_units + 1} units, and the run's quantizer has {num_units}",
    }
    for name, message in messages.items():
        with pytest.raises(ValueError, match=message):
            resynthesize(run, "test", given[name])
        with pytest.raises(ValueError, match=message):
            load_vocoder(run, given[name])
    with pytest.raises(FileNotFoundError, match="There is no vocoder in nowhere"):
        load_vocoder(run, "nowhere")
    belongs = save_vocoder(tmp_path / "own", num_units, quantizer=read_fingerprint(folder), unit_hash=own)
    assert load_vocoder(run, belongs).config.num_units == num_units


def test_units_from_elsewhere_have_no_codebook_but_vocoders(table_run, tmp_path):
    run = open_run(table_run)
    with pytest.raises(ValueError, match="codebook is read off a quantizer, and .* has units that --units brought"):
        resynthesize(run, "test", CODEBOOK)
    num_units = read_json(run.units() / "model" / "config.json")["num_units"]
    vocoder = save_vocoder(tmp_path / "own", num_units, quantizer=read_fingerprint(run.units() / "model"))
    assert load_vocoder(run, vocoder).config.num_units == num_units
    sound = next(resynthesize(run, "test", vocoder).read())
    assert sound.decode().dtype == np.int16


def test_the_codebook_is_read_off_every_voice(finished_run, tmp_path, monkeypatch):
    ignore = shutil.ignore_patterns("models", "scores", "pairs", "report", "tokenizers")
    run = open_run(shutil.copytree(finished_run, tmp_path / "run", ignore=ignore))
    shards = sorted(run.utterances().glob("train-*.parquet"))
    speakers = sorted({name for shard in shards for name in pq.read_table(shard)["speaker"].to_pylist()})
    torch.manual_seed(0)
    quantizer = SpeechUnitModel(SpeechUnitConfig(num_units=8, normalization="speaker", speakers=speakers))
    quantizer.save_pretrained(run.units() / "model")
    monkeypatch.setattr(module, "_READ_OFF", 1)
    vocoder = load_vocoder(run, CODEBOOK)
    assert vocoder.config.speakers == speakers and vocoder.config.fit["num_utterances"] == len(speakers) > 1
    assert len({tuple(row.tolist()) for row in vocoder.voice_mean}) == len(speakers)
