"""The whole way: a study's release goes onto a Hub, and others load all of it from there, with and without evoslm.

Each reader is a process of its own with an empty cache, in which nothing can be unpickled.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_server import HubServer
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from evoslm.models.modalities import MODALITIES
from evoslm.models.speech_units import SpeechUnitModel
from evoslm.training.release import ReleaseRepository
from evoslm.training.release.manifest import write_manifests
from evoslm.training.release.push import push_release

PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".h5", ".msgpack")
REVISION = "seed-0-step-11"

READ = """
import io, json, os, pickle, sys
import numpy as np

if {without_package}:
    sys.modules["evoslm"] = None  # importing it is an error
else:
    import evoslm
import torch, joblib
from datasets import get_dataset_config_names, load_dataset
from peft import PeftModel
from transformers import AutoModel, AutoModelForCausalLM, AutoProcessor, AutoTokenizer, pipeline
import evaluate

def refuse(*arguments, **options):
    raise AssertionError("something was unpickled")

pickle.load = pickle.loads = pickle.Unpickler = torch.load = torch.serialization.load = joblib.load = refuse
trust = {{"trust_remote_code": True}} if {without_package} else {{}}
found = {{}}

ids = torch.tensor([[1, 5, 6, 7, 8]])
for name in {models}:
    for revision in ("main", {revision!r}) if name in ("text-bpe", "speech-units") else ("main",):
        model = AutoModelForCausalLM.from_pretrained(f"user/evoslm-smoke-{{name}}", revision=revision).eval()
        tokenizer = AutoTokenizer.from_pretrained(f"user/evoslm-smoke-{{name}}", revision=revision)
        with torch.no_grad():
            total = model(ids).logits.double().sum().item()
        found[f"{{name}} {{revision}}"] = [total, len(tokenizer), model.config.modality]
base = AutoModelForCausalLM.from_pretrained("user/evoslm-smoke-text-bpe")
adapter = PeftModel.from_pretrained(base, "user/adapter").eval()
with torch.no_grad():
    found["adapter"] = adapter(ids).logits.double().sum().item()
text = pipeline("text-generation", model="user/evoslm-smoke-text-raw")("The ", max_new_tokens=5, do_sample=False)
found["text"] = text[0]["generated_text"]

audio = np.load(sys.argv[1])
quantizer = AutoModel.from_pretrained("user/evoslm-smoke-units-mfcc", **trust)
processor = AutoProcessor.from_pretrained("user/evoslm-smoke-units-mfcc", **trust)
vocoder = AutoModel.from_pretrained("user/evoslm-smoke-vocoder", **trust)
units = processor.units(quantizer(**processor(audio, sampling_rate=16_000)))[0]
found["units"], found["waveform"] = units.tolist(), len(vocoder.waveforms([units])[0])
assert quantizer.config.unit_quantizer_hash == vocoder.config.unit_quantizer_hash

contents = load_dataset("user/evoslm-smoke-contents", "phone_raw", split="test")
utterances = load_dataset("user/evoslm-smoke-utterances", split="test")
pairs = load_dataset("user/evoslm-smoke-pairs", "swuggy", split="test")
units_of_pairs = load_dataset("user/evoslm-smoke-pairs", "swuggy_units", split="test")
assert contents["id"][:] == utterances["id"][:] and pairs["id"][:] == units_of_pairs["id"][:]
found["rows"] = [len(contents), len(utterances), len(pairs), utterances[0]["audio"]["bytes"][:4].decode()]
if not {offline}:
    for name, configuration in (("contents", "speech_units"), ("utterances", None), ("pairs", "topic_sc")):
        stream = load_dataset(f"user/evoslm-smoke-{{name}}", configuration, split="test", streaming=True)
        found[f"streamed {{name}}"] = next(iter(stream))["id"]
    found["configurations"] = sorted(get_dataset_config_names("user/evoslm-smoke-pairs"))

swuggy = evaluate.load("user/swuggy")
given = {{"predictions": [{{"positive": -1.0, "negative": -2.0}}]}}
given["references"] = [{{"positive_tokens": 1, "negative_tokens": 1}}]
found["given"] = swuggy.compute(**given)["accuracy"]
for kind, rows, form in (("text-bpe", pairs, "text"), ("speech-units", units_of_pairs, "units")):
    rows.to_parquet("pairs.parquet")
    asked = swuggy.compute(model_id=f"user/evoslm-smoke-{{kind}}", pairs="pairs.parquet", modality=form)
    found[f"swuggy {{kind}}"] = asked["accuracy"]

if not {without_package}:
    for prompt in ("The old man", (16_000, audio)):
        pipe = evoslm.pipeline("speech-continuation", model="user/evoslm-smoke-speech-units")
        (heard,) = pipe(prompt, max_seconds=0.5)
        assert len(heard.audio) and np.isfinite(heard.audio).all()
    found["first ids"] = pipe.encode((16_000, audio)).ids[:20]
print(json.dumps(found), flush=True)
os._exit(0)  # the thread that reads a stream ahead sometimes aborts an interpreter that ends in the usual way
"""

SNIPPETS = """
import ast, json, os, sys

sys.modules["evoslm"] = None  # importing it is an error
found = {}
for name, blocks in json.load(open("cards.json")).items():
    scope = {}
    for block in blocks:
        *before, last = ast.parse(block).body
        exec(compile(ast.Module(before, []), name, "exec"), scope)
        value = eval(compile(ast.Expression(last.value), name, "eval"), scope)
        found.setdefault(name, []).append(sorted(value))
print(json.dumps(found), flush=True)
os._exit(0)
"""


@pytest.fixture(scope="module")
def adapter(by_name, tmp_path_factory) -> tuple[ReleaseRepository, float]:
    """A low-rank adapter on a released model, and what the two answer."""
    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(by_name["text-bpe"].folder)
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    model = get_peft_model(base, config).eval()
    model.save_pretrained(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    config |= {"base_model_name_or_path": "user/evoslm-smoke-text-bpe"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\nAn adapter.\n")
    repository = ReleaseRepository("user/adapter", "model", folder)
    write_manifests([repository])
    with torch.no_grad():
        return repository, model(torch.tensor([[1, 5, 6, 7, 8]])).logits.double().sum().item()


@pytest.fixture(scope="module")
def pushed(released, adapter):
    """A Hub with the whole release."""
    with HubServer() as hub, pytest.MonkeyPatch.context() as patch:
        hub.serve_this_process(patch)
        push_release([*released, adapter[0]], "user", title="EvoSLM smoke", report=lambda line: None)
        yield hub


@pytest.fixture(scope="module")
def audio(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("audio") / "audio.npy"
    times = np.arange(24_000) / 16_000
    np.save(path, (0.3 * np.sin(900 * times * times)).astype(np.float32))
    return path


def models_of(by_name) -> list[str]:
    return [name.replace("_", "-") for name in MODALITIES if name.replace("_", "-") in by_name]


def read(audio: Path, folder: Path, environment: dict[str, str], **values) -> dict:
    """What a process finds that reads the release from the Hub."""
    folder.mkdir(exist_ok=True)
    code = READ.format(revision=REVISION, **{"offline": False, **values})
    command = [sys.executable, "-c", code, str(audio)]
    environment = {**os.environ, **environment, "TQDM_DISABLE": "1"}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.end_to_end
def test_a_release_is_used_from_a_hub_with_and_without_the_package_and_then_offline(
    pushed, by_name, adapter, audio, tmp_path
):
    values = {"models": models_of(by_name)}
    cache = tmp_path / "cache"
    without = read(audio, tmp_path / "without", pushed.environment(cache), without_package=True, **values)
    package = read(audio, tmp_path / "with", pushed.environment(tmp_path / "other"), without_package=False, **values)
    first_ids = package.pop("first ids")
    assert first_ids and package == without

    asked = len(pushed.requests)
    switches = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE")
    offline = pushed.environment(cache) | dict.fromkeys(switches, "1")
    again = read(audio, tmp_path / "offline", offline, without_package=True, offline=True, **values)
    assert pushed.requests[asked:] == []
    assert again == {name: value for name, value in without.items() if name in again} and "swuggy text-bpe" in again

    ids = torch.tensor([[1, 5, 6, 7, 8]])
    for name, folder in (("text-bpe", by_name["text-bpe"].folder), ("speech-units", by_name["speech-units"].folder)):
        for revision, here in (("main", folder), (REVISION, dict(by_name[name].branches)[REVISION])):
            with torch.no_grad():
                logits = AutoModelForCausalLM.from_pretrained(here).eval()(ids).logits.double().sum().item()
            expected = [logits, len(AutoTokenizer.from_pretrained(here)), name.replace("-", "_")]
            assert without[f"{name} {revision}"] == pytest.approx(expected)
    assert without["adapter"] == pytest.approx(adapter[1])
    units = SpeechUnitModel.from_pretrained(by_name["units-mfcc"].folder).units([np.load(audio)])[0]
    assert without["units"] == units.tolist() and without["waveform"] == 320 * len(units)
    assert without["rows"][3] == "fLaC" and without["given"] == 1 and 0 <= without["swuggy speech-units"] <= 1
    assert {"swuggy", "swuggy_units", "topic_sc_units"} <= set(without["configurations"])


@pytest.mark.end_to_end
def test_snippets_of_the_cards_of_metrics_run_as_printed_from_a_hub(pushed, released, tmp_path):
    cards = {}
    for repository in released:
        name = repository.name.removeprefix("user/")
        if repository.kind == "space" and name not in ("cra", "evoslm-speech-continuation"):
            card = (repository.folder / "README.md").read_text()
            assert "<model>" not in card and "<other model>" not in card and "<language model>" not in card
            cards[name] = [block.split("```")[0] for block in card.split("```python\n")[1:]]
    (tmp_path / "cards.json").write_text(json.dumps(cards))
    environment = {**os.environ, **pushed.environment(tmp_path / "cache"), "TQDM_DISABLE": "1"}
    command = [sys.executable, "-c", SNIPPETS]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert {"swuggy", "sblimp", "topic_sc", "pelm", "entity_f1"} <= set(found) == set(cards)
    for task in ("swuggy", "sblimp", "topic_sc"):  # numbers of one's own, a model of the release, and two of them
        given, asked, compared = found[task]
        assert "accuracy" in given and "accuracy" in asked and "points" in compared
    assert all("perplexity" in keys for keys in found["pelm"][:2])


def test_nothing_that_is_published_is_ever_unpickled(pushed):
    files = [
        name
        for repository in pushed.repositories.values()
        for history in (repository.commits, *repository.branches.values())
        for name in history[-1].files
    ]
    assert len(files) > 500 and not [name for name in files if name.endswith(PICKLED)]


def test_the_collection_ties_all_of_it(pushed, released):
    (collection,) = pushed.collections.values()
    assert collection["title"] == "EvoSLM smoke" and len(collection["items"]) == len(released) + 1
    assert all(len(item["note"]["text"]) <= 500 for item in collection["items"] if "note" in item)
