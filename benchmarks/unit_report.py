"""`evoslm unit-report` on recordings of spoken digits: processor time, with and without other work on the machine.

Digits of six Klatt voices -> WAV files and a table of words -> the report, in a process of its own; beside it the
frames alone as a loop of one file at a time makes them, for each quantizer and each step anew, with torch's threads.
"""

import csv
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evoslm.training.run.workers import count_cores

from .flags import full_or_quick

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VOICES = ("male-1", "male-4", "male-7", "female-1", "female-4", "child-2")
TAKES, TURNS, UNITS = full_or_quick((10, 3, 100), (2, 1, 20))
BUSY = full_or_quick((False, True), (False,))
# To fit on, to measure and to train BPE on, for each of two quantizers: half of the recordings each time.
PASSES = full_or_quick(6, 1)

_REPORT = """
import json, sys, tempfile, time
from evoslm.training.unit_report.measuring import build_unit_report
with tempfile.TemporaryDirectory() as folder:
    arguments = {"num_units": int(sys.argv[2]), "max_frames": 20_000}
    build_unit_report(sys.argv[1], folder, **arguments)  # imports, fonts
    start, wall = time.process_time(), time.perf_counter()
    build_unit_report(sys.argv[1], folder, **arguments)
    print(json.dumps([time.process_time() - start, time.perf_counter() - wall]))
"""

_LOOP = """
import json, sys, time
from benchmarks.unit_report import PASSES, hear
files = hear(sys.argv[1], 10)
start, wall = time.process_time(), time.perf_counter()
for _ in range(PASSES):
    hear(sys.argv[1], files // 2)
print(json.dumps([time.process_time() - start, time.perf_counter() - wall]))
"""


def run() -> str:
    with tempfile.TemporaryDirectory() as folder:
        seconds = make_digits(Path(folder), TAKES)
        table = Path(folder) / "words.csv"
        results: dict[tuple[str, bool], list[list[float]]] = {}
        for _ in range(TURNS):
            for busy in BUSY:
                for name, code in (("report", _REPORT), ("loop", _LOOP)):
                    with _others(count_cores() if busy else 0):
                        results.setdefault((name, busy), []).append(_run(code, table, UNITS))
    rows = [
        f"| {label} | {' | '.join(_cells(results[name, busy]))} | {'other work' if busy else 'nothing else'} |"
        for name, label in (("report", "the whole report"), ("loop", "frames alone, one file at a time"))
        for busy in BUSY
    ]
    return "\n".join(
        [
            "## The report on units",
            "",
            f"`build_unit_report` on {TAKES * len(VOICES) * len(DIGITS)} recordings of spoken digits in {len(VOICES)} "
            f"Klatt voices, {seconds / 60:.1f} minutes, half of them measured: two quantizers of {UNITS} units, "
            "as they are, collapsed and in BPE pieces. Processor time is that of all threads, without imports. The "
            f"last two rows are only the frames, made {PASSES} times for half of the recordings by `torchaudio`, with "
            f"torch's threads. With other work, {count_cores()} processes compute beside it. Medians "
            f"of {TURNS} turns.",
            "",
            "| | processor s | spread | s | beside |",
            "| :--- | ---: | ---: | ---: | :--- |",
            *rows,
        ]
    )


def make_digits(folder: Path, takes: int, seed: int = 0) -> float:
    """
    Speak all digits by all voices, each time at another rate and pitch.

    Args:
        folder (`Path`): Where a WAV file each goes, and `words.csv` with the columns that `evoslm unit-report` reads.
        takes (`int`): Recordings of each digit by each voice.
        seed (`int`, *optional*, defaults to 0): Of rates and pitches.

    Returns:
        `float`: Seconds of sound.
    """
    import soundfile

    from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
    from evoslm.models.audio import SAMPLE_RATE

    synthesizer, generator, rows, seconds = EspeakSynthesizer(), random.Random(seed), [], 0.0
    for voice in VOICES:
        for take in range(takes):
            for digit in DIGITS:
                pitch, rate = generator.randint(35, 65), generator.randint(140, 210)
                spoken = synthesizer.render(f"{digit.capitalize()}.", voice, pitch, rate, 0.04, 0.04)
                file = f"{digit}_{voice}_{take}.wav"
                soundfile.write(folder / file, spoken.audio, SAMPLE_RATE)
                rows += [{"file": file, "speaker": voice, **word} for word in spoken.words]
                seconds += spoken.duration
    with (folder / "words.csv").open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return seconds


def hear(table: str, most: int) -> int:
    """Make MFCC frames of some recordings, one after another, as a script does; the number that there are in all."""
    import torch
    from torchaudio.functional import compute_deltas

    from evoslm.datasets_scripts.recordings.reading import read_waveform
    from evoslm.models.speech_units import SpeechUnitConfig
    from evoslm.models.speech_units.features import MfccEncoder

    encoder = MfccEncoder(SpeechUnitConfig())
    files = sorted(Path(table).parent.glob("*.wav"))
    for path in files[:most]:
        (frames,) = encoder([torch.from_numpy(read_waveform(path, path.name)).float() / 2**15])
        delta = compute_deltas(frames[:, :13].T[None])
        torch.cat([frames[:, :13].T[None], delta, compute_deltas(delta)], dim=1)
    return len(files)


@contextmanager
def _others(number: int) -> Iterator[None]:
    """Processes that compute all the time."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _run(code: str, table: Path, units: int) -> list[float]:
    command = [sys.executable, "-c", code, str(table), str(units)]
    output = subprocess.run(command, capture_output=True, text=True)
    if output.returncode:
        raise RuntimeError(output.stderr)
    return json.loads(output.stdout.strip().splitlines()[-1])


def _cells(turns: list[list[float]]) -> list[str]:
    """Median and spread of the processor time, and the median of the time by the clock."""
    processor, clock = (sorted(values) for values in zip(*turns))
    middle = len(turns) // 2
    return [f"{processor[middle]:.2f}", f"{processor[0]:.2f} to {processor[-1]:.2f}", f"{clock[middle]:.2f}"]
