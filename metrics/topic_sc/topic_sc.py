"""Topic-SC as an `evaluate` metric: does a language model keep to the topic?

log-likelihoods of minimal pairs, given or computed from a model -> accuracy by sum, mean and PMI, with its interval.
"""

import evaluate

from .bootstrap import paired_effect
from .judging import pair_accuracies
from .pair_accuracy import ARGUMENTS, FEATURES, PairAccuracy
from .reference_scorer import score_pairs
from .tasks import TASKS

_DESCRIPTION = """
Topic-SC is a semantic test: given the beginning of a story, does a language model find its true ending likelier than
an ending from another topic? The accuracy is the share of pairs for which it does, ties counting half. Its headline
compares mean log-probabilities per token, because endings differ in length; sums and pointwise mutual information
stand beside it.
"""

_KWARGS_DESCRIPTION = (
    ARGUMENTS
    + """Examples:
    Two contexts with two endings each. Without their contexts the first pair's endings are equally likely.

    >>> import evaluate
    >>> topic_sc = evaluate.load("metrics/topic_sc")  # from the Hub: "<namespace>/topic_sc"
    >>> result = topic_sc.compute(
    ...     predictions=[{"positive": -20.0, "negative": -21.0}, {"positive": -30.0, "negative": -24.0}],
    ...     references=[
    ...         {"positive_tokens": 10, "negative_tokens": 10},
    ...         {"positive_tokens": 15, "negative_tokens": 10},
    ...     ],
    ...     unconditional=[{"positive": -25.0, "negative": -25.0}, {"positive": -36.0, "negative": -25.0}],
    ... )
    >>> result["headline"], result["accuracy"], result["accuracy_sum"], result["accuracy_pmi"]
    ('mean', 1.0, 0.5, 1.0)
"""
)

_CITATION = """
@inproceedings{hassid2023textually,
  title = {Textually Pretrained Speech Language Models},
  author = {Hassid, Michael and Remez, Tal and Nguyen, Tu Anh and Gat, Itai and Conneau, Alexis and Kreuk, Felix
    and Copet, Jade and Défossez, Alexandre and Synnaeve, Gabriel and Dupoux, Emmanuel and Schwartz, Roy
    and Adi, Yossi},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {36},
  year = {2023}
}
@inproceedings{mostafazadeh2017lsdsem,
  title = {{LSDSem} 2017 Shared Task: The Story Cloze Test},
  author = {Mostafazadeh, Nasrin and Roth, Michael and Louis, Annie and Chambers, Nathanael and Allen, James},
  booktitle = {Proceedings of the 2nd Workshop on Linking Models of Lexical, Sentential and Discourse-level Semantics},
  year = {2017}
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
class TopicSc(PairAccuracy, evaluate.Metric):
    """Does a language model keep to the topic?"""

    task = TASKS["topic_sc"]
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
                "https://arxiv.org/abs/2305.13009",
                "https://arxiv.org/abs/2412.17048",
            ],
        )
