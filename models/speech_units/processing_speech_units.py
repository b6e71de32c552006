"""Audio of any rate and number of channels -> what a speech-unit model reads; its units -> times and content.

waveforms -> mono at the model's rate, padded, with a mask ([`SpeechUnitFeatureExtractor`]) -> model -> units with
their times, or the string of content that tokenizers read ([`SpeechUnitProcessor`]).
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import BatchFeature, ProcessorMixin, SequenceFeatureExtractor

from .configuration_speech_units import SpeechUnitConfig
from .features import check_audio
from .runs import collapse_runs, run_starts

_MOST_CHANNELS = 64


class SpeechUnitFeatureExtractor(SequenceFeatureExtractor):
    """
    Turns recordings into the padded batch that [`SpeechUnitModel`] reads.

    Args:
        sampling_rate (`int`, *optional*, defaults to 16000): Samples per second that the model reads.
        frame_rate (`float`, *optional*, defaults to 50.0): Frames per second.
        segment_parts (`int`, *optional*, defaults to 0): Above 0 where the model's units are of segments, not frames.
        feature_size (`int`, *optional*, defaults to 1): Always 1: waveforms.
        padding_value (`float`, *optional*, defaults to 0.0): What a shorter waveform is filled up with.
        kwargs (*optional*): Passed to [`~transformers.SequenceFeatureExtractor`].
    """

    model_input_names = ["input_values", "attention_mask"]

    def __init__(
        self,
        sampling_rate: int = 16_000,
        frame_rate: float = 50.0,
        segment_parts: int = 0,
        feature_size: int = 1,
        padding_value: float = 0.0,
        **kwargs,
    ):
        self.frame_rate = frame_rate
        self.segment_parts = segment_parts
        super().__init__(feature_size, sampling_rate, padding_value, **{"return_attention_mask": True, **kwargs})

    def __call__(
        self, audio, sampling_rate: int | None = None, return_tensors: str | None = "pt", **kwargs
    ) -> BatchFeature:
        """
        Prepare one recording or several.

        Args:
            audio (`np.ndarray`, `torch.Tensor` or a sequence of them):
                Waveforms of shape `(num_samples,)`, `(num_channels, num_samples)` or `(num_samples, num_channels)`,
                int16 or floating point in [-1, 1].
            sampling_rate (`int`, *optional*):
                Samples per second of the audio; the model's when not given.
            return_tensors (`str`, *optional*, defaults to `"pt"`):
                Kind of the arrays.
            kwargs (*optional*):
                Not read; what other feature extractors take.

        Returns:
            [`~transformers.BatchFeature`]: `input_values` and `attention_mask`, of shape `(batch_size, num_samples)`.

        Raises:
            `ValueError`: If a waveform is empty, shorter than a frame, not finite, or of a shape that is not known.
        """
        waveforms = [audio] if getattr(audio, "ndim", None) in (1, 2) or _is_samples(audio) else list(audio)
        rate = sampling_rate or self.sampling_rate
        hop = int(self.sampling_rate / self.frame_rate)
        rows = [to_mono(waveform, rate, self.sampling_rate, hop, f"Audio {i}") for i, waveform in enumerate(waveforms)]
        return self.pad({"input_values": rows}, padding=True, return_tensors=return_tensors)


class SpeechUnitProcessor(ProcessorMixin):
    """
    What stands around a [`SpeechUnitModel`]: recordings in, units with their times and their content out.

    Args:
        feature_extractor ([`SpeechUnitFeatureExtractor`]): The first half.

    Examples:

    ```python
    >>> import numpy as np
    >>> from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel, SpeechUnitProcessor

    >>> model = SpeechUnitModel(SpeechUnitConfig(num_units=10))
    >>> processor = SpeechUnitProcessor.from_config(model.config)
    >>> stereo = np.zeros((2, 44100), np.float32)
    >>> units = processor.units(model(**processor(stereo, sampling_rate=44100)))
    >>> len(units[0]), sorted(processor.times(units[0])[0])
    (50, ['end', 'start', 'unit'])
    ```
    """

    def __init__(self, feature_extractor):
        super().__init__(feature_extractor)

    @classmethod
    def from_config(cls, config: SpeechUnitConfig) -> "SpeechUnitProcessor":
        """
        The processor of a model.

        Args:
            config ([`SpeechUnitConfig`]): The model's configuration.
        """
        kept = {name: getattr(config, name) for name in ("sampling_rate", "frame_rate", "segment_parts")}
        return cls(SpeechUnitFeatureExtractor(**kept))

    def __call__(self, audio, sampling_rate: int | None = None, **kwargs) -> BatchFeature:
        """As [`SpeechUnitFeatureExtractor`] when it is called."""
        return self.feature_extractor(audio, sampling_rate=sampling_rate, **kwargs)

    def units(self, output) -> list[np.ndarray]:
        """
        The units of each utterance, without padding.

        Args:
            output ([`SpeechUnitOutput`]): What the model gave.

        Returns:
            `list[np.ndarray]`: uint16 arrays of shape `(num_frames,)`.
        """
        rows = zip(output.units.cpu().numpy(), output.frame_mask.cpu().numpy())
        return [units[mask].astype(np.uint16) for units, mask in rows]

    def times(self, units: Sequence[int], dedup: bool = True, frames: Sequence[int] | None = None) -> list[dict]:
        """
        When each unit sounds.

        Args:
            units (`Sequence[int]`): Units of an utterance, one a frame, or one a segment.
            dedup (`bool`, *optional*, defaults to `True`): Whether a run of equal units of frames is one.
            frames (`Sequence[int]`, *optional*): Frames of each segment, for units of segments.

        Returns:
            `list[dict]`: `unit`, `start` and `end` in seconds.

        Raises:
            `ValueError`: If units are of segments and `frames` is missing or of another length.
        """
        units = np.asarray(units)
        if frames is None and self.feature_extractor.segment_parts:
            raise ValueError("The units are of segments; give the frames of each as `frames`.")
        if frames is not None:
            if len(frames) != len(units):
                raise ValueError(f"There are {len(units)} units and frames of {len(frames)}; give one number a unit.")
            bounds = np.concatenate([[0], np.cumsum(frames)]) / self.feature_extractor.frame_rate
            spans = zip(units.tolist(), bounds.tolist(), bounds[1:].tolist())
            return [{"unit": unit, "start": start, "end": end} for unit, start, end in spans]
        starts = np.flatnonzero(run_starts(units)) if dedup else np.arange(len(units))
        bounds, rate = [*starts.tolist(), len(units)], self.feature_extractor.frame_rate
        return [{"unit": int(units[a]), "start": a / rate, "end": b / rate} for a, b in zip(bounds, bounds[1:])]

    def decode(self, units: Sequence[int], dedup: bool = False) -> str:
        """
        The content that a tokenizer reads.

        Args:
            units (`Sequence[int]`): Units of an utterance, one a frame.
            dedup (`bool`, *optional*, defaults to `False`): Whether a run of equal units is written once, as
                Speech-Dedup has it.

        Returns:
            `str`: `"17 17 942 ..."`.
        """
        return " ".join(map(str, collapse_runs(units) if dedup else np.asarray(units).tolist()))

    def batch_decode(self, units: Sequence[Sequence[int]], dedup: bool = False) -> list[str]:
        """[`~SpeechUnitProcessor.decode`] for several utterances."""
        return [self.decode(row, dedup) for row in units]

    def encode(self, content: str) -> np.ndarray:
        """
        Units from content, the way back from [`~SpeechUnitProcessor.decode`].

        Args:
            content (`str`): `"17 17 942 ..."`.

        Returns:
            `np.ndarray`: The units, as uint16.

        Raises:
            `ValueError`: If a symbol is no unit.
        """
        for symbol in content.split():
            if not symbol.isdigit() or int(symbol) >= 2**16:
                raise ValueError(f"{symbol!r} is no unit: units are whole numbers below 65,536.")
        return np.array(content.split(), dtype=np.uint16)


def to_mono(
    audio: np.ndarray | torch.Tensor, rate: int, target_rate: int, min_samples: int = 1, name: str = "The audio"
) -> np.ndarray:
    """
    A recording as one channel at the rate that is wanted.

    Args:
        audio (`np.ndarray` or `torch.Tensor`):
            Shape `(num_samples,)`, `(num_channels, num_samples)` or `(num_samples, num_channels)`; channels are
            averaged.
        rate (`int`): Its samples per second.
        target_rate (`int`): The samples per second that are wanted; resampled by soxr (HQ) where they differ.
        min_samples (`int`, *optional*, defaults to 1): Samples that must be left.
        name (`str`, *optional*, defaults to `"The audio"`): What an error calls it.

    Returns:
        `np.ndarray`: float32 of shape `(num_samples,)`.

    Raises:
        `ValueError`: If the shape or the rate is not one of audio, or as [`check_audio`].
    """
    if rate < 1:
        raise ValueError(f"{name} has {rate} samples per second; give its sampling rate.")
    samples = audio.detach().cpu().numpy() if isinstance(audio, torch.Tensor) else np.asarray(audio)
    if samples.ndim == 2:
        if min(samples.shape) > _MOST_CHANNELS:
            raise ValueError(f"{name} has shape {samples.shape}, which is none of channels and samples.")
        channels = samples if samples.shape[0] <= samples.shape[1] else samples.T
        scale = 2**15 if samples.dtype == np.int16 else 1
        samples = channels.astype(np.float32).mean(0) / scale
    waveform = check_audio(samples, 1, name).numpy()
    if rate != target_rate:
        import soxr

        waveform = soxr.resample(waveform, rate, target_rate, quality="HQ").astype(np.float32)
    return check_audio(waveform, min_samples, name).numpy()


def _is_samples(audio) -> bool:
    """Whether a sequence is one waveform, given as numbers."""
    return isinstance(audio, (list, tuple)) and len(audio) > 0 and isinstance(audio[0], (int, float))


# What `register_for_auto_class` does; it would import the Auto classes, which are what is being imported when this
# module is registered with them.
SpeechUnitFeatureExtractor._auto_class = "AutoFeatureExtractor"
SpeechUnitProcessor._auto_class = "AutoProcessor"
