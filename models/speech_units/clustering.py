"""Fitting a quantizer: a stream of audio to the centroids of a `SpeechUnitModel`.

batches of (waveforms, speakers, segments) -> features -> moments of corpus, speakers or utterances, and a random
sample of frames or segments -> normalised and weighted -> k-means -> [`SpeechUnitModel`]. One pass, with memory for
the sample only. What is sampled depends on the seed and on the utterances, not on their order, batches or the number
of processes behind them.
"""

import copy
import hashlib
import logging
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from .configuration_speech_units import SpeechUnitConfig
from .features import check_audio
from .kmeans import kmeans
from .modeling_speech_units import MIN_STD, SpeechUnitModel, normalize_features, pool_segments
from .pretrained_encoder import describe_encoder, load_encoder_weights

logger = logging.getLogger(__name__)

MIN_SAMPLE = 100_000
FRAMES_PER_UNIT = 200
_FIXED_POINT = 2.0**20
# A sample is large: what can be done a few frames at a time makes no copy of it.
_FRAMES_AT_A_TIME = 10_000
# What of a configuration says which frames there are, how much their dimensions count, and how many become one.
_OF_THE_ENCODER = (
    "encoder",
    "sampling_rate",
    "frame_rate",
    "num_mel_bins",
    "num_cepstra",
    "window_ms",
    "log_floor",
    "standardization",
    "delta_weights",
    "pretrained",
    "duration_penalty",
    "segment_parts",
    "segmentation",
)


def fit_units(
    batches: Iterable[tuple], num_units: int = 500, normalization: str = "none", seed: int = 0, **arguments
) -> SpeechUnitModel:
    """
    Fit a quantizer on speech.

    k-means ([`kmeans`]) on a sample of frames, or of segments: the same corpus and seed give the same centroids.

    Args:
        batches (`Iterable[tuple]`): As in [`fit_unit_seeds`].
        num_units (`int`, *optional*, defaults to 500): Number of clusters K.
        normalization (`str`, *optional*, defaults to `"none"`): `"none"`, `"utterance"` or `"speaker"`.
        seed (`int`, *optional*, defaults to 0): Seed of the sample and of k-means.
        arguments (*optional*): The others of [`fit_unit_seeds`].

    Returns:
        [`SpeechUnitModel`]: The model. `model.config.fit` holds `seed`, `num_utterances`, `num_frames` (of the
        corpus), `num_sampled_frames` (or segments), what [`kmeans`] reports, and `corpus_fingerprint`.

    Raises:
        `ValueError`: As [`fit_unit_seeds`].
    """
    return fit_unit_seeds(batches, [seed], num_units, normalization, **arguments)[0]


def fit_unit_seeds(
    batches: Iterable[tuple],
    seeds: Sequence[int],
    num_units: int = 500,
    normalization: str = "none",
    max_frames: int | None = None,
    device: str | torch.device = "cpu",
    algorithm: str = "minibatch",
    encoder_id: str | None = None,
    encoder_layer: int | None = None,
    encoder_revision: str | None = None,
    **config_arguments,
) -> list[SpeechUnitModel]:
    """
    Fit one quantizer a seed, with one pass of the encoder over the speech.

    Args:
        batches (`Iterable[tuple]`):
            Tuples of waveforms (16 kHz, int16 or floating point in [-1, 1]), their speakers (`None` where nothing is
            normalised by them), and, with `segment_parts` above 0 and no `segmentation`, the frames of each segment of
            each. Read once.
        seeds (`Sequence[int]`):
            Seeds of the sample and of k-means, for one model each.
        num_units (`int`, *optional*, defaults to 500):
            Number of clusters K.
        normalization (`str`, *optional*, defaults to `"none"`):
            `"none"`, `"utterance"` or `"speaker"`; see [`SpeechUnitConfig`].
        max_frames (`int`, *optional*):
            Number of frames, or segments, in the sample; 200 for each unit and at least 100,000 by default.
        device (`str` or `torch.device`, *optional*, defaults to `"cpu"`):
            Where features are computed, and clustered with `algorithm="torch"` or `"faiss"`. Models are returned on
            the CPU.
        algorithm (`str`, *optional*, defaults to `"minibatch"`):
            How clusters are searched for; see [`kmeans`].
        encoder_id (`str`, *optional*):
            An encoder with weights, a folder or an id on the Hub (`facebook/hubert-large-ll60k` in 2412.17048); its
            weights up to the layer become part of the model. It implies `encoder="pretrained"`.
        encoder_layer (`int`, *optional*):
            The layer whose output is clustered, from 1; when not given, as [`describe_encoder`] chooses it.
        encoder_revision (`str`, *optional*):
            Commit, branch or tag on the Hub.
        config_arguments (*optional*):
            Further arguments of [`SpeechUnitConfig`].

    Returns:
        `list[SpeechUnitModel]`: A model for each seed. They share the encoder. Each seed has a sample of its own in
        memory: `max_frames` times the size of a centroid in float64, and 2.25 times that while it is put in order.

    Raises:
        `ValueError`: If there is no audio, a waveform cannot be read, speakers or segments are needed and not given,
            or there are fewer distinct frames than clusters.
    """
    weights = {}
    if encoder_id is not None:
        pretrained = describe_encoder(encoder_id, encoder_layer, encoder_revision)
        config_arguments = {"encoder": "pretrained", "pretrained": pretrained} | config_arguments
        weights = load_encoder_weights(encoder_id, pretrained)
    model = SpeechUnitModel(SpeechUnitConfig(num_units=num_units, normalization=normalization, **config_arguments))
    if weights:
        model.encoder.model.load_state_dict(weights)
    return _fit_models([_copy_model(model) for _ in seeds], seeds, batches, max_frames, device, algorithm)


def fit_unit_normalizations(
    batches: Iterable[tuple],
    normalizations: Sequence[str],
    num_units: int = 500,
    seed: int = 0,
    max_frames: int | None = None,
    encoder_of: SpeechUnitModel | None = None,
) -> dict[str, SpeechUnitModel]:
    """
    Fit one quantizer for each way to normalise frames, with one pass of the encoder over the speech.

    Args:
        batches (`Iterable[tuple]`): As in [`fit_unit_seeds`].
        normalizations (`Sequence[str]`): Some of `"none"`, `"utterance"` and `"speaker"`.
        num_units (`int`, *optional*, defaults to 500): Number of clusters K.
        seed (`int`, *optional*, defaults to 0): Seed of the sample and of k-means.
        max_frames (`int`, *optional*): As in [`fit_unit_seeds`].
        encoder_of ([`SpeechUnitModel`], *optional*): A quantizer whose encoder is taken; MFCC when not given.

    Returns:
        `dict[str, SpeechUnitModel]`: By normalisation, the model that [`fit_units`] gives. They share the encoder.

    Raises:
        `ValueError`: As [`fit_unit_seeds`].
    """
    arguments = {} if encoder_of is None else {name: getattr(encoder_of.config, name) for name in _OF_THE_ENCODER}
    models = []
    for normalization in normalizations:
        model = SpeechUnitModel(SpeechUnitConfig(num_units=num_units, normalization=normalization, **arguments))
        model.encoder = models[0].encoder if models else encoder_of.encoder if encoder_of else model.encoder
        models.append(model)
    fitted = _fit_models(models, [seed] * len(models), batches, max_frames)
    return dict(zip(normalizations, fitted))


def _copy_model(model: SpeechUnitModel) -> SpeechUnitModel:
    """A copy that has the same object as its encoder."""
    return copy.deepcopy(model, {id(model.encoder): model.encoder})


def _fit_models(
    models: list[SpeechUnitModel],
    seeds: Sequence[int],
    batches: Iterable[tuple],
    max_frames: int | None,
    device: str | torch.device = "cpu",
    algorithm: str = "minibatch",
) -> list[SpeechUnitModel]:
    """Fit models that have one encoder and differ in what they normalise by, or in their seed."""
    config, encoder = models[0].config, models[0].to(device).encoder
    max_frames = max_frames or max(MIN_SAMPLE, FRAMES_PER_UNIT * config.num_units)
    if max_frames < config.num_units:
        raise ValueError(
            f"max_frames is {max_frames}, less than the {config.num_units} units; raise it or ask for fewer units."
        )
    samples = [_FrameSample(max_frames, seed) for seed in seeds]
    corpora: dict[str, _Corpus] = {}
    for model, sample in zip(models, samples):
        corpora.setdefault(model.config.normalization, _Corpus(model.config)).samples.append(sample)
    num_utterances = 0
    for audio, speakers, *rest in batches:
        segments = _segments_of(models[0], audio, rest)
        if "speaker" in corpora and (speakers is None or len(speakers) != len(audio)):
            raise ValueError(
                "normalization='speaker' needs the speaker of each utterance; give them beside the audio."
            )
        waveforms = [
            check_audio(waveform, config.hop_length, f"Audio {num_utterances + i}").to(device)
            for i, waveform in enumerate(audio)
        ]
        num_utterances += len(waveforms)
        rows = zip(waveforms, encoder(waveforms), speakers or [""] * len(waveforms), segments)
        for waveform, features, speaker, counts in rows:
            for corpus in corpora.values():
                corpus.add(waveform.cpu().numpy(), features.cpu().numpy(), speaker, counts)
    if num_utterances == 0:
        raise ValueError("There is no audio to fit units on; give at least one utterance.")
    for corpus in corpora.values():
        corpus.samples.clear()
    samples.reverse()
    for model in models:  # each sample goes when it has been used
        _fit_model(model.to("cpu"), corpora[model.config.normalization], samples.pop(), algorithm, device)
    return models


def _segments_of(model: SpeechUnitModel, audio: Sequence, rest: Sequence) -> Sequence:
    """The segments of a batch; `None` for each waveform where units are of frames."""
    if not model.config.segment_parts:
        return [None] * len(audio)
    if model.config.segmentation is not None:
        return model.find_segments(audio)
    if not rest or len(rest[0]) != len(audio):
        raise ValueError("segment_parts needs the frames of each segment of each utterance; give them with the audio.")
    return rest[0]


def _fit_model(
    model: SpeechUnitModel, corpus: "_Corpus", sample: "_FrameSample", algorithm: str, device: str | torch.device
) -> SpeechUnitModel:
    config, parts = model.config, max(1, model.config.segment_parts)
    frames, speakers = sample.collect()
    config.speakers = corpus.speakers
    for name, value in (("speaker_mean", 0.0), ("speaker_std", 1.0)):
        setattr(model, name, torch.full((len(config.speakers), config.feature_size), value))
    mean, std, spread = corpus.statistics()
    model.feature_mean.copy_(torch.from_numpy(mean))
    model.feature_std.copy_(torch.from_numpy(std))
    groups = np.array(config.dimension_weights)
    # Normalised features have equal variance in all dimensions; this gives back what `standardization` leaves of it.
    model.feature_weight.copy_(torch.from_numpy(groups * spread ** (1 - config.standardization)))
    if config.normalization == "speaker":
        speaker_mean, speaker_std = corpus.speaker_statistics()
        model.speaker_mean.copy_(torch.from_numpy(speaker_mean))
        model.speaker_std.copy_(torch.from_numpy(speaker_std))
        index = {speaker: row for row, speaker in enumerate(config.speakers)}
        rows = np.array([index[speaker] for speaker in speakers])
        mean, std = (np.tile(t.double().numpy(), parts) for t in (model.speaker_mean, model.speaker_std))
        for block in _blocks(len(frames)):
            frames[block] -= mean[rows[block]]
            frames[block] /= std[rows[block]]
    elif config.normalization == "none":
        mean, std = (np.tile(t.double().numpy(), parts) for t in (model.feature_mean, model.feature_std))
        frames -= mean
        frames /= std
    frames *= np.tile(model.feature_weight.double().numpy(), parts)
    centroids, report = kmeans(frames, config.num_units, sample.seed, algorithm, device)
    model.centroids.data.copy_(torch.from_numpy(centroids))
    if config.duration_penalty:
        config.mean_distance = report["inertia"]
    config.fit = {
        "seed": sample.seed,
        **({} if algorithm == "minibatch" else {"algorithm": algorithm}),
        "num_utterances": corpus.num_utterances,
        "num_frames": corpus.num_frames,
        "num_sampled_frames": len(frames),
        **report,
        "corpus_fingerprint": corpus.fingerprint(),
    }
    logger.info("Fitted %d units: %s", config.num_units, config.fit)
    return model.eval()


class _Corpus:
    """
    What a fit remembers of the utterances that went by: sums, a sample and a digest.

    Sums are kept in fixed point, as integers of any size: float sums would depend on the order of the utterances.
    """

    def __init__(self, config: SpeechUnitConfig):
        self.config = config
        self.samples: list[_FrameSample] = []
        self.num_utterances = 0
        self._moments: dict[str, np.ndarray] = {}
        self._within = np.zeros(config.feature_size, object)
        self._digest = 0

    def add(
        self, waveform: np.ndarray, features: np.ndarray, speaker: str, counts: Sequence[int] | None = None
    ) -> None:
        digest = hashlib.sha256(waveform.astype("<f4").tobytes() + speaker.encode()).digest()
        self.num_utterances += 1
        self._digest += int.from_bytes(digest, "big")
        moments = np.concatenate([[len(features)], features.sum(0), np.square(features).sum(0)])
        self._moments[speaker] = self._moments.get(speaker, 0) + _to_fixed_point(moments)
        self._within += _to_fixed_point(len(features) * features.var(0))
        if self.config.normalization == "utterance":
            features = normalize_features(torch.from_numpy(features), None, None).numpy()
        if counts is not None:
            name = f"Audio {self.num_utterances - 1}"
            features = pool_segments(torch.from_numpy(features), counts, self.config.segment_parts, name).numpy()
        for sample in self.samples:
            sample.add(features, speaker, digest)

    @property
    def speakers(self) -> list[str]:
        return sorted(self._moments) if self.config.normalization == "speaker" else []

    @property
    def num_frames(self) -> int:
        return int(sum(moments[0] for moments in self._moments.values()) // int(_FIXED_POINT))

    def statistics(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, standard deviation, and the pooled deviation from the mean that is subtracted."""
        mean, std = _mean_and_std(sum(self._moments.values()))
        if self.config.normalization == "none":
            return mean, std, std
        if self.config.normalization == "utterance":
            within = self._within.astype(float) / _FIXED_POINT / self.num_frames
            return mean, std, np.sqrt(within).clip(MIN_STD)
        counts = np.array([float(self._moments[speaker][0]) for speaker in self.speakers])
        variances = np.square(self.speaker_statistics()[1])
        return mean, std, np.sqrt((counts / counts.sum()) @ variances)

    def speaker_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations, a row a speaker."""
        rows = [_mean_and_std(self._moments[speaker]) for speaker in self.speakers]
        return np.stack([mean for mean, _ in rows]), np.stack([std for _, std in rows])

    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.num_utterances} {self._digest}".encode()).hexdigest()


def _to_fixed_point(values: np.ndarray) -> np.ndarray:
    return np.array([int(value) for value in np.rint(values * _FIXED_POINT)], object)


def _mean_and_std(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count, size = moments[0], (len(moments) - 1) // 2
    mean = (moments[1 : size + 1] / count).astype(float)
    square = (moments[size + 1 :] / count).astype(float)
    return mean, np.sqrt((square - mean**2).clip(0)).clip(MIN_STD)


class _FrameSample:
    """
    A uniform sample of a stream of frames: those with the smallest random keys, drawn from the seed and the utterance.

    Args:
        size (`int`): Number of frames to keep.
        seed (`int`): Seed.
    """

    def __init__(self, size: int, seed: int):
        self.seed = seed
        self._size = size
        self._limit = np.inf
        # A quarter more than is kept, so that it is seldom full. Only what is written takes memory.
        self._keys = np.empty(size + size // 4 + 1)
        self._speakers = np.empty(len(self._keys), object)
        self._frames: np.ndarray | None = None
        self._num_kept = 0

    def add(self, features: np.ndarray, speaker: str, digest: bytes) -> None:
        if self._frames is None:
            self._frames = np.empty((len(self._keys), features.shape[1]))
        keys = np.random.default_rng([self.seed, int.from_bytes(digest[:16], "big")]).random(len(features))
        chosen = np.flatnonzero(keys < self._limit)
        while len(chosen):
            end = min(self._num_kept + len(chosen), len(self._keys))
            place, fitting = slice(self._num_kept, end), chosen[: end - self._num_kept]
            self._keys[place], self._frames[place], self._speakers[place] = keys[fitting], features[fitting], speaker
            self._num_kept, chosen = end, chosen[len(fitting) :]
            if end == len(self._keys):
                self._shrink()

    def collect(self) -> tuple[np.ndarray, np.ndarray]:
        """The frames in the order of their keys, and the speaker of each; the sample has them no more."""
        order = np.argsort(self._keys[: self._num_kept], kind="stable")[: self._size]
        frames, self._frames = self._frames[order], None
        return frames, self._speakers[order]

    def _shrink(self) -> None:
        """Move the frames that stay to the front."""
        self._limit = np.partition(self._keys, self._size - 1)[self._size - 1]
        staying = np.flatnonzero(self._keys <= self._limit)[: self._size]
        for block in _blocks(len(staying)):
            for values in (self._keys, self._frames, self._speakers):
                values[block] = values[staying[block]]
        self._num_kept = len(staying)


def _blocks(length: int) -> list[slice]:
    return [slice(start, min(start + _FRAMES_AT_A_TIME, length)) for start in range(0, length, _FRAMES_AT_A_TIME)]
