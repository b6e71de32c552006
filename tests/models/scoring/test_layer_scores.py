"""Every layer's scores: those of hidden states read one sequence at a time, and of the last layer the plain ones."""

import numpy as np
import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from evoslm.models.scoring import (
    LayerLens,
    fit_tuned_lens,
    kept_scores,
    network,
    score_pairs,
    sequence_log_likelihoods,
)
from evoslm.models.scoring.likelihoods import score_rows
from evoslm.models.tokenizers.phones import word_level_tokenizer

LAYERS, SIZE, VOCABULARY = 3, 16, 60


def make_llama(seed=0):
    torch.manual_seed(seed)
    shape = {"hidden_size": SIZE, "intermediate_size": 24, "num_hidden_layers": LAYERS, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=VOCABULARY, bos_token_id=1, initializer_range=0.3, **shape)
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def llama():
    return make_llama()


@pytest.fixture(scope="module")
def items():
    """Sequences behind contexts: in trees, and too long for one, so that they share beginnings as groups."""
    rng = np.random.default_rng(0)
    contexts = [rng.integers(4, VOCABULARY, length).tolist() for length in (0, 0, 3, 3, 9, 270)]
    contexts += [contexts[-1]]
    sequences = [rng.integers(4, VOCABULARY, length).tolist() for length in (1, 5, 4, 7, 12, 20, 15)]
    return sequences, contexts


@pytest.fixture
def pairs(monkeypatch):
    monkeypatch.setattr(kept_scores, "PAIRS_PER_CHUNK", 4)
    rng = np.random.default_rng(1)

    def content():
        return " ".join(f"p{i}" for i in rng.integers(0, 56, rng.integers(2, 9)))

    return [
        {"id": str(i), "positive": content(), "negative": content(), "context": content() if i % 2 else ""}
        for i in range(6)
    ]


@pytest.fixture(scope="module")
def tokenizer():
    return word_level_tokenizer(f"p{i}" for i in range(56))


@pytest.fixture(scope="module")
def lens():
    generator = torch.Generator().manual_seed(0)
    return LayerLens(
        0.1 * torch.randn(LAYERS, SIZE, SIZE, generator=generator),
        0.1 * torch.randn(LAYERS, SIZE, generator=generator),
    )


def read_states(model, sequences, contexts, norm, lens=None):
    """The reference: one sequence at a time, states of every layer, normalisation, output layer."""
    found = []
    for sequence, context in zip(sequences, contexts):
        ids = torch.tensor([[1, *context, *sequence]])
        with torch.no_grad():
            states = model(ids, output_hidden_states=True).hidden_states
            row = []
            for layer, state in enumerate(states):
                if lens is not None and layer < len(states) - 1:
                    state = state + state @ lens.weights[layer].T + lens.biases[layer]
                logits = model.get_output_embeddings()(state if layer == len(states) - 1 else norm(state))
                log_p = logits.log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None])[len(context) :]
                row.append(log_p.double().sum().item())
        found.append(row)
    return np.array(found)


@pytest.mark.parametrize("batch_tokens", [40, None])
@pytest.mark.parametrize("is_tuned", [False, True])
def test_scores_of_layers_are_those_of_states_read_one_sequence_at_a_time(llama, items, lens, is_tuned, batch_tokens):
    used = lens if is_tuned else LayerLens()
    found = sequence_log_likelihoods(llama, *items, lens=used, batch_tokens=batch_tokens)
    assert found.shape == (len(items[0]), LAYERS + 1)
    expected = read_states(llama, *items, llama.model.norm, used if is_tuned else None)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert np.abs(np.diff(expected, axis=1)).min() > 1e-2  # layers do not say the same


def test_the_last_layer_has_the_plain_scores_to_the_last_bit(llama, items, lens):
    plain = sequence_log_likelihoods(llama, *items)
    for used in (LayerLens(), lens):
        assert np.array_equal(sequence_log_likelihoods(llama, *items, lens=used)[:, -1], plain)


def test_one_forward_pass_serves_all_layers(llama, items, monkeypatch):
    calls, forward = [], llama.model.forward

    def counting(*args, **kwargs):
        calls.append(kwargs["input_ids"].shape)
        return forward(*args, **kwargs)

    monkeypatch.setattr(llama.model, "forward", counting)
    sequence_log_likelihoods(llama, *items)
    plain, calls[:] = list(calls), []
    sequence_log_likelihoods(llama, *items, lens=LayerLens())
    # One more, on eight tokens, finds the normalisation.
    assert sorted([*plain, torch.Size([1, 8])]) == sorted(calls)


def test_states_of_a_batch_have_room(llama, items, monkeypatch):
    found = sequence_log_likelihoods(llama, *items, lens=LayerLens())
    monkeypatch.setattr(network, "_MOST_STATES", 100 * SIZE * (LAYERS + 1))
    assert network.Network(llama, all_layers=True).batch_tokens == 100
    np.testing.assert_allclose(sequence_log_likelihoods(llama, *items, lens=LayerLens()), found, atol=1e-4)


def test_another_family_of_models_is_read_through_its_own_normalisation(items):
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCABULARY, n_embd=SIZE, n_layer=LAYERS, n_head=2, n_positions=300, bos_token_id=1)
    ).eval()
    found = sequence_log_likelihoods(model, *items, lens=LayerLens())
    np.testing.assert_allclose(found, read_states(model, *items, model.transformer.ln_f), atol=2e-4)


def test_a_model_that_works_on_its_logits_is_refused(items):
    shape = {"hidden_size": SIZE, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Gemma2Config(
        vocab_size=VOCABULARY, num_key_value_heads=2, head_dim=8, final_logit_softcapping=3.0, **shape
    )
    with pytest.raises(ValueError, match="The layers of Gemma2ForCausalLM cannot be read by its output layer"):
        sequence_log_likelihoods(Gemma2ForCausalLM(config).eval(), *items, lens=LayerLens())


def test_greedy_decoding_is_of_the_last_layer_alone(llama):
    with pytest.raises(ValueError, match="give greedy or lens"):
        score_rows(llama, [[1, 5, 6]], [1], greedy=True, lens=LayerLens())


def test_pairs_have_a_list_a_log_likelihood_that_is_kept_and_found_again(llama, tokenizer, pairs, lens, tmp_path):
    plain = score_pairs(llama, tokenizer, pairs, save_dir=tmp_path / "plain")  # in the same batches
    found = score_pairs(llama, tokenizer, pairs, lens=lens, save_dir=tmp_path / "kept")
    for one, own in zip(plain, found):
        assert len(own["positive"]) == LAYERS + 1 and own["positive_tokens"] == one["positive_tokens"]
        for column in ("positive", "negative_unconditional"):
            assert np.array_equal(own[column][-1], one[column], equal_nan=True)
    assert all(np.isnan(found[0]["positive_unconditional"]))  # without a context
    again = score_pairs(llama, tokenizer, pairs, lens=lens, save_dir=tmp_path / "kept")
    assert [row["positive"] for row in again] == [row["positive"] for row in found]
    with pytest.raises(ValueError, match="another rule"):
        score_pairs(llama, tokenizer, pairs, lens=LayerLens(), save_dir=tmp_path / "kept")


def test_weights_that_are_no_numbers_are_said_to_be_so(tokenizer, pairs):
    model = make_llama()
    model.model.layers[1].mlp.down_proj.weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match="The model's logits are no numbers"):
        score_pairs(model, tokenizer, pairs, lens=LayerLens())


def test_a_tuned_lens_brings_layers_nearer_to_the_last_one_and_leaves_the_model_as_it_was(llama):
    rng = np.random.default_rng(2)
    rows = [[1, *rng.integers(4, VOCABULARY, 30)] for _ in range(40)]
    before = [weight.clone() for weight in llama.parameters()]
    lens, divergence = fit_tuned_lens(llama, rows[:30], rows[30:], steps=60, learning_rate=1e-2)
    assert all(torch.equal(a, b) for a, b in zip(before, llama.parameters()))
    assert all(weight.grad is None for weight in llama.parameters())
    assert lens.weights.shape == (LAYERS, SIZE, SIZE) and lens.biases.shape == (LAYERS, SIZE)
    assert all(after < 0.8 * start for start, after in zip(divergence["before"], divergence["after"]))
    # The divergence that is said is that of the distributions, computed here anew for the first layer.
    ids = torch.tensor(np.array(rows[30:]))
    with torch.no_grad():
        states = llama(ids, output_hidden_states=True).hidden_states
        last = llama.lm_head(states[-1])[:, :-1].log_softmax(-1)
        first = llama.lm_head(llama.model.norm(states[0]))[:, :-1].log_softmax(-1)
        expected = (last.exp() * (last - first)).sum(-1).mean().item()
    assert divergence["before"][0] == pytest.approx(expected, rel=1e-4)
    again, _ = fit_tuned_lens(llama, rows[:30], rows[30:], steps=60, learning_rate=1e-2)
    assert torch.equal(again.weights, lens.weights) and again.fingerprint() == lens.fingerprint() != "logit"


def test_a_tuned_lens_needs_text_of_both_kinds(llama):
    with pytest.raises(ValueError, match="fitted on one text and measured on another"):
        fit_tuned_lens(llama, [[1, 5, 6]], [])
