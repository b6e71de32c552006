"""Two real processes on a CPU (gloo): the same training as one, killed, stopped and resumed.

Launchers start the processes of some tests, and the others' are forked, which needs no imports (`forked.py`).
"""

import json
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from forked import run_forked
from launched import run_launched, torchrun
from safetensors.torch import load_file
from shared_training import SHAPE
from tiny_study import TINY

PROTOCOL = {"epochs": 3, "utterances_per_batch": 4, "learning_rate": 1e-2, "points": [0.5, 1.0, 3.0]}
ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "tests" / "helpers" / "shared_training.py"
ZERO2 = ROOT / "training" / "pretrain" / "accelerate" / "zero2.yaml"
# Whatever the losses, the third validation is the second in a row that improves the best by less than all of it.
UNTIL_CONVERGED = PROTOCOL | {
    "epochs": 6,
    "train_until": "converged",
    "patience": 2,
    "min_improvement": 1.0,
    "decay_fraction": 0.4,
}
# Rounding of other sums: losses are of the order of 1, weights of 0.1.
LOSS_TOLERANCE, WEIGHT_TOLERANCE = 1e-4, 1e-4


def run(launcher, program, folder, expect=0):
    """Run with a launcher, or in so many forked processes that write into `folder`; one has the expected status."""
    if isinstance(launcher, list):
        done = run_launched([*launcher, *program], timeout=300, cwd=ROOT)
        statuses = [done.returncode]
    else:
        done = run_forked(program, folder, launcher, cwd=ROOT)
        statuses = done.statuses
    as_expected = expect in statuses if expect else not any(statuses)
    assert as_expected, f"{statuses}\n{done.stdout[-3000:]}{done.stderr[-6000:]}"
    return done


def train(launcher, tokenizer_dir, folder, hardware=None, signals=None, expect=0, protocol=PROTOCOL):
    """Train in `folder` and return what was logged of it, and its weights."""
    job = {
        "tokenizer_dir": str(tokenizer_dir),
        "output_dir": str(folder),
        "shape": SHAPE,
        "protocol": protocol,
        # Two processes add up in another order: what is compared to a few digits is trained in fp32.
        "hardware": {"precision": "fp32"} | (hardware or {}),
        "signals": signals,
    }
    outputs = folder.parent / f"{folder.name}-says"
    shutil.rmtree(outputs, ignore_errors=True)
    outputs.mkdir(parents=True)
    done = run(launcher, [str(SCRIPT), json.dumps(job)], outputs, expect)
    if expect:
        return done
    return json.loads((folder / "training.json").read_text()), load_file(folder / "model.safetensors")


def check_same(one, other, loss=LOSS_TOLERANCE, weight=WEIGHT_TOLERANCE):
    (facts, weights), (other_facts, other_weights) = one, other
    losses, other_losses = ([e["validation_loss"] for e in each["evaluations"]] for each in (facts, other_facts))
    assert losses == pytest.approx(other_losses, abs=loss)
    assert facts["tokens_seen"] == other_facts["tokens_seen"] and facts["parameters"] == other_facts["parameters"]
    assert weights.keys() == other_weights.keys()
    for name, tensor in weights.items():
        assert (tensor - other_weights[name].float()).abs().max() < weight, name


@pytest.fixture(autouse=True)
def nothing_is_compiled(tmp_path, monkeypatch):
    """Compiled extensions are guarded by files: what kills a process that has one makes all later ones wait."""
    folder = tmp_path / "extensions"
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(folder))
    yield
    assert not folder.exists()


@pytest.fixture(scope="module")
def one_process(tokenizer_dir, tmp_path_factory):
    return train(1, tokenizer_dir, tmp_path_factory.mktemp("one") / "model")


@pytest.fixture(scope="module")
def two_processes(tokenizer_dir, tmp_path_factory):
    """What two processes train in which folder, by how they share it; once each."""

    @cache
    def train_in_two(deepspeed):
        folder = tmp_path_factory.mktemp("two") / "model"
        return train(2, tokenizer_dir, folder, {"deepspeed": deepspeed}), folder

    return train_in_two


@pytest.mark.parametrize(
    "deepspeed",
    [
        None,
        pytest.param("zero1", marks=pytest.mark.end_to_end),
        pytest.param("zero2", marks=pytest.mark.end_to_end),
        pytest.param("zero3", marks=pytest.mark.end_to_end),
    ],
)
def test_two_processes_train_as_one(one_process, two_processes, deepspeed):
    trained, folder = two_processes(deepspeed)
    check_same(trained, one_process)
    assert (trained[0]["processes"], trained[0]["deepspeed"]) == (2, deepspeed)
    points = sorted(path.parent.name for path in (folder / "points").glob("*/model.safetensors"))
    assert points == [point["name"] for point in one_process[0]["points"]]
    code = (
        "import sys; sys.modules['evoslm'] = None\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        f"model = AutoModelForCausalLM.from_pretrained({str(folder)!r})\n"
        f"print(AutoTokenizer.from_pretrained({str(folder)!r}).vocab_size, model.dtype)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == ["24", "torch.float32"]


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    "launcher",
    [
        list(torchrun(2)),
        ["accelerate.commands.launch", "--config_file", str(ZERO2), "--num_processes", "2"],
        ["deepspeed.launcher.runner", "--num_accelerators", "2"],
    ],
    ids=["torchrun", "accelerate", "deepspeed"],
)
def test_every_launcher_starts_the_same_training(one_process, tokenizer_dir, tmp_path, launcher):
    trained = train(launcher, tokenizer_dir, tmp_path / "trained")
    check_same(trained, one_process)
    assert trained[0]["processes"] == 2


@pytest.mark.end_to_end
def test_a_killed_rank_costs_nothing_but_time(two_processes, tokenizer_dir, tmp_path):
    hardware = {"deepspeed": "zero2", "save_every": 5}
    whole, folder = two_processes("zero2")
    killed = tmp_path / "killed"
    launcher, signals = list(torchrun(2)), {"1": [0.7, "SIGKILL"]}
    train(launcher, tokenizer_dir, killed, hardware, signals=signals, expect=1)
    assert not (killed / "model.safetensors").exists() and list((killed / "checkpoints").iterdir())
    check_same(train(2, tokenizer_dir, killed, hardware), whole, loss=0, weight=1e-12)
    assert (killed / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("deepspeed", "launcher", "expect"), [(None, list(torchrun(2)), 1), ("zero2", 2, 75)], ids=["DDP", "zero2"]
)
def test_a_signal_to_one_rank_stops_all_and_any_number_goes_on(
    one_process, tokenizer_dir, tmp_path, deepspeed, launcher, expect
):
    hardware, folder = {"deepspeed": deepspeed}, tmp_path / "stopped"
    done = train(launcher, tokenizer_dir, folder, hardware, signals={"1": [0.4, "SIGTERM"]}, expect=expect)
    assert launcher == 2 or "exitcode  : 75" in done.stderr
    assert "saved after update 16 of 39" in done.stderr
    assert (folder / "checkpoints" / "checkpoint-16" / "checkpoint.json").is_file()
    check_same(train(1, tokenizer_dir, folder, hardware), one_process)


@pytest.fixture(scope="module")
def alone(tokenizer_dir, tmp_path_factory):
    """A training until convergence by one process."""
    return train(1, tokenizer_dir, tmp_path_factory.mktemp("alone") / "model", protocol=UNTIL_CONVERGED)


@pytest.mark.parametrize(
    ("deepspeed", "share"),
    [
        pytest.param(None, 0.8, id="DDP, in the decay"),
        pytest.param("zero2", 0.2, marks=pytest.mark.end_to_end, id="zero2, in the stable phase"),
        pytest.param("zero2", 0.8, marks=pytest.mark.end_to_end, id="zero2, in the decay"),
        pytest.param("zero3", 0.8, marks=pytest.mark.end_to_end, id="zero3, in the decay"),
    ],
)
def test_all_ranks_begin_the_decay_together_whoever_is_killed(alone, tokenizer_dir, tmp_path, deepspeed, share):
    hardware, settings, killed = {"deepspeed": deepspeed}, {"protocol": UNTIL_CONVERGED}, tmp_path / "killed"
    signals = {"1": [share, "SIGKILL"]}
    train(2, tokenizer_dir, killed, hardware, signals=signals, expect=-signal.SIGKILL, **settings)
    assert not (killed / "model.safetensors").exists() and list((killed / "checkpoints").iterdir())
    shared = train(2, tokenizer_dir, killed, hardware, **settings)
    check_same(shared, alone)
    for name in ("decay_start", "updates", "convergence"):
        assert shared[0][name] == alone[0][name], name
    assert [each["updates"] for each in shared[0]["points"]] == [6, 13, 39]
    assert json.loads((killed / "config.json").read_text())["convergence"] == shared[0]["convergence"] == "converged"


@pytest.mark.end_to_end
def test_more_processes_than_utterances_are_refused(tokenizer_dir, tmp_path):
    for split in ("train", "validation"):
        import numpy as np

        from evoslm.training.pretrain.data import write_ids

        (tmp_path / "tiny").mkdir(exist_ok=True)
        write_ids(tmp_path / "tiny", split, [np.arange(4, 9)])
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "tiny" / name).write_bytes((tokenizer_dir / name).read_bytes())
    done = train(2, tmp_path / "tiny", tmp_path / "m", expect=2)
    assert "2 processes cannot share the 1 training utterances of phone_raw; start fewer." in done.stderr


@pytest.mark.end_to_end
def test_the_command_trains_with_several_processes(tmp_path, finished_run):
    shutil.copytree(finished_run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "models")
    flags = [*TINY, "--modalities", "text_bpe", "--output_dir", str(tmp_path / "run"), "--device", "cpu"]
    command = ["-m", "evoslm.training.cli"]
    run(list(torchrun(2)), [*command, "pretrain", *flags, "--deepspeed", "zero2"], tmp_path)
    folder = tmp_path / "run" / "models" / "text_bpe" / "seed-0"
    facts = json.loads((folder / "training.json").read_text())
    assert (facts["processes"], facts["deepspeed"]) == (2, "zero2")
    run(None, [*command, "pretrain", *flags], tmp_path)  # finished: another number of processes has nothing to do
    refused = run(2, [*command, "fit-units", *flags], tmp_path, expect=2)
    shared = "pretrain, evaluate, study, score, pretrain-joint, finetune"
    assert f"Several processes can share {shared} only" in refused.stderr
