"""The whole way: `evoslm release` puts a study onto a Hub, and others load all of it from there.

The study has joint models, adapters and a transcriber. Each reader is a process of its own with an empty cache, in
which nothing can be unpickled, with and without evoslm.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hub_server import TOKEN, HubServer
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

import evoslm
from evoslm.datasets_scripts.slu import spoken_text
from evoslm.models.modalities import MODALITIES
from evoslm.models.slu import SluPipeline
from evoslm.models.speech_units import SpeechUnitModel
from evoslm.models.transcriber import UnitTranscriber
from evoslm.training.release.manifest import list_files

PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".h5", ".msgpack")
REVISION = "seed-0-step-11"
JOINT = "joint-cst-ast"
IDS = [[1, 5, 6, 7, 8]]

pytestmark = pytest.mark.end_to_end

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
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers import AutoProcessor, AutoTokenizer, pipeline
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
for read in ("text", "speech"):
    base = AutoModelForSequenceClassification.from_pretrained("user/evoslm-smoke-joint-cst-ast", num_labels=2)
    adapter = PeftModel.from_pretrained(base, f"user/evoslm-smoke-joint-cst-ast-sentiment-{{read}}").eval()
    with torch.no_grad():
        found[f"adapter {{read}}"] = adapter(ids).logits.double().sum().item()
text = pipeline("text-generation", model="user/evoslm-smoke-text-raw")("The ", max_new_tokens=5, do_sample=False)
found["text"] = text[0]["generated_text"]

audio = np.load(sys.argv[1])
quantizer = AutoModel.from_pretrained("user/evoslm-smoke-units-mfcc", **trust)
processor = AutoProcessor.from_pretrained("user/evoslm-smoke-units-mfcc", **trust)
vocoder = AutoModel.from_pretrained("user/evoslm-smoke-vocoder", **trust)
units = processor.units(quantizer(**processor(audio, sampling_rate=16_000)))[0]
found["units"], found["waveform"] = units.tolist(), len(vocoder.waveforms([units])[0])
transcriber = AutoModel.from_pretrained("user/evoslm-smoke-transcriber", **trust)
found["transcript"] = transcriber.transcribe([units])
assert len({{part.config.unit_quantizer_hash for part in (quantizer, vocoder, transcriber)}}) == 1

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
    told, sound = {{}}, (16_000, audio)
    for kind in ("speech-units", "joint-cst-ast"):
        name = f"user/evoslm-smoke-{{kind}}"
        own = evoslm.pipeline("speech-continuation", model=name)
        theirs = pipeline("speech-continuation", model=name)
        for prompt in ("The old man", sound):
            (heard,) = own(prompt, max_seconds=0.5, seed=0)
            assert kind == "joint-cst-ast" or len(heard.audio) and np.isfinite(heard.audio).all()
            assert theirs(prompt, max_seconds=0.5, seed=0)[0].ids == heard.ids
        told[kind] = [own.encode(sound).ids[:20], type(own.components.transcriber).__name__]
    from evoslm.datasets_scripts.slu import spoken_text

    for read, asked in (("text", {{"text": "A warm film."}}), ("speech", {{"audio": audio}})):
        name = f"user/evoslm-smoke-joint-cst-ast-sentiment-{{read}}"
        told[read] = evoslm.SluPipeline.from_pretrained(name, write_text=spoken_text)(**asked)
    found["told"] = told
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

AS_PRINTED = """
import json, os

import evoslm

assert evoslm.__file__.startswith(os.environ["PYTHONPATH"]), evoslm.__file__
for name, blocks in json.load(open("cards.json")).items():
    scope = {}
    for block in blocks:
        print(f"--- {name}", flush=True)
        exec(compile(block, name, "exec"), scope)
print("--- all of it", flush=True)
os._exit(0)
"""

INSTALLED = """
import hashlib, json
from base64 import urlsafe_b64encode
from importlib.metadata import distribution

found, wrong = distribution("evoslm"), []
for file in found.files:
    if file.hash and ".." not in file.parts:  # a script lies elsewhere with --target than pip writes down
        digest = hashlib.new(file.hash.mode, file.locate().read_bytes()).digest()
        wrong += [str(file)] * (urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value)
commands = [entry.value for entry in found.entry_points if entry.name == "evoslm"]
print(json.dumps([found.version, len(found.files), wrong, found.requires, commands, str(found.locate_file(""))]))
"""


@pytest.fixture(scope="module")
def pushed(complete_run, tmp_path_factory):
    """A Hub with the whole release, as the command made it in a process of its own, and what that printed."""
    folder = tmp_path_factory.mktemp("pushed")
    command = [sys.executable, "-m", "evoslm.training.cli", "release", str(complete_run), "--namespace", "user"]
    with HubServer() as hub:
        environment = {**os.environ, **hub.environment(folder / "cache")}
        done = subprocess.run(
            [*command, "--output_dir", str(folder / "release")],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout[-4000:]
        hub.printed, hub.prepared = done.stdout, folder / "release"
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
    environment["EVOSLM_CACHE"] = f"{environment['HF_HOME']}/evoslm"
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def answered(by_name, audio) -> dict:
    """What the models of the release say that lie on this disk."""
    ids, expected = torch.tensor(IDS), {}
    for name in ("text-bpe", "speech-units", JOINT):
        for revision, here in by_name[name].branches:
            with torch.no_grad():
                logits = AutoModelForCausalLM.from_pretrained(here).eval()(ids).logits.double().sum().item()
            modality = "joint" if name == JOINT else name.replace("-", "_")
            expected[f"{name} {revision}"] = [logits, len(AutoTokenizer.from_pretrained(here)), modality]
    for read in ("text", "speech"):
        folder = by_name[f"{JOINT}-sentiment-{read}"].folder
        base = AutoModelForSequenceClassification.from_pretrained(by_name[JOINT].folder, num_labels=2)
        adapter = PeftModel.from_pretrained(base, folder).eval()
        with torch.no_grad():
            expected[f"adapter {read}"] = adapter(ids).logits.double().sum().item()
        parts = {"base_model": by_name[JOINT].folder, "quantizer": by_name["units-mfcc"].folder}
        slu = SluPipeline.from_pretrained(folder, **parts, write_text=spoken_text)
        expected[read] = slu(text="A warm film.") if read == "text" else slu(audio=np.load(audio))
    units = SpeechUnitModel.from_pretrained(by_name["units-mfcc"].folder).units([np.load(audio)])[0]
    expected["units"], expected["waveform"] = units.tolist(), 320 * len(units)
    expected["transcript"] = UnitTranscriber.from_pretrained(by_name["transcriber"].folder).transcribe([units])
    return expected


def test_a_release_is_used_from_a_hub_with_and_without_the_package_and_then_offline(
    pushed, by_name, answered, audio, tmp_path
):
    values = {"models": [*models_of(by_name), JOINT, "joint-text"]}
    switches = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE"), "1")
    found = {}
    for reader, without_package in (("without", True), ("with", False)):
        environment, values["without_package"] = pushed.environment(tmp_path / reader), without_package
        found[reader] = read(audio, tmp_path / f"{reader}-online", environment, **values)
        asked = len(pushed.requests)
        again = read(audio, tmp_path / f"{reader}-offline", environment | switches, offline=True, **values)
        assert pushed.requests[asked:] == []
        assert again == {name: value for name, value in found[reader].items() if name in again}
        assert {"swuggy text-bpe", "adapter speech", "transcript"} <= set(again) and (
            "told" in again
        ) != without_package
    told, without = found["with"].pop("told"), found["without"]
    assert found["with"] == without

    for name, expected in answered.items():
        if name in ("text", "speech"):
            assert told[name]["label"] == expected["label"]
            assert told[name]["scores"] == pytest.approx(expected["scores"])
        elif name in without:
            assert without[name] == (expected if name == "transcript" else pytest.approx(expected)), name
    assert {f"text-bpe {REVISION}", f"{JOINT} main"} <= set(answered) & set(without)
    assert told["speech-units"][0] and told[JOINT][0]
    assert [told[name][1] for name in ("speech-units", JOINT)] == ["UnitTranscriber"] * 2
    assert without["rows"][3] == "fLaC" and without["given"] == 1 and 0 <= without["swuggy speech-units"] <= 1
    assert {"swuggy", "swuggy_units", "topic_sc_units"} <= set(without["configurations"])


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


def blocks(card: str, language: str = "python") -> list[str]:
    return [block.split("\n```")[0] for block in card.split(f"```{language}\n")[1:]]


@pytest.fixture(scope="module")
def reader(pushed, by_name, audio, tmp_path_factory):
    """A folder and an environment in which the package was installed as its card says, beside what it needs."""
    folder = tmp_path_factory.mktemp("reader")
    site = folder / "site"
    environment = {**os.environ, **pushed.environment(folder / "cache"), "EVOSLM_CACHE": str(folder / "evoslm")}
    environment |= {"TQDM_DISABLE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    (install,) = blocks((by_name["evoslm-package"].folder / "README.md").read_text(), "bash")
    download, pip = install.splitlines()
    shell(download, folder, environment)
    assert pip.startswith("pip install ./evoslm-") and pip.endswith(".whl")
    # What the package needs is there: nothing is fetched, and the installation that runs the tests is not touched.
    shell(f"python -m {pip} --no-deps --no-index --target {site}", folder, environment)
    soundfile.write(folder / "clip.wav", np.load(audio), 16_000)
    environment["PATH"] = os.pathsep.join([str(site / "bin"), environment["PATH"]])
    return folder, environment | {"PYTHONPATH": str(site)}, install


def shell(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-ec", command], env=environment, cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


def test_the_wheel_that_a_card_installs_is_one_to_pip(reader):
    folder, environment, _ = reader
    (folder / "installed.py").write_text(INSTALLED)
    version, files, wrong, requires, commands, place = json.loads(shell("python installed.py", folder, environment))
    assert (version, commands) == (evoslm.__version__, ["evoslm.training.cli:main"])
    assert files > 500 and not wrong and Path(place) == folder / "site"
    assert {"torch", "transformers", "datasets"} <= {re.split("[ <>=!~;[]", name)[0] for name in requires}


def test_snippets_of_cards_run_as_printed_where_the_package_is_installed(reader, by_name):
    folder, environment, install = reader
    cards, needed = {}, {"evoslm-package", "utterances", "contents", "pairs", "transcriber", "vocoder"}
    needed |= {JOINT, "joint-text", f"{JOINT}-sentiment-text", f"{JOINT}-sentiment-speech"}
    for name, repository in by_name.items():
        card = (repository.folder / "README.md").read_text()
        if name in needed or repository.kind == "model" and "import evoslm" in card:
            cards[name] = blocks(card)
            assert blocks(card, "bash")[-1:] in ([], [install])
    assert needed < set(cards) and {"speech-units", "phone-repeat"} < set(cards)
    assert all("import evoslm" in "".join(cards[name]) for name in ("evoslm-package", JOINT, "speech-units"))
    (folder / "cards.json").write_text(json.dumps(cards))
    (folder / "as_printed.py").write_text(AS_PRINTED)
    printed = shell("python as_printed.py", folder, environment)
    said = {}
    for part in printed.split("--- ")[1:]:
        name, _, text = part.partition("\n")
        said[name] = said.get(name, "") + text
    assert set(said) == {*cards, "all of it"}
    silent = {f"{JOINT}-sentiment-text", f"{JOINT}-sentiment-speech"}  # which load weights and print nothing
    assert all(text.strip() for name, text in said.items() if name not in {*silent, "all of it"})
    assert "'phone_raw'" in said["evoslm-package"]


@pytest.mark.parametrize("read", ["text", "speech"])
def test_the_command_on_the_card_of_an_adapter_answers(reader, by_name, read):
    folder, environment, _ = reader
    answer = blocks((by_name[f"{JOINT}-sentiment-{read}"].folder / "README.md").read_text(), "bash")[0]
    found = json.loads(shell(answer, folder, environment).strip().splitlines()[-1])
    assert found["label"] in ("negative", "positive") and sum(found["scores"].values()) == pytest.approx(1)
    assert found["input"] == ("clip.wav" if read == "speech" else "The film was long, and I liked all of it.")


def files_on(hub: HubServer) -> dict[str, bytes]:
    """Every file that was ever in a repository."""
    return {
        f"{name} {commit.sha} {file}": content
        for (_, name), repository in hub.repositories.items()
        for history in (repository.commits, *repository.branches.values())
        for commit in history
        for file, content in commit.files.items()
    }


def test_the_command_pushed_what_it_prepared_and_nothing_else(pushed, released):
    assert sorted(pushed.repositories) == sorted((each.kind, each.name) for each in released)
    for each in released:
        repository = pushed.repositories[each.kind, each.name]
        for branch, folder in each.branches:
            prepared = {name: (folder / name).read_bytes() for name in list_files(folder)}
            files = dict(repository.find(branch).files)
            assert files.pop(".gitattributes") == b"" and files == prepared, each.name


def test_nothing_that_is_published_is_ever_unpickled(pushed):
    files = files_on(pushed)
    assert len(files) > 500 and not [name for name in files if name.endswith(PICKLED)]


def test_the_token_is_kept_and_told_nowhere(pushed):
    token = TOKEN.encode()
    prepared = [path for path in pushed.prepared.rglob("*") if path.is_file()]
    assert len(prepared) > 500 and not [path for path in prepared if token in path.read_bytes()]
    assert not [name for name, content in files_on(pushed).items() if token in content]
    assert not pushed.told_token and not [request for request in pushed.requests if TOKEN in request]
    assert "user/evoslm-smoke-transcriber" in pushed.printed and TOKEN not in pushed.printed
    assert TOKEN not in json.dumps(list(pushed.collections.values()))


def test_the_collection_ties_all_of_it(pushed, released, complete_run):
    (collection,) = pushed.collections.values()
    assert collection["title"] == f"EvoSLM {complete_run.name}" and len(collection["items"]) == len(released)
    assert all(len(item["note"]["text"]) <= 500 for item in collection["items"] if "note" in item)
