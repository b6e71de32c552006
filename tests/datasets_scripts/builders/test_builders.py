"""The dataset builders: right rows, whatever the way they are read, and clear sentences where they cannot be."""

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evoslm.datasets_scripts.builders.by_name import BUILDERS, prepare, stream_contents, unit_contents
from evoslm.datasets_scripts.builders.phone_raw import PhoneRaw
from evoslm.datasets_scripts.builders.phone_repeat import PhoneRepeat
from evoslm.datasets_scripts.builders.phone_stretch import PhoneStretch
from evoslm.datasets_scripts.builders.utterances import Utterances
from evoslm.datasets_scripts.phones.frames import phone_content, repeat_content
from evoslm.datasets_scripts.phones.stretch import measure_stretch_factor
from evoslm.models.modalities import MODALITIES
from evoslm.models.speech_units.runs import collapse_runs

UNIT_MODALITIES = ("speech_units", "speech_dedup", "speech_bpe", "speech_syllable", "speech_syllable_unsupervised")
UNIT_MODALITIES += ("speech_duration_penalized",)


@pytest.fixture(autouse=True)
def quiet():
    datasets.disable_progress_bars()


@pytest.fixture
def corpus(tmp_path, tiny_utterances, tiny_units) -> dict:
    """A folder of utterances, one of units, and their rows."""
    utterances = tiny_utterances(tmp_path / "utterances")
    units = tiny_units(tmp_path / "units", utterances)
    return {
        "utterances": tmp_path / "utterances",
        "units": tmp_path / "units",
        "cache": tmp_path / "cache",
        "rows": {
            split: [row | unit_row for row, unit_row in zip(utterances[split], units[split])] for split in utterances
        },
    }


def data_dir(corpus: dict, name: str) -> str:
    return str(corpus["units" if name.startswith(UNIT_MODALITIES) else "utterances"])


def phones_of(row: dict) -> list[str]:
    return [phone["phone"] for phone in row["phones"]]


EXPECTED = {
    "text_bpe": lambda row: row["text"],
    "text_raw": lambda row: row["text"],
    "text_raw_no_space": lambda row: "".join(filter(str.isalnum, row["text"])),
    "phone_bpe": lambda row: phone_content(row["phones"]),
    "phone_raw": lambda row: phone_content(row["phones"]),
    "phone_stretch": lambda row: " ".join(phone for phone in phones_of(row) for _ in range(3)),
    "phone_repeat": lambda row: repeat_content(row["phones"], len(row["units"])),
    "speech_units": lambda row: " ".join(map(str, row["units"])),
    "speech_units_one_voice": lambda row: " ".join(map(str, row["units"])),
    "speech_units_synthetic": lambda row: " ".join(map(str, row["units"])),
    "speech_dedup": lambda row: " ".join(map(str, collapse_runs(row["units"]))),
    "speech_bpe": lambda row: " ".join(map(str, collapse_runs(row["units"]))),
    "speech_syllable": lambda row: " ".join(map(str, row["units"])),
    "speech_syllable_unsupervised": lambda row: " ".join(map(str, row["units"])),
    "speech_duration_penalized": lambda row: " ".join(map(str, collapse_runs(row["units"]))),
}


def test_every_modality_has_a_builder_and_an_expectation():
    assert set(MODALITIES) <= set(BUILDERS)
    assert set(MODALITIES) == set(EXPECTED)


@pytest.mark.parametrize("name", MODALITIES)
def test_rows_are_the_same_prepared_and_streamed(corpus, name):
    options = {"stretch_factor": 3} if name == "phone_stretch" else {}
    prepared = prepare(name, data_dir(corpus, name), corpus["cache"], **options)
    expected = {
        split: [{"id": row["id"], "content": EXPECTED[name](row)} for row in rows]
        for split, rows in corpus["rows"].items()
    }
    assert {split: list(rows) for split, rows in prepared.items()} == expected
    assert prepared["train"].features == {"id": datasets.Value("string"), "content": datasets.Value("string")}

    builder = BUILDERS[name](data_dir=data_dir(corpus, name), config_name=name, cache_dir=corpus["cache"], **options)
    streamed = builder.as_streaming_dataset()
    assert {split: list(rows) for split, rows in streamed.items()} == expected


@pytest.mark.parametrize("name", MODALITIES)
def test_contents_that_are_streamed_are_those_that_are_prepared_each_time(corpus, name):
    options = {"stretch_factor": 3} if name == "phone_stretch" else {}
    expected = {split: [EXPECTED[name](row) for row in rows] for split, rows in corpus["rows"].items()}
    contents = stream_contents(name, data_dir(corpus, name), corpus["cache"], **options)
    for _ in range(2):
        assert {split: list(stream) for split, stream in contents.items()} == expected
    assert not list(corpus["cache"].rglob("*.arrow"))


def test_contents_come_a_few_rows_at_a_time(corpus, monkeypatch):
    monkeypatch.setattr(BUILDERS["text_raw"], "rows_at_a_time", 1)
    shards = sorted(corpus["utterances"].glob("train-*.parquet"))
    contents = iter(stream_contents("text_raw", corpus["utterances"], corpus["cache"])["train"])
    assert next(contents) == corpus["rows"]["train"][0]["text"]
    shards[-1].unlink()  # not opened yet
    with pytest.raises((FileNotFoundError, ValueError)):
        list(contents)


def test_only_modalities_are_streamed(corpus):
    with pytest.raises(ValueError, match="utterances is no modality.*call prepare"):
        stream_contents("utterances", corpus["utterances"], corpus["cache"])
    with pytest.raises(FileNotFoundError, match="no folder"):
        stream_contents("text_raw", corpus["utterances"] / "nowhere", corpus["cache"])


def test_rows_do_not_depend_on_the_number_of_processes(corpus, tmp_path):
    one = prepare("phone_repeat", corpus["utterances"], tmp_path / "one")
    three = prepare("phone_repeat", corpus["utterances"], tmp_path / "three", num_proc=3)
    assert three["train"].to_list() == one["train"].to_list()


def test_phone_repeat_has_exactly_the_frames_of_the_units_of_the_same_audio(corpus):
    phones = prepare("phone_repeat", corpus["utterances"], corpus["cache"])
    units = prepare("speech_units", corpus["units"], corpus["cache"])
    for split in units:
        assert phones[split]["id"] == units[split]["id"]
        assert [len(content.split()) for content in phones[split]["content"]] == [
            len(content.split()) for content in units[split]["content"]
        ]


def test_phone_repeat_and_phone_stretch_collapse_back_to_phone_raw(corpus):
    raw, stretch, repeat = (
        prepare(name, corpus["utterances"], corpus["cache"]) for name in ("phone_raw", "phone_stretch", "phone_repeat")
    )
    factor = PhoneStretch(data_dir=corpus["utterances"], cache_dir=corpus["cache"]).config.stretch_factor
    for split in raw:
        for row in range(len(raw[split])):
            phones = raw[split][row]["content"].split()
            assert stretch[split][row]["content"].split()[::factor] == phones
            # A phone said twice ("big girl") is one run once it is repeated: nothing else is lost.
            assert collapse_runs(stretch[split][row]["content"].split()) == collapse_runs(phones)
            assert collapse_runs(repeat[split][row]["content"].split()) == collapse_runs(phones)


def test_the_stretch_factor_is_measured_on_the_training_split_and_kept_in_the_configuration(corpus):
    rows = corpus["rows"]["train"]
    mean = sum(len(row["units"]) for row in rows) / sum(len(row["phones"]) for row in rows)
    assert measure_stretch_factor(corpus["utterances"]) == round(mean)
    builder = PhoneStretch(data_dir=corpus["utterances"], cache_dir=corpus["cache"])
    assert builder.config.stretch_factor == round(mean)
    with pytest.raises(ValueError, match="stretch_factor has to be 1 or more"):
        PhoneStretch(data_dir=corpus["utterances"], cache_dir=corpus["cache"], stretch_factor=0)


def test_phone_repeat_has_the_frames_of_an_encoder_of_another_rate(corpus):
    faster = prepare("phone_repeat", corpus["utterances"], corpus["cache"], frame_samples=160)
    lengths = [len(content.split()) for content in faster["test"]["content"]]
    assert lengths == [2 * len(row["units"]) for row in corpus["rows"]["test"]]


def test_the_audio_column_is_never_read(corpus, tmp_path):
    for file in corpus["utterances"].iterdir():
        table = pq.read_table(file)
        pq.write_table(table.drop_columns(["audio"]), tmp_path / file.name)
    for name in ("text_bpe", "phone_raw", "phone_repeat"):
        assert prepare(name, tmp_path, tmp_path / "cache")["test"].num_rows == len(corpus["rows"]["test"])


def test_utterances_keep_their_columns_and_their_flac(corpus):
    builder = Utterances(corpus["cache"], data_dir=corpus["utterances"], config_name="one_fixed")
    builder.download_and_prepare(num_proc=2)
    rows = builder.as_dataset()
    for split, expected in corpus["rows"].items():
        assert rows[split].to_list() == [{k: v for k, v in row.items() if k != "units"} for row in expected]
    assert rows["train"].features["audio"] == datasets.Audio(sampling_rate=16_000, decode=False)
    streamed = list(builder.as_streaming_dataset(split="test"))
    assert streamed == rows["test"].to_list()


def test_utterances_are_prepared_by_their_name_and_condition(corpus, tmp_path, tiny_utterances):
    rows = prepare("utterances", corpus["utterances"], corpus["cache"])
    assert {split: list(rows[split]["id"]) for split in rows} == {
        split: [row["id"] for row in expected] for split, expected in corpus["rows"].items()
    }
    assert rows["test"][0]["audio"]["bytes"][:4] == b"fLaC"
    tiny_utterances(tmp_path / "rates", rates=(150, 200))
    assert prepare("utterances", tmp_path / "rates", corpus["cache"], rate="random").keys() == rows.keys()
    with pytest.raises(ValueError, match="more than one rate"):
        prepare("utterances", tmp_path / "rates", corpus["cache"])


@pytest.mark.parametrize(
    "configuration, data, column",
    [("one_fixed", {"speakers": ("base", "male-1")}, "speaker"), ("many_fixed", {"rates": (150, 200)}, "rate")],
)
def test_utterances_of_another_condition_are_refused(tmp_path, tiny_utterances, configuration, data, column):
    tiny_utterances(tmp_path / "utterances", **data)
    builder = Utterances(tmp_path / "cache", data_dir=tmp_path / "utterances", config_name=configuration)
    with pytest.raises(ValueError, match=f"more than one {column} .* not of the configuration {configuration}"):
        builder.download_and_prepare()


def test_prepared_rows_are_used_again_until_the_shards_change(tmp_path, tiny_utterances):
    folder, cache = tmp_path / "utterances", tmp_path / "cache"
    tiny_utterances(folder, seed=0)
    first = prepare("text_raw", folder, cache)
    assert prepare("text_raw", folder, cache)["train"].cache_files == first["train"].cache_files
    rows = tiny_utterances(folder, seed=1)
    assert prepare("text_raw", folder, cache)["train"]["content"] == [row["text"] for row in rows["train"]]


def test_configurations_say_what_they_are(tmp_path):
    assert [config.name for config in BUILDERS["speech_units"].BUILDER_CONFIGS] == [
        "speech_units",
        "speech_units_one_voice",
        "speech_units_random_rate",
        "speech_units_one_voice_random_rate",
        "speech_units_synthetic",
    ]
    info = BUILDERS["speech_units"](tmp_path, config_name="speech_units_one_voice_random_rate").info
    assert "one voice" in info.description and "rate of its own" in info.description
    assert str(info.version) == "1.0.0" and "2412.17048" in info.citation and not info.homepage


def test_units_of_pairs_become_the_contents_of_their_modality():
    assert unit_contents("speech_units", [[17, 17, 942], []]) == ["17 17 942", ""]
    assert unit_contents("speech_dedup", [[17, 17, 942, 17], [17], []]) == ["17 942 17", "17", ""]
    with pytest.raises(ValueError, match="text_bpe is not made of units"):
        unit_contents("text_bpe", [[1]])


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"There is no folder {tmp_path / 'nowhere'}"):
        prepare("phone_raw", tmp_path / "nowhere", tmp_path / "cache")
    with pytest.raises(ValueError, match="phone_raw needs data_dir"):
        PhoneRaw(tmp_path / "cache").download_and_prepare()
    with pytest.raises(ValueError, match="no dataset of 'phone_row'; choose from text_bpe"):
        prepare("phone_row", tmp_path, tmp_path / "cache")
    with pytest.raises(ValueError, match="no dataset of 'pairs'; choose from .*minimal_pairs, swuggy, .*utterances"):
        prepare("pairs", tmp_path, tmp_path / "cache")


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("phone_raw", "phone_stretch"):
        with pytest.raises(FileNotFoundError, match=r"no shards \(train-\*\.parquet, \.\.\.\) in .*empty"):
            prepare(name, tmp_path / "empty", tmp_path / "cache")


def test_a_shard_without_a_column_is_named(corpus):
    with pytest.raises(ValueError, match=r"train-00000-of-00001.parquet has no column 'phones', only id, units"):
        prepare("phone_raw", corpus["units"], corpus["cache"])


def test_half_a_shard_is_named(corpus):
    shard = corpus["utterances"] / "train-00001-of-00003.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(ValueError, match="train-00001-of-00003.parquet is not a whole parquet file"):
        prepare("phone_raw", corpus["utterances"], corpus["cache"])


def test_a_gap_between_shards_and_a_mix_of_two_sets_are_named(corpus):
    shard = corpus["utterances"] / "train-00001-of-00003.parquet"
    content = shard.read_bytes()
    shard.unlink()
    with pytest.raises(FileNotFoundError, match="Shard 1 of 3 is missing"):
        prepare("phone_raw", corpus["utterances"], corpus["cache"])
    shard.write_bytes(content)
    shard.with_name("train-00000-of-00004.parquet").write_bytes(content)
    with pytest.raises(ValueError, match="are of two sets of shards"):
        prepare("phone_raw", corpus["utterances"], corpus["cache"])


@pytest.mark.parametrize("num_proc", [None, 2])
def test_a_row_that_cannot_be_written_is_named(corpus, num_proc):
    shard = corpus["utterances"] / "train-00002-of-00003.parquet"
    table = pq.read_table(shard)
    duration = pa.array([0.04] * len(table))
    pq.write_table(table.set_column(table.column_names.index("duration"), "duration", duration), shard)
    message = r"train-00002-of-00003.parquet: utterance train-8: \d+ phones do not fit on 2 frames"
    with pytest.raises(ValueError, match=message):
        prepare("phone_repeat", corpus["utterances"], corpus["cache"], num_proc=num_proc)
    text = pa.array([None] * len(table), pa.string())
    pq.write_table(table.set_column(table.column_names.index("text"), "text", text), shard)
    with pytest.raises(ValueError, match="row train-8 has nothing in column 'text'"):
        prepare("text_bpe", corpus["utterances"], corpus["cache"], num_proc=num_proc)


def test_rows_without_symbols_become_empty_contents(tmp_path):
    schema = pa.schema({"id": pa.string(), "units": pa.list_(pa.uint16())})
    rows = [{"id": "a", "units": []}, {"id": "b", "units": [3, 3]}, {"id": "c", "units": []}]
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "train-00000-of-00001.parquet")
    for name, expected in (("speech_units", ["", "3 3", ""]), ("speech_dedup", ["", "3", ""])):
        assert prepare(name, tmp_path, tmp_path / "cache")["train"]["content"] == expected


def test_repeat_contents_are_read_from_any_part_of_a_shard(corpus, monkeypatch):
    """Batches that start in the middle of a column hold the rows that they say."""
    whole = prepare("phone_repeat", corpus["utterances"], corpus["cache"])["train"].to_list()
    monkeypatch.setattr(PhoneRepeat, "rows_at_a_time", 3)
    builder = PhoneRepeat(data_dir=corpus["utterances"], cache_dir=corpus["cache"])
    assert list(builder.as_streaming_dataset(split="train")) == whole


def test_a_split_without_rows_is_named(tmp_path):
    schema = pa.schema({"id": pa.string(), "units": pa.list_(pa.uint16())})
    for split, rows in (("train", [{"id": "a", "units": [1, 2]}]), ("test", [])):
        pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / f"{split}-00000-of-00001.parquet")
    with pytest.raises(ValueError, match=r"The shards test-\*.parquet in .* have no rows"):
        prepare("speech_units", tmp_path, tmp_path / "cache")
