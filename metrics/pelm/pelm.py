"""PELM as an `evaluate` metric: how likely does another language model find what was generated?

prompts and generated texts -> log-likelihoods under that model -> perplexities and shares, with their intervals.
"""

from collections.abc import Mapping, Sequence

import datasets
import evaluate
import numpy as np

from .bootstrap import resampled_means
from .continuation_quality import judge_continuations, make_anchors, score_with_anchors
from .continuation_scorer import load_scorer
from .continuation_texts import check_continuations, read_references, write_form

_DESCRIPTION = """
PELM is the perplexity of generated continuations under a language model that did not generate them, given the prompt's
text: does what was written go on with what was there? Continuations in speech units are transcribed first. A model
that repeats itself or its prompt has a low perplexity, too. Shares of such outputs therefore stand beside it, and
perplexities without them, and those of the true continuations and of the true ones of other prompts.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list` of `str`): The text of each generated continuation, transcribed where units were generated. An
        empty one is counted and not scored.
    references (`list` of `dict`): `prompt`, the true text of the prompt, and *optionally* `continuation`, its true
        continuation, of each.
    model_id (`str`): The causal language model that judges, from the Hub or a folder, with weights in safetensors and
        its tokenizer; not the one that generated.
    form (`str`, *optional*, defaults to `"text"`): `"words"` judges words in lower case without punctuation, on all
        sides: where transcripts, which have neither, are to be compared with texts.
    reasons (`list` of `str`, *optional*): Why each continuation ended: `"end"`, `"stop"` or `"limit"`.
    generated_tokens (`list` of `int`, *optional*): How many tokens were generated for each.
    silent (`list` of `bool`, *optional*): Whether the units of each say nothing.
    cluster_ids (`list`, *optional*): What each prompt is drawn together with by the bootstrap; by default itself.
    seed (`int`, *optional*, defaults to 0): Of the bootstrap, and of which true continuation is put behind which other
        prompt.
    scores (`list` of `dict`, *optional*): Instead of `model_id`: `log_likelihood` (nats) and `tokens` of each
        prediction, `None` for one that is empty. The true continuations are then not judged.
    return_outcomes (`bool`, *optional*, defaults to `False`): Whether the result has `outcomes`, a row a prediction.
    device (`str`, *optional*): Where the model runs; by default on a GPU if there is one.
    batch_tokens (`int`, *optional*): With `evoslm` installed: most positions in one forward pass.

Returns:
    `dict`:
    - `perplexity`, `ci_low`, `ci_high`: the headline, exp of nats a word, summed over all continuations that are not
      empty, and its 95 % bootstrap interval over prompts;
    - `perplexity_token`: a token of the judging model;
    - `perplexity_prompt`: exp of the mean over prompts of nats a word;
    - `perplexity_not_copied`: without continuations of which half or more is one run of the prompt's words;
    - `perplexity_clean`: also without those that repeat themselves or stand behind another prompt, too;
    - with true continuations, `perplexity_true` and `perplexity_shuffled` (each behind another's prompt), and the same
      with `_token`; all of them with `ci_low` and `ci_high`;
    - `shares`: of all predictions, each with `share`, `ci_low` and `ci_high`: `empty`; `repeated`: half of the
      words or more are in 4-grams that come more than once (2-grams in fewer than 8 words); `copied`; `same`: written
      behind another prompt, too; with `reasons` `limit`; with `generated_tokens` `instant` (no token before the end)
      and `silent` (tokens and no text);
    - `n`, `n_scored`, `n_not_copied`, `n_clean`, `n_words` and `n_tokens`;
    - `outcomes`, with `return_outcomes`: a `dict` a prediction, in order: `log_likelihood`, `words`, `tokens`, flags.

Examples:
    Log-likelihoods that are given; the second continuation copies its prompt.

    >>> import evaluate
    >>> pelm = evaluate.load("metrics/pelm")  # from the Hub: "<namespace>/pelm"
    >>> result = pelm.compute(
    ...     predictions=["She feeds it.", "The dog is old.", ""],
    ...     references=[{"prompt": "A girl has a goat."}, {"prompt": "The dog is old."}, {"prompt": "Birds sing."}],
    ...     scores=[{"log_likelihood": -6.0, "tokens": 4}, {"log_likelihood": -2.0, "tokens": 5}, None],
    ... )
    >>> round(result["perplexity"], 3), round(result["perplexity_not_copied"], 3), result["n_scored"]
    (3.136, 7.389, 2)
    >>> round(result["shares"]["copied"]["share"], 3)
    0.333
"""

_CITATION = """
@article{chou2023toward,
  title = {Toward Joint Language Modeling for Speech Units and Text},
  author = {Chou, Ju-Chieh and Chien, Chung-Ming and Hsu, Wei-Ning and Livescu, Karen and Babu, Arun
    and Conneau, Alexis and Baevski, Alexei and Auli, Michael},
  journal = {arXiv preprint arXiv:2310.08715},
  year = {2023}
}
"""

_CHECKED = ("scores", "reasons", "generated_tokens", "silent", "cluster_ids")


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class Pelm(evaluate.Metric):
    """How likely does another language model find what was generated?"""

    @staticmethod
    def perplexity_ratio(outcomes_a: Sequence[Mapping], outcomes_b: Sequence[Mapping], seed: int = 0) -> dict:
        """How perplexities of two models on the same prompts compare, see the function of this name."""
        return perplexity_ratio(outcomes_a, outcomes_b, seed)

    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.Value("string"),
                    "references": {"prompt": datasets.Value("string"), "continuation": datasets.Value("string")},
                }
            ),
            reference_urls=["https://arxiv.org/abs/2310.08715"],
        )

    def compute(self, *, predictions=None, references=None, **kwargs):
        """Compute the metric. What cannot be judged is refused before `evaluate` stores anything."""
        if predictions is None and references is None and self.writer is None:
            raise ValueError("There is nothing to judge: give predictions and references.")
        if predictions is not None or references is not None:
            references = read_references(predictions, references)
            prompts = [reference["prompt"] for reference in references]
            check_continuations(prompts, predictions, **{name: kwargs.get(name) for name in _CHECKED})
        write_form("", kwargs.get("form", "text"))
        if (kwargs.get("model_id") is None) == (kwargs.get("scores") is None):
            raise ValueError(
                "Give model_id, the language model that judges, or scores that it has given; one of them."
            )
        return super().compute(predictions=predictions, references=references, **kwargs)

    def _compute(
        self,
        predictions,
        references,
        model_id=None,
        scores=None,
        form="text",
        seed=0,
        device=None,
        batch_tokens=None,
        **options,
    ):
        prompts = [write_form(reference["prompt"], form) for reference in references]
        predictions = [write_form(prediction, form) for prediction in predictions]
        anchors = None
        if model_id is not None:
            true = [write_form(reference["continuation"], form) or None for reference in references]
            score = load_scorer(model_id, device, batch_tokens)
            scores, anchors = score_with_anchors(score, prompts, predictions, make_anchors(true, seed, prompts))
        return judge_continuations(prompts, predictions, scores, anchors, seed=seed, **options)


def perplexity_ratio(outcomes_a: Sequence[Mapping], outcomes_b: Sequence[Mapping], seed: int = 0) -> dict:
    """
    The perplexity of model B's continuations over that of model A's, on the same prompts.

    Args:
        outcomes_a (`Sequence[Mapping]`): The `outcomes` of model A.
        outcomes_b (`Sequence[Mapping]`): Those of model B, in the same order.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap.

    Returns:
        `dict`: `ratio`, of perplexities a word over the prompts that both continued with something, `ratio_low` and
        `ratio_high`, the ends of its 95 % bootstrap interval over prompts, and `n`, of how many they are.

    Raises:
        `ValueError`: If there are not as many outcomes of both, or no prompt that both continued.
    """
    if len(outcomes_a) != len(outcomes_b):
        raise ValueError(f"Model A has {len(outcomes_a)} outcomes and model B {len(outcomes_b)}: they need the same.")
    both = [(a, b) for a, b in zip(outcomes_a, outcomes_b) if a["words"] and b["words"]]
    if not both:
        raise ValueError("There is no prompt that both models have continued with something.")
    values = np.array([[value for own in pair for value in (own["log_likelihood"], own["words"])] for pair in both])

    def ratios(means: np.ndarray) -> np.ndarray:
        return np.exp(means[:, 0] / means[:, 1] - means[:, 2] / means[:, 3])

    low, high = np.quantile(ratios(resampled_means(values, seed)), [0.025, 0.975])
    ratio = float(ratios(values.mean(axis=0)[None])[0])
    return {"ratio": ratio, "ratio_low": float(low), "ratio_high": float(high), "n": len(both)}
