"""The joint tokenizer: text as Text-BPE cuts it, units as Speech-BPE does, and both back again."""

import random

import numpy as np
import pytest
from tiny_joint_model import byte_level_tokenizer
from transformers import AutoTokenizer

from evoslm.models.tokenizers.joint import (
    MODALITY_TOKENS,
    Segment,
    bears_loss,
    join_units,
    split_segments,
    train_joint,
)
from evoslm.models.tokenizers.text import train_text_bpe
from evoslm.models.tokenizers.units import train_units_bpe

TEXTS = ["The cat sat on the mat 19 times.", "In 1984 there were 17 cats, the old ones."] * 9
NUM_UNITS = 120


def unit_contents(seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    syllables = [[rng.randrange(NUM_UNITS) for _ in range(3)] for _ in range(12)]
    return [" ".join(str(unit) for syllable in rng.choices(syllables, k=20) for unit in syllable) for _ in range(40)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_joint(TEXTS, unit_contents(), NUM_UNITS, text_vocab_size=120, unit_vocab_size=150)


def content_of(units: str) -> str:
    return "".join(f"▪{unit}" for unit in units.split())


def test_text_and_units_are_cut_as_in_the_models_of_one_modality(tokenizer):
    text_bpe = train_text_bpe(TEXTS, 120)
    units_bpe = train_units_bpe(unit_contents(), NUM_UNITS, 150 + 4 + 11)
    for text in TEXTS[:2]:
        own = tokenizer.convert_ids_to_tokens(tokenizer(f"<text> {text}").input_ids)
        assert own == ["<s>", "<text>", *text_bpe.tokenize(text)]
    for units in unit_contents(1):
        own = tokenizer.convert_ids_to_tokens(tokenizer(f"<speech> {content_of(units)}").input_ids)
        assert own[:2] == ["<s>", "<speech>"]
        assert [token.replace("▪", "▁") for token in own[2:]] == units_bpe.tokenize(units)
    assert max(len(token.split("▪")) for token in tokenizer.get_vocab()) > 2  # pieces of several units


@pytest.mark.parametrize("unit_vocab_size", [None, 150])
def test_a_sequence_comes_back_from_its_ids(tmp_path, unit_vocab_size):
    tokenizer = train_joint(TEXTS, unit_contents(), NUM_UNITS, 120, unit_vocab_size)
    tokenizer.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*.model")) + list(tmp_path.glob("*.py"))
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    rng = random.Random(5)
    for _ in range(50):
        expected, content = [], ""
        for number in range(rng.randint(1, 6)):
            speech = rng.random() < 0.5
            first, switch = ("<speech>", "<text_to_speech>") if speech else ("<text>", "<speech_to_text>")
            content += f" {switch if number else first} "
            if speech:
                units = [rng.randrange(NUM_UNITS) for _ in range(rng.randint(0, 30))]
                content += "".join(f"▪{unit}" for unit in units)
                expected.append(("speech", None, units))
            else:
                text = " ".join(rng.choices(["The", "cats,", "1984", "17", "mat."], k=rng.randint(0, 5)))
                content += text
                expected.append(("text", text, None))
        ids = loaded(content.strip()).input_ids
        assert ids == tokenizer(content.strip()).input_ids
        segments = split_segments(loaded, ids + [loaded.eos_token_id])
        assert [(segment.modality, segment.text, segment.units) for segment in segments] == expected
        for segment in segments:
            assert not set(loaded.convert_ids_to_tokens(ids[segment.start : segment.end])) & set(MODALITY_TOKENS)


def test_ids_tell_where_a_segment_lies(tokenizer):
    ids = tokenizer("<text> The cat <text_to_speech> ▪7▪119").input_ids
    first, second = split_segments(tokenizer, ids)
    assert first == Segment("text", 2, ids.index(tokenizer.convert_tokens_to_ids("<text_to_speech>")), text="The cat")
    assert (second.end, second.units) == (len(ids), [7, 119])


@pytest.mark.parametrize("units", ["▪120", "▪7▪1000", "▪07", "▪"])
def test_what_is_no_unit_is_unknown_and_nothing_else_changes(tokenizer, units):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(f"<speech> {units}").input_ids)
    assert tokens.count("<unk>") == 1 and tokens[:2] == ["<s>", "<speech>"]


def test_special_tokens_in_a_text_are_characters(tokenizer):
    assert tokenizer("<text> cat </s>").input_ids.count(tokenizer.eos_token_id) == 0


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("cat <text> The", "stands before the first of"),
        ("<text> The ▪7", "stands in text"),
        ("<speech> cat", "stands in speech"),
    ],
)
def test_a_sequence_that_mixes_modalities_is_refused(tokenizer, content, named):
    with pytest.raises(ValueError, match=named):
        split_segments(tokenizer, tokenizer(content).input_ids)


def test_vocabularies_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="units_bpe: a vocabulary of 103 is too small"):
        train_joint(TEXTS, unit_contents(), NUM_UNITS, 120, 103)
    with pytest.raises(ValueError, match="text_bpe: a vocabulary of 9000 is too large"):
        train_joint(TEXTS, unit_contents(), NUM_UNITS, 9000, None)
    with pytest.raises(ValueError, match="no unit below 50"):
        train_joint(TEXTS, unit_contents(), 50, 120, 150)


@pytest.mark.parametrize("unit_vocab_size", [None, 150])
def test_text_bpe_joined_with_units_is_the_joint_tokenizer(unit_vocab_size):
    joined = join_units(train_text_bpe(TEXTS, 120), unit_contents(), NUM_UNITS, unit_vocab_size)
    trained = train_joint(TEXTS, unit_contents(), NUM_UNITS, 120, unit_vocab_size)
    assert joined.backend_tokenizer.to_str() == trained.backend_tokenizer.to_str()


def test_units_are_added_to_a_tokenizer_of_any_make(tmp_path):
    old = byte_level_tokenizer(TEXTS, eos_token="<|end|>")
    join_units(old, unit_contents(), NUM_UNITS, None).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == len(old) + len(MODALITY_TOKENS) + NUM_UNITS
    assert all(tokenizer.get_vocab()[token] == place for token, place in old.get_vocab().items())
    content = "<text> The cat <text_to_speech> ▪7▪119▪11 <speech_to_text> on the mat"
    ids = np.array([*tokenizer(content).input_ids, tokenizer.eos_token_id])
    assert ids[0] == tokenizer.eos_token_id  # which begins sequences, too, where nothing else does
    first, second, third = split_segments(tokenizer, ids)
    assert (first.text, second.units, third.text) == ("The cat", [7, 119, 11], "on the mat")
    # Within a sentence a word is the word that the model knows, with its space.
    assert ids[third.start : -1].tolist() == old(" on the mat").input_ids
    assert ids[second.start : second.end].tolist() == tokenizer.convert_tokens_to_ids(["▪7", "▪119", "▪11"])
    assert bears_loss(tokenizer, ids, "speech").nonzero()[0].tolist() == list(range(second.start, second.end + 1))


@pytest.mark.parametrize(
    ("special", "unit_vocab_size", "named"),
    [({"eos_token": "<|end|>"}, 150, "--units runs"), ({}, None, "eos_token")],
)
def test_a_tokenizer_that_cannot_be_joined_is_refused(special, unit_vocab_size, named):
    with pytest.raises(ValueError, match=named):
        join_units(byte_level_tokenizer(TEXTS, **special), unit_contents(), NUM_UNITS, unit_vocab_size)


def test_a_joint_tokenizer_is_joined_once(tokenizer):
    with pytest.raises(ValueError, match="joint one"):
        join_units(tokenizer, unit_contents(), NUM_UNITS, None)
