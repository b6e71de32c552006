"""sWUGGY as an `evaluate` metric: does a language model know words?

log-likelihoods of minimal pairs, given or computed from a model -> accuracy by sum, mean and PMI, with its interval.
"""

import evaluate

from .bootstrap import paired_effect
from .judging import pair_accuracies
from .pair_accuracy import ARGUMENTS, FEATURES, PairAccuracy
from .reference_scorer import score_pairs
from .tasks import TASKS

_DESCRIPTION = """
sWUGGY is a lexical test: does a language model find a word likelier than a pseudo-word that resembles it? The accuracy
is the share of pairs for which it does, ties counting half. Its headline compares sums of log-probabilities.
"""

_KWARGS_DESCRIPTION = (
    ARGUMENTS
    + """Examples:
    Two words against their pseudo-words. The model gets the first right and the second wrong.

    >>> import evaluate
    >>> swuggy = evaluate.load("metrics/swuggy")  # from the Hub: "<namespace>/swuggy"
    >>> result = swuggy.compute(
    ...     predictions=[{"positive": -8.1, "negative": -11.4}, {"positive": -9.0, "negative": -8.5}],
    ...     references=[{"positive_tokens": 3, "negative_tokens": 4}, {"positive_tokens": 5, "negative_tokens": 5}],
    ...     groups=["1-5", "6-20"],
    ... )
    >>> result["headline"], result["accuracy"], result["n"]
    ('sum', 0.5, 2)
    >>> result["groups"]["1-5"]
    {'accuracy_sum': 1.0, 'accuracy_mean': 1.0, 'n': 1, 'n_pairs': 1, 'n_clusters': 1}

    Two models on the same pairs: what changes from the first to the second in accuracy points, with its interval.

    >>> from evoslm.models.statistics import paired_effect  # without evoslm: swuggy.paired_effect
    >>> references, columns = [{"positive_tokens": 4, "negative_tokens": 4}] * 4, []
    >>> for margins in ([1.5, -0.5, -2.0, 0.5], [1.0, 2.5, -1.0, 3.0]):
    ...     predictions = [{"positive": margin - 9.0, "negative": -9.0} for margin in margins]
    ...     outcomes = swuggy.compute(
    ...         predictions=predictions,
    ...         references=references,
    ...         ids=["river", "garden", "sailor", "horse"],
    ...         return_outcomes=True,
    ...     )["outcomes"]
    ...     columns.append([outcome["correct_sum"] for outcome in outcomes])
    >>> outcomes[1]["id"], outcomes[1]["margin_sum"], columns
    ('garden', 2.5, [[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0]])
    >>> effect = paired_effect(*columns)
    >>> effect["points"], effect["points_low"], effect["points_high"], effect["n"]
    (25.0, 0.0, 75.0, 4)
"""
)

_CITATION = """
@article{nguyen2020zero,
  title = {The Zero Resource Speech Benchmark 2021: Metrics and Baselines for Unsupervised Spoken Language Modeling},
  author = {Nguyen, Tu Anh and de Seyssel, Maureen and Rozé, Patricia and Rivière, Morgane and Kharitonov, Evgeny
    and Baevski, Alexei and Dunbar, Ewan and Dupoux, Emmanuel},
  journal = {arXiv preprint arXiv:2011.11588},
  year = {2020}
}
@article{wang2024speech,
  title = {Why Do Speech Language Models Fail to Generate Semantically Coherent Outputs? A Modality Evolving
    Perspective},
  author = {Wang, Hankun and Wang, Haoran and Guo, Yiwei and Li, Zhihan and Du, Chenpeng and Yu, Kai},
  journal = {arXiv preprint arXiv:2412.17048},
  year = {2024}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class Swuggy(PairAccuracy, evaluate.Metric):
    """Does a language model know words?"""

    task = TASKS["swuggy"]
    judge = staticmethod(pair_accuracies)
    reference_scorer = staticmethod(score_pairs)
    paired_effect = staticmethod(paired_effect)

    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=FEATURES,
            reference_urls=[
                "https://arxiv.org/abs/2011.11588",
                "https://arxiv.org/abs/2412.17048",
            ],
        )
