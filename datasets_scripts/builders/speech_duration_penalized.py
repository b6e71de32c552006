"""Speech-Duration-Penalized: units of which every change had to be worth its price, an answer to factor B.

shards of `id` and `units`, one a frame, chosen together so that runs are long -> runs collapsed -> content.
"""

from .base import CITATION, conditions
from .speech_dedup import SpeechDedup

DURATION_PENALTY_CITATION = """\
@inproceedings{kamper2021towards,
  title     = {Towards Unsupervised Phone and Word Segmentation Using Self-Supervised Vector-Quantized
               Neural Networks},
  author    = {Kamper, Herman and van Niekerk, Benjamin},
  booktitle = {Interspeech},
  year      = {2021},
  note      = {arXiv:2012.07551}
}"""


class SpeechDurationPenalized(SpeechDedup):
    """The dataset of collapsed duration-penalised units (2012.07551)."""

    BUILDER_CONFIGS = conditions("speech_duration_penalized", voices=True)
    summary = "The duration-penalised speech units of each utterance, each run of equal units written once."
    citation = f"{DURATION_PENALTY_CITATION}\n\n{CITATION}"
