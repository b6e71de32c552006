"""Runs the snippets of pages, each page in a folder of its own: `python run_snippets.py PLAN`.

`PLAN`, a JSON file with `props` (a folder), `folder` and the snippets of each page -> `outcomes.json` beside it: of
each snippet the error or null, and seconds of processor time. The snippets of a page share a folder, and those of
Python their names, as if a reader had typed them; `evoslm` runs in this process, which imports everything once. What
is marked as long is checked in the same place, and those of its commands that have a `--dry_run` do that, once.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from doc_snippets import LONG, PythonChecker, Snippet, check_commands, dry_runs, split_commands, without_launcher

from evoslm.training.cli import main

MOST_SECONDS = 300
"""Of a snippet, on a machine that is busy: one that takes longer does not end."""


class Page:
    """
    The place where the snippets of a page run.

    Args:
        folder (`Path`): Made here; it has a link to everything that lies in `props`.
        props (`Path`): What snippets speak of.
    """

    asked: set[tuple[str, ...]] = set()  # dry runs of all pages, which need no second

    def __init__(self, folder: Path, props: Path):
        folder.mkdir(parents=True)
        for prop in props.iterdir():
            (folder / prop.name).symlink_to(prop)
        self.folder = folder
        self.names = {"__name__": "__main__"}
        self.checker = PythonChecker()

    def run(self, snippet: Snippet) -> None:
        """Run or check the next snippet."""
        if snippet.language == "python":
            self.run_python(snippet)
        elif snippet.mark == LONG:
            check_commands(snippet, self.folder)
            self.run_dry(snippet)
        else:
            self.run_bash(snippet)

    def run_python(self, snippet: Snippet) -> None:
        """A snippet that begins with the name of a file is written to it, too."""
        first = snippet.code.split("\n", 1)[0]
        if first.startswith("# ") and first.endswith(".py"):
            Path(first[2:]).write_text(snippet.code, encoding="utf-8")
        self.checker.check(snippet)
        if snippet.mark != LONG:
            exec(compile(snippet.code, snippet.name, "exec"), self.names)

    def run_bash(self, snippet: Snippet) -> None:
        """Command by command, the first that fails being the last."""
        for words in split_commands(snippet.code):
            program, *arguments = without_launcher(words)
            status = main(arguments) if program == "evoslm" else subprocess.run(words).returncode
            if status:
                raise RuntimeError(f"status {status} of {' '.join(words)}")

    def run_dry(self, snippet: Snippet) -> None:
        """What its commands would need or do; they find what the snippets before have left here."""
        for arguments in dry_runs(snippet.code):
            if tuple(arguments) not in self.asked:
                self.asked.add(tuple(arguments))
                if status := main(arguments):
                    raise RuntimeError(f"status {status} of evoslm {' '.join(arguments)}")


def give_up(*_) -> None:
    """End a snippet that does not end, such as one that serves a page."""
    raise RuntimeError(f"it was not finished after {MOST_SECONDS} s; mark it as long")


def run_page(folder: Path, props: Path, snippets: list[dict]) -> list[dict]:
    """What became of each snippet of a page."""
    page = Page(folder, props)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    outcomes = []
    for snippet in snippets:
        error, begun = None, time.process_time()
        signal.alarm(MOST_SECONDS)
        try:
            page.run(Snippet(**snippet))
        except (Exception, SystemExit):  # a launcher's parser exits
            error = traceback.format_exc()
        signal.alarm(0)
        outcomes.append({"error": error, "seconds": time.process_time() - begun})
    sys.path.remove(str(folder))
    return outcomes


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, give_up)
    plan_file = Path(sys.argv[1])
    plan = json.loads(plan_file.read_text(encoding="utf-8"))
    outcomes = {
        page: run_page(Path(plan["folder"]) / page.replace("/", "-"), Path(plan["props"]), snippets)
        for page, snippets in plan["pages"].items()
    }
    plan_file.with_name("outcomes.json").write_text(json.dumps(outcomes), encoding="utf-8")
