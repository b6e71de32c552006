"""Log-probabilities token by token: those of one sequence at a time, and in the sum those of sequences."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evoslm.models.ngram import NGramModel
from evoslm.models.scoring import token_log_probabilities
from evoslm.models.scoring.likelihoods import score_rows

VOCABULARY = 50


@pytest.fixture(scope="module")
def llama():
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=64, initializer_range=0.3, **shape)
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    rows = [[1, *rng.integers(4, VOCABULARY, rng.integers(1, 40))] for _ in range(25)]
    return [*rows, rows[3]]  # one of them twice


@pytest.mark.parametrize("batch_tokens", [1, 100, None])
def test_tokens_have_what_they_have_in_a_sequence_alone(llama, rows, batch_tokens):
    found = token_log_probabilities(llama, rows, batch_tokens=batch_tokens)
    for row, values in zip(rows, found, strict=True):
        ids = torch.tensor([row])
        with torch.no_grad():
            expected = llama(ids).logits.log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None])[:, 0]
        np.testing.assert_allclose(values, expected.numpy(), atol=1e-5)
    sums = score_rows(llama, rows, [1] * len(rows))[:, 0]
    np.testing.assert_allclose([values.sum() for values in found], sums, rtol=1e-5)


def test_what_a_model_cannot_read_is_named(llama):
    assert token_log_probabilities(llama, []) == []
    with pytest.raises(ValueError, match="The id 50 in sequence 1 is outside"):
        token_log_probabilities(llama, [[1, 2], [1, 50]])
    with pytest.raises(ValueError, match="Too long for the model's window of 64 positions: sequence 0"):
        token_log_probabilities(llama, [[1] * 66])


def test_ngrams_give_tokens_that_add_up_to_their_sequences(rows):
    ngrams = NGramModel.fit(rows[:15], vocab_size=VOCABULARY, max_order=3)
    found = ngrams.token_log_probabilities(rows)
    assert [values.shape for values in found] == [(3, len(row)) for row in rows]
    np.testing.assert_allclose([values.sum(axis=1) for values in found], ngrams.log_likelihoods(rows))
    assert ngrams.token_log_probabilities([]) == []
