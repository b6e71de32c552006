"""sBLIMP as an `evaluate` metric: does a language model know grammar?

log-likelihoods of minimal pairs, given or computed from a model -> accuracy by sum, mean and PMI, with its interval.
"""

import evaluate

from .bootstrap import paired_effect
from .judging import pair_accuracies
from .pair_accuracy import ARGUMENTS, FEATURES, PairAccuracy
from .reference_scorer import score_pairs
from .tasks import TASKS

_DESCRIPTION = """
sBLIMP is a syntactic test: does a language model find a grammatical sentence likelier than an ungrammatical one that
differs from it in one point? The accuracy is the share of pairs for which it does, ties counting half. Its headline
compares sums of log-probabilities.
"""

_KWARGS_DESCRIPTION = (
    ARGUMENTS
    + """Examples:
    Two pairs of sentences, the first in two voices. The voices of a pair are averaged before the pairs are.

    >>> import evaluate
    >>> sblimp = evaluate.load("metrics/sblimp")  # from the Hub: "<namespace>/sblimp"
    >>> result = sblimp.compute(
    ...     predictions=[
    ...         {"positive": -41.0, "negative": -44.5},
    ...         {"positive": -43.2, "negative": -42.9},
    ...         {"positive": -30.3, "negative": -36.0},
    ...     ],
    ...     references=[{"positive_tokens": 20, "negative_tokens": 20}] * 3,
    ...     ids=["agreement-1a", "agreement-1a", "agreement-1b"],
    ...     cluster_ids=["agreement-1"] * 3,  # a sentence and its mirrored twin
    ... )
    >>> result["headline"], result["accuracy"], result["n_pairs"], result["n_clusters"]
    ('sum', 0.75, 2, 1)
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
@article{warstadt2020blimp,
  title = {{BLiMP}: The Benchmark of Linguistic Minimal Pairs for {E}nglish},
  author = {Warstadt, Alex and Parrish, Alicia and Liu, Haokun and Mohananey, Anhad and Peng, Wei and Wang, Sheng-Fu
    and Bowman, Samuel R.},
  journal = {Transactions of the Association for Computational Linguistics},
  volume = {8},
  pages = {377--392},
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
class Sblimp(PairAccuracy, evaluate.Metric):
    """Does a language model know grammar?"""

    task = TASKS["sblimp"]
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
                "https://arxiv.org/abs/1912.00582",
                "https://arxiv.org/abs/2412.17048",
            ],
        )
