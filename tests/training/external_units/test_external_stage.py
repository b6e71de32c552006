"""Units from elsewhere in a run's stages: checked on its audio, the same by table and by function, frame by frame."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from evoslm.datasets_scripts.pairs.rendering import render_pairs
from evoslm.datasets_scripts.pairs.texts import PairText
from evoslm.datasets_scripts.phones.lost import count_lost_phones
from evoslm.datasets_scripts.phones.stretch import measure_stretch_factor
from evoslm.datasets_scripts.synthesis.utterances import render_utterances
from evoslm.datasets_scripts.text.passages import Passage
from evoslm.models.audio import decode_flac, frame_samples_at
from evoslm.models.files import write_json
from evoslm.training.cli import main
from evoslm.training.external_units.quantizers import load_quantizer, open_units, save_units
from evoslm.training.report.unit_source import describe_lost_phones, describe_source
from evoslm.training.run.execution import Execution
from evoslm.training.run.folder import Run
from evoslm.training.run.stage import Stage, read_stage
from evoslm.training.run.study_file import write_study
from evoslm.training.stages.spoken_pairs import summarize_pairs
from evoslm.training.stages.tokenizers import TokenizerSettings, build_tokenizer
from evoslm.training.stages.units.encoding import build_pair_units, build_utterance_units
from evoslm.training.stages.units.external import build_external_units
from evoslm.training.unit_report.measuring import build_unit_report

SENTENCES = ("The old sailor sees a small green garden.", "A strange bright stranger stretched the strings.")
PAIRS = (
    PairText("word", "swuggy", "g", "", "", "river", "rivel"),
    PairText("topic", "topic_sc", "g", "", "The sailor saw the sea.", "He has a boat.", "She has a cake."),
)
RATES = (12.5, 50, 75, 100)
LEVELS = """
import numpy as np

def levels(waveform, rate, frame_rate={rate}):
    frames = int(len(waveform) * frame_rate / rate)
    edges = np.arange(frames + 1) * rate // frame_rate
    loudness = [np.abs(waveform[int(a) : int(b)]).mean() for a, b in zip(edges, edges[1:])]
    return np.clip(np.log2(np.array(loudness) + 2**-12) + 12, 0, 15).astype(int)

levels.frame_rate, levels.num_units = {rate}, 16
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a corpus of six utterances and two pairs, at 12.5 frames a second."""
    run = Run(tmp_path_factory.mktemp("run"))
    passages = [
        Passage(f"p/{index}", f"d{index}", "t", ("train", "validation", "test")[index % 3], (SENTENCES[index % 2],))
        for index in range(6)
    ]

    def speak(folder):
        summary = render_utterances(passages, folder, voices="many", progress=False)
        write_json(folder / "summary.json", summary | {"stretch_factor": measure_stretch_factor(folder)})

    def pair(folder):
        samples = frame_samples_at(12.5)
        made = render_pairs(PAIRS, folder, "many", "fixed", 0, 3, frame_samples=samples, progress=False)
        write_json(folder / "summary.json", made)

    Stage(run.utterances(), 1, {}).run(speak)
    Stage(run.pairs(), 1, {}, {"utterances": run.utterances()}).run(pair)
    write_study(run, {"voices": "many", "configuration": {}}, "cpu")
    return run


@pytest.fixture(scope="module")
def audio(run):
    """What `export-audio` writes."""
    folder = run.folder / "audio"
    assert main(["export-audio", str(run.folder), "--to", str(folder), "--num_proc", "1"]) == 0
    return folder


def write_table(path: Path, audio: Path, function, change=None) -> str:
    """What somebody makes of exported audio, without anything of this package."""
    rows = {wav.stem: function(*soundfile.read(wav, dtype="float32")).tolist() for wav in audio.glob("*/*.wav")}
    rows = change(rows) if change else rows
    path.write_text("".join(json.dumps({"file": f"{name}.wav", "units": ids}) + "\n" for name, ids in rows.items()))
    return str(path)


def make_function(folder: Path, rate: float):
    path = folder / "mine.py"
    path.write_text(LEVELS.format(rate=rate))
    namespace: dict = {}
    exec(path.read_text(), namespace)
    return f"{path}:levels", namespace["levels"]


def test_every_utterance_and_part_of_a_pair_is_written_by_its_name(run, audio, capsys):
    rows = [json.loads(line) for line in (audio / "files.jsonl").read_text().splitlines()]
    assert sorted(row["path"] for row in rows) == sorted(
        p.relative_to(audio).as_posix() for p in audio.glob("*/*.wav")
    )
    names = {row["file"] for row in rows}
    assert {f"p-{index}" for index in range(6)} < names
    parts = {name.rpartition("-")[2] for name in names if name.startswith("topic")}
    assert parts == {"context", "positive", "negative"} and len(names) == 6 + 2 + 3
    for shard in run.utterances().glob("*.parquet"):
        for row in pq.read_table(shard, columns=["id", "audio"]).to_pylist():
            samples, rate = soundfile.read(audio / "utterances" / f"{row['id'].replace('/', '-')}.wav", dtype="int16")
            assert rate == 16_000 and np.array_equal(samples, decode_flac(row["audio"]["bytes"]))
    assert main(["export-audio", str(run.folder / "nothing"), "--to", "x"]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err


@pytest.mark.parametrize("rate", RATES)
def test_a_table_and_a_function_give_the_same_units_with_the_frames_of_phone_repeat(tmp_path, run, audio, rate):
    source, function = make_function(tmp_path, rate)
    table = write_table(tmp_path / "table.jsonl", audio, function)
    execution, found = Execution(), {}
    for kind, units in (("function", open_units(source)), ("table", open_units(table, frame_rate=rate))):
        folder = tmp_path / kind
        build_external_units(folder / "model", run.utterances(), run.pairs(), units, execution)
        build_utterance_units(folder / "utterances", folder / "model", run.utterances(), "fp32", execution)
        build_pair_units(folder / "pairs", folder / "model", run.pairs(), "fp32", execution)
        shards = sorted(path for path in folder.glob("*/**/*-*.parquet"))
        found[kind] = [pq.read_table(path).to_pylist() for path in shards]
    assert found["function"] == found["table"] and len(found["table"]) == 5
    quality = json.loads((tmp_path / "table" / "utterances" / "quality.json").read_text())
    assert quality["units_per_second"] == rate

    samples = frame_samples_at(rate)
    for name, options in (("phone_repeat", {"frame_samples": samples}), ("speech_units", {"num_units": 16})):
        units = tmp_path / "table" / "utterances" if name == "speech_units" else None
        build_tokenizer(tmp_path / name, run.utterances(), units, TokenizerSettings(name, **options), execution)
    offsets = [np.load(tmp_path / name / "train.offsets.npy").tolist() for name in ("phone_repeat", "speech_units")]
    assert offsets[0] == offsets[1]


def test_what_a_table_lacks_or_has_too_much_of_is_named_before_anything_is_encoded(tmp_path, run, audio):
    _, function = make_function(tmp_path, 50)

    def refused(change):
        path = write_table(tmp_path / "table.jsonl", audio, function, change)
        units = open_units(path, frame_rate=50, codebook_size=16)
        with pytest.raises(ValueError) as error:
            build_external_units(tmp_path / "model", run.utterances(), run.pairs(), units, Execution())
        return str(error.value)

    lacking = refused(lambda rows: {name: ids for name, ids in rows.items() if "topic" not in name})
    assert "table.jsonl lacks 3 of 11 utterances and sides of pairs, the first of them 'topic-" in lacking
    longer = refused(lambda rows: rows | {"p-3": rows["p-3"] * 2})
    assert "ids for p-3, which is " in longer and "frames at 50 Hz; give the rate of its ids" in longer
    path = write_table(tmp_path / "more.jsonl", audio, function, lambda rows: rows | {"of another run": [1]})
    units = open_units(path, frame_rate=50)
    build_external_units(tmp_path / "model", run.utterances(), run.pairs(), units, Execution())
    assert json.loads((tmp_path / "model" / "check.json").read_text()) == {"names": 11, "not_used": 1}
    assert len(load_quantizer(tmp_path / "model").names) == 11


def test_a_function_that_tires_is_found_out_on_the_runs_own_audio(tmp_path, run):
    source, _ = make_function(tmp_path, 50)
    path = Path(source.rpartition(":")[0])
    text = path.read_text().replace("import numpy as np", "import numpy as np\ncalls = []")
    path.write_text(text.replace("astype(int)\n", "astype(int) + (len(calls) > 3)\n").replace(
        "    frames = int", "    calls.append(1)\n    frames = int"
    ))  # fmt: skip
    with pytest.raises(
        ValueError, match=r"mine.py:levels gives other ids for \d+ of \d+ frames of p-\d the second time"
    ):
        build_external_units(tmp_path / "model", run.utterances(), run.pairs(), open_units(source), Execution())


def test_a_function_that_changes_on_the_runs_own_audio_alone_is_refused_or_asked_again(tmp_path, run):
    source, _ = make_function(tmp_path, 50)
    path, folder = Path(source.rpartition(":")[0]), tmp_path / "model"

    def build(overwrite: bool = False) -> str:
        execution = Execution(overwrite=overwrite)
        build_external_units(folder, run.utterances(), run.pairs(), open_units(source), execution)
        return read_stage(folder)["fingerprint"]

    first = build()
    assert build() == build(overwrite=True) == first
    before = open_units(source).config
    path.write_text(path.read_text().replace("0, 15)", "4, 15)"))  # of quiet frames, which the test tones have none of
    assert open_units(source).config == before
    with pytest.raises(ValueError, match="ids_of_checked_audio .* --overwrite"):
        build()
    assert build(overwrite=True) != first


def test_a_function_of_a_run_that_was_made_before_its_ids_were_kept_is_taken_as_it_is(tmp_path, run):
    units = open_units(make_function(tmp_path, 50)[0])
    inputs = {"utterances": run.utterances(), "pairs": run.pairs()}
    Stage(tmp_path / "model", 1, units.config.describe(), inputs).run(lambda partial: save_units(units, partial))
    before = read_stage(tmp_path / "model")
    build_external_units(tmp_path / "model", run.utterances(), run.pairs(), units, Execution())
    assert read_stage(tmp_path / "model") == before
    build_external_units(tmp_path / "model", run.utterances(), run.pairs(), units, Execution(overwrite=True))
    assert "configuration.ids_of_checked_audio" in read_stage(tmp_path / "model")["keys"]


def test_phones_without_a_frame_are_counted_and_told(tmp_path, run):
    counted = count_lost_phones(run.utterances(), frame_samples_at(12.5))
    assert 0 < counted["train_phones_lost"] < counted["train_phones"]
    assert count_lost_phones(run.utterances(), frame_samples_at(50))["train_phones_lost"] == 0
    settings = TokenizerSettings("phone_repeat", frame_samples=frame_samples_at(12.5))
    build_tokenizer(tmp_path / "phone_repeat", run.utterances(), None, settings, Execution())
    summary = json.loads((tmp_path / "phone_repeat" / "summary.json").read_text())
    assert summary["train_phones_lost"] == counted["train_phones_lost"]

    (tmp_path / "texts").mkdir()
    write_json(tmp_path / "texts" / "summary.json", {"swuggy": {"made": 1, "report": {}}})
    pairs = summarize_pairs(tmp_path / "texts", run.pairs())
    assert pairs["swuggy"]["alike_in_phone_repeat"] in (0, 1)
    results = {"modalities": {"phone_repeat": counted}, "tasks": ["swuggy"], "pairs": pairs}
    share = 100 * counted["train_phones_lost"] / counted["train_phones"]
    assert f"{share:.1f} % of the phones of the training split have none" in describe_lost_phones(results)
    assert describe_lost_phones({"modalities": {"phone_repeat": {}}}) == ""


def test_the_report_on_units_takes_either_kind_and_the_report_names_them(tmp_path, run, audio):
    source, function = make_function(tmp_path, 50)
    table = write_table(tmp_path / "table.jsonl", audio, function)
    rows = []
    for kind, units in (
        ("function", open_units(source)),
        ("table", open_units(table, frame_rate=50, codebook_size=16)),
    ):
        build_external_units(tmp_path / kind, run.utterances(), run.pairs(), units, Execution())
        report = build_unit_report(run.utterances(), tmp_path / f"{kind} report", tmp_path / kind, bpe_vocab_size=0)
        rows.append(report["rows"])
    assert rows[0] == rows[1] and {row["normalization"] for row in rows[0]} == {"none"}
    said = [
        describe_source(units.config.describe()) for units in (open_units(source), open_units(table, frame_rate=50))
    ]
    assert said[0].startswith("Units that `mine.py:levels` makes, up to 16 different ones, 50 frames a second")
    assert said[1].startswith("Units of a table of ids, up to ")


def test_other_audio_is_encoded_by_a_function_and_not_by_a_table(tmp_path, run, audio, capsys):
    pytest.importorskip("datatrove")
    source, function = make_function(tmp_path, 50)
    table = write_table(tmp_path / "table.jsonl", audio, function)
    given = {"function": open_units(source), "table": open_units(table, frame_rate=50)}
    status = {}
    for kind, units in given.items():
        build_external_units(tmp_path / kind, run.utterances(), run.pairs(), units, Execution())
        flags = ["--model_dir", str(tmp_path / kind), "--utterances_dir", str(run.utterances()), "--num_proc", "1"]
        status[kind] = main(["encode-audio", *flags, "--output_dir", str(tmp_path / f"{kind} encoded")])
    assert status == {"function": 0, "table": 2}
    assert "has a table of the ids of a run's own audio" in capsys.readouterr().err
    encoded = [
        row for path in (tmp_path / "function encoded").rglob("*.parquet") for row in pq.read_table(path).to_pylist()
    ]
    encoded = {row["id"].replace("/", "-"): row["units"] for row in encoded if "units" in row}
    assert len(encoded) == 6 and all(given["table"][name].tolist() == units for name, units in encoded.items())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--units_name", "Mine"], "--units_name says something of --units, which is not given"),
        (["--units_frame_rate", "25"], "--units_frame_rate says something of --units, which is not given"),
        (["--units", "{source}", "--encoder", "log_mel"], "--encoder log_mel is about those that are"),
        (["--units", "{source}", "--compare_seeds", "2"], "--compare_seeds 2 is about those that are"),
        (["--units", "{source}", "--modalities", "speech_syllable"], "speech_syllable pools an encoder's frames"),
        (["--units", "{source}", "--units_frame_rate", "400"], "--units_frame_rate is 400.0; it must be at most 200"),
        (["--units", "{source}", "--units_codebook_size", "4"], "and has 4 different ids, 0 to 3"),
        (["--units", "{folder}/none.jsonl", "--units_frame_rate", "50"], "There is no table"),
        (["--units", "table.jsonl", "--units_model", "m"], "a table needs none: leave it out"),
        (
            ["--units", "{source}", "--modalities", "speech_bpe", "--unit_bpe_vocab_size", "16"],
            "--unit_bpe_vocab_size is 16; it must be above the number of different units, 16",
        ),
    ],
)
def test_flags_that_do_not_go_together_start_nothing(tmp_path, flags, message, capsys):
    source, _ = make_function(tmp_path, 50)
    flags = [flag.format(source=source, folder=tmp_path) for flag in flags]
    assert main(["study", "--preset", "smoke", *flags, "--output_dir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()
