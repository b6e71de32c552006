"""Continuations: what the model finds likely, drawn by seed and place alone, with the reason of the end."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evoslm.models.generation import Drawing, continue_prompts

VOCAB, BOS, EOS = 12, 1, 2
PROMPTS = [[1, 3], [1, 4, 5, 6, 7], [1, 8, 9], [1], [1, 3, 3, 3, 3, 3, 3], [1, 10, 11, 5]]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=0,
        initializer_range=0.6,
    )
    return LlamaForCausalLM(config).eval()


def likeliest(model, prompt: list[int], tokens: int) -> list[int]:
    ids = list(prompt)
    for _ in range(tokens):
        with torch.inference_mode():
            ids.append(int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
        if ids[-1] == EOS:
            break
    return ids[len(prompt) :]


def test_without_temperature_it_is_the_likeliest_token_each_time(model):
    found = continue_prompts(model, PROMPTS, Drawing(max_new_tokens=10, temperature=0), batch_size=3)
    for prompt, continuation in zip(PROMPTS, found):
        expected = likeliest(model, prompt, 10)
        assert continuation.ids + ([EOS] if continuation.reason == "end" else []) == expected


def test_a_draw_depends_on_the_seed_and_the_place_not_on_the_batch(model):
    one = continue_prompts(model, PROMPTS, Drawing(max_new_tokens=20, seed=3), batch_size=1)
    assert continue_prompts(model, PROMPTS, Drawing(max_new_tokens=20, seed=3), batch_size=6) == one
    assert continue_prompts(model, PROMPTS, Drawing(max_new_tokens=20, seed=4), batch_size=6) != one
    same = continue_prompts(model, [PROMPTS[0]] * 8, Drawing(max_new_tokens=20))
    assert len({tuple(continuation.ids) for continuation in same}) > 1


def test_draws_have_the_probabilities_of_the_model(model):
    prompts = [[1, 3]] * 4000
    with torch.inference_mode():
        logits = model(torch.tensor([[1, 3]])).logits[0, -1]
    for drawing, expected in (
        (Drawing(max_new_tokens=1), logits.softmax(-1)),
        (Drawing(max_new_tokens=1, temperature=0.5), (logits / 0.5).softmax(-1)),
        (
            Drawing(max_new_tokens=1, top_k=2),
            logits.where(logits >= logits.topk(2).values[-1], -torch.inf).softmax(-1),
        ),
    ):
        drawn = continue_prompts(model, prompts, drawing, batch_size=500)
        ids = torch.tensor([(continuation.ids or [continuation.ended_by])[0] for continuation in drawn])
        shares = torch.bincount(ids, minlength=VOCAB) / len(prompts)
        assert torch.allclose(shares, expected, atol=0.04)


def test_every_end_has_its_reason(model):
    drawing = Drawing(max_new_tokens=30, stop_ids=(7,), suppressed_ids=(5,), seed=1)
    found = continue_prompts(model, PROMPTS * 20, drawing, batch_size=40)
    reasons = {continuation.reason for continuation in found}
    assert reasons >= {"end", "stop"}
    for continuation in found:
        assert not {EOS, 5, 7} & set(continuation.ids)
        assert continuation.ended_by == {"end": EOS, "stop": 7, "limit": None}[continuation.reason]
        assert (len(continuation.ids) == 30) == (continuation.reason == "limit")


@pytest.mark.parametrize(
    ("prompts", "named"),
    [
        ([[1], []], "Prompt 1 is empty"),
        ([[1] * 60], "60 tokens, and 10 more do not fit the model's 64"),
        ([[1, 12]], "Prompt 0 has ids from 1 to 12, and the model knows 12"),
    ],
)
def test_prompts_that_cannot_be_continued_are_named(model, prompts, named):
    with pytest.raises(ValueError, match=named):
        continue_prompts(model, prompts, Drawing(max_new_tokens=10))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_new_tokens": 0}, "at least 1"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_k": 0}, "top_k"),
    ],
)
def test_a_drawing_that_cannot_be_is_refused(options, named):
    with pytest.raises(ValueError, match=named):
        Drawing(**options)


def test_prompts_as_long_as_the_window_go_with_short_ones(model):
    rng = torch.Generator().manual_seed(0)
    long = [[1, *torch.randint(3, VOCAB, (59,), generator=rng).tolist()] for _ in range(3)]
    found = continue_prompts(model, [*long, [1], [1, 4]], Drawing(max_new_tokens=4, temperature=0), batch_size=5)
    for prompt, continuation in zip([*long, [1], [1, 4]], found):
        expected = likeliest(model, prompt, 4)
        assert continuation.ids + ([EOS] if continuation.reason == "end" else []) == expected


def test_what_is_not_suppressed_keeps_its_odds(model):
    with torch.inference_mode():
        logits = model(torch.tensor([[1, 3]])).logits[0, -1]
    left = [4, 7, EOS]
    drawing = Drawing(max_new_tokens=1, suppressed_ids=tuple(set(range(VOCAB)) - set(left)))
    drawn = continue_prompts(model, [[1, 3]] * 3000, drawing, batch_size=500)
    ids = [(continuation.ids or [continuation.ended_by])[0] for continuation in drawn]
    assert set(ids) <= set(left)
    shares = torch.bincount(torch.tensor(ids), minlength=VOCAB)[left] / len(ids)
    assert torch.allclose(shares, logits[left].softmax(-1), atol=0.04)
    with pytest.raises(ValueError, match="All 12 ids of the model are suppressed"):
        continue_prompts(model, [[1, 3]], Drawing(suppressed_ids=tuple(range(VOCAB))))
