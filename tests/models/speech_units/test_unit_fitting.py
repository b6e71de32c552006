"""Fitting a quantizer: what it depends on, by which k-means, with several seeds, and what cannot be fitted."""

import numpy as np
import pytest
import torch
from speech_like import AUDIO, WHO, in_batches

from evoslm.models.speech_units import fit_unit_seeds, fit_units
from evoslm.models.speech_units.kmeans import ALGORITHMS, LLOYD_ITERATIONS, _lloyd, kmeans
from evoslm.models.unit_quality import compare_units


@pytest.mark.parametrize("normalization", ["none", "utterance", "speaker"])
def test_a_fit_depends_on_neither_order_nor_batches_nor_threads(models, normalization):
    order = np.random.default_rng(3).permutation(len(AUDIO))
    shuffled = in_batches([AUDIO[i] for i in order], [WHO[i] for i in order], 5)
    num_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(num_threads, 2))
        model = fit_units(shuffled, 40, normalization, seed=1)
    finally:
        torch.set_num_threads(num_threads)
    assert model.fingerprint() == models[normalization].fingerprint()


def test_a_sample_of_frames_depends_on_neither_order_nor_batches():
    order = np.random.default_rng(4).permutation(len(AUDIO))
    one = fit_units(in_batches(AUDIO, WHO, 3), 10, seed=5, max_frames=200)
    other = fit_units(in_batches([AUDIO[i] for i in order], [WHO[i] for i in order], 7), 10, seed=5, max_frames=200)
    assert one.config.fit["num_sampled_frames"] == 200
    assert one.fingerprint() == other.fingerprint()


def test_a_fit_says_how_it_went(models):
    fit = models["none"].config.fit
    num_frames = sum(len(audio) // 320 for audio in AUDIO)
    assert (fit["num_utterances"], fit["num_frames"], fit["num_sampled_frames"]) == (
        len(AUDIO),
        num_frames,
        num_frames,
    )
    assert (fit["seed"], fit["num_dead_units"]) == (1, 0)
    features = torch.cat(models["none"].extract_features(AUDIO))
    distances = torch.cdist(features, models["none"].centroids.double()).min(1).values ** 2
    assert fit["inertia"] == pytest.approx(float(distances.mean()), rel=1e-6)


def test_more_units_describe_frames_more_closely():
    inertias = [fit_units([(AUDIO, WHO)], number).config.fit["inertia"] for number in (5, 20, 80)]
    assert inertias[0] > inertias[1] > inertias[2]


def test_dead_clusters_are_moved_to_frames_that_need_them():
    points = np.array([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    frames = points[np.random.default_rng(0).integers(0, 4, 400)]
    beginning = torch.tensor([[5.0, 5], [100, 100], [100, 100], [100, 100]]).double()
    centroids, report = _lloyd(torch.from_numpy(frames), beginning, LLOYD_ITERATIONS)
    assert sorted(map(tuple, centroids)) == sorted(map(tuple, points))
    assert report["num_reseeded_units"] >= 3
    assert (report["num_dead_units"], report["inertia"]) == (0, 0.0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_kmeans_finds_clusters_that_are_there(algorithm):
    if algorithm == "faiss":
        pytest.importorskip("faiss", reason="faiss is not installed")
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 20, (12, 5))
    frames = centres[rng.integers(0, 12, 3000)] + rng.normal(0, 0.1, (3000, 5))
    centroids, report = kmeans(frames, 12, seed=0, algorithm=algorithm)
    assert np.array_equal(centroids, kmeans(frames, 12, seed=0, algorithm=algorithm)[0])
    assert np.sqrt(((centroids[:, None] - centres) ** 2).sum(-1)).min(0).max() < 0.1
    assert report["inertia"] == pytest.approx(5 * 0.01, rel=0.1)


def test_a_fit_that_cannot_be_made_is_explained():
    with pytest.raises(ValueError, match="no audio to fit units on"):
        fit_units([], 10)
    with pytest.raises(ValueError, match="only 1 distinct frames for 10 units; give more speech, or ask for fewer"):
        fit_units([([np.zeros(16_000, np.int16)], None)], 10)
    with pytest.raises(ValueError, match="speaker of each utterance"):
        fit_units([([AUDIO[0]], None)], 10, normalization="speaker")
    with pytest.raises(ValueError, match="less than the 10 units"):
        fit_units([([AUDIO[0]], None)], 10, max_frames=5)


def test_an_unknown_kmeans_is_named():
    with pytest.raises(ValueError, match="choose from minibatch, torch, faiss"):
        kmeans(np.random.default_rng(0).normal(size=(50, 3)), 4, algorithm="spectral")


def test_all_kmeans_describe_speech_about_equally_well(models):
    frames = np.concatenate([f.numpy() for f in models["none"].extract_features(AUDIO)])
    inertia = {name: kmeans(frames, 40, 1, name)[1]["inertia"] for name in ("minibatch", "torch")}
    assert inertia["torch"] == pytest.approx(inertia["minibatch"], rel=0.03)


def test_several_seeds_are_fitted_with_one_pass_and_are_those_of_single_fits(models):
    fitted = fit_unit_seeds(in_batches(AUDIO, WHO, 4), [1, 2], num_units=40)
    assert [model.config.fit["seed"] for model in fitted] == [1, 2]
    assert fitted[0].fingerprint() == models["none"].fingerprint()
    assert not torch.equal(fitted[0].centroids, fitted[1].centroids)
    one, other = (model.units(AUDIO) for model in fitted)
    agreement = compare_units(one, other)
    assert 0.5 < agreement["matched"] < 1 and 0.6 < agreement["nmi"] < 1
