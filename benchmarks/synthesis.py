"""Text to FLAC rows on disk: times real time, and memory at two corpus sizes."""

import json
import subprocess
import sys

from evoslm.training.run.workers import count_cores

from .common import full_or_quick

WORDS = full_or_quick((10_000, 40_000), (200, 400))

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
        ]
    )
