"""What all vocoders have in common: units of utterances and their voices in, waveforms out.

A module of its own, so that each vocoder can be imported first: the end of a vocoder's module makes the Auto classes
import all of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel
from transformers.utils import ModelOutput


@dataclass
class UnitVocoderOutput(ModelOutput):
    """
    Output of a vocoder.

    Args:
        waveform (`torch.FloatTensor` of shape `(batch_size, num_samples)`):
            Audio in [-1, 1]; 0 where an utterance has ended.
        sample_mask (`torch.BoolTensor` of shape `(batch_size, num_samples)`):
            Which samples belong to an utterance.
    """

    waveform: torch.FloatTensor | None = None
    sample_mask: torch.BoolTensor | None = None


class UnitVocoder(PreTrainedModel, ABC):
    """What all vocoders have in common: how units go in and waveforms come out. A vocoder adds `_synthesize`."""

    main_input_name = "units"

    def forward(
        self,
        units: torch.LongTensor,
        speakers: Sequence[str] | None = None,
        return_dict: bool | None = None,
    ) -> UnitVocoderOutput | tuple:
        """
        Make audio of a batch that is padded on the right.

        Args:
            units (`torch.LongTensor` of shape `(batch_size, num_frames)`):
                Unit of each frame; -1 where an utterance has ended, as `SpeechUnitModel` writes them.
            speakers (`Sequence[str]`, *optional*):
                Speaker of each utterance; needed where `config.speakers` names more than one.
            return_dict (`bool`, *optional*):
                Whether to return a [`UnitVocoderOutput`] (by default) or a tuple.

        Returns:
            [`UnitVocoderOutput`]

        Raises:
            `ValueError`: As [`~UnitVocoder.waveforms`], or if there is padding in front of units.
        """
        if units.ndim != 2:
            raise ValueError(f"units has shape {tuple(units.shape)}; give (batch_size, num_frames).")
        lengths = (units >= 0).sum(1).tolist()
        if any((row[:length] < 0).any() for row, length in zip(units, lengths)):
            raise ValueError("units has padding (-1) in front of units; pad on the right.")
        waveforms = self._waveforms([row[:length] for row, length in zip(units, lengths)], speakers)
        waveform = pad_sequence(waveforms, batch_first=True)
        samples = torch.tensor(lengths, device=waveform.device)[:, None] * self.config.hop_length
        mask = torch.arange(waveform.shape[1], device=waveform.device) < samples
        output = UnitVocoderOutput(waveform=waveform, sample_mask=mask)
        return output.to_tuple() if return_dict is False else output

    @torch.no_grad()
    def waveforms(
        self,
        units: Sequence[np.ndarray],
        speakers: Sequence[str] | None = None,
        durations: Sequence[np.ndarray] | None = None,
    ) -> list[np.ndarray]:
        """
        Make audio of utterances of any lengths.

        Args:
            units (`Sequence[np.ndarray]`):
                Units of each utterance, of shape `(num_frames,)`.
            speakers (`Sequence[str]`, *optional*):
                Speaker of each utterance; needed where `config.speakers` names more than one.
            durations (`Sequence[np.ndarray]`, *optional*):
                How many frames each unit lasts, for units whose repeats were removed; else each lasts one.

        Returns:
            `list[np.ndarray]`: `num_frames * config.hop_length` samples of each, float32 in [-1, 1].

        Raises:
            `ValueError`: If an utterance is empty, a unit is not from 0 to K - 1, durations do not fit, or a speaker
                is needed and unknown.
        """
        if getattr(units, "ndim", None) == 1:
            raise ValueError("Units are one utterance; give a list of utterances.")
        rows = [torch.as_tensor(np.asarray(row).astype(np.int64), device=self.device) for row in units]
        if durations is not None:
            if [len(row) for row in rows] != [len(row) for row in durations]:
                raise ValueError("There must be one duration for each unit.")
            rows = [
                row.repeat_interleave(torch.as_tensor(np.asarray(lengths).astype(np.int64), device=self.device))
                for row, lengths in zip(rows, durations)
            ]
        return [waveform.cpu().numpy() for waveform in self._waveforms(rows, speakers)]

    def _waveforms(self, units: list[torch.Tensor], speakers: Sequence[str] | None) -> list[torch.Tensor]:
        for i, row in enumerate(units):
            if row.ndim != 1 or len(row) == 0:
                raise ValueError(f"Utterance {i} has units of shape {tuple(row.shape)}; give at least one unit of it.")
            if int(row.min()) < 0 or int(row.max()) >= self.config.num_units:
                raise ValueError(
                    f"Utterance {i} has units from {int(row.min())} to {int(row.max())}; the vocoder knows those from "
                    f"0 to {self.config.num_units - 1}: use the one that was made for this quantizer."
                )
        voices = self._voices(len(units), speakers)
        return [self._synthesize(row, voice).float() for row, voice in zip(units, voices)]

    def _voices(self, num_utterances: int, speakers: Sequence[str] | None) -> list[int]:
        """Row of each utterance's speaker."""
        known = self.config.speakers
        if len(known) < 2:
            return [0] * num_utterances
        if speakers is None or len(speakers) != num_utterances:
            raise ValueError(f"The vocoder has several voices; name one for each utterance: {', '.join(known)}.")
        if unknown := sorted(set(speakers) - set(known)):
            raise ValueError(f"The vocoder has no voice {unknown[0]!r}; choose from {', '.join(known)}.")
        return [known.index(speaker) for speaker in speakers]

    @property
    @abstractmethod
    def context_frames(self) -> int:
        """How many frames before and after a frame its samples depend on."""

    @abstractmethod
    def _synthesize(self, units: torch.LongTensor, voice: int, first_frame: int = 0) -> torch.Tensor:
        """The waveform of units in one voice: of an utterance, or of a piece of one that begins at `first_frame`."""
