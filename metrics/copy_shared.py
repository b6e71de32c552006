"""Copy what the pair metrics share into their folders, each of which the Hub loads by itself.

`python metrics/copy_shared.py` after an edit of a file in `SHARED`; a test finds copies that differ.
"""

import shutil
from pathlib import Path

SHARED = ("pair_accuracy.py", "reference_scorer.py", "pair_app.py")
FOLDERS = ("swuggy", "sblimp", "topic_sc")
ROOT = Path(__file__).parent


def stale_copies() -> list[Path]:
    """Copies that are missing or differ from their source."""
    copies = {ROOT / folder / name: ROOT / name for folder in FOLDERS for name in SHARED}
    return [copy for copy, source in copies.items() if not copy.exists() or copy.read_bytes() != source.read_bytes()]


if __name__ == "__main__":
    for stale in stale_copies():
        shutil.copyfile(ROOT / stale.name, stale)
        print(f"copied {stale.relative_to(ROOT)}")
