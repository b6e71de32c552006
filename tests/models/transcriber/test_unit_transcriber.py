"""Units to text: a tiny language is learned, and what is written depends on the utterance alone."""

import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModel

from evoslm import UnitTranscriber, UnitTranscriberConfig
from evoslm.models.transcriber.ctc_search import (
    Lexicon,
    count_steps,
    greedy_labels,
    prefix_beam_search,
    write_as_spoken,
)
from evoslm.models.transcriber.modeling_unit_transcriber import NO_LABEL, PADDING, pad_rows

# A word is always said with the same units, each of which lasts as long as it likes.
WORDS = {"ox": [1, 2], "cat": [2, 3, 4], "see": [5, 6], "dog's": [7, 8, 9, 10], "moon": [11, 12, 13]}
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
SMALL |= {"conv_kernel_size": 5, "dropout": 0.0, "unit_dropout": 0.0}


def say(words, rng) -> list[int]:
    return [unit for word in words for unit in WORDS[word] for _ in range(rng.integers(1, 5))]


def draw(rng, count, longest) -> list[list[str]]:
    return [list(rng.choice(list(WORDS), rng.integers(1, longest + 1))) for _ in range(count)]


@pytest.fixture(scope="module")
def transcriber():
    """Trained for 250 steps on sentences of the tiny language."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = UnitTranscriber(UnitTranscriberConfig(num_units=14, upsampling=3, **SMALL))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(250):
        sentences = draw(rng, 16, 5)
        units = pad_rows([model.read_symbols(say(words, rng)) for words in sentences], PADDING)
        labels = pad_rows([model.read_text(" ".join(words)) for words in sentences], NO_LABEL)
        optimizer.zero_grad()
        model(units, labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    return model


@pytest.fixture(scope="module")
def sentences():
    """Longer ones than it was trained on, and other draws."""
    return draw(np.random.default_rng(1), 40, 8)


@pytest.mark.parametrize("num_beams", [1, 4])
def test_a_tiny_language_is_learned_without_an_error(transcriber, sentences, num_beams):
    rng = np.random.default_rng(2)
    texts = transcriber.transcribe([say(words, rng) for words in sentences], num_beams=num_beams)
    assert texts == [" ".join(words) for words in sentences]


def test_a_lexicon_writes_none_but_its_words(transcriber, sentences):
    rng = np.random.default_rng(2)
    units = [say(words, rng) for words in sentences]
    assert transcriber.transcribe(units, num_beams=8, lexicon=WORDS) == [" ".join(words) for words in sentences]
    known = [word for word in WORDS if word != "moon"]
    texts = transcriber.transcribe(units, num_beams=8, lexicon=known)
    assert set(" ".join(texts).split()) == set(known)
    # What a search writes by default is in the configuration.
    transcriber.config.words, transcriber.config.beam_width = known, 8
    assert transcriber.transcribe(units) == texts
    assert transcriber.transcribe(units, lexicon=()) == [" ".join(words) for words in sentences]
    transcriber.config.words, transcriber.config.beam_width = [], 1
    # What has none of the other words' units is read as it is.
    assert all(text == " ".join(words) for text, words in zip(texts, sentences) if "moon" not in words)


def test_runs_are_read_as_they_are_and_collapsed(transcriber, sentences):
    rng = np.random.default_rng(3)
    units = [say(words, rng) for words in sentences]
    collapsed = [[unit for unit, _ in itertools.groupby(row)] for row in units]
    assert transcriber.transcribe(units) == transcriber.transcribe(collapsed)
    # With durations a run is more than its unit.
    frames = UnitTranscriber(UnitTranscriberConfig(num_units=14, collapse=False, **SMALL))
    assert frames.read_symbols([3, 3, 4]) == [3, 3, 4] and transcriber.read_symbols([3, 3, 4]) == [3, 4]


def test_the_rest_of_an_utterance_is_the_rest_of_its_text(transcriber, sentences):
    rng = np.random.default_rng(4)
    for words in sentences[:10]:
        first, rest = words[: len(words) // 2], words[len(words) // 2 :]
        units = say(first, rng) + (rest_units := say(rest, rng))
        assert transcriber.transcribe([units[len(units) - len(rest_units) :]]) == [" ".join(rest)]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.integers(0, 13), max_size=40), min_size=1, max_size=9), st.integers(1, 9))
def test_a_text_does_not_depend_on_the_batch(transcriber, units, batch_size):
    alone = [transcriber.transcribe([row])[0] for row in units]
    assert transcriber.transcribe(units, batch_size=batch_size) == alone


def test_logits_do_not_depend_on_what_is_padded(transcriber):
    rows = [[1, 2, 3], list(range(14)) * 3, [5]]
    with torch.no_grad():
        together = transcriber(pad_rows(rows, PADDING))
        for row, logits, mask in zip(rows, together.logits, together.step_mask):
            assert mask.sum() == 3 * len(row)
            torch.testing.assert_close(logits[mask], transcriber(torch.tensor([row])).logits[0], rtol=1e-4, atol=1e-4)


def test_nothing_says_nothing(transcriber):
    assert transcriber.transcribe([]) == []
    assert transcriber.transcribe([[], np.zeros(0, np.uint16), say(["moon"], np.random.default_rng(0))]) == [
        "",
        "",
        "moon",
    ]


def test_a_saved_transcriber_writes_the_same(transcriber, sentences, tmp_path):
    transcriber.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors", ".py"}
    rng = np.random.default_rng(5)
    units = [say(words, rng) for words in sentences]
    for loaded in (UnitTranscriber.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)):
        assert type(loaded) is UnitTranscriber
        assert loaded.transcribe(units) == transcriber.transcribe(units)


@pytest.mark.end_to_end
def test_a_saved_transcriber_loads_where_evoslm_is_not_installed(transcriber, tmp_path):
    transcriber.save_pretrained(tmp_path / "model")
    units = say(["cat", "see", "moon"], np.random.default_rng(0))
    code = (
        "import json, sys\nsys.modules['evoslm'] = None\nfrom transformers import AutoModel\n"
        f"model = AutoModel.from_pretrained({str(tmp_path / 'model')!r}, trust_remote_code=True)\n"
        f"print(json.dumps(model.transcribe([{units!r}], num_beams=1) + model.transcribe([{units!r}], num_beams=2)))"
    )
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == ["cat see moon"] * 2


def test_phones_are_read_by_name():
    model = UnitTranscriber(UnitTranscriberConfig(num_units=3, symbols=["SIL", "K", "AE1"], upsampling=2, **SMALL))
    assert model.read_symbols(["K", "K", "AE1"]) == [1, 2]
    assert model.transcribe([["K", "AE1", "SIL"]]) == model.transcribe([[1, 2, 0]])
    with pytest.raises(
        ValueError, match=r"Utterance 0: 'ZH' is no symbol of this transcriber; it reads the phones SIL"
    ):
        model.transcribe([["K", "ZH"]])


@pytest.mark.parametrize(
    ("units", "arguments", "message"),
    [
        (
            [[1], [3, 14]],
            {},
            "Utterance 1: there is no unit 14; the transcriber knows those from 0 to 13: use the one",
        ),
        ([[-1]], {}, "there is no unit -1"),
        ([["17"]], {}, "'17' is no symbol of this transcriber; it reads units, which are numbers"),
        ([1, 2, 3], {}, "Units are one utterance; give a list of utterances"),
        (["17 17 3"], {}, "Units are one utterance; give a list of utterances"),
        ([[1]], {"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ([[1]], {"num_beams": 0}, "num_beams is 0; it must be at least 1"),
        ([[1]], {"lexicon": ["ox"]}, "A lexicon is for a search; give num_beams, such as 8"),
        ([[1]], {"num_beams": 2, "lexicon": ["..."]}, "The lexicon is empty; give the words that may be written"),
    ],
)
def test_what_cannot_be_read_is_named(transcriber, units, arguments, message):
    with pytest.raises(ValueError, match=message):
        transcriber.transcribe(units, **arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_units": 0}, "num_units is 0; it must be at least 1"),
        ({"beam_width": 0}, "beam_width is 0; it must be at least 1"),
        ({"upsampling": 0}, "upsampling is 0; it must be at least 1"),
        ({"num_units": 3, "symbols": ["K", "AE1"]}, "symbols names 2 different symbols; give num_units .3."),
        ({"characters": "abc"}, "give each character once, and the space among them"),
        ({"characters": " aab"}, "give each character once, and the space among them"),
        ({"hidden_size": 30, "num_attention_heads": 4}, "must be a multiple of num_attention_heads .4."),
        ({"conv_kernel_size": 4}, "conv_kernel_size is 4; it must be odd"),
    ],
)
def test_a_configuration_that_cannot_be_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        UnitTranscriberConfig(**changes)


def test_a_text_that_is_too_long_to_align_adds_no_loss(transcriber):
    units, labels = torch.tensor([[1, 2], [5, 6]]), [transcriber.read_text(text) for text in ("moon moon", "see")]
    with torch.no_grad():
        both = transcriber(units, pad_rows(labels, NO_LABEL)).loss
        alone = transcriber(units[1:], pad_rows(labels[1:], NO_LABEL)).loss
    assert count_steps(labels[0]) == 11 > 2 * 3 and count_steps(labels[1]) == 4
    torch.testing.assert_close(both * (9 + 3), alone * 3, rtol=1e-3, atol=1e-4)


# Labels


def test_texts_are_written_in_small_letters_without_punctuation():
    characters = UnitTranscriberConfig().characters
    assert write_as_spoken("The well-known  cat's 2 paws: Oh!", characters) == "the well known cat's paws oh"
    assert write_as_spoken("...", characters) == ""


def test_equal_labels_need_a_blank_between_them():
    assert [count_steps(labels) for labels in ([], [3], [3, 3], [3, 4, 4, 4])] == [0, 1, 3, 6]
    assert greedy_labels([0, 3, 3, 0, 3, 4, 0]) == [3, 3, 4] and greedy_labels([]) == []


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_with_enough_beams_the_likeliest_text_is_found(seed, num_steps):
    log_probs = np.log(np.random.default_rng(seed).dirichlet(np.ones(3), num_steps))
    totals: dict[tuple[int, ...], float] = {}
    for alignment in itertools.product(range(3), repeat=num_steps):
        labels = tuple(greedy_labels(alignment))
        totals[labels] = totals.get(labels, 0.0) + float(np.exp(log_probs[range(num_steps), alignment].sum()))
    assert tuple(prefix_beam_search(log_probs, 200)) == max(totals, key=totals.__getitem__)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_with_a_lexicon_the_likeliest_of_its_texts_is_found(seed, num_steps):
    log_probs = np.log(np.random.default_rng(seed).dirichlet(np.ones(4), num_steps))
    totals: dict[str, float] = {}
    for alignment in itertools.product(range(4), repeat=num_steps):
        text = "".join(" ab"[label - 1] for label in greedy_labels(alignment))
        if all(word in ("a", "ab") for word in text.rstrip(" ").split(" ") if text):
            totals[text] = totals.get(text, 0.0) + float(np.exp(log_probs[range(num_steps), alignment].sum()))
    found = "".join(" ab"[label - 1] for label in prefix_beam_search(log_probs, 500, Lexicon(["a", "ab"], " ab")))
    assert found == max((text for text in totals if not text.endswith("  ")), key=totals.__getitem__)
