"""Every command and snippet of README and docs runs on a tiny run and a Hub on loopback, or could."""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import doc_snippets
import pytest
from doc_props import fill_hub, make_props
from doc_snippets import (
    CHECKED,
    LONG,
    NOT_CODE,
    ROOT,
    PythonChecker,
    Snippet,
    check_commands,
    check_inline,
    dry_runs,
    read_snippets,
)
from hub_server import HubServer

from benchmarks.__main__ import make_parser
from evoslm.training.arguments.command_flags import COMMANDS

CARDS = doc_snippets.cards()
PAGES = {page.relative_to(ROOT).as_posix(): page for page in doc_snippets.pages()}
OTHER_FLAGS = {"help", "help_all", *re.findall(r"--(\w+)", make_parser().format_help())}  # of the benchmarks, too
OTHER_FLAGS |= {"nproc_per_node", "num_gpus", "config_file", "module"}  # of launchers
OTHER_FLAGS |= {"model_args", "tasks"}  # of lm-evaluation-harness
SNIPPETS = {name: [item for item in read_snippets(page) if item.language in CHECKED] for name, page in PAGES.items()}


# All of them run in one process that the first test waits for.
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def outcomes(finished_run, tmp_path_factory) -> dict[str, dict]:
    """What became of each snippet when all of them ran, or were checked if they are long."""
    folder = tmp_path_factory.mktemp("snippets")
    props = make_props(folder / "props", finished_run)
    plan = {"props": str(props), "folder": str(folder / "pages")}
    plan["pages"] = {name: list(map(asdict, snippets)) for name, snippets in SNIPPETS.items()}
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    script = Path(doc_snippets.__file__).with_name("run_snippets.py")
    with HubServer() as hub:
        fill_hub(hub, props, folder)
        # Launchers say to their processes who they are; nothing of the kind is to reach a snippet.
        environment = os.environ | hub.environment(folder / "cache") | {"EVOSLM_CACHE": str(folder / "evoslm-cache")}
        done = subprocess.run(
            [sys.executable, str(script), str(folder / "plan.json")], env=environment, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads((folder / "outcomes.json").read_text(encoding="utf-8"))
    return {
        snippet.name: outcome for name, snippets in SNIPPETS.items() for snippet, outcome in zip(snippets, found[name])
    }


@pytest.mark.parametrize(
    "snippet", [item for items in SNIPPETS.values() for item in items], ids=lambda item: item.name
)
def test_a_snippet_runs_or_could(snippet, outcomes):
    error = outcomes[snippet.name]["error"]
    assert error is None, error


@pytest.mark.parametrize("page", [*PAGES.values(), *CARDS], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_fence_says_what_it_is_and_marks_are_known(page):
    assert unknown_fences(page) == []


def unknown_fences(page: Path) -> list[str]:
    """Fences that nothing runs, checks or knows not to be code."""
    found = []
    for snippet in read_snippets(page):
        found += [] if snippet.language in (*CHECKED, *NOT_CODE) else [f"{snippet.name}: is no {snippet.language!r}"]
        found += [] if snippet.mark in (None, LONG) else [f"{snippet.name}: <!-- {snippet.mark} --> means nothing"]
    return found


@pytest.mark.parametrize(
    ("fence", "fault"),
    [
        ("```bash\n", None),
        ("<!-- long -->\n```python\n", None),
        ("```\n", "no ''"),
        ("```sh\n", "no 'sh'"),
        ("<!-- slow -->\n```bash\n", "slow"),
    ],
)
def test_a_fence_without_a_language_or_with_another_mark_is_found(tmp_path, fence, fault):
    page = tmp_path / "page.md"
    page.write_text(f"One.\n\n{fence}evoslm study\n```\n", encoding="utf-8")
    found = unknown_fences(page)
    assert found == [] if fault is None else fault in found[0]


@pytest.mark.parametrize("name", PAGES)
def test_commands_in_prose_have_their_names_and_flags_right(name):
    for command in doc_snippets.inline_commands(PAGES[name]):
        check_inline(command)


@pytest.mark.parametrize("name", PAGES)
def test_files_and_flags_in_prose_are_there(name):
    page = PAGES[name]
    for file in doc_snippets.named_files(page):
        of_a_run = file.startswith("models/seed-")
        assert of_a_run or (doc_snippets.ROOT / file).exists() or (page.parent / file).exists(), file
    for flag in doc_snippets.named_flags(page) - OTHER_FLAGS:
        assert any(command.takes(flag) for command in COMMANDS.values()), f"no command has --{flag}"


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.relative_to(ROOT).as_posix())
def test_snippets_of_a_card_could_run(card):
    snippets = [item for item in read_snippets(card) if item.language in CHECKED]
    checker = PythonChecker()
    assert snippets
    for snippet in snippets:
        assert snippet.language == "python", f"{snippet.name}: nothing runs it"
        checker.check(snippet)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("evoslm studdy", "Unknown command"),
        ("evoslm study --modality text_bpe", "is a flag of score"),
        ("evoslm study --modalities text_ppe", "text_ppe"),
        ("evoslm score runs/laptop/models/none --modality text_bpe", "a run has no"),
        ("torchrun --prcesses 4 -m evoslm.training.cli pretrain", "2"),
        ("accelerate launch --config_file none.yaml -m evoslm.training.cli pretrain", "none.yaml"),
        ("make nothing", "no target"),
        ('pip install "evoslm[nothing]"', "no extra"),
        ("curl example", "no program that is known"),
    ],
)
def test_a_long_command_that_could_not_run_is_found(tmp_path, code, fault):
    (tmp_path / "runs" / "laptop").mkdir(parents=True)
    with pytest.raises((AssertionError, ValueError, SystemExit), match=fault):
        check_commands(Snippet("page.md", 1, "bash", code, LONG), tmp_path)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("import evoslm\nevoslm.metric_paths('swuggy')", "does not exist"),
        ("import evoslm\nevoslm.metric_path('swuggy', title='words')", "unexpected keyword"),
        (
            "from evoslm import UnitTranscriber as T\nt = T.from_pretrained('x')\nt.transcribe([], beam=1)",
            "beam",
        ),
        ("from evoslm.models.slu import SluPipeline as P\np = P.from_pretrained('x')\np(speech='clip.wav')", "speech"),
        ("from evoslm import prepares", "prepares"),
        ("print(audio)", "nothing here is called audio"),
        ("print(", "never closed"),
    ],
)
def test_a_long_snippet_of_python_that_could_not_run_is_found(code, fault):
    with pytest.raises((AssertionError, ImportError, SyntaxError), match=fault):
        PythonChecker().check(Snippet("page.md", 1, "python", code, LONG))


def test_a_long_snippet_of_python_that_could_run_passes():
    code = "from evoslm import UnitTranscriber\nreader = UnitTranscriber.from_pretrained('x')\n"
    PythonChecker().check(Snippet("page.md", 1, "python", f"{code}reader.transcribe([[1]], num_beams=1)", LONG))


def test_commands_that_have_a_dry_run_are_asked_so():
    code = "torchrun -m evoslm.training.cli pretrain\nmake demo\nevoslm demo runs/laptop\n"
    assert dry_runs(code) == []
    code = "evoslm release runs/laptop --namespace user\n.venv/bin/evoslm study --dry_run  # all\n"
    assert dry_runs(code) == [
        ["release", "runs/laptop", "--namespace", "user", "--dry_run"],
        ["study", "--dry_run"],
    ]


def test_marks_and_lines_of_fences_are_read(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "One.\n\n<!-- long -->\n```bash\nmake \\\n  study  # all\n```\n\n```python\nx = 1\n```\n", encoding="utf-8"
    )
    long, short = read_snippets(page)
    assert (long.mark, long.line, doc_snippets.split_commands(long.code)) == (LONG, 4, [["make", "study"]])
    assert (short.mark, short.line, short.code) == (None, 9, "x = 1\n")
