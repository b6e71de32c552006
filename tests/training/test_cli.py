"""Every command can be found, says what it takes, and names a mistake in one sentence."""

import subprocess
import sys

import pytest

from evoslm.training import cli
from evoslm.training.arguments.command_flags import COMMANDS


def help_of(command, flag, capsys) -> str:
    with pytest.raises(SystemExit) as end:
        cli.main([command, flag])
    assert end.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_on_two_screens_and_names_what_lists_every_flag(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    lines = help_of(command, "--help", capsys).rstrip().splitlines()
    assert len(lines) <= 100 and max(map(len, lines)) <= 100
    assert lines[0].startswith(f"usage: evoslm {command} ")
    assert any(line == f"evoslm {command} {COMMANDS[command].example}" for line in lines[:6])
    assert lines[-1] == f"`evoslm {command} --help_all` lists every flag."


@pytest.mark.parametrize("command", COMMANDS)
def test_help_all_lists_every_flag_under_the_name_of_its_group(command, capsys):
    printed = help_of(command, "--help_all", capsys)
    positional = "run_dir" if COMMANDS[command].reads_run else ""
    for group, names in COMMANDS[command].groups().items():
        assert names == (positional,) or group.__doc__.split()[0] in printed
        assert all(f"\n  --{name} " in printed for name in names)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commonest_flags_are_flags(command):
    assert all(COMMANDS[command].takes(name) for name in COMMANDS[command].common)


def test_help_of_a_preset_shows_its_values(capsys):
    with pytest.raises(SystemExit):
        cli.main(["study", "--preset", "smoke", "--help"])
    assert "(default: 6000)" in capsys.readouterr().out


def test_all_commands_are_listed(capsys):
    assert cli.main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n  {command} " in printed for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_flag_is_named(command, capsys):
    needed = {"encode-audio": ["--model_dir", "m", "--output_dir", "o"], "zerospeech": ["--zerospeech_dir", "z"]}
    needed["export-audio"] = ["--to", "t"]
    needed["export-units"] = ["--benchmark_dir", "b", "--to", "t"]
    needed["release"] = ["--namespace", "n"]
    needed["finetune"] = ["--task", "t", "--output_dir", "o"]
    assert cli.main([command, *needed.get(command, []), "--colour", "red"]) == 2
    assert "Unknown flag '--colour'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["build-dataset", "--epochs", "3"], "--epochs is a flag of pretrain, evaluate, study, pretrain-joint, "),
        (["build-dataset", "--num_units=50"], "--num_units is a flag of fit-units, train-tokenizer, pretrain, "),
        (["fit-units", "--unit_bpe_vocab_size", "9"], "--unit_bpe_vocab_size is a flag of train-tokenizer, "),
        (["train-tokenizer", "--training-seeds", "1"], "--training-seeds is a flag of pretrain, evaluate, study"),
        (["build-dataset", "--num_devices", "2"], "--num_devices is a flag of pretrain, evaluate, study, not of "),
        (["score", "--preset", "smoke"], "--preset is a flag of build-dataset, "),
        (["train-vocoder", "r", "--split", "dev"], "--split is a flag of zerospeech, transcribe, not of train-"),
    ],
)
def test_a_flag_of_another_command_is_refused_and_the_command_is_named(argv, message, capsys):
    assert cli.main(argv) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_a_run_where_none_is_read_is_refused(capsys):
    assert cli.main(["study", "runs/laptop"]) == 2
    assert "`evoslm study` takes no 'runs/laptop'" in capsys.readouterr().err


def test_a_report_on_units_needs_something_to_read(capsys):
    assert cli.main(["unit-report"]) == 2
    assert "Give a finished run (`evoslm unit-report RUN`), or both" in capsys.readouterr().err


def test_help_needs_no_heavy_imports():
    code = "import sys; from evoslm.training.cli import main; main(['--help']); "
    code += "assert not {'torch', 'transformers'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
