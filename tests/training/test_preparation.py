"""A dry run reckons what a corpus would take, and makes nothing."""

import re

import pytest

from evoslm.training.arguments.parsing import parse_arguments
from evoslm.training.commands import build_dataset, run_study
from evoslm.training.preparation import describe_preparation
from evoslm.training.study import Study


def _describe(command="evaluate", words=1_000_000, **flags):
    given = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    arguments = parse_arguments(["--max_words", str(words), "--num_proc", "2", *given])
    return describe_preparation(Study(arguments), command, 1e15)


def _all(text):
    """Core hours, device hours and GB of the last row."""
    return [float(value.replace(",", "")) for value in re.search(r"\nall +(.*)", text)[1].split()]


def test_disk_and_hours_grow_with_the_words_and_memory_does_not():
    one, ten = _describe(), _describe(words=10_000_000)
    assert _all(ten) == pytest.approx([10 * value for value in _all(one)], rel=0.01, abs=0.1)
    memory = [re.search(r"([\d.,]+) GiB of memory", text)[1] for text in (one, ten)]
    assert memory[0] == memory[1]


def test_a_command_reckons_what_it_does_itself():
    rows = {command: _describe(command) for command in ("build-dataset", "fit-units", "train-tokenizer", "evaluate")}
    assert "units of frames, many" not in rows["build-dataset"] and "units of frames, many" in rows["fit-units"]
    assert "ids of text_bpe" in rows["train-tokenizer"] and "n-grams" not in rows["train-tokenizer"]
    assert "n-grams" in rows["evaluate"]


def test_an_encoder_with_weights_takes_device_hours_and_is_not_looked_for():
    text = _describe("fit-units", encoder="nobody/no-such-encoder", encoder_layer=21)
    assert _all(text)[1] > 0 and "reckoned as HuBERT-large" in text


def test_a_dry_run_of_a_study_makes_nothing(tmp_path, capsys):
    flags = ["--preset", "paper", "--output_dir", str(tmp_path / "run"), "--dry_run", "--device_tflops", "700"]
    run_study(parse_arguments(flags))
    said = capsys.readouterr().out
    assert "Preparation of 500,000,000 words" in said and "977.4 M" in said
    build_dataset(parse_arguments(flags[:-2], "build-dataset"))
    assert "speech, many" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()
