"""Releases of runs that are not the default's: units from elsewhere, and a vocoder that was trained."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hub_server import HubServer
from transformers import AutoConfig, AutoModelForCausalLM

from evoslm.models.vocoder import UnitHifiGan
from evoslm.training.cli import main
from evoslm.training.release import ReleaseChoice, ReleaseNames, ReleaseRepository, prepare_release, push_release
from evoslm.training.release.files import check_prepared
from evoslm.training.release.plan import plan_repositories
from evoslm.training.release.spaces import SPACE_FILE

pytestmark = pytest.mark.end_to_end
EXIT = "print(json.dumps(found), flush=True)\nos._exit(0)"

READ_TABLE = """
import json, os, sys

sys.path.insert(0, sys.argv[1])  # the page, with the package in it
import evaluate
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

prefix, found = "user/evoslm-smoke", {}
contents = load_dataset(f"{prefix}-contents", "speech_units", split="test", streaming=True)
row = next(iter(contents))
tokenizer = AutoTokenizer.from_pretrained(f"{prefix}-speech-units")
found["row"], found["ids"] = [row["id"], row["content"]], tokenizer(row["content"])["input_ids"]
pairs = load_dataset(f"{prefix}-pairs", "swuggy_units", split="test")
swuggy = evaluate.load("user/swuggy")
found["accuracy"] = swuggy.compute(model_id=f"{prefix}-speech-units", pairs=pairs, modality="units")["accuracy"]

import numpy as np
import evoslm
from evoslm.spaces.speech_continuation.catalog import read_catalog

assert evoslm.__file__.startswith(sys.argv[1])
space = json.load(open(f"{sys.argv[1]}/space.json"))
catalog = read_catalog(space["models"], space["utterances"])
found["models"], found["examples"] = [entry.key for entry in catalog.models], len(catalog.examples)
(heard,) = evoslm.pipeline("speech-continuation", model=catalog.models[0].key)("The old man", max_seconds=0.5)
found["heard"] = [len(heard.audio), bool(np.isfinite(heard.audio).all())]
try:
    evoslm.pipeline("speech-continuation", model=f"{prefix}-speech-units")
except FileNotFoundError as error:
    found["refused"] = str(error)
"""

READ_VOCODER = """
import json, os

import evoslm
import numpy as np
from transformers import AutoModel, AutoModelForCausalLM

name, found = "user/evoslm-smoke-vocoder", {}
vocoder = AutoModel.from_pretrained(name)
units = [17, 17, 4, 4, 4, 8, 9, 9, 2, 30]
(waveform,) = vocoder.waveforms([np.array(units)], ["female-1"])
found["waveform"] = [type(vocoder).__name__, len(waveform), float(abs(waveform).max())]
pipe = evoslm.pipeline("speech-continuation", model="user/evoslm-smoke-speech-units")
times = np.arange(16_000) / 16_000
(heard,) = pipe((16_000, (0.3 * np.sin(900 * times * times)).astype(np.float32)), max_seconds=0.6, seed=1)
found["heard"] = [len(heard.audio), heard.sampling_rate, bool(np.isfinite(heard.audio).all()), len(heard.ids)]
found["hash"] = [pipe.components.vocoder.config.unit_quantizer_hash, pipe.components.model.config.unit_quantizer_hash]
found["vocoder"] = type(pipe.components.vocoder).__name__
"""


def by_name(released: list[ReleaseRepository]) -> dict[str, ReleaseRepository]:
    return {each.name.split("/")[1].removeprefix("evoslm-smoke-"): each for each in released}


def read(code: str, released: list[ReleaseRepository], folder: Path, *arguments: str) -> dict:
    """What a process finds that reads a release from a Hub, with an empty cache."""
    with HubServer() as hub:
        with pytest.MonkeyPatch.context() as patch:
            hub.serve_this_process(patch)
            push_release(released, "user", report=lambda line: None)
        environment = {**os.environ, **hub.environment(folder / "cache"), "TQDM_DISABLE": "1"}
        command = [sys.executable, "-c", code + EXIT, *arguments]
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_a_run_with_units_of_a_table_is_released_with_its_datasets_and_a_page(table_run, tmp_path, capsys):
    released = prepare_release(table_run, "user", tmp_path / "release")
    found = by_name(released)
    assert sorted(plan_repositories(table_run, ReleaseNames.of(table_run, "user"))) == sorted(
        (each.kind, each.name) for each in released
    )
    check_prepared(released, table_run)
    assert not {"vocoder", "transcriber"} & set(found) and not [name for name in found if name.startswith("units-")]
    config = AutoConfig.from_pretrained(found["speech-units"].folder)
    assert config.unit_quantizer is None and config.unit_quantizer_hash is None
    card = (found["speech-units"].folder / "README.md").read_text()
    assert "The units come from elsewhere" in card and "import evoslm" not in card
    head = yaml.safe_load((found["contents"].folder / "README.md").read_text().split("---\n")[1])
    assert [each["config_name"] for each in head["configs"]] == ["phone_repeat", "speech_units"]
    page = found["evoslm-speech-continuation"].folder
    assert json.loads((page / SPACE_FILE).read_text())["models"] == ["user/evoslm-smoke-phone-repeat"]

    told = read(READ_TABLE, released, tmp_path, str(page))
    assert told["ids"] and told["row"][1].split() and 0 <= told["accuracy"] <= 1
    assert told["models"] == ["user/evoslm-smoke-phone-repeat"] and told["examples"] > 0
    assert told["heard"][0] > 0 and told["heard"][1] and "its quantizer is missing" in told["refused"]

    assert main(["release", str(table_run), "--namespace", "user", "--dry_run", "--vocoder", str(tmp_path)]) == 2
    assert "whose quantizer is no part of this release; leave --vocoder out" in capsys.readouterr().err


def test_units_of_a_table_alone_have_no_page(table_run, tmp_path):
    choice = ReleaseChoice(["speech_units"])
    released = by_name(prepare_release(table_run, "user", tmp_path / "release", choice=choice))
    planned = plan_repositories(table_run, ReleaseNames.of(table_run, "user"), choice)
    assert sorted(planned) == sorted((each.kind, each.name) for each in released.values())
    assert "evoslm-speech-continuation" not in released
    card = (released["swuggy"].folder / "README.md").read_text()
    assert '"user/evoslm-smoke-pairs", "swuggy_units", split="test")' in card and 'modality="units"' in card


def test_a_trained_vocoder_is_released_and_heard(own_run, tmp_path):
    flags = ["--max_steps", "3", "--channels", "32", "--resblock_kernel_sizes", "3", "--batch_size", "2"]
    flags += ["--quality_utterances", "2", "--eval_steps", "3", "--device", "cpu"]
    assert main(["train-vocoder", str(own_run), *flags]) == 0
    released = prepare_release(own_run, "user", tmp_path / "release", choice=ReleaseChoice(["speech_units"]))
    found = by_name(released)
    card = (found["vocoder"].folder / "README.md").read_text()
    quality = json.loads((own_run / "vocoder" / "quality.json").read_text())
    assert f"{quality['mcd']:.2f}" in card and f"{quality['num_frames']:,}" in card
    own = UnitHifiGan.from_pretrained(own_run / "vocoder").state_dict()
    there = UnitHifiGan.from_pretrained(found["vocoder"].folder).state_dict()
    assert own.keys() == there.keys() and all((own[name] == there[name]).all() for name in own)
    config = AutoModelForCausalLM.from_pretrained(found["speech-units"].folder).config
    assert config.unit_vocoder == "user/evoslm-smoke-vocoder"

    told = read(READ_VOCODER, released, tmp_path)
    kind, length, peak = told["waveform"]
    assert (kind, length) == ("UnitHifiGan", 10 * 320) and 0 < peak <= 1  # which neither nan nor inf is
    length, rate, is_finite, symbols = told["heard"]
    assert rate == 16_000 and is_finite and length == 320 * symbols and 0 < symbols <= 30
    assert told["vocoder"] == "UnitHifiGan" and told["hash"][0] == told["hash"][1]

    shutil.rmtree(own_run / "vocoder")
    again = by_name(prepare_release(own_run, "user", tmp_path / "codebook", choice=ReleaseChoice(["speech_units"])))
    assert AutoConfig.from_pretrained(again["vocoder"].folder).model_type != "unit_hifigan"
