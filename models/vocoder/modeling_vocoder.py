"""A vocoder that needs no training: the units' own centroids, or the mean spectrum of each unit, made audible.

units -> rows of a table -> un-normalised for the voice -> log-mel frames -> spectrum of pulses and noise (spectrum.py)
-> `num_units * hop_length` samples. `UnitVocoder` is what it has in common with [`UnitHifiGan`].
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torchaudio.functional
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from .configuration_vocoder import CodebookVocoderConfig
from .spectrum import MelSpectrum

DEFAULT_PITCH = 100.0


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


class UnitVocoder(PreTrainedModel):
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

    def _synthesize(self, units: torch.LongTensor, voice: int) -> torch.Tensor:
        raise NotImplementedError


class CodebookVocoder(UnitVocoder):
    """
    A vocoder that is read off a quantizer.

    The same units give the same audio: nothing is drawn at random. Units of cepstra or mel energies do not say how
    high the voice was, so there is one pitch a voice.

    Make one with [`~CodebookVocoder.from_quantizer`]; a model made from a configuration has a random table.

    Args:
        config ([`CodebookVocoderConfig`]): The configuration.

    Examples:

    ```python
    >>> from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel
    >>> from evoslm.models.vocoder import CodebookVocoder

    >>> vocoder = CodebookVocoder.from_quantizer(SpeechUnitModel(SpeechUnitConfig(num_units=10)))
    >>> [len(waveform) for waveform in vocoder.waveforms([[0, 1, 2], [3]])]
    [960, 320]
    ```
    """

    config_class = CodebookVocoderConfig
    base_model_prefix = "codebook_vocoder"
    _keep_in_fp32_modules_strict = [
        "table",
        "voice_mean",
        "voice_std",
        "voice_pitch",
        "voicing",
    ]

    def __init__(self, config: CodebookVocoderConfig):
        super().__init__(config)
        size, num_voices = config.num_coefficients, max(1, len(config.speakers))
        self.spectrum = MelSpectrum(
            config.sampling_rate, config.hop_length, config.window_ms, config.num_mel_bins, config.log_floor
        )
        self.table = torch.nn.Parameter(torch.zeros(config.num_units, size), requires_grad=False)
        self.register_buffer("voicing", torch.ones(config.num_units))
        self.register_buffer("voice_mean", torch.zeros(num_voices, size))
        self.register_buffer("voice_std", torch.ones(num_voices, size))
        self.register_buffer("voice_pitch", torch.full((num_voices,), DEFAULT_PITCH))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        if module is self:
            torch.nn.init.normal_(self.table)

    @classmethod
    def from_quantizer(
        cls,
        model,
        audio: Iterable[tuple[Sequence[np.ndarray], Sequence[str] | None]] | None = None,
        **config_arguments,
    ) -> "CodebookVocoder":
        """
        Read a vocoder off a quantizer.

        Without audio, rows are the quantizer's centroids, which must then be cepstra or log-mel energies, and voicing
        is guessed from them. With audio, they are means of the log-mel frames at which each unit was found, which
        works for any encoder, and pitch and voicing are measured as well.

        Deltas of the centroids are not used: the most likely trajectory under statics and deltas (Tokuda et al., 2000)
        did not lower the mel-cepstral distortion, by more than 0.01 dB at best, and raised it mostly.

        With `normalization="utterance"` nobody knows what was subtracted from an utterance, so it gets the mean and
        deviation of the corpus.

        Args:
            model ([`SpeechUnitModel`]):
                The quantizer.
            audio (`Iterable[tuple[Sequence[np.ndarray], Sequence[str]]]`, *optional*):
                Pairs of waveforms and their speakers, as in [`fit_units`]: the audio that the quantizer was fitted
                on. Read once.
            config_arguments (*optional*):
                Further arguments of [`CodebookVocoderConfig`].

        Returns:
            [`CodebookVocoder`]

        Raises:
            `ValueError`: If the centroids are neither cepstra nor log-mel energies and there is no audio.

        Examples:

        ```python
        >>> vocoder = CodebookVocoder.from_quantizer(model, audio=[(waveforms, None)])  # doctest: +SKIP
        ```
        """
        from .codebook import read_centroids, read_table

        if audio is None:
            return read_centroids(cls, model, config_arguments).eval()
        return read_table(cls, model, audio, config_arguments).eval()

    @torch.no_grad()
    def log_mel(self, units: torch.LongTensor, speaker: str | None = None) -> torch.Tensor:
        """
        The log-mel frames that units stand for.

        Args:
            units (`torch.LongTensor` of shape `(num_frames,)`): Units of one utterance.
            speaker (`str`, *optional*): Its speaker, where there are several.

        Returns:
            `torch.DoubleTensor` of shape `(num_frames, config.num_mel_bins)`.
        """
        return self._log_mel(units, self._voices(1, None if speaker is None else [speaker])[0])

    def _log_mel(self, units: torch.LongTensor, voice: int) -> torch.Tensor:
        rows = self.table[units].double()
        return self.to_log_mel(rows * self.voice_std[voice].double() + self.voice_mean[voice].double())

    def to_log_mel(self, rows: torch.Tensor) -> torch.Tensor:
        """Log-mel frames of cepstra or of log-mel frames, whichever the table holds."""
        if self.config.table == "log_mel":
            return rows
        size = (self.config.num_coefficients, self.config.num_mel_bins)
        return rows @ torchaudio.functional.create_dct(*size, norm="ortho").double().T.to(rows.device)

    @torch.no_grad()
    def _synthesize(self, units: torch.LongTensor, voice: int) -> torch.Tensor:
        log_mel = self._log_mel(units, voice)
        pitch = float(self.voice_pitch[voice])
        return self.spectrum.waveform(log_mel, self.voicing[units], pitch, self.config.num_iterations)


CodebookVocoder.register_for_auto_class()
