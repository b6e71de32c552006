"""The page's parts and its endpoints, with the models of a tiny study: what is asked, what comes back, and when."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import soundfile
from gradio_client import handle_file

import evoslm
from evoslm.models.modalities import JOINT, MODALITIES
from evoslm.models.pipelines.outputs import ContinuationChunk
from evoslm.spaces.speech_continuation import continuing, serving
from evoslm.spaces.speech_continuation.catalog import SAYS, ModelEntry, read_catalog
from evoslm.spaces.speech_continuation.continue_tab import read_request
from evoslm.spaces.speech_continuation.continuing import Event, continue_prompt
from evoslm.spaces.speech_continuation.limits import Drawing, read_prompt
from evoslm.spaces.speech_continuation.result_columns import make_columns, update_column
from evoslm.spaces.speech_continuation.shelf import PipelineShelf
from evoslm.spaces.speech_continuation.study_tab import read_report
from evoslm.spaces.speech_continuation.timeline import draw_timeline
from evoslm.training.cli import main

SHORT = {"num_continuations": 1, "seconds": 1.0}


@pytest.fixture(scope="module")
def catalog(finished_run):
    """What the page offers."""
    return read_catalog(finished_run)


@pytest.fixture(scope="module")
def recording(catalog, tmp_path_factory) -> Path:
    """The first example, as a file."""
    path = tmp_path_factory.mktemp("recording") / "prompt.wav"
    soundfile.write(path, catalog.examples[0].audio, 16_000)
    return path


def test_models_of_a_run_are_listed_from_text_to_speech_and_said_in_a_line(client):
    models = client.predict(api_name="/list_models")
    firsts = list(dict.fromkeys(model["modality"] for model in models))
    assert firsts == [name for name in MODALITIES if name in firsts] and len(firsts) > 6
    assert models[0]["model"] == "text_bpe/seed-0"
    assert all(model["alphabet"].endswith(".") and len(model["alphabet"]) < 110 for model in models)
    assert set(SAYS) == {*MODALITIES, JOINT.name}


def test_a_text_is_continued_by_models_side_by_side(client, finished_run):
    models = ["text_bpe/seed-0", "phone_raw/seed-0", "speech_units/seed-0"]
    asked = {"text": "The old man", "audio": None, "models": models, **SHORT, "seed": 3}
    files, records = client.predict(**asked, api_name="/continue")
    assert [record["model"] for record in records] == models
    for record in records:
        assert len(record["tokens"]) == len(record["log_likelihoods"]) == len(record["starts"]) > 0
        assert max(record["log_likelihoods"]) <= 0 and record["starts"] == sorted(record["starts"])
        assert soundfile.info(files[record["file"]]).duration == pytest.approx(record["seconds"], abs=1e-3)
        assert record["seconds"] <= 1.05
    assert records[0]["text"] == records[0]["content"].strip()
    pipe = evoslm.pipeline("speech-continuation", finished_run / "models" / "text_bpe" / "seed-0")
    (alone,) = pipe("The old man", max_seconds=1.0, seed=3)
    assert alone.content == records[0]["content"]


def test_a_sound_is_continued_by_models_of_sound_and_refused_by_others(client, recording):
    models = ["phone_raw/seed-0", "speech_units/seed-0"]
    asked = {"text": "", "audio": handle_file(str(recording)), "models": models, **SHORT}
    _, (continued, refused) = client.predict(**asked, api_name="/continue")
    assert continued["model"] == "speech_units/seed-0" and continued["content"]
    assert refused["model"] == "phone_raw/seed-0" and refused["refusal"].endswith(".")
    with pytest.raises(Exception, match="Phone-Raw: "):
        client.predict(**asked | {"models": models[:1]}, api_name="/continue")


def test_a_pair_is_scored_by_every_modality_token_by_token(client, finished_run):
    models = [model["model"] for model in client.predict(api_name="/list_models") if model["model"].endswith("-0")]
    scores = client.predict("The dogs are hungry.", "The dogs is hungry.", models, api_name="/score_pair")
    assert [score["model"] for score in scores] == models
    for score in scores:
        first, second = score["first"], score["second"]
        assert first["total"] == pytest.approx(sum(first["log_likelihoods"]))
        assert score["difference"] == pytest.approx(first["total"] - second["total"])
        assert score["prefers"] == ("first" if score["difference"] > 0 else "second")
        assert len(first["tokens"]) == len(first["log_likelihoods"])
    pipe = evoslm.pipeline("speech-continuation", finished_run / "models" / "phone_bpe" / "seed-0")
    score = next(score for score in scores if score["model"] == "phone_bpe/seed-0")
    assert score["first"]["total"] == pytest.approx(pipe.score("The dogs are hungry.").total, abs=1e-4)


def test_the_endpoints_are_named_and_described(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == {"/continue", "/score_pair", "/measure_units", "/list_models"}
    names = [parameter["parameter_name"] for parameter in endpoints["/continue"]["parameters"]]
    assert names == ["text", "audio", "models", "num_continuations", "seconds", "temperature", "top_p", "seed"]
    assert all(endpoint["description"] for endpoint in endpoints.values())


def test_a_continuation_is_told_as_it_is_made_and_ends_where_nobody_asks(catalog):
    shelf = PipelineShelf("cpu")
    entries = catalog.find(["text_bpe/seed-0", "speech_units/seed-0"])
    events = continue_prompt(shelf, entries, "The old man", Drawing(max_seconds=15))
    kinds = [(event.column, event.kind) for event, _ in zip(events, range(3))]
    assert kinds[:2] == [(0, "loading"), (0, "prompt")]
    events.close()
    assert shelf.lock.acquire(blocking=False) and len(shelf) == 1  # the second model was never loaded
    shelf.lock.release()


def test_a_long_continuation_is_heard_in_its_column_before_it_ends(catalog, monkeypatch):
    monkeypatch.setattr(continuing, "FIRST_SOUND", 0.0)  # however fast the machine is
    entries = catalog.find(["phone_repeat/seed-0", "speech_units_one_voice/seed-0"])
    with gr.Blocks():
        columns = make_columns()
    begun, ended = {}, {}
    for event in continue_prompt(PipelineShelf("cpu"), entries, "The old man", Drawing(4, 6.0, seed=1)):
        if event.kind not in ("sound", "done"):
            continue
        changes = update_column(columns[event.column], event, entries[event.column])
        audio = changes[columns[event.column].results[event.number].audio]
        if event.kind == "sound":
            assert event.column not in begun and (event.column, event.number) not in ended
            begun[event.column] = event.number, audio
        else:
            ended[event.column, event.number] = audio
    assert set(begun) == {0, 1} and len(ended) == 8
    for column, (number, beginning) in begun.items():
        whole = ended[column, number]
        assert beginning["label"] == f"{whole['label']}, its beginning"
        (rate, first), (_, samples) = beginning["value"], whole["value"]
        assert rate <= len(first) < len(samples) and np.array_equal(first, samples[: len(first)])


def test_what_ends_at_once_keeps_no_other_from_being_heard_early(monkeypatch):
    monkeypatch.setattr(continuing, "FIRST_SOUND", 0.0)
    ended, long = np.zeros(160, np.float32), np.zeros(16_000, np.float32)
    chunks = [(0, ended, "end"), (1, long, None), (1, long, "limit")]
    pipeline = SimpleNamespace(
        encode=lambda prompt: SimpleNamespace(
            audio=long, sampling_rate=16_000, tokens=[], starts=[], resynthesized=None
        ),
        stream=lambda *_, **__: (make_chunk(*chunk) for chunk in chunks),
        modality=MODALITIES["text_raw"],
        is_joint=False,
    )
    shelf = PipelineShelf("cpu", load=lambda source, device: pipeline)
    events = continue_prompt(shelf, [ModelEntry("a", "a", "A", "text_raw")], "The", Drawing())
    kinds = [(event.kind, event.number) for event in events]
    assert kinds == [("loading", 0), ("prompt", 0), ("done", 0), ("sound", 1), ("done", 1)]


def make_chunk(index: int, audio: np.ndarray, stop_reason: str | None) -> ContinuationChunk:
    return ContinuationChunk(index, audio, 16_000, "a", ["a"], [1], [-1.0], [0.0], stop_reason)


def test_models_are_loaded_when_asked_for_and_the_oldest_goes():
    loaded = []
    shelf = PipelineShelf("cpu", capacity=2, load=lambda source, device: loaded.append(source) or object())
    a, b, c = (ModelEntry(name, name, name, "text_bpe") for name in "abc")
    assert shelf.get(a) is shelf.get(a) and shelf.get(b) and shelf.get(a) and shelf.get(c)
    assert loaded == ["a", "b", "c"] and a in shelf and b not in shelf and len(shelf) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": " "}, "Type the beginning of a sentence"),
        ({"text": "?!"}, "has no words"),
        ({"text": "a" * 401}, "has 401 characters, more than 400"),
        ({"models": []}, "Choose at least one model"),
        ({"models": ["<b>"]}, "There is no model '&lt;b&gt;' here"),
        ({"models": [f"{name}/seed-0" for name in ("text_bpe", "text_raw", "phone_raw", "phone_bpe")]}, "more than 3"),
        ({"num_continuations": 5}, "whole number from 1 to 4"),
        ({"num_continuations": 1.5}, "whole number from 1 to 4"),
        ({"seconds": -1}, "The length in seconds has to be a number from 0.5 to 15"),
        ({"seconds": float("nan")}, "The length in seconds"),
        ({"temperature": "hot"}, "The temperature"),
        ({"top_p": 0}, "Top-p"),
        ({"seed": -1}, "The seed"),
        ({"seed": 10**400}, "The seed"),
        ({"temperature": 10**400}, "The temperature"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_loaded(catalog, change, message):
    usual = {"text": "The old man", "audio": None, "models": ["text_bpe/seed-0"], **SHORT}
    usual |= {"temperature": 1.0, "top_p": 0.95, "seed": 0}
    with pytest.raises(gr.Error) as error:
        read_request(catalog, **usual | change)
    assert message in error.value.message


def test_only_sounds_of_a_sensible_length_are_prompts(recording, tmp_path):
    assert read_prompt("", str(recording)) == recording
    with pytest.raises(ValueError, match="clear one of them"):
        read_prompt("The", str(recording))
    empty, zipped, long = (tmp_path / name for name in ("empty.wav", "zip.wav", "long.wav"))
    empty.touch()
    zipped.write_bytes(b"PK\x03\x04" + bytes(60))
    soundfile.write(long, np.zeros(31 * 8000, np.int16), 8000)
    for file, message in [
        (empty, "is empty"),
        (zipped, "no sound"),
        (long, "31 s, longer"),
        (tmp_path / "x", "again"),
    ]:
        with pytest.raises(ValueError, match=message):
            read_prompt(None, str(file))


def test_a_timeline_holds_symbols_and_nothing_that_they_could_do():
    audio = np.sin(np.arange(16_000) / 5).astype(np.float32)
    html = draw_timeline(audio, 16_000, ["<script>", "a", "a"], [0, 0.5, 0.75], [-1.0, -2.0, -0.5], 'a "name"')
    assert "<script>" not in html and "&lt;script&gt;" in html and 'aria-label="a &quot;name&quot;"' in html
    assert html.count('class="symbol"') == 2  # equal neighbours are one
    assert html.count("<image") == 1 and html.count("<polyline") == 1
    assert "<image" not in draw_timeline(audio[:100], 16_000, [], [], None, "short")


def test_symbols_of_a_prompt_stand_under_what_was_said(catalog):
    sound = np.sin(np.arange(32_000) / 5).astype(np.float32)
    prompt = SimpleNamespace(audio=sound, resynthesized=sound[:8000], sampling_rate=16_000)
    prompt.tokens, prompt.starts = ["a", "b"], [0.0, 1.0]
    with gr.Blocks():
        column = make_columns()[0]
    changes = update_column(column, Event(0, "prompt", prompt=prompt), catalog.models[0])
    assert len(changes[column.heard][1]) == 8000  # heard is what is left of it
    assert ">2</text>" in changes[column.heard_line]  # seconds


def test_examples_are_beginnings_of_held_out_utterances(catalog):
    assert catalog.examples
    for example in catalog.examples:
        assert len(example.text.split()) >= 3 and len(example.audio) <= 6 * 16_000 and example.audio.dtype == np.int16


def test_the_study_is_told_as_in_its_report(finished_run):
    sections = read_report(finished_run / "report")
    assert len(sections) > 3 and all(section.title for section in sections)
    parts = [part for section in sections for part in section.parts]
    figures = [part for part in parts if part.startswith("<figure")]
    assert figures and all('alt="' in figure and "data:image/png;base64," in figure for figure in figures)
    assert not any("](results.json)" in part or ".png)" in part for part in parts)


def test_folders_of_models_are_taken_as_ids_are(finished_run):
    folders = [str(finished_run / "models" / name / "seed-0") for name in ("speech_units", "text_raw")]
    catalog = read_catalog(folders)
    assert [entry.modality for entry in catalog.models] == ["text_raw", "speech_units"]
    assert catalog.report is None and catalog.examples == []
    assert read_catalog([str(finished_run)]).models == read_catalog(finished_run).models


def test_the_command_says_what_is_missing(tmp_path, monkeypatch, capsys, finished_run):
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 2
    assert "There is no run runs/laptop" in capsys.readouterr().err
    (tmp_path / "unfinished" / "corpus").mkdir(parents=True)
    assert main(["demo", "unfinished"]) == 2
    assert "unfinished has no trained models" in capsys.readouterr().err
    model = shutil.copytree(finished_run / "models" / "text_raw" / "seed-0", tmp_path / "foreign")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"modality": "smell"}))
    assert main(["demo", "foreign"]) == 2
    assert "foreign does not say which modality it reads" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [("--device", "cud"), ("--device", "cuda")])
def test_a_device_that_is_not_there_is_said(finished_run, monkeypatch, capsys, flags):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["demo", str(finished_run), *flags]) == 2
    assert "--device" in capsys.readouterr().err


def test_a_signal_to_end_leaves_no_uploads(finished_run, monkeypatch):
    folders, handler = [], signal.getsignal(signal.SIGTERM)

    def launch(*_, **options):
        folders.append(Path(os.environ["GRADIO_TEMP_DIR"]))
        (folders[0] / "upload.wav").touch()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    monkeypatch.setattr(serving, "launch_demo", launch)
    with pytest.raises(KeyboardInterrupt):
        serving.open_demo(serving.DemoArguments([str(finished_run)]))
    assert not folders[0].exists() and signal.getsignal(signal.SIGTERM) == handler


def test_the_space_says_that_it_has_no_models_yet():
    app = Path(__file__).parents[2] / "spaces" / "speech_continuation" / "app.py"
    done = subprocess.run([sys.executable, str(app)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "space.json names no models" in done.stderr
