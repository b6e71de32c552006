"""The report on quantizers: words cut where they are, and a tiny run from real synthesis to its pages."""

import csv
import json
import math
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile

from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
from evoslm.datasets_scripts.synthesis.utterances import render_utterances
from evoslm.datasets_scripts.text.passages import Passage
from evoslm.models.files import write_json
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel, fit_units
from evoslm.models.tokenizers.units import train_units_bpe
from evoslm.training.cli import main
from evoslm.training.run.study_file import FORMAT
from evoslm.training.unit_report.encoding import frames_of, spelled_alike
from evoslm.training.unit_report.measuring import _cut, _pieces, build_unit_report

WORDS = ("river", "garden", "sailor", "horse", "window", "silver", "butter", "monday", "pepper", "castle")


def cut(pieces, start, end):
    """The tokens of a word from its times in seconds."""
    return _cut(*pieces, *frames_of({"start": start, "end": end}, 50.0))


def test_a_word_has_the_tokens_of_its_frames():
    units = np.array([7, 7, 7, 3, 3, 5, 5, 5, 3])
    plain, collapsed = (_pieces(units, form, None) for form in ("units", "collapsed"))
    assert cut(plain, 0.04, 0.12) == [7, 3, 3, 5]
    assert collapsed[0].tolist() == [7, 3, 5, 3] and collapsed[1].tolist() == [0, 3, 5, 8]
    assert cut(collapsed, 0.04, 0.12) == [7, 3, 5]
    assert cut(collapsed, 0.06, 0.10) == [3]
    # A word shorter than a frame has one, and one at the end has what there is.
    assert cut(plain, 0.06, 0.061) == [3]
    assert cut(plain, 0.14, 0.40) == [5, 3]


def test_a_piece_across_two_words_is_of_both():
    tokenizer = train_units_bpe(["7 3 5 3"] * 50, num_units=10, vocab_size=26)
    assert tokenizer.tokenize("7 3 5 3") == ["▁7", "▁3▁5", "▁3"]
    ids, starts = _pieces(np.array([7, 7, 7, 3, 3, 5, 5, 5, 3]), "bpe", tokenizer)
    assert starts.tolist() == [0, 3, 8]
    for first, last, pieces in ((0, 3, [0]), (0, 5, [0, 1]), (5, 8, [1]), (5, 9, [1, 2])):
        assert cut((ids, starts), first / 50, last / 50) == ids[pieces].tolist()


def test_words_are_compared_by_their_letters():
    assert [spelled_alike(text) for text in ("River,", "“Don't", "well-known", "...")] == [
        "river",
        "don't",
        "wellknown",
        "",
    ]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Sentences of ten words in many voices."""
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(0)
    passages = []
    for index in range(60):
        split = ("train", "validation", "test")[max(0, index % 6 - 3)]
        sentence = " ".join(rng.choice(WORDS, 6)).capitalize() + "."
        passages.append(Passage(f"p{index}", f"d{index}", "t", split, (sentence,)))
    render_utterances(passages, folder, voices="many", progress=False)
    return folder


@pytest.fixture(scope="module")
def built(shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return folder, build_unit_report(shards, folder, num_units=30, bpe_vocab_size=80, max_frames=3000)


def test_there_is_a_row_for_every_quantizer_and_form(built):
    folder, report = built
    assert json.loads((folder / "unit_report.json").read_text()) == report
    rows = [(row["normalization"], row["form"], row["vocab_size"]) for row in report["rows"]]
    forms = (("units", 30), ("collapsed", 30), ("bpe", 80))
    assert rows == [(name, *form) for name in ("none", "speaker") for form in forms]
    assert report["measured"]["recordings"] == 30 and report["measured"]["words"] == len(WORDS)
    assert report["measured"]["word_tokens"] == 30 * 6


def test_the_figures_of_a_real_run_are_possible_and_in_order(built):
    for row in built[1]["rows"]:
        same, other = row["same_word_same_speaker"], row["other_word_other_speaker"]
        assert 0 <= same["value"] < row["same_word_other_speaker"]["value"] < other["value"] <= 1
        for name in ("abx_within_speaker", "abx_across_speaker"):
            assert 0 <= row[name]["low"] <= row[name]["value"] <= row[name]["high"] < 0.5
        assert 0 < row["pnmi"] < 1 and 0 < row["units_used"] <= 1
        assert "by_word" not in same and "correct" not in row["speaker_probe"]
    units, collapsed, pieces = built[1]["rows"][:3]
    assert units["tokens_per_second"] == pytest.approx(50)
    assert 50 > collapsed["tokens_per_second"] > pieces["tokens_per_second"]
    assert units["pnmi"] == pytest.approx(collapsed["pnmi"])


def test_units_are_measured_as_phones_where_these_are_known(built):
    folder, report = built
    for row in report["rows"]:
        assert ("many_to_one" in row) == (row["form"] != "collapsed")  # which has the phones of the units
    for row in (row for row in report["rows"] if row["form"] != "collapsed"):
        many, one = row["many_to_one"], row["one_to_one"]
        assert 0 < many["phone_error_rate"]["value"] < one["phone_error_rate"]["value"]
        assert many["phone_error_rate"]["low"] < many["phone_error_rate"]["value"] < many["phone_error_rate"]["high"]
        assert many["phones"] == one["phones"] > 500
        for scores in (many, one, row["unit_boundaries"]):
            assert 0 < scores["precision"] < 1 and 0 < scores["recall"] < 1 and scores["r_value"] < 1
            assert scores["over_segmentation"] == pytest.approx(scores["recall"] / scores["precision"] - 1)
        assert many["over_segmentation"] <= row["unit_boundaries"]["over_segmentation"]
    value = report["rows"][0]["many_to_one"]["phone_error_rate"]["value"]
    assert f"the units have a phone error rate of {100 * value:.1f} [" in (folder / "unit_report.md").read_text()


def test_phones_are_compared_by_abx_where_fastabx_is_installed(built):
    folder, report = built
    abx, page = report["phone_abx"], (folder / "unit_report.md").read_text()
    if find_spec("fastabx") is None:
        assert abx["rows"] == [] and "`pip install 'evoslm[abx]'` (Python 3.12 or later)" in abx["not_measured"]
        assert f"Phones were not compared by ABX. {abx['not_measured']}" in page
        return
    forms = [(row["normalization"], row["of"]) for row in abx["rows"]]
    assert forms == [(name, of) for name in ("none", "speaker") for of in ("features", "units")]
    for features, units in zip(abx["rows"][::2], abx["rows"][1::2]):
        assert 0 <= features["within_speaker"] <= units["within_speaker"] < 0.5
        assert features["across_speaker"] < units["across_speaker"] < 0.5
    assert f"{abx['triphones']} triphones were compared by fastabx" in page and "phone ABX across speakers" in page


def test_effects_are_differences_of_the_rows(built):
    rows, effects = built[1]["rows"], built[1]["effects"]
    assert {(effect["from_row"], effect["to_row"]) for effect in effects} == {(0, 1), (0, 2), (0, 3), (3, 4), (3, 5)}
    for effect in effects:
        values = [rows[effect[side]][effect["measure"]]["value"] for side in ("from_row", "to_row")]
        assert effect["points"] == pytest.approx(100 * (values[1] - values[0]))
        assert effect["points_low"] <= effect["points"] <= effect["points_high"]


def test_the_page_says_what_was_measured_and_shows_every_row(built):
    folder, report = built
    page = (folder / "unit_report.md").read_text()
    assert "30 recordings" in page and "half of the documents, drawn at random" in page
    assert page.count("| speaker | BPE pieces |") == 6 and "nan" not in page and "None" not in page
    value = report["rows"][0]["abx_across_speaker"]["value"]
    assert f"nearer to another word in {100 * value:.1f} % of cases" in page
    svg = (folder / "word_stability.svg").read_text()
    assert svg.startswith("<?xml") and "speaker, BPE pieces" in svg


def test_the_same_seed_gives_the_same_report(shards, built, tmp_path):
    again = build_unit_report(shards, tmp_path, num_units=30, bpe_vocab_size=80, max_frames=3000)
    assert again == built[1]


def test_a_quantizer_that_finds_syllables_is_measured_and_one_that_is_told_them_refused(shards, tmp_path):
    audio = [EspeakSynthesizer().render(" ".join(WORDS)).audio]
    fit_units([(audio, None)], 5, segment_parts=1, segmentation={}).save_pretrained(tmp_path / "model")
    arguments = {"normalizations": (), "bpe_vocab_size": 0}
    report = build_unit_report(shards, tmp_path / "report", tmp_path / "model", **arguments)
    units, collapsed = report["rows"]
    assert units["tokens_per_second"] == pytest.approx(50) and collapsed["tokens_per_second"] < 8
    SpeechUnitModel(SpeechUnitConfig(num_units=5, segment_parts=1)).save_pretrained(tmp_path / "told")
    with pytest.raises(ValueError, match="quantizes segments that it does not find"):
        build_unit_report(shards, tmp_path / "report", tmp_path / "told", **arguments)


def test_a_given_quantizer_is_measured_as_it_is_on_the_splits_asked_for(shards, tmp_path):
    audio = [EspeakSynthesizer().render(" ".join(WORDS)).audio]
    fit_units([(audio, None)], 20).save_pretrained(tmp_path / "model")
    report = build_unit_report(
        shards,
        tmp_path / "report",
        tmp_path / "model",
        normalizations=(),
        bpe_vocab_size=0,
        splits=("validation", "test"),
    )
    assert [(row["form"], row["vocab_size"]) for row in report["rows"]] == [("units", 20), ("collapsed", 20)]
    assert report["measured"]["recordings"] == 20
    page = (tmp_path / "report" / "unit_report.md").read_text()
    assert "the validation and test splits" in page and "The quantizer was given" in page


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Four recordings of all words by each of two speakers, at another rate, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("recordings")
    synthesizer, rows = EspeakSynthesizer(), []
    for speaker in ("male-1", "female-1"):
        for take in range(4):
            text = " ".join(np.random.default_rng(take).permutation(WORDS))
            rendering = synthesizer.render(text, speaker, pitch=40 + 5 * take)
            file = f"{speaker}-{take}.wav"
            soundfile.write(folder / file, np.repeat(rendering.audio, 2), 32_000)
            rows += [{"file": file, "speaker": speaker, **word} for word in rendering.words]
    (folder / "broken.wav").write_bytes(b"no sound")
    rows.append(rows[0] | {"file": "broken.wav"})
    return write_table(folder / "words.csv", rows)


def write_table(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_recordings_with_labels_in_a_table_are_measured_too(table, tmp_path, caplog):
    report = build_unit_report(table, tmp_path, num_units=20, bpe_vocab_size=0, max_frames=1000)
    assert "broken.wav is left out" in caplog.text
    assert report["measured"]["recordings"] == 4 and report["measured"]["speakers"] <= 2
    assert [row["normalization"] for row in report["rows"]] == ["none", "none", "speaker", "speaker"]
    # Nobody has said which phones there are.
    assert not {"pnmi", "many_to_one"} & set(report["rows"][0])
    assert report["phone_abx"] == {"rows": [], "not_measured": "The recordings have no phones."}
    page = (tmp_path / "unit_report.md").read_text()
    assert "| – | – | – |" in page and "Units as phones" not in page and "**Phone" not in page


def test_recordings_that_hold_nothing_are_counted_and_named(table, tmp_path):
    rows, folder = read_table(table), table.parent
    soundfile.write(folder / "no-samples.wav", np.zeros(0, np.int16), 16_000)
    soundfile.write(folder / "short.wav", np.zeros(100, np.int16), 16_000)
    whole = (folder / rows[0]["file"]).read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "piped.wav").write_bytes(whole[:40] + bytes(4) + whole[44:])  # its header says 0, and there are samples
    files = ("no-samples.wav", "short.wav", "cut.wav", "missing.wav", "piped.wav")
    changed = write_table(folder / "more.csv", rows + [rows[0] | {"file": file} for file in files])
    report = build_unit_report(changed, tmp_path, num_units=20, bpe_vocab_size=0, max_frames=1000)
    skipped = {entry["file"]: entry["reason"] for entry in report["measured"]["skipped"]}
    assert set(skipped) == {"broken.wav", "no-samples.wav", "short.wav", "cut.wav", "missing.wav"}
    assert skipped["no-samples.wav"] == "It has no samples." and "truncated" in skipped["cut.wav"]
    lines = (tmp_path / "skipped.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == report["measured"]["skipped"]
    assert "5 recordings were left out (broken.wav: " in (tmp_path / "unit_report.md").read_text()


def test_a_speaker_that_the_quantizer_does_not_know_is_measured_first(table, tmp_path):
    audio = [EspeakSynthesizer().render(" ".join(WORDS), "child-1").audio]
    fit_units([(audio, ["child-1"])], 20, normalization="speaker").save_pretrained(tmp_path / "model")
    report = build_unit_report(table, tmp_path / "report", tmp_path / "model", normalizations=(), bpe_vocab_size=0)
    assert report["rows"][0]["normalization"] == "speaker"
    assert not math.isnan(report["rows"][0]["other_word_same_speaker"]["value"])
    assert SpeechUnitModel.from_pretrained(tmp_path / "model").config.speakers == ["child-1"]


def test_what_the_recordings_are_too_short_for_is_left_out_and_named(table, tmp_path, monkeypatch):
    monkeypatch.setattr("evoslm.training.unit_report.measuring.PIECES_PER_UNIT", 500)
    rows, folder = read_table(table), table.parent
    for number in range(6):
        soundfile.write(folder / f"short-{number}.wav", np.random.default_rng(number).normal(0, 0.1, 16_000), 16_000)
        word = {"file": f"short-{number}.wav", "speaker": f"guest-{number}", "start": 0.1, "end": 0.5}
        rows.append(rows[0] | word)
    changed = write_table(folder / "guests.csv", rows)
    arguments = {"num_units": 20, "max_frames": 1000, "perturbed_recordings": 0}
    report = build_unit_report(changed, tmp_path, normalizations=("speaker", "none"), **arguments)
    assert [(row["normalization"], row["form"]) for row in report["rows"]] == [
        ("none", "units"),
        ("none", "collapsed"),
    ]
    speaker, pieces = report["left_out"]
    assert "normalised by speaker was left out: There are only 1.0 s of speaker 'guest-" in speaker
    assert "BPE pieces of units with normalisation none were left out: no 10000 of them" in pieces
    page = (tmp_path / "unit_report.md").read_text()
    assert speaker in page and pieces in page
    with pytest.raises(ValueError, match="choose --normalizations none: There are only 1.0 s of speaker"):
        build_unit_report(changed, tmp_path / "other", normalizations=("speaker",), **arguments)


def test_a_run_without_units_of_frames_names_those_that_it_has(tmp_path, capsys):
    write_json(tmp_path / "study.json", {"format": FORMAT, "voices": "many"})
    assert main(["unit-report", str(tmp_path)]) == 2
    assert f"{tmp_path} has no units; give the quantizer to be measured by --quantizer" in capsys.readouterr().err
    syllables = tmp_path / "units" / "speech_syllable" / "model"
    syllables.mkdir(parents=True)
    assert main(["unit-report", str(tmp_path)]) == 2
    assert f"{tmp_path} has no units of frames, only {syllables};" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [row | {"start": "soon"} for row in rows], "line 2: start and end have to be seconds"),
        (lambda rows: rows[:1] + [row | {"end": "nan"} for row in rows], "line 3: start and end have to be seconds"),
        (lambda rows: [row | {"start": "-inf"} for row in rows], "line 2: start and end have to be seconds"),
        (
            lambda rows: [row | {"speaker": str(index)} for index, row in enumerate(rows)],
            "has the speakers '0' and '1'",
        ),
        (lambda rows: [{"file": row["file"]} for row in rows], "has no column 'start', only file"),
        (lambda rows: rows[:10], "nothing to measure among 1 documents"),
        (lambda rows: [row | {"word": "..."} for row in rows], "have no words with times"),
    ],
)
def test_a_mistake_in_the_table_is_one_sentence(table, tmp_path, change, message):
    changed = write_table(table.parent / f"{tmp_path.name}.csv", change(read_table(table)))
    with pytest.raises(ValueError, match=message):
        build_unit_report(changed, tmp_path, num_units=5, bpe_vocab_size=0, max_frames=500)


def test_what_is_not_there_is_named(shards, table, tmp_path):
    for source, arguments, message in (
        (tmp_path / "nowhere", {}, "no folder of utterances and no CSV file at .*nowhere"),
        (tmp_path, {}, "no shards of utterances"),
        (shards, {"quantizer": tmp_path}, "no speech-unit model in"),
    ):
        with pytest.raises(FileNotFoundError, match=message):
            build_unit_report(source, tmp_path / "report", **arguments)
    with pytest.raises(ValueError, match="no split 'dev' to be measured; there are test, train, validation"):
        build_unit_report(shards, tmp_path / "report", splits=("dev",))
    with pytest.raises(ValueError, match="has no splits"):
        build_unit_report(table, tmp_path / "report", splits=("test",))
