"""What a neural vocoder is trained on: distances between spectra of what it said and of what it should have said.

two batches of waveforms -> short-time spectra at three resolutions, and log-mel frames -> one loss. Phases are not
compared: units do not determine them.
"""

import torch
import torchaudio

# Size of the transform, hop and window at 24 kHz in 1910.11480, Section 4.1.
RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
_MEL_BINS = 80
_FLOOR = 1e-5
_TINY = 1e-7


class SpectralLoss(torch.nn.Module):
    """
    The multi-resolution STFT loss of Parallel WaveGAN (1910.11480, Equations 6 to 8) plus the L1 distance of log-mel
    frames that HiFi-GAN is trained with (2010.05646, Equation 5).

    Args:
        sampling_rate (`int`): Samples per second.
        mel_weight (`float`): Weight of the log-mel distance beside the STFT loss.
    """

    def __init__(self, sampling_rate: int, mel_weight: float):
        super().__init__()
        self.mel_weight = mel_weight
        for i, (_, _, window) in enumerate(RESOLUTIONS):
            self.register_buffer(f"window_{i}", torch.hann_window(window))
        self.mel = torchaudio.transforms.MelSpectrogram(
            sampling_rate, n_fft=1024, hop_length=sampling_rate // 100, n_mels=_MEL_BINS, power=1.0
        )

    def forward(self, predicted: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        """
        Compare waveforms.

        Args:
            predicted (`torch.Tensor` of shape `(batch_size, num_samples)`): What the vocoder said.
            target (`torch.Tensor` of the same shape): What it should have said.

        Returns:
            `dict[str, torch.Tensor]`: `loss`, and its parts `convergence`, `magnitude` and `mel`.
        """
        convergence, magnitude = 0.0, 0.0
        for i, resolution in enumerate(RESOLUTIONS):
            ours, theirs = (self._magnitudes(samples, i, resolution) for samples in (predicted, target))
            convergence = convergence + (theirs - ours).norm() / theirs.norm().clamp_min(_FLOOR)
            magnitude = magnitude + (theirs.log() - ours.log()).abs().mean()
        convergence, magnitude = convergence / len(RESOLUTIONS), magnitude / len(RESOLUTIONS)
        ours, theirs = (torch.log(self.mel(samples) + _FLOOR) for samples in (predicted, target))
        mel = (ours - theirs).abs().mean()
        loss = convergence + magnitude + self.mel_weight * mel
        return {"loss": loss, "convergence": convergence, "magnitude": magnitude, "mel": mel}

    def _magnitudes(self, samples: torch.Tensor, index: int, resolution: tuple[int, int, int]) -> torch.Tensor:
        size, hop, window_length = resolution
        window = getattr(self, f"window_{index}")
        spectrum = torch.stft(samples, size, hop, window_length, window, pad_mode="constant", return_complex=True)
        # The root of a sum of squares has no gradient at 0, where digital silence is.
        return (spectrum.real**2 + spectrum.imag**2).clamp_min(_TINY).sqrt()
