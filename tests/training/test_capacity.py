"""More processes than cores, and less memory than is needed: one sentence before anything long starts."""

import pytest

from evoslm.training.arguments.parsing import parse_arguments
from evoslm.training.capacity import check_capacity
from evoslm.training.cli import main
from evoslm.training.preparation import reckon_memory
from evoslm.training.run.memory import Memory, read_memory
from evoslm.training.run.workers import count_cores
from evoslm.training.study import Study

GIB = 2.0**30
AMPLE = Memory(1e6 * GIB, 1e6 * GIB)


def study(*flags: str) -> Study:
    return Study(parse_arguments(["--preset", "smoke", "--device", "cpu", *flags]))


def complain(capsys, memory: Memory, *flags: str) -> str:
    check_capacity(study(*flags), "evaluate", memory)
    return capsys.readouterr().err


def test_nothing_is_said_where_there_is_enough(capsys):
    assert complain(capsys, AMPLE, "--num_proc", "1") == ""


def test_more_processes_than_cores_are_said_and_work(capsys):
    cores = count_cores()
    said = complain(capsys, AMPLE, "--num_proc", str(cores + 1))
    assert said == (
        f"evoslm: --num_proc {cores + 1} is more than the {cores} cores there are; it works, but is no faster than "
        f"{cores}.\n"
    )


def test_less_memory_than_needed_is_said_with_a_number_of_processes_that_fits(capsys):
    flags = ("--num_proc", "8", "--modalities", "text_raw")
    fits = reckon_memory(study(*flags), "evaluate", 3) + GIB / 4
    said = complain(capsys, Memory(fits, 1e6 * GIB), *flags).splitlines()[-1]
    assert "GiB of memory are needed with --num_proc 8" in said and said.endswith("--num_proc 3 needs less.")
    said = complain(capsys, Memory(GIB, 1e6 * GIB), *flags)
    assert "close other programs, or take a larger machine." in said


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--hidden_size", "8192", "--num_hidden_layers", "40", "--modalities", "text_raw"], "smaller --hidden_size"),
        (["--fit_frames", "900000000", "--max_words", "100000000"], "lower --fit_frames 900000000"),
    ],
)
def test_what_cannot_work_is_refused(flags, message):
    with pytest.raises(ValueError, match=message):
        check_capacity(study(*flags), "evaluate", Memory(8 * GIB, 8 * GIB))


def test_a_text_that_was_not_read_may_be_short(tmp_path, capsys):
    flags = ["--corpus", "text", "--text_dir", str(tmp_path), "--fit_frames", "900000000", "--max_words", "100000000"]
    assert "may be killed on the way" in complain(capsys, Memory(8 * GIB, 8 * GIB), *flags)


def test_the_memory_of_this_machine_is_read():
    memory = read_memory()
    assert memory is None or 0 < memory.free < memory.most


def test_a_vocabulary_that_the_text_does_not_give_is_refused_before_anything_is_spoken(tmp_path, capsys):
    flags = [
        "--preset",
        "smoke",
        "--max_words",
        "2000",
        "--bpe_vocab_size",
        "9000",
        "--output_dir",
        str(tmp_path / "r"),
    ]
    assert main(["study", *flags]) == 2
    assert "a vocabulary of 9000 is too large for this corpus, which yields" in capsys.readouterr().err
    assert [folder.name for folder in (tmp_path / "r" / "corpus").iterdir() if folder.is_dir()] == ["passages"]
