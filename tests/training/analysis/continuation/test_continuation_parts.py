"""Prompts, and what brings outputs to text."""

import json

import pytest

from evoslm.datasets_scripts.synthesis.prompt_speech import PromptSynthesizer
from evoslm.models.pipelines.alphabets import PhoneAlphabet, TextAlphabet
from evoslm.training.analysis.arguments import AnalyzeArguments
from evoslm.training.analysis.command import read_analyzed
from evoslm.training.analysis.continuation.outputs import Continued, GenerationSettings, _write_rest
from evoslm.training.analysis.continuation.part import _continued
from evoslm.training.analysis.continuation.prompts import (
    ContinuationPrompt,
    choose_prompts,
    cut_documents,
    hear_prompts,
    read_prompts,
    read_texts,
)
from evoslm.training.analysis.continuation.spacing import WordSpacer
from evoslm.training.analysis.continuation.to_text import TextChannel, find_channel, needed_transcribers, phones_once
from evoslm.training.run.execution import Execution
from evoslm.training.run.folder import Run
from evoslm.training.run.study_file import open_run

TEXT = "the girl has a goat and an old boat and the girl is at home"


@pytest.fixture(scope="module")
def run(finished_run):
    return open_run(finished_run)


def test_the_projects_prompts_are_twenty_of_different_lengths_and_topics():
    prompts = read_texts("topics")
    assert len(prompts) == len({prompt.topic for prompt in prompts}) == 20
    words = [prompt.num_words for prompt in prompts]
    assert words == sorted(words) and words[0] == 2 and words[-1] >= 20 and len(set(words)) >= 12
    assert not any(prompt.prompt.endswith((".", "!", "?", ",")) for prompt in prompts)
    # In phones and as speech, as every modality asks for them.
    spoken = PromptSynthesizer().speak_text(prompts[0].prompt)
    assert [phone["phone"] for phone in spoken.phones] == ["SIL", "DH", "AH0", "R", "EY1", "N"]


def test_held_out_documents_are_cut_between_words_at_different_shares(run):
    prompts = cut_documents(run.utterances(), 6)
    assert len(prompts) == len({prompt.topic for prompt in prompts}) == 6
    assert prompts == cut_documents(run.utterances(), 6) != cut_documents(run.utterances(), 6, seed=1)
    shares = []
    for prompt in prompts:
        before, behind = prompt.num_words, len(prompt.continuation.split())
        assert before >= 2 and behind >= 4
        shares.append(before / (before + behind))
    assert max(shares) - min(shares) > 0.15
    # The whole split, where fewer documents are there than are asked for.
    assert len(cut_documents(run.utterances(), 10**6)) < 10**4
    lengths = [len(row["prompt"].split()) for row in choose_prompts("heldout", run.utterances(), 6)]
    assert lengths == sorted(lengths)


def test_a_prompt_ends_with_the_pause_before_the_next_word_in_every_alphabet(run):
    prompts, synthesizer = cut_documents(run.utterances(), 3), PromptSynthesizer()
    beginnings, wholes, ends = hear_prompts(prompts, run.utterances(), synthesizer)
    for prompt, first, whole, end in zip(prompts, beginnings, wholes, ends):
        assert len(first.audio) == round(end * 16_000) < len(whole.audio)
        assert (first.audio == whole.audio[: len(first.audio)]).all()
        for options in ((), (3,), (1, 50.0)):
            alphabet = PhoneAlphabet(synthesizer, *options)
            written, all_of_it = alphabet.write(first).symbols, alphabet.write(whole).symbols
            rest, _ = _write_rest(alphabet, whole, end)
            assert abs(len(written) + len(rest) - len(all_of_it)) <= 1  # a frame may lie on the edge
            assert rest == all_of_it[len(all_of_it) - len(rest) :]
        text = TextAlphabet(synthesizer)
        assert "".join(text.write(first).symbols) == prompt.prompt
        rest, _ = _write_rest(text, whole, end)
        assert "".join(rest).strip() == prompt.continuation
    texts = [ContinuationPrompt("00", "", "The old man")]
    heard, wholes, _ = hear_prompts(texts, run.utterances(), synthesizer)
    assert wholes is None and heard[0].text == "The old man"


def test_ones_own_prompts_are_read_from_files(tmp_path):
    (tmp_path / "own.txt").write_text("The old man\n\nA dog  that\n")
    assert [prompt.prompt for prompt in read_texts(str(tmp_path / "own.txt"))] == ["The old man", "A dog that"]
    (tmp_path / "own.yaml").write_text("- The old man\n- {topic: dogs, text: A dog}\n")
    assert [prompt.topic for prompt in read_texts(str(tmp_path / "own.yaml"))] == ["", "dogs"]
    rows = choose_prompts(str(tmp_path / "own.yaml"), tmp_path, 1)
    (tmp_path / "prompts.json").write_text(json.dumps(rows))
    assert read_prompts(tmp_path) == [ContinuationPrompt("00", "", "The old man")]
    with pytest.raises(FileNotFoundError, match="no prompts 'nowhere'; give heldout, topics, or a .yaml"):
        read_texts("nowhere")
    for bad in ("- {topic: dogs}", "", "- [a"):
        (tmp_path / "bad.yaml").write_text(bad)
        with pytest.raises(ValueError, match="bad.yaml is no"):
            read_texts(str(tmp_path / "bad.yaml"))


def test_letters_are_cut_into_the_likeliest_words():
    spacer = WordSpacer(
        ["the", "girl", "has", "a", "goat", "and", "an", "old", "boat", "and", "the", "girl", "is", "at", "home"]
    )
    assert spacer.space("Thegirlhasagoat") == "the girl has a goat"
    assert spacer.space("anoldboat") == "an old boat" and spacer.space("") == ""
    # What is no word stays together, and costs more than any cut into words.
    assert spacer.space("thexqzgirl") == "the xqz girl" and spacer.space("xyz") == "xyz"


def test_phones_that_are_written_several_times_are_read_once():
    assert phones_once(["DH", "DH", "AH0", "AH0", "AH0", "SIL"], 1) == ["DH", "AH0", "SIL"]
    assert phones_once(["T", "T", "T", "T", "T", "T", "AH0", "AH0", "AH0", "K"], 3) == ["T", "T", "AH0", "K"]


def test_phones_and_units_go_through_one_kind_of_channel(run):
    kinds = {name: find_channel(run, name, None) for name in ("text_bpe", "phone_bpe", "phone_repeat", "speech_bpe")}
    assert kinds == dict(zip(kinds, ("as it is", "by symbols", "by symbols", "by symbols")))
    heard = {name: find_channel(run, name, "a recogniser") for name in ("text_raw", "phone_raw", "speech_units")}
    assert heard == dict(zip(heard, ("as it is", "by ear", "by ear")))
    assert find_channel(run, "text_raw_no_space", None) == "spaced"
    # No vocoder speaks units of syllables, and no transcriber of the run reads units in other voices.
    assert find_channel(run, "speech_syllable", "a recogniser") is None
    assert find_channel(run, "speech_units_one_voice", None) is None
    assert find_channel(run, "speech_units_one_voice", "a recogniser") == "by ear"
    assert needed_transcribers(run, ["text_bpe", "phone_bpe", "speech_bpe", "phone_raw"], None) == [
        "phone_raw",
        "speech_dedup",
    ]
    assert needed_transcribers(run, ["phone_bpe", "speech_bpe"], "a recogniser") == []


def test_units_from_elsewhere_go_through_no_channel(table_run):
    """Nothing but their table has them, and it has none of what a model writes."""
    run = open_run(table_run)
    assert find_channel(run, "speech_units", None) is find_channel(run, "speech_units", "a recogniser") is None
    assert find_channel(run, "phone_repeat", None) == "by symbols"
    assert needed_transcribers(run, ["phone_repeat", "speech_units"], None) == ["phone_raw"]


def test_what_is_heard_through_a_vocoder_is_made_anew_with_another(tmp_path):
    run = Run(tmp_path)
    (run.folder / "vocoder").mkdir()

    def ways(transcriber):
        channels = (TextChannel(run, name, transcriber) for name in ("speech_units", "phone_raw"))
        return [Continued(run, tmp_path, channel, {}, GenerationSettings()).way_to_text for channel in channels]

    before = {"channel": "by symbols", "transcriber": {}}
    for weights in (b"some", b"others"):
        (run.folder / "vocoder" / "config.json").write_text("{}")
        (run.folder / "vocoder" / "model.safetensors").write_bytes(weights)
        units, phones = ways("a recogniser")
        assert units["channel"] == "by ear" and units["vocoder"] != before.get("vocoder")
        assert phones == {"channel": "by ear", "transcriber": {}}
        before = units
    assert ways(None) == [{"channel": "by symbols", "transcriber": {}}] * 2


def test_what_brings_outputs_to_text_runs_where_models_do(finished_run):
    arguments = AnalyzeArguments(str(finished_run))
    asked, _ = _continued(read_analyzed(str(finished_run), ["phone_raw"]), arguments, Execution(device="cuda"))
    assert [own.channel.device for own in asked] == ["cuda"]
