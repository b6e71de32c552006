"""`evoslm encode-audio`: the same units whoever does the work, and nothing lost or made twice after a kill."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch

from evoslm.datasets_scripts.shards.utterance_rows import UTTERANCE_SCHEMA
from evoslm.models.audio import decode_flac, encode_flac
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel

pytest.importorskip("datatrove", reason="datatrove is not installed")

from evoslm.training.cli import main
from evoslm.training.scale.encoding import EncodeArguments, encode_audio
from evoslm.training.scale.plan import PLAN_FILE, make_plan

COMMAND = """
import json, sys
from evoslm.training.scale.encoding import EncodeArguments, encode_audio
if __name__ == "__main__":
    encode_audio(EncodeArguments(**json.loads(sys.argv[1])))
"""


def a_quantizer(folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    SpeechUnitModel(SpeechUnitConfig(num_units=20)).save_pretrained(folder)
    return folder


def a_voice(seed: int, seconds: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.normal(size=int(16_000 * seconds)) * 3000).astype(np.int16)


def write_utterances(
    folder: Path, shards: int, rows: int, seconds: float, bad: dict[str, bytes] | None = None
) -> Path:
    folder.mkdir()
    for shard in range(shards):
        table = []
        for row in range(rows):
            name = f"utterance-{shard}-{row}"
            audio = (bad or {}).get(name) or encode_flac(a_voice(100 * shard + row, seconds + 0.01 * row))
            table.append({"id": name, "speaker": "anna", "audio": {"bytes": audio, "path": None}})
        path = folder / f"train-{shard:05d}-of-{shards:05d}.parquet"
        pq.write_table(pa.Table.from_pylist(table, schema=UTTERANCE_SCHEMA), path)
    return folder


def units_in(folder: Path) -> dict[str, list]:
    return {path.name: pq.read_table(path).to_pylist() for path in sorted((folder / "units").glob("*.parquet"))}


def times_in(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "units").glob("*.parquet")}


def skipped_in(folder: Path) -> dict[str, str]:
    return {
        skip["id"]: skip["reason"] for skip in map(json.loads, (folder / "skipped.jsonl").read_text().splitlines())
    }


@pytest.fixture(scope="module")
def quantizer(tmp_path_factory):
    return a_quantizer(tmp_path_factory.mktemp("quantizer"), 0)


@pytest.fixture(scope="module")
def utterances(tmp_path_factory):
    return write_utterances(tmp_path_factory.mktemp("corpus") / "utterances", 3, 2, 0.3)


def arguments_for(quantizer: Path, output_dir: Path, **fields) -> EncodeArguments:
    common = {"num_proc": 1, "device": "cpu", "model_dir": str(quantizer), "output_dir": str(output_dir)}
    return EncodeArguments(**common | {name: str(v) if isinstance(v, Path) else v for name, v in fields.items()})


def test_every_utterance_gets_the_units_that_the_quantizer_gives_it(quantizer, utterances, tmp_path):
    folder = encode_audio(arguments_for(quantizer, tmp_path / "out", utterances_dir=utterances))
    model = SpeechUnitModel.from_pretrained(quantizer)
    encoded = units_in(folder)
    assert list(encoded) == [path.name for path in sorted(utterances.iterdir())]
    for path in utterances.iterdir():
        rows = pq.read_table(path).to_pylist()
        assert [row["id"] for row in encoded[path.name]] == [row["id"] for row in rows]
        for row, unit_row in zip(rows, encoded[path.name]):
            (expected,) = model.units([decode_flac(row["audio"]["bytes"])])
            assert unit_row["units"] == expected.tolist()
        schema = pq.read_schema(folder / "units" / path.name)
        assert schema.field("units").type == pa.list_(pa.uint16())
        assert json.loads(schema.metadata[b"evoslm"])["quantizer"] == model.fingerprint()
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["items"], summary["rows"], summary["skipped"]) == (6, 6, 0)
    assert summary["units"] == sum(len(row["units"]) for rows in encoded.values() for row in rows)


def test_only_what_is_missing_is_made(quantizer, utterances, tmp_path):
    arguments = arguments_for(quantizer, tmp_path / "out", utterances_dir=utterances)
    folder = encode_audio(arguments)
    encoded, times = units_in(folder), times_in(folder)
    gone, damaged, whole = sorted(times)
    (folder / "units" / gone).unlink()  # though datatrove has it down as completed
    (folder / "units" / damaged).write_bytes(b"PAR1 and no more")
    (folder / "logs" / "completions" / "00002").unlink()  # though it is whole
    encode_audio(arguments)
    assert units_in(folder) == encoded
    again = times_in(folder)
    assert again[whole] == times[whole] and again[gone] != times[gone]
    encode_audio(arguments)
    assert times_in(folder) == again


def test_a_bad_file_costs_one_row_and_many_stop_the_job(quantizer, tmp_path):
    good = encode_flac(a_voice(0, 2))
    wav = tmp_path / "other.wav"
    soundfile.write(wav, a_voice(0, 1), 22_050)
    bad = {
        "utterance-0-1": b"no audio at all",
        "utterance-1-0": encode_flac(a_voice(0, 0.001)),
        "utterance-2-1": good[: len(good) // 2],
        "utterance-3-0": wav.read_bytes(),
    }
    utterances = write_utterances(tmp_path / "utterances", 5, 2, 0.3, bad)
    arguments = arguments_for(quantizer, tmp_path / "out", utterances_dir=utterances, max_skipped_fraction=0.25)
    with pytest.raises(ValueError, match=r"3 of 10 recordings were skipped.*utterance-.*, for instance: "):
        encode_audio(arguments)
    made = times_in(tmp_path / "out")
    assert len(made) < 5 and len(skipped_in(tmp_path / "out")) == 3
    with pytest.raises(ValueError, match="3 of 10"):
        encode_audio(arguments)
    assert times_in(tmp_path / "out") == made
    folder = encode_audio(replace(arguments, max_skipped_fraction=0.4))
    assert {name: times_in(folder)[name] for name in made} == made
    skipped = skipped_in(folder)
    assert set(skipped) == set(bad)
    assert "less than" in skipped["utterance-1-0"] and "22050 Hz" in skipped["utterance-3-0"]
    names = {row["id"] for rows in units_in(folder).values() for row in rows}
    assert len(names) == 6 and not names & set(bad)


def test_units_of_another_quantizer_or_of_other_audio_are_refused(quantizer, utterances, tmp_path):
    arguments = arguments_for(quantizer, tmp_path / "out", utterances_dir=utterances)
    encode_audio(arguments)
    other = a_quantizer(tmp_path / "other", 1)
    with pytest.raises(ValueError, match=r"train-00000-of-00003.parquet is of another quantizer"):
        encode_audio(replace(arguments, model_dir=str(other)))
    with pytest.raises(ValueError, match="encoder_precision fp32"):
        encode_audio(replace(arguments, encoder_precision="bf16"))
    more = write_utterances(tmp_path / "more", 2, 1, 0.3)
    with pytest.raises(ValueError, match="plan of other audio"):
        encode_audio(replace(arguments, utterances_dir=str(more)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"executor": "cloud"}, "choose from local, slurm, ray"),
        ({"audio_dir": "somewhere"}, "either --utterances_dir"),
        ({"executor": "slurm"}, "--slurm_partition"),
        ({"executor": "slurm", "slurm_partition": "cpu", "slurm_options": ["exclusive"]}, "name=value"),
        ({"slurm_partition": "cpu"}, "--slurm_partition says something of --executor slurm; give both or neither"),
        ({"model_dir": "nowhere"}, "not the folder of a quantizer"),
        ({"utterances_dir": "nowhere"}, "No shards of utterances"),
    ],
)
def test_mistakes_are_named(quantizer, utterances, tmp_path, fields, message):
    arguments = arguments_for(quantizer, tmp_path / "out", utterances_dir=utterances)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        encode_audio(replace(arguments, **fields))


def test_a_folder_of_audio_needs_no_transcripts(quantizer, tmp_path):
    audio = tmp_path / "audio"
    (audio / "book").mkdir(parents=True)
    for number in range(4):
        soundfile.write(audio / "book" / f"{number}.wav", a_voice(number, 0.5), 16_000)
    (audio / "book" / "4.mp3").write_bytes(b"no audio")
    arguments = arguments_for(quantizer, tmp_path / "out", audio_dir=audio, shard_size=2, max_skipped_fraction=0.2)
    folder = encode_audio(arguments)
    encoded = units_in(folder)
    assert [len(rows) for rows in encoded.values()] == [2, 2, 0]
    assert [row["id"] for rows in encoded.values() for row in rows] == [f"book/{number}.wav" for number in range(4)]
    assert "4.mp3" in skipped_in(folder)["book/4.mp3"]
    with pytest.raises(ValueError, match="plan of other audio"):
        encode_audio(replace(arguments, shard_size=3))


def test_a_plan_is_of_recordings_as_they_were(tmp_path, monkeypatch):
    audio, folder = tmp_path / "audio", tmp_path / "audio" / "out"
    audio.mkdir()

    def plan():
        return make_plan(folder, None, audio, None, 2)["items"]

    soundfile.write(audio / "0.wav", a_voice(0, 0.1), 16_000)
    assert plan() == plan() == 1
    monkeypatch.chdir(tmp_path)
    assert make_plan(folder, None, "audio", None, 2)["items"] == 1
    for name in ("0.wav", "1.wav"):  # replaced, added
        soundfile.write(audio / name, a_voice(9, 0.1), 16_000)
        with pytest.raises(ValueError, match="plan of other audio, or of files as they no longer are"):
            plan()
        shutil.rmtree(folder)
        plan()
    assert plan() == 2
    found = json.loads((folder / PLAN_FILE).read_text())
    del found["source"]["files"]  # a plan from before they were in it
    (folder / PLAN_FILE).write_text(json.dumps(found))
    soundfile.write(audio / "2.wav", a_voice(2, 0.1), 16_000)
    assert plan() == 2


def test_cuts_of_libriheavy_are_encoded_by_their_times(quantizer, tmp_path):
    voice = a_voice(0, 4)
    (tmp_path / "audio" / "small").mkdir(parents=True)
    soundfile.write(tmp_path / "audio" / "small" / "chapter.flac", voice, 16_000)
    lines = []
    for number, source in enumerate(["small/chapter.flac", "small/chapter.flac", "small/lost.flac"]):
        recording = {"id": "chapter", "sources": [{"source": f"download/librilight/{source}"}]}
        supervision = {"speaker": "11", "custom": {"texts": ["Words."]}}
        cut = {"id": f"cut-{number}", "start": float(number), "duration": 1.5, "recording": recording}
        lines.append(json.dumps(cut | {"supervisions": [supervision]}))
    manifest = tmp_path / "libriheavy_cuts_small.jsonl.gz"
    manifest.write_bytes(gzip.compress("\n".join(lines).encode()))
    folder = encode_audio(
        arguments_for(
            quantizer, tmp_path / "out", audio_dir=tmp_path / "audio", manifest=manifest, max_skipped_fraction=0.4
        )
    )
    (rows,) = units_in(folder).values()
    model = SpeechUnitModel.from_pretrained(quantizer)
    assert [row["id"] for row in rows] == ["cut-0", "cut-1"]
    assert all(len(row["units"]) == model.config.num_frames(24_000) for row in rows)
    assert list(skipped_in(folder)) == ["cut-2"]


def put_in_path(folder: Path, monkeypatch, **scripts: str) -> None:
    folder.mkdir()
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def hand_in(quantizer, utterances, tmp_path, monkeypatch) -> tuple[EncodeArguments, list[str]]:
    """Arguments, and the scripts that `sbatch` was given."""
    kept = tmp_path / "scripts"
    kept.mkdir()
    put_in_path(
        tmp_path / "bin",
        monkeypatch,
        sbatch=f'number=$(ls {kept} | wc -l); cp "${{@: -1}}" {kept}/$number; echo "Submitted batch job 1$number"',
        srun='while [[ $1 == -* ]]; do [[ $1 == -n ]] && shift; shift; done; exec "$@"',
        scontrol="echo localhost",
    )
    arguments = arguments_for(
        quantizer,
        tmp_path / "out",
        utterances_dir=utterances,
        executor="slurm",
        num_proc=2,
        slurm_partition="speech",
        slurm_time="02:30:00",
        slurm_cpus=3,
        slurm_qos="low",
        gpus_per_task=1,
        slurm_shards_per_task=2,
        slurm_options=["account=lab"],
    )
    encode_audio(arguments)
    return arguments, [path.read_text() for path in sorted(kept.iterdir())]


def test_slurm_is_asked_for_what_the_flags_say(quantizer, utterances, tmp_path, monkeypatch, capsys):
    _, (script, _) = hand_in(quantizer, utterances, tmp_path, monkeypatch)
    assert "3 shards were handed in as SLURM job 10" in capsys.readouterr().out
    options = dict(
        line.removeprefix("#SBATCH --").partition("=")[::2] for line in script.splitlines() if "#SBATCH" in line
    )
    # Three shards, two a task, make two tasks.
    asked = {"array": "0-1%2", "partition": "speech", "time": "02:30:00", "cpus-per-task": "3", "gpus": "1"}
    asked |= {"qos": "low", "account": "lab", "mem-per-cpu": "4G", "job-name": "evoslm-units"}
    assert {name: options.get(name) for name in asked} == asked
    lines = [line.strip() for line in script.splitlines()]
    assert f'export PATH="{Path(sys.executable).parent}:$PATH"' in lines
    (run,) = [line for line in lines if line.startswith("srun")]
    assert f"launch_pickled_pipeline {tmp_path / 'out' / 'logs' / 'executor.pik'}" in run
    assert not units_in(tmp_path / "out")


@pytest.mark.end_to_end
def test_the_script_for_slurm_makes_the_units(quantizer, utterances, tmp_path, monkeypatch):
    arguments, (script, _) = hand_in(quantizer, utterances, tmp_path, monkeypatch)
    environment = os.environ | {"RUN_OFFSET": "0", "SLURM_NODELIST": "localhost", "SLURM_JOB_ID": "10"}
    (tmp_path / "job").write_text(script)
    made = []
    for task in "01":
        job = ["bash", str(tmp_path / "job")]
        subprocess.run(job, env=environment | {"SLURM_ARRAY_TASK_ID": task}, check=True, timeout=300)
        made.append(len(units_in(tmp_path / "out")))
    assert made == [2, 3]
    encode_audio(arguments)  # nothing is left to hand in
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["rows"] == 6
    alone = encode_audio(arguments_for(quantizer, tmp_path / "alone", utterances_dir=utterances))
    assert units_in(alone) == units_in(tmp_path / "out")


def start(arguments: EncodeArguments, tmp_path: Path) -> subprocess.Popen:
    (tmp_path / "command.py").write_text(COMMAND)
    words = [sys.executable, str(tmp_path / "command.py"), json.dumps(asdict(arguments))]
    environment = os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment)


def kill_one_in_the_middle(process: subprocess.Popen, output_dir: Path, is_worker) -> dict[str, int]:
    """Kill a worker once a shard is there; the times of the shards that were there."""
    psutil = pytest.importorskip("psutil", reason="psutil is not installed")
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline and process.poll() is None:
        workers = [child for child in psutil.Process(process.pid).children(recursive=True) if is_worker(child)]
        if workers and times_in(output_dir):
            workers[0].send_signal(signal.SIGKILL)
            return times_in(output_dir)
        time.sleep(0.02)
    raise AssertionError(f"there was no worker to kill: {process.stderr.read() if process.poll() else 'too slow'}")


@pytest.fixture(scope="module")
def many_utterances(tmp_path_factory, quantizer):
    """Enough to be killed in, and the folder that an uninterrupted run makes of it."""
    folder = tmp_path_factory.mktemp("many")
    utterances = write_utterances(folder / "utterances", 10, 10, 20)
    return utterances, encode_audio(arguments_for(quantizer, folder / "whole", utterances_dir=utterances))


@pytest.mark.end_to_end
def test_a_killed_worker_loses_no_finished_shard(quantizer, many_utterances, tmp_path):
    utterances, whole = many_utterances
    arguments = arguments_for(quantizer, tmp_path / "out", utterances_dir=utterances, num_proc=2)
    process = start(arguments, tmp_path)
    server = "multiprocessing.forkserver"

    def is_worker(child) -> bool:
        return server in " ".join(child.cmdline()) and server in " ".join(child.parent().cmdline())

    before = kill_one_in_the_middle(process, tmp_path / "out", is_worker)
    _, printed = process.communicate(timeout=120)
    assert process.returncode != 0 and "A worker process was killed" in printed
    finished = times_in(tmp_path / "out")
    assert before.items() <= finished.items() and len(finished) < 10
    again = start(arguments, tmp_path)
    _, printed = again.communicate(timeout=300)
    assert again.returncode == 0, printed
    assert units_in(tmp_path / "out") == units_in(whole)
    assert finished.items() <= times_in(tmp_path / "out").items()
    assert not list((tmp_path / "out" / "units").glob(".*"))


@pytest.mark.end_to_end
def test_a_worker_killed_on_ray_loses_no_finished_shard(quantizer, utterances, tmp_path):
    pytest.importorskip("ray", reason="ray is not installed")
    arguments = arguments_for(quantizer, tmp_path / "out", utterances_dir=utterances, executor="ray", mem_per_cpu_gb=1)
    process = start(arguments, tmp_path)

    def is_worker(child) -> bool:
        words = " ".join(child.cmdline())
        return "RankWorker" in words and "RankWorker" not in " ".join(child.parent().cmdline())

    before = kill_one_in_the_middle(process, tmp_path / "out", is_worker)
    assert len(before) < 3
    _, printed = process.communicate(timeout=500)
    assert process.returncode == 0, printed  # the shard was handed in again
    whole = encode_audio(replace(arguments, executor="local", output_dir=str(tmp_path / "whole")))
    assert units_in(tmp_path / "out") == units_in(whole)
    times = times_in(tmp_path / "out")
    assert before.items() <= times.items()
    lost = max(times, key=times.get)
    (tmp_path / "out" / "units" / lost).unlink()
    again = start(arguments, tmp_path)
    _, printed = again.communicate(timeout=500)
    assert again.returncode == 0, printed
    assert units_in(tmp_path / "out") == units_in(whole)
    assert {name for name, when in times_in(tmp_path / "out").items() if when != times[name]} == {lost}


def test_build_dataset_with_an_executor_is_the_same_step(quantizer, utterances, tmp_path, capsys):
    flags = ["--model_dir", str(quantizer), "--utterances_dir", str(utterances), "--num_proc", "1", "--device", "cpu"]
    assert main(["build-dataset", "--executor", "local", *flags, "--output_dir", str(tmp_path / "a")]) == 0
    assert main(["encode-audio", "--executor=local", *flags, "--output_dir", str(tmp_path / "b")]) == 0
    assert units_in(tmp_path / "a") == units_in(tmp_path / "b") != {}


@pytest.mark.parametrize("arguments", [{"segment_parts": 2, "segmentation": {}}, {"duration_penalty": 5.0}])
def test_segments_are_found_in_any_audio(utterances, tmp_path, arguments):
    model = SpeechUnitModel(SpeechUnitConfig(num_units=20, **arguments))
    model.save_pretrained(tmp_path / "quantizer")
    written = units_in(
        encode_audio(arguments_for(tmp_path / "quantizer", tmp_path / "out", utterances_dir=utterances))
    )
    for path in sorted(utterances.glob("*.parquet")):
        rows = pq.read_table(path).to_pylist()
        audio = [decode_flac(row["audio"]["bytes"]) for row in rows]
        assert [row["units"] for row in written[path.name]] == [units.tolist() for units in model.units(audio)]
        for row, samples in zip(written[path.name], audio):
            assert sum(row.get("frames", [1] * len(row["units"]))) == len(samples) // 320


def test_a_quantizer_of_syllables_is_refused_before_any_work(utterances, tmp_path):
    SpeechUnitModel(SpeechUnitConfig(num_units=4, segment_parts=1)).save_pretrained(tmp_path / "quantizer")
    with pytest.raises(ValueError, match="reads aligned syllables, and nothing is aligned here"):
        encode_audio(arguments_for(tmp_path / "quantizer", tmp_path / "out", utterances_dir=utterances))
