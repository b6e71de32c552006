"""Continuations in a modality: nothing of the other is drawn, and what was drawn is read back as text or units."""

import json
from pathlib import Path

import pytest
from tiny_joint_model import NUM_UNITS, make_joint_model, make_text_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from evoslm.models.generation import Drawing, continue_contents
from evoslm.models.generation.joint import drawable_ids, prompt_ids
from evoslm.models.tokenizers.joint import split_segments

CONTENTS = {"u": ["▪3▪4▪17", "▪8▪9", "▪1"], "t": ["lion sings", "quiet otter", "yellow"]}


def load(folder: str):
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    return load(make_joint_model(tmp_path_factory.mktemp("joint")))


@pytest.mark.parametrize("direction", ["u2u", "t2t", "u2t", "t2u"])
def test_only_what_is_asked_for_is_drawn_and_read(joint, direction):
    contents = CONTENTS[direction[0]] * 30
    written = continue_contents(*joint, contents, direction, Drawing(max_new_tokens=40, seed=1))
    assert len(written) == len(contents) and {own.reason for own in written} >= {"end", "stop"}
    for own in written:
        assert own.reason == "limit" or own.tokens < 40
        if direction.endswith("u"):
            assert own.text is None and len(own.units) >= own.tokens and set(own.units) <= set(range(NUM_UNITS))
        else:
            assert own.units is None and not set("▪<>") & set(own.text) and (own.tokens > 0) >= bool(own.text)


def test_prompts_begin_with_their_modality_and_say_where_it_changes(joint):
    tokenizer = joint[1]
    for direction, tokens in (
        ("u2u", ["<s>", "<speech>"]),
        ("t2t", ["<s>", "<text>"]),
        ("u2t", ["<s>", "<speech>", "<speech_to_text>"]),
        ("t2u", ["<s>", "<text>", "<text_to_speech>"]),
    ):
        contents = CONTENTS[direction[0]]
        for content, ids in zip(contents, prompt_ids(tokenizer, contents, direction)):
            read = tokenizer.convert_ids_to_tokens(ids)
            assert [token for token in read if token.startswith("<")] == tokens
            assert (read[-1] == tokens[-1]) == (len(tokens) == 3)
            first = split_segments(tokenizer, ids)[0]
            said = first.text if direction[0] == "t" else "".join(f"▪{unit}" for unit in first.units)
            assert said == content


def test_every_id_is_drawn_in_one_modality_or_in_none(joint):
    tokenizer = joint[1]
    drawn = {}
    for modality in ("units", "text"):
        stops, suppressed = drawable_ids(tokenizer, modality)
        assert sorted(tokenizer.convert_ids_to_tokens(stops)) == ["<speech_to_text>", "<text_to_speech>"]
        drawn[modality] = set(range(len(tokenizer))) - set(suppressed) - set(stops) - {tokenizer.eos_token_id}
    assert drawn["units"] and drawn["text"] and not drawn["units"] & drawn["text"]
    rest = set(range(len(tokenizer))) - drawn["units"] - drawn["text"]
    names = set(tokenizer.convert_ids_to_tokens(sorted(rest)))
    assert names == {
        *("<pad>", "<s>", "</s>", "<unk>", "▪"),
        *("<speech>", "<text>", "<speech_to_text>", "<text_to_speech>"),
    }


def test_a_model_of_text_continues_text_alone(tmp_path):
    model, tokenizer = load(make_text_model(tmp_path))
    written = continue_contents(model, tokenizer, CONTENTS["t"] * 10, "t2t", Drawing(max_new_tokens=20))
    assert any(own.text for own in written) and not any("<" in own.text for own in written)
    with pytest.raises(ValueError, match="u2t is asked of joint models"):
        continue_contents(model, tokenizer, CONTENTS["t"], "u2t")
    with pytest.raises(ValueError, match="no direction 's2t'"):
        continue_contents(model, tokenizer, CONTENTS["t"], "s2t")


def test_what_a_folder_asks_of_generation_changes_nothing(joint, tmp_path):
    model, tokenizer = joint
    model.save_pretrained(tmp_path)
    asked = json.loads((Path(tmp_path) / "generation_config.json").read_text())
    asked |= {"repetition_penalty": 5.0, "no_repeat_ngram_size": 1, "min_new_tokens": 9, "max_length": 12}
    (Path(tmp_path) / "generation_config.json").write_text(json.dumps(asked))
    other = AutoModelForCausalLM.from_pretrained(tmp_path).train()
    drawing = Drawing(max_new_tokens=30, seed=2)
    assert continue_contents(other, tokenizer, CONTENTS["t"] * 5, "t2t", drawing) == continue_contents(
        model, tokenizer, CONTENTS["t"] * 5, "t2t", drawing
    )
    assert other.training and other.generation_config.repetition_penalty == 5.0
