"""What encoders with layers have in common: windows of long waveforms, in batches of like length.

waveforms -> windows of at most so many seconds, which overlap -> batches, the longest first -> the layers of a family
([`~WindowedEncoder.encode`]) -> of each window the frames that are far enough from its edges, piece by piece.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .configuration_speech_units import SpeechUnitConfig


@dataclass(frozen=True)
class Piece:
    """
    Frames of a waveform that go through the layers together.

    Args:
        waveform (`int`): Index of the waveform.
        start (`int`): The first frame that the layers see.
        end (`int`): The frame behind the last one that they see.
        first (`int`): The first frame that is kept.
        last (`int`): The frame behind the last one that is kept.
    """

    waveform: int
    start: int
    end: int
    first: int
    last: int

    def __len__(self) -> int:
        return self.end - self.start


class WindowedEncoder(torch.nn.Module, ABC):
    """
    An encoder of [`SpeechUnitModel`] with weights of its own, which are saved with the model as `encoder.model`.

    Args:
        config ([`SpeechUnitConfig`]): The configuration; its `pretrained` says which encoder it is.
    """

    window_seconds = 30.0
    """A longer waveform is cut into windows of so many seconds."""
    margin_seconds = 4.0
    """Of each window, so many seconds at either end that has a neighbour are context only."""
    batch_seconds = {"cpu": 4.0, "cuda": 640.0}
    """Audio that goes through the layers together; a CPU is slower where activations leave its cache."""

    model: torch.nn.Module

    def __init__(self, config: SpeechUnitConfig):
        super().__init__()
        self.config = config

    @abstractmethod
    def hear(self, waveforms: Sequence[torch.Tensor], is_cut: Sequence[bool]) -> list[Any]:
        """
        What [`~WindowedEncoder.encode`] needs of each waveform, measured on all of it.

        Args:
            waveforms (`Sequence[torch.Tensor]`): Samples of shape `(num_samples,)`.
            is_cut (`Sequence[bool]`): Of which of them there are several pieces.
        """

    @abstractmethod
    def encode(self, batch: list[Piece], heard: list[Any]) -> Iterable[torch.Tensor]:
        """
        Run the layers.

        Args:
            batch (`list[Piece]`): Some pieces, the longest first.
            heard (`list`): What [`~WindowedEncoder.hear`] gave, by waveform.

        Returns:
            `Iterable[torch.Tensor]`: Features of each piece, of shape `(len(piece) or more, feature_size)`.
        """

    def forward(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """
        Compute the features of some waveforms.

        Args:
            waveforms (`Sequence[torch.Tensor]`): Samples of shape `(num_samples,)`, of any lengths, on one device.

        Returns:
            `list[torch.DoubleTensor]`: Features of shape `(config.num_frames(num_samples), config.feature_size)`.
        """
        features = [
            waveform.new_zeros((self.config.num_frames(len(waveform)), self.config.feature_size), dtype=torch.float64)
            for waveform in waveforms
        ]
        for index, first, part in self.pieces(waveforms):
            features[index][first : first + len(part)] = part
        return features

    @torch.no_grad()
    def pieces(self, waveforms: Sequence[torch.Tensor]) -> Iterator[tuple[int, int, torch.Tensor]]:
        """
        The same piece by piece, so that the features of a long waveform are never held at once.

        Args:
            waveforms (`Sequence[torch.Tensor]`): As in [`~WindowedEncoder.forward`].

        Yields:
            `tuple[int, int, torch.DoubleTensor]`: Index of a waveform, first frame, and features from there on.
        """
        self.model.eval()
        cuts = [self.cut(index, self.config.num_frames(len(waveform))) for index, waveform in enumerate(waveforms)]
        heard = self.hear(waveforms, [len(cut) > 1 for cut in cuts])
        limit = self.batch_seconds["cpu" if self.model.device.type == "cpu" else "cuda"] * self.config.frame_rate
        batch: list[Piece] = []
        for piece in sorted((piece for cut in cuts for piece in cut), key=len, reverse=True):
            if batch and (len(batch) + 1) * len(batch[0]) > limit:
                yield from self._kept(batch, heard)
                batch = []
            batch.append(piece)
        if batch:
            yield from self._kept(batch, heard)

    def _kept(self, batch: list[Piece], heard: list[Any]) -> Iterator[tuple[int, int, torch.Tensor]]:
        for piece, row in zip(batch, self.encode(batch, heard)):
            yield piece.waveform, piece.first, row[piece.first - piece.start : piece.last - piece.start].double()

    def cut(self, index: int, frames: int) -> list[Piece]:
        """
        Windows of a waveform.

        Args:
            index (`int`): Index of the waveform.
            frames (`int`): Its length.

        Returns:
            `list[Piece]`: Pieces whose kept frames follow one another.
        """
        window, margin = round(self.window_seconds * self.config.frame_rate), self._margin()
        if frames <= window:
            return [Piece(index, 0, frames, 0, frames)]
        step = window - 2 * margin
        return [
            Piece(index, max(0, first - margin), min(frames, first + step + margin), first, min(frames, first + step))
            for first in range(0, frames, step)
        ]

    def _margin(self) -> int:
        return round(self.margin_seconds * self.config.frame_rate)
