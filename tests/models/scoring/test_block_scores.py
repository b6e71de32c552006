"""Every continuation of a block is scored after every context, without the token between them."""

import pytest
import torch
from tiny_joint_model import make_byte_level_joint_model, make_joint_model, make_passages
from transformers import AutoModelForCausalLM, AutoTokenizer

from evoslm.models.scoring import score_blocks
from evoslm.models.scoring.retrieval import DIRECTIONS
from evoslm.models.tokenizers.joint import split_segments
from evoslm.models.tokenizers.text import train_text_bpe


@pytest.fixture(scope="module")
def joint(tmp_path_factory) -> tuple:
    folder = make_joint_model(tmp_path_factory.mktemp("joint"))
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def log_likelihood(model, tokenizer, context: str, continuation: str) -> float:
    """By hand: the last ids of a sequence, whose beginning is the context."""
    before = [tokenizer.bos_token_id, *tokenizer(context, add_special_tokens=False).input_ids]
    scored = tokenizer(continuation, add_special_tokens=False).input_ids
    with torch.no_grad():
        predicted = model(torch.tensor([before + scored])).logits[0].double().log_softmax(-1)
    return float(predicted[len(before) - 1 : -1].gather(1, torch.tensor(scored)[:, None]).sum())


@pytest.mark.parametrize(
    ("direction", "first", "switch", "begin"),
    [
        ("u2u", "<speech>", "", "<speech>"),
        ("t2t", "<text>", "", "<text>"),
        ("u2t", "<speech>", "<speech_to_text>", "<text>"),
        ("t2u", "<text>", "<text_to_speech>", "<speech>"),
    ],
)
def test_a_matrix_has_what_is_computed_one_by_one(joint, direction, first, switch, begin):
    model, tokenizer = joint
    passages = make_passages()
    before, after = DIRECTIONS[direction]
    for block in score_blocks(model, tokenizer, passages, direction):
        own = [row for row in passages if row["block"] == block["block"]]
        assert block["ids"] == [row["id"] for row in own] and block["direction"] == direction
        for i, row in enumerate(own):
            continuation = row[f"continuation_{after}"]
            for j, other in enumerate(own):
                # The token between the two is of the context: it is read, and not scored.
                context = f"{first} {other[f'context_{before}']} {switch}".strip()
                expected = log_likelihood(model, tokenizer, context, continuation)
                assert block["log_likelihoods"][i][j] == pytest.approx(expected, rel=1e-5)
            assert block["unconditional"][i] == pytest.approx(
                log_likelihood(model, tokenizer, begin, continuation), rel=1e-5
            )
            assert block["tokens"][i] == len(tokenizer(continuation, add_special_tokens=False).input_ids)


def test_what_is_scored_is_one_sequence_of_the_joint_model(joint):
    _, tokenizer = joint
    row = make_passages()[0]
    whole = f"<speech> {row['context_units']} <speech_to_text> {row['continuation_text']}"
    parts = (f"<speech> {row['context_units']}", "<speech_to_text>", row["continuation_text"])
    ids = [index for part in parts for index in tokenizer(part, add_special_tokens=False).input_ids]
    assert ids == tokenizer(whole, add_special_tokens=False).input_ids
    assert [segment.modality for segment in split_segments(tokenizer, ids)] == ["speech", "text"]


def test_texts_begin_with_their_space_where_they_do_in_training(tmp_path):
    folder = make_byte_level_joint_model(tmp_path)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    row, other = make_passages(num_blocks=1, size=2)
    for direction, begin in (("t2t", f"<text> {row['context_text']}"), ("u2t", f"<speech> {row['context_units']}")):
        scored = score_blocks(model, tokenizer, [row, other], direction)[0]["log_likelihoods"][0][0]
        context = begin if direction == "t2t" else f"{begin} <speech_to_text>"
        assert scored == pytest.approx(log_likelihood(model, tokenizer, context, f" {row['continuation_text']}"), 1e-5)
    whole = tokenizer(f"{context} {row['continuation_text']}", add_special_tokens=False).input_ids
    before = tokenizer(context, add_special_tokens=False).input_ids
    assert whole == before + tokenizer(f" {row['continuation_text']}", add_special_tokens=False).input_ids


def test_shared_contexts_change_no_score(joint):
    model, tokenizer = joint
    passages = make_passages()
    for direction in DIRECTIONS:
        shared, alone = (
            score_blocks(model, tokenizer, passages, direction, share_prefixes=share) for share in (True, False)
        )
        for one, other in zip(shared, alone):
            for first, second in zip(one["log_likelihoods"], other["log_likelihoods"]):
                assert first == pytest.approx(second, rel=1e-5)


@pytest.mark.parametrize(
    ("row", "direction", "named"),
    [
        ({"continuation_units": ""}, "t2u", "Passage 'passage-0-1' has no 'continuation_units'"),
        ({"continuation_text": None}, "u2t", "Passage 'passage-0-1' has no 'continuation_text'"),
        ({"context_units": "▪3 ▪4"}, "u2u", "'context_units' of passage 'passage-0-1' is not of units"),
        ({"context_units": "3 4"}, "u2u", "'context_units' of passage 'passage-0-1' is not of units"),
        ({"context_units": "▪3▪4000"}, "u2u", "has a symbol of units that the tokenizer does not know"),
        ({"context_text": "A ▪3 lion."}, "t2t", "'context_text' of passage 'passage-0-1' is not of text"),
        ({"context_text": "A <speech> lion."}, "t2t", "'context_text' of passage 'passage-0-1' is not of text"),
        ({"context_text": "A lion.", "continuation_text": "A lion."}, "u2u", "is its own context; drop its block"),
        ({"block": "block-1"}, "t2t", "Block block-1 has 5 passages and block block-0 has 3: all blocks are of one"),
        ({"block": None}, "t2t", "Row 1 of the blocks has no 'block'"),
        ({"context_text": "Lion " * 200}, "t2t", "Too long for the model's window"),
        ({}, "t2s", "no direction 't2s'; choose from u2u, t2t, u2t, t2u"),
    ],
)
def test_bad_blocks_are_named(joint, row, direction, named):
    passages = make_passages()
    passages[1] |= row
    with pytest.raises(ValueError, match=named):
        score_blocks(*joint, passages, direction)


def test_a_model_of_text_alone_and_no_blocks_are_refused(joint):
    model, _ = joint
    tokenizer = train_text_bpe(["A lion sings."] * 20, vocab_size=90)
    with pytest.raises(ValueError, match="has no <text>: directions are asked of joint models"):
        score_blocks(model, tokenizer, make_passages(), "t2t")
    with pytest.raises(ValueError, match="no passages in the blocks"):
        score_blocks(*joint, [], "t2t")
