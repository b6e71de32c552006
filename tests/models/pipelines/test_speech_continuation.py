"""Prompts are continued and scored by models of every modality of a study, whole and as they are written."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import evoslm
from evoslm.datasets_scripts.builders.by_name import stream_contents
from evoslm.models.modalities import MODALITIES
from evoslm.models.pipelines import SpeechContinuationPipeline
from evoslm.models.scoring import sequence_log_likelihoods

PROMPT = "The lion sings to the otter."
STUDIED = [name for name in MODALITIES if name != "speech_units_synthetic"]
SYLLABLES = ("speech_syllable", "speech_syllable_unsupervised")


@pytest.fixture(scope="module")
def pipelines(finished_run):
    """A pipeline of each modality, loaded when it is first asked for."""
    loaded: dict[str, SpeechContinuationPipeline] = {}

    def load(modality: str) -> SpeechContinuationPipeline:
        if modality not in loaded:
            (folder,) = sorted((finished_run / "models" / modality).glob("seed-*"))[:1]
            loaded[modality] = evoslm.pipeline("speech-continuation", folder)
        return loaded[modality]

    return load


def chunks_by_continuation(chunks) -> dict[int, list]:
    found: dict[int, list] = {}
    for chunk in chunks:
        found.setdefault(chunk.index, []).append(chunk)
    return found


@pytest.mark.parametrize("modality", STUDIED)
def test_a_text_is_continued_by_every_modality(pipelines, modality):
    pipe = pipelines(modality)
    prompt = pipe.encode(PROMPT)
    assert prompt.text == PROMPT
    assert prompt.sampling_rate == 16_000
    assert len(prompt.tokens) == len(prompt.starts) == len(prompt.ids) - 1
    assert prompt.starts == sorted(prompt.starts)
    assert prompt.starts[-1] < len(prompt.audio) / 16_000
    settings = {"num_continuations": 2, "max_seconds": 1.5, "seed": 3}
    continuations = pipe(prompt, **settings)
    streamed = chunks_by_continuation(pipe.stream(prompt, **settings))
    (alone,) = pipe(PROMPT, max_seconds=1.5, seed=3)
    assert alone.ids == continuations[0].ids
    for index, continuation in enumerate(continuations):
        chunks = streamed[index]
        assert [chunk.stop_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        assert chunks[-1].stop_reason == continuation.stop_reason
        assert "".join(chunk.content for chunk in chunks) == continuation.content
        assert [index for chunk in chunks for index in chunk.ids] == continuation.ids
        assert [value for chunk in chunks for value in chunk.log_likelihoods] == continuation.log_likelihoods
        assert [start for chunk in chunks for start in chunk.starts] == continuation.starts
        assert len(continuation.starts) == len(continuation.tokens) == len(continuation.ids) > 0
        assert continuation.starts == sorted(continuation.starts)
        if modality in SYLLABLES:
            assert continuation.audio is None
            continue
        assert continuation.audio.dtype == np.float32
        assert len(continuation.audio) <= 1.5 * continuation.sampling_rate
        np.testing.assert_array_equal(np.concatenate([chunk.audio for chunk in chunks]), continuation.audio)
        assert (continuation.units is None) == (not MODALITIES[modality].is_speech)
    assert pipe.is_audible == (modality not in SYLLABLES)


@pytest.mark.parametrize("modality", STUDIED)
def test_a_score_is_that_of_the_scorer(pipelines, modality):
    pipe = pipelines(modality)
    scores = pipe.score(PROMPT)
    assert len(scores.tokens) == len(scores.log_likelihoods) == len(scores.starts)
    (expected,) = sequence_log_likelihoods(pipe.model, [pipe.encode(PROMPT).ids[1:]])
    assert scores.total == sum(scores.log_likelihoods) == pytest.approx(expected, abs=1e-5 * len(scores.tokens))


@pytest.mark.parametrize("modality", ["phone_raw", "phone_stretch", "phone_repeat", "speech_units", "speech_dedup"])
def test_a_prompt_is_written_as_the_corpus_is(pipelines, finished_run, tmp_path, modality):
    # The units of a study in many voices are read from audio; phones and their times are those of any voice.
    import pyarrow.parquet as pq

    from evoslm.models.audio import decode_flac

    utterances, units = finished_run / "corpus" / "utterances", finished_run / "units" / "speech_units" / "utterances"
    is_speech = MODALITIES[modality].is_speech
    content = next(iter(stream_contents(modality, units if is_speech else utterances, tmp_path)["test"]))
    row = pq.read_table(next(utterances.glob("test-*.parquet"))).slice(0, 1).to_pylist()[0]
    if is_speech:
        samples = decode_flac(row["audio"]["bytes"])
        assert pipelines(modality).encode((16_000, samples)).content == content
    else:
        # A corpus is spoken at its own rate; of a prompt, 0.3 s of silence stand behind a sentence instead of 0.1 s.
        written = pipelines(modality).encode(row["text"]).content.split()
        assert [phone for phone in written if phone != "SIL"] == [own for own in content.split() if own != "SIL"]


def test_a_recording_is_continued_by_models_of_units(pipelines, tmp_path):
    pipe = pipelines("speech_units")
    spoken = pipe.encode(PROMPT).audio
    soundfile.write(tmp_path / "prompt.wav", spoken, 16_000)
    (continuation,) = pipe(tmp_path / "prompt.wav", max_seconds=1)
    assert continuation.prompt.text is None
    assert len(continuation.units) <= 50
    assert len(continuation.prompt.resynthesized) == pytest.approx(len(continuation.prompt.audio), abs=320)


def test_a_recording_needs_a_recogniser_where_the_model_reads_no_sound(pipelines):
    audio = pipelines("text_bpe").encode(PROMPT).audio
    for modality in ("text_bpe", "text_raw_no_space", "phone_raw", "phone_repeat", "speech_syllable"):
        with pytest.raises(ValueError, match="give a text"):
            pipelines(modality)((16_000, audio))


def test_the_first_audio_comes_before_the_end_and_closing_ends_the_generation(pipelines):
    pipe = pipelines("speech_units")
    steps = []
    hook = pipe.model.register_forward_pre_hook(lambda *_: steps.append(1))
    try:
        stream = pipe.stream(PROMPT, max_seconds=6, stop_on_silence=False, stop_on_repetition=False)
        assert len(next(stream).audio) > 0
        at_first = len(steps)
        stream.close()
        assert list(stream) == []
    finally:
        hook.remove()
    assert at_first == len(steps) < 60


def test_a_generation_uses_its_cache(pipelines):
    pipe = pipelines("speech_units")
    lengths = []
    hook = pipe.model.register_forward_pre_hook(
        lambda _, inputs, options: lengths.append(inputs[0].shape), with_kwargs=True
    )
    try:
        pipe(PROMPT, max_seconds=1, num_continuations=3)
    finally:
        hook.remove()
    assert lengths[0] == (1, len(pipe.encode(PROMPT).ids)), "all continuations share one pass over the prompt"
    assert {shape[1] for shape in lengths[1:]} == {1}


class _Writes(torch.nn.Module):
    """In the place of a model's output layer: it writes the same tokens in turn, whatever it reads."""

    def __init__(self, ids: list[int], size: int):
        super().__init__()
        self.ids, self.size, self.step = ids, size, 0

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = torch.full((*hidden.shape[:2], self.size), -50.0)
        logits[:, -1, self.ids[self.step % len(self.ids)]] = 50.0
        self.step += 1
        return logits


def test_silence_and_loops_end_a_continuation_unless_they_may_go_on(pipelines, monkeypatch):
    pipe = pipelines("phone_repeat")
    size = pipe.model.config.vocab_size

    def write(phones: str, **settings):
        ids = pipe.tokenizer(phones, add_special_tokens=False).input_ids
        monkeypatch.setitem(pipe.model._modules, "lm_head", _Writes(ids, size))
        return pipe(PROMPT, max_seconds=8, **settings)[0]

    silence = write("SIL")
    assert silence.stop_reason == "silence"
    assert len(silence.audio) == 16_000
    loop = write("AA1 " * 6 + "T " * 4)
    assert loop.stop_reason == "repetition"
    assert len(loop.ids) < 200
    both = {"stop_on_silence": False, "stop_on_repetition": False}
    assert write("SIL", **both).stop_reason == write("AA1 T T", **both).stop_reason == "limit"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_continuations": 0}, "num_continuations"),
        ({"num_continuations": 65}, "from 1 to 64"),
        ({"max_seconds": 0}, "max_seconds"),
        ({"max_seconds": -1}, "max_seconds"),
        ({"max_seconds": float("nan")}, "max_seconds"),
        ({"max_seconds": 61}, "at most 60"),
        ({"temperature": -0.1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_k": 0}, "top_k"),
        ({"seed": -1}, "seed"),
        ({"direction": "u2u"}, "joint"),
    ],
)
def test_arguments_out_of_range_are_refused_before_anything_starts(pipelines, arguments, message):
    pipe = pipelines("text_bpe")
    for call in (pipe, pipe.stream):
        with pytest.raises(ValueError, match=message):
            call(PROMPT, **arguments)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("!?", "nothing to speak"),
        ("a" * 2001, "2001 characters"),
        ("clip.wav", "Path"),
        (["The lion"], "not list"),
        ("lion " * 390, "reads"),
        (Path("nowhere.wav"), "no recording"),
    ],
)
def test_prompts_that_cannot_be_are_refused(pipelines, prompt, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        pipelines("speech_units")(prompt)
    assert "\n" not in str(error.value)


def test_numbers_and_signs_are_read_as_in_a_corpus(pipelines):
    assert pipelines("text_raw").encode("Dr. Otter has 3 “lions”").text == "Doctor Otter has three lions"
