"""Continuations token by token: those of whole continuations, with the model's own log-likelihoods."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evoslm.models.generation import ContinuationStream, Drawing, continue_prompts
from evoslm.models.scoring import sequence_log_likelihoods

PROMPT = [1, 4, 5, 6]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=12,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.6,
    )
    return LlamaForCausalLM(config).eval()


def read(stream: ContinuationStream) -> dict[int, list]:
    tokens = {index: [] for index in stream.running}
    while stream.running:
        for token in stream.step():
            tokens[token.index].append(token)
    return tokens


@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0.7, "top_p": 0.8}, {"top_k": 4, "suppressed_ids": (3, 9)}, {"min_new_tokens": 8}],
)
def test_the_tokens_are_those_of_whole_continuations(model, options):
    drawing = Drawing(max_new_tokens=20, seed=5, stop_ids=(7,), **options)
    whole = continue_prompts(model, [PROMPT] * 6, drawing)
    for index, tokens in read(ContinuationStream(model, PROMPT, 6, drawing)).items():
        last = tokens[-1]
        assert last.reason == whole[index].reason
        assert [token.id for token in tokens if token.reason not in ("end", "stop")] == whole[index].ids
        assert all(token.reason is None for token in tokens[:-1])
        assert len(whole[index].ids) >= drawing.min_new_tokens


def test_a_continuation_is_the_same_alone_and_beside_others(model):
    drawing = Drawing(max_new_tokens=20, seed=1)
    (alone,) = read(ContinuationStream(model, PROMPT, 1, drawing)).values()
    beside = read(ContinuationStream(model, PROMPT, 5, drawing))[0]
    assert [token.id for token in alone] == [token.id for token in beside]


def test_log_likelihoods_are_those_of_the_scorer(model):
    drawing = Drawing(max_new_tokens=12, temperature=0.5, top_p=0.9, suppressed_ids=(2, 3))
    (tokens,) = read(ContinuationStream(model, PROMPT, 1, drawing)).values()
    (expected,) = sequence_log_likelihoods(model, [[token.id for token in tokens]], [PROMPT[1:]])
    assert sum(token.log_likelihood for token in tokens) == pytest.approx(expected, abs=1e-4)


def test_what_is_dropped_runs_no_longer_and_changes_nothing(model):
    drawing = Drawing(max_new_tokens=15, seed=2, suppressed_ids=(2,))
    whole = read(ContinuationStream(model, PROMPT, 3, drawing))
    stream, tokens = ContinuationStream(model, PROMPT, 3, drawing), {0: [], 1: [], 2: []}
    while stream.running:
        for token in stream.step():
            tokens[token.index].append(token)
        if len(tokens[1]) == 4:
            stream.drop([1])
    assert [token.id for token in tokens[2]] == [token.id for token in whole[2]]
    assert [len(found) for found in tokens.values()] == [15, 4, 15]


def test_a_prompt_that_leaves_no_room_is_refused(model):
    with pytest.raises(ValueError, match="do not fit the model's 64"):
        ContinuationStream(model, [1] * 60, drawing=Drawing(max_new_tokens=10))
