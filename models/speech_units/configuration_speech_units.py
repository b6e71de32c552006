"""Configuration of a speech-unit quantizer: which frames it reads, what it does to them, and how it was made.

`SpeechUnitConfig` -> [`SpeechUnitModel`], and back through `config.json`. Everything that can change a unit is here or
in the weights, so that the two together are the quantizer's fingerprint.
"""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from transformers import PretrainedConfig

from .segmentation import SyllableSegmentation

ENCODER_NAMES = ("mfcc", "log_mel", "pretrained")
_STANDARDIZATION = {"mfcc": 0.5, "log_mel": 0.5, "pretrained": 0.0}
_PRETRAINED_LABELS = {
    "hubert": "HuBERT",
    "wav2vec2": "wav2vec 2.0",
    "wavlm": "WavLM",
    "data2vec-audio": "data2vec",
    "unispeech-sat": "UniSpeech-SAT",
    "whisper": "Whisper",
}
NORMALIZATIONS = ("none", "utterance", "speaker")
MAX_UNITS = 2**16


class SpeechUnitConfig(PretrainedConfig):
    """
    Configuration of a [`SpeechUnitModel`].

    Args:
        encoder (`str`, *optional*, defaults to `"mfcc"`):
            What turns audio into frames. `"mfcc"`: cepstra with deltas and delta-deltas; `"log_mel"`: logarithms of
            mel energies; `"pretrained"`: a layer of an encoder with weights, such as HuBERT's or Whisper's.
        num_units (`int`, *optional*, defaults to 500):
            Number of clusters K; at most 65,536, so that a unit fits in two bytes.
        sampling_rate (`int`, *optional*, defaults to 16000):
            Samples per second of the audio that it reads.
        frame_rate (`float`, *optional*, defaults to 50.0):
            Frames, and so units, per second. Must divide `sampling_rate`.
        normalization (`str`, *optional*, defaults to `"none"`):
            Whose mean and standard deviation each dimension is normalised by: of the whole corpus (`"none"`), of the
            `"utterance"` or of the `"speaker"`. Utterance statistics are meaningless for isolated words; speaker
            statistics are those of all of a speaker's speech in the corpus that the quantizer was fitted on, and an
            isolated word of that speaker gets the same ones.
        num_mel_bins (`int`, *optional*, defaults to 40):
            Number of mel filters from 20 Hz to half the sampling rate.
        num_cepstra (`int`, *optional*, defaults to 13):
            Number of cepstra, the zeroth included; with deltas and delta-deltas a frame has three times as many
            dimensions.
        window_ms (`float`, *optional*, defaults to 25.0):
            Length of the Hann window in milliseconds, centred on the frame; not of
            `"pretrained"`, whose layers say it.
        log_floor (`float`, *optional*, defaults to 1e-4):
            Added to mel energies (of audio in [-1, 1]) before the logarithm. Differences between sounds that are about
            50 dB below speech then no longer count.
        standardization (`float`, *optional*):
            Power of a dimension's standard deviation that it is divided by: 1 gives all dimensions the same weight, 0
            leaves the zeroth cepstrum five times as large as the others. By default 0.5, and 0 for
            `"pretrained"`, whose features are clustered as they are (2106.07447, Section IV-B).
        delta_weights (`tuple[float, float]`, *optional*, defaults to `(0.7, 0.5)`):
            Weights of deltas and of delta-deltas beside the cepstra.
        segment_parts (`int`, *optional*, defaults to 0):
            0: a unit describes a frame. Above 0: a unit describes a segment of frames, such as a syllable, that is
            given beside the audio. The segment is cut into so many equal parts, and the means of their frames, behind
            one another, are clustered: one part knows what sounds in a syllable, three know in which order.
        segmentation (`dict`, *optional*):
            With `segment_parts` above 0: the segments are syllables that the model finds in the sound by itself, with
            these arguments of [`SyllableSegmentation`]; an empty one stands for its defaults.
        duration_penalty (`float`, *optional*, defaults to 0.0):
            Above 0: units of frames are those that minimise the squared distances of all frames of an utterance to
            their centroids, plus this penalty, in units of `mean_distance`, for each run of equal units; see
            [`penalized_units`]. 0: the unit of a frame is its nearest centroid.
        mean_distance (`float`, *optional*, defaults to 1.0):
            What `duration_penalty` is in units of: [`fit_units`] writes here the mean squared distance to its centroid
            of a frame that it clustered, so that one penalty does for all encoders.
        pretrained (`dict`, *optional*):
            Which encoder `"pretrained"` is, as [`describe_encoder`] gives it. Its weights are part of the model.
        speakers (`Sequence[str]`, *optional*, defaults to `()`):
            Names of the speakers whose statistics the model holds, in the order of its rows.
        fit (`dict`, *optional*):
            How the clusters were found; written by [`fit_units`].
        kwargs (*optional*):
            Passed to [`~transformers.PretrainedConfig`].

    Raises:
        `ValueError`: If a value is outside its range.

    Examples:

    ```python
    >>> from evoslm.models.speech_units import SpeechUnitConfig

    >>> config = SpeechUnitConfig(num_units=100)
    >>> config.num_frames(16000), config.hop_length, config.feature_size
    (50, 320, 39)
    ```
    """

    model_type = "speech_units"

    def __init__(
        self,
        encoder: str = "mfcc",
        num_units: int = 500,
        sampling_rate: int = 16_000,
        frame_rate: float = 50.0,
        normalization: str = "none",
        num_mel_bins: int = 40,
        num_cepstra: int = 13,
        window_ms: float = 25.0,
        log_floor: float = 1e-4,
        standardization: float | None = None,
        delta_weights: Sequence[float] = (0.7, 0.5),
        segment_parts: int = 0,
        segmentation: dict[str, float] | None = None,
        duration_penalty: float = 0.0,
        mean_distance: float = 1.0,
        pretrained: dict[str, Any] | None = None,
        speakers: Sequence[str] = (),
        fit: dict[str, Any] | None = None,
        **kwargs,
    ):
        if encoder not in ENCODER_NAMES:
            raise ValueError(f"Unknown encoder {encoder!r}; choose from {', '.join(ENCODER_NAMES)}.")
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"Unknown normalization {normalization!r}; choose from {', '.join(NORMALIZATIONS)}.")
        if not 1 <= num_units <= MAX_UNITS:
            raise ValueError(f"num_units is {num_units}; it must be from 1 to {MAX_UNITS}.")
        if frame_rate <= 0 or sampling_rate % frame_rate:
            raise ValueError(
                f"A frame rate of {frame_rate} Hz does not divide the sampling rate of {sampling_rate} Hz; choose one "
                "with a whole number of samples per frame."
            )
        if (encoder == "pretrained") != (pretrained is not None):
            raise ValueError("encoder='pretrained' and the encoder's description go together; give both or neither.")
        if pretrained is not None:
            _check_pretrained(pretrained, sampling_rate, frame_rate)
        if encoder != "pretrained" and window_ms * frame_rate < 1000:
            raise ValueError(
                f"A window of {window_ms} ms is shorter than a frame of {1000 / frame_rate:g} ms; widen it."
            )
        if not 1 <= num_cepstra <= num_mel_bins:
            raise ValueError(f"num_cepstra is {num_cepstra}; it must be from 1 to num_mel_bins ({num_mel_bins}).")
        if segment_parts < 0:
            raise ValueError(f"segment_parts is {segment_parts}; it must be 0 (frames) or above (segments).")
        if segmentation is not None:
            segmentation = _complete_segmentation(segmentation, segment_parts)
        if not duration_penalty >= 0 or (duration_penalty and segment_parts):
            raise ValueError(
                f"duration_penalty is {duration_penalty}; it must be 0 or above, and 0 where units are of segments."
            )
        if log_floor <= 0:
            raise ValueError(f"log_floor is {log_floor}; it must be above 0, or digital silence has no logarithm.")
        self.encoder = encoder
        self.num_units = num_units
        self.sampling_rate = sampling_rate
        self.frame_rate = float(frame_rate)
        self.normalization = normalization
        self.num_mel_bins = num_mel_bins
        self.num_cepstra = num_cepstra
        self.window_ms = window_ms
        self.log_floor = log_floor
        self.standardization = _STANDARDIZATION[encoder] if standardization is None else standardization
        self.delta_weights = list(delta_weights)
        self.segment_parts = segment_parts
        self.segmentation = segmentation
        self.duration_penalty = duration_penalty
        self.mean_distance = mean_distance
        self.pretrained = pretrained
        self.speakers = list(speakers)
        self.fit = fit
        super().__init__(**kwargs)

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return int(self.sampling_rate / self.frame_rate)

    @property
    def feature_size(self) -> int:
        """Dimensions of a frame."""
        return len(self.dimension_weights)

    @property
    def code_size(self) -> int:
        """Dimensions of a centroid: of a frame, or of a segment's parts behind one another."""
        return self.feature_size * max(1, self.segment_parts)

    @property
    def dimension_weights(self) -> list[float]:
        """How much each dimension counts beside the others, before `standardization`."""
        if self.encoder == "pretrained":
            return [1.0] * self.pretrained["hidden_size"]
        if self.encoder == "log_mel":
            return [1.0] * self.num_mel_bins
        return [weight for weight in (1.0, *self.delta_weights) for _ in range(self.num_cepstra)]

    @property
    def encoder_label(self) -> str:
        """The encoder's name in tables and figures: of its kind, for nothing is called HuBERT that is not."""
        if self.encoder != "pretrained":
            return {"mfcc": "MFCC", "log_mel": "log-mel"}[self.encoder]
        kind = self.pretrained["model"]["model_type"]
        return _PRETRAINED_LABELS.get(kind, kind)

    def num_frames(self, num_samples):
        """
        Number of frames, and so of units, of audio of a given length: frame i describes samples
        `[i * hop_length, (i + 1) * hop_length)`, and a remainder shorter than a frame has none.

        Args:
            num_samples (`int` or `torch.LongTensor`): Length of the audio in samples.
        """
        return num_samples // self.hop_length


def _complete_segmentation(segmentation: dict[str, float], segment_parts: int) -> dict[str, float]:
    if not segment_parts:
        raise ValueError("segmentation finds segments; give segment_parts, too, or leave it out for frames.")
    known = [field.name for field in fields(SyllableSegmentation)]
    if unknown := sorted(set(segmentation) - set(known)):
        raise ValueError(f"Segmentation has no {unknown[0]!r}; it has {', '.join(known)}.")
    return asdict(SyllableSegmentation(**segmentation))


def _check_pretrained(pretrained: dict[str, Any], sampling_rate: int, frame_rate: float) -> None:
    hop, rate = pretrained["hop_length"], pretrained["sampling_rate"]
    if rate != sampling_rate or sampling_rate != hop * frame_rate:
        raise ValueError(
            f"{pretrained['source']} reads {rate} samples a second and makes a frame of {hop} of them, which does not "
            f"fit {sampling_rate} samples and {frame_rate:g} frames a second; give sampling_rate={rate} and "
            f"frame_rate={rate / hop:g} to fit_units or SpeechUnitConfig."
        )


SpeechUnitConfig.register_for_auto_class()
