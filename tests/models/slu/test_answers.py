"""Entities become ids and text again, whatever the model reads; examples become contents of its modality."""

from dataclasses import replace

import pytest
from tiny_slu import make_model
from transformers import AutoTokenizer

from evoslm.metrics.entity_f1.entity_text import format_entities, parse_entities
from evoslm.models.slu.answers import START_TOKEN, AnswerFormat
from evoslm.models.slu.configuration_slu import SluConfig
from evoslm.models.slu.contents import write_contents
from evoslm.models.slu.inference import encode_prompts, write_end

ENTITIES = [("PERSON", "anna"), ("PLACE", "the garden"), ("PERSON", "ben")]


@pytest.fixture(params=["text_bpe", "joint", "speech_units"])
def grown(request, tmp_path):
    written = AnswerFormat.of_training(request.param, ("PERSON", "PLACE"), [phrase for _, phrase in ENTITIES])
    tokenizer = AutoTokenizer.from_pretrained(make_model(tmp_path / "base", request.param))
    written.grow(tokenizer)
    return written, tokenizer


@pytest.mark.parametrize("entities", [ENTITIES, ENTITIES[:1], []])
def test_entities_are_read_as_they_were_written(grown, entities):
    written, tokenizer = grown
    ids = written.answer_ids(tokenizer, entities)
    assert ids and tokenizer.unk_token_id not in ids
    text = written.read(tokenizer, ids)
    assert text == format_entities(entities)
    assert parse_entities(text, ("PERSON", "PLACE")).entities == entities


def test_what_is_malformed_is_written_as_it_is(grown):
    written, tokenizer = grown
    person = written.answer_ids(tokenizer, [("PERSON", "anna")])
    place = written.answer_ids(tokenizer, [("PLACE", "ben")])[:1]
    assert written.read(tokenizer, [*person[1:], *place]) == "anna; PLACE: "
    parsed = parse_entities(written.read(tokenizer, [*person[1:], *place]), ("PERSON", "PLACE"))
    assert (parsed.entities, parsed.without_label, parsed.without_phrase) == ([], 1, 1)
    assert written.read(tokenizer, []) == ""


def test_a_model_that_writes_text_needs_no_token_a_character(grown):
    written, tokenizer = grown
    letters = set("".join(phrase for _, phrase in ENTITIES))
    assert len(written.tokens) == 4 + (len(letters) if written.modality == "speech_units" else 0)
    with pytest.raises(ValueError, match=f"The vocabulary has {START_TOKEN} already"):
        written.grow(tokenizer)


@pytest.mark.parametrize(
    ("modality", "kind", "content"),
    [
        (None, "text", "A day."),
        ("text_bpe", "text", "A day."),
        ("text_raw_no_space", "text", "Aday"),
        ("joint", "text", "<text> A day."),
        ("joint", "speech", "<speech> ▪3▪11▪3"),
        ("speech_units", "speech", "3 3 11 3"),
        ("speech_dedup", "speech", "3 11 3"),
        ("speech_bpe", "speech", "3 11 3"),
        ("speech_syllable_unsupervised", "speech", "3 3 11 3"),
    ],
)
def test_an_example_is_the_content_of_the_modality(modality, kind, content):
    assert write_contents(modality, kind, ["A day." if kind == "text" else [3, 3, 11, 3]]) == [content]


def test_a_joint_model_of_frames_keeps_runs():
    assert write_contents("joint", "speech", [[3, 3, 11]], collapse=False) == ["<speech> ▪3▪3▪11"]


@pytest.mark.parametrize(
    ("modality", "kind", "message"),
    [
        ("text_bpe", "speech", "reads text and no speech; take a joint model, or one of units."),
        ("speech_units", "text", "reads speech and no text; take a joint model, or one of text."),
        ("phone_raw", "speech", "reads phones"),
    ],
)
def test_what_a_model_does_not_read_is_refused(modality, kind, message):
    with pytest.raises(ValueError, match=message):
        write_contents(modality, kind, [[1]])


@pytest.mark.parametrize("modality", ["text_bpe", "joint", "speech_units"])
def test_a_class_is_told_at_the_end_of_the_sequence(modality, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(make_model(tmp_path / "base", modality))
    config = SluConfig("t", "classification", ("low", "high"), None, modality, reads_end=True)
    kind = "speech" if modality == "speech_units" else "text"
    contents = write_contents(modality, kind, [[1, 2] * 9] if kind == "speech" else ["it likes " * 9])
    (read,) = encode_prompts(tokenizer, config, contents, kind, None).ids
    (before,) = encode_prompts(tokenizer, replace(config, reads_end=False), contents, kind, None).ids
    assert read == [*before, tokenizer.eos_token_id] and tokenizer(contents[0])["input_ids"] == before
    for _ in range(2):
        write_end(tokenizer, config)
        tokenizer.save_pretrained(tmp_path / "written")
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "written")
        assert tokenizer(contents[0])["input_ids"] == read
        assert encode_prompts(tokenizer, config, contents, kind, None).ids == [read]
    cut = encode_prompts(tokenizer, config, contents, kind, 5)
    assert cut.ids == [[*before[:4], tokenizer.eos_token_id]] and cut.num_cut == 1
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    tokenizer.pad_token = tokenizer.eos_token  # what a model reads as padding is no last token
    write_end(tokenizer, config)
    assert encode_prompts(tokenizer, config, contents, kind, None).ids == [before]


def test_what_is_longer_than_the_window_is_cut_at_its_end_and_counted(grown):
    written, tokenizer = grown
    kind = "speech" if written.modality == "speech_units" else "text"
    config = SluConfig("t", "entities", written.labels, None, written.modality, kind, max_new_tokens=5)
    examples = [[1, 2], [1, 2] * 40] if kind == "speech" else ["it", "it likes " * 40]
    short, long = write_contents(written.modality, kind, examples)
    whole = encode_prompts(tokenizer, config, [short, long], kind, None)
    cut = encode_prompts(tokenizer, config, [short, long], kind, 30)
    assert (whole.num_cut, cut.num_cut) == (0, 1)
    assert cut.ids[0] == whole.ids[0] and len(cut.ids[1]) + 6 == 30
    suffix = written.suffix_ids(tokenizer, kind)
    assert cut.ids[1] == whole.ids[1][: 30 - 6 - len(suffix)] + suffix
    with pytest.raises(ValueError, match="which leaves none for the utterance; lower max_new_tokens"):
        encode_prompts(tokenizer, config, [short], kind, 6)
