"""Continuation perplexity as an `evaluate` metric: how are the perplexities of a model's outputs distributed?

prompts and generated texts -> perplexity of each under another model -> mean, standard deviation, median, percentiles,
and what a perplexity does not say: shares of outputs that are none, and repetition.
"""

from collections.abc import Mapping, Sequence

import datasets
import evaluate
import numpy as np

from .continuation_scorer import load_scorer, pin_model
from .continuation_texts import check_continuations, mark_continuations, read_references, words_of, write_form
from .output_statistics import auto_bleu, compare_means, describe_values, distinct_ngrams, mean_with_interval

_DESCRIPTION = """
Continuation perplexity describes what a language model writes behind prompts by the perplexity of each output under
another language model: its mean and standard deviation over outputs, as papers on speech language models give them,
and its median and percentiles, since a few outputs make most of a mean. Outputs in speech units are transcribed first.
The prompt is never counted. Shares of outputs that are empty, cut off, silent or ended at once stand beside it, and
how much outputs repeat themselves (Auto-BLEU) and each other (distinct-n).
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list` of `str`): The text of each output, transcribed where units were generated. An empty one is
        counted and has no perplexity.
    references (`list` of `dict`): `prompt`, the text of the prompt, and *optionally* `continuation`, its true
        continuation, of each.
    model_id (`str`): The causal language model that judges, from the Hub or a folder, with weights in safetensors and
        its tokenizer; not the one that generated.
    revision (`str`, *optional*): Its commit, branch or tag on the Hub; the result says which commit that is.
    perplexities (`list` of `float`, *optional*): Instead of `model_id`: of each output, `None` of an empty one.
    given_prompt (`bool`, *optional*, defaults to `True`): Whether the judge reads the prompt before the output; it is
        not counted in any case.
    form (`str`, *optional*, defaults to `"text"`): `"words"` judges words in lower case without punctuation, on all
        sides: where transcripts, which have neither, are to be compared with texts.
    reasons (`list` of `str`, *optional*): Why each output ended: `"end"`, `"stop"` or `"limit"`.
    generated_tokens (`list` of `int`, *optional*): How many tokens were generated for each.
    silent (`list` of `bool`, *optional*): Whether the units of each say nothing.
    prompt_ids (`list`, *optional*): The prompt of each output; by default those with the same text are the same.
    training_seeds (`list`, *optional*): Which training of the model wrote each.
    transcriber (`str` or `dict`, *optional*): What brought units to text, with its revision; the result repeats it.
    seed (`int`, *optional*, defaults to 0): Of the bootstrap.
    return_outcomes (`bool`, *optional*, defaults to `False`): Whether the result has `outcomes`, a row an output.
    device (`str`, *optional*): Where the judge runs; by default on a GPU if there is one.
    batch_tokens (`int`, *optional*): With `evoslm` installed: most positions in one forward pass.

Returns:
    `dict`:
    - `mean`, `sd`, `median`, `percentile_5`, `percentile_25`, `percentile_75` and `percentile_95` of the perplexities
      of outputs (exp of nats a token of the judge), each with `_low` and `_high`, the ends of a 95 % bootstrap
      interval over prompts and, where there are several, training seeds; NaN where there is one prompt only;
    - with `model_id`, the same of perplexities a word, with `word_` before;
    - with true continuations and `model_id`, `true_mean`, `true_sd` and `true_median`, once a prompt;
    - `shares`, each with `share`, `ci_low` and `ci_high`: `empty`; with `reasons` `limit`; with `generated_tokens`
      `instant` (no token before the end) and `silent` (tokens and no text, or units that say nothing);
    - `auto_bleu`, with `auto_bleu_low` and `auto_bleu_high`: the mean over outputs that are not empty;
    - `distinct_1`, `distinct_2` and `distinct_3`;
    - `n`, `n_scored`, `n_prompts`, `n_training_seeds` and `n_words`;
    - `judge` and `transcriber`: what pins them; `given_prompt` and `form`;
    - `outcomes`, with `return_outcomes`: a `dict` an output, in order: `prompt_id`, `training_seed`, `perplexity`,
      `words`, marks.

Examples:
    Perplexities that are given; the third output is empty.

    >>> import evaluate
    >>> metric = evaluate.load("metrics/continuation_perplexity")  # from the Hub: "<namespace>/..."
    >>> result = metric.compute(
    ...     predictions=["She feeds it.", "It sleeps, it sleeps.", "", "They are loud."],
    ...     references=[{"prompt": "A girl has a goat."}] * 2 + [{"prompt": "Birds sing."}] * 2,
    ...     perplexities=[20.0, 30.0, None, 100.0],
    ... )
    >>> result["mean"], round(result["sd"], 1), result["median"], result["n_scored"], result["n_prompts"]
    (50.0, 43.6, 30.0, 3, 2)
    >>> result["shares"]["empty"]["share"], round(result["auto_bleu"], 3)
    (0.25, 0.272)
"""

_CITATION = """
@article{wang2024speech,
  title = {Why Do Speech Language Models Fail to Generate Semantically Coherent Outputs? A Modality Evolving
    Perspective},
  author = {Wang, Hankun and Wang, Haoran and Guo, Yiwei and Li, Zhihan and Du, Chenpeng and Yu, Kai},
  journal = {arXiv preprint arXiv:2412.17048},
  year = {2024}
}
@article{lakhotia2021generative,
  title = {On Generative Spoken Language Modeling from Raw Audio},
  author = {Lakhotia, Kushal and Kharitonov, Eugene and Hsu, Wei-Ning and Adi, Yossi and Polyak, Adam
    and Bolte, Benjamin and Nguyen, Tu-Anh and Copet, Jade and Baevski, Alexei and Mohamed, Abdelrahman
    and Dupoux, Emmanuel},
  journal = {Transactions of the Association for Computational Linguistics},
  volume = {9},
  year = {2021}
}
"""

DISTINCT = (1, 2, 3)
_CHECKED = ("perplexities", "reasons", "generated_tokens", "silent", "prompt_ids", "training_seeds")


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class ContinuationPerplexity(evaluate.Metric):
    """How are the perplexities of a model's outputs distributed?"""

    @staticmethod
    def compare(outcomes_a: Sequence[Mapping], outcomes_b: Sequence[Mapping], seed: int = 0) -> dict[str, float]:
        """How the mean changes from one model to another, see [`compare_means`]."""
        return compare_means(outcomes_a, outcomes_b, seed)

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
            reference_urls=["https://arxiv.org/abs/2412.17048", "https://arxiv.org/abs/2102.01192"],
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
        if (kwargs.get("model_id") is None) == (kwargs.get("perplexities") is None):
            raise ValueError(
                "Give model_id, the language model that judges, or perplexities that it has given; one of them."
            )
        return super().compute(predictions=predictions, references=references, **kwargs)

    def _compute(
        self,
        predictions,
        references,
        model_id=None,
        revision=None,
        perplexities=None,
        given_prompt=True,
        form="text",
        device=None,
        batch_tokens=None,
        prompt_ids=None,
        **options,
    ):
        if prompt_ids is None:
            prompt_ids = [reference["prompt"] for reference in references]
        prompts = [write_form(reference["prompt"], form) for reference in references]
        predictions = [write_form(prediction, form) for prediction in predictions]
        true, judge, of_words = None, None, None
        if model_id is not None:
            judge = pin_model(model_id, revision)
            own = [write_form(reference["continuation"], form) for reference in references]
            score = load_scorer(model_id, device, batch_tokens, judge["revision"])
            pairs, true_pairs = list(zip(prompts, predictions)), list(zip(prompts, own))
            asked = list(dict.fromkeys([*pairs, *true_pairs]))  # a prompt's true continuation once
            found = score([prompt if given_prompt else "" for prompt, _ in asked], [text for _, text in asked])
            scores = dict(zip(asked, found))
            perplexities, of_words = perplexities_of(predictions, [scores[pair] for pair in pairs])
            if any(text.strip() for text in own):
                true = perplexities_of(own, [scores[pair] for pair in true_pairs])[0]
        options |= {"word_perplexities": of_words, "true": true}
        result = describe_outputs(predictions, perplexities, prompt_ids, **options)
        return result | {"judge": judge, "given_prompt": given_prompt, "form": form}


def perplexities_of(
    texts: Sequence[str], scores: Sequence[Mapping | None]
) -> tuple[list[float | None], list[float | None]]:
    """
    Perplexities a token and a word.

    Args:
        texts (`Sequence[str]`): Outputs.
        scores (`Sequence[Mapping]`): `log_likelihood` (nats) and `tokens` of each; `None` of one that is empty.

    Returns:
        `tuple[list[float], list[float]]`: exp of nats a token, and a word; `None` of what is empty.
    """
    by_token, by_word = [], []
    for text, score in zip(texts, scores):
        nats = None if score is None else -score["log_likelihood"]
        by_token.append(None if nats is None else float(np.exp(nats / score["tokens"])))
        by_word.append(None if nats is None else float(np.exp(min(nats / max(1, len(words_of(text))), 700.0))))
    return by_token, by_word


def describe_outputs(
    predictions: Sequence[str],
    perplexities: Sequence[float | None],
    prompt_ids: Sequence,
    training_seeds: Sequence | None = None,
    reasons: Sequence[str] | None = None,
    generated_tokens: Sequence[int] | None = None,
    silent: Sequence[bool] | None = None,
    word_perplexities: Sequence[float | None] | None = None,
    true: Sequence[float | None] | None = None,
    transcriber: str | Mapping | None = None,
    seed: int = 0,
    return_outcomes: bool = False,
) -> dict:
    """
    Describe outputs whose perplexities are known.

    Args:
        predictions (`Sequence[str]`): The text of each output.
        perplexities (`Sequence[float]`): Of each; `None` of an empty one.
        prompt_ids (`Sequence`): The prompt of each.
        training_seeds (`Sequence`, *optional*): Which training wrote each.
        reasons, generated_tokens, silent (`Sequence`, *optional*): As the metric takes them.
        word_perplexities (`Sequence[float]`, *optional*): Perplexities a word of each.
        true (`Sequence[float]`, *optional*): Of each output's prompt, the perplexity of its true continuation.
        transcriber (`str` or `Mapping`, *optional*): What brought units to text.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap.
        return_outcomes (`bool`, *optional*, defaults to `False`): Whether the result has a row an output.

    Returns:
        `dict`: As the metric returns it, without what only the judge knows.

    Raises:
        `ValueError`: If a perplexity is not a number from 1, or an output has text and none, or the other way round.
    """
    values = _read_perplexities(predictions, perplexities)
    marks = mark_continuations(predictions, reasons, generated_tokens, silent)
    words = [words_of(prediction) for prediction in predictions]
    seeds = training_seeds if training_seeds is not None and len(set(training_seeds)) > 1 else None
    result = describe_values(values, prompt_ids, seeds, seed)
    if word_perplexities is not None:
        by_word = _read_perplexities(predictions, word_perplexities)
        result |= {f"word_{name}": value for name, value in describe_values(by_word, prompt_ids, seeds, seed).items()}
    if true is not None:
        first = dict(zip(reversed(list(map(str, prompt_ids))), reversed(list(true))))
        own = np.array([np.nan if value is None else value for value in first.values()])
        of_prompts = describe_values(own, list(first), None, seed)
        kept = ("mean", "sd", "median")
        result |= {f"true_{name}": value for name, value in of_prompts.items() if name.partition("_")[0] in kept}
    result["shares"] = {}
    for name, mark in marks.items():
        share, low, high = mean_with_interval(mark, prompt_ids, seeds, seed)
        result["shares"][name] = {"share": share, "ci_low": low, "ci_high": high}
    written = np.flatnonzero(~marks["empty"])
    repeats = np.array([auto_bleu(own) if own else np.nan for own in words])
    names = ("auto_bleu", "auto_bleu_low", "auto_bleu_high")
    result |= dict(zip(names, mean_with_interval(repeats, prompt_ids, seeds, seed)))
    result |= {f"distinct_{size}": distinct_ngrams(words, size) for size in DISTINCT}
    result |= {"n": len(values), "n_scored": len(written), "n_words": sum(map(len, words))}
    result |= {"n_prompts": len(set(map(str, prompt_ids))), "n_training_seeds": len(set(training_seeds or [0]))}
    result["transcriber"] = transcriber
    if return_outcomes:
        given = training_seeds if training_seeds is not None else [None] * len(values)
        columns = {"prompt_id": list(prompt_ids), "training_seed": list(given), "perplexity": values.tolist()}
        columns |= {"words": [len(own) for own in words]} | {name: mark.tolist() for name, mark in marks.items()}
        result["outcomes"] = [dict(zip(columns, row)) for row in zip(*columns.values())]
    return result


def _read_perplexities(predictions: Sequence[str], perplexities: Sequence[float | None]) -> np.ndarray:
    for number, (prediction, value) in enumerate(zip(predictions, perplexities)):
        if value is not None and not (isinstance(value, (int, float)) and 1 <= value < float("inf")):
            raise ValueError(f"Perplexity {number} is {value!r}; a perplexity is a number from 1, None of no text.")
        if (value is None) != (not prediction.strip()):
            state = "text and no perplexity" if value is None else "a perplexity and no text"
            raise ValueError(f"Output {number} has {state}; an empty output has None, and no other one has.")
    return np.array([np.nan if value is None else value for value in perplexities], np.float64)
