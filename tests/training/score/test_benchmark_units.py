"""`evoslm export-units`: the files that benchmarks take, read as their own programs read them."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch

from evoslm.datasets_scripts.recordings.reading import read_waveform
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel
from evoslm.training.cli import main
from evoslm.training.external_units.quantizers import load_quantizer, open_units, save_units
from evoslm.training.run.folder import Run
from evoslm.training.run.study_file import FORMAT
from evoslm.training.score import benchmark_units


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("run"), "many")
    run.study_file.write_text(json.dumps({"format": FORMAT, "voices": "many"}))
    SpeechUnitModel(SpeechUnitConfig(num_units=12)).save_pretrained(run.quantizer("speech_units"))
    config = SpeechUnitConfig(num_units=12, segment_parts=1)
    SpeechUnitModel(config).save_pretrained(run.quantizer("speech_syllable_unsupervised"))
    return run


def record(path):
    rng = np.random.default_rng(len(str(path.stem)))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * rng.normal(size=6000), 16_000)


def export(run, folder, to, *flags):
    command = ["export-units", str(run.folder), "--benchmark_dir", str(folder), "--to", str(to)]
    return main([*command, "--num_proc", "1", "--device", "cpu", *flags])


def units(run, path) -> list[int]:
    model = SpeechUnitModel.from_pretrained(run.quantizer("speech_units"))
    return model.units([read_waveform(path, path.name)])[0].tolist()


def test_discophon_gets_a_line_a_recording(run, tmp_path, capsys):
    data = tmp_path / "data"
    for name in ("deu/dev/a1", "deu/dev/b22", "eng/test/c333", "eng/train-1h/d"):
        record(data / "audio" / f"{name}.wav")
    assert export(run, data, tmp_path / "out") == 0
    assert "deu-dev, eng-test" in capsys.readouterr().out
    found = {path.name for path in (tmp_path / "out").glob("*.jsonl")}
    assert found == {"units-deu-dev.jsonl", "units-eng-test.jsonl"}  # the splits that are scored
    lines = [json.loads(line) for line in (tmp_path / "out" / "units-deu-dev.jsonl").read_text().splitlines()]
    assert [set(line) for line in lines] == [{"file", "units"}] * 2
    for line in lines:
        assert line["units"] == units(run, data / "audio" / "deu" / "dev" / f"{line['file']}.wav")
    summary = json.loads((tmp_path / "out" / "export.json").read_text())
    assert summary["step_ms"] == 20 and summary["num_units"] == 12 and summary["sets"] == {"deu-dev": 2, "eng-test": 1}
    written = (tmp_path / "out" / "units-deu-dev.jsonl").stat().st_mtime_ns
    assert export(run, data, tmp_path / "out") == 0
    assert (tmp_path / "out" / "units-deu-dev.jsonl").stat().st_mtime_ns == written
    # It is read back by what reads units from elsewhere.
    assert open_units(str(tmp_path / "out" / "units-deu-dev.jsonl"), frame_rate=50).names == ["a1", "b22"]


def test_zerospeech_gets_a_matrix_a_recording(run, tmp_path):
    data = tmp_path / "data"
    record(data / "phonetic" / "dev-clean" / "1272" / "a1.wav")
    record(data / "phonetic" / "test-other" / "b22.wav")
    assert export(run, data, tmp_path / "out", "--benchmark", "zerospeech2021") == 0
    matrix = np.loadtxt(tmp_path / "out" / "phonetic" / "dev-clean" / "1272" / "a1.txt")
    expected = units(run, data / "phonetic" / "dev-clean" / "1272" / "a1.wav")
    assert matrix.dtype == float and matrix.shape == (len(expected), 12) and (matrix.sum(axis=1) == 1).all()
    assert matrix.argmax(axis=1).tolist() == expected
    assert (tmp_path / "out" / "phonetic" / "test-other" / "b22.txt").is_file()


def test_babyslm_gets_names_and_ids(run, tmp_path):
    data = tmp_path / "data"
    record(data / "lexical" / "dev" / "hello-en-US-Wavenet-B.wav")
    assert export(run, data, tmp_path / "out", "--benchmark", "babyslm") == 0
    line = (tmp_path / "out" / "lexical" / "dev" / "quantized_outputs.txt").read_text().strip()
    name, ids = line.split("\t")
    assert name == "hello-en-US-Wavenet-B"
    assert [int(each) for each in ids.split(",")] == units(run, data / "lexical" / "dev" / f"{name}.wav")


def test_a_set_that_is_there_is_of_the_same_quantizer_and_recordings(run, tmp_path, capsys):
    data, out = tmp_path / "data", tmp_path / "out"
    record(data / "audio" / "deu" / "dev" / "a1.wav")
    assert export(run, data, out) == 0
    of_all = json.loads((out / "made_of.json").read_text())["deu-dev"]
    other = Run(tmp_path / "other", "many")
    shutil.copytree(run.folder, other.folder)
    SpeechUnitModel(SpeechUnitConfig(num_units=8)).save_pretrained(other.quantizer("speech_units"))
    record(data / "audio" / "eng" / "dev" / "b22.wav")
    for which, folder, what in ((other, data, "quantizer"), (run, tmp_path / "more", "recordings")):
        record(tmp_path / "more" / "audio" / "deu" / "dev" / "c333.wav")
        assert export(which, folder, out) == 2
        assert f"units-deu-dev.jsonl is there, but not of what is asked for ({what})" in capsys.readouterr().err
    assert not (out / "units-eng-dev.jsonl").exists()
    assert json.loads((out / "export.json").read_text())["num_units"] == 12
    # A set that came later is added, and one that was removed is made of what is asked for.
    assert export(run, data, out) == 0
    assert json.loads((out / "made_of.json").read_text()) == {
        "deu-dev": of_all,
        "eng-dev": of_all | {"recordings": json.loads((out / "made_of.json").read_text())["eng-dev"]["recordings"]},
    }
    for path in out.glob("*.jsonl"):
        path.unlink()
    assert export(other, data, out) == 0
    assert max(json.loads((out / "units-deu-dev.jsonl").read_text())["units"]) < 8
    (out / "made_of.json").unlink()
    assert export(other, data, out) == 2
    assert "(benchmark, modality, quantizer, encoder_precision, recordings)" in capsys.readouterr().err


def test_recordings_that_no_corpus_would_take_are_encoded(run, tmp_path):
    folder = tmp_path / "data" / "audio" / "deu" / "dev"
    folder.mkdir(parents=True)
    soundfile.write(folder / "clipped.wav", np.sign(np.sin(np.arange(6000) / 9)), 16_000)
    soundfile.write(folder / "silent.wav", np.zeros(6000), 16_000)
    assert export(run, tmp_path / "data", tmp_path / "out") == 0
    lines = (tmp_path / "out" / "units-deu-dev.jsonl").read_text().splitlines()
    assert [json.loads(line)["file"] for line in lines] == ["clipped", "silent"]


def test_the_encoder_is_as_precise_as_in_the_run(run, tmp_path, monkeypatch):
    asked = []

    def load(folder, dtype):
        asked.append(dtype)
        return load_quantizer(folder, dtype=dtype)

    monkeypatch.setattr(benchmark_units, "load_quantizer", load)
    record(tmp_path / "data" / "audio" / "deu" / "dev" / "a1.wav")
    of_bf16 = Run(tmp_path / "run", "many")
    shutil.copytree(run.folder, of_bf16.folder)
    study = {"format": FORMAT, "voices": "many", "configuration": {"units": {"encoder_precision": "bf16"}}}
    of_bf16.study_file.write_text(json.dumps(study))
    assert export(run, tmp_path / "data", tmp_path / "fp32") == 0
    assert export(of_bf16, tmp_path / "data", tmp_path / "bf16") == 0
    assert asked == [torch.float32, torch.bfloat16]


def test_what_cannot_be_exported_is_said_in_a_sentence(run, tmp_path, capsys):
    data = tmp_path / "data"
    record(data / "audio" / "deu" / "dev" / "a1.wav")
    table = Run(tmp_path / "table", "many")
    table.quantizer("speech_units").mkdir(parents=True)
    table.study_file.write_text(json.dumps({"format": FORMAT, "voices": "many"}))
    (tmp_path / "t.jsonl").write_text(json.dumps({"file": "a", "units": [1, 2]}) + "\n")
    save_units(open_units(str(tmp_path / "t.jsonl"), frame_rate=50), table.quantizer("speech_units"))
    for which, folder, flags, message in (
        (run, tmp_path / "nothing", [], "There are no recordings of discophon in"),
        (run, data, ["--benchmark", "babyslm"], "There are no recordings of babyslm in"),
        (run, data, ["--modality", "text_raw"], "text_raw has no units of any recording"),
        (run, data, ["--modality", "speech_units_one_voice"], "has no quantizer of speech_units_one_voice"),
        (
            run,
            data,
            ["--modality", "speech_syllable_unsupervised"],
            "are of segments, and a benchmark",
        ),
        (table, data, [], "are a table of its own audio"),
    ):
        assert export(which, folder, tmp_path / "out", *flags) == 2
        error = capsys.readouterr().err
        assert message in error and len(error.splitlines()) == 1
    (data / "audio" / "deu" / "dev" / "broken.wav").write_bytes(b"RIFF")
    assert export(run, data, tmp_path / "out") == 2
    assert "broken.wav cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "out" / "units-deu-dev.jsonl").exists()
