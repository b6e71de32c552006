"""Estimates of memory and time against what small models really need."""

import importlib.util
import re

import pytest
import torch
from accelerate import optimizer
from transformers import LlamaConfig, LlamaForCausalLM

from evoslm.models.language_model import make_language_model
from evoslm.training.arguments.parsing import parse_arguments
from evoslm.training.pretrain.data import collate_packed
from evoslm.training.pretrain.dry_run import describe_needs
from evoslm.training.pretrain.hardware import (
    count_parameters,
    estimate_memory,
    estimate_seconds,
    look_up_optimizers_once,
    resolve_precision,
)

SHAPES = [
    {"hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 75},
    {
        "hidden_size": 128,
        "intermediate_size": 352,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "vocab_size": 2048,
        "tie_word_embeddings": True,
    },
]


def saved_bytes(model, batch) -> int:
    """What the forward pass keeps for the backward pass, weights left out, and the logits with their gradient."""
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    storages = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(**batch, use_cache=False)
    return sum(storages.values()) + output.logits.numel() * 4


@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_and_activations_are_those_of_the_model(shape):
    config = LlamaConfig(max_position_embeddings=2048, **shape)
    assert count_parameters(config) == LlamaForCausalLM(config).num_parameters()
    batch = collate_packed([torch.randint(4, 70, (length,)).numpy() for length in (400, 300, 500)])
    measured = saved_bytes(make_language_model(config, 0), batch)
    assert estimate_memory(config, 1200, "fp32").activations == pytest.approx(measured, rel=0.35)


def test_zero_shares_out_what_it_says():
    config = LlamaConfig(**SHAPES[1])
    stages = [estimate_memory(config, 100, "bf16", world_size=4, zero_stage=stage) for stage in range(4)]
    assert [stage.activations for stage in stages] == [stages[0].activations] * 4
    assert stages[1].optimizer == 12 * count_parameters(config) / 4
    assert stages[2].gradients == stages[1].gradients / 4 and stages[3].weights == stages[2].weights / 4
    assert stages[3].total < stages[2].total < stages[1].total
    assert estimate_memory(config, 100, "bf16", gradient_checkpointing=True).total < stages[0].total


def test_time_is_work_by_rate():
    config = LlamaConfig(**SHAPES[0])
    once = estimate_seconds(config, [500] * 10, 1, 1e12)
    assert estimate_seconds(config, [500] * 10, 4, 1e12, world_size=2) == pytest.approx(2 * once)


def test_a_dry_run_of_the_paper_says_what_fits(tmp_path):
    flags = ["--preset", "paper", "--output_dir", str(tmp_path / "run"), "--dry_run"]
    flags += ["--device_tflops", "700", "--num_devices", "4", "--deepspeed", "zero2"]
    pytest.importorskip("deepspeed")
    large = describe_needs(parse_arguments(flags, "pretrain"), "cpu")
    assert "4 devices of 80 GiB and 700 TFLOP/s in bf16, ZeRO-2" in large
    assert all(name in large for name in ("text_bpe", "speech_units", "977.4 M"))
    assert "too much" not in large
    small = describe_needs(parse_arguments([*flags, "--device_memory_gb", "4"], "pretrain"), "cpu")
    assert "too much: try --deepspeed zero3" in small
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--deepspeed", "zero9"], "There is no DeepSpeed configuration 'zero9'; choose from zero1, zero2, zero3"),
        (["--deepspeed", "zero2"], "start `evoslm pretrain` with torchrun"),
        (["--attention", "flash_attention_2"], "needs the package flash-attn, which is not installed"),
        (["--report_to", "trackio"], "needs the package trackio, which is not installed"),
        (["--utterances_per_pass", "0"], "--utterances_per_pass is 0; it must be at least 1"),
        (["--precision", "fp8"], "--precision is 'fp8'; choose from auto, bf16, fp32"),
    ],
)
def test_what_cannot_be_used_here_is_named_before_any_work(flags, message, monkeypatch):
    pytest.importorskip("deepspeed")
    known = importlib.util.find_spec
    missing = ("flash_attn", "trackio")
    monkeypatch.setattr(
        "evoslm.training.arguments.checks.find_spec", lambda name: None if name in missing else known(name)
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_arguments(["--preset", "smoke", *flags], "pretrain")


def test_precision_that_would_be_emulated_is_refused(monkeypatch):
    monkeypatch.setattr("evoslm.training.pretrain.hardware.has_bf16", lambda device: False)
    assert resolve_precision("auto", "cpu") == "fp32"
    with pytest.raises(ValueError, match="would emulate it; use fp32 or auto"):
        resolve_precision("bf16", "cpu")


def test_packages_of_optimizers_are_looked_up_once(monkeypatch):
    looked_up = []
    monkeypatch.setattr(optimizer, "is_lomo_available", lambda: looked_up.append(True) or False)
    for _ in range(2):  # a process trains several models
        look_up_optimizers_once()
        assert not optimizer.is_lomo_available() and not optimizer.is_lomo_available()
    assert looked_up == [True]
