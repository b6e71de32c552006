import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from evoslm.datasets_scripts.pairs.rendering import render_pairs
from evoslm.datasets_scripts.pairs.texts import PairText
from evoslm.datasets_scripts.shards.worker_pool import run_tasks
from evoslm.datasets_scripts.synthesis import piper, piper_voice
from evoslm.datasets_scripts.synthesis.by_name import describe_synthesis, label_synthesizer, load_synthesizer
from evoslm.datasets_scripts.synthesis.piper import PiperSynthesizer, english_symbols, lay_out
from evoslm.datasets_scripts.synthesis.piper_voice import PiperVoice, find_voice
from evoslm.datasets_scripts.synthesis.synthesizer import (
    SENTENCE_PAUSE,
    EspeakSynthesizer,
    shared_synthesizer,
    spoken_form,
)
from evoslm.datasets_scripts.synthesis.utterances import render_utterances
from evoslm.datasets_scripts.text.passages import Passage
from evoslm.datasets_scripts.text.sentences import split_sentences
from evoslm.models.phones import CONSONANTS, SIL, VOWELS, espeak_to_arpabet

onnx = pytest.importorskip("onnx", reason="Piper's voices need evoslm[piper]")
pytest.importorskip("onnxruntime", reason="Piper's voices need evoslm[piper]")
from hub_server import HubServer, Repository  # noqa: E402
from tiny_piper_voice import IDS, SPEAKERS, configuration, network, write_voice  # noqa: E402

STORY = (
    "The little dog, who liked Mister Smith, sat on the chair of the 23 well-known kings. "
    'Oh! He was asleep - so they went to the old river; it\'s a state-of-the-art "bridge" there. '
    "Did Mary's friends water the three old trees?"
)
NAME = "en_US-tiny-low"


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    return write_voice(tmp_path_factory.mktemp("voices") / "many", SPEAKERS)


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Path:
    return write_voice(tmp_path_factory.mktemp("voices") / "one")


@pytest.fixture(scope="module")
def real() -> PiperSynthesizer:
    folder = Path(__file__).resolve().parents[4] / "shared" / "models" / "piper-en_US-joe-medium"
    if not folder.is_dir():
        pytest.skip(f"no voice of Piper beside the checkout ({folder.parent.name}/{folder.name})")
    return PiperSynthesizer(PiperVoice(find_voice(str(folder))))


def sounds(phones: list[dict]) -> list[str]:
    return [phone["phone"] for phone in phones if phone["phone"] != SIL]


def check_grid(rendering) -> None:
    phones = rendering.phones
    assert phones[0]["start"] == 0 and phones[-1]["end"] == rendering.duration
    assert len(rendering.audio) % 320 == 0 and rendering.audio.dtype == np.int16
    assert all(phone["end"] == following["start"] for phone, following in pairwise(phones))
    assert all(phone["end"] - phone["start"] > 0.0199 for phone in phones)
    assert not any(phone["phone"] == following["phone"] == SIL for phone, following in pairwise(phones))


def test_the_same_text_has_the_phones_of_espeak_and_words_with_times_of_its_own(many):
    synthesizer = load_synthesizer(f"piper:{many}")
    rendering, by_espeak = synthesizer.render(STORY, f"{NAME}-bob"), EspeakSynthesizer().render(STORY)
    assert sounds(rendering.phones) == sounds(by_espeak.phones)
    assert [word["word"] for word in rendering.words] == STORY.split()
    check_grid(rendering)
    lengths = [phone["end"] - phone["start"] for phone in rendering.phones if phone["phone"] == SIL]
    assert sum(abs(length - SENTENCE_PAUSE) < 1e-9 for length in lengths) >= len(split_sentences(STORY)) - 1
    for rendered in (rendering, by_espeak):
        by_word = [
            [phone["phone"] for phone in rendered.phones if word["start"] <= phone["start"] < word["end"]]
            for word in rendered.words
        ]
        assert by_word[8:11] == [["AO0", "N"], ["DH", "AH0"], ["CH", "EH1", "R"]]


def test_a_text_is_its_sentences_and_nothing_depends_on_what_was_spoken_before(many):
    synthesizer, voice = load_synthesizer(f"piper:{many}"), {"voice": f"{NAME}-cid", "rate": 190}
    sentences = split_sentences(STORY)
    whole = synthesizer.render(STORY, **voice)
    context = synthesizer.render(" ".join(sentences[:-1]), trailing_silence=SENTENCE_PAUSE, **voice)
    ending = synthesizer.render(sentences[-1], leading_silence=0, **voice)
    assert np.array_equal(whole.audio, np.concatenate([context.audio, ending.audio]))
    again = PiperSynthesizer(PiperVoice(find_voice(str(many)))).render(STORY, **voice)
    assert again.audio.tobytes() == whole.audio.tobytes() and again.phones == whole.phones


def test_a_text_is_spoken_by_a_speaker_at_a_rate(many):
    synthesizer = load_synthesizer(f"piper:{many}")
    first, second = (synthesizer.render(STORY, f"{NAME}-{name}") for name in ("ann", "bob"))
    assert second.duration > 1.05 * first.duration  # durations are the speaker's own
    assert synthesizer.render(STORY, f"{NAME}-ann", rate=140).duration > 1.05 * first.duration
    with pytest.raises(ValueError, match="no speaker 'dan'; choose from en_US-tiny-low-ann, "):
        synthesizer.render(STORY, "dan")


def test_speakers_are_drawn_by_utterance(many, one):
    synthesizer = load_synthesizer(f"piper:{many}")
    drawn = [synthesizer.speaker_settings(f"u{i}", "many", "random", 3) for i in range(60)]
    assert drawn == [synthesizer.speaker_settings(f"u{i}", "many", "random", 3) for i in range(60)]
    assert {settings.voice for settings in drawn} == {f"{NAME}-{name}" for name in SPEAKERS}
    assert len({settings.rate for settings in drawn}) > 10
    assert synthesizer.speaker_settings("u", "one", "fixed", 0).voice == f"{NAME}-ann"
    single = load_synthesizer(f"piper:{one}")
    assert single.speaker_settings("u", "one", "fixed", 0).voice == NAME
    with pytest.raises(ValueError, match="en_US-tiny-low has a single speaker; pass --voices one"):
        single.speakers("many")


def test_the_same_rows_come_from_any_number_of_processes_and_after_a_stop(many, tmp_path):
    passages = [Passage(f"p{i}", "d", "t", "train", ("The dog saw a cat.", f"It was {i}.")) for i in range(8)]
    style = {"voices": "many", "rate": "random", "seed": 1, "synthesizer": f"piper:{many}", "progress": False}
    for num_proc in (1, 2):
        render_utterances(passages, tmp_path / str(num_proc), shard_size=2, num_proc=num_proc, **style)
    names = sorted(path.name for path in (tmp_path / "1").glob("*.parquet"))
    (tmp_path / "1" / names[1]).unlink()
    moved = write_voice(tmp_path / "moved", SPEAKERS)  # where it lies is no part of what is made
    render_utterances(passages, tmp_path / "1", shard_size=2, **style | {"synthesizer": f"piper:{moved}"})
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    rows = [row for name in names for row in pq.read_table(tmp_path / "1" / name).to_pylist()]
    assert {row["speaker"] for row in rows} <= {f"{NAME}-{name}" for name in SPEAKERS}
    with pytest.raises(ValueError, match="made of other items or settings"):
        render_utterances(passages, tmp_path / "1", shard_size=2, **style | {"synthesizer": "espeak"})


def test_minimal_pairs_are_spoken_by_it(many, tmp_path):
    pair = PairText("s0", "topic_sc", "dogs", "", "The dog saw a cat.", "It ran home.", "It sang well.", "s0")
    synthesizer = {"synthesizer": f"piper:{many}", "progress": False}
    render_pairs([pair], tmp_path, "many", "fixed", 0, stretch_factor=3, voices_per_pair=3, **synthesizer)
    rows = pq.read_table(next((tmp_path / "topic_sc").glob("*.parquet"))).to_pylist()
    assert {row["voice"] for row in rows} == {f"{NAME}-{name}" for name in SPEAKERS}
    assert len({row["positive_phones"] for row in rows}) == 1
    with pytest.raises(ValueError, match="voices_per_pair is 4; with many voices it must be from 1 to 3"):
        render_pairs([pair], tmp_path / "x", "many", "fixed", 0, stretch_factor=3, voices_per_pair=4, **synthesizer)


def test_what_makes_speech_is_what_the_files_hold(many, tmp_path):
    moved = write_voice(tmp_path / "elsewhere", SPEAKERS)
    described = describe_synthesis("many", f"piper:{many}")
    assert describe_synthesis("many", f"piper:{moved}") == described
    assert str(many) not in str(described)
    assert described["voice"] == NAME == label_synthesizer(f"piper:{many}")
    path = moved / f"{NAME}.onnx.json"
    path.write_text(path.read_text().replace('"noise_scale": 0.5', '"noise_scale": 0.4'))
    assert piper_voice.find_voice(str(moved)).digest() != described["files"]


def _break(folder: Path, what: str) -> None:
    """Spoil a voice."""
    model, said = network(len(SPEAKERS)), configuration(SPEAKERS)
    path = folder / f"{NAME}.onnx.json"
    if what == "no JSON":
        return path.unlink()
    if what == "not JSON":
        return path.write_text("{")
    if what == "two voices":
        return write_voice(folder, name="other") and None
    if what == "no ONNX":
        return (folder / f"{NAME}.onnx").write_bytes(b"\x00nonsense") and None
    if what == "another language":
        said["espeak"]["voice"] = "de"
    elif what == "no phonemes":
        del said["phoneme_id_map"]
    elif what == "more symbols":
        said["num_symbols"] = 300
    elif what == "fewer speakers":
        said["num_speakers"] = 2
    elif what == "a single speaker":
        said["num_speakers"] = 1
    elif what == "no durations":
        next(node for node in model.graph.node if node.op_type == "Ceil").op_type = "Floor"
    elif what == "other noise":
        next(node for node in model.graph.node if node.op_type == "RandomNormalLike").op_type = "RandomUniformLike"
    path.write_text(json.dumps(said))
    onnx.save(model, folder / f"{NAME}.onnx")


@pytest.mark.parametrize(
    ("what", "error", "sentence"),
    [
        ("no JSON", FileNotFoundError, "lacks its en_US-tiny-low.onnx.json, which says what its phonemes are"),
        ("not JSON", ValueError, "is not JSON .*; give the voice's own"),
        ("two voices", ValueError, "holds 2 .onnx files, give one of them"),
        ("no ONNX", ValueError, "is no ONNX file"),
        ("another language", ValueError, "speaks de; phones are those of espeak's en-us here: choose an en_US voice"),
        ("no phonemes", ValueError, "is not of a Piper voice: it lacks 'phoneme_id_map'"),
        ("more symbols", ValueError, "is of another model than .*: it says 300 symbols, and the network has"),
        ("fewer speakers", ValueError, "is of another model than .*: it says 2 speakers, and the network has 3"),
        ("a single speaker", ValueError, "for 1 speakers it would have the inputs input, input_lengths, scales"),
        ("no durations", ValueError, "does not say how long its phonemes last"),
        ("other noise", ValueError, "draws noise with RandomUniformLike, which no seed makes the same again"),
    ],
)
def test_a_voice_that_cannot_speak_is_refused_in_a_sentence(tmp_path, what, error, sentence):
    _break(write_voice(tmp_path, SPEAKERS), what)
    with pytest.raises(error, match=sentence):
        load_synthesizer(f"piper:{tmp_path}")


@pytest.mark.parametrize("name", ["festival", "piper:"])
def test_an_unknown_synthesizer_is_refused(name):
    with pytest.raises(ValueError, match="Unknown synthesizer .*; choose from espeak, piper:VOICE"):
        load_synthesizer(name)


def test_packages_that_are_missing_are_named(one, monkeypatch):
    monkeypatch.setattr(piper_voice, "find_spec", lambda package: None)
    with pytest.raises(ValueError, match=r"needs the package onnx: `pip install 'evoslm\[piper\]'`"):
        PiperVoice(find_voice(str(one)))


def test_a_voice_has_to_know_every_phone_and_what_rare_words_are_said_with():
    symbols = english_symbols()
    assert symbols < set(IDS) and {"^", "$", "_", " ", ".", "ˈ", "ˌ", "ð", "ʔ", "\u0329"} <= symbols
    clauses = shared_synthesizer().espeak.transcribe(piper._PROBE, "base")
    phones = {
        phone for clause in clauses for word in clause for symbol, _ in word for phone in espeak_to_arpabet(symbol)
    }
    assert {phone.rstrip("012") for phone in phones} == {*CONSONANTS, *VOWELS}


def test_sentences_need_no_other_symbol_of_a_voice(shared_data):
    """But the r of "Messrs." and "brochure", and the x of "loch"."""
    lines = (shared_data / "ljspeech" / "metadata.csv").read_text(encoding="utf-8").splitlines()
    texts = [spoken_form(line.split("|")[2]) for line in lines[:600]]
    espeak = shared_synthesizer().espeak
    clauses = [clause for text in texts for clause in espeak.transcribe(text, "base")]
    needed = {symbol for clause in clauses for word in clause for _, ipa in word for symbol in ipa}
    assert needed <= english_symbols() | {"r", "x"} and len(needed) > 40


def _take_from_map(folder: Path, symbol: str) -> str:
    """The name of a voice that lacks a symbol."""
    path = write_voice(folder) / f"{NAME}.onnx.json"
    said = json.loads(path.read_text())
    del said["phoneme_id_map"][symbol]
    path.write_text(json.dumps(said))
    return f"piper:{folder}"


@pytest.mark.parametrize("symbol", ["ð", "\u0329", "ˌ", "$", "?", " "])
def test_a_voice_without_a_phoneme_or_mark_of_english_is_refused_when_it_is_opened(tmp_path, symbol):
    with pytest.raises(ValueError, match=f"{NAME} cannot speak English .* lacks {re.escape(repr(symbol))}; choose"):
        load_synthesizer(_take_from_map(tmp_path, symbol))


def test_a_sound_of_loan_words_that_the_voice_lacks_is_named_where_it_is_said(tmp_path):
    speaking = load_synthesizer(_take_from_map(tmp_path, "x"))
    assert len(speaking.render("The dog.", NAME).audio)
    with pytest.raises(ValueError, match="The voice en_US-tiny-low has no phoneme 'x'; leave such text out"):
        speaking.render("The loch.", NAME)


FIND = """
from evoslm.datasets_scripts.synthesis.by_name import describe_synthesis
try:
    print(describe_synthesis("many", "piper:{name}"))
except (ValueError, FileNotFoundError) as error:
    print(error)
"""


def test_a_voice_is_read_from_the_hub_at_a_commit_which_is_recorded(tmp_path, many):
    folder, repository = "en/en_US/tiny/low", Repository("model", "rhasspy/piper-voices")
    files = {f"{folder}/{path.name}": path.read_bytes() for path in many.iterdir()}
    first = repository.commit("a voice", files).sha
    changed = files | {f"{folder}/{NAME}.onnx.json": json.dumps(configuration(SPEAKERS), indent=2).encode()}
    last = repository.commit("indented", changed).sha

    def describe(name: str, **environment) -> str:
        import os

        environment = os.environ | hub.environment(tmp_path / "cache") | environment
        command = [sys.executable, "-c", FIND.format(name=f"rhasspy/piper-voices/{name}")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    with HubServer() as hub:
        hub.repositories["model", "rhasspy/piper-voices"] = repository
        newest, pinned = describe(folder), describe(f"{folder}@{first}")
        without_hub = describe(f"{folder}@{first}", HF_HUB_OFFLINE="1")
        missing = describe("en/en_US/nobody/low")
    assert f"'revision': '{last}'" in newest and f"'revision': '{first}'" in pinned
    assert f"'source': 'rhasspy/piper-voices/{folder}'" in pinned and without_hub == pinned
    assert missing == f"rhasspy/piper-voices has no voice in en/en_US/nobody/low on the Hub, at commit {last}."


def _render(arguments: tuple[str, str, int]) -> bytes:
    name, text, rate = arguments
    synthesizer = load_synthesizer(name)
    return synthesizer.render(text, synthesizer.speakers("one")[0], rate=rate).audio.tobytes()


def test_a_real_voice_makes_the_same_samples_in_every_process(real):
    name = f"piper:{real.voice.files.network}"
    tasks = [(name, text, rate) for text in ("The old dog sat down.", "Rivers!") for rate in (160, 175)]
    here = [_render(task) for task in tasks]
    assert sorted(run_tasks(_render, tasks, 2)) == sorted(here)
    assert len(set(here)) == 4


def test_a_real_voice_is_quiet_where_it_pauses_and_says_what_espeak_says(real):
    text = "The little dog, who liked Mister Smith, sat on the chair; it was asleep."
    rendering = real.render(text, real.voice.name)
    check_grid(rendering)
    assert sounds(rendering.phones) == sounds(EspeakSynthesizer().render(text).phones)
    pauses = [phone for phone in rendering.phones[1:-1] if phone["phone"] == SIL]
    assert len(pauses) == 3
    level = np.sqrt(np.mean(rendering.audio.astype(float) ** 2))
    for pause in pauses:
        start, end = (round(pause[key] * 16_000) for key in ("start", "end"))
        assert np.sqrt(np.mean(rendering.audio[start:end].astype(float) ** 2)) < level / 5


def test_a_real_voice_reads_what_piper_reads_and_makes_its_samples(real, shared_data):
    piper = pytest.importorskip("piper", reason="compared with piper-tts where it is installed")
    from piper.phoneme_ids import phonemes_to_ids

    texts = [line.split("|")[-1] for line in (shared_data / "ljspeech" / "metadata.csv").read_text().splitlines()[:60]]
    sentences = [sentence for text in texts for sentence in split_sentences(text)]
    theirs = piper.PiperVoice.load(real.voice.files.network)
    for sentence in sentences:
        phonemes = [symbol for part in theirs.phonemize(sentence) for symbol in part]
        while phonemes[-1] in " .":  # a sentence without an end gets one here
            phonemes.pop()
        expected = phonemes_to_ids(phonemes, real.voice.phoneme_ids)[:-1]
        assert lay_out(sentence, shared_synthesizer().espeak, real.voice).ids[: len(expected)] == expected

    ids = lay_out("The river.", shared_synthesizer().espeak, real.voice).ids
    quiet = PiperVoice(real.voice.files)
    quiet.configuration["inference"]["noise_scale"] = 0.0
    samples, lengths = quiet.speak(ids, quiet.name)
    config = piper.SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)
    expected_samples, expected_lengths = theirs.phoneme_ids_to_audio(ids, config, include_alignments=True)
    assert lengths.tolist() == expected_lengths.tolist() and lengths.sum() == len(samples)
    assert np.abs(samples - expected_samples).max() < 1e-3 * np.abs(samples).max()
