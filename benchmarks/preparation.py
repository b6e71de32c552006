"""What the preparation of a corpus takes, stage by stage: peak memory at several numbers of words, work and disk.

`python -m benchmarks.preparation speech 500000 2000000` makes generated stories into speech, pairs, units, tokenizers
and n-grams, once for each number of words; `text` does without audio, with a phone a letter, and so takes minutes.
With `--text_dir FOLDER` the text is the .txt files of a folder. Memory is that of all processes together, without the
pages of files that the system keeps in spare memory. The work and the disk of a million words are what `--dry_run`
reckons with (`training/preparation.py`).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from evoslm.models.phones import ARPABET, SIL

_SECONDS_BETWEEN_LOOKS = 0.1
_MARK = "evoslm: "
_TEXT_MODALITIES = ("text_bpe", "text_raw", "phone_bpe", "phone_raw", "phone_repeat")
_SILENCE = 0.2
_PHONE_SECONDS = 0.08
_STRETCH = 4


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preparation", description=__doc__)
    parser.add_argument("kind", choices=("speech", "text"))
    parser.add_argument("words", nargs="+", type=int, help="Sizes of the corpora.")
    parser.add_argument("--num_proc", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="Keep the runs here; by default they are made elsewhere and go.")
    parser.add_argument("--text_dir", type=Path, help="Read these .txt files, where stories are generated else.")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        prepare(arguments.kind, arguments.words[0], arguments.folder, arguments.num_proc, arguments.text_dir)
        return
    measured = {}
    for words in arguments.words:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (arguments.folder or Path(temporary)) / f"{arguments.kind}-{words}"
            measured[words] = measure(arguments.kind, words, folder, arguments.num_proc, arguments.text_dir)
            print(describe(arguments.kind, measured), flush=True)


def prepare(kind: str, words: int, folder: Path, num_proc: int, text_dir: Path | None = None) -> None:
    """Prepare a corpus, in a process that is watched; every stage says its name as it begins."""
    # Imported here: workers that are spawned import this module again, and need none of it.
    from evoslm.training.arguments.command_flags import find_command
    from evoslm.training.arguments.parsing import parse_command
    from evoslm.training.commands import train_tokenizers
    from evoslm.training.study import Study

    flags = f"--preset laptop --max_words {words} --output_dir {folder} --num_proc {num_proc} --pairs_per_task 100"
    if kind == "text":
        flags += f" --modalities {' '.join(_TEXT_MODALITIES)}"
    given = flags.split() + (["--corpus", "text", "--text_dir", str(text_dir)] if text_dir else [])
    arguments = parse_command(given, find_command("study"))
    study = Study(arguments)
    if kind == "text":
        _say("text")
        study.build_text()
        _say("rows")
        _write_silent_rows(study)
        _say("summary")
        study.summarize()
        _say("minimal pairs")
        study.build_pair_texts()
        _say("tokenizers")
        for name in arguments.modalities:
            build, settings = study.tokenizer_job(name)
            build(**settings)
    else:
        train_tokenizers(arguments)  # with all that comes before
        _say("n-grams")
        for name in arguments.modalities:
            build, settings = study.baseline_job(name)
            build(**settings)
    _say("end")
    sys.stdin.read()  # until its times have been read


def _write_silent_rows(study) -> None:
    from evoslm.datasets_scripts.shards.utterance_rows import build_utterance_shards
    from evoslm.datasets_scripts.text.passages import read_passages
    from evoslm.models.files import write_json
    from evoslm.training.run.folder import PASSAGES_FILE, SUMMARY_FILE
    from evoslm.training.run.stage import Stage

    passages = read_passages(study.run.passages / PASSAGES_FILE)

    def build(folder: Path) -> None:
        build_utterance_shards(passages, _split_of, silent_row, {}, folder)
        write_json(folder / SUMMARY_FILE, {"stretch_factor": _STRETCH})

    Stage(study.run.utterances(), 1, {}, {"passages": study.run.passages}).run(build, False)


def silent_row(passage, settings: dict) -> list[dict]:
    """A row of a passage that nobody spoke: a phone a letter, each as long as the others."""
    phones, end = [{"phone": SIL, "start": 0.0, "end": _SILENCE}], _SILENCE
    for letter in passage.text:
        if letter.isalpha():
            phone = {"phone": ARPABET[ord(letter.lower()) % 70], "start": end, "end": end + _PHONE_SECONDS}
            phones.append(phone)
            end = phone["end"]
    phones.append({"phone": SIL, "start": end, "end": end + _SILENCE})
    return [
        {"id": passage.id, "document": passage.document, "topic": passage.topic, "text": passage.text}
        | {"speaker": "nobody", "rate": 175, "audio": None, "duration": end + _SILENCE, "words": [], "phones": phones}
    ]


def _split_of(passage) -> str:
    return passage.split


def _say(stage: str) -> None:
    print(f"{_MARK}{stage}", flush=True)


def measure(
    kind: str, words: int, folder: Path, num_proc: int, text_dir: Path | None = None
) -> dict[str, dict[str, float]]:
    """
    Prepare a corpus in processes that are watched.

    Returns:
        `dict[str, dict[str, float]]`: For each stage its peak of `memory` of all processes (MB), without and
        (`with_files`) with the pages of files that it read, `seconds` and `core_seconds`; and of the folder, as
        `disk`, its `memory` (MB).
    """
    command = [sys.executable, "-m", "benchmarks.preparation", kind, str(words), "--folder", str(folder), "--inside"]
    command += ["--text_dir", str(text_dir)] if text_dir else []
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    child = subprocess.Popen(
        [*command, "--num_proc", str(num_proc)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    watch = _Watch(psutil.Process(child.pid))
    threading.Thread(target=watch.run, daemon=True).start()
    for line in child.stdout:
        if line.startswith(_MARK):
            stage = line.removeprefix(_MARK).strip()
            watch.begin(stage)
            if stage == "end":
                child.stdin.close()
    if child.wait():
        sys.exit(f"The preparation of {words} words ended with exit status {child.returncode}.")
    return watch.stages() | {"disk": {"memory": _size(folder) / 1e6}}


class _Watch:
    """Looks at a process and all below it: at its memory several times a second, at its times as a stage begins."""

    def __init__(self, process: psutil.Process):
        self._process, self._stage, self._begun_at, self._cpu_at = process, "start", time.perf_counter(), 0.0
        self._stages: dict[str, dict[str, float]] = {}

    def begin(self, stage: str) -> None:
        """End the stage before, and say what it took. A stage that comes again goes on."""
        now, cpu = time.perf_counter(), _core_seconds(self._process)
        values = self._values(self._stage)
        values["seconds"] += now - self._begun_at
        values["core_seconds"] += cpu - self._cpu_at
        print(f"{self._stage}: " + ", ".join(f"{k} {v:,.1f}" for k, v in values.items()), file=sys.stderr, flush=True)
        self._stage, self._begun_at, self._cpu_at = stage, now, cpu

    def run(self) -> None:
        while self._process.is_running():
            own = with_files = 0.0
            for process in _tree(self._process):
                try:
                    memory = process.memory_info()
                except psutil.NoSuchProcess:
                    continue
                own += memory.rss - memory.shared
                with_files += memory.rss
            values = self._values(self._stage)
            values["memory"] = max(values["memory"], own / 1e6)
            values["with_files"] = max(values["with_files"], with_files / 1e6)
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def stages(self) -> dict[str, dict[str, float]]:
        return {stage: values for stage, values in self._stages.items() if stage != "end"}

    def _values(self, stage: str) -> dict[str, float]:
        return self._stages.setdefault(stage, dict.fromkeys(("memory", "with_files", "seconds", "core_seconds"), 0.0))


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _core_seconds(process: psutil.Process) -> float:
    """Of a process and all below it; those that ended are in the times of who waited for them."""
    total = 0.0
    for each in _tree(process):
        try:
            total += sum(each.cpu_times()[:4])  # user, system, and both of children that were waited for
        except psutil.NoSuchProcess:
            continue
    return total


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def describe(kind: str, measured: dict[int, dict[str, dict[str, float]]]) -> str:
    """A table of the stages: peaks at each number of words, and the work of a million words at the largest."""
    sizes, largest = sorted(measured), measured[max(measured)]
    head = " | ".join(f"peak MB at {words:,}" for words in sizes)
    lines = [
        f"## Preparation of {kind}",
        "",
        f"| stage | {head} | core seconds per million words |",
        f"| :--- |{' ---: |' * (len(sizes) + 1)}",
    ]
    for stage, values in largest.items():
        if stage == "disk":
            continue
        peaks = " | ".join(f"{measured[words][stage]['memory']:,.0f}" for words in sizes)
        lines.append(f"| {stage} | {peaks} | {values['core_seconds'] / max(sizes) * 1e6:,.0f} |")
    names = [stage for stage in largest if stage != "disk"]
    for name, what in (("memory", "highest"), ("with_files", "highest, with pages of files")):
        peaks = " | ".join(f"{max(measured[words][stage][name] for stage in names):,.0f}" for words in sizes)
        lines.append(f"| {what} | {peaks} | |")
    disk = " | ".join(f"{measured[words]['disk']['memory']:,.0f}" for words in sizes)
    return "\n".join([*lines, f"| MB on the disk | {disk} | |"])


if __name__ == "__main__":
    main()
