"""The documentation as a site, built as `make docs` does.

[`build_site`] -> its folder; a warning, such as a link or an anchor that leads nowhere, ends the build.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build_site(folder: Path) -> Path:
    """Build the site in `folder`, and return the folder."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder
