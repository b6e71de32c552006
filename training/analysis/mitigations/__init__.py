"""Answers to what speech costs a language model, one a row: what each costs and recovers, and what is still heard.

In: finished runs on the same speech and pairs, with models of several kinds of units. Out: rates, accuracies and
recovered shares of the gap to text, errors of what a vocoder makes of the units; tables and a figure of them.
"""

from .part import build, find_lack, write_section

__all__ = ["build", "find_lack", "write_section"]
