"""Requests to the Hub that are made again where it fails in passing, and one sentence where it does not answer.

a call of the Hub's client -> [`ask`] -> its result, or [`PushFailed`], `ValueError` or `FileNotFoundError`.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import httpx

from ....datasets_scripts.shards.worker_pool import WorkFailed

Result = TypeVar("Result")

ATTEMPTS = 4
FIRST_WAIT = 1.0
"""Seconds before the second attempt; before each other one it is twice as long."""
_PASSING = (408, 429, 500, 502, 503, 504)


class PushFailed(WorkFailed):
    """The Hub could not be reached, or failed, in the middle of a push; what was pushed before is kept."""


def ask(doing: str, request: Callable[..., Result], *arguments, **options) -> Result:
    """
    Make a request that may be made twice, and make it again where the Hub fails in passing.

    Args:
        doing (`str`): What it is for, the beginning of a sentence: "Making user/thing".
        request (`Callable`): A call of the Hub's client.
        arguments (additional arguments): Its arguments.
        options (additional keyword arguments): Its keyword arguments.

    Raises:
        `FileNotFoundError`: If the Hub does not have what is asked for.
        `ValueError`: If it does not let this token do that, or the Hub's client is told to stay offline.
        [`PushFailed`]: If the Hub cannot be reached, or fails each time.
    """
    for attempt in range(ATTEMPTS):
        try:
            return request(*arguments, **options)
        except Exception as error:
            if is_passing(error) and attempt + 1 < ATTEMPTS:
                time.sleep(FIRST_WAIT * 2**attempt)
                continue
            explained = _explain(doing, error)
            if explained is None:
                raise
            raise explained from error
    raise AssertionError("the last attempt returns or raises")


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    found = _of_the_hub(error)
    if isinstance(found, HfHubHTTPError):
        return found.response.status_code in _PASSING
    return isinstance(found, httpx.TransportError)


def _of_the_hub(error: BaseException | None) -> BaseException | None:
    """What the Hub's client said: threads that upload wrap what happened to them."""
    while error is not None and not isinstance(error, (HfHubHTTPError, httpx.HTTPError, OfflineModeIsEnabled)):
        error = error.__cause__
    return error


def _explain(doing: str, error: BaseException) -> Exception | None:
    """One sentence, without headers and addresses; nothing where the error is not the Hub's."""
    found = _of_the_hub(error)
    if found is None:
        return None
    if isinstance(found, OfflineModeIsEnabled):
        return ValueError(f"{doing} failed: HF_HUB_OFFLINE is set; unset it, or only prepare with --dry_run.")
    again = "push again to go on where it stopped"
    if not isinstance(found, HfHubHTTPError):
        reason = (str(found).strip().splitlines() or [type(found).__name__])[0]
        return PushFailed(f"{doing} failed: {constants.ENDPOINT} cannot be reached ({reason}); {again}.")
    status = found.response.status_code
    answer = f"the Hub answered {status}{f' ({found.server_message})' if found.server_message else ''}"
    if status == 404:
        return FileNotFoundError(f"{doing} failed: {answer}.")
    if status in (401, 403):
        return ValueError(f"{doing} failed: {answer}; run `hf auth login` with a token that may, and {again}.")
    return PushFailed(f"{doing} failed: {answer}; {again}.")
