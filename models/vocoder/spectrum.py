"""Waveforms to log-mel frames and back: the signal processing of the vocoders and of their measures.

samples -> [`MelSpectrum.log_mel`] -> frames; frames -> [`MelSpectrum.waveform`] -> linear spectrum, given to pulses
and noise -> samples. Nothing is learned here, and noise has a fixed seed.
"""

import numpy as np
import torch
import torchaudio.functional

MIN_FREQUENCY = 20.0
_MEL_STEPS = 30
_MOMENTUM = 0.99
_TINY = 1e-12


class MelSpectrum:
    """
    Log-mel frames of audio, one in each hop, and audio from such frames.

    The frames are those of `SpeechUnitConfig`: windows centred on their hop, power spectra, triangular filters with
    peaks of 1 on the HTK mel scale. All in float64.

    Args:
        sampling_rate (`int`): Samples per second.
        hop_length (`int`): Samples between frames.
        window_ms (`float`): Length of the Hann window in milliseconds.
        num_mel_bins (`int`): Number of mel filters.
        log_floor (`float`): Added to energies before the logarithm.
    """

    def __init__(self, sampling_rate: int, hop_length: int, window_ms: float, num_mel_bins: int, log_floor: float):
        self.sampling_rate = sampling_rate
        self.hop_length = hop_length
        self.window_length = round(window_ms * sampling_rate / 1000)
        self.fft_size = 1 << (self.window_length - 1).bit_length()
        self.num_mel_bins = num_mel_bins
        self.log_floor = log_floor
        self._tables: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}

    def log_mel(self, waveform: torch.Tensor) -> torch.Tensor:
        """
        Log-mel energies.

        Args:
            waveform (`torch.Tensor` of shape `(num_samples,)`): Samples in [-1, 1].

        Returns:
            `torch.DoubleTensor` of shape `(num_samples // hop_length, num_mel_bins)`.
        """
        window, filters = self._get_tables(waveform.device)
        num_frames = len(waveform) // self.hop_length
        margin = (self.window_length - self.hop_length) // 2  # negative where hops are longer than the window
        padded = torch.nn.functional.pad(waveform.double(), (margin, self.window_length))
        frames = padded.unfold(0, self.window_length, self.hop_length)[:num_frames]
        spectrum = torch.fft.rfft(frames * window, n=self.fft_size)
        return torch.log((spectrum.real**2 + spectrum.imag**2) @ filters + self.log_floor)

    def power_spectrum(self, log_mel: torch.Tensor) -> torch.Tensor:
        """
        A smooth power spectrum that has given mel energies.

        Energies are spread between the centres of the filters and then corrected by the multiplicative updates of
        non-negative factorisation for the Kullback-Leibler divergence (Lee and Seung, 2001), which keep them positive.

        Args:
            log_mel (`torch.Tensor` of shape `(num_frames, num_mel_bins)`): Log-mel energies.

        Returns:
            `torch.DoubleTensor` of shape `(num_frames, fft_size / 2 + 1)`.
        """
        _, filters = self._get_tables(log_mel.device)
        energies = (log_mel.double().exp() - self.log_floor).clamp_min(0)
        power = (energies / filters.sum(0)) @ filters.T
        weight = filters.sum(1).clamp_min(_TINY)
        for _ in range(_MEL_STEPS):
            power = power * ((energies / (power @ filters).clamp_min(_TINY)) @ filters.T) / weight
        return power

    def waveform(
        self,
        log_mel: torch.Tensor,
        voicing: torch.Tensor,
        pitch: float,
        num_iterations: int = 0,
        first_frame: int = 0,
    ) -> torch.Tensor:
        """
        Audio with given log-mel frames.

        Frames are interpolated to a step of at most a quarter of the window, and shape the spectrum of an excitation:
        even pulses where speech is voiced, noise elsewhere. Griffin-Lim on the smooth spectrum alone has no pitch to
        hold on to: of the frames of units it made audio with the same mel-cepstral distortion, but two to three times
        the voicing errors. It can be run on top (fast Griffin-Lim, Perraudin et al., 2013).

        Args:
            log_mel (`torch.Tensor` of shape `(num_frames, num_mel_bins)`): Log-mel energies.
            voicing (`torch.Tensor` of shape `(num_frames,)`): Above 0.5 in voiced frames.
            pitch (`float`): Pulses per second.
            num_iterations (`int`, *optional*, defaults to 0): Iterations of Griffin-Lim.
            first_frame (`int`, *optional*, defaults to 0): Number of the first frame in the audio that these frames
                are a piece of, so that pulses and noise go on from the piece before.

        Returns:
            `torch.DoubleTensor` of shape `(num_frames * hop_length,)`: Samples in [-1, 1].
        """
        device, num_frames = log_mel.device, len(log_mel)
        steps = next(
            n for n in range(1, self.hop_length + 1)
            if self.hop_length % n == 0 and 4 * self.hop_length <= n * self.window_length
        )  # fmt: skip
        positions = (torch.arange(num_frames * steps + 1, dtype=torch.float64, device=device) / steps - 0.5).clamp(
            0, num_frames - 1
        )
        left = positions.long()
        share = (positions - left)[:, None]
        between = torch.lerp(log_mel.double()[left], log_mel.double()[(left + 1).clamp_max(num_frames - 1)], share)
        magnitude = self.power_spectrum(between).sqrt().T

        window, _ = self._get_tables(device)
        length = num_frames * self.hop_length
        # In a frame or two of audio there is not enough for the reflection at the edges, so they are zeros.
        padded = max(length, self.fft_size)
        shape = {"n_fft": self.fft_size, "hop_length": self.hop_length // steps, "win_length": self.window_length}

        def analyse(signal):
            return torch.stft(signal, **shape, window=window, pad_mode="constant", return_complex=True)

        spectrum = analyse(
            torch.nn.functional.pad(self._excitation(voicing, pitch, device, first_frame), (0, padded - length))
        )
        magnitude = torch.nn.functional.pad(magnitude, (0, spectrum.shape[1] - magnitude.shape[1]))
        magnitude = magnitude * spectrum.abs() / window.square().sum().sqrt()  # an excitation of power 1 has this gain
        previous = torch.zeros_like(spectrum)
        for _ in range(num_iterations):
            signal = torch.istft(magnitude * _phase(spectrum), **shape, window=window, length=padded)
            rebuilt = analyse(signal)
            spectrum = rebuilt - _MOMENTUM / (1 + _MOMENTUM) * previous
            previous = rebuilt
        signal = torch.istft(magnitude * _phase(spectrum), **shape, window=window, length=padded)
        return signal[:length].clamp(-1, 1)

    def _excitation(self, voicing: torch.Tensor, pitch: float, device: torch.device, first_frame: int) -> torch.Tensor:
        """Pulses where speech is voiced and noise elsewhere, of equal power."""
        first = first_frame * self.hop_length
        voiced = (voicing.cpu() > 0.5).repeat_interleave(self.hop_length)
        # Harmonics rather than single samples: pulses on whole samples come unevenly, which is heard an octave lower.
        num_harmonics = max(1, int(self.sampling_rate / 2 / pitch))
        half = torch.arange(first, first + len(voiced), dtype=torch.float64) * (torch.pi * pitch / self.sampling_rate)
        at_pulse = half.sin().abs() < _TINY
        ratio = ((2 * num_harmonics + 1) * half).sin() / half.sin().where(~at_pulse, 1.0)
        pulses = (ratio.where(~at_pulse, 2.0 * num_harmonics + 1) - 1) / (2 * num_harmonics) ** 0.5
        noise = torch.from_numpy(np.random.default_rng(0).standard_normal(first + len(voiced))[first:])
        return torch.where(voiced, pulses, noise).to(device)

    def _get_tables(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Window and mel filters; made on first use, for a model may be built on the meta device."""
        if device not in self._tables:
            filters = torchaudio.functional.melscale_fbanks(
                self.fft_size // 2 + 1, MIN_FREQUENCY, self.sampling_rate / 2, self.num_mel_bins, self.sampling_rate
            )
            window = torch.hann_window(self.window_length, dtype=torch.float64)
            self._tables[device] = (window.to(device), filters.double().to(device))
        return self._tables[device]


def _phase(spectrum: torch.Tensor) -> torch.Tensor:
    return spectrum / spectrum.abs().clamp_min(_TINY)
