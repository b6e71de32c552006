"""What each layer of a model knows of the minimal pairs.

In: models and pairs of a run. Out: accuracies by layer, through the output layer as it is or after a fitted affine
map, and the layer that has half of what the last one has.
"""

from .part import build, find_lack, write_section

__all__ = ["build", "find_lack", "write_section"]
