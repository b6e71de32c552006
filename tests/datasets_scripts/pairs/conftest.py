"""Mirrored pairs, as tests of sBLIMP look at them."""

from collections import defaultdict

import pytest


@pytest.fixture(scope="module")
def twins(pairs):
    """The pairs of each cluster, of the module's own `pairs`."""
    clusters = defaultdict(list)
    for pair in pairs:
        clusters[pair.cluster].append(pair)
    return list(clusters.values())
