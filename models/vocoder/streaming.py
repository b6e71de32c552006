"""Units that come one after the other -> audio as soon as it is certain: what whole utterances sound like, in pieces.

units -> [`VocoderStream.push`], which keeps the last frames until their neighbours are known -> samples. A piece is
made of its own frames and of `context_frames` on both sides, whose samples are thrown away.
"""

from collections.abc import Sequence

import numpy as np
import torch

from .modeling_vocoder import UnitVocoder


class VocoderStream:
    """
    Makes audio of units while they are being written.

    The pieces together are the audio that [`~UnitVocoder.waveforms`] makes of all units: the same to 1e-4 of full
    scale, and to 1e-2 after iterations of Griffin-Lim.

    Args:
        vocoder ([`UnitVocoder`]): Makes the audio.
        speaker (`str`, *optional*): Whose voice; needed where the vocoder has several.
        min_frames (`int`, *optional*, defaults to 25): Frames of a piece at least, but for the last one.

    Raises:
        `ValueError`: If a speaker is needed and unknown.

    Examples:

    ```python
    >>> from evoslm.models.vocoder import CodebookVocoder, CodebookVocoderConfig, VocoderStream

    >>> stream = VocoderStream(CodebookVocoder(CodebookVocoderConfig(num_units=10)))
    >>> [len(piece) for piece in (stream.push([1] * 20), stream.push([2] * 20), stream.finish())]
    [0, 11840, 960]
    ```
    """

    def __init__(self, vocoder: UnitVocoder, speaker: str | None = None, min_frames: int = 25):
        self._vocoder, self._min_frames = vocoder, max(1, min_frames)
        (self._voice,) = vocoder._voices(1, None if speaker is None else [speaker])
        self._units: list[int] = []
        self._num_made = 0

    def push(self, units: Sequence[int]) -> np.ndarray:
        """
        Take units that come next.

        Args:
            units (`Sequence[int]`): One a frame.

        Returns:
            `np.ndarray` of shape `(num_samples,)`: float32, what became certain, often nothing.

        Raises:
            `ValueError`: If a unit is not from 0 to K - 1.
        """
        num_units = self._vocoder.config.num_units
        if wrong := [unit for unit in units if not 0 <= unit < num_units]:
            raise ValueError(f"There is no unit {wrong[0]}; the vocoder knows those from 0 to {num_units - 1}.")
        self._units += units
        certain = len(self._units) - self._vocoder.context_frames
        return self._make(certain if certain - self._num_made >= self._min_frames else self._num_made)

    def finish(self) -> np.ndarray:
        """
        The rest, when no more units come.

        Returns:
            `np.ndarray` of shape `(num_samples,)`: float32.
        """
        return self._make(len(self._units))

    @torch.no_grad()
    def _make(self, end: int) -> np.ndarray:
        """The samples of the frames from the first that has none yet to `end`."""
        start, self._num_made = self._num_made, max(self._num_made, end)
        if start >= end:
            return np.zeros(0, np.float32)
        context, hop = self._vocoder.context_frames, self._vocoder.config.hop_length
        first = max(0, start - context)
        piece = torch.tensor(self._units[first : end + context], device=self._vocoder.device)
        samples = self._vocoder._synthesize(piece, self._voice, first).float().cpu().numpy()
        return samples[(start - first) * hop : (end - first) * hop]
