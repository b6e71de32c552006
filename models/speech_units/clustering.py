"""Fitting a quantizer: a stream of audio to the centroids of a `SpeechUnitModel`.

batches of (waveforms, speakers) -> features -> moments of corpus, speakers or utterances, and a random sample of
frames -> normalised and weighted -> k-means -> [`SpeechUnitModel`]. One pass, with memory for the sample only. What is
sampled depends on the seed and on the utterances, not on their order, batches or the number of processes behind them.
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from .configuration_speech_units import SpeechUnitConfig
from .features import check_audio
from .modeling_speech_units import MIN_STD, SpeechUnitModel, nearest_centroids, normalize_features
from .ssl_encoder import describe_ssl_encoder, load_ssl_weights

logger = logging.getLogger(__name__)

MIN_SAMPLE = 100_000
FRAMES_PER_UNIT = 200
LLOYD_ITERATIONS = 5
_BATCH_SIZE = 10_000
_FIXED_POINT = 2.0**20


def fit_units(
    batches: Iterable[tuple[Sequence[np.ndarray], Sequence[str] | None]],
    num_units: int = 500,
    normalization: str = "none",
    seed: int = 0,
    max_frames: int | None = None,
    device: str | torch.device = "cpu",
    ssl_model_id: str | None = None,
    ssl_layer: int | None = None,
    ssl_revision: str | None = None,
    **config_arguments,
) -> SpeechUnitModel:
    """
    Fit a quantizer on speech.

    MiniBatchKMeans with k-means++ seeding (2106.07447, Section IV-B) on a sample of frames, then a few full Lloyd
    iterations, in float64 and in one thread: the same corpus and seed give the same centroids. A cluster that is
    nearest to no frame of the sample is moved to the frame that is worst described.

    Args:
        batches (`Iterable[tuple[Sequence[np.ndarray], Sequence[str]]]`):
            Pairs of waveforms (16 kHz, int16 or floating point in [-1, 1]) and their speakers; the speakers may be
            `None` where nothing is normalised by them. Read once.
        num_units (`int`, *optional*, defaults to 500):
            Number of clusters K.
        normalization (`str`, *optional*, defaults to `"none"`):
            `"none"`, `"utterance"` or `"speaker"`; see [`SpeechUnitConfig`].
        seed (`int`, *optional*, defaults to 0):
            Seed of the sample and of k-means.
        max_frames (`int`, *optional*):
            Number of frames in the sample; 200 for each unit and at least 100,000 by default.
        device (`str` or `torch.device`, *optional*, defaults to `"cpu"`):
            Where features are computed. The model is returned on the CPU.
        ssl_model_id (`str`, *optional*):
            A self-supervised encoder, a folder or an id on the Hub (`facebook/hubert-large-ll60k` in 2412.17048); its
            weights up to the layer become part of the model. It implies `encoder="ssl"`.
        ssl_layer (`int`, *optional*):
            The layer whose output is clustered, from 1; the last one when not given.
        ssl_revision (`str`, *optional*):
            Commit, branch or tag on the Hub.
        config_arguments (*optional*):
            Further arguments of [`SpeechUnitConfig`].

    Returns:
        [`SpeechUnitModel`]: The model. `model.config.fit` holds `seed`, `num_utterances`, `num_frames` (of the
        corpus), `num_sampled_frames`, what [`kmeans`] reports, and `corpus_fingerprint`.

    Raises:
        `ValueError`: If there is no audio, a waveform cannot be read, speakers are needed and not given, or there are
            fewer distinct frames than clusters.
    """
    weights = {}
    if ssl_model_id is not None:
        ssl = describe_ssl_encoder(ssl_model_id, ssl_layer, ssl_revision)
        config_arguments = {"encoder": "ssl", "ssl": ssl} | config_arguments
        weights = load_ssl_weights(ssl_model_id, ssl)
    config = SpeechUnitConfig(num_units=num_units, normalization=normalization, **config_arguments)
    max_frames = max_frames or max(MIN_SAMPLE, FRAMES_PER_UNIT * num_units)
    if max_frames < num_units:
        raise ValueError(
            f"max_frames is {max_frames}, less than the {num_units} units; raise it or ask for fewer units."
        )
    model = SpeechUnitModel(config)
    if weights:
        model.encoder.model.load_state_dict(weights)
    encoder = model.to(device).encoder
    corpus = _Corpus(config, _FrameSample(max_frames, seed))
    for audio, speakers in batches:
        if normalization == "speaker" and (speakers is None or len(speakers) != len(audio)):
            raise ValueError(
                "normalization='speaker' needs the speaker of each utterance; give them beside the audio."
            )
        offset = corpus.num_utterances
        waveforms = [
            check_audio(waveform, config.hop_length, f"Audio {offset + i}").to(device)
            for i, waveform in enumerate(audio)
        ]
        for waveform, features, speaker in zip(waveforms, encoder(waveforms), speakers or [""] * len(waveforms)):
            corpus.add(waveform.cpu().numpy(), features.cpu().numpy(), speaker)
    if corpus.num_utterances == 0:
        raise ValueError("There is no audio to fit units on; give at least one utterance.")
    return _fit_model(model.to("cpu"), corpus, seed)


def _fit_model(model: SpeechUnitModel, corpus: "_Corpus", seed: int) -> SpeechUnitModel:
    config = model.config
    frames, speakers = corpus.sample.collect()
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
        rows = [index[speaker] for speaker in speakers]
        frames = (frames - model.speaker_mean.double().numpy()[rows]) / model.speaker_std.double().numpy()[rows]
    elif config.normalization == "none":
        frames = (frames - model.feature_mean.double().numpy()) / model.feature_std.double().numpy()
    frames = frames * model.feature_weight.double().numpy()
    centroids, report = kmeans(frames, config.num_units, seed)
    model.centroids.data.copy_(torch.from_numpy(centroids))
    config.fit = {
        "seed": seed,
        "num_utterances": corpus.num_utterances,
        "num_frames": corpus.num_frames,
        "num_sampled_frames": len(frames),
        **report,
        "corpus_fingerprint": corpus.fingerprint(),
    }
    logger.info("Fitted %d units: %s", config.num_units, config.fit)
    return model.eval()


def kmeans(frames: np.ndarray, num_units: int, seed: int = 0) -> tuple[np.ndarray, dict]:
    """
    Cluster frames: MiniBatchKMeans, then Lloyd iterations on all of them.

    Mini-batches find nearly the best clusters in a third of the time; the Lloyd iterations take most of what is left
    (at K = 500 inertia falls by 1.2 %).

    Args:
        frames (`np.ndarray` of shape `(num_frames, feature_size)`): Frames, as float64.
        num_units (`int`): Number of clusters.
        seed (`int`, *optional*, defaults to 0): Seed.

    Returns:
        `tuple[np.ndarray, dict]`: Centroids of shape `(num_units, feature_size)`, with float32's precision, and a
        report: `inertia` (mean squared distance of a frame to its centroid), `num_reseeded_units` (how often a dead
        cluster was moved) and `num_dead_units` (clusters that are nearest to no frame in the end).

    Raises:
        `ValueError`: If there are fewer distinct frames than clusters.
    """
    from sklearn.cluster import MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    if (num_distinct := _count_distinct(frames, num_units)) < num_units:
        raise ValueError(
            f"There are only {num_distinct} distinct frames for {num_units} units; give more speech, or ask for fewer."
        )
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in another order would give other centroids
    try:
        with threadpool_limits(1):
            search = MiniBatchKMeans(
                num_units,
                batch_size=_BATCH_SIZE,
                n_init=1,
                reassignment_ratio=0.0,
                max_no_improvement=10,
                random_state=seed,
            )
            centroids = search.fit(frames).cluster_centers_
        return _lloyd(frames, centroids)
    finally:
        torch.set_num_threads(num_threads)


def _lloyd(frames: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, dict]:
    """Lloyd iterations, in which dead clusters are moved; a few more while there are any."""
    data = torch.from_numpy(frames)
    centroids = torch.from_numpy(centroids)
    num_reseeded = 0
    for iteration in range(2 * LLOYD_ITERATIONS + 1):
        centroids = centroids.float().double()
        units, distances = nearest_centroids(data, centroids)
        counts = torch.bincount(units, minlength=len(centroids))
        dead = (counts == 0).nonzero()[:, 0]
        if iteration == 2 * LLOYD_ITERATIONS or (iteration >= LLOYD_ITERATIONS and len(dead) == 0):
            break
        sums = torch.zeros_like(centroids).index_add_(0, units, data)
        centroids = sums / counts.clamp_min(1)[:, None]
        if len(dead):
            worst = _worst_described(frames, distances.numpy(), len(dead))
            centroids[dead[: len(worst)]] = data[worst]
            num_reseeded += len(worst)
    report = {
        "inertia": float(distances.mean()),
        "num_reseeded_units": num_reseeded,
        "num_dead_units": len(dead),
    }
    return centroids.numpy(), report


def _worst_described(frames: np.ndarray, distances: np.ndarray, number: int) -> np.ndarray:
    """Indices of the distinct frames that are furthest from their centroids."""
    order = np.argsort(-distances, kind="stable")[: 50 * number]
    _, first = np.unique(frames[order], axis=0, return_index=True)
    return order[np.sort(first)[:number]]


def _count_distinct(frames: np.ndarray, enough: int) -> int:
    """Number of distinct frames, counted no further than is needed to see that there are enough."""
    for size in (4 * enough, len(frames)):
        distinct = {row.tobytes() for row in frames[:size]}
        if len(distinct) >= enough:
            break
    return len(distinct)


class _Corpus:
    """
    What a fit remembers of the utterances that went by: sums, a sample and a digest.

    Sums are kept in fixed point, as integers of any size: float sums would depend on the order of the utterances.
    """

    def __init__(self, config: SpeechUnitConfig, sample: "_FrameSample"):
        self.config = config
        self.sample = sample
        self.num_utterances = 0
        self._moments: dict[str, np.ndarray] = {}
        self._within = np.zeros(config.feature_size, object)
        self._digest = 0

    def add(self, waveform: np.ndarray, features: np.ndarray, speaker: str) -> None:
        digest = hashlib.sha256(waveform.astype("<f4").tobytes() + speaker.encode()).digest()
        self.num_utterances += 1
        self._digest += int.from_bytes(digest, "big")
        moments = np.concatenate([[len(features)], features.sum(0), np.square(features).sum(0)])
        self._moments[speaker] = self._moments.get(speaker, 0) + _to_fixed_point(moments)
        self._within += _to_fixed_point(len(features) * features.var(0))
        if self.config.normalization == "utterance":
            features = normalize_features(torch.from_numpy(features), None, None).numpy()
        self.sample.add(features, speaker, digest)

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
        self._size = size
        self._seed = seed
        self._limit = np.inf
        self._kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._num_kept = 0

    def add(self, features: np.ndarray, speaker: str, digest: bytes) -> None:
        keys = np.random.default_rng([self._seed, int.from_bytes(digest[:16], "big")]).random(len(features))
        chosen = keys < self._limit
        self._kept.append((keys[chosen], features[chosen], np.full(chosen.sum(), speaker, object)))
        self._num_kept += int(chosen.sum())
        if self._num_kept >= 2 * self._size:
            self._shrink()

    def collect(self) -> tuple[np.ndarray, np.ndarray]:
        """The frames in the order of their keys, and the speaker of each."""
        self._shrink()
        _, frames, speakers = self._kept[0]
        return frames, speakers

    def _shrink(self) -> None:
        keys, frames, speakers = (np.concatenate(parts) for parts in zip(*self._kept))
        order = np.argsort(keys, kind="stable")[: self._size]
        self._kept = [(keys[order], frames[order], speakers[order])]
        self._num_kept = len(order)
        if len(order) == self._size:
            self._limit = keys[order[-1]]
