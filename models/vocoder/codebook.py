"""What a [`CodebookVocoder`] says for each unit: read off the quantizer's centroids, or measured on audio.

quantizer -> [`read_centroids`]; quantizer + audio -> units, log-mel frames, pitch -> sums by voice and unit ->
[`read_table`]; audio whose units are known already -> [`read_known_units`]. All fill the same tables: what a frame is,
and whether it is voiced.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from .configuration_vocoder import CodebookVocoderConfig
from .pitch import DEFAULT_PITCH, track_pitch
from .spectrum import MelSpectrum

_SPECTRAL_ENCODERS = ("mfcc", "log_mel")
_MIN_STD = 1e-3
_VOICED_BELOW, _VOICELESS_ABOVE = 1000.0, 3000.0


def read_centroids(cls, model, config_arguments: dict):
    """A vocoder whose table is the quantizer's centroids."""
    source = model.config
    if source.encoder not in _SPECTRAL_ENCODERS:
        raise ValueError(
            f"The centroids of encoder {source.encoder!r} are neither cepstra nor mel energies; give audio, from "
            "which the spectrum of each unit is measured."
        )
    is_mfcc = source.encoder == "mfcc"
    config = CodebookVocoderConfig(
        num_units=source.num_units,
        table="cepstra" if is_mfcc else "log_mel",
        num_coefficients=source.num_cepstra if is_mfcc else source.num_mel_bins,
        sampling_rate=source.sampling_rate,
        hop_length=source.hop_length,
        window_ms=source.window_ms,
        num_mel_bins=source.num_mel_bins,
        log_floor=source.log_floor,
        speakers=source.speakers,
        fit={"quantizer": model.fingerprint()},
        **config_arguments,
    )
    vocoder = cls(config)
    # Deltas, where there are any, come after the cepstra.
    size = config.num_coefficients
    weight = model.feature_weight[:size].double().cpu()
    vocoder.table.data.copy_(model.centroids[:, :size].detach().double().cpu() / weight)
    by_speaker = source.normalization == "speaker"
    vocoder.voice_mean.copy_(model.speaker_mean[:, :size] if by_speaker else model.feature_mean[:size])
    vocoder.voice_std.copy_(model.speaker_std[:, :size] if by_speaker else model.feature_std[:size])
    vocoder.voicing.copy_(_guess_voicing(vocoder))
    return vocoder


def read_table(cls, model, audio: Iterable[tuple[Sequence[np.ndarray], Sequence[str] | None]], config_arguments: dict):
    """A vocoder whose table is the mean of the log-mel frames of each unit."""
    source = model.config
    sizes = {
        name: config_arguments.pop(name, getattr(source, name, default))
        for name, default in (("window_ms", 25.0), ("num_mel_bins", 40), ("log_floor", 1e-4))
    }
    config = CodebookVocoderConfig(
        num_units=source.num_units,
        table="log_mel",
        num_coefficients=sizes["num_mel_bins"],
        sampling_rate=source.sampling_rate,
        hop_length=source.hop_length,
        speakers=source.speakers,
        **sizes,
        **config_arguments,
    )
    vocoder = cls(config)
    encoded = (
        (np.asarray(waveform), units, speaker)
        for waveforms, speakers in audio
        for waveform, units, speaker in zip(
            waveforms, model.units(waveforms, speakers), speakers or [None] * len(waveforms)
        )
    )
    _fill(vocoder, encoded, model.centroids.detach().double().cpu())
    config.fit = {"quantizer": model.fingerprint()} | config.fit
    return vocoder


def read_known_units(
    cls,
    utterances: Iterable[tuple[np.ndarray, np.ndarray, str | None]],
    num_units: int,
    positions: np.ndarray | None,
    config_arguments: dict,
):
    """A vocoder whose table is the mean of the log-mel frames of each unit, of audio that has been encoded."""
    sizes = {
        name: config_arguments.pop(name, default)
        for name, default in (("window_ms", 25.0), ("num_mel_bins", 40), ("log_floor", 1e-4))
    }
    config = CodebookVocoderConfig(
        num_units=num_units,
        table="log_mel",
        num_coefficients=sizes["num_mel_bins"],
        **sizes,
        **config_arguments,
    )
    vocoder = cls(config)
    _fill(vocoder, utterances, None if positions is None else torch.from_numpy(np.asarray(positions, np.float64)))
    return vocoder


def _fill(
    vocoder, utterances: Iterable[tuple[np.ndarray, np.ndarray, str | None]], positions: torch.Tensor | None
) -> None:
    """Measure what each unit says; one that was not seen says what the nearest one says, or nothing of its own."""
    config = vocoder.config
    sums = _Sums(max(1, len(config.speakers)), config.num_units, config.num_coefficients)
    for waveform, units, speaker in utterances:
        (voice,) = vocoder._voices(1, None if speaker is None else [speaker])
        sums.add(vocoder.spectrum, waveform, units, voice, config)
    seen = torch.from_numpy(sums.frames.sum(0) > 0)
    if not seen.any():
        raise ValueError("There is no audio to measure the units on; give at least one utterance.")
    nearest = torch.arange(config.num_units) if positions is None else _nearest_seen(positions, seen)
    table, mean, std = sums.statistics()
    vocoder.table.data.copy_(torch.from_numpy(table)[nearest])
    vocoder.voicing.copy_(torch.from_numpy(sums.voicing())[nearest])
    vocoder.voice_mean.copy_(torch.from_numpy(mean))
    vocoder.voice_std.copy_(torch.from_numpy(std))
    vocoder.voice_pitch.copy_(torch.tensor(sums.pitch(), dtype=torch.float))
    config.fit = {
        "num_utterances": sums.num_utterances,
        "num_frames": int(sums.frames.sum()),
        "num_unseen_units": int((~seen).sum()),
    }


def _guess_voicing(vocoder) -> torch.Tensor:
    """A unit is voiced if it has more energy below 1 kHz than above 3 kHz, in the mean voice."""
    config = vocoder.config
    rows = vocoder.table * vocoder.voice_std.mean(0) + vocoder.voice_mean.mean(0)
    power = vocoder.spectrum.power_spectrum(vocoder.to_log_mel(rows.double()))
    frequencies = torch.linspace(0, config.sampling_rate / 2, power.shape[1])
    low, high = power[:, frequencies < _VOICED_BELOW].sum(1), power[:, frequencies > _VOICELESS_ABOVE].sum(1)
    return (low > high).float()


class _Sums:
    """Sums of log-mel frames, and of voiced frames, by voice and unit."""

    def __init__(self, num_voices: int, num_units: int, size: int):
        self.num_utterances = 0
        self.frames = np.zeros((num_voices, num_units))
        self._voiced = np.zeros(num_units)
        self._first = np.zeros((num_voices, num_units, size))
        self._squares = np.zeros((num_voices, size))
        self._pitches: list[list[np.ndarray]] = [[] for _ in range(num_voices)]

    def add(self, spectrum: MelSpectrum, waveform: np.ndarray, units: np.ndarray, voice: int, config) -> None:
        samples = torch.from_numpy(waveform.astype(np.float64) / (2**15 if waveform.dtype == np.int16 else 1))
        log_mel = spectrum.log_mel(samples)
        pitch = track_pitch(samples.numpy(), config.sampling_rate, config.hop_length)
        # Encoders with a wide window leave out a frame or two at the end.
        length = min(len(units), len(log_mel))
        rows = log_mel.numpy()[:length]
        units, pitch = units[:length].astype(np.int64), pitch[:length]
        self.num_utterances += 1
        np.add.at(self.frames[voice], units, 1)
        np.add.at(self._voiced, units, pitch > 0)
        np.add.at(self._first[voice], units, rows)
        self._squares[voice] += (rows**2).sum(0)
        self._pitches[voice].append(pitch[pitch > 0])

    def statistics(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Table of the units, normalised by the mean and the deviation of each voice; and these. A voice that was not
        heard has those of the others on average.
        """
        count = self.frames.sum(1)[:, None].clip(1)
        mean = self._first.sum(1) / count
        std = np.sqrt((self._squares / count - mean**2).clip(0)).clip(_MIN_STD)
        heard = self.frames.sum(1) > 0
        mean[~heard], std[~heard] = mean[heard].mean(0), std[heard].mean(0)
        shifted = (self._first - self.frames[:, :, None] * mean[:, None]) / std[:, None]
        return shifted.sum(0) / self.frames.sum(0)[:, None].clip(1), mean, std

    def voicing(self) -> np.ndarray:
        """Share of voiced frames of each unit."""
        return self._voiced / self.frames.sum(0).clip(1)

    def pitch(self) -> list[float]:
        """Geometric mean of the pitch of each voice in Hz."""
        joined = [np.concatenate([np.zeros(0), *pitches]) for pitches in self._pitches]
        return [float(np.exp(np.log(pitches).mean())) if len(pitches) else DEFAULT_PITCH for pitches in joined]


def _nearest_seen(centroids: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """For each unit itself, or the unit with the nearest centroid that was seen."""
    indices = torch.arange(len(centroids))
    distances = torch.cdist(centroids[~seen], centroids[seen])
    indices[~seen] = seen.nonzero()[:, 0][distances.argmin(1)]
    return indices
