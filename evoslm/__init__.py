"""EvoSLM: the same utterances in ever more speech-like alphabets, one language model per alphabet."""

from pathlib import Path

__version__ = "0.1.0"
