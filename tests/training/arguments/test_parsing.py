"""Preset underneath, flags on top: what a study's commands and the others read from a command line."""

import re

import pytest

from evoslm.training.arguments.parsing import parse_arguments, parse_group
from evoslm.training.cli import main


def test_a_flag_stands_over_the_preset_and_the_preset_over_the_defaults():
    arguments = parse_arguments(["--preset", "smoke", "--max-words", "7000"], "build-dataset")
    assert (arguments.corpus.max_words, arguments.pairs.pairs_per_task) == (7000, 40)
    # Of groups that build-dataset takes no flags of, too.
    assert (arguments.pretrain.epochs, arguments.units.num_units, arguments.units.kmeans) == (1, 50, "minibatch")
    assert arguments == parse_arguments(["--max_words=7000", "--preset=smoke"], "study")


def test_a_number_in_a_preset_may_be_written_as_yaml_reads_no_number(tmp_path):
    (tmp_path / "mine.yaml").write_text("learning_rate: 1e-3\nnum_units: 77\n")
    arguments = parse_arguments(["--preset", str(tmp_path / "mine.yaml")], "build-dataset")
    assert (arguments.pretrain.learning_rate, arguments.units.num_units) == (0.001, 77)


@pytest.mark.parametrize(
    ("command", "flags", "message"),
    [
        ("study", ["--corpus", "novels"], "--corpus is 'novels'; choose from stories, text, hub, audio, libriheavy."),
        ("study", ["--voices", "x"], "--voices is 'x'; choose from one, many."),
        ("pretrain", ["--attention", "none"], "--attention is 'none'; choose from auto, packed, "),
        ("unit-report", ["--normalizations", "none", "x"], "--normalizations is 'x'; choose from none, utterance, "),
        ("unit-report", ["--perturbations", "mp3", "aac"], "--perturbations is 'aac'; choose from pitch_up, pitch_"),
        ("encode-audio", ["--output_dir", "o", "--executor", "x"], "--executor is 'x'; choose from local, slurm, ray"),
        ("train-vocoder", ["run", "--voices", "x"], "--voices is 'x'; choose from one, many."),
        ("study", ["--preset"], "--preset: expected one argument"),
    ],
)
def test_a_wrong_choice_is_refused_with_the_choices(command, flags, message, capsys):
    assert main([command, *flags]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_a_wrong_choice_in_a_preset_is_refused_with_the_choices(tmp_path):
    (tmp_path / "mine.yaml").write_text("voices: three\n")
    with pytest.raises(ValueError, match=re.escape("--voices is 'three'; choose from one, many.")):
        parse_arguments(["--preset", str(tmp_path / "mine.yaml")])


def test_flags_go_by_their_old_names_for_a_while_and_say_so(capsys):
    arguments = parse_arguments(["--preset", "smoke", "--seed", "5", "--seeds", "1", "2"])
    assert arguments.corpus.corpus_seed == 5 and arguments.run.training_seeds == [1, 2]
    assert capsys.readouterr().out.splitlines() == [
        "evoslm: --seed is --corpus_seed now; the old name goes with the next release.",
        "evoslm: --seeds is --training_seeds now; the old name goes with the next release.",
    ]
    assert parse_group(["r", "--zerospeech_dir", "z", "--seed", "3"], "zerospeech").training_seed == 3
    assert "--seed is --training_seed now" in capsys.readouterr().out


def test_flags_by_their_own_names_say_nothing(capsys):
    arguments = parse_arguments(["--preset", "smoke", "--corpus-seed", "5", "--training_seeds", "1", "2"])
    assert arguments.corpus.corpus_seed == 5 and arguments.run.training_seeds == [1, 2]
    assert parse_group(["r", "--seed", "3"], "train-vocoder").seed == 3  # of weights and segments, as ever
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "argv",
    [
        ["runs/a", "--zerospeech_dir", "z", "--modalities", "text_raw", "phone_raw"],
        ["--zerospeech_dir", "z", "--modalities", "text_raw", "phone_raw", "--split", "dev", "runs/a"],
        ["--run_dir", "runs/a", "--zerospeech_dir", "z", "--modalities", "text_raw", "phone_raw"],
        ["--zerospeech_dir=z", "--run-dir=runs/a", "--modalities", "text_raw", "phone_raw"],
    ],
)
def test_a_run_stands_anywhere_or_has_a_flag(argv):
    arguments = parse_group(argv, "zerospeech")
    assert (arguments.run_dir, arguments.zerospeech_dir) == ("runs/a", "z")
    assert arguments.modalities == ["text_raw", "phone_raw"]


def test_a_lexicon_is_read_before_any_work_and_belongs_to_simple_stories(tmp_path):
    with pytest.raises(FileNotFoundError, match="--lexicon names a YAML file"):
        parse_arguments(["--lexicon", str(tmp_path / "none.yaml")])
    path = tmp_path / "own.yaml"
    path.write_text("shared: {}", encoding="utf-8")
    with pytest.raises(ValueError, match="has not the form of a lexicon"):
        parse_arguments(["--lexicon", str(path)])
    with pytest.raises(ValueError, match="--lexicon has words for simple stories"):
        parse_arguments(["--stories", "rich", "--lexicon", str(path)])


@pytest.mark.parametrize("flags", [["--num_units", "7"], ["--fit_frames", "1000"], ["--kmeans", "torch"]])
def test_flags_of_a_fit_do_not_go_with_units_that_are_not_fitted(tmp_path, flags):
    (tmp_path / "units.jsonl").write_text('{"file": "a.wav", "units": [1, 2]}\n')
    units = ["--units", str(tmp_path / "units.jsonl"), "--units_frame_rate", "50", "--modalities", "speech_units"]
    assert parse_arguments(["--preset", "smoke", *units]).units.num_units == 50
    with pytest.raises(ValueError, match=f"not fitted, and {' '.join(flags)} is about those that are; leave out one"):
        parse_arguments(["--preset", "smoke", *units, *flags])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--training_seeds", "0", "1", "0"], "--training_seeds 0 1 0 names a seed twice"),
        (["--training_seeds", "-1"], "--training_seeds is -1; it must be at least 0"),
        (["--hidden_size", "6", "--num_attention_heads", "2"], "makes heads of 3; their width has to be even"),
        (["--study", "joint", "--replicates", "2"], "--study joint has no report over replicates"),
    ],
)
def test_what_no_study_can_do_is_refused_before_any_work(argv, message):
    with pytest.raises(ValueError, match=message):
        parse_arguments(["--preset", "smoke", *argv])
