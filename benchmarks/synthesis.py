"""
Text to FLAC rows on disk: times real time, and memory at two corpus sizes; with `--piper VOICE` a neural voice beside
espeak's, in seconds of speech a second of a core.
"""

import json
import os
import subprocess
import sys

from evoslm.training.run.workers import count_cores

from .flags import PIPER, full_or_quick

WORDS = full_or_quick((10_000, 40_000), (200, 400))
NEURAL_WORDS = full_or_quick(800, 100)
ROUNDS = full_or_quick(3, 1)

_CODE = """
import json, resource, sys, tempfile, time
from evoslm.datasets_scripts.stories.rich.generation import generate_stories
from evoslm.datasets_scripts.synthesis.utterances import render_utterances
if __name__ == "__main__":
    words, num_proc = int(sys.argv[1]), int(sys.argv[2])
    passages = list(generate_stories(words, 0))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        style = {"voices": "many", "rate": "fixed", "seed": 0}
        summary = render_utterances(passages, folder, num_proc=num_proc, progress=False, **style)
        wall = time.perf_counter() - start
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"seconds": summary["seconds"], "wall": wall, "peak_mb": peak / 1024}))
"""

_CODE_OF_A_CORE = """
import json, sys, tempfile, time
from evoslm.datasets_scripts.stories.simple.generation import generate_stories
from evoslm.datasets_scripts.synthesis.utterances import render_utterances
passages = list(generate_stories(int(sys.argv[1]), 0))
names = ["espeak", f"piper:{sys.argv[2]}"]
rates = {name: [] for name in names}
for name in names * (1 + int(sys.argv[3])):  # the first round of each loads it
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        summary = render_utterances(passages, folder, voices="one", synthesizer=name, progress=False)
        rates[name].append(summary["seconds"] / (time.process_time() - start))
print(json.dumps([rates[name][1:] for name in names]))
"""


def run() -> str:
    rows = []
    for words, num_proc in ((WORDS[0], 1), (WORDS[0], count_cores()), (WORDS[1], count_cores())):
        output = subprocess.run(
            [sys.executable, "-c", _CODE, str(words), str(num_proc)], capture_output=True, text=True, check=True
        )
        result = json.loads(output.stdout)
        rate = result["seconds"] / result["wall"]
        rows.append(
            f"| {words:,} | {num_proc} | {result['seconds'] / 3600:.2f} | {result['wall']:.1f} | {rate:.0f} | "
            f"{result['peak_mb']:.0f} |"
        )
    return "\n".join(
        [
            "## Speech synthesis",
            "",
            "Generated stories to FLAC rows with word and phone times on disk, many voices, workers' start included.",
            "",
            "| words | processes | hours of speech | seconds | times real time | peak MB of one process |",
            "| ---: | ---: | ---: | ---: | ---: | ---: |",
            *rows,
            *(_neural_rows(os.environ[PIPER]) if PIPER in os.environ else ()),
        ]
    )


def _neural_rows(voice: str) -> list[str]:
    """A voice of Piper beside espeak, in turn, in one process with one thread."""
    command = [sys.executable, "-c", _CODE_OF_A_CORE, str(NEURAL_WORDS), voice, str(ROUNDS)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    espeak, neural = (sorted(rates) for rates in json.loads(output))
    return [
        "",
        f"{NEURAL_WORDS:,} words of simple stories in one voice, {ROUNDS} rounds in turn, seconds of speech a second "
        "of a core (median, lowest, highest):",
        "",
        "| espeak | a Piper voice |",
        "| ---: | ---: |",
        "| " + " | ".join(f"{r[len(r) // 2]:.0f} ({r[0]:.0f} to {r[-1]:.0f})" for r in (espeak, neural)) + " |",
    ]
