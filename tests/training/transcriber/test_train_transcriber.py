"""A transcriber of a run's units or phones: what it is trained on, what it learns, and what the report says of it."""

import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_recognizers import save_whisper

from evoslm import UnitTranscriber, UnitTranscriberConfig
from evoslm.training.cli import main
from evoslm.training.run.study_file import open_run
from evoslm.training.transcriber import training as module
from evoslm.training.transcriber.batches import TranscriberBatches, choose_upsampling
from evoslm.training.transcriber.symbols import SpokenUtterance
from evoslm.training.transcriber.training import TranscriberArguments, read_split, train_transcriber

TINY = {"hidden_size": 32, "num_hidden_layers": 1, "batch_size": 4, "max_steps": 6, "warmup_steps": 2}
TINY |= {"eval_steps": 3, "device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def run(finished_run, tmp_path_factory):
    ignore = shutil.ignore_patterns("models", "scores", "pairs", "report", "tokenizers")
    return shutil.copytree(finished_run, tmp_path_factory.mktemp("transcriber") / "run", ignore=ignore)


@pytest.fixture(scope="module")
def trained(run):
    return train_transcriber(TranscriberArguments(str(run), **TINY))


def make_utterance(symbols, text, words, borders) -> SpokenUtterance:
    middles = (np.arange(len(symbols)) + 0.5) / 50
    return SpokenUtterance("made-up", text, np.array(symbols), middles, words, np.array(borders))


def make_model(**changes) -> UnitTranscriber:
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64, "num_units": 100}
    return UnitTranscriber(UnitTranscriberConfig(**(sizes | changes)))


# What is read


@pytest.mark.parametrize("modality", ["speech_dedup", "phone_raw", "phone_repeat"])
def test_symbols_have_the_times_of_their_words(run, modality):
    utterances = read_split(open_run(run), "test", modality)
    for utterance in utterances:
        assert len(utterance.borders) == len(utterance.words) + 1
        every_word = [utterance.cut(first, first + 1) for first in range(len(utterance.words))]
        # None is lost, none is in two words.
        assert np.concatenate([symbols for symbols, _ in every_word]).tolist() == utterance.symbols.tolist()
        assert " ".join(text for _, text in every_word) == " ".join(utterance.words)
        symbols, text = utterance.second_half()
        assert symbols.tolist() == utterance.symbols[-len(symbols) :].tolist() and utterance.text.endswith(text)
        assert 0 < len(symbols) < len(utterance.symbols)


def test_units_are_those_of_the_run_and_phones_are_repeated_at_their_rate(run):
    units, phones, repeated = (
        read_split(open_run(run), "test", name) for name in ("speech_units", "phone_raw", "phone_repeat")
    )
    for unit_row, phone_row, repeated_row in zip(units, phones, repeated):
        assert unit_row.id == phone_row.id == repeated_row.id
        assert len(unit_row.symbols) == len(repeated_row.symbols) > len(phone_row.symbols)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 12), st.integers(0, 12))
def test_a_cut_takes_the_symbols_between_its_words(first, last):
    # Twelve words of 40 ms: two frames each.
    words = tuple("abcdefghijkl")
    utterance = make_utterance(range(24), " ".join(words), words, [-np.inf, *(0.04 * np.arange(1, 12)), np.inf])
    first, last = sorted((first, last))
    symbols, text = utterance.cut(first, last)
    assert symbols.tolist() == list(range(2 * first, 2 * last)) and text == " ".join(words[first:last])


def test_a_step_is_drawn_from_the_seed_and_its_number(run):
    utterances = read_split(open_run(run), "train", "speech_dedup")
    model = make_model(num_units=int(max(utterance.symbols.max() for utterance in utterances)) + 1)
    first, second = (TranscriberBatches(utterances, model, 4, 0.5, seed=1) for _ in range(2))
    steps = [0, 2 * first.steps_per_epoch + 1, 1]
    for step in steps:
        for ours, theirs in zip(first.batch(step)[:2], second.batch(step)[:2]):
            assert torch.equal(ours, theirs)
    other = TranscriberBatches(utterances, model, 4, 0.5, seed=2)
    assert other.batch(0)[0].tolist() != first.batch(0)[0].tolist()
    # An epoch has every utterance once, and without cuts whole.
    whole = TranscriberBatches(utterances, model, 4, 0.0, seed=1)
    rows = [row for step in range(whole.steps_per_epoch) for row in whole.batch(step)[1].tolist()]
    read = sorted([label for label in row if label >= 0] for row in rows)
    assert read == sorted(model.read_text(utterance.text) for utterance in utterances)


def test_what_cannot_be_aligned_is_left_out_and_counted():
    fits = make_utterance(range(12), "a cat", ("a", "cat"), [-np.inf, 0.2, np.inf])
    too_long = make_utterance(range(8), "a cattle", ("a", "cattle"), [-np.inf, 0.02, np.inf])
    silent = make_utterance(range(12), "...", (), [-np.inf])
    data = TranscriberBatches([fits, too_long, silent], make_model(), 2, 0.0, seed=0)
    assert data.utterances == [fits]
    assert [row["reason"] for row in data.skipped] == [
        "8 steps of 8 symbols are too few for a text that needs 9.",
        "It has no words.",
    ]
    with pytest.raises(ValueError, match="None of 1 training utterances can be aligned .*; raise --upsampling"):
        TranscriberBatches([too_long], make_model(), 2, 0.0, seed=0)
    # A part may be denser than the whole: its draws are counted, and add no loss.
    dense = make_utterance(range(12), "a cattle", ("a", "cattle"), [-np.inf, 0.18, np.inf])
    cuts = TranscriberBatches([dense], make_model(), 1, 1.0, seed=0)
    assert {cuts.batch(step)[2] for step in range(20)} == {0, 1}


def test_labels_of_a_symbol_are_as_many_as_the_texts_need():
    utterance = make_utterance([1, 1, 2, 3], "abcdef", ("abcdef",), [-np.inf, np.inf])
    assert choose_upsampling([utterance], collapse=False) == 3  # 1.5 * 6 / 4
    assert choose_upsampling([utterance], collapse=True) == 3  # 1.5 * 6 / 3
    assert choose_upsampling([make_utterance(range(20), "abcdef", ("abcdef",), [-np.inf, np.inf])], True) == 1


# What is trained


def test_a_transcriber_is_trained_and_its_errors_are_counted(trained):
    history = json.loads((trained / "model" / "training.json").read_text())
    assert history["steps"] == 6 and [found["step"] for found in history["validation"]] == [3, 6]
    assert history["best"] == min(history["validation"], key=lambda found: found["cer"])
    files = {path.name for path in trained.iterdir() if not path.name.startswith(".")}
    assert files == {"model", "report.md", "results.json", "transcripts.jsonl"}
    results = json.loads((trained / "results.json").read_text())["transcripts"]
    parts = {"whole utterances", "second halves"}
    assert set(results) == parts | {f"{part}, likeliest labels" for part in parts}
    for found in results.values():
        assert found["wer"]["low"] <= found["wer"]["value"] <= found["wer"]["high"]
        assert found["cannot_be_aligned"] == 0 and found["utterances"] > 1
    model = UnitTranscriber.from_pretrained(trained / "model")
    rows = [json.loads(line) for line in (trained / "transcripts.jsonl").read_text().splitlines()]
    assert len(rows) == 4 * results["second halves"]["utterances"]
    written = {word for row in rows if row["part"] in parts for word in row["transcript"].split()}
    assert written and written <= set(model.config.words)
    assert model.config.collapse and model.config.modality == "speech_dedup"
    assert "| second halves |" in (trained / "report.md").read_text()


def test_phones_are_learned(run, tmp_path):
    changes = {"hidden_size": 64, "dropout": 0.0, "unit_dropout": 0.0, "cut_share": 1.0, "batch_size": 8}
    changes |= {"max_steps": 100, "eval_steps": 50, "learning_rate": 5e-3, "warmup_steps": 10}
    arguments = TranscriberArguments(str(run), str(tmp_path / "out"), "phone_raw", **{**TINY, **changes})
    folder = train_transcriber(arguments)
    history = json.loads((folder / "model" / "training.json").read_text())
    assert np.mean(history["train"][-5:]) < 0.5 * np.mean(history["train"][:5])
    # Before it has learned anything, it writes nothing: 100 %.
    found = json.loads((folder / "results.json").read_text())["transcripts"]
    assert max(found[part]["cer"]["value"] for part in found) < 0.6
    model = UnitTranscriber.from_pretrained(folder / "model")
    assert model.config.upsampling > 1 and not model.config.collapse
    assert len(model.transcribe([["SIL", "K", "AE1", "T", "SIL"]])) == 1


def test_a_training_that_is_killed_ends_with_the_same_weights(run, trained, tmp_path, monkeypatch):
    share = module.learning_rate_share

    def kill(step, *settings):
        if step == 4:
            raise KeyboardInterrupt
        return share(step, *settings)

    arguments = TranscriberArguments(str(run), str(tmp_path / "out"), **TINY)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(module, "learning_rate_share", kill)
        train_transcriber(arguments)
    assert not (tmp_path / "out" / "model").exists()
    folder = train_transcriber(arguments)
    weights, expected = (UnitTranscriber.from_pretrained(path / "model").state_dict() for path in (folder, trained))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert (folder / "results.json").read_text() == (trained / "results.json").read_text()


def test_a_training_ends_when_nothing_improves(run, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_validate", lambda model, utterances: {"cer": 0.5, "wer": 0.9})
    changes = {"max_steps": 50, "eval_steps": 1, "patience": 2}
    folder = train_transcriber(TranscriberArguments(str(run), str(tmp_path / "out"), **{**TINY, **changes}))
    history = json.loads((folder / "model" / "training.json").read_text())
    assert history["steps"] == 3 and history["best"]["step"] == 1


def test_the_command_lets_a_recogniser_hear_the_same_units(run, trained, tmp_path, capsys):
    whisper = save_whisper(tmp_path / "whisper")
    flags = [f"--{name}={value}" for name, value in TINY.items()]
    before = (trained / "model" / "model.safetensors").stat().st_mtime_ns
    command = ["train-transcriber", str(run), *flags, "--transcriber", str(whisper), "--max_heard", "2"]
    assert main(command) == 0
    assert (trained / "model" / "model.safetensors").stat().st_mtime_ns == before
    results = json.loads((trained / "results.json").read_text())
    heard = {name for name in results["transcripts"] if name.startswith("heard: ")}
    assert heard == {"heard: as recorded", "heard: codebook"}
    assert results["transcripts"]["heard: codebook"]["utterances"] == 2
    assert "| heard: codebook | 2 |" in (trained / "report.md").read_text()
    assert main(["train-transcriber", str(run), *flags]) == 0
    assert json.loads((trained / "results.json").read_text())["transcripts"] == results["transcripts"]
    record = json.loads((trained / "heard" / "stage.json").read_text())
    record["keys"]["configuration.sounds.codebook"] = "of units that were there before"
    (trained / "heard" / "stage.json").write_text(json.dumps(record))
    assert main(["train-transcriber", str(run), *flags]) == 0
    assert "heard" not in (trained / "report.md").read_text().partition("| :--- |")[2]
    shutil.rmtree(trained / "heard")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"modality": "phone_raw", "transcriber": "x"},
            "--transcriber hears units by a vocoder, and phone_raw has none",
        ),
        ({"modality": "text_bpe"}, "--modality is 'text_bpe'; choose from speech_dedup, "),
        ({"cut_share": 2.0}, "--cut_share is 2.0; it must be at most 1"),
        ({"hidden_size": 30}, "hidden_size is 30; it must be a multiple of num_attention_heads"),
        ({"transcriber": "nowhere/at-all"}, "nowhere/at-all"),
    ],
)
def test_mistakes_are_one_sentence(run, tmp_path, changes, message, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    arguments = {**TINY, "output_dir": str(tmp_path / "out"), **changes}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train_transcriber(TranscriberArguments(str(run), **arguments))


def test_a_run_without_units_can_still_read_phones(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("units", "transcribers"))
    with pytest.raises(FileNotFoundError, match="holds no finished stage"):
        train_transcriber(TranscriberArguments(str(copy), **TINY))
    assert (train_transcriber(TranscriberArguments(str(copy), None, "phone_repeat", **TINY)) / "report.md").is_file()


def test_another_configuration_is_named(run, trained):
    with pytest.raises(ValueError, match="unit_dropout"):
        train_transcriber(TranscriberArguments(str(run), **TINY, unit_dropout=0.3))
