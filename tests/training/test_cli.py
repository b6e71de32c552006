"""Every command can be found, says what it takes, and names a mistake in one sentence."""

import subprocess
import sys

import pytest

from evoslm.training import cli


@pytest.mark.parametrize("command", [*cli._STUDY, *cli._ALONE])
def test_a_command_lists_its_flags(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    printed = capsys.readouterr().out
    assert end.value.code == 0
    assert f"usage: evoslm {command}" in printed and "--output_dir" in printed
    assert f"\n  {command} " in cli.USAGE


@pytest.mark.parametrize("command", [*cli._STUDY, *cli._ALONE])
def test_a_wrong_flag_is_named(command, capsys):
    needed = {"score": ["--model_id", "m", "--pairs", "p", "--output_dir", "o"], "train-vocoder": ["--run_dir", "r"]}
    needed |= {"pretrain-encoder": ["--run_dir", "r"], "encode-audio": ["--model_dir", "m", "--output_dir", "o"]}
    needed["zerospeech"] = ["--run_dir", "r", "--zerospeech_dir", "z"]
    assert cli.main([command, *needed.get(command, []), "--colour", "red"]) == 2
    assert "Unknown flag '--colour'" in capsys.readouterr().err


def test_a_report_on_units_needs_something_to_read(capsys):
    assert cli.main(["unit-report"]) == 2
    assert "Give --run_dir, a finished run, or both" in capsys.readouterr().err


def test_help_needs_no_heavy_imports():
    code = "import sys; from evoslm.training.cli import main; main(['--help']); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
