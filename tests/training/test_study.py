"""The study as a user runs it: one command, killed and started again, ending in a report and in plain folders."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from launched import run_launched, torchrun
from tiny_study import FLAGS, STUDY, TINY

from evoslm.models.audio import decode_flac
from evoslm.models.modalities import MODALITIES as ALL_MODALITIES
from evoslm.models.modalities import SYNTHETIC_MODALITY
from evoslm.models.speech_units import SpeechUnitModel
from evoslm.training.cli import main

# What `all` is in a run that is synthetic throughout.
MODALITIES = {name: modality for name, modality in ALL_MODALITIES.items() if name != SYNTHETIC_MODALITY}
PAPER = [name for name, modality in MODALITIES.items() if modality.paper]
SOME = ("text_bpe", "phone_repeat", "speech_units")
"""Of what is shown of pieces, frames and units alike."""
COMMAND = [sys.executable, "-m", "evoslm.training.cli"]


@pytest.fixture
def started_run(tmp_path, finished_run):
    """A copy of the finished run with its corpus, pairs, units and tokenizers, but no models, scores or report."""
    folder = tmp_path / "started"
    shutil.copytree(finished_run, folder)
    for stage in ("models", "scores", "report"):
        shutil.rmtree(folder / stage)
    return folder


def test_a_study_ends_in_a_report_about_every_modality(finished_run):
    report = (finished_run / "report" / "report.md").read_text()
    for modality in MODALITIES.values():
        assert modality.label.format(encoder="MFCC") in report
    assert (finished_run / "report" / "report.html").read_text().count("<svg") >= 3
    assert "HuBERT" not in report.replace("Speech-HuBERT", "")  # the paper's own modality, marked as the paper's


def test_a_study_says_what_made_it(finished_run):
    study = json.loads((finished_run / "study.json").read_text())
    assert study["configuration"]["corpus"]["max_words"] == 5000
    assert study["seeds"] == [0] and study["versions"]["torch"]
    assert {stage["name"].split("/")[0] for stage in study["stages"]} >= {"corpus", "pairs", "units", "models"}


def test_every_pair_has_the_same_items_in_every_modality(finished_run):
    items = {
        name: pd.read_parquet(finished_run / "scores" / name / "seed-0" / "best" / "items.parquet")
        for name in MODALITIES
    }
    keys = ["task", "pair_id", "group", "band", "voice"]
    first = items["text_bpe"][keys]
    for name, frame in items.items():
        columns = keys if MODALITIES[name].voices is None else keys[:-1]
        pd.testing.assert_frame_equal(frame[columns], first[columns], obj=name)
        assert (frame[["positive", "negative"]] < 0).all().all()
    assert set(first["task"]) == {"swuggy", "sblimp", "topic_sc"}


def test_repeated_phones_and_units_have_the_same_length(finished_run):
    repeat, units = (
        pd.read_parquet(finished_run / "scores" / name / "seed-0" / "best" / "items.parquet")
        for name in ("phone_repeat", "speech_units")
    )
    for side in ("positive_tokens", "negative_tokens"):
        assert (repeat[side] == units[side]).all()
    tokens = [
        json.loads((finished_run / "tokenizers" / name / "summary.json").read_text())["train_tokens"]
        for name in ("phone_repeat", "speech_units", "speech_units_one_voice")
    ]
    assert len(set(tokens)) == 1


def test_there_is_one_unit_for_each_syllable_and_pause(finished_run):
    folder = finished_run / "units" / "speech_syllable"
    for shard in sorted((finished_run / "corpus" / "utterances").glob("*.parquet")):
        rows = pq.read_table(shard, columns=["id", "duration", "phones"]).to_pylist()
        units = pq.read_table(folder / "utterances" / shard.name).to_pylist()
        for row, encoded in zip(rows, units, strict=True):
            assert row["id"] == encoded["id"] and len(encoded["units"]) == len(encoded["frames"])
            assert sum(encoded["frames"]) == round(row["duration"] * 50)
            # Syllables are read off the frames, where a vowel and the same behind it ("the electric") are one.
            phones = [phone for phone, _ in groupby(phone["phone"] for phone in row["phones"])]
            assert len(encoded["units"]) == sum(phone == "SIL" or phone[-1].isdigit() for phone in phones)
    pairs, rendered = (
        pq.read_table(next((base / "topic_sc").glob("*.parquet"))).to_pylist()
        for base in (folder / "pairs", finished_run / "pairs" / "rendered")
    )
    for row, encoded in zip(rendered, pairs, strict=True):
        for side in ("context", "positive", "negative"):
            assert sum(encoded[f"{side}_frames"]) == len(row[f"{side}_phones_repeat"].split())
    quality = json.loads((folder / "utterances" / "quality.json").read_text())
    assert 4 < quality["units_per_second"] < 6
    assert quality["syllable_pnmi"] > quality["syllable_pnmi_chance"] + 0.1


@pytest.mark.parametrize("name", ["speech_syllable_unsupervised", "speech_duration_penalized"])
def test_segments_need_nothing_but_the_sound_and_the_saved_quantizer(finished_run, name):
    folder = finished_run / "units" / name
    model = SpeechUnitModel.from_pretrained(folder / "model")
    shard = next((finished_run / "pairs" / "rendered" / "topic_sc").glob("*.parquet"))
    rows = pq.read_table(shard).to_pylist()[:4]
    for side in ("context", "positive", "negative"):
        audio = [decode_flac(row[f"{side}_audio"]["bytes"]) for row in rows]
        encoded = pq.read_table(folder / "pairs" / "topic_sc" / shard.name).to_pylist()[:4]
        assert [units.tolist() for units in model.units(audio)] == [row[f"{side}_units"] for row in encoded]
    quality = json.loads((folder / "utterances" / "quality.json").read_text())
    what, low, high = ("phone", 3, 25) if model.config.duration_penalty else ("syllable", 3, 7)
    assert low < quality.get("units_per_second_dedup", quality["units_per_second"]) < high
    assert quality[f"{what}_boundary_r_value_20ms"] > 0.3 and quality[f"{what}_boundary_f1_20ms"] > 0.3
    assert "Boundaries of aligned syllables within 20 ms, F1" in (finished_run / "report" / "report.md").read_text()


def test_seeds_of_kmeans_are_compared(finished_run):
    found = json.loads((finished_run / "units" / "seeds" / "seeds.json").read_text())
    own = json.loads((finished_run / "units" / "speech_units" / "utterances" / "quality.json").read_text())
    assert [row["seed"] for row in found["seeds"]] == [0, 1]
    assert found["seeds"][0]["pnmi"] == pytest.approx(own["pnmi"], abs=1e-12)
    (agreement,) = found["agreement"]
    assert 0.4 < agreement["matched"] < 1 and 0.6 < agreement["nmi"] < 1
    assert "Quantizers of seeds 0, 1" in (finished_run / "report" / "report.md").read_text()


def test_every_model_takes_the_same_updates_on_the_same_utterances(finished_run):
    records = [
        json.loads((finished_run / "models" / name / "seed-0" / "training.json").read_text()) for name in MODALITIES
    ]
    assert len({(record["updates"], record["epochs"]) for record in records}) == 1


def test_models_and_tokenizers_load_where_the_package_is_not(finished_run):
    code = """
import sys
sys.modules["evoslm"] = None  # any import of it now fails
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline
for folder in sys.argv[1:]:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert len(tokenizer) == model.config.vocab_size, folder
    prompt = tokenizer.decode(list(range(5, 8)))
    generate = pipeline("text-generation", model=folder, tokenizer=folder)
    text = generate(prompt, max_new_tokens=4, do_sample=False)[0]["generated_text"]
    assert text.startswith(prompt), (folder, prompt, text)
"""
    folders = [str(finished_run / "models" / name / "seed-0") for name in MODALITIES]
    result = subprocess.run([sys.executable, "-c", code, *folders], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_run_holds_no_pickle(finished_run):
    suffixes = {path.suffix for path in finished_run.rglob("*") if path.is_file()}
    assert not suffixes & {".pt", ".pth", ".bin", ".pkl", ".pickle"}


def test_a_finished_study_is_not_redone(tmp_path, finished_run):
    run = shutil.copytree(finished_run, tmp_path / "run")
    stages = {path: path.stat().st_mtime_ns for path in run.rglob("stage.json")}
    before = (run / "report" / "results.json").read_bytes()
    assert main(["study", *FLAGS, "--output_dir", str(run)]) == 0
    assert {path: path.stat().st_mtime_ns for path in run.rglob("stage.json")} == stages
    tables = [json.loads(text)["accuracies"] for text in (before, (run / "report" / "results.json").read_bytes())]
    assert tables[0] == tables[1]


def test_another_configuration_is_refused_by_name_and_changes_nothing(tmp_path, finished_run):
    run = shutil.copytree(finished_run, tmp_path / "run")
    before = {path: path.read_bytes() for path in run.rglob("*.json")}
    command = [*COMMAND, "study", *TINY, "--output_dir", str(run), "--num_units", "60"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert "num_units (50 there, 60 now)" in result.stderr
    assert "Traceback" not in result.stderr
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.end_to_end
def test_a_study_killed_anywhere_ends_in_the_same_tables(tmp_path, finished_run):
    """SIGKILL after ever longer times, until it is let through; then compare with one that was never stopped."""
    folder = tmp_path / "killed"
    command = [*COMMAND, "study", *STUDY]
    kills = 0
    for patience in (15, 30, 45, None):
        process = subprocess.Popen(
            [*command, "--output_dir", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            assert process.wait(patience) == 0, process.stderr.read().decode()
            break
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            time.sleep(1)
    assert kills >= 2
    for part in ("accuracies", "effects", "scaling"):
        ours, theirs = (
            json.loads((run / "report" / "results.json").read_text())[part] for run in (folder, finished_run)
        )
        assert ours == theirs, part


@pytest.mark.end_to_end
def test_sigterm_saves_the_trainings_and_says_so_in_the_status(started_run):
    flags = [*TINY, "--modalities", "text_raw", "phone_raw", "--epochs", "30", "--save_every", "20", "--num_proc", "2"]
    command = [*COMMAND, "pretrain", *flags, "--output_dir", str(started_run)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    models = started_run / "models"
    while process.poll() is None and not list(models.glob("*/.seed-0.partial/checkpoints/checkpoint-20")):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 75, process.stderr.read()
    assert "Trainings were saved; run the same command to go on." in process.stderr.read()
    saved = [path.parent.name for path in models.glob("*/.seed-0.partial/checkpoints/*/checkpoint.json")]
    assert any(int(name.rsplit("-", 1)[1]) % 20 for name in saved), saved  # between two of the planned ones


@pytest.mark.end_to_end
def test_the_number_of_processes_changes_nothing(tmp_path, finished_run):
    folder = tmp_path / "one"
    assert main(["fit-units", *TINY, "--modalities", "all", "--output_dir", str(folder), "--num_proc", "1"]) == 0
    for path in sorted(folder.rglob("*.parquet")) + sorted(folder.rglob("stage.json")):
        other = finished_run / path.relative_to(folder)
        if path.suffix == ".parquet":
            assert pq.read_table(path).equals(pq.read_table(other)), path
        else:
            assert json.loads(path.read_text())["fingerprint"] == json.loads(other.read_text())["fingerprint"], path


@pytest.mark.end_to_end
def test_processes_of_a_launcher_share_a_whole_study(started_run, finished_run):
    command = [*torchrun(2), "-m", "evoslm.training.cli", "study", *STUDY, "--output_dir", started_run]
    done = run_launched([*command, "--modalities", *SOME], timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    assert (started_run / "report" / "report.html").exists() and not list(started_run.rglob("chunks"))
    scored = sorted(started_run.glob("scores/**/items.parquet"))
    assert {path.relative_to(started_run / "scores").parts[0] for path in scored} == set(SOME)
    for path in scored:
        expected, found = pd.read_parquet(finished_run / path.relative_to(started_run)), pd.read_parquet(path)
        assert (found["pair_id"] == expected["pair_id"]).all()
        # Gradients were added up in another order; trainings drift apart by that, a few items by a tenth of a nat.
        # A model of other batches would be nats away.
        apart = (found["positive"] - expected["positive"]).abs()
        assert apart.mean() < 0.02 and apart.max() < 0.5, path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["studdy"], "Unknown command 'studdy'"),
        (["study", "--preset", "huge"], "Unknown preset 'huge'"),
        (["study", "--modalities", "morse"], "Unknown modality 'morse'"),
        (["study", "--voices", "three"], "--voices is 'three'"),
        (["study", "--colour", "red"], "Unknown flag '--colour'"),
        (["study", "--epochs", "many"], "invalid float value: 'many'"),
        (["study", "--corpus", "text"], "--corpus text needs --text_dir"),
        (["study", "--corpus", "text", "--text_dir", "{tmp}/none"], "There is no folder"),
        (["study", "--corpus", "text", "--text_dir", "{tmp}/empty"], "No .txt file"),
        (["study", "--corpus", "text", "--text_dir", "{tmp}/binary"], "skipped"),
        (["study", "--preset", "smoke", "--max_words", "200"], "sWUGGY pairs can be made"),
        (["study", "--preset", "smoke", "--output_dir", "{tmp}/file"], "is a file"),
        (["study", "--modalities", "speech_bpe", "--num_units", "5000"], "--unit_bpe_vocab_size is 4096"),
    ],
)
def test_a_mistake_ends_in_one_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary").mkdir()
    (tmp_path / "binary" / "image.txt").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "file").write_text("")
    arguments = [argument.format(tmp=tmp_path) for argument in arguments]
    if "--output_dir" not in arguments and arguments[0] == "study":
        arguments += ["--output_dir", str(tmp_path / "run")]
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.strip().splitlines()[-1].startswith("evoslm: error: ")
    assert not list(tmp_path.glob("run/**/stage.json")) or "pairs" in message


def test_the_commands_are_listed(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for command in ("study", "build-dataset", "fit-units", "train-tokenizer", "pretrain", "evaluate"):
        assert command in printed


def test_every_preset_reads(tmp_path):
    from evoslm.training.arguments.parsing import list_presets, parse_arguments

    (tmp_path / "text").mkdir()
    assert set(list_presets()) == {"smoke", "laptop", "diagnose", "overnight", "h200", "paper"}
    for preset in list_presets():
        arguments = parse_arguments(["--preset", preset, "--text_dir", str(tmp_path / "text")])
        assert arguments.modalities == PAPER
    paper = parse_arguments(["--preset", "paper", "--text_dir", str(tmp_path / "text")])
    assert (paper.model.num_hidden_layers, paper.model.num_attention_heads, paper.model.num_key_value_heads) == (
        22,
        32,
        4,
    )
    assert paper.pretrain.learning_rate == 4e-4
    assert paper.pretrain.utterances_per_batch == 128 and paper.pretrain.train_until == "converged"
    assert Path(paper.output_dir) == Path("runs/paper")


def test_a_night_is_the_defaults_study_trained_until_it_converges():
    from evoslm.training.arguments.parsing import parse_arguments

    default, night = (parse_arguments(["--preset", preset]) for preset in ("laptop", "overnight"))
    for group in ("corpus", "pairs", "units", "model", "hardware"):
        assert getattr(night, group) == getattr(default, group), group
    assert night.run.training_seeds == [0, 1, 2, 3, 4] and night.modalities == default.modalities
    own = {"train_until", "epochs", "warmup_fraction", "decay_fraction", "points"}
    of_night, of_default = (
        {name: value for name, value in asdict(each.pretrain).items() if name not in own} for each in (night, default)
    )
    assert of_night == of_default
    assert (night.pretrain.train_until, night.pretrain.patience, night.pretrain.min_improvement) == (
        "converged",
        3,
        0.002,
    )
    warmups = [each.pretrain.warmup_fraction * each.pretrain.epochs for each in (night, default)]
    assert warmups[0] == pytest.approx(warmups[1], rel=0.5)
