"""The scoring engine as a model of lm-evaluation-harness: the harness's tasks and tokenisation, our log-likelihoods.

    python -m evoslm.models.scoring.harness run --model evoslm --model_args pretrained=MODEL --tasks blimp

`lm_eval`'s own class for Hugging Face models does everything but the forward passes of log-likelihoods. Needs
`pip install "evoslm[harness]"`.
"""

from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM

from .likelihoods import score_rows

_ALL_AT_ONCE = 2**31


@register_model("evoslm")
class EvoSLMHarnessModel(HFLM):
    """
    A causal language model for lm-evaluation-harness, scored by [`score_rows`].

    Its `batch_size` has no effect on log-likelihoods: batches are made by tokens, and beginnings that requests share
    are computed once. Log-likelihoods are in float32 whatever the model's `dtype`. Contexts that are too long lose
    their first tokens, as in the harness, and a continuation that is longer than the window by itself is an error.

    Args:
        batch_tokens (`int`, *optional*): As in [`sequence_log_likelihoods`].
        **kwargs: As `lm_eval.models.huggingface.HFLM` takes them, `pretrained` first of all.

    Raises:
        `ValueError`: If the model is not a causal language model.
    """

    def __init__(self, *args, batch_tokens: int | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        if self.backend != "causal":
            raise ValueError("Only causal language models can be scored; use the harness's own model class 'hf'.")
        self.batch_tokens = None if batch_tokens is None else int(batch_tokens)

    def loglikelihood_rolling(self, requests, disable_tqdm: bool = False):
        """As the harness's, with the windows of all requests in one call."""
        size, self.batch_size_per_gpu = self.batch_size_per_gpu, _ALL_AT_ONCE
        try:
            return super().loglikelihood_rolling(requests, disable_tqdm)
        finally:
            self.batch_size_per_gpu = size

    def _loglikelihood_tokens(self, requests, disable_tqdm: bool = False, override_bs=None):
        for index, (_, _, ending) in enumerate(requests):
            if len(ending) > self.max_length:
                raise ValueError(
                    f"The continuation of request {index} has {len(ending)} tokens, more than the model's window of "
                    f"{self.max_length}; drop it, or use a model with a longer window."
                )
        rows = [(context + ending)[-(self.max_length + 1) :] for _, context, ending in requests]
        scores = score_rows(
            self.model,
            rows,
            [len(row) - len(ending) for row, (_, _, ending) in zip(rows, requests)],
            names=[f"request {index}" for index in range(len(rows))],
            batch_tokens=self.batch_tokens,
            greedy=True,
            progress=not disable_tqdm and self.rank == 0,
        )
        answers = [(log_likelihood, misses == 0) for log_likelihood, misses in scores.tolist()]
        for (request, _, _), answer in zip(requests, answers):
            if request is not None:
                self.cache_hook.add_partial("loglikelihood", request, answer)
        return answers


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
