"""Where a model is surprised, and whether a word begins there.

In: models without spaces in what they read, held-out utterances whose words have times. Out: precision, recall, F1 and
R-value of word boundaries by model, beside n-grams over the same ids and rules that know nothing.
"""

from .part import build, find_lack, write_section

__all__ = ["build", "find_lack", "write_section"]
