"""The challenge's items become rows like the project's own, and what is no item is named."""

import io
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from zerospeech_layout import SENTENCES, VOICES, WORDS, make_layout, read_gold_rows, write_gold

from evoslm.datasets_scripts.builders.minimal_pairs import MinimalPairs
from evoslm.datasets_scripts.pairs.published.zerospeech_2021 import build_zerospeech2021, frequency_band
from evoslm.datasets_scripts.pairs.rendering import PAIR_SCHEMA
from evoslm.datasets_scripts.phones.alphabets import find_alphabet, read_phone_table, to_arpabet
from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return make_layout(tmp_path_factory.mktemp("zerospeech"))


@pytest.fixture(scope="module")
def built(layout, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    return folder, build_zerospeech2021(layout, folder, stretch_factor=2, progress=False)


def read_rows(folder):
    return [row for shard in sorted(folder.rglob("test-*.parquet")) for row in pq.read_table(shard).to_pylist()]


def change_gold(layout, target, change):
    """A copy of the layout whose lexical rows are changed."""
    shutil.copytree(layout, target)
    path = target / "lexical" / "dev" / "gold.csv"
    write_gold(path, change(read_gold_rows(path)))
    return target


def test_every_pair_of_id_and_voice_is_one_row_with_the_projects_columns(built):
    folder, summary = built
    shard = next((folder / "swuggy").glob("*.parquet"))
    assert pq.read_schema(shard).remove_metadata().equals(PAIR_SCHEMA)
    expected = {"pairs": 6, "rows": 6, "skipped": 0, "without_text": 0, "without_phones": 0}
    assert summary == {"swuggy": expected, "sblimp": expected}
    rows = read_rows(folder / "swuggy")
    assert [(row["id"], row["cluster"], row["voice"]) for row in rows[:2]] == [
        ("lexical-dev-0", "lexical-dev-0", voice) for voice in VOICES
    ]
    assert {(row["positive_text"], row["negative_text"]) for row in rows} == {words[:2] for words in WORDS}


def test_the_metrics_own_dataset_reads_them(built, tmp_path):
    builder = MinimalPairs(str(tmp_path), data_dir=built[0], config_name="swuggy")
    builder.download_and_prepare()
    assert builder.as_dataset(split="test")["positive_text"][:1] == ["river"]


def test_audio_of_any_rate_and_channels_becomes_16_khz_mono_flac(built, layout):
    for row in read_rows(built[0]):
        for side in ("positive", "negative"):
            info = soundfile.info(io.BytesIO(row[f"{side}_audio"]["bytes"]))
            assert (info.format, info.samplerate, info.channels) == ("FLAC", 16_000, 1)
            name = row[f"{side}_audio"]["path"].removesuffix(".flac")
            original = soundfile.info(next(layout.rglob(f"{name}.wav")))
            assert abs(info.duration - original.duration) < 0.001
        assert row["context_audio"] is None
    row = read_rows(built[0] / "swuggy")[0]  # it was in stereo
    decoded, _ = soundfile.read(io.BytesIO(row["positive_audio"]["bytes"]))
    spoken = EspeakSynthesizer().render("river", VOICES[0]).audio / 2**15
    assert np.corrcoef(decoded, spoken[: len(decoded)])[0, 1] > 0.99


def test_phones_are_golds_with_an_utterances_edges_and_none_has_a_made_up_duration(built):
    rows = {row["positive_text"]: row for row in read_rows(built[0])}
    assert rows["garden"]["positive_phones"] == "SIL G AA1 R D AH0 N SIL"
    assert rows["garden"]["negative_phones"] == "SIL G AA1 R D AH0 L SIL"
    assert rows["river"]["positive_phones_stretch"].split()[:4] == ["SIL", "SIL", "R", "R"]
    for row in rows.values():
        assert all(row[f"{side}_phones_repeat"] is None for side in ("context", "positive", "negative"))
        assert row["rate"] is None and row["context_phones"] == ""


def test_sentences_are_pronounced_as_utterances_are(built):
    sentence = SENTENCES[0][2]
    row = next(row for row in read_rows(built[0] / "sblimp") if row["positive_text"] == sentence)
    spoken = " ".join(phone["phone"] for phone in EspeakSynthesizer().render(sentence).phones)
    assert row["positive_phones"] == spoken
    assert (row["id"], row["group"], row["band"]) == (
        "syntactic-dev-agreement-plural-0",
        "agreement/plural",
        "",
    )


def test_bands_begin_where_the_challenges_scorer_lets_them(built):
    assert {row["positive_text"]: row["group"] for row in read_rows(built[0] / "swuggy")} == {
        "river": "oov",
        "garden": "6-20",
        "sailor": ">100",
    }
    bands = {0: "oov", 1: "1-5", 4: "1-5", 5: "6-20", 19: "6-20", 20: "21-100", 99: "21-100", 100: ">100"}
    assert {frequency: frequency_band(frequency) for frequency in bands} == bands
    assert frequency_band(float("nan")) == ""


def test_pseudo_words_without_a_spelling_leave_speech_and_phones(tmp_path):
    layout = make_layout(tmp_path / "zerospeech", "test", spelled=False)
    summary = build_zerospeech2021(layout, tmp_path / "pairs", "test", ("lexical",), progress=False)
    assert summary["swuggy"] == {"pairs": 6, "rows": 6, "skipped": 0, "without_text": 6, "without_phones": 0}
    row = read_rows(tmp_path / "pairs")[0]
    assert row["positive_text"] is None and row["negative_text"] is None
    assert row["negative_phones"] == "SIL R IH1 B ER0 SIL" and row["negative_phones_stretch"] is None


def test_words_without_phones_are_espeaks_on_both_sides(layout, tmp_path):
    def without_a_pseudo_words_phones(rows):
        return [row | {"phones": "" if row["word"] == "riber" else row["phones"]} for row in rows]

    changed = change_gold(layout, tmp_path / "zerospeech", without_a_pseudo_words_phones)
    build_zerospeech2021(changed, tmp_path / "pairs", tasks=("lexical",), progress=False)
    rows = {row["positive_text"]: row for row in read_rows(tmp_path / "pairs")}
    for side, word in (("positive", "river"), ("negative", "riber")):
        assert rows["river"][f"{side}_phones"].split()[1:-1] == list(EspeakSynthesizer().pronounce([word])[0])
    assert rows["garden"]["positive_phones"] == "SIL G AA1 R D AH0 N SIL"


def test_what_is_no_pair_is_named_and_skipped(layout, tmp_path):
    def break_rows(rows):
        rows = [row for row in rows if row["filename"] != "mriber"]
        return rows + [row | {"filename": "again"} for row in rows if row["filename"] == "fsailor"]

    changed = change_gold(layout, tmp_path / "zerospeech", break_rows)
    (changed / "lexical" / "dev" / "mgarden.wav").write_bytes(b"no sound")
    (changed / "lexical" / "dev" / "ffailor.wav").unlink()
    summary = build_zerospeech2021(
        changed, tmp_path / "pairs", tasks=("lexical",), max_skipped_fraction=0.5, progress=False
    )
    assert (summary["swuggy"]["rows"], summary["swuggy"]["skipped"]) == (3, 3)
    lines = (tmp_path / "pairs" / "swuggy" / "skipped.jsonl").read_text().splitlines()
    reasons = [json.loads(line)["reason"] for line in lines]
    assert reasons[0] == "1 correct and 0 incorrect rows in the voice 'male-1': mriver."
    assert reasons[1].startswith("The recording mgarden.wav cannot be read: ")
    assert reasons[2] == "2 correct and 1 incorrect rows in the voice 'female-1': fsailor, again, ffailor."
    with pytest.raises(ValueError, match="3 of 6 items were skipped.*max_skipped_fraction=0.05"):
        build_zerospeech2021(changed, tmp_path / "strict", tasks=("lexical",), progress=False)


def test_shards_do_not_depend_on_processes_or_places(layout, built, tmp_path):
    moved = shutil.copytree(layout, tmp_path / "elsewhere")
    build_zerospeech2021(moved, tmp_path / "pairs", stretch_factor=2, num_proc=2, progress=False)
    for shard in built[0].rglob("*.parquet"):
        assert (tmp_path / "pairs" / shard.relative_to(built[0])).read_bytes() == shard.read_bytes()


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        (lambda rows: [row | {"phones": "R IH V ʘ"} for row in rows], {}, ValueError, "The symbol 'ʘ' .* phone_table"),
        (lambda rows: [row | {"correct": 2} for row in rows], {}, ValueError, "says '2' in the column 'correct'"),
        (lambda rows: [row | {"frequency": "often"} for row in rows], {}, ValueError, "'often' .* 'frequency'"),
        (lambda rows: [{"id": row["id"]} for row in rows], {}, ValueError, "has no column 'voice', only id"),
        (lambda rows: rows, {"split": "test"}, FileNotFoundError, "There is no .*lexical/test/gold.csv"),
        (lambda rows: rows, {"split": "train"}, ValueError, "no split 'train'; choose from dev, test"),
        (lambda rows: rows, {"phone_table": "nowhere.json"}, FileNotFoundError, "no table of phones at nowhere.json"),
    ],
)
def test_a_mistake_is_named_before_any_audio_is_read(layout, tmp_path, change, arguments, error, message):
    changed = change_gold(layout, tmp_path / "zerospeech", change)
    with pytest.raises(error, match=message):
        build_zerospeech2021(changed, tmp_path / "pairs", progress=False, **arguments)
    assert not (tmp_path / "pairs").exists()


@pytest.mark.parametrize(
    ("pronunciation", "phones"),
    [
        ("AE2 B D AH1 K T", "AE2 B D AH1 K T"),
        ("y uw jh ah n", "Y UW1 JH AH0 N"),
        ("ˌæbdˈʌkt", "AE2 B D AH1 K T"),
        ("ə b aʊ t", "AH0 B AW1 T"),  # a schwa is not what unwritten stress falls on
        ("t͡ʃ ɛ ɹ i", "CH EH1 R IY0"),
        ("jɛloʊ", "Y EH1 L OW0"),
        ("ˈbɜːd.wɒtʃ", "B ER1 D W AA0 CH"),
    ],
)
def test_arpabet_and_ipa_are_read(pronunciation, phones):
    assert to_arpabet(pronunciation, find_alphabet([pronunciation])) == tuple(phones.split())


def test_a_symbol_of_ones_own_comes_first(tmp_path):
    (tmp_path / "table.json").write_text('{"AX": "AH0", "ɵ": "UH OW"}', encoding="utf-8")
    table = read_phone_table(tmp_path / "table.json")
    assert to_arpabet("AE1 B AX", find_alphabet(["AE1 B AX"], table)) == ("AE1", "B", "AH0")
    assert to_arpabet("bɵt", find_alphabet(["bɵt"], table)) == ("B", "UH1", "OW0", "T")
    with pytest.raises(ValueError, match="The symbol 'AX' of the pronunciation 'AE1 B AX'"):
        find_alphabet(["AE1 B AX"])
    with pytest.raises(ValueError, match="maps 'ɵ' to 'UU', which is no phone"):
        read_phone_table({"ɵ": "UU"})
