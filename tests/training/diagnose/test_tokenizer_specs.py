"""A tokenizer is named on one line, and what is none is refused in one sentence before anything is made."""

import json

import pytest

from evoslm.training.diagnose.tokenizer_specs import TokenizerSpec, in_options, open_tokenizers, read_spec

FUNCTIONS = """
import numpy as np

def levels(waveform, rate):
    hop = rate // 50
    frames = waveform[: len(waveform) // hop * hop].reshape(-1, hop)
    return np.clip(np.abs(frames).mean(1) * 40, 0, 7).astype(int)

def floats(waveform, rate):
    return levels(waveform, rate) / 2

def negatives(waveform, rate):
    return levels(waveform, rate) - 100

def nothing(waveform, rate):
    levels(waveform, rate)

calls = []

def shorter_later(waveform, rate):
    calls.append(1)
    return levels(waveform, rate)[: 100 - len(calls)]

def hears_silence(waveform, rate):
    return levels(waveform, rate) * (len(waveform) == 32_000)  # what it is first tried on, and no speech

def labelled(waveform, rate):
    return levels(waveform, rate)

labelled.label = 'HuBERT "L9" <img src=x>'

def dies_of_speech(waveform, rate):
    if len(waveform) != 32_000:
        raise RuntimeError("too long")
    return levels(waveform, rate)
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FUNCTIONS)
    return path


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("mine.py:encode", TokenizerSpec("mine.py:encode")),
        ("Mimi=codec,model=kyutai/mimi", TokenizerSpec("codec", "Mimi", "kyutai/mimi")),
        (
            "a b=units.jsonl,frame_rate=12.5,codebook_size=500",
            TokenizerSpec("units.jsonl", "a b", frame_rate=12.5, codebook_size=500),
        ),
        ("folder,with,commas/mine.py:f,frame_rate=50", TokenizerSpec("folder,with,commas/mine.py:f", frame_rate=50)),
        ("X=u.jsonl, frame_rate=50 , codebook_size=9", TokenizerSpec("u.jsonl", "X", frame_rate=50, codebook_size=9)),
        ("/data/x=y/units.parquet,frame_rate=50", TokenizerSpec("/data/x=y/units.parquet", frame_rate=50)),
    ],
)
def test_a_tokenizer_is_read_as_it_is_typed(text, spec):
    assert read_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=x.py:f,frame_rate=fast", "has frame_rate=fast, which is no number"),
        ("a=x.py:f,frame_rate=2", "has frame_rate=2; it must be from 5 to 200"),
        ("a=x.py:f,codebook_size=1", "has codebook_size=1; it must be from 2 to 65536"),
        ("a=x.py:f,frame_rate=5,frame_rate=6", "gives frame_rate twice"),
        ("a=", "names no tokenizer"),
    ],
)
def test_what_cannot_be_read_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        read_spec(text)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("floats", "gives values of type float64 for 2 s of test tones; ids are whole numbers"),
        ("negatives", "gives the id -100 for 2 s of test tones; ids are 0 or above"),
        ("nothing", "gives nothing for 2 s of test tones"),
        ("shorter_later", "gives 99 ids for 2 s of test tones, and 98 the second time"),
        ("hears_silence", "gives the id 0 for everything that is said, as if it heard silence only"),
        ("dies_of_speech", "fails on a spoken sentence .*: RuntimeError: too long"),
    ],
)
def test_a_function_that_is_no_tokenizer_is_refused_in_a_sentence(mine, function, message):
    with pytest.raises(ValueError, match=message) as refused:
        open_tokenizers([f"A={mine}:{function},frame_rate=50,codebook_size=8"])
    assert "\n" not in str(refused.value)


def test_what_is_not_said_is_asked_for_as_an_option(mine):
    with pytest.raises(ValueError, match="does not say how many ids a second has; give frame_rate=... behind a comma"):
        open_tokenizers([f"{mine}:levels,codebook_size=8"])


def test_ids_beyond_the_vocabulary_are_refused(mine):
    with pytest.raises(ValueError, match="gives the id 4 for 2 s .* 4 different ids, 0 to 3; give .*codebook_size="):
        open_tokenizers([f"{mine}:levels,frame_rate=50,codebook_size=4"])


def test_a_table_of_silence_is_refused(tmp_path):
    table = tmp_path / "units.jsonl"
    table.write_text("".join(json.dumps({"file": f"{name}.wav", "units": [3] * 9}) + "\n" for name in "ab"))
    with pytest.raises(ValueError, match="units.jsonl gives the id 3 for everything that is said"):
        open_tokenizers([f"{table},frame_rate=50"])


def test_tokenizers_have_names_of_their_own(mine):
    spec = f"A={mine}:levels,frame_rate=50,codebook_size=8"
    (found,) = open_tokenizers([spec])
    assert (found.name, found.folder, found.units.config.num_units) == ("A", "A", 8)
    with pytest.raises(ValueError, match="Two tokenizers are called A"):
        open_tokenizers([spec, spec])


@pytest.mark.parametrize("name", ["Phone-Raw", "text-bpe", "phone_repeat_50", "Phone_Repeat_12.5", "TEXT_BPE"])
def test_no_tokenizer_is_called_as_an_anchor_is(mine, name):
    with pytest.raises(ValueError, match=f"mine.py:levels is called {name}, as an anchor is; give it another name"):
        open_tokenizers([f"{name}={mine}:levels,frame_rate=50,codebook_size=8"])


def test_the_name_of_a_table_may_be_that_of_an_anchor_only_if_it_is_given_another(tmp_path):
    table = tmp_path / "phone_repeat_50.jsonl"
    table.write_text("".join(json.dumps({"file": f"{name}.wav", "units": [3, 4] * 9}) + "\n" for name in "ab"))
    with pytest.raises(ValueError, match="is called phone_repeat_50, as an anchor is"):
        open_tokenizers([f"{table},frame_rate=50"])
    assert open_tokenizers([f"Mine={table},frame_rate=50"])[0].name == "Mine"


def test_a_label_that_is_no_name_has_to_be_given_one(mine):
    options = "frame_rate=50,codebook_size=8"
    with pytest.raises(ValueError, match="labelled is called .*<img src=x>.*; give it a name of letters, .*NAME=SPEC"):
        open_tokenizers([f"{mine}:labelled,{options}"])
    assert open_tokenizers([f"L9={mine}:labelled,{options}"])[0].name == "L9"


def test_errors_of_a_study_are_said_in_the_words_of_a_diagnosis():
    said = in_options("u lacks 1; `evoslm export-audio RUN --to DIR` writes all; give it by --units_frame_rate.")
    assert (
        said == "u lacks 1; `evoslm diagnose --export_audio DIR` writes all; give it by frame_rate=... behind a comma."
    )
