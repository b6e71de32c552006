"""`evoslm zerospeech`: every modality of a run on the same official items, and the challenge's files."""

import json
import shutil

import pytest
import torch
import yaml
from tiny_joint_model import make_joint_model
from transformers import LlamaConfig, LlamaForCausalLM
from zerospeech_layout import BABY_WORDS, SENTENCES, VOICES, WORDS, make_babyslm_layout, make_layout

from evoslm.datasets_scripts.recordings.reading import read_speech
from evoslm.models.phones import ARPABET
from evoslm.models.scoring import score_pairs
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel
from evoslm.models.tokenizers.by_modality import train_tokenizer
from evoslm.training.cli import main
from evoslm.training.external_units.quantizers import load_quantizer, open_units, save_units
from evoslm.training.run.folder import Run
from evoslm.training.run.stage import fingerprint_files
from evoslm.training.run.study_file import FORMAT
from evoslm.training.score.pair_files import load_for_scoring
from evoslm.training.stages.units import encoding

CONTENTS = {
    "text_raw": ["abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ.,'"],
    "phone_raw": [" ".join(ARPABET)],
    "phone_repeat": [" ".join(ARPABET)],
    "speech_units": [],
    "speech_syllable_unsupervised": [],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What `evoslm zerospeech` reads of a finished run, with models that were never trained."""
    run = Run(tmp_path_factory.mktemp("run"), "many")
    run.utterances().mkdir(parents=True)
    run.study_file.write_text(json.dumps({"format": FORMAT, "voices": "many"}))
    (run.utterances() / "summary.json").write_text(json.dumps({"stretch_factor": 4}))
    for seed, (name, contents) in enumerate(CONTENTS.items()):
        tokenizer = train_tokenizer(name, contents, num_units=None if contents else 20)
        shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
        config = LlamaConfig(vocab_size=len(tokenizer), bos_token_id=tokenizer.bos_token_id, **shape)
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(run.model(name, 0))
        tokenizer.save_pretrained(run.model(name, 0))
    for name, config in (
        ("speech_units", {}),
        ("speech_syllable_unsupervised", {"segment_parts": 1, "segmentation": {}}),
    ):
        SpeechUnitModel(SpeechUnitConfig(num_units=20, **config)).save_pretrained(run.quantizer(name))
    return run


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return make_layout(tmp_path_factory.mktemp("zerospeech"))


def call(run, layout, folder, *flags):
    places = [str(run.folder), "--zerospeech_dir", str(layout), "--output_dir", str(folder)]
    return main(["zerospeech", *places, "--num_proc", "1", "--device", "cpu", *flags])


def test_every_modality_is_asked_the_official_items(run, layout, tmp_path, capsys):
    assert call(run, layout, tmp_path / "out") == 0
    captured = capsys.readouterr()
    printed = captured.out
    assert "Loading weights" not in captured.err  # a bar a model
    record = json.loads((tmp_path / "out" / "zerospeech.json").read_text())
    assert set(record["results"]) == {"text_raw", "phone_raw", "speech_units", "speech_syllable_unsupervised"}
    assert "would need times" in record["left_out"]["phone_repeat"] and "phone_repeat" in printed
    for name, by_rule in record["results"].items():
        assert set(by_rule["sum"]["lexical"]["by_voice"]) == set(VOICES)
        for task in ("lexical", "syntactic"):
            assert by_rule["sum"][task]["n"] == by_rule["mean"][task]["n"] == len(WORDS) == len(SENTENCES)
            lines = (tmp_path / "out" / "submission" / name / task / "dev.txt").read_text().splitlines()
            assert len(lines) == 2 * 3 * len(VOICES) and all(float(line.split()[1]) < 0 for line in lines)
    meta = tmp_path / "out" / "submission" / "speech_units" / "meta.yaml"
    asked = yaml.safe_load(meta.read_text())
    assert asked["benchmark_name"] == "sLM21" and asked["model_info"]["system_description"].startswith("Speech-")
    assert asked["publication"]["authors"].startswith("<")  # the challenge refuses what is still open
    of_text = meta.parent.parent / "text_raw" / "meta.yaml"
    filled_in = of_text.read_text().replace("<to be filled in: their full names>", "Me")
    of_text.write_text(filled_in)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet")}
    assert call(run, layout, tmp_path / "out", "--modalities", "text_raw") == 0
    assert of_text.read_text() == filled_in
    assert {path: path.stat().st_mtime_ns for path in written} == written  # nothing is made twice


def test_the_encoder_is_as_precise_as_in_the_run(run, layout, tmp_path, monkeypatch):
    asked = []

    def load(folder, dtype):
        asked.append(dtype)
        return load_quantizer(folder, dtype=dtype)

    monkeypatch.setattr(encoding, "load_quantizer", load)
    shutil.copytree(run.folder, tmp_path / "run")
    of_bf16 = Run(tmp_path / "run", "many")
    study = {"format": FORMAT, "voices": "many", "configuration": {"units": {"encoder_precision": "bf16"}}}
    of_bf16.study_file.write_text(json.dumps(study))
    for which, precision, ending in ((run, torch.float32, ""), (of_bf16, torch.bfloat16, "-bf16")):
        asked.clear()
        assert call(which, layout, tmp_path / "out", "--modalities", "speech_units") == 0
        assert set(asked) == {precision}
        units = f"units-speech_units-{fingerprint_files(which.quantizer('speech_units'))}{ending}"
        assert (tmp_path / "out" / units).is_dir()
        assert (tmp_path / "out" / f"scores-speech_units-seed-0{ending}").is_dir()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--modalities", "text_bpe"], "has no text_bpe model of seed 0"),
        (["--training_seed", "3"], "has no model of seed 3"),
        (["--split", "train"], "--split is 'train'; choose from dev, test"),
        (["--zerospeech_dir", "nowhere"], "gold.csv"),
    ],
)
def test_a_mistake_ends_in_one_sentence(run, layout, tmp_path, capsys, flags, message):
    assert call(run, layout, tmp_path / "out", *flags) == 2
    assert message in capsys.readouterr().err


def units_of_layout(run, layout) -> dict[str, list[int]]:
    """The units of each of the challenge's recordings, by the run's quantizer."""
    model = SpeechUnitModel.from_pretrained(run.quantizer("speech_units"))
    paths = sorted(layout.glob("*/dev/*.wav"))
    return {path.stem: model.units([read_speech(path)])[0].tolist() for path in paths}


@pytest.fixture(scope="module")
def of_table(run, layout, tmp_path_factory):
    """A run whose units are a table of its own audio, with the other run's model; and a table of the challenge."""
    folder = tmp_path_factory.mktemp("table") / "run"
    shutil.copytree(run.folder, folder)
    other = Run(folder, "many")
    shutil.rmtree(other.quantizer("speech_units"))
    other.quantizer("speech_units").mkdir()
    own = folder / "own.jsonl"
    own.write_text(json.dumps({"file": "utterance-1", "units": list(range(20))}) + "\n")
    save_units(open_units(str(own), frame_rate=50), other.quantizer("speech_units"))
    table = folder / "challenge.jsonl"
    rows = [{"file": f"/data/{name}.wav", "units": ids} for name, ids in units_of_layout(run, layout).items()]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return other, table


def read(folder):
    return json.loads((folder / "zerospeech.json").read_text())


def test_units_from_elsewhere_come_as_a_table_of_the_recordings(run, of_table, layout, tmp_path):
    other, table = of_table
    flags = ["--modalities", "speech_units"]
    assert call(run, layout, tmp_path / "own", *flags) == 0
    assert call(other, layout, tmp_path / "without", *flags) == 0
    assert "by --units" in read(tmp_path / "without")["left_out"]["speech_units"]
    assert call(other, layout, tmp_path / "table", *flags, "--units", str(table)) == 0
    assert read(tmp_path / "table")["results"] == read(tmp_path / "own")["results"]
    lexical = "submission/speech_units/lexical/dev.txt"
    assert (tmp_path / "table" / lexical).read_text() == (tmp_path / "own" / lexical).read_text()


def test_a_table_that_does_not_fit_is_refused_first(run, of_table, layout, tmp_path, capsys):
    other, table = of_table
    rows = table.read_text().splitlines(keepends=True)
    short, wide = tmp_path / "short.jsonl", tmp_path / "wide.jsonl"
    short.write_text("".join(rows[1:]))
    wide.write_text("".join(rows) + json.dumps({"file": "more", "units": [20]}) + "\n")
    for which, units, message in (
        (other, short, "lacks 1 of the 24 recordings"),
        (other, wide, "has ids up to 20, and the run's units are 0 to 19"),
        (other, tmp_path / "no.jsonl", "There is no table"),
        (run, table, "has a quantizer of its own"),
    ):
        assert call(which, layout, tmp_path / "out", "--modalities", "speech_units", "--units", str(units)) == 2
        error = capsys.readouterr().err
        assert message in error and len(error.splitlines()) == 1


def test_joint_models_are_asked_in_speech(run, layout, tmp_path, capsys):
    shutil.copytree(run.folder, tmp_path / "run")
    joint = Run(tmp_path / "run", "many")
    for name in ("ast", "text"):
        make_joint_model(joint.folder / "joint" / "models" / name / "seed-0")
    (joint.folder / "joint" / "results.json").write_text(json.dumps({"configuration": {"units": "runs"}}))
    assert call(joint, layout, tmp_path / "out", "--joint_models", "ast") == 0
    record = read(tmp_path / "out")
    assert list(record["results"]) == ["joint_ast"]  # text has never seen speech, and nothing else was asked for
    lines = (tmp_path / "out" / "submission" / "joint_ast" / "lexical" / "dev.txt").read_text().splitlines()
    name, score = lines[0].split()
    units = units_of_layout(run, layout)[name]
    runs = [unit for place, unit in enumerate(units) if place == 0 or unit != units[place - 1]]
    model, tokenizer = load_for_scoring(*[joint.folder / "joint" / "models" / "ast" / "seed-0"] * 2, "cpu")
    content = "<speech> " + "".join(f"▪{unit}" for unit in runs)
    pair = {"task": "swuggy", "id": "a", "positive": content, "negative": content}
    assert float(score) == pytest.approx(score_pairs(model, tokenizer, [pair])[0]["positive"], abs=1e-4)
    assert call(joint, layout, tmp_path / "out", "--joint_models", "text") == 2
    assert "no joint model 'text' of speech" in capsys.readouterr().err
    assert call(joint, layout, tmp_path / "out", "--joint_models", "cst") == 2
    assert "has no joint model cst of seed 0" in capsys.readouterr().err


def test_babyslm_has_words_with_several_pseudo_words(run, tmp_path):
    layout = make_babyslm_layout(tmp_path / "babyslm")
    flags = ["--benchmark", "babyslm", "--modalities", "text_raw", "speech_units"]
    assert call(run, layout, tmp_path / "out", *flags) == 0
    record = read(tmp_path / "out")
    assert record["benchmark"] == "babyslm" and record["recordings_without_a_score"]["text_raw"]["lexical"] == 0
    for by_rule in record["results"].values():
        assert by_rule["sum"]["lexical"]["n"] == len(BABY_WORDS)  # words, not pairs
    gold = (layout / "lexical" / "dev" / "gold.csv").read_text().splitlines()[1:]
    folder = tmp_path / "out" / "submission"
    # Of text the first voice alone, a line a row of gold.csv and in its order; of speech a line a recording.
    text = [line.split()[0] for line in (folder / "text_raw" / "lexical" / "dev.txt").read_text().splitlines()]
    assert text == [row.split(",")[0] for row in gold if f",{VOICES[0]}," in row]
    speech = [line.split()[0] for line in (folder / "speech_units" / "lexical" / "dev.txt").read_text().splitlines()]
    assert sorted(speech) == sorted({row.split(",")[0] for row in gold})
