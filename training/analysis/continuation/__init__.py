"""The continuation task: what a run's models write behind prompts, and how likely another language model finds it.

In: a finished run with its models, prompts, what brings phones and units to text, and a language model that judges.
Out: outputs of every modality and training seed with their perplexities, a table in the form of the paper's Table 4,
and sounds. A part of the analysis (`part.py`); `evoslm continue` (`command.py`) does the same for one's own prompt.
"""

from .part import build, find_lack, write_section

__all__ = ["build", "find_lack", "write_section"]
