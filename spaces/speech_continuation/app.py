"""The file that a Hub runs: the page with the models that `space.json` names.

`evoslm demo runs/laptop` opens the same page with the models of a run.
"""

import contextlib
import json
from pathlib import Path

with contextlib.suppress(ImportError):
    import spaces  # noqa: F401  # before torch, where a Hub lends GPUs

from evoslm.spaces import speech_continuation

HERE = Path(__file__).parent

if __name__ == "__main__":
    space = json.loads((HERE / "space.json").read_text(encoding="utf-8"))
    if not space["models"]:
        raise SystemExit("space.json names no models: `evoslm release` fills it in, or write their ids into it.")
    report = HERE / "report"
    demo = speech_continuation.build_demo(
        space["models"], utterances=space["utterances"], report=report if report.is_dir() else None
    )
    speech_continuation.launch_demo(demo)
