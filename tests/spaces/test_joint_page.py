"""A page with a joint model, a model of units whose words a transcriber gives, and one whose words nobody knows."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import gradio as gr
import pytest
import soundfile
from gradio_client import Client, handle_file
from tiny_joint_model import NUM_UNITS, make_joint_model
from tiny_unit_model import save_unit_models
from transformers import AutoConfig

import evoslm
from evoslm.models.modalities import JOINT
from evoslm.models.speech_units.identity import HASH_KEY
from evoslm.spaces.speech_continuation import build_demo, launch_demo
from evoslm.spaces.speech_continuation.catalog import read_catalog
from evoslm.spaces.speech_continuation.continuing import continue_prompt
from evoslm.spaces.speech_continuation.limits import Drawing
from evoslm.spaces.speech_continuation.result_columns import make_columns, update_column
from evoslm.spaces.speech_continuation.shelf import PipelineShelf

PROMPT = "the yellow lion sings"
ASKED = {"num_continuations": 2, "seconds": 1, "seed": 1, "api_name": "/continue"}


class Models(NamedTuple):
    joint: str
    units: str
    silent: str


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Models:
    """Folders of three untrained models, all of one quantizer; only the last has no transcriber."""
    folder = tmp_path_factory.mktemp("models")
    parts = save_unit_models(folder, str(folder), num_units=NUM_UNITS)
    units = AutoConfig.from_pretrained(parts["model"])
    ties = {key: getattr(units, key) for key in ("unit_quantizer", "unit_vocoder", "unit_transcriber", HASH_KEY)}
    joint = make_joint_model(folder / "joint")
    config = AutoConfig.from_pretrained(joint)
    config.update({"modality": JOINT.name, "max_position_embeddings": 512} | ties)
    config.save_pretrained(joint)
    silent = shutil.copytree(parts["model"], folder / "silent")
    units.update({"unit_transcriber": None})
    units.save_pretrained(silent)
    return Models(joint, str(parts["model"]), str(silent))


@pytest.fixture(scope="module")
def client(models) -> Iterator[Client]:
    demo = build_demo(list(models), device="cpu")
    _, url, _ = launch_demo(demo, prevent_thread_lock=True, quiet=True)
    yield Client(url, verbose=False)
    demo.close()


@pytest.fixture(scope="module")
def recording(models, tmp_path_factory) -> Path:
    """A prompt as a synthesizer speaks it."""
    path = tmp_path_factory.mktemp("recording") / "prompt.wav"
    prompt = evoslm.pipeline("speech-continuation", models.units).encode(PROMPT)
    soundfile.write(path, prompt.audio, prompt.sampling_rate)
    return path


def test_a_joint_model_goes_on_with_text_as_text_and_with_sound_as_sound(client, models, recording):
    (entry, *_) = [model for model in client.predict(api_name="/list_models") if model["modality"] == "joint"]
    assert entry["label"] == "Joint" and "Sound and text in one model" in entry["alphabet"]
    asked = ASKED | {"models": [models.joint]}
    files, of_text = client.predict(text=PROMPT, audio=None, **asked)
    assert len(files) == len(of_text) == 2
    for record in of_text:
        assert record["text"] == record["content"].strip() != "" and not record["content"].replace(" ", "").isdigit()
    files, of_sound = client.predict(text="", audio=handle_file(str(recording)), **asked)
    for record in of_sound:
        units = [int(unit) for unit in record["content"].split()]
        assert units and all(0 <= unit < NUM_UNITS for unit in units)
        assert isinstance(record["text"], str)  # what the transcriber hears
        assert soundfile.info(files[record["file"]]).duration == pytest.approx(record["seconds"], abs=1e-3)
    pipe = evoslm.pipeline("speech-continuation", models.joint)
    for prompt, records in ((PROMPT, of_text), (recording, of_sound)):
        alone = pipe(prompt, num_continuations=2, max_seconds=1.0, seed=1)
        assert [each.content for each in alone] == [record["content"] for record in records]
        assert [each.text for each in alone] == [record["text"] for record in records]


def test_a_joint_model_scores_a_pair_as_text(client, models):
    (score,) = client.predict("the yellow lion", "the quiet lion", [models.joint], api_name="/score_pair")
    assert "".join(score["first"]["tokens"]) == "the yellow lion"


def test_words_of_units_are_shown_where_a_transcriber_knows_them(models):
    catalog = read_catalog(list(models))
    entries = catalog.find([models.units, models.silent])
    with gr.Blocks():
        columns = make_columns()
    shown = {}
    for event in continue_prompt(PipelineShelf("cpu"), entries, PROMPT, Drawing(1, 1.0, seed=1)):
        if event.kind == "done":
            changes = update_column(columns[event.column], event, entries[event.column])
            shown[event.column] = event.written, changes
    (with_words, changes), (without, others) = shown[0], shown[1]
    result, other = columns[0].results[0], columns[1].results[0]
    assert with_words.content == without.content  # the same weights
    pipe = evoslm.pipeline("speech-continuation", models.units)
    assert changes[result.text] == gr.update(value=pipe(PROMPT, max_seconds=1.0, seed=1)[0].text, visible=True)
    assert "Its words are not known" not in changes[result.line]
    assert other.text not in others and "Its words are not known" in others[other.line]
