"""The tab of units from elsewhere: what it says of a run's own units, of phones, of noise, and of bad files."""

import json
import math
from pathlib import Path

import gradio as gr
import numpy as np
import pyarrow.parquet as pq
import pytest
from doc_snippets import ROOT, read_snippets
from gradio_client import handle_file

from evoslm.models.speech_units.runs import collapse_runs
from evoslm.spaces.speech_continuation.known_utterances import find_utterances
from evoslm.spaces.speech_continuation.limits import MAX_UNIT_BYTES, MAX_UNIT_UTTERANCES, as_error
from evoslm.spaces.speech_continuation.unit_measures import Sequences, describe_units, measure_units
from evoslm.spaces.speech_continuation.units_tab import read_units, show_measures
from evoslm.training.cli import main


@pytest.fixture(scope="module")
def own(finished_run) -> dict[str, np.ndarray]:
    """The run's own units of its validation utterances."""
    shards = (finished_run / "units" / "speech_units" / "utterances").glob("validation-*.parquet")
    rows = [row for shard in shards for row in pq.read_table(shard).to_pylist()]
    return {row["id"]: np.array(row["units"], np.int64) for row in rows}


@pytest.fixture(scope="module")
def known(finished_run):
    """What the page of the run knows."""
    return find_utterances(finished_run)


def write_units(path: Path, units: dict) -> Path:
    rows = ({"file": name, "units": list(map(int, row))} for name, row in units.items())
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def ask(client, path: Path, rate: float = 0) -> dict:
    return client.predict(units=handle_file(str(path)), rate=rate, api_name="/measure_units")


@pytest.mark.parametrize("page", ["docs/space.md", "spaces/speech_continuation/README.md"])
def test_what_pages_say_of_programs_runs(client, own, tmp_path, monkeypatch, page):
    write_units(tmp_path / "units.jsonl", own)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gradio_client.Client", lambda address: client)
    (snippet,) = (item for item in read_snippets(ROOT / page) if item.language == "python")
    names = {}
    exec(compile(snippet.code, snippet.name, "exec"), names)
    assert [row["label"] for row in names["measures"]["rows"]][1] == "Phones, one a frame" and names["scores"]


def test_a_runs_own_units_are_measured_as_its_anchor_is(client, own, tmp_path):
    found = ask(client, write_units(tmp_path / "own.jsonl", {f"audio/{name}.wav": row for name, row in own.items()}))
    assert found["utterances"] == found["known"] == len(own) and found["rate"] == 50
    assert found["notes"] == [
        f"A fixed rate of 50 units a second was inferred from the lengths of {len(own)} utterances; if these units "
        "have none, what is said of words means nothing."
    ]
    assert ask(client, tmp_path / "own.jsonl", rate=50)["notes"] == []
    yours, phones, anchor = found["rows"]
    assert [row["label"] for row in found["rows"][1:]] == ["Phones, one a frame", "Speech-MFCC of this run"]
    assert {**yours, "label": ""} == {**anchor, "label": ""}
    tokens = sum(map(len, own.values()))
    _, counts = np.unique(np.concatenate(list(own.values())), return_counts=True)
    entropy = -(counts / tokens * np.log2(counts / tokens)).sum()
    assert yours["tokens"] == tokens and yours["bits"] == pytest.approx(entropy)
    assert yours["bits_per_second"] == pytest.approx(entropy * yours["tokens_per_second"])
    assert yours["run"] == pytest.approx(tokens / sum(len(collapse_runs(row)) for row in own.values()))
    same, other = (phones["stability"][f"{kind}_word_other_speaker"]["value"] for kind in ("same", "other"))
    assert same < 0.3 < 0.8 < other  # phones of a word are alike whoever says it


def test_random_units_keep_no_word(own, known):
    random = np.random.default_rng(0)
    found = measure_units({name: random.integers(0, 200, len(row)) for name, row in own.items()}, 0, known)
    yours, phones = (row["stability"] for row in found["rows"][:2])
    same, other = (yours[f"{kind}_word_other_speaker"] for kind in ("same", "other"))
    assert abs(same["value"] - other["value"]) < 0.05 and same["value"] > 0.85
    assert 0.4 < yours["abx_across_speaker"]["value"] < 0.7
    assert found["rows"][0]["bits"] > found["rows"][1]["bits"] and found["rows"][0]["recurring"] < 0.01
    assert found["rows"][1]["recurring"] > 0.1 and phones["abx_across_speaker"]["value"] < 0.2


def test_what_is_not_one_a_frame_has_bits_and_no_words(client, own, tmp_path):
    runs = {name: collapse_runs(row) for name, row in own.items()}
    found = ask(client, write_units(tmp_path / "runs.jsonl", runs))
    assert found["rate"] is None and "not one a frame" in found["notes"][0]
    assert found["rows"][0]["run"] == 1 and found["rows"][0]["tokens_per_second"] < 45
    assert all("stability" not in row for row in found["rows"])
    with pytest.raises(Exception, match="frames at 50 Hz; give the rate of its ids, or 0"):
        ask(client, tmp_path / "runs.jsonl", rate=50)


def test_units_at_half_the_rate_are_found_to_be_so(own, known):
    found = measure_units({name: row[::2] for name, row in own.items()}, 0, known)
    assert found["rate"] == 25 and "stability" in found["rows"][0]


@pytest.mark.parametrize("rate", [5, 12.5, 25])
def test_slow_units_have_words_only_where_their_lengths_fit_one_rate(known, rate):
    whole = {each.name: np.arange(math.ceil(each.seconds * rate)) % 7 for each in known.some()}
    assert "stability" in measure_units(whole, rate, known)["rows"][0]
    if rate > 5:  # a rate that many tokenizers have
        assert "stability" in measure_units(whole, 0, known)["rows"][0]
    varying = {name: np.arange(len(row) + (-1) ** place) % 7 for place, (name, row) in enumerate(whole.items())}
    found = measure_units(varying, 0, known)
    assert found["rate"] is None and "stability" not in found["rows"][0]
    assert "not one a frame of a fixed rate" in found["notes"][0]


def test_no_rate_is_inferred_from_one_utterance(own, known):
    name = next(iter(own))
    found = measure_units({name: own[name]}, 0, known)
    assert found["rate"] is None and "one utterance does not show" in found["notes"][0]
    assert "stability" not in found["rows"][0] and found["rows"][0]["tokens_per_second"] == pytest.approx(50, rel=0.05)
    assert measure_units({name: own[name]}, 50, known)["rate"] == 50


def test_utterances_that_nobody_knows_have_bits_a_unit_and_anchors_of_others(client, own, tmp_path):
    path = write_units(tmp_path / "foreign.jsonl", {f"foreign-{name}": row for name, row in own.items()})
    found = ask(client, path)
    assert found["known"] == 0 and found["rate"] is None and "None of these names" in found["notes"][0]
    assert found["rows"][0]["bits_per_second"] is None and found["rows"][0]["bits"] > 0 and len(found["rows"]) == 3
    assert ask(client, path, rate=50)["rows"][0]["tokens_per_second"] == pytest.approx(50)
    some = measure_units(own | {"foreign": np.arange(9)}, 0, find_utterances(None))
    assert "knows no utterances" in some["notes"][0] and len(some["rows"]) == 1


def test_part_of_the_names_may_be_known(own, known):
    found = measure_units(own | {"foreign": np.zeros(10, np.int64)}, 0, known)
    assert found["known"] == len(own) and f"knows {len(own)} of {len(own) + 1}" in found["notes"][0]
    assert "stability" in found["rows"][0]


def test_exported_audio_has_the_names_that_the_page_knows(finished_run, known, tmp_path):
    assert main(["export-audio", str(finished_run), "--to", str(tmp_path / "audio"), "--num_proc", "1"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "audio" / "files.jsonl").read_text().splitlines()]
    names = [row["file"] for row in rows if row["path"].startswith("utterances/")]
    in_run = sum(pq.read_metadata(path).num_rows for path in (finished_run / "corpus/utterances").glob("*.parquet"))
    assert len(known.find(names)) == in_run and not known.find({"nobody"})
    seconds = {row["file"]: row["seconds"] for row in rows}
    for utterance in known.some():
        assert utterance.seconds == pytest.approx(seconds[utterance.name], abs=0.01)


def test_recurrence_is_of_other_utterances():
    again = Sequences("", [[1, 2, 3, 4], [1, 1, 2, 3, 3, 4], [4, 3, 2, 1]], 1.0)
    assert describe_units(again)["recurring"] == pytest.approx(2 / 3)
    assert describe_units(Sequences("", [[1, 2, 3, 4, 1, 2, 3, 4]], 1.0))["recurring"] is None


def test_names_and_notes_are_text_on_the_page(own, known):
    found = measure_units(own, 0, known)
    found["rows"][0]["label"], found["notes"] = "<script>", ["<b>"]
    html = show_measures(found)
    assert "<script>" not in html and "&lt;script&gt;" in html and "<b>" not in html
    assert html.count("<table") == 2 and "50 is chance" in html


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file has no rows"),
        (b"{", "Line 1 of The file is no JSON"),
        (b'{"units": [1]}\n', 'Line 1 of The file is not {"file"'),
        (b'{"file": "a", "units": []}\n', "no ids"),
        (b'{"file": "a", "units": [1.5]}\n', "ids are whole numbers"),
        (b'{"file": "a", "units": [-1]}\n', "the id -1"),
        (b'{"file": "a", "units": [[1], [1, 2]]}\n', "rows of different lengths"),
        (b'{"file": "a", "units": [99999999999999999999999]}\n', "ids are whole numbers"),
        (b'{"file": "a", "units": [70000]}\n', "at most 65536"),
        (b'{"file": "a", "units": "17 17"}\n', "one row"),
        (b'{"file": "a", "units": null}\n', "gives nothing"),
        (b'{"file": 7, "units": [1]}\n', "`file` is 7"),
        (b'{"file": "a", "units": [1]}\n{"file": "a.wav", "units": [1]}\n', "'a' twice"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"[" * 100_000, "lists in lists"),
        (b'{"file": "%d", "units": [1]}\n', f"more than {MAX_UNIT_UTTERANCES}"),
        (b" " * (MAX_UNIT_BYTES + 1), "more than 2 MB"),
    ],
)
def test_what_is_no_table_of_units_is_said_in_a_sentence(tmp_path, content, message):
    path = tmp_path / "units.jsonl"
    if b"%d" in content:
        content = b"".join(content % number for number in range(MAX_UNIT_UTTERANCES + 1))
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_units(str(path))
    assert message in str(error.value) and str(tmp_path) not in str(error.value)
    assert isinstance(as_error(error.value), gr.Error)


def test_a_file_that_is_missing_or_of_another_kind_is_said(client, tmp_path):
    for path, message in [(None, "Upload a JSONL"), (str(tmp_path / "gone.jsonl"), "no longer here")]:
        with pytest.raises(ValueError, match=message):
            read_units(path)
    (tmp_path / "units.txt").write_text('{"file": "<b>", "units": [1]}\n')
    with pytest.raises(Exception, match=r"(?i)jsonl"):
        ask(client, tmp_path / "units.txt")
    (tmp_path / "bad.jsonl").write_text('{"file": "<b>", "units": [-1]}\n')
    with pytest.raises(Exception, match="&lt;b&gt;"):
        ask(client, tmp_path / "bad.jsonl")
    with pytest.raises(Exception, match="rate"):
        ask(client, write_units(tmp_path / "good.jsonl", {"a": [1, 2]}), rate=-1)
