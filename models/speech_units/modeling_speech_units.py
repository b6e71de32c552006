"""The speech-unit quantizer: audio in, the index of the nearest k-means cluster of each frame or segment out.

waveforms -> encoder (features.py) -> features normalised by the corpus, the utterance or the speaker, and weighted ->
means over segments, where units are of segments -> squared distances to the centroids -> units: the nearest, or with
a duration penalty those of the cheapest path.
`SpeechUnitModel.units` is that for arrays of any lengths; `forward` for a padded batch.
"""

import hashlib
import inspect
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from .configuration_speech_units import SpeechUnitConfig
from .features import check_audio, make_encoder
from .segmentation import SyllableSegmentation, find_syllables, penalized_units

MIN_STD = 1e-3
MIN_SPEAKER_SECONDS = 2.0
_FINGERPRINT_KEYS = sorted(inspect.signature(SpeechUnitConfig.__init__).parameters.keys() - {"self", "kwargs"})
_MAX_SCORES = 2**20  # pairs of frame and centroid at a time: 8 MB


@dataclass
class SpeechUnitOutput(ModelOutput):
    """
    Output of [`SpeechUnitModel`].

    Args:
        units (`torch.LongTensor` of shape `(batch_size, num_frames)`):
            Unit of each frame, or of each segment; -1 where an utterance has ended.
        frame_mask (`torch.BoolTensor` of shape `(batch_size, num_frames)`):
            Which frames, or segments, belong to an utterance.
        distances (`torch.FloatTensor` of shape `(batch_size, num_frames, num_units)`, *optional*):
            Squared Euclidean distances to the centroids; 0 where an utterance has ended.
    """

    units: torch.LongTensor | None = None
    frame_mask: torch.BoolTensor | None = None
    distances: torch.FloatTensor | None = None


class SpeechUnitModel(PreTrainedModel):
    """
    A k-means quantizer of speech (the speech tokens of 2412.17048, Table 2, and 2310.08715).

    The units of an utterance depend on that utterance alone (and on its speaker, with `normalization="speaker"`): not
    on the batch, the padding or the number of threads. Make one with [`fit_units`]; a model made from a configuration
    has random centroids.

    Args:
        config ([`SpeechUnitConfig`]): The configuration.

    Examples:

    ```python
    >>> import numpy as np
    >>> from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel

    >>> model = SpeechUnitModel(SpeechUnitConfig(num_units=10))
    >>> [len(units) for units in model.units([np.zeros(16000, np.int16), np.zeros(400, np.int16)])]
    [50, 1]
    ```
    """

    config_class = SpeechUnitConfig
    base_model_prefix = "speech_units"
    main_input_name = "input_values"
    # Rounded to bfloat16 the centroids would be another quantizer, whatever `dtype` is asked for.
    _keep_in_fp32_modules_strict = [
        "centroids",
        "feature_mean",
        "feature_std",
        "feature_weight",
        "speaker_mean",
        "speaker_std",
    ]

    def __init__(self, config: SpeechUnitConfig):
        super().__init__(config)
        size, num_speakers = config.feature_size, len(config.speakers)
        self.encoder = make_encoder(config)
        self.centroids = torch.nn.Parameter(torch.zeros(config.num_units, config.code_size), requires_grad=False)
        self.register_buffer("feature_mean", torch.zeros(size))
        self.register_buffer("feature_std", torch.ones(size))
        self.register_buffer("feature_weight", torch.ones(size))
        self.register_buffer("speaker_mean", torch.zeros(num_speakers, size))
        self.register_buffer("speaker_std", torch.ones(num_speakers, size))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        if module is self:
            torch.nn.init.normal_(self.centroids)

    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        speakers: Sequence[str] | None = None,
        segments: Sequence[Sequence[int]] | None = None,
        output_distances: bool = False,
        return_dict: bool | None = None,
    ) -> SpeechUnitOutput | tuple:
        """
        Quantize a batch that is padded on the right.

        Args:
            input_values (`torch.Tensor` of shape `(batch_size, num_samples)`):
                Audio at `config.sampling_rate`, floating point in [-1, 1] or int16.
            attention_mask (`torch.Tensor` of shape `(batch_size, num_samples)`, *optional*):
                1 for samples, 0 for padding. Without it all utterances are as long as the batch.
            speakers (`Sequence[str]`, *optional*):
                Speaker of each utterance, for `normalization="speaker"`.
            segments (`Sequence[Sequence[int]]`, *optional*):
                Frames of each segment of each utterance, for `config.segment_parts` above 0; found in the sound where
                they are not given and `config.segmentation` says how.
            output_distances (`bool`, *optional*, defaults to `False`):
                Whether to return the distances to all centroids as well.
            return_dict (`bool`, *optional*):
                Whether to return a [`SpeechUnitOutput`] (by default) or a tuple.

        Returns:
            [`SpeechUnitOutput`]

        Raises:
            `ValueError`: As [`~SpeechUnitModel.units`], or if the mask is not one of padding on the right.
        """
        if input_values.ndim != 2:
            raise ValueError(f"input_values has shape {tuple(input_values.shape)}; give (batch_size, num_samples).")
        lengths = [input_values.shape[1]] * len(input_values)
        if attention_mask is not None:
            if attention_mask.shape != input_values.shape:
                raise ValueError(
                    f"attention_mask has shape {tuple(attention_mask.shape)} and input_values "
                    f"{tuple(input_values.shape)}; give a mask of samples."
                )
            lengths = attention_mask.long().sum(-1).tolist()
            if any(not mask[:length].all() for mask, length in zip(attention_mask, lengths)):
                raise ValueError("attention_mask has padding in front of samples; pad on the right.")
        waveforms = [row[:length] for row, length in zip(input_values, lengths)]
        features = self.extract_features(waveforms, speakers, segments)
        units = pad_sequence([self._quantize(matrix) for matrix in features], batch_first=True, padding_value=-1)
        distances = None
        if output_distances:
            found = [nearest_centroids(matrix, self.centroids.double(), True)[1].float() for matrix in features]
            distances = pad_sequence(found, batch_first=True)
        output = SpeechUnitOutput(units=units, frame_mask=units >= 0, distances=distances)
        return output.to_tuple() if return_dict is False else output

    @torch.no_grad()
    def units(
        self,
        audio: Sequence[np.ndarray],
        speakers: Sequence[str] | None = None,
        sampling_rate: int | None = None,
        segments: Sequence[Sequence[int]] | None = None,
    ) -> list[np.ndarray]:
        """
        Quantize utterances of any lengths.

        Args:
            audio (`Sequence[np.ndarray]`):
                Waveforms of shape `(num_samples,)` at `config.sampling_rate`: int16, or floating point in [-1, 1].
            speakers (`Sequence[str]`, *optional*):
                Speaker of each utterance; needed with `normalization="speaker"` and else not read.
            sampling_rate (`int`, *optional*):
                Sampling rate of the audio, to have it checked.
            segments (`Sequence[Sequence[int]]`, *optional*):
                Frames of each segment of each utterance, together all of its frames; for `config.segment_parts` above
                0 only. Needed there, unless `config.segmentation` says how they are found.

        Returns:
            `list[np.ndarray]`: `config.num_frames(num_samples)` units of each utterance, or one a segment, as uint16.

        Raises:
            `ValueError`: If a waveform is empty, shorter than a frame, not finite, not mono or of another sampling
                rate, if a speaker is needed and unknown, or if segments are missing or do not fit the audio.
        """
        if sampling_rate is not None and sampling_rate != self.config.sampling_rate:
            raise ValueError(
                f"The audio has {sampling_rate} samples per second and the model reads {self.config.sampling_rate}; "
                "resample it first."
            )
        config = self.config
        if config.normalization == "utterance" or config.segment_parts or config.duration_penalty:
            features = self.extract_features(audio, speakers, segments)
            return [self._quantize(matrix).cpu().numpy().astype(np.uint16) for matrix in features]
        self._check_segments(len(audio), segments)
        centroids = self.centroids.double()
        # Piece by piece: the frames of an hour are many times as large as its samples.
        waveforms, means, stds = self._prepare(audio, speakers)
        units = [np.zeros(self.config.num_frames(len(waveform)), np.uint16) for waveform in waveforms]
        for index, first, part in self.encoder.pieces(waveforms):
            frames = normalize_features(part, means[index], stds[index]) * self.feature_weight.double()
            units[index][first : first + len(part)] = nearest_centroids(frames, centroids)[0].cpu().numpy()
        return units

    @torch.no_grad()
    def units_of_frames(
        self,
        frames: Sequence[torch.Tensor],
        speakers: Sequence[str] | None = None,
        segments: Sequence[Sequence[int]] | None = None,
    ) -> list[np.ndarray]:
        """
        Quantize what the encoder has made of utterances already, so that models that share one hear them once.

        Args:
            frames (`Sequence[torch.DoubleTensor]`): What `encoder` gives, of shape `(num_frames, feature_size)`.
            speakers (`Sequence[str]`, *optional*): As in [`~SpeechUnitModel.units`].
            segments (`Sequence[Sequence[int]]`, *optional*): As in [`~SpeechUnitModel.units`]; not found here, since
                frames are no sound.

        Returns:
            `list[np.ndarray]`: The units of [`~SpeechUnitModel.units`].

        Raises:
            `ValueError`: If a speaker is needed and unknown, or segments are missing or do not fit the frames.
        """
        features = self.features_of_frames(frames, speakers, segments)
        return [self._quantize(matrix).cpu().numpy().astype(np.uint16) for matrix in features]

    @torch.no_grad()
    def features_of_frames(
        self,
        frames: Sequence[torch.Tensor],
        speakers: Sequence[str] | None = None,
        segments: Sequence[Sequence[int]] | None = None,
    ) -> Iterator[torch.Tensor]:
        """
        The features of [`~SpeechUnitModel.extract_features`] of what the encoder has made of utterances already.

        Args:
            frames (`Sequence[torch.DoubleTensor]`): As in [`~SpeechUnitModel.units_of_frames`].
            speakers (`Sequence[str]`, *optional*): As in [`~SpeechUnitModel.units`].
            segments (`Sequence[Sequence[int]]`, *optional*): As in [`~SpeechUnitModel.units_of_frames`].

        Returns:
            `Iterator[torch.DoubleTensor]`: Features of one utterance after the other.

        Raises:
            `ValueError`: As [`~SpeechUnitModel.units_of_frames`].
        """
        self._check_segments(len(frames), segments)
        means, stds = self._statistics(len(frames), speakers)
        return self._weigh(frames, means, stds, segments)

    def find_segments(self, audio: Sequence[np.ndarray | torch.Tensor]) -> list[np.ndarray]:
        """
        Find the segments that units are of in the sound, as `config.segmentation` says.

        Args:
            audio (`Sequence[np.ndarray]`): As in [`~SpeechUnitModel.units`].

        Returns:
            `list[np.ndarray]`: Frames of each segment of each utterance, int64: each at least 1, together all.

        Raises:
            `ValueError`: As [`~SpeechUnitModel.units`], or if the model does not find segments.
        """
        config = self.config
        if config.segmentation is None:
            raise ValueError("The model finds no segments: fit one with `segmentation`, or give them as `segments`.")
        settings, found = SyllableSegmentation(**config.segmentation), []
        for index, waveform in enumerate(audio):
            samples = check_audio(waveform, config.hop_length, f"Audio {index}").cpu().numpy()
            shape = (config.sampling_rate, config.frame_rate, config.num_frames(len(samples)))
            found.append(find_syllables(samples, *shape, settings))
        return found

    @torch.no_grad()
    def extract_features(
        self,
        audio: Sequence[np.ndarray | torch.Tensor],
        speakers: Sequence[str] | None = None,
        segments: Sequence[Sequence[int]] | None = None,
    ) -> list[torch.Tensor]:
        """
        The normalised and weighted frames, or segments, that are compared with the centroids.

        Args:
            audio (`Sequence[np.ndarray]`): As in [`~SpeechUnitModel.units`].
            speakers (`Sequence[str]`, *optional*): As in [`~SpeechUnitModel.units`].
            segments (`Sequence[Sequence[int]]`, *optional*): As in [`~SpeechUnitModel.units`].

        Returns:
            `list[torch.DoubleTensor]`: Features of shape `(num_frames, config.feature_size)`, or
            `(num_segments, config.code_size)`.
        """
        if self.config.segmentation is not None and segments is None:
            segments = self.find_segments(audio)
        self._check_segments(len(audio), segments)
        waveforms, means, stds = self._prepare(audio, speakers)
        return list(self._weigh(self.encoder(waveforms), means, stds, segments))

    def _weigh(self, frames: Iterable[torch.Tensor], means: list, stds: list, segments) -> Iterator[torch.Tensor]:
        """Frames normalised and weighted, one utterance after the other; pooled, where units are of segments."""
        for index, (matrix, mean, std) in enumerate(zip(frames, means, stds)):
            features = normalize_features(matrix, mean, std) * self.feature_weight.double()
            if self.config.segment_parts:
                features = pool_segments(features, segments[index], self.config.segment_parts, f"Audio {index}")
            yield features

    def _quantize(self, features: torch.Tensor) -> torch.LongTensor:
        """The units of an utterance's normalised and weighted frames, or segments."""
        centroids, config = self.centroids.detach().double(), self.config
        if not config.duration_penalty:
            return nearest_centroids(features, centroids)[0]
        blocks = features.split(max(1, _MAX_SCORES // len(centroids)))
        distances = (nearest_centroids(block, centroids, True)[1].cpu().numpy() for block in blocks)
        units = penalized_units(distances, config.duration_penalty * config.mean_distance)
        return torch.from_numpy(units).to(features.device)

    def _check_segments(self, num_utterances: int, segments: Sequence[Sequence[int]] | None) -> None:
        if self.config.segment_parts and (segments is None or len(segments) != num_utterances):
            raise ValueError(
                "The model's units are of segments, such as syllables; give the frames of each segment of each "
                "utterance as `segments`."
            )
        if segments is not None and not self.config.segment_parts:
            raise ValueError("The model's units are of frames; leave `segments` out, or fit one with segment_parts.")

    def _prepare(self, audio: Sequence, speakers: Sequence[str] | None) -> tuple[list, list, list]:
        """Checked waveforms on the model's device, and what each is normalised by."""
        if getattr(audio, "ndim", None) == 1:
            raise ValueError("Audio is one waveform; give a list of waveforms.")
        means, stds = self._statistics(len(audio), speakers)
        min_samples = self.config.hop_length
        waveforms = [
            check_audio(waveform, min_samples, f"Audio {i}").to(self.device) for i, waveform in enumerate(audio)
        ]
        return waveforms, means, stds

    def _statistics(self, num_utterances: int, speakers: Sequence[str] | None) -> tuple[list, list]:
        """Mean and standard deviation that each utterance is normalised by; `None` for its own."""
        if self.config.normalization == "none":
            return [self.feature_mean] * num_utterances, [self.feature_std] * num_utterances
        if self.config.normalization == "utterance":
            return [None] * num_utterances, [None] * num_utterances
        if speakers is None or len(speakers) != num_utterances:
            raise ValueError(
                "The model normalises by speaker; give the speaker of each utterance, or fit one with another "
                "normalization."
            )
        index = {speaker: row for row, speaker in enumerate(self.config.speakers)}
        # Not the utterance's own statistics instead: one data set would then hold units of two kinds, and those of a
        # word said by itself would be noise.
        if unknown := sorted({speaker for speaker in speakers if speaker not in index}):
            raise ValueError(
                f"The model knows no statistics of speaker {unknown[0]!r}; add them with "
                f"model.add_speaker({unknown[0]!r}, audio), or fit a model with another normalization."
            )
        rows = [index[speaker] for speaker in speakers]
        return [self.speaker_mean[row] for row in rows], [self.speaker_std[row] for row in rows]

    @torch.no_grad()
    def add_speaker(self, name: str, audio: Sequence[np.ndarray]) -> None:
        """
        Measure a new speaker, so that a model with `normalization="speaker"` can read them. Clusters stay as they are;
        the fingerprint becomes another one.

        Args:
            name (`str`): Name of the speaker.
            audio (`Sequence[np.ndarray]`): Speech of them, as in [`~SpeechUnitModel.units`]; the more the better.

        Raises:
            `ValueError`: If the model does not normalise by speaker, knows the name already, or if the speech is
                shorter than 2 s.
        """
        if self.config.normalization != "speaker":
            raise ValueError(f"The model has normalization {self.config.normalization!r} and needs no speakers.")
        if name in self.config.speakers:
            raise ValueError(f"The model has statistics of speaker {name!r} already; choose another name.")
        waveforms = [check_audio(waveform, 1, f"Audio {i}").to(self.device) for i, waveform in enumerate(audio)]
        features = torch.cat([*self.encoder(waveforms), torch.zeros(0, self.config.feature_size, device=self.device)])
        if len(features) < MIN_SPEAKER_SECONDS * self.config.frame_rate:
            seconds = len(features) / self.config.frame_rate
            raise ValueError(
                f"There are only {seconds:.1f} s of speaker {name!r}; give at least {MIN_SPEAKER_SECONDS:g} s."
            )
        mean, std = features.mean(0), features.std(0, correction=0).clamp_min(MIN_STD)
        self.speaker_mean = torch.cat([self.speaker_mean, mean[None].float()])
        self.speaker_std = torch.cat([self.speaker_std, std[None].float()])
        self.config.speakers = [*self.config.speakers, name]

    def fingerprint(self) -> str:
        """
        A digest of all that made the quantizer: the configuration with the record of its fit, and the weights. It does
        not depend on paths, devices or versions of libraries.

        Returns:
            `str`: 64 hexadecimal digits (SHA-256).
        """
        config = {key: getattr(self.config, key) for key in _FINGERPRINT_KEYS}
        # Quantizers from before they were there are the same ones.
        for added in ("pretrained", "segment_parts", "segmentation", "duration_penalty"):
            if not config[added]:
                del config[added]
        if not self.config.duration_penalty:
            del config["mean_distance"]
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().float().numpy().astype("<f4").tobytes())
        return digest.hexdigest()


def normalize_features(features: torch.Tensor, mean: torch.Tensor | None, std: torch.Tensor | None) -> torch.Tensor:
    """
    Subtract a mean from each frame and divide by a standard deviation.

    Args:
        features (`torch.DoubleTensor` of shape `(num_frames, feature_size)`): Features of one utterance.
        mean (`torch.Tensor` of shape `(feature_size,)`, *optional*): Mean; of the utterance itself where `None`.
        std (`torch.Tensor` of shape `(feature_size,)`, *optional*): Standard deviation, likewise.
    """
    if mean is None or std is None:
        mean, std = features.mean(0), features.std(0, correction=0).clamp_min(MIN_STD)
    return (features - mean.double()) / std.double()


def pool_segments(features: torch.Tensor, counts: Sequence[int], parts: int, name: str = "The audio") -> torch.Tensor:
    """
    Describe segments by means over equal parts of them.

    Args:
        features (`torch.DoubleTensor` of shape `(num_frames, feature_size)`): Frames of one utterance.
        counts (`Sequence[int]`): Frames of each segment, at least 1, together `num_frames`.
        parts (`int`): Parts of a segment. Where it has fewer frames, parts share them.
        name (`str`, *optional*, defaults to `"The audio"`): What an error calls the utterance.

    Returns:
        `torch.DoubleTensor` of shape `(num_segments, parts * feature_size)`.

    Raises:
        `ValueError`: If the segments are not those of the frames.
    """
    counts = torch.as_tensor(np.array(counts, np.int64), device=features.device)
    if counts.ndim != 1 or (counts < 1).any() or int(counts.sum()) != len(features):
        raise ValueError(
            f"{name} has {len(features)} frames, and segments of {int(counts.sum())}; give at least one frame to each "
            "segment, and all of them together."
        )
    starts = (counts.cumsum(0) - counts)[:, None]
    part = torch.arange(parts, device=features.device)
    first = torch.div(part * counts[:, None], parts, rounding_mode="floor")
    last = torch.maximum(torch.div((part + 1) * counts[:, None], parts, rounding_mode="floor"), first + 1)
    sums = torch.cat([features.new_zeros(1, features.shape[1]), features.cumsum(0)])
    means = (sums[starts + last] - sums[starts + first]) / (last - first)[:, :, None]
    return means.flatten(1)


def nearest_centroids(
    features: torch.Tensor, centroids: torch.Tensor, with_distances: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Find the nearest centroid of each frame, in bounded memory.

    Args:
        features (`torch.DoubleTensor` of shape `(num_frames, feature_size)`): Frames.
        centroids (`torch.DoubleTensor` of shape `(num_units, feature_size)`): Centroids.
        with_distances (`bool`, *optional*, defaults to `False`): Whether to return the distances to all centroids.

    Returns:
        `tuple[torch.LongTensor, torch.DoubleTensor]`: Index of the nearest centroid, of shape `(num_frames,)`, and the
        squared distance to it, of the same shape, or to all of them, of shape `(num_frames, num_units)`.
    """
    half_norms = centroids.square().sum(1) / -2
    units, distances = [], []
    for rows in features.split(max(1, _MAX_SCORES // len(centroids))):
        # The frame's own norm changes no order; it is added to the few numbers that are returned.
        scores = torch.addmm(half_norms, rows, centroids.T)
        nearest = scores.argmax(1)
        units.append(nearest)
        kept = scores if with_distances else scores.gather(1, nearest[:, None])
        distances.append((rows.square().sum(1, keepdim=True) - 2 * kept).clamp_min(0))
    distances = torch.cat(distances)
    return torch.cat(units), distances if with_distances else distances[:, 0]


SpeechUnitModel.register_for_auto_class()
