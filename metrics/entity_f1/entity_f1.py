"""Entity F1 as an `evaluate` metric: which entities of a spoken sentence did a model find?

what a model generated, or lists of (label, phrase), and what is there -> micro-F1 with phrases and without.
"""

import datasets
import evaluate

from .bootstrap import NUM_RESAMPLES
from .entity_scores import compare_sentences, entity_scores, paired_effect
from .entity_text import format_entities, parse_entities

_DESCRIPTION = """
Which named entities of a sentence did a model find? Micro-F1 over (label, phrase) as SLUE defines it: of each sentence
the multiset of pairs that were predicted is compared with the multiset that is there, in no order, and all sentences
are counted together. Label-F1 is the same over labels alone. Predictions may be text that a model generated.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list` of `str`, or of `list` of `list` of `str`): Of each sentence, what a model generated, such as
        `"PERSON: young baker; PLACE: pantry"`, or a list of [label, phrase].
    references (`list` of `str`, or of `list` of `list` of `str`): What is there, in either form.
    labels (`list` of `str`, *optional*): The labels of the training data; entities of others are counted. By default
        those of the references.
    seed (`int`, *optional*, defaults to 0): Of the bootstrap.
    return_outcomes (`bool`, *optional*, defaults to `False`): Whether the result has the `outcomes` of the sentences,
        so that two models can be compared on the same ones.

Returns:
    `dict`:
    - `precision`, `recall`, `f1`, `ci_low`, `ci_high`: of labels with phrases, between 0 and 1, and the 95 % bootstrap
      interval of `f1` over sentences;
    - `label_precision`, `label_recall`, `label_f1`, `label_ci_low`, `label_ci_high`: of labels alone;
    - `labels`: `precision`, `recall`, `f1`, `n_references` and `n_predictions` of each label, with phrases;
    - `n`, `n_references`, `n_predictions`: numbers of sentences and of entities;
    - `malformed`: sentences whose prediction has a part that is no entity. What could be read of it counts;
      `without_label` and `without_phrase`: how many such parts there are, which count neither way;
    - `empty`: predictions that are an empty text, which have no entities;
    - `unseen_references`, `unseen_predictions`: entities whose label is not among `labels`;
    - `outcomes`, with `return_outcomes`: `correct`, `correct_labels`, `predicted` and `referenced` of each sentence.

Examples:
    The second sentence has a place that was found under a wrong phrase.

    >>> import evaluate
    >>> entity_f1 = evaluate.load("metrics/entity_f1")  # from the Hub: "<namespace>/entity_f1"
    >>> result = entity_f1.compute(
    ...     predictions=["PLACE: europe; WHEN: last week", "place: the pantry"],
    ...     references=[[["WHEN", "last week"], ["PLACE", "europe"]], [["PLACE", "pantry"]]],
    ... )
    >>> round(result["f1"], 3), result["label_f1"], result["malformed"]
    (0.667, 1.0, 0)
"""

_CITATION = """
@inproceedings{shon2022slue,
  title = {{SLUE}: New Benchmark Tasks for Spoken Language Understanding Evaluation on Natural Speech},
  author = {Shon, Suwon and Pasad, Ankita and Wu, Felix and Brusco, Pablo and Artzi, Yoav and Livescu, Karen
    and Han, Kyu J.},
  booktitle = {IEEE International Conference on Acoustics, Speech and Signal Processing (ICASSP)},
  year = {2022}
}
"""

_TEXT = datasets.Value("string")
_PAIRS = datasets.Sequence(datasets.Sequence(datasets.Value("string")))


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class EntityF1(evaluate.Metric):
    """Which entities were found?"""

    paired_effect = staticmethod(paired_effect)
    format_entities = staticmethod(format_entities)
    parse_entities = staticmethod(parse_entities)

    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=[
                datasets.Features({"predictions": predictions, "references": references})
                for predictions in (_TEXT, _PAIRS)
                for references in (_TEXT, _PAIRS)
            ],
            reference_urls=["https://arxiv.org/abs/2111.10367"],
        )

    def compute(self, *, predictions=None, references=None, **kwargs):
        """Compute the metric. What cannot be judged is refused before `evaluate` stores it: an error later on would
        leave a locked file behind."""
        if predictions is not None and references is not None:
            compare_sentences(predictions, references, kwargs.get("labels"))
        return super().compute(predictions=predictions, references=references, **kwargs)

    def _compute(self, predictions, references, **options):
        return entity_scores(predictions, references, num_resamples=NUM_RESAMPLES, **options)
