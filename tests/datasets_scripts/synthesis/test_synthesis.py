import io
import json
import random
import sys
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import wordfreq

from evoslm.datasets_scripts.shards.utterance_rows import UTTERANCE_SCHEMA
from evoslm.datasets_scripts.shards.worker_pool import run_tasks
from evoslm.datasets_scripts.synthesis.synthesizer import SENTENCE_PAUSE, EspeakSynthesizer
from evoslm.datasets_scripts.synthesis.utterances import render_utterances
from evoslm.datasets_scripts.synthesis.voices import VOICES, speaker_settings
from evoslm.datasets_scripts.text.passages import Passage
from evoslm.datasets_scripts.text.sentences import split_sentences
from evoslm.models.audio import SAMPLE_RATE
from evoslm.models.phones import ARPABET, SIL

STORY = (
    "The little dog, who liked Mister Smith, sat on the chair of the 23 well-known kings. "
    'Oh! He was asleep - so they went to the old river; it\'s a state-of-the-art "bridge" there. '
    "Did Mary's friends water the three old trees?"
)


@pytest.fixture(scope="module")
def synthesizer() -> EspeakSynthesizer:
    return EspeakSynthesizer()


def phones_in(rendering) -> tuple[str, ...]:
    return tuple(phone["phone"] for phone in rendering.phones if phone["phone"] != SIL)


def samples_of(rendering, interval: dict) -> np.ndarray:
    return rendering.audio[round(interval["start"] * SAMPLE_RATE) : round(interval["end"] * SAMPLE_RATE)]


def passages(*texts: str, split: str = "train") -> list[Passage]:
    return [Passage(f"p{i}", f"d{i}", "t", split, tuple(split_sentences(text))) for i, text in enumerate(texts)]


def fundamental(audio: np.ndarray) -> float:
    """Median pitch in Hz of the loud frames, by autocorrelation."""
    frames = audio[: len(audio) // 800 * 800].reshape(-1, 800).astype(float)
    frames = frames[np.abs(frames).mean(1) > np.abs(frames).mean()]
    lags = range(SAMPLE_RATE // 450, SAMPLE_RATE // 60)
    correlation = np.stack([(frames[:, lag:] * frames[:, : 800 - lag]).mean(1) for lag in lags])
    return SAMPLE_RATE / np.median(np.argmax(correlation, axis=0) + lags[0])


def test_phones_cover_the_audio(synthesizer):
    rendering = synthesizer.render(STORY)
    phones = rendering.phones
    assert rendering.audio.dtype == np.int16
    assert len(rendering.audio) % 320 == 0
    assert phones[0]["start"] == 0
    assert phones[-1]["end"] == rendering.duration == len(rendering.audio) / SAMPLE_RATE
    assert all(phone["end"] == following["start"] for phone, following in pairwise(phones))
    assert all(phone["end"] - phone["start"] > 0.0199 for phone in phones)
    assert not any(phone["phone"] == following["phone"] == SIL for phone, following in pairwise(phones))
    assert {phone["phone"] for phone in phones} <= set(ARPABET)


def test_every_word_of_the_text_has_its_time(synthesizer):
    rendering = synthesizer.render(STORY)
    words = rendering.words
    assert [word["word"] for word in words] == STORY.split()
    assert all(word["end"] <= following["start"] for word, following in pairwise(words))
    assert [word["word"] for word in words if word["start"] == word["end"]] == ["-"]
    spoken = {
        word["word"]: [p["phone"] for p in rendering.phones if word["start"] <= p["start"] < word["end"]]
        for word in words
    }
    assert spoken["on"] == ["AO0", "N"]
    assert spoken["23"] == ["T", "W", "EH1", "N", "T", "IY0", "TH", "R", "IY1"]
    assert spoken["well-known"] == ["W", "EH1", "L", "N", "OW1", "N"]
    assert spoken["water"] == ["W", "AO1", "T", "ER0"]


def test_a_sentence_ends_in_the_same_pause_in_phones_and_sound(synthesizer):
    for rate in (140, 175, 210):
        rendering = synthesizer.render(STORY, rate=rate)
        pauses = [phone for phone in rendering.phones if phone["phone"] == SIL]
        between = [pause for pause in pauses[1:-1] if abs(pause["end"] - pause["start"] - SENTENCE_PAUSE) < 1e-9]
        assert len(between) == len(split_sentences(STORY)) - 1 == 3
        assert [pause["end"] - pause["start"] for pause in (pauses[0], pauses[-1])] == pytest.approx([0.1, 0.1])
        for pause in (pauses[0], *between, pauses[-1]):
            assert not samples_of(rendering, pause).any()
        for pause in pauses:
            assert np.abs(samples_of(rendering, pause)[160:-160]).max() < 40


def test_a_stop_begins_with_its_silent_closure(synthesizer):
    rendering = synthesizer.render("They took a cookie.")
    closures = [samples_of(rendering, phone)[:400] for phone in rendering.phones if phone["phone"] == "K"]
    assert len(closures) == 3
    assert all(np.abs(closure[160:]).max() < 60 for closure in closures)


def test_a_text_is_its_sentences_one_behind_the_other(synthesizer):
    sentences = split_sentences(STORY)
    voice = {"voice": "female-2", "pitch": 41, "rate": 190}
    whole = synthesizer.render(STORY, **voice)
    context = synthesizer.render(" ".join(sentences[:-1]), trailing_silence=SENTENCE_PAUSE, **voice)
    ending = synthesizer.render(sentences[-1], leading_silence=0, **voice)
    assert np.array_equal(whole.audio, np.concatenate([context.audio, ending.audio]))
    shifted = [{**phone, "start": phone["start"] + context.duration} for phone in ending.phones]
    assert [phone["phone"] for phone in whole.phones] == [p["phone"] for p in (*context.phones, *shifted)]
    assert [p["start"] for p in whole.phones] == pytest.approx([p["start"] for p in (*context.phones, *shifted)])
    assert synthesizer.render(sentences, **voice).audio.tobytes() == whole.audio.tobytes()


def test_a_rendering_does_not_depend_on_what_was_spoken_before(synthesizer):
    sentences = split_sentences(STORY) * 2
    first = [synthesizer.render(sentence, "female-6", 55, 163) for sentence in sentences]
    order = list(range(len(sentences)))
    random.Random(0).shuffle(order)
    for i in order:
        synthesizer.render(STORY[i:60], "male-3", 40, 140 + i)
        synthesizer.pronounce(["anything"])
        EspeakSynthesizer().render("Hello there.", "child-2", 60, 210)
        again = synthesizer.render(sentences[i], "female-6", 55, 163)
        assert again.audio.tobytes() == first[i].audio.tobytes()
        assert (again.phones, again.words) == (first[i].phones, first[i].words)


def test_all_voices_have_the_same_times_and_another_sound(synthesizer):
    text = "But the judge asked that bad cat, who had jumped, to catch a big speckled duck."
    for rate in (175, 147):
        base = synthesizer.render(text, rate=rate)
        sounds = {base.audio.tobytes()}
        for i, voice in enumerate(VOICES["many"]):
            rendering = synthesizer.render(text, voice.name, voice.pitch_settings[i % 2], rate)
            assert rendering.phones == base.phones
            assert rendering.words == base.words
            sounds.add(rendering.audio.tobytes())
        assert len(sounds) == 1 + len(VOICES["many"]) > 12


def test_voices_differ_in_pitch_but_not_much_in_loudness(synthesizer):
    text = "We were away a year ago, and all our women were well."
    renderings = {voice.name: synthesizer.render(text, voice.name).audio for voice in VOICES["many"]}
    pitch = {kind: [] for kind in ("male", "female", "child")}
    for name, audio in renderings.items():
        pitch[name.split("-")[0]].append(fundamental(audio))
    assert max(pitch["male"]) < np.mean(pitch["female"]) < np.mean(pitch["child"])
    assert min(pitch["male"]) > 60 and max(pitch["child"]) < 450
    loudness = [np.sqrt((audio.astype(float) ** 2).mean()) for audio in renderings.values()]
    assert max(loudness) < 2 * min(loudness)
    assert max(np.abs(audio.astype(int)).max() for audio in renderings.values()) < 32_000  # no clipping


def test_pitch_changes_the_sound_only_and_rate_the_times(synthesizer):
    low, high = (synthesizer.render(STORY, pitch=pitch) for pitch in (20, 80))
    assert low.phones == high.phones
    assert fundamental(high.audio) > 1.5 * fundamental(low.audio)
    slow, fast = (synthesizer.render(STORY, rate=rate).duration for rate in (140, 210))
    assert slow > 1.2 * fast


def test_pronunciation_is_what_is_spoken(synthesizer):
    words = [word for word in wordfreq.top_n_list("en", 20_000) if word.isascii() and word[0].isalpha()]
    words = words[:100] + random.Random(0).sample(words, 200) + ["but", "of", "certain", "I'm", "Bobby's", "story"]
    pronunciations = synthesizer.pronounce(words)
    wrong = [word for word, phones in zip(words, pronunciations) if phones_in(synthesizer.render(word)) != phones]
    assert wrong == []


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("water", "W AO1 T ER0"),
        ("little", "L IH1 T AH0 L"),
        ("fire", "F AY1 ER0"),
        ("button", "B AH1 T AH0 N"),
        ("story", "S T AO1 R IY0"),
        ("Boston", "B AO1 S T AH0 N"),
        ("the", "DH AH1"),
        ("twenty-three", "T W EH1 N T IY0 TH R IY1"),
        ("", ""),
    ],
)
def test_words_are_pronounced_in_american_english(synthesizer, word, phones):
    assert " ".join(synthesizer.pronounce([word])[0]) == phones


def test_the_wordlist_and_the_books_have_no_unmapped_sound(synthesizer, shared_data):
    words = [word for word in wordfreq.top_n_list("en", 20_000, wordlist="large") if word.isascii()]
    for book in sorted((shared_data / "books").glob("*.txt"))[::4]:
        words += random.Random(0).sample(book.read_text(encoding="utf-8").split(), 2_000)
    assert {phone for word in synthesizer.pronounce(words) for phone in word} <= set(ARPABET)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"voice": "robot"}, "Unknown voice 'robot'; choose from base, male-1"),
        ({"pitch": 100}, "Pitch is 100"),
        ({"rate": 10}, "Rate is 10 words per minute"),
        ({"text": " "}, "nothing to speak in an empty text"),
        ({"text": ["Yes.", "- ..."]}, "nothing to speak in '- ...'"),
        ({"text": "The word для."}, "'д' in 'The word для.' is no letter of the Latin alphabet"),
    ],
)
def test_what_cannot_be_spoken_is_one_sentence(synthesizer, arguments, message):
    with pytest.raises(ValueError, match=message):
        synthesizer.render(**{"text": "Yes.", **arguments})


def test_sentences_end_before_capitals_but_not_after_abbreviations():
    text = "He came. Did Mr. J. Smith see it? \"No!\" Then he left... and slept. At St. Ann's. It's the king's. So."
    assert split_sentences(text) == [
        "He came.",
        "Did Mr. J. Smith see it?",
        '"No!"',
        "Then he left... and slept.",
        "At St. Ann's.",
        "It's the king's.",
        "So.",
    ]


def test_speaker_settings_depend_on_id_and_seed_only():
    ids = [f"utterance-{i}" for i in range(2_000)]
    many = [speaker_settings(i, "many", "random", 3) for i in ids]
    assert many == [speaker_settings(i, "many", "random", 3) for i in ids]
    assert many != [speaker_settings(i, "many", "random", 4) for i in ids]
    assert {settings.voice for settings in many} == {voice.name for voice in VOICES["many"]}
    assert {settings.rate for settings in many} == set(range(140, 211))
    assert [settings.rate for settings in many] == [speaker_settings(i, "one", "random", 3).rate for i in ids]
    one = {(s.voice, s.pitch, s.rate) for s in (speaker_settings(i, "one", "fixed") for i in ids)}
    assert one == {("base", 50, 175)}


@pytest.mark.parametrize("arguments", [{"voices": "some"}, {"rate": "fast"}])
def test_unknown_settings_are_named_with_the_choices(tmp_path, arguments):
    (name, value), choices = next(iter(arguments.items())), {"voices": "one, many", "rate": "fixed, random"}
    with pytest.raises(ValueError, match=f"Unknown {name} '{value}'; choose from {choices[name]}"):
        render_utterances(passages("Yes."), tmp_path, **arguments)


def test_utterances_hold_text_sound_and_times(tmp_path, synthesizer):
    given = passages(STORY, "We saw a cat. It slept.")
    summary = render_utterances(given, tmp_path, "many", "random", seed=5, progress=False)
    table = pq.read_table(tmp_path / "train-00000-of-00001.parquet")
    assert table.schema.equals(UTTERANCE_SCHEMA)
    rows = table.to_pylist()
    assert summary == {
        "utterances": 2,
        "seconds": sum(row["duration"] for row in rows),
        "words": len(STORY.split()) + 6,
        "skipped": 0,
    }
    for passage, row in zip(given, rows):
        settings = speaker_settings(passage.id, "many", "random", 5)
        rendering = synthesizer.render(passage.text, settings.voice, settings.pitch, settings.rate)
        audio, sample_rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
        assert (row["id"], row["text"], row["speaker"], row["rate"]) == (
            passage.id,
            passage.text,
            settings.voice,
            settings.rate,
        )
        assert sample_rate == SAMPLE_RATE and np.array_equal(audio, rendering.audio)
        assert (row["words"], row["phones"], row["duration"]) == (rendering.words, rendering.phones, len(audio) / 16e3)


def test_the_number_of_processes_and_a_restart_change_nothing(tmp_path):
    given = passages(*[f"{STORY} Then he ate {i} fishes." for i in range(9)])
    for num_proc in (1, 2):
        render_utterances(given, tmp_path / str(num_proc), "many", "random", num_proc=num_proc, shard_size=4)
    files = {path.name: path.read_bytes() for path in sorted((tmp_path / "1").iterdir())}
    assert len(files) == 4
    assert {path.name: path.read_bytes() for path in sorted((tmp_path / "2").iterdir())} == files
    damaged = tmp_path / "2" / "train-00001-of-00003.parquet"
    damaged.write_bytes(damaged.read_bytes()[:5_000])
    render_utterances(given, tmp_path / "2", "many", "random", shard_size=4)
    assert {path.name: path.read_bytes() for path in sorted((tmp_path / "2").iterdir())} == files


def test_an_utterance_over_30_seconds_is_skipped_and_listed(tmp_path):
    long = passages(STORY * 4, "We saw a cat.", "Это кот.")
    summary = render_utterances(long, tmp_path, max_skipped_fraction=0.7, progress=False)
    assert (summary["utterances"], summary["skipped"], summary["words"]) == (1, 2, 4)
    skipped = [json.loads(line) for line in (tmp_path / "skipped.jsonl").read_text().splitlines()]
    assert [skip["id"] for skip in skipped] == ["p0", "p2"]
    assert "longer than 30 s" in skipped[0]["reason"] and "'Э'" in skipped[1]["reason"]
    with pytest.raises(ValueError, match="2 of 3 items were skipped, .* It takes 51"):
        render_utterances(long, tmp_path / "strict", progress=False)
    longer = render_utterances(long[:2], tmp_path / "longer", max_seconds=60, progress=False)
    assert (longer["utterances"], longer["skipped"]) == (2, 0)


def slow_libraries(_) -> set[str]:
    return {"torch", "transformers", "datasets"} & set(sys.modules)


def test_workers_start_without_slow_libraries():
    assert list(run_tasks(slow_libraries, range(3), num_proc=2)) == [set()] * 3
