"""Loss and gradients of the training path of its own are those of transformers' forward pass and autograd."""

from contextlib import nullcontext

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evoslm.models.language_model import make_language_model
from evoslm.models.packed_attention import pack_documents
from evoslm.models.packed_training import Layout, add_gradients, attention, can_compute, packed_loss, products
from evoslm.models.packed_training import model as whole_model

SHAPE = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 700,
    "initializer_range": 0.2,
}


def make_batch(lengths: list[int]) -> dict[str, torch.Tensor]:
    position_ids, documents = pack_documents(lengths)
    ids = torch.randint(3, 60, (1, sum(lengths)), generator=torch.Generator().manual_seed(0))
    labels = torch.where(position_ids == 0, -100, ids)
    return {"input_ids": ids, "labels": labels, "position_ids": position_ids, "documents": documents}


def gradients_of(model: LlamaForCausalLM) -> dict[str, torch.Tensor]:
    return {name: weight.grad.clone() for name, weight in model.named_parameters()}


def loss_and_gradients(model: LlamaForCausalLM, batch: dict[str, torch.Tensor]) -> tuple[float, dict]:
    model.zero_grad()
    return add_gradients(model, **batch).item(), gradients_of(model)


@pytest.mark.parametrize(
    "lengths",
    [[7], [256], [30, 3, 1, 12], [520, 300, 40], [257, 600]],
    ids=lambda lengths: "+".join(map(str, lengths)),
)
@pytest.mark.parametrize("more", [{"tie_word_embeddings": True}, {"rope_theta": 500.0, "num_attention_heads": 4}])
def test_loss_and_gradients_are_those_of_transformers(lengths, more):
    config = LlamaConfig(**SHAPE | {"num_key_value_heads": more.get("num_attention_heads", 2)} | more)
    model, batch = make_language_model(config, 0), make_batch(lengths)
    for name, weight in model.named_parameters():  # norms that are not ones
        if "norm" in name:
            torch.nn.init.uniform_(weight, 0.5, 1.5, generator=torch.Generator().manual_seed(1))
    rows = batch["input_ids"].split(lengths, dim=1)
    apart = [model(row, use_cache=False).logits[0] for row in rows]
    loss = sum(
        torch.nn.functional.cross_entropy(logits[:-1], row[0, 1:], reduction="sum") for logits, row in zip(apart, rows)
    )
    loss.backward()
    gradients = gradients_of(model)
    own, own_gradients = loss_and_gradients(model, batch)
    assert own == pytest.approx(loss.item(), rel=1e-5) == packed_loss(model, **batch).item()
    for name, gradient in gradients.items():
        scale = max(1.0, gradient.abs().max().item())
        assert (own_gradients[name] - gradient).abs().max().item() < 1e-5 * scale, name


@pytest.mark.parametrize("change", ["no oneDNN", "weights computed again", "autograd asked about each operation"])
def test_other_ways_to_the_same_gradients(monkeypatch, change):
    model, batch = make_language_model(LlamaConfig(**SHAPE), 0), make_batch([300, 30])
    expected, gradients = loss_and_gradients(model, batch)
    if change == "no oneDNN":
        monkeypatch.setattr(products, "_LINEAR", None)
    elif change == "autograd asked about each operation":  # where torch has no other way
        monkeypatch.setattr(whole_model, "_below_autograd", nullcontext)
    else:
        monkeypatch.setattr(attention, "_KEPT", 0)
    loss, others = loss_and_gradients(model, batch)
    assert loss == pytest.approx(expected, rel=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, atol=1e-4, rtol=1e-5)


def test_gradients_are_added_to_those_that_are_there():
    model, batch = make_language_model(LlamaConfig(**SHAPE), 0), make_batch([40, 20])
    model.model.norm.weight.requires_grad_(False)
    loss = add_gradients(model, **batch, divisor=torch.tensor(60))
    once = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.requires_grad}
    assert loss.item() == pytest.approx(packed_loss(model, **batch).item() / 60, rel=1e-6)
    add_gradients(model, **batch, divisor=60)
    for name, gradient in once.items():
        weight = model.get_parameter(name)
        assert torch.equal(weight.grad, 2 * gradient) and weight.grad.stride() == weight.stride(), name
    assert model.model.norm.weight.grad is None


def test_a_loss_is_finite_where_a_token_is_certain():
    model, batch = make_language_model(LlamaConfig(**SHAPE), 0), make_batch([40, 20])
    model.lm_head.weight.data *= 1000
    loss, gradients = loss_and_gradients(model, batch)
    assert loss == pytest.approx(packed_loss(model, **batch).item(), rel=1e-5) and loss > 1e3
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_a_row_is_laid_out_in_few_lengths_and_loses_no_token():
    layouts = [Layout.make([length, 300, 20]) for length in range(500, 560)]
    assert len({layout.positions for layout in layouts}) <= 4
    for layout in layouts:
        tokens = torch.arange(1, len(layout.places) + 1)
        row = layout.lay_out(tokens, 0)
        assert len(row) == layout.positions and row[row > 0].tolist() == tokens.tolist()
        assert all(start == before for (start, _), (_, before) in zip(layout.spans[1:], layout.spans))


def test_models_that_are_no_plain_llama_are_left_to_transformers():
    assert can_compute(LlamaConfig(**SHAPE))
    for change in ({"num_key_value_heads": 1}, {"attention_bias": True}, {"hidden_act": "gelu"}):
        assert not can_compute(LlamaConfig(**SHAPE | change))
