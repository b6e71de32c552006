"""A vocoder that needs no training: the units' own centroids, or the mean spectrum of each unit, made audible.

units -> rows of a table -> un-normalised for the voice -> log-mel frames -> spectrum of pulses and noise (spectrum.py)
-> `num_units * hop_length` samples.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torchaudio.functional

from .codebook import read_centroids, read_known_units, read_table
from .configuration_vocoder import CodebookVocoderConfig
from .modeling_vocoder import UnitVocoder
from .pitch import DEFAULT_PITCH
from .spectrum import MelSpectrum


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
            `ValueError`: If the centroids are neither cepstra nor log-mel energies and there is no audio, or if units
                are of segments, which do not say how long they last.

        Examples:

        ```python
        >>> vocoder = CodebookVocoder.from_quantizer(model, audio=[(waveforms, None)])  # doctest: +SKIP
        ```
        """
        if model.config.segment_parts:
            raise ValueError("The quantizer's units are of segments, not of frames; a vocoder needs one of frames.")
        if audio is None:
            return read_centroids(cls, model, config_arguments).eval()
        return read_table(cls, model, audio, config_arguments).eval()

    @classmethod
    def from_units(
        cls,
        utterances: Iterable[tuple[np.ndarray, np.ndarray, str | None]],
        num_units: int,
        positions: np.ndarray | None = None,
        **config_arguments,
    ) -> "CodebookVocoder":
        """
        Read a vocoder off audio that has been encoded: of any tokenizer, and of units of which each has several
        places in time, such as the parts of a syllable.

        Args:
            utterances (`Iterable[tuple[np.ndarray, np.ndarray, str]]`):
                Samples of each utterance, the row of the table that each of its frames is of (`(num_frames,)`), and
                its speaker, which is read where there are several. Read once.
            num_units (`int`):
                Rows of the table.
            positions (`np.ndarray` of shape `(num_units, size)`, *optional*):
                Where rows lie: one that no frame is of says what the nearest one says. Without them, it says what all
                frames together do.
            config_arguments (*optional*):
                Further arguments of [`CodebookVocoderConfig`], such as `speakers` and `hop_length`.

        Returns:
            [`CodebookVocoder`]

        Raises:
            `ValueError`: If there are no frames, or a speaker is none of `speakers`.
        """
        return read_known_units(cls, utterances, num_units, positions, config_arguments).eval()

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

    @property
    def context_frames(self) -> int:
        """
        Frames before and after a frame that its samples depend on: half a window for those that overlap it, half a
        one for what these are made of, one frame to interpolate towards, and a window for each iteration.
        """
        windows = 2 + 2 * self.config.num_iterations
        return 1 + -(-windows * self.spectrum.window_length // (2 * self.config.hop_length))

    @torch.no_grad()
    def _synthesize(self, units: torch.LongTensor, voice: int, first_frame: int = 0) -> torch.Tensor:
        log_mel = self._log_mel(units, voice)
        pitch = float(self.voice_pitch[voice])
        return self.spectrum.waveform(log_mel, self.voicing[units], pitch, self.config.num_iterations, first_frame)


CodebookVocoder.register_for_auto_class()
