"""A fine-tuning by two real processes (gloo) is that of one, and only the main process writes and tests."""

import json

import pytest
from forked import run_forked
from safetensors.torch import load_file
from tiny_slu import make_model, write_entities, write_sentiment

COMMAND = ("-m", "evoslm.training.cli", "finetune")
# Rounding of other sums, which AdamW's first updates make larger.
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("text") / "base", "text_bpe")


def run(base, task, folder, *flags, processes=2):
    """Run the command as one process or two; `training.json`, the weights and what is said of the test split."""
    asked = ["--task", task, "--output_dir", folder, "--epochs", "2", "--batch_size", "8", "--device", "cpu"]
    asked += ["--limit", "64", *flags]
    done = run_forked([*COMMAND, base, *asked], folder.parent, processes)
    assert not any(done.statuses), done.stdout[-2000:] + done.stderr[-6000:]
    assert done.stdout.count("The report is") == 1
    model = folder / "models" / "seed-0"
    (weights,) = model.glob("*.safetensors")
    results = json.loads((folder / "results.json").read_text())
    return json.loads((model / "training.json").read_text()), load_file(weights), results


@pytest.fixture(scope="module")
def alone(text_model, tmp_path_factory):
    """By method: a task, the flags of a fine-tuning on it, and what one process makes of it."""
    found = {}
    # Batches without a rest, which several processes fill up from the epoch's beginning.
    for method, write_task, limit in (("lora", write_entities, "58"), ("full", write_sentiment, "60")):
        folder = tmp_path_factory.mktemp(method)
        task, flags = write_task(folder), ("--method", method, "--limit", limit)
        found[method] = task, flags, run(text_model, task, folder / "out", *flags, processes=None)
    return found


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    "method, deepspeed", [("lora", None), ("lora", "zero3"), ("full", "zero2"), ("full", "zero3")]
)
def test_two_processes_fine_tune_as_one(text_model, alone, tmp_path, method, deepspeed):
    task, flags, (facts, weights, results) = alone[method]
    shared = ("--deepspeed", deepspeed) if deepspeed else ()
    found, own, told = run(text_model, task, tmp_path / "out", *flags, *shared)
    assert (found["processes"], found["deepspeed"]) == (2, deepspeed)
    assert found["updates"] == facts["updates"] and found["trained_parameters"] == facts["trained_parameters"]
    assert found["train_losses"] == pytest.approx(facts["train_losses"], rel=TOLERANCE)
    assert own.keys() == weights.keys()
    for name, tensor in own.items():
        assert tensor.shape == weights[name].shape
        assert (tensor - weights[name]).abs().max() < TOLERANCE, name
    assert told["tests"][0]["measures"].keys() == results["tests"][0]["measures"].keys()


@pytest.mark.end_to_end
def test_processes_that_do_not_divide_a_batch_are_refused(text_model, tmp_path):
    task = write_sentiment(tmp_path)
    asked = ["--task", task, "--output_dir", tmp_path / "out", "--batch_size", "7", "--device", "cpu"]
    done = run_forked([*COMMAND, text_model, *asked], tmp_path, 2)
    assert 2 in done.statuses and "2 processes cannot share batches of 7" in done.stderr
