"""Joint models: in each direction, what is asked for is written, and nothing else."""

import pytest
from tiny_joint_model import NUM_UNITS, make_joint_model
from transformers import AutoConfig

import evoslm
from evoslm.models.scoring.retrieval import DIRECTIONS
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel

PROMPT = "the yellow lion sings"


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    folder = make_joint_model(tmp_path_factory.mktemp("joint"))
    config = AutoConfig.from_pretrained(folder)
    config.update({"modality": "joint", "max_position_embeddings": 512})
    config.save_pretrained(folder)
    quantizer = SpeechUnitModel(SpeechUnitConfig(num_units=NUM_UNITS))
    return evoslm.pipeline("speech-continuation", folder, quantizer=quantizer)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_each_direction_writes_what_it_says(pipe, direction):
    prompt = PROMPT if direction.startswith("t") else (16_000, pipe.encode(PROMPT).audio)
    continuations = pipe(prompt, direction=direction, num_continuations=3, max_seconds=1, seed=1)
    chunks = list(pipe.stream(prompt, direction=direction, num_continuations=3, max_seconds=1, seed=1))
    for index, continuation in enumerate(continuations):
        own = [chunk for chunk in chunks if chunk.index == index]
        assert "".join(chunk.content for chunk in own) == continuation.content
        assert [start for chunk in own for start in chunk.starts] == continuation.starts
        assert continuation.ids
        assert len(continuation.audio) <= 16_000
        if direction.endswith("u"):
            assert continuation.content == " ".join(map(str, continuation.units))
            assert all(0 <= unit < NUM_UNITS for unit in continuation.units)
        else:
            assert continuation.units is None
            assert continuation.text == continuation.content.strip()
    assert continuations[0].prompt.ids[:1] == [1]


def test_the_direction_is_that_of_the_prompt_unless_it_is_given(pipe):
    audio = (16_000, pipe.encode(PROMPT).audio)
    assert pipe(PROMPT, max_seconds=0.5)[0].units is None
    assert pipe(audio, max_seconds=0.5)[0].units is not None
    assert pipe(pipe.encode(audio), max_seconds=0.5)[0].units is not None
    with pytest.raises(ValueError, match="no direction 'x2x'"):
        pipe(PROMPT, direction="x2x")
    with pytest.raises(ValueError, match="or in Python a transcriber that writes down"):
        pipe(audio, direction="t2t")


def test_text_is_scored_as_text_and_sound_as_units(pipe):
    of_text, of_sound = pipe.score(PROMPT), pipe.score((16_000, pipe.encode(PROMPT).audio))
    assert "".join(of_text.tokens) == PROMPT
    assert all(part.isdigit() for token in of_sound.tokens for part in token.split())
    assert of_text.starts == sorted(of_text.starts)
    assert of_sound.starts == sorted(of_sound.starts)


def test_an_encoded_prompt_keeps_its_direction(pipe):
    written = pipe.encode(PROMPT, direction="t2u")
    alone, encoded = pipe.score(PROMPT), pipe.score(written)
    assert encoded.tokens == alone.tokens and encoded.log_likelihoods == pytest.approx(alone.log_likelihoods)
    (of_prompt,), (of_encoded,) = pipe(PROMPT, direction="t2u", max_seconds=0.5), pipe(written, max_seconds=0.5)
    assert of_encoded.units == of_prompt.units is not None
    for encoded, direction in ((written, "t2t"), (pipe.encode(PROMPT), "t2u")):
        with pytest.raises(ValueError, match=f"was encoded for {encoded.direction}, not for {direction}"):
            pipe(encoded, direction=direction)
