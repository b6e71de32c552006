"""A fine-tuning that was killed goes on from its last epoch, and ends with the bits of one that nobody stopped."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_slu import make_model, write_sentiment

from evoslm.training.cli import main
from evoslm.training.finetune.trainer import KeepBest
from evoslm.training.pretrain.checkpoints import list_checkpoints, what_is_wrong

EPOCHS = 8


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("text") / "base", "text_bpe")


def kill_after_an_epoch(command: list[str], checkpoints: Path) -> Path:
    """Run the command in a process of its own, kill it as soon as a checkpoint is whole, and return the last one."""
    with subprocess.Popen(
        [sys.executable, "-m", "evoslm.training.cli", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:
        while not list(checkpoints.glob("*/checkpoint.json")):  # which is given its name when all of it is there
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.01)
        process.kill()
    return next(path for path in list_checkpoints(checkpoints) if what_is_wrong(path) is None)


@pytest.mark.end_to_end
@pytest.mark.parametrize("flags", [("--lora_dropout", "0.2"), ("--method", "full")], ids=("lora", "full"))
def test_a_killed_fine_tuning_goes_on_to_the_same_bits(base, tmp_path, flags):
    asked = ["--task", str(write_sentiment(tmp_path, 120)), "--epochs", str(EPOCHS), "--batch_size", "8", *flags]
    command = ["finetune", str(base), *asked, "--device", "cpu", "--num_proc", "1", "--output_dir"]
    assert main([*command, str(tmp_path / "whole")]) == 0
    expected = tmp_path / "whole" / "models" / "seed-0"

    partial = tmp_path / "killed" / "models" / ".seed-0.partial"
    last = kill_after_an_epoch([*command, str(tmp_path / "killed")], partial / "trainer")
    trained = json.loads((expected / "training.json").read_text())
    assert int(last.name.removeprefix("checkpoint-")) < trained["updates"]
    assert main([*command, str(tmp_path / "killed")]) == 0
    found = tmp_path / "killed" / "models" / "seed-0"
    weights = [{path.name: path.read_bytes() for path in folder.glob("*.safetensors")} for folder in (found, expected)]
    assert weights[0] == weights[1] and weights[0]
    again = json.loads((found / "training.json").read_text())
    for name in ("updates", "train_losses", "validation_losses", "kept_epoch"):
        assert again[name] == trained[name], name
    assert not list(found.rglob("trainer")) and not partial.exists()
    whole, killed = (tmp_path / name / "predictions/seed-0/predictions.jsonl" for name in ("whole", "killed"))
    assert whole.read_text() == killed.read_text()


def test_what_was_known_of_epochs_is_known_again(tmp_path):
    model = torch.nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    keep, control = KeepBest(model), None
    for epoch, loss in enumerate((3.0, 1.0, 2.0), start=1):
        with torch.no_grad():
            model.weight.fill_(epoch)
        keep.on_evaluate(None, type("State", (), {"epoch": float(epoch)}), control, {"eval_loss": loss})
    keep.save(tmp_path)
    again = KeepBest(model)
    again.load(tmp_path)
    again.restore(model)
    assert (again.losses, again.best_epoch) == ([3.0, 1.0, 2.0], 2) and bool((model.weight == 2).all())
    (known := json.loads((tmp_path / "losses.json").read_text()))["seconds"] += 1_000
    (tmp_path / "losses.json").write_text(json.dumps(known))
    again.load(tmp_path)
    assert 1_000 < again.seconds < 1_100
