"""Joint models: drawn anew each epoch, in the order of every other model, with loss where it is asked for."""

import json

import numpy as np
import pytest
import torch
from shared_training import SHAPE
from transformers import AutoModelForCausalLM, AutoTokenizer

from evoslm.datasets_scripts.mixing.mixture import Mixture, measure_tokens
from evoslm.datasets_scripts.mixing.sequences import make_joint_utterance
from evoslm.datasets_scripts.mixing.switching import PerWord, Spans
from evoslm.models.packed_attention import PACKED_ATTENTION
from evoslm.models.tokenizers.joint import bears_loss, train_joint
from evoslm.training.arguments.study import PretrainArguments
from evoslm.training.pretrain.data import UtteranceBatchSampler, collate_packed
from evoslm.training.pretrain.joint import pretrain_joint
from evoslm.training.pretrain.joint_data import DrawnSequences, JointBatchSampler, JointSequences
from evoslm.training.pretrain.trainer import validation_loss

NUM_UNITS = 30
THIRDS = {"speech": 1 / 3, "cst": 1 / 3, "text": 1 / 3}
PROTOCOL = PretrainArguments(epochs=6, utterances_per_batch=4, learning_rate=1e-2, points=[1.0])


def make_utterances(count: int, seed: int) -> list:
    """Each word has units of its own, which are heard whenever it is said."""
    rng, spoken = np.random.default_rng(seed), np.random.default_rng(9).integers(0, NUM_UNITS, (12, 4))
    utterances = []
    for number in range(count):
        words = rng.integers(0, 12, rng.integers(2, 9)).tolist()
        rows = [
            {"word": "abcdefghijkl"[word] * 2, "start": at * 0.1, "end": at * 0.1 + 0.1}
            for at, word in enumerate(words)
        ]
        units = np.repeat(spoken[words].ravel(), 2)[: 5 * len(words)]
        utterances.append((f"utterance-{number}", make_joint_utterance(rows, units, 50)))
    return utterances


@pytest.fixture(scope="module")
def utterances() -> dict:
    return {"train": make_utterances(22, 0), "validation": make_utterances(6, 1)}


@pytest.fixture(scope="module")
def tokenizer(utterances):
    units = (" ".join(map(str, utterance.units)) for _, utterance in utterances["train"])
    return train_joint((utterance.text() for _, utterance in utterances["train"]), units, NUM_UNITS, 95, None)


def tokens_of(tokenizer, batch: dict, number: int) -> list[tuple[str, bool]]:
    """Tokens of a document of a packed row, and whether they are predicted."""
    places = batch["documents"][number]
    places = places[places < batch["input_ids"].shape[1]]
    tokens = tokenizer.convert_ids_to_tokens(batch["input_ids"][0, places].tolist())
    return list(zip(tokens, (batch["labels"][0, places] != -100).tolist()))


CONTENT = "<text> aa <text_to_speech> ▪1▪2 <speech_to_text> bb"


@pytest.mark.parametrize(
    ("content", "loss_on", "learned"),
    [
        (CONTENT, "all", "<text> ▁ aa <text_to_speech> ▪1 ▪2 <speech_to_text> ▁ bb </s>"),
        (CONTENT, "text", "▁ aa <text_to_speech> ▁ bb </s>"),
        (CONTENT, "speech", "▪1 ▪2 <speech_to_text>"),
        (CONTENT, "target", "▪1 ▪2 <speech_to_text> ▁ bb </s>"),
        ("<speech> ▪1▪2", "target", "<speech> ▪1 ▪2 </s>"),
        ("<speech> ▪1▪2", "text", ""),
    ],
)
def test_loss_is_where_it_is_asked_for(tokenizer, content, loss_on, learned):
    pieces = train_joint(["aa bb"] * 3, ["1 2 3 4"], NUM_UNITS, 80, None)
    ids = [*pieces(content).input_ids, pieces.eos_token_id]
    tokens = np.array(pieces.convert_ids_to_tokens(ids))
    assert " ".join(tokens[bears_loss(pieces, ids, loss_on)]) == learned
    with pytest.raises(ValueError, match="loss_on has to be one of all, speech, text, target, not 'units'"):
        bears_loss(tokenizer, ids, "units")


def test_what_is_read_and_not_predicted_is_in_the_row_and_not_in_the_labels(utterances, tokenizer):
    mixture = Mixture({"ast": 1}, rule=PerWord(0.5))
    everything, text = (DrawnSequences(utterances["train"], mixture, tokenizer, 0, on) for on in ("all", "text"))
    batches = [collate_packed([own[index] for index in range(4)]) for own in (everything, text)]
    assert torch.equal(batches[0]["input_ids"], batches[1]["input_ids"])
    for number in range(4):
        for (token, learned), (_, of_text) in zip(*(tokens_of(tokenizer, batch, number) for batch in batches)):
            assert learned == (token != "<s>")
            assert of_text <= (learned and not token.startswith("▪"))


def test_each_epoch_is_drawn_anew_in_the_order_of_all_models(utterances, tokenizer):
    mixture = Mixture(THIRDS)
    train = JointSequences(utterances["train"], mixture, tokenizer)
    joint, other = JointBatchSampler(22, 4, seed=5, lengths=train.lengths), UtteranceBatchSampler(22, 4, seed=5)
    for update in range(1, 14):
        assert [number % 22 for number in joint.batch_of_update(update)] == other.batch_of_update(update)
        assert {number // 22 for number in joint.batch_of_update(update)} == {(update - 1) // 6}
    first, second = train.of_epoch(0), train.of_epoch(1)
    assert first.kinds != second.kinds
    numbers = [3, 22 + 3, 2 * 22 + 21]
    assert train.lengths[numbers].tolist() == [len(train[number]) for number in numbers]
    again = JointSequences(utterances["train"], mixture, tokenizer)
    assert all(np.array_equal(again[number], train[number]) for number in numbers)


def test_a_joint_model_learns_what_a_word_sounds_like(utterances, tokenizer, tmp_path):
    tokens = measure_tokens(utterances["train"], tokenizer, Spans(), seed=0)
    summary = pretrain_joint(
        utterances, tokenizer, tmp_path / "m", SHAPE | {"hidden_size": 32}, Mixture(THIRDS, tokens), PROTOCOL, seed=0
    )
    assert summary["updates"] == 36 and [point["updates"] for point in summary["points"]] == [6]
    assert not list((tmp_path / "m").glob("*.py"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "m", attn_implementation=PACKED_ATTENTION)
    loaded = AutoTokenizer.from_pretrained(tmp_path / "m")
    assert (model.config.modality, model.config.loss_on) == ("joint", "all")
    assert model.config.mixture == pytest.approx(THIRDS)
    losses = {}
    for kind in ("cst", "ast", "speech", "text"):
        drawn = DrawnSequences(utterances["validation"], Mixture({kind: 1}), loaded, 0)
        losses[kind] = validation_loss(model, drawn, 3)
        assert losses[kind] < np.log(len(loaded))
    validation = DrawnSequences(utterances["validation"], Mixture(THIRDS, tokens), loaded, 0)
    assert validation_loss(model, validation, 4) == pytest.approx(summary["best_validation_loss"], abs=1e-4)
    counted = JointSequences(utterances["train"], Mixture(THIRDS, tokens), loaded)
    assert summary["tokens_seen"] == sum(int(counted.of_epoch(epoch).lengths.sum()) for epoch in range(6))
    assert json.loads((tmp_path / "m" / "training.json").read_text())["precision"] == "fp32"


def test_an_empty_split_is_named(utterances, tokenizer, tmp_path):
    with pytest.raises(ValueError, match="The validation split of the joint model is empty"):
        pretrain_joint({"train": utterances["train"]}, tokenizer, tmp_path, SHAPE, Mixture(THIRDS), PROTOCOL, seed=0)
