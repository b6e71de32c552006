"""The sound of units: from what a modality writes alone, measured beside what was said, and heard."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from evoslm.models.audio import SAMPLE_RATE, decode_flac
from evoslm.training.analysis.mitigations import hearing
from evoslm.training.analysis.mitigations.resynthesis import build_sound, check_hop
from evoslm.training.run.execution import Execution
from evoslm.training.run.folder import Run
from evoslm.training.transcriber.training import TranscriberArguments, train_transcriber

NUMBER = 3
KINDS = {"frames": ("frame", True), "runs": ("frame", False), "syllable": ("syllable", False)}


@pytest.fixture(scope="module")
def sounds(copied_run, tmp_path_factory):
    """Folders of the sounds of some kinds of units."""
    folder = tmp_path_factory.mktemp("sound")
    for name, (unit_of, keeps_durations) in KINDS.items():
        build_sound(folder / name, Run(copied_run), unit_of, NUMBER, keeps_durations)
    return folder


def copy_speech(run, folder):
    """Utterances and their units alone."""
    return shutil.copytree(run, folder, ignore=shutil.ignore_patterns("models", "scores", "pairs", "tokenizers"))


def read_sound(folder):
    rows = pq.read_table(folder / "test-00000-of-00001.parquet").to_pylist()
    return rows, json.loads((folder / "quality.json").read_text())


def test_sound_of_frames_is_as_long_as_what_was_said(sounds, copied_run):
    rows, quality = read_sound(sounds / "frames")
    spoken = pq.read_table(next((copied_run / "corpus" / "utterances").glob("test-*.parquet"))).to_pylist()
    assert [row["id"] for row in rows] == [row["id"] for row in spoken[:NUMBER]]
    for row, said in zip(rows, spoken):
        assert row["text"] == said["text"]
        assert len(decode_flac(row["audio"]["bytes"])) == pytest.approx(said["duration"] * SAMPLE_RATE, abs=320)
    assert quality["length_ratio"] == 1 and quality["utterances"] == NUMBER
    assert 0 < quality["mcd"] < 10 and 0 < quality["f0_rmse_cents"] < 600


def test_symbols_without_durations_last_as_long_as_in_training(sounds, copied_run):
    rows, quality = read_sound(sounds / "runs")
    (_, frames), (_, runs) = (read_sound(sounds / name) for name in ("frames", "runs"))
    assert quality["mcd"] == pytest.approx(frames["mcd"])  # the same units, in the durations that were spoken
    assert quality["length_ratio"] != 1 and quality["length_ratio"] == pytest.approx(1, abs=0.2)
    seconds = sum(len(decode_flac(row["audio"]["bytes"])) for row in rows) / SAMPLE_RATE
    assert seconds == pytest.approx(runs["seconds"] * runs["length_ratio"], rel=0.02)


def test_a_syllable_of_a_hundred_says_less_than_its_frames(sounds):
    (_, frames), (_, syllables) = (read_sound(sounds / name) for name in ("frames", "syllable"))
    assert syllables["mcd"] > frames["mcd"] + 0.5


def test_units_that_are_not_those_of_the_sound_are_far_from_it(sounds, copied_run, tmp_path):
    run = Run(copy_speech(copied_run, tmp_path / "shuffled"))
    (shard,) = (run.units() / "utterances").glob("test-*.parquet")
    rows = pq.read_table(shard).to_pylist()
    for row in rows:
        row["units"] = np.random.default_rng(0).permutation(row["units"])
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(shard)), shard)
    build_sound(tmp_path / "sound", run, "frame", NUMBER, True)
    assert read_sound(tmp_path / "sound")[1]["mcd"] > read_sound(sounds / "frames")[1]["mcd"] + 1


def test_a_voice_that_training_never_heard_is_spoken_in_the_one_that_all_have(copied_run, tmp_path):
    run = Run(copy_speech(copied_run, tmp_path / "stranger"))
    (shard,) = run.utterances().glob("test-*.parquet")
    table = pq.read_table(shard)
    place = table.schema.get_field_index("speaker")
    pq.write_table(table.set_column(place, "speaker", pa.array(["a stranger"] * len(table))), shard)
    build_sound(tmp_path / "sound", run, "frame", NUMBER, True)
    rows, quality = read_sound(tmp_path / "sound")
    assert {row["speaker"] for row in rows} == {"a stranger"} and quality["mcd"] > 0


def test_the_runs_own_quantizer_and_transcriber_hear_it(sounds, copied_run, tmp_path):
    run, execution = Run(copied_run), Execution()
    assert hearing.find_transcriber(run) is None
    assert hearing.read_errors(tmp_path / "heard") is None
    train_transcriber(
        TranscriberArguments(str(copied_run), max_steps=2, hidden_size=16, num_hidden_layers=1, progress=False)
    )
    assert hearing.find_transcriber(run) == "speech_dedup"
    hearing.hear_with_units(tmp_path / "heard", sounds / "frames", "test", run, execution)
    errors = hearing.read_errors(tmp_path / "heard")
    assert errors["by"] == {"model": "transcribers/speech_dedup"} and errors["utterances"] == NUMBER
    assert 0 < errors["wer"]["low"] <= errors["wer"]["value"] <= errors["wer"]["high"]
    hearing.hear_with_units(tmp_path / "recorded", run.utterances(), "test", run, execution, 2)
    assert hearing.read_errors(tmp_path / "recorded")["utterances"] == 2


def test_an_opinion_is_predicted_where_the_weights_are(sounds, copied_run, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert hearing.find_squim() is None
    monkeypatch.setattr("torchaudio.models.squim_subjective_base", small_squim)
    torch.manual_seed(0)
    weights = tmp_path / hearing.SQUIM_WEIGHTS
    weights.parent.mkdir(parents=True)
    torch.save(small_squim().state_dict(), weights)
    assert hearing.find_squim() == weights
    spoken = Run(copied_run).utterances()
    hearing.predict_opinion(tmp_path / "opinion", sounds / "frames", spoken, "test", weights, Execution())
    opinion = json.loads((tmp_path / "opinion" / "mos.json").read_text())
    assert opinion["utterances"] == NUMBER and 1 <= opinion["low"] <= opinion["value"] <= opinion["high"] <= 5


def small_squim():
    """SQUIM's model of opinions with few weights."""
    from torchaudio.models import SquimSubjective, wav2vec2_model
    from torchaudio.models.squim.subjective import Predictor

    layers = [(8, 10, 5), *[(8, 3, 2)] * 4, *[(8, 2, 2)] * 2]
    encoder = wav2vec2_model("group_norm", layers, False, 16, 0.0, 16, 4, 1, 2, 0.0, 16, 0.0, 0.0, False, 0.0, None)
    return SquimSubjective(encoder, torch.nn.Linear(16, 4), Predictor(8, 5))


def test_a_frame_of_a_fraction_of_samples_cannot_be_spoken():
    assert check_hop(320.0) == 320
    with pytest.raises(ValueError, match="A frame has 213.333 samples"):
        check_hop(SAMPLE_RATE / 75)


def test_what_stands_beside_another_utterance_is_refused(copied_run, tmp_path):
    run = Run(copy_speech(copied_run, tmp_path / "mixed"))
    (shard,) = (run.units() / "utterances").glob("test-*.parquet")
    pq.write_table(pq.read_table(shard).sort_by([("id", "descending")]), shard)
    with pytest.raises(ValueError, match="run the study again"):
        build_sound(tmp_path / "sound", run, "frame", NUMBER, True)
