"""Minimal pairs are written in all forms at once, both sides and the context spoken alike."""

import io
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import soundfile

from evoslm.datasets_scripts.builders import prepare
from evoslm.datasets_scripts.builders.minimal_pairs import FEATURES, MinimalPairs
from evoslm.datasets_scripts.pairs.rendering import pair_speakers, render_pairs, speak_pair
from evoslm.datasets_scripts.pairs.texts import PairText
from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
from evoslm.datasets_scripts.synthesis.voices import SpeakerSettings
from evoslm.models.scoring.sides import PARTS
from evoslm.models.speech_units.runs import collapse_runs

WORDS = (("river", "rimer"), ("garden", "gardet"), ("sailor", "pailor"), ("horse", "corse"))
CONTEXT = "The old sailor lived by the sea. Every morning, he went to the harbor. There was a storm."
ENDINGS = ("His little boat was lost at sea.", "Her little goat was safe at home.")
PAIRS = [
    *(PairText(f"swuggy-{word}", "swuggy", "1-5", "1-5", "", word, pseudo_word) for word, pseudo_word in WORDS),
    PairText("sblimp-agreement-1", "sblimp", "agreement", "", "", "The dogs bark.", "The dogs barks."),
    PairText("topic_sc-1", "topic_sc", "sea", "", CONTEXT, *ENDINGS),
    PairText("topic_sc-2", "topic_sc", "farm", "", CONTEXT.replace("sea", "farm"), *ENDINGS[::-1]),
]


@pytest.fixture(scope="module")
def synthesizer():
    return EspeakSynthesizer()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    render_pairs(PAIRS, folder, "many", "random", seed=0, stretch_factor=3, progress=False)
    return folder


def rows_of(folder: Path) -> list[dict]:
    return [row for file in sorted(folder.rglob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def seconds_of(audio: dict) -> float:
    info = soundfile.info(io.BytesIO(audio["bytes"]))
    assert (info.samplerate, info.channels, info.format) == (16_000, 1, "FLAC")
    assert info.frames % 320 == 0
    return info.frames / info.samplerate


def test_every_pair_is_one_row_with_its_texts(folder):
    rows = {row["id"]: row for row in rows_of(folder)}
    assert len(rows) == len(PAIRS)
    for pair in PAIRS:
        row = rows[pair.id]
        assert [row[column] for column in ("task", "group", "band")] == [pair.task, pair.group, pair.band]
        assert [row[f"{side}_text"] for side in PARTS] == [pair.context, pair.positive, pair.negative]


def test_the_forms_of_a_side_agree_with_one_another(folder):
    for row in rows_of(folder):
        for side in PARTS:
            if side == "context" and row["task"] != "topic_sc":
                continue
            phones, stretched, repeated = (
                row[f"{side}_{form}"].split() for form in ("phones", "phones_stretch", "phones_repeat")
            )
            assert stretched == [phone for phone in phones for _ in range(3)]
            assert collapse_runs(repeated) == collapse_runs(phones)
            assert len(repeated) == round(seconds_of(row[f"{side}_audio"]) * 50)


def test_a_pair_without_context_has_none_in_any_form(folder):
    row = rows_of(folder / "swuggy")[0]
    assert [row[f"context_{form}"] for form in ("text", "phones", "phones_stretch", "phones_repeat")] == [""] * 4
    assert row["context_audio"] is None


def test_words_and_sentences_have_the_silence_of_an_utterance_at_both_edges(folder):
    for row in rows_of(folder):
        if row["task"] == "topic_sc":
            continue
        for side in ("positive", "negative"):
            assert row[f"{side}_phones_repeat"].split()[:6].count("SIL") == 5  # 0.1 s
            assert row[f"{side}_phones_repeat"].split()[-6:].count("SIL") == 5


def test_context_and_ending_together_are_exactly_one_utterance(folder, synthesizer):
    for row in rows_of(folder):
        if row["task"] != "topic_sc":
            continue
        pair = next(pair for pair in PAIRS if pair.id == row["id"])
        (speaker,) = pair_speakers(pair, "many", "random", seed=0)
        assert (speaker.voice, speaker.rate) == (row["voice"], row["rate"])
        for side in ("positive", "negative"):
            whole = synthesizer.render(
                f"{row['context_text']} {row[f'{side}_text']}", speaker.voice, speaker.pitch, speaker.rate
            )
            assert f"{row['context_phones']} {row[f'{side}_phones']}".split() == [p["phone"] for p in whole.phones]
            parts = [
                soundfile.read(io.BytesIO(row[f"{part}_audio"]["bytes"]), dtype="int16") for part in ("context", side)
            ]
            assert [*parts[0][0], *parts[1][0]] == list(whole.audio)
            assert not row[f"{side}_phones"].startswith("SIL") and row[f"{side}_phones"].endswith("SIL")


def test_pairs_with_the_same_two_sides_are_spoken_alike(folder):
    first, second = rows_of(folder / "topic_sc")
    assert (first["voice"], first["rate"]) == (second["voice"], second["rate"])
    for form in ("phones_repeat", "phones"):
        assert first[f"positive_{form}"] == second[f"negative_{form}"]
    assert first["negative_audio"]["bytes"] == second["positive_audio"]["bytes"]


def test_each_voice_of_a_pair_is_another_and_durations_do_not_depend_on_it(tmp_path):
    render_pairs(PAIRS[:2], tmp_path, "many", "fixed", seed=0, stretch_factor=1, voices_per_pair=3, progress=False)
    rows = rows_of(tmp_path)
    assert len({(row["id"], row["voice"]) for row in rows}) == 6
    for pair in PAIRS[:2]:
        assert len({row["positive_phones_repeat"] for row in rows if row["id"] == pair.id}) == 1
        assert len({row["positive_audio"]["bytes"] for row in rows if row["id"] == pair.id}) == 3


def test_rows_are_the_same_with_any_number_of_processes(tmp_path):
    arguments = {"voices": "many", "rate": "random", "seed": 0, "stretch_factor": 3, "shard_size": 1}
    for num_proc in (1, 2):
        render_pairs(PAIRS[:3], tmp_path / str(num_proc), num_proc=num_proc, progress=False, **arguments)
    files = [sorted(path.relative_to(root) for path in root.rglob("*.*")) for root in tmp_path.iterdir()]
    assert files[0] == files[1]
    assert rows_of(tmp_path / "1") == rows_of(tmp_path / "2")


def test_finished_shards_are_kept_and_those_of_other_pairs_are_refused(folder):
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*.parquet")}
    summary = render_pairs(PAIRS, folder, "many", "random", seed=0, stretch_factor=3, progress=False)
    assert before == {file: file.stat().st_mtime_ns for file in folder.rglob("*.parquet")}
    assert summary["swuggy"] == {"pairs": 4, "rows": 4, "sound_alike": 0, "skipped": 0}
    with pytest.raises(ValueError, match="other items or settings"):
        render_pairs(PAIRS, folder, "many", "random", seed=1, stretch_factor=3, progress=False)


def test_pairs_that_sound_alike_are_dropped_and_counted(tmp_path):
    pairs = [PairText("sblimp-their", "sblimp", "spelling", "", "", "They see their dogs.", "They see there dogs.")]
    summary = render_pairs(pairs + PAIRS[4:5], tmp_path, "one", "fixed", seed=0, stretch_factor=1, progress=False)
    assert summary == {"sblimp": {"pairs": 2, "rows": 1, "sound_alike": 1, "skipped": 0}}
    assert [row["id"] for row in rows_of(tmp_path)] == [PAIRS[4].id]


def test_twins_are_dropped_together(tmp_path):
    """The first pair of one cluster and the second of another sound alike; a third and a pair alone are whole."""
    alike, heard = ("They see their dogs.", "They see there dogs."), ("The dogs bark.", "The dogs barks.")
    sides = {"a": (alike, heard), "b": (heard[::-1], alike[::-1]), "c": (heard, heard[::-1]), "d": (heard,)}
    pairs = [
        PairText(f"{cluster}{number}", "sblimp", "dogs", "", "", *both, cluster)
        for number in (0, 1)  # twins need not follow each other
        for cluster, twins in sides.items()
        for both in twins[number : number + 1]
    ]
    arguments = {"voices": "many", "rate": "fixed", "seed": 0, "stretch_factor": 1, "voices_per_pair": 2}
    for _ in range(2):  # the second time everything is there
        summary = render_pairs(pairs, tmp_path, **arguments, progress=False)
        assert summary == {"sblimp": {"pairs": 7, "rows": 6, "sound_alike": 4, "skipped": 0}}
        assert [row["id"] for row in rows_of(tmp_path)] == ["c0", "c0", "c1", "c1", "d0", "d0"]


def test_the_twin_of_a_pair_that_cannot_be_spoken_is_skipped_with_it(tmp_path):
    pairs = [PairText(f"long-{i}", "topic_sc", "sea", "", CONTEXT * n, *ENDINGS, "long") for i, n in ((0, 1), (1, 9))]
    summary = render_pairs(
        [*pairs, PAIRS[-1]], tmp_path, "one", "fixed", 0, stretch_factor=1, max_skipped_fraction=0.7, progress=False
    )
    assert summary == {"topic_sc": {"pairs": 3, "rows": 1, "sound_alike": 0, "skipped": 2}}
    assert [row["id"] for row in rows_of(tmp_path)] == [PAIRS[-1].id]


def test_pairs_that_cannot_be_spoken_are_too_many_or_counted(tmp_path):
    pairs = [PairText("topic_sc-long", "topic_sc", "sea", "", CONTEXT * 9, *ENDINGS), PAIRS[-1]]
    with pytest.raises(ValueError, match=r"1 of 2 topic_sc pairs cannot be spoken.*30 s"):
        render_pairs(pairs, tmp_path, "one", "fixed", seed=0, stretch_factor=1, progress=False)
    summary = render_pairs(
        pairs, tmp_path, "one", "fixed", seed=0, stretch_factor=1, max_skipped_fraction=0.5, progress=False
    )
    assert summary["topic_sc"]["skipped"] == 1


def test_both_sides_have_one_voice_pitch_and_rate(synthesizer):
    speaker = SpeakerSettings("female-1", 60, 150)
    spoken = speak_pair(synthesizer, PAIRS[5], speaker)
    for side, text in zip(("positive", "negative"), ENDINGS):
        alone = synthesizer.render(text, "female-1", 60, 150, leading_silence=0.0)
        assert (spoken[side].audio == alone.audio).all()


@pytest.mark.parametrize(
    ("pairs", "arguments", "message"),
    [
        ([PairText("x", "wsj", "", "", "", "a", "b")], {}, "Pair x is of an unknown task 'wsj'"),
        ([PAIRS[0], PAIRS[0]], {}, "The id swuggy-river stands for two"),
        (PAIRS, {"voices_per_pair": 2}, "voices_per_pair is 2; with one voices it must be from 1 to 1"),
        (PAIRS, {"voices": "two"}, "Unknown voices 'two'; choose from one, many"),
    ],
)
def test_what_cannot_be_rendered_is_refused_in_one_sentence(tmp_path, pairs, arguments, message):
    arguments = {"voices": "one", "rate": "fixed", "seed": 0, "stretch_factor": 1, **arguments}
    with pytest.raises(ValueError, match=message):
        render_pairs(pairs, tmp_path, **arguments)


def test_a_dataset_has_a_configuration_a_task_and_one_split(folder, tmp_path):
    for task, number in (("swuggy", 4), ("sblimp", 1), ("topic_sc", 2)):
        builder = MinimalPairs(str(tmp_path), config_name=task, data_dir=folder)
        builder.download_and_prepare()
        dataset = builder.as_dataset()
        assert list(dataset) == ["test"] and len(dataset["test"]) == number
        assert dataset["test"].features == FEATURES
        assert dataset["test"][0]["positive_audio"]["bytes"][:4] == b"fLaC"
        streamed = next(iter(builder.as_streaming_dataset(split="test")))
        assert streamed == dataset["test"][0]


def test_minimal_pairs_are_prepared_by_name_all_tasks_or_one(folder, tmp_path):
    rows = prepare("minimal_pairs", folder, tmp_path)
    assert list(rows) == ["test"] and rows["test"].features == FEATURES
    assert rows["test"]["task"] == 4 * ["swuggy"] + ["sblimp"] + 2 * ["topic_sc"]
    one = prepare("topic_sc", folder, tmp_path)["test"]
    assert one["id"] == rows["test"]["id"][-2:]
    for shard in shutil.copytree(folder, tmp_path / "fewer").glob("s*/*.parquet"):
        shard.unlink()
    assert prepare("minimal_pairs", tmp_path / "fewer", tmp_path)["test"]["id"] == one["id"]
    with pytest.raises(FileNotFoundError, match="no minimal pairs in .*; give the folder that holds those of swuggy"):
        prepare("minimal_pairs", tmp_path / "nowhere", tmp_path)


def test_a_dataset_of_an_unknown_task_or_without_shards_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no minimal pairs of 'wsj'; choose from swuggy, sblimp, topic_sc"):
        MinimalPairs(config_name="wsj")
    with pytest.raises(FileNotFoundError, match="swuggy"):
        MinimalPairs(str(tmp_path), config_name="swuggy", data_dir=tmp_path / "nowhere").download_and_prepare()
