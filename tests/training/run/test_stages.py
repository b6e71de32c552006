"""Stages are whole or absent, resumed where they stopped, and never taken for another configuration's."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evoslm.training.run import stage as module
from evoslm.training.run.stage import Stage, read_fingerprint

ROOT = Path(__file__).parents[3]


def write_result(folder):
    (folder / "result.txt").write_text("done")


def test_a_finished_stage_is_not_built_again(tmp_path):
    stage = Stage(tmp_path / "a", 1, {"k": 1})
    assert stage.run(write_result)
    assert not stage.run(lambda folder: pytest.fail("built twice"))
    assert stage.is_finished()


def test_an_interrupted_stage_is_absent_and_finds_its_work_again(tmp_path):
    stage = Stage(tmp_path / "a", 1, {"k": 1})

    def stop_half_way(folder):
        (folder / "half.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage.run(stop_half_way)
    assert not (tmp_path / "a").exists()

    def go_on(folder):
        assert (folder / "half.txt").read_text() == "half"

    assert stage.run(go_on)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["half.txt", "stage.json"]


def test_interrupted_work_of_another_configuration_is_kept_until_it_is_given_up(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        Stage(tmp_path / "a", 1, {"k": 1}).run(lambda folder: ((folder / "half.txt").write_text("x"), _stop()))
    other = Stage(tmp_path / "a", 1, {"k": 2})
    with pytest.raises(ValueError, match=r"was begun with another configuration: k \(1 there, 2 now\)"):
        other.run(write_result)
    assert (tmp_path / ".a.partial" / "half.txt").exists()
    other.run(write_result, overwrite=True)
    assert not (tmp_path / "a" / "half.txt").exists()


def _stop():
    raise KeyboardInterrupt


def test_another_configuration_is_refused_by_name_and_redone_on_request(tmp_path):
    Stage(tmp_path / "a", 1, {"group": {"k": 1}, "same": 3}).run(write_result)
    other = Stage(tmp_path / "a", 1, {"group": {"k": 2}, "same": 3})
    with pytest.raises(ValueError, match=r"group\.k \(1 there, 2 now\)") as caught:
        other.run(write_result)
    assert "same" not in str(caught.value)
    assert other.run(write_result, overwrite=True)


def test_a_changed_input_changes_what_reads_it(tmp_path):
    first = Stage(tmp_path / "first", 1, {"k": 1})
    first.run(write_result)
    second = Stage(tmp_path / "second", 1, {}, {"first": first.folder})
    second.run(write_result)
    Stage(tmp_path / "first", 2, {"k": 1}).run(write_result, overwrite=True)
    assert not second.is_finished()
    with pytest.raises(ValueError, match="inputs.first"):
        second.run(write_result)


def test_a_stage_needs_its_inputs(tmp_path):
    with pytest.raises(FileNotFoundError, match="run the commands before"):
        Stage(tmp_path / "b", 1, {}, {"first": tmp_path / "none"}).run(write_result)


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match="not made by evoslm"):
        Stage(tmp_path / "a", 1, {}).run(write_result, overwrite=True)
    assert (tmp_path / "a" / "thesis.txt").read_text() == "precious"


def test_a_truncated_record_is_not_taken_for_a_finished_stage(tmp_path):
    stage = Stage(tmp_path / "a", 1, {"k": 1})
    stage.run(write_result)
    (tmp_path / "a" / "stage.json").write_text(json.dumps({"fingerprint": "x"})[:-3])
    assert not stage.is_finished()
    with pytest.raises(FileNotFoundError):
        read_fingerprint(tmp_path / "a")


def replace_and_die(folder, step):
    """Replace a finished stage in another process, which dies in front of the given operation on files."""
    done = 0

    def counted(operation):
        def call(*arguments, **options):
            nonlocal done
            if done == step:
                os._exit(9)
            done += 1
            return operation(*arguments, **options)

        return call

    child = os.fork()
    if child == 0:
        try:
            for owner, name in ((os, "replace"), (shutil, "rmtree"), (module, "write_json")):
                setattr(owner, name, counted(getattr(owner, name)))
            Stage(folder, 1, {"k": 2}).run(lambda partial: (partial / "result.txt").write_text("new"), overwrite=True)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_kill_at_any_step_of_a_replacement_loses_neither(tmp_path):
    old = Stage(tmp_path / "a", 1, {"k": 1})
    new = Stage(tmp_path / "a", 1, {"k": 2})
    for step in range(100):
        shutil.rmtree(tmp_path)
        old.run(lambda partial: (partial / "result.txt").write_text("old"))
        died = replace_and_die(tmp_path / "a", step)
        whole = {path.read_text() for path in tmp_path.glob("**/result.txt") if (path.parent / "stage.json").exists()}
        assert whole and whole <= {"old", "new"}, step
        if not died:
            break
        if new.is_finished() or "old" not in whole:
            assert not new.run(lambda partial: pytest.fail("what was whole is built again"))
        else:
            new.run(lambda partial: (partial / "result.txt").write_text("new"), overwrite=True)
        assert (tmp_path / "a" / "result.txt").read_text() == "new"
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["a"]
    assert not died and step > 5


def test_a_kill_between_the_two_renames_leaves_the_old_result_or_the_new_to_be_found(tmp_path):
    Stage(tmp_path / "a", 1, {"k": 1}).run(write_result)
    (tmp_path / "a").rename(tmp_path / ".a.replaced")
    assert not Stage(tmp_path / "a", 1, {"k": 1}).run(lambda folder: pytest.fail("built again"))
    assert (tmp_path / "a" / "result.txt").read_text() == "done"


def test_one_process_builds_a_stage_and_the_other_is_told_which(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from evoslm.training.run.stage import Stage\n"
        f"Stage(Path({str(tmp_path / 'a')!r}), 1, {{'k': 1}})"
        ".run(lambda folder: (print('building', flush=True), sys.stdin.read()))"
    )
    first = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline() == "building\n"
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=f"is being built by process {first.pid} on"):
            Stage(tmp_path / "a", 1, {"k": 1}).run(write_result, overwrite)
    first.kill()
    first.wait()
    assert Stage(tmp_path / "a", 1, {"k": 1}).run(write_result)


def test_a_package_of_another_version_is_said_of_what_is_finished_and_stops_what_is_not(tmp_path, capsys, monkeypatch):
    stage = Stage(tmp_path / "a", 1, {"k": 1}, packages=("numpy", "not-installed"))
    with pytest.raises(KeyboardInterrupt):
        stage.run(lambda folder: _stop())
    known = module.installed_versions
    monkeypatch.setattr(module, "installed_versions", lambda packages: known(packages) | {"numpy": "0.1"})
    with pytest.raises(ValueError, match=r"was begun with numpy \S+ \(now 0.1\)\. Install that version again"):
        stage.run(write_result)
    assert stage.run(write_result, overwrite=True) and not stage.run(write_result)
    assert capsys.readouterr().err == ""
    monkeypatch.undo()
    assert not stage.run(write_result)
    assert "was made with numpy 0.1 (now " in capsys.readouterr().err


OTHER_RANK = """
import sys
from pathlib import Path
from evoslm.training.run.stage import Stage

folder, together = Path(sys.argv[1]), sys.argv[2] == "together"

def build(partial):
    (partial / "part-1").write_text("of the other process")
    assert together

print("waits", flush=True)
print(Stage(folder / "second", 1, {}, {"first": folder / "first"}).run(build, together=together))
"""


@pytest.mark.parametrize("how", ["alone", "together"])
def test_of_several_processes_the_main_one_builds_and_the_others_wait_or_take_part(tmp_path, how):
    first = Stage(tmp_path / "first", 1, {})
    if how == "together":
        first.run(lambda partial: None)
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_RANK, str(tmp_path), how],
        env=os.environ | {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "waits\n"
    first.run(lambda partial: None)  # who waits, waits for what comes before, too

    def build(partial):
        (partial / "part-0").write_text("of the main process")
        while how == "together" and not (partial / "part-1").is_file():
            assert other.poll() is None or other.returncode == 0

    assert Stage(tmp_path / "second", 1, {}, {"first": tmp_path / "first"}).run(build)
    assert other.wait(60) == 0 and other.stdout.read() == "False\n"
    assert (tmp_path / "second" / "part-1").is_file() == (how == "together")


POSIX_ALONE = {"resource", "fcntl", "pwd", "grp", "termios", "pty", "syslog", "posix"}


def test_where_there_is_no_resource_a_stage_is_built_without_its_peak_memory(tmp_path):
    code = (
        "import sys; sys.modules['resource'] = None\n"
        "from pathlib import Path\n"
        "from evoslm.training.run.stage import Stage\n"
        "folder = Path(sys.argv[1])\n"
        "assert Stage(folder, 1, {'k': 1}).run(lambda partial: (partial / 'result.txt').write_text('done'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "a" / "stage.json").read_text())["peak_memory_mb"] is None
    assert Stage(tmp_path / "a", 1, {"k": 1}).is_finished()


def test_nothing_imports_what_windows_has_not_without_a_way_round():
    found = []
    for room in ("models", "datasets_scripts", "metrics", "training", "spaces", "evoslm"):
        for path in (ROOT / room).rglob("*.py"):
            # Those of the module itself: what stands in a `try` or a function is reached by who looks first.
            for node in ast.parse(path.read_text()).body:
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                found += [(path, name) for name in names if name.split(".")[0] in POSIX_ALONE]
    assert not found
