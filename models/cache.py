"""The folder that runs share."""

import os
from pathlib import Path


def default_cache_dir() -> Path:
    """The folder that runs share: `EVOSLM_CACHE`, else `~/.cache/evoslm`."""
    return Path(os.environ.get("EVOSLM_CACHE") or Path.home() / ".cache" / "evoslm")
