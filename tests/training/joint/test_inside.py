"""What is found inside joint models that are made to look at their own text, or not to."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evoslm.datasets_scripts.mixing.sequences import JointUtterance
from evoslm.models.tokenizers.joint import train_joint
from evoslm.training.joint.inside import attention_to_own_text, text_of_spoken_words, words_of_tokens

WORDS = ["the", "cats,", "17", "mats.", "sat", "on"]
NUM_UNITS = 24


def utterance_of(words) -> JointUtterance:
    """Each word always in the same three or four units, that no other has."""
    units = [[4 * number + place for place in range(3 + number % 2)] for number in words]
    of_words = np.concatenate([np.full(len(each), place) for place, each in enumerate(units)])
    return JointUtterance(
        [WORDS[number] for number in words], np.arange(len(words) + 1.0), np.concatenate(units), of_words
    )


@pytest.fixture(scope="module")
def utterances():
    rng = np.random.default_rng(0)
    return [utterance_of(rng.integers(len(WORDS), size=rng.integers(4, 9))) for _ in range(30)]


@pytest.fixture(scope="module", params=[None, 30], ids=["units", "pieces"])
def tokenizer(request, utterances):
    contents = [" ".join(map(str, utterance.units)) for utterance in utterances]
    return train_joint([" ".join(each.words) for each in utterances] * 5, contents, NUM_UNITS, 90, request.param)


def test_every_token_knows_its_word(tokenizer, utterances):
    for utterance in utterances:
        read = words_of_tokens(tokenizer, utterance, utterance.concatenate("text"))
        tokens = tokenizer.convert_ids_to_tokens(read.ids)
        for number, word in enumerate(utterance.words):
            own = [token for token, of in zip(tokens, read.text) if of == number]
            assert "".join(own).replace("▁", "") == word
            said = "".join(token for token, of in zip(tokens, read.speech) if of == number)
            units = utterance.units[utterance.unit_words == number]
            if max(token.count("▪") for token in tokens) == 1:
                assert said == "".join(f"▪{unit}" for unit in units)
        counted = (read.text >= 0).sum() + (read.speech >= 0).sum()
        assert counted == len(read.ids) - 3  # <s>, <text> and the switch


def save_model(tokenizer, folder, seed=0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=len(tokenizer),
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=len(tokenizer) + len(tokenizer) % 2,
        rope_parameters={"rope_type": "default", "rope_theta": 1e30},
    )
    model = LlamaForCausalLM(config)
    tokenizer.save_pretrained(folder)
    return model


def test_a_model_that_looks_at_its_own_word_is_seen_to(tokenizer, utterances, tmp_path):
    if max(token.count("▪") for token in tokenizer.get_vocab()) > 1:
        pytest.skip("pieces are of several words")
    model = save_model(tokenizer, tmp_path)
    # A head of the second layer asks, of every unit, for the tokens of its word.
    size, head = len(tokenizer), model.config.head_dim
    query, key = torch.zeros(head, size), torch.zeros(head, size)
    once = [utterance for utterance in utterances if len(set(utterance.words)) == len(utterance.words)]
    for utterance in utterances:
        read = words_of_tokens(tokenizer, utterance, utterance.concatenate("text"))
        for number in range(len(utterance.words)):
            place = WORDS.index(utterance.words[number]) - 12  # rotated least
            for index in np.array(read.ids)[read.speech == number]:
                query[place, index] = 30.0
            for index in np.array(read.ids)[read.text == number]:
                key[place, index] = 30.0
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" not in name:
                weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        model.model.layers[1].self_attn.q_proj.weight.copy_(query)
        model.model.layers[1].self_attn.k_proj.weight.copy_(key)
    model.save_pretrained(tmp_path)
    found = attention_to_own_text(tmp_path, once)
    assert (found["layer"], found["head"]) == ([2], [1]) and len(found["best_head"]) == len(once) // 2
    assert np.mean(found["best_head"]) > 0.8 > np.mean(found["same_place"]) > np.mean(found["any_token"])
    assert found["all_heads"] == pytest.approx(
        np.mean([found["best_head"], attention_of_first_layer(found, once, tokenizer)], axis=0)
    )


def attention_of_first_layer(found, utterances, tokenizer) -> list[float]:
    """It looks at nothing more than at anything, so that the first token is the most."""
    shares = []
    for utterance in utterances[1::2]:
        read = words_of_tokens(tokenizer, utterance, utterance.concatenate("text"))
        shares.append((read.speech[read.speech >= 0] == 0).mean())
    return shares


def test_a_layer_that_says_the_word_is_found(tokenizer, utterances, tmp_path):
    model = save_model(tokenizer, tmp_path)
    size = len(tokenizer)
    output = torch.zeros(size, size)
    for utterance in utterances:
        read = words_of_tokens(tokenizer, utterance, utterance.speech())
        written = words_of_tokens(tokenizer, utterance, utterance.text())
        for number in range(len(utterance.words)):
            ends = np.flatnonzero(read.speech == number)
            if len(ends):
                output[written.ids[int(np.flatnonzero(written.text == number)[0])], read.ids[int(ends[-1])]] += 1
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" not in name:
                weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        model.lm_head.weight.copy_(output)
    model.save_pretrained(tmp_path)
    found = text_of_spoken_words(tmp_path, utterances)
    assert len(found["by_layer"]) == 3 and len(found["best_layer"]) == len(utterances) // 2
    assert np.mean(found["best_layer"]) > 0.7 > 0.5 > np.mean(found["commonest"])
    if max(token.count("▪") for token in tokenizer.get_vocab()) == 1:
        assert np.mean(found["last_layer"]) == 1
    # One that knows nothing of text is about as good as any token is.
    untrained = save_model(tokenizer, tmp_path / "other", seed=1)
    untrained.save_pretrained(tmp_path / "other")
    assert np.mean(text_of_spoken_words(tmp_path / "other", utterances)["last_layer"]) < 0.3
