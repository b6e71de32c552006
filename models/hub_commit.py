"""Which commit of a repository on the Hub is read, so that a result can say so and be made again.

id, branch or tag -> [`find_commit`] -> the commit. What was found is kept in the cache, so that what is finished can
be used where the Hub cannot be reached; so can what lies in the Hub client's own cache, whoever loaded it.
"""

import hashlib
import json
import re
import time
from pathlib import Path

from .cache import default_cache_dir
from .files import written_whole

_COMMIT = re.compile("[0-9a-f]{40}")
_PASSING = (408, 429, 500, 502, 503, 504)
_WAITS = (1.0, 2.0)
"""Seconds before the Hub is asked again, where it failed in passing."""


def find_commit(repo_id: str, revision: str | None = None, repo_type: str = "dataset") -> str | None:
    """
    Find the commit of a revision.

    Args:
        repo_id (`str`): An id on the Hub, or a folder.
        revision (`str`, *optional*): Commit, branch or tag; the main branch when not given.
        repo_type (`str`, *optional*, defaults to `"dataset"`): `"dataset"` or `"model"`.

    Returns:
        `str`, *optional*: The commit; `None` for a folder, which has none.

    Raises:
        `FileNotFoundError`: If there is no such repository or revision, or if the Hub cannot be reached and nobody
            has asked for it or loaded it before.
        `ValueError`: If a revision of a folder is asked for.
    """
    if Path(repo_id).exists():
        if revision is not None:
            raise ValueError(
                f"{repo_id} lies on this machine and has no revision {revision!r}; give an id on the Hub."
            )
        return None
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError
    from huggingface_hub.utils import httpx

    asked = f"{constants.ENDPOINT} {repo_type} {repo_id} {revision or 'main'}"
    key = hashlib.sha256(asked.encode()).hexdigest()[:16]
    kept = default_cache_dir() / "commits" / f"{key}.txt"
    try:
        commit = _ask_hub(repo_id, revision, repo_type)
    except RevisionNotFoundError as error:
        raise FileNotFoundError(f"The {repo_type} {repo_id!r} has no revision {revision!r} on the Hub.") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise FileNotFoundError(
            f"The {repo_type} {repo_id!r} cannot be found, neither as a folder nor on the Hub."
        ) from error
    except (OSError, httpx.HTTPError, json.JSONDecodeError) as error:
        if found := _find_kept(kept, repo_id, revision, repo_type):
            return found
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FileNotFoundError(
            f"The {repo_type} {repo_id!r} cannot be found: the Hub cannot be asked for its commit ({reason}); give "
            "the commit itself as the revision, or a folder."
        ) from error
    kept.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(kept) as partial:
        partial.write_text(commit, encoding="utf-8")
    return commit


def _ask_hub(repo_id: str, revision: str | None, repo_type: str) -> str:
    """The commit as the Hub says it, asked again where its answer is an error that passes, cut off or half."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import httpx

    for wait in (*_WAITS, None):
        try:
            return HfApi().repo_info(repo_id, repo_type=repo_type, revision=revision).sha
        except (HfHubHTTPError, httpx.RemoteProtocolError, httpx.ReadError, json.JSONDecodeError) as error:
            passing = not isinstance(error, HfHubHTTPError) or error.response.status_code in _PASSING
            if wait is None or not passing:
                raise
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _find_kept(kept: Path, repo_id: str, revision: str | None, repo_type: str) -> str | None:
    """The commit that was found last, else the one that the Hub client has of it."""
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(repo_id, repo_type=repo_type, revision=revision, local_files_only=True)
    except LocalEntryNotFoundError:
        return None
    return Path(folder).name
