"""Joint models trained by two real processes (gloo) are those of one; a launcher's command does the rest once."""

import json

import pytest
from forked import run_forked
from launched import run_launched, torchrun
from safetensors.torch import load_file

# Rounding of other sums: losses are of the order of 1, weights of 0.1.
TOLERANCE = 1e-4


def run(folder, run_dir, launcher=None, *flags):
    """Train in one process, or in two that a launcher starts, or so many that are forked."""
    command = ["-m", "evoslm.training.cli", "pretrain-joint", run_dir]
    asked = ["--models", "cst_ast", "--training_seeds", "3", "--epochs", "1", "--num_blocks", "2", "--block_size", "3"]
    command += ["--output_dir", folder, *asked, *flags]
    if isinstance(launcher, tuple):
        done = run_launched([*launcher, *command], timeout=300)
        statuses = [done.returncode]
    else:
        done = run_forked(command, folder.parent, launcher)
        statuses = done.statuses
    assert not any(statuses), done.stdout[-2000:] + done.stderr[-6000:]
    model = folder / "models" / "cst_ast" / "seed-3"
    return json.loads((model / "training.json").read_text()), load_file(model / "model.safetensors")


@pytest.fixture(scope="module")
def alone(finished_run, tmp_path_factory):
    return run(tmp_path_factory.mktemp("alone") / "joint", finished_run)


@pytest.mark.end_to_end
@pytest.mark.parametrize("deepspeed", [None, "zero2", "zero3"])
def test_two_processes_train_a_joint_model_as_one(finished_run, alone, tmp_path, deepspeed):
    flags = ["--deepspeed", deepspeed] if deepspeed else []
    facts, weights = run(tmp_path / "joint", finished_run, 2 if deepspeed else torchrun(2), *flags)
    assert (facts["processes"], facts["deepspeed"]) == (2, deepspeed)
    losses, own = ([each["validation_loss"] for each in found["evaluations"]] for found in (alone[0], facts))
    assert own == pytest.approx(losses, abs=TOLERANCE) and facts["tokens_seen"] == alone[0]["tokens_seen"]
    for name, tensor in weights.items():
        assert (tensor - alone[1][name]).abs().max() < TOLERANCE, name
    assert (tmp_path / "joint" / "scores" / "cst_ast" / "seed-3" / "retrieval.parquet").is_file()
    assert "| CST + AST |" in (tmp_path / "joint" / "report.md").read_text()
