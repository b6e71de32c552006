"""Log-likelihoods of minimal pairs under any causal language model.

In: a model, its tokenizer and pairs as text or ids. Out: sums of log-probabilities (nats) of the sides, in the order
of the pairs. `pairs` -> ids -> `plan` (what is computed with what) -> `network` (forward passes) -> `likelihoods`.
"""

from ..lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "EvoSLMHarnessModel": ".harness",
        "KeptScores": ".kept_scores",
        "LayerLens": ".layers",
        "encode_pairs": ".pairs",
        "fit_tuned_lens": ".tuned_lens",
        "score_blocks": ".retrieval",
        "score_continuations": ".continuations",
        "score_pairs": ".pairs",
        "score_rows": ".likelihoods",
        "sequence_log_likelihoods": ".likelihoods",
        "token_log_probabilities": ".token_scores",
    },
)
