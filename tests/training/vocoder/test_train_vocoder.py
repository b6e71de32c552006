"""A neural vocoder on a tiny run: the loss falls, a kill changes nothing, and what is saved speaks."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch

from evoslm.models.speech_units import SpeechUnitConfig
from evoslm.models.vocoder import UnitHifiGan
from evoslm.training.run.folder import Run
from evoslm.training.run.study_file import FORMAT
from evoslm.training.vocoder import training as module
from evoslm.training.vocoder.loss import SpectralLoss
from evoslm.training.vocoder.training import VocoderArguments, train_vocoder

NUM_UNITS = 6


def write_run(folder, speakers=("base",)):
    """Utterances in which unit k is a tone of 300 (k + 1) Hz, and the units beside them."""
    run = Run(folder)
    rng = np.random.default_rng(0)
    (run.units() / "utterances").mkdir(parents=True)
    run.utterances().mkdir(parents=True)
    for split, count in (("train", 8), ("validation", 2)):
        rows, unit_rows = [], []
        for i in range(count):
            # One utterance is shorter than a segment.
            units = np.repeat(rng.integers(0, NUM_UNITS, 3 if i == 7 else 16), 2)
            frequency = np.repeat(300.0 * (units + 1), 320)
            tone = np.sin(2 * np.pi * np.cumsum(frequency) / 16_000) * 6_000
            flac = io.BytesIO()
            soundfile.write(flac, tone.astype(np.int16), 16_000, format="FLAC")
            speaker = speakers[i % len(speakers)]
            rows.append({"id": f"{split}-{i}", "audio": {"bytes": flac.getvalue(), "path": "a"}, "speaker": speaker})
            unit_rows.append({"id": f"{split}-{i}", "units": units.tolist()})
        name = f"{split}-00000-of-00001.parquet"
        pq.write_table(pa.Table.from_pylist(rows), run.utterances() / name)
        schema = pa.schema({"id": pa.string(), "units": pa.list_(pa.uint16())})
        # In another order than the audio.
        pq.write_table(pa.Table.from_pylist(unit_rows[::-1], schema), run.units() / "utterances" / name)
    SpeechUnitConfig(num_units=NUM_UNITS).save_pretrained(run.units() / "model")
    for stage in (run.utterances(), run.units() / "utterances", run.units() / "model"):
        (stage / "stage.json").write_text(json.dumps({"fingerprint": stage.name}))
    run.study_file.write_text(json.dumps({"format": FORMAT, "voices": "many"}))
    return folder


def arguments(run_dir, **changes):
    tiny = {
        "channels": 64,
        "unit_embed_size": 16,
        "resblock_kernel_sizes": [3],
        "segment_frames": 8,
        "batch_size": 4,
        "max_steps": 6,
        "warmup_steps": 2,
        "eval_steps": 3,
        "save_steps": 3,
        "learning_rate": 3e-3,
        "progress": False,
        "device": "cpu",
    }
    return VocoderArguments(run_dir=str(run_dir), **{**tiny, **changes})


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def trained(run_dir):
    return train_vocoder(arguments(run_dir))


def losses(folder):
    return json.loads((folder / "training.json").read_text())


def test_the_loss_falls_and_the_vocoder_is_saved_with_its_measures(run_dir):
    folder = train_vocoder(arguments(run_dir, output_dir=str(run_dir / "longer"), max_steps=40, eval_steps=20))
    history = losses(folder)
    assert np.mean(history["train"][-5:]) < 0.75 * np.mean(history["train"][:5])
    validation = [entry["loss"] for entry in history["validation"]]
    assert validation[-1] < validation[0]
    assert [skip["id"] for skip in history["skipped"]] == ["train-7"]
    assert "fewer than the 8" in history["skipped"][0]["reason"]
    quality = json.loads((folder / "quality.json").read_text())
    assert quality["num_frames"] == 64 and quality["mcd"] > 0
    vocoder = UnitHifiGan.from_pretrained(folder, use_safetensors=True)
    assert vocoder.speaker_embedding is None and vocoder.config.fit["steps"] == 40
    assert [len(waveform) for waveform in vocoder.waveforms([[0, 1, 5], [2]])] == [960, 320]
    assert not (folder / "checkpoints").exists()


def test_a_training_that_is_killed_ends_with_the_same_weights(run_dir, trained, kill_and_go_on):
    folder = kill_and_go_on(module, train_vocoder, arguments(run_dir, output_dir=str(run_dir / "killed")))
    assert losses(folder) == losses(trained)
    weights, expected = (UnitHifiGan.from_pretrained(path).state_dict() for path in (folder, trained))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_a_finished_training_is_not_redone_and_another_one_is_named(run_dir, trained):
    before = (trained / "training.json").stat().st_mtime_ns
    assert train_vocoder(arguments(run_dir, save_steps=2)) == trained
    assert (trained / "training.json").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="learning_rate"):
        train_vocoder(arguments(run_dir, learning_rate=1e-3))


def test_with_several_speakers_each_has_a_voice_of_their_own(tmp_path):
    folder = train_vocoder(arguments(write_run(tmp_path / "run", ("low", "high")), max_steps=2))
    vocoder = UnitHifiGan.from_pretrained(folder)
    assert vocoder.config.speakers == ["high", "low"]
    high, low = vocoder.waveforms([[0, 1], [0, 1]], ["high", "low"])
    assert not np.allclose(high, low)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"batch_size": 0}, "--batch_size is 0"), ({"segment_frames": 99}, "lower --segment_frames")],
)
def test_wrong_arguments_are_one_sentence(run_dir, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        train_vocoder(arguments(run_dir, output_dir=str(tmp_path / "out"), **changes))


def test_the_voices_of_a_run_are_those_of_its_configuration(tmp_path):
    run_dir = write_run(tmp_path / "run")
    Run(run_dir).study_file.write_text(json.dumps({"format": FORMAT, "voices": "one"}))
    folder = train_vocoder(arguments(run_dir, max_steps=2))
    before = (folder / "training.json").stat().st_mtime_ns
    assert train_vocoder(arguments(run_dir, max_steps=2, voices="one")) == folder
    assert (folder / "training.json").stat().st_mtime_ns == before
    with pytest.raises(FileNotFoundError, match="utterances_many_voices"):
        train_vocoder(arguments(run_dir, max_steps=2, voices="many"))


def test_a_run_without_units_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not the folder of a run"):
        train_vocoder(arguments(tmp_path))
    Run(tmp_path).study_file.write_text(json.dumps({"format": FORMAT, "voices": "many"}))
    with pytest.raises(FileNotFoundError, match="holds no finished stage"):
        train_vocoder(arguments(tmp_path))


def test_the_loss_is_zero_for_the_same_sound_and_has_finite_gradients_in_silence():
    criterion = SpectralLoss(16_000, 1.0)
    target = torch.randn(2, 4_000, generator=torch.Generator().manual_seed(0)) * 0.1
    assert float(criterion(target, target)["loss"]) == 0
    assert float(criterion(0.5 * target, target)["loss"]) > 0.1
    silence = torch.zeros(2, 4_000, requires_grad=True)
    criterion(silence, target)["loss"].backward()
    assert torch.isfinite(silence.grad).all()
