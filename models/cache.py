"""The folder that runs share.

`EVOSLM_CACHE`, or the user's cache -> [`default_cache_dir`] -> espeak's voices, pronunciations, recordings of a Hub.
"""

import os
from pathlib import Path


def default_cache_dir() -> Path:
    """The folder that runs share: `EVOSLM_CACHE`, else `~/.cache/evoslm`."""
    return Path(os.environ.get("EVOSLM_CACHE") or Path.home() / ".cache" / "evoslm")
