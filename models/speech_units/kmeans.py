"""k-means by one of three engines: scikit-learn's mini-batches, full batches of torch on any device, or faiss.

frames -> a search ([`ALGORITHMS`]) -> Lloyd iterations in float64, dead clusters moved -> centroids and a report.
"""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch

from .modeling_speech_units import nearest_centroids

LLOYD_ITERATIONS = 5
FULL_ITERATIONS = 50
_TOLERANCE = 1e-4
_BATCH_SIZE = 10_000
# Of the frames, those that k-means++ draws from: enough to have every cluster among them many times.
_SEEDING_FRAMES = 10_000
_SEEDING_FRAMES_PER_UNIT = 20
_FAISS_ITERATIONS = 25


def kmeans(
    frames: np.ndarray,
    num_units: int,
    seed: int = 0,
    algorithm: str = "minibatch",
    device: str | torch.device = "cpu",
) -> tuple[np.ndarray, dict]:
    """
    Cluster frames.

    - `"minibatch"`: MiniBatchKMeans with k-means++ seeding (2106.07447, Section IV-B), which finds nearly the best
      clusters in a third of the time, and a few Lloyd iterations on all frames, which take most of what is left (at
      K = 500 inertia falls by 1.2 %). In one thread on the CPU: the same frames and seed give the same centroids.
    - `"torch"`: k-means++ seeding and Lloyd iterations on all frames, until inertia falls by less than 1e-4 of itself
      or 50 are done, on `device`. Made for a GPU, where sums in another order may change the last digits.
    - `"faiss"`: k-means++ seeding, `faiss.Kmeans` in float32, on the GPU where faiss sees one and `device` is one, and
      the few Lloyd iterations of `"minibatch"`. Needs the package faiss-cpu or faiss-gpu.

    A cluster that is nearest to no frame is moved to the frame that is worst described.

    Args:
        frames (`np.ndarray` of shape `(num_frames, feature_size)`): Frames, as float64.
        num_units (`int`): Number of clusters.
        seed (`int`, *optional*, defaults to 0): Seed.
        algorithm (`str`, *optional*, defaults to `"minibatch"`): One of [`ALGORITHMS`].
        device (`str` or `torch.device`, *optional*, defaults to `"cpu"`): Where `"torch"` and `"faiss"` search.

    Returns:
        `tuple[np.ndarray, dict]`: Centroids of shape `(num_units, feature_size)`, with float32's precision, and a
        report: `inertia` (mean squared distance of a frame to its centroid), `num_reseeded_units` (how often a dead
        cluster was moved) and `num_dead_units` (clusters that are nearest to no frame in the end).

    Raises:
        `ValueError`: If there are fewer distinct frames than clusters, or no such algorithm.
        `ImportError`: If faiss is asked for and not installed.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"Unknown k-means {algorithm!r}; choose from {', '.join(ALGORITHMS)}.")
    if (num_distinct := _count_distinct(frames, num_units)) < num_units:
        raise ValueError(
            f"There are only {num_distinct} distinct frames for {num_units} units; give more speech, or ask for fewer."
        )
    return ALGORITHMS[algorithm](frames, num_units, seed, device)


def _minibatch(frames: np.ndarray, num_units: int, seed: int, device: str | torch.device) -> tuple[np.ndarray, dict]:
    from sklearn.cluster import MiniBatchKMeans
    from threadpoolctl import threadpool_limits

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
        return _lloyd(torch.from_numpy(frames), torch.from_numpy(centroids), LLOYD_ITERATIONS)
    finally:
        torch.set_num_threads(num_threads)


def _full_batch(frames: np.ndarray, num_units: int, seed: int, device: str | torch.device) -> tuple[np.ndarray, dict]:
    data = torch.from_numpy(frames).to(device)
    return _lloyd(data, _plus_plus(data, num_units, seed), FULL_ITERATIONS, _TOLERANCE)


def _faiss(frames: np.ndarray, num_units: int, seed: int, device: str | torch.device) -> tuple[np.ndarray, dict]:
    if find_spec("faiss") is None:
        raise ImportError("k-means by faiss needs the package faiss-cpu or faiss-gpu; install one, or choose torch.")
    import faiss

    search = faiss.Kmeans(
        frames.shape[1],
        num_units,
        niter=_FAISS_ITERATIONS,
        seed=seed,
        gpu=torch.device(device).type == "cuda" and faiss.get_num_gpus() > 0,
        # All frames are used: the sample was drawn before, and few for a cluster are said in the report.
        max_points_per_centroid=len(frames),
        min_points_per_centroid=1,
    )
    data = torch.from_numpy(frames).to(device)
    # faiss would begin at frames drawn at random, and two of them in one cluster stay there.
    beginning = _plus_plus(data, num_units, seed).float().cpu().numpy()
    search.train(np.ascontiguousarray(frames, np.float32), init_centroids=beginning)
    return _lloyd(data, torch.from_numpy(search.centroids).double().to(device), LLOYD_ITERATIONS)


ALGORITHMS: dict[str, Callable] = {"minibatch": _minibatch, "torch": _full_batch, "faiss": _faiss}


def _plus_plus(data: torch.Tensor, num_units: int, seed: int) -> torch.Tensor:
    """
    k-means++ (Arthur and Vassilvitskii, 2007), greedy: each further centre is drawn by its distance from those before,
    and of a few that are drawn the one that leaves the frames nearest is taken.
    """
    rng = np.random.default_rng(seed)
    size = min(len(data), max(_SEEDING_FRAMES, _SEEDING_FRAMES_PER_UNIT * num_units))
    rows = data[torch.from_numpy(rng.choice(len(data), size, replace=False)).to(data.device)]
    centroids = data.new_empty(num_units, data.shape[1])
    centroids[0] = rows[int(rng.integers(size))]
    nearest = (rows - centroids[0]).square().sum(1)
    num_drawn = 2 + int(np.log(num_units))
    for unit in range(1, num_units):
        reached = nearest.cumsum(0)
        draws = torch.from_numpy(rng.random(num_drawn)).to(data.device) * reached[-1]
        drawn = torch.searchsorted(reached, draws, right=True).clamp_max(size - 1)
        distances = torch.minimum(nearest[:, None], torch.cdist(rows, rows[drawn]).square())
        best = int(distances.sum(0).argmin())
        centroids[unit], nearest = rows[drawn[best]], distances[:, best]
    return centroids


def _lloyd(
    data: torch.Tensor, centroids: torch.Tensor, iterations: int, tolerance: float | None = None
) -> tuple[np.ndarray, dict]:
    """Lloyd iterations, in which dead clusters are moved; a few more while there are any."""
    num_reseeded, previous = 0, float("inf")
    for iteration in range(2 * iterations + 1):
        centroids = centroids.float().double()
        units, distances = nearest_centroids(data, centroids)
        counts = torch.bincount(units, minlength=len(centroids))
        dead = (counts == 0).nonzero()[:, 0]
        inertia = float(distances.mean())
        is_settled = iteration >= iterations or (tolerance is not None and inertia > previous * (1 - tolerance))
        if iteration == 2 * iterations or (is_settled and len(dead) == 0):
            break
        previous = inertia
        sums = torch.zeros_like(centroids).index_add_(0, units, data)
        centroids = sums / counts.clamp_min(1)[:, None]
        if len(dead):
            worst = _worst_described(data, distances, len(dead))
            centroids[dead[: len(worst)]] = data[worst]
            num_reseeded += len(worst)
    report = {"inertia": inertia, "num_reseeded_units": num_reseeded, "num_dead_units": len(dead)}
    return centroids.cpu().numpy(), report


def _worst_described(data: torch.Tensor, distances: torch.Tensor, number: int) -> torch.Tensor:
    """Indices of the distinct frames that are furthest from their centroids."""
    order = distances.argsort(descending=True, stable=True)[: 50 * number]
    _, first = np.unique(data[order].cpu().numpy(), axis=0, return_index=True)
    return order[torch.from_numpy(np.sort(first)[:number]).to(order.device)]


def _count_distinct(frames: np.ndarray, enough: int) -> int:
    """Number of distinct frames, counted no further than is needed to see that there are enough."""
    for size in (4 * enough, len(frames)):
        distinct = {row.tobytes() for row in frames[:size]}
        if len(distinct) >= enough:
            break
    return len(distinct)
