"""What the pages of the documentation speak of, tiny, under the names that they give it.

a finished run -> [`make_props`] -> a folder with it and with files, [`fill_hub`] -> repositories of a loopback Hub.
"""

import json
import shutil
from pathlib import Path

import soundfile
from hub_server import HubServer, Repository
from tiny_codec import make_codec
from tiny_piper_voice import SPEAKERS, write_voice
from tiny_recognizers import save_whisper

from evoslm import EspeakSynthesizer

ANIMALS = ("lion", "otter", "heron", "mole")
SENTENCE = "The knights see two pencils."
ADAPTER = """
import numpy as np


class MyTokenizer:
    label, frame_rate, num_units = "Mine", 50, 4

    def __init__(self, model):
        self.model = model

    def __call__(self, waveform, rate):
        return np.zeros(len(waveform) * self.frame_rate // rate, int)
"""


def make_props(folder: Path, finished_run: Path) -> Path:
    """
    Write the files that snippets read.

    Args:
        folder (`Path`): Where to.
        finished_run (`Path`): A tiny run. It is copied, since snippets write into it.
    """
    shutil.copytree(finished_run, folder / "runs" / "laptop")
    (folder / "quantizer").symlink_to(folder / "runs/laptop/units/speech_units/model")
    speech = EspeakSynthesizer()
    audio = speech.render(SENTENCE).audio
    soundfile.write(folder / "clip.wav", audio, 16_000)
    for name in ("blimp", "recordings", "librilight", "manifests", "path/to/checkpoint"):
        (folder / name).mkdir(parents=True)
    (folder / "books").mkdir()
    _write(folder / "books" / "one.txt", SENTENCE)
    _write(folder / "adapter.py", ADAPTER)
    _write(folder / "units.jsonl", '{"file": "NAME.wav", "units": [17, 17, 942]}\n')
    sides = {"positive_text": "A lion sleeps.", "negative_text": "A lion sleep."}
    _write(folder / "pairs.jsonl", json.dumps({"id": "1"} | sides) + "\n")
    _write(
        folder / "reviews.csv",
        "review,stars\n" + "".join(f"The {ANIMALS[i % 4]} sleeps {i}.,{i % 2}\n" for i in range(20)),
    )
    write_voice(folder / "path" / "to" / "en_US-joe-medium")
    return folder


def fill_hub(hub: HubServer, props: Path, folder: Path) -> None:
    """
    Put what snippets load by an id on a Hub.

    Args:
        hub ([`HubServer`]): The Hub.
        props (`Path`): Of [`make_props`].
        folder (`Path`): Where models may be written before they go there.
    """
    rows = [
        {"text": f"Anna meets the {animal} {i}.", "spans": [["WHO", "anna"]]} for animal in ANIMALS for i in range(9)
    ]
    (folder / "dataset").mkdir()
    _write(folder / "dataset" / "train.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    _publish(hub, "user/dataset", folder / "dataset", kind="dataset")
    _publish(hub, "user/name", props / "runs/laptop/models/text_bpe/seed-0")
    _publish(hub, "openai/whisper-small.en", save_whisper(folder / "whisper"))
    _publish(hub, "facebook/encodec_24khz", Path(make_codec("encodec", folder / "encodec")))
    _publish(hub, "kyutai/mimi", Path(make_codec("mimi", folder / "mimi")))
    _publish(
        hub, "rhasspy/piper-voices", write_voice(folder / "voices/en/en_US/libritts_r/medium", SPEAKERS).parents[3]
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _publish(hub: HubServer, name: str, folder: Path, kind: str = "model") -> None:
    files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    repository = hub.repositories[kind, name] = Repository(kind, name)
    repository.commit("first", files)
