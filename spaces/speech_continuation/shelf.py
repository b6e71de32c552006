"""Pipelines that are loaded when they are first asked for, and kept while there is room.

model -> [`PipelineShelf`] -> its pipeline, which works for one request at a time.

Where a Hub lends GPUs (ZeroGPU), what [`on_gpu`] decorates runs in a process that is forked for it: what it loads is
lost with that process, and what it gives is pickled. So all models are loaded before the page is served.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ...models.pipelines import SpeechContinuationPipeline  # noqa: F401  # once, and not while somebody waits
from ...pipelines import pipeline
from .catalog import ModelEntry

WORKING = {"concurrency_limit": 1, "concurrency_id": "models"}
"""Of events that need a model: all of them wait in one line."""

GPU_BEGIN = 10
"""Seconds until a process that has borrowed a GPU has the weights of models there."""


class PipelineShelf:
    """
    The pipelines of a page. What was asked for longest ago goes first.

    Args:
        device (`str`, *optional*): Where models run; a GPU if there is one when not given.
        capacity (`int`, *optional*, defaults to 8): The most that are kept.
        load (`Callable[[str, str], Any]`, *optional*): Makes the pipeline of a folder or id on a device;
            [`evoslm.pipeline`] when not given.
    """

    def __init__(self, device: str | None = None, capacity: int = 8, load: Callable[[str, str], Any] | None = None):
        self.lock = threading.RLock()
        """Held while a pipeline works: one synthesizer is behind all of them, and what was stopped may not have
        ended when the next request begins."""
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._capacity, self._load = capacity, load or _load_pipeline
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, entry: ModelEntry) -> bool:
        return entry.source in self._kept

    def get(self, entry: ModelEntry) -> Any:
        """
        The pipeline of a model.

        Raises:
            `ValueError`, `FileNotFoundError`: As loading it does.
        """
        with self.lock:
            if entry not in self:
                while len(self) >= self._capacity:
                    self._kept.popitem(last=False)
                self._kept[entry.source] = self._load(entry.source, self._device)
            self._kept.move_to_end(entry.source)
            return self._kept[entry.source]

    def load_all(self, entries: Sequence[ModelEntry]) -> None:
        """
        Load models, and make room for all of them.

        Args:
            entries (`Sequence[ModelEntry]`): The models.

        Raises:
            `ValueError`, `FileNotFoundError`: As loading one of them does.
        """
        self._capacity = max(self._capacity, len(entries))
        for entry in entries:
            self.get(entry)


def on_gpu(seconds: Callable[..., float]) -> Callable[[Callable], Callable]:
    """
    Borrow a GPU for each call of a function where the Hub lends them (ZeroGPU); elsewhere it stays as it is.

    A function that yields is decorated itself, so that its values leave the other process one by one.

    Args:
        seconds (`Callable`): For how long, of the function's arguments. Longer ones wait longer, and who has less
            left of a day's time is refused.

    Returns:
        `Callable`: A decorator.
    """

    def borrow(function: Callable) -> Callable:
        try:
            import spaces
        except ImportError:
            return function
        # From the root of a checkout that name is our folder's.
        return spaces.GPU(duration=seconds)(function) if hasattr(spaces, "GPU") else function

    return borrow


def _load_pipeline(source: str, device: str) -> Any:
    return pipeline("speech-continuation", source, device=device)
