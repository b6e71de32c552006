"""Weights of a model of text under a larger vocabulary: old rows stay, and new ones begin as they are asked to."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from evoslm.models.language_model import make_language_model
from evoslm.models.new_rows import NEW_ROWS, load_with_new_rows, read_shape

OLD = ["<s>", "</s>", "<pad>", "<unk>", *(f"w{number}" for number in range(96))]
# Other ids for the old tokens, and many more than there were.
NEW = [*OLD[:4], "<speech>", *reversed(OLD[4:]), *(f"▪{number}" for number in range(3000))]


def tokenizer_of(tokens) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordLevel({token: place for place, token in enumerate(tokens)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


def config_of(size: int, tied: bool = True) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=size,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
        initializer_range=0.06,
    )


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def source(request, tmp_path):
    model = make_language_model(config_of(len(OLD) + 28, request.param), seed=1)  # a padded embedding
    with torch.no_grad():
        for weights in {model.get_input_embeddings().weight, model.get_output_embeddings().weight}:
            weights[: len(OLD)] = torch.randn(len(OLD), 2) @ torch.randn(2, 8) + torch.randn(8)
            weights[len(OLD) :] = 1e6
    model.save_pretrained(tmp_path)
    tokenizer_of(OLD).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("new_rows", NEW_ROWS)
def test_what_was_known_is_as_likely_as_before(source, new_rows):
    tied = read_shape(source)["tie_word_embeddings"]
    old, tokenizer = AutoModelForCausalLM.from_pretrained(source), tokenizer_of(NEW)
    grown = load_with_new_rows(source, tokenizer, config_of(len(NEW), tied), new_rows, seed=3)
    again = load_with_new_rows(source, tokenizer, config_of(len(NEW), tied), new_rows, seed=3)
    assert all(torch.equal(one, other) for one, other in zip(grown.parameters(), again.parameters()))
    text = " ".join(OLD[5:25])
    ids = [torch.tensor([each(text).input_ids]) for each in (tokenizer_of(OLD), tokenizer)]
    assert not torch.equal(*ids)
    old_names, new_names = (torch.tensor(each.convert_tokens_to_ids(OLD)) for each in (tokenizer_of(OLD), tokenizer))
    grown.set_attn_implementation("sdpa")
    with torch.inference_mode():
        before, after = old(ids[0]).logits[..., old_names], grown(ids[1]).logits[..., new_names]
    assert torch.allclose(before, after, rtol=1e-4, atol=1e-4)
    assert (grown.get_output_embeddings().weight is grown.get_input_embeddings().weight) == tied


def test_new_rows_begin_as_they_are_asked_to(source):
    tied = read_shape(source)["tie_word_embeddings"]
    kept = len(OLD)
    for get in (LlamaForCausalLM.get_input_embeddings, LlamaForCausalLM.get_output_embeddings):
        old = get(AutoModelForCausalLM.from_pretrained(source)).weight[:kept]
        new = {}
        for new_rows in NEW_ROWS:
            grown = load_with_new_rows(source, tokenizer_of(NEW), config_of(len(NEW), tied), new_rows)
            new[new_rows] = get(grown).weight[[4, *range(kept + 1, len(NEW))]].detach()
        spread = (old - old.mean(0)).norm(dim=1).mean()
        assert (new["mean"].mean(0) - old.mean(0)).norm() < 0.1 * spread
        covariances = torch.cov(new["mean"].T), torch.cov(old.T, correction=0)
        assert (covariances[0] - covariances[1]).norm() < 0.15 * covariances[1].norm()
        assert new["fresh"].std() == pytest.approx(0.06, rel=0.05)
        places = torch.cdist(new["copy"].double(), old.double()).argmin(1)
        assert torch.equal(new["copy"], old[places])
        assert places.bincount(minlength=kept).max() - places.bincount(minlength=kept).min() <= 1


def test_what_cannot_be_gone_on_with_is_said(source, tmp_path):
    with pytest.raises(ValueError, match="mean, fresh, copy"):
        load_with_new_rows(source, tokenizer_of(NEW), config_of(len(NEW)), "zero")
    with pytest.raises(ValueError, match=r"lacks 90 of the 100 tokens.*join_units"):
        load_with_new_rows(source, tokenizer_of(OLD[:10]), config_of(10))
    GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=10)).save_pretrained(tmp_path / "gpt2")
    with pytest.raises(ValueError, match="a gpt2 model; joint models are plain Llamas"):
        read_shape(tmp_path / "gpt2")
