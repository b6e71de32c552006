"""Training: the same order for every modality, exact losses, resumable to the bit, and a plain folder at the end."""

import errno
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from shared_training import SHAPE
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainingArguments

from evoslm.models.files import read_json, write_json
from evoslm.models.language_model import make_language_model, make_language_model_config, training_flops
from evoslm.models.modalities import get_modality
from evoslm.models.packed_attention import PACKED_ATTENTION
from evoslm.models.packed_training import Layout
from evoslm.training.arguments.study import HardwareArguments, PretrainArguments
from evoslm.training.pretrain import hardware
from evoslm.training.pretrain.checkpoints import MANIFEST, newest_checkpoint, seal
from evoslm.training.pretrain.data import TokenizedUtterances, UtteranceBatchSampler, collate_packed, write_ids
from evoslm.training.pretrain.pretraining import PretrainingPlan, choose_attention, pretrain
from evoslm.training.pretrain.trainer import validation_loss
from evoslm.training.run.distributed import TrainingStopped

PROTOCOL = PretrainArguments(epochs=3, utterances_per_batch=4, learning_rate=1e-2, points=[0.5, 1.0, 3.0])


@pytest.fixture(params=["fp32", "bf16"])
def precision(request, monkeypatch):
    """Both precisions on every processor: one that emulates bf16 is slow at it, but these models are tiny."""
    monkeypatch.setattr(hardware, "has_bf16", lambda device: True)
    return request.param


def test_batches_depend_on_count_seed_and_epoch_alone():
    first, second = (UtteranceBatchSampler(10, 4, seed=1) for _ in range(2))
    assert list(first) == list(second)
    assert sorted(sum(first, [])) == list(range(10))
    assert [len(batch) for batch in first] == [4, 4, 2] and len(first) == 3
    second.set_epoch(1)
    assert list(first) != list(second)


def test_a_packed_row_predicts_no_document_from_another(tokenizer_dir):
    dataset = TokenizedUtterances(tokenizer_dir, "train", 0, 1)
    batch = collate_packed([dataset[0], dataset[1]])
    starts = batch["position_ids"] == 0
    assert starts.sum() == 2
    assert (batch["labels"][starts] == -100).all()
    assert (batch["input_ids"][starts] == 0).all()
    assert (batch["labels"][~starts] == batch["input_ids"][~starts]).all()


def test_the_plan_keeps_points_of_the_stable_phase_only():
    plan = PretrainingPlan.make(100, PretrainArguments(epochs=4, utterances_per_batch=10, points=[0.5, 2, 3, 4]))
    assert (plan.updates, plan.updates_per_epoch, plan.decay) == (40, 10, 8)
    assert plan.points == (5, 20, 30)


# In bf16 the trainer's own validation, which computes in it, is apart from fp32's by its rounding: 8 bits.
@pytest.mark.parametrize("precision, tolerance", [("fp32", 1e-5), ("bf16", 2e-3)], indirect=["precision"])
def test_validation_loss_is_the_mean_over_tokens_whatever_the_batches(tokenizer_dir, tmp_path, precision, tolerance):
    arguments = HardwareArguments(precision=precision)
    summary = pretrain("phone_raw", tokenizer_dir, tmp_path / "m", SHAPE, PROTOCOL, seed=0, hardware=arguments)
    assert summary["precision"] == precision
    dataset = TokenizedUtterances(tokenizer_dir, "validation", 0, 1)
    packed = AutoModelForCausalLM.from_pretrained(tmp_path / "m", attn_implementation=PACKED_ATTENTION)
    losses = [validation_loss(packed, dataset, size) for size in (1, 3, 16)]
    plain, total, tokens = AutoModelForCausalLM.from_pretrained(tmp_path / "m"), 0.0, 0
    for index in range(len(dataset)):
        ids = torch.from_numpy(dataset[index])[None]
        total += plain(ids, labels=ids).loss.item() * (ids.shape[1] - 1)
        tokens += ids.shape[1] - 1
    assert losses == pytest.approx([total / tokens] * 3, abs=1e-5)
    assert summary["best_validation_loss"] == pytest.approx(total / tokens, abs=tolerance)


def test_training_learns_and_leaves_a_plain_folder(tokenizer_dir, tmp_path):
    summary = pretrain("phone_raw", tokenizer_dir, tmp_path / "m", SHAPE, PROTOCOL, seed=0, unit_encoder="none")
    assert summary["evaluations"][-1]["validation_loss"] < 0.7 * np.log(24)
    assert [point["epochs"] for point in summary["points"]] == pytest.approx([0.5, 1.0], abs=0.04)
    assert summary["tokens_seen"] == 3 * int(TokenizedUtterances(tokenizer_dir, "train", 0, 1).lengths.sum())
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    assert (model.config.modality, model.config.unit_encoder) == ("phone_raw", "none")
    assert AutoTokenizer.from_pretrained(tmp_path / "m").bos_token_id == model.config.bos_token_id
    assert {path.name for path in (tmp_path / "m" / "points").iterdir()} == {p["name"] for p in summary["points"]}
    assert not list((tmp_path / "m").glob("**/*.pt")) + list((tmp_path / "m").glob("**/*.bin"))
    assert json.loads((tmp_path / "m" / "training.json").read_text())["updates"] == summary["updates"]


def test_an_interrupted_training_ends_in_the_same_weights(tokenizer_dir, tmp_path, precision):
    whole, arguments = tmp_path / "whole", HardwareArguments(precision=precision)
    pretrain("phone_raw", tokenizer_dir, whole, SHAPE, PROTOCOL, seed=3, hardware=arguments)

    class Killed(Exception):
        pass

    def kill(share):
        if share > 0.8:
            raise Killed

    broken = tmp_path / "broken"
    with pytest.raises(Killed):
        pretrain("phone_raw", tokenizer_dir, broken, SHAPE, PROTOCOL, seed=3, report_progress=kill, hardware=arguments)
    assert newest_checkpoint(broken / "checkpoints") is not None
    pretrain("phone_raw", tokenizer_dir, broken, SHAPE, PROTOCOL, seed=3, hardware=arguments)
    assert (broken / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    ours, theirs = (json.loads((folder / "training.json").read_text()) for folder in (broken, whole))
    assert ours["points"] == theirs["points"] and ours["evaluations"] == theirs["evaluations"]


def test_how_often_a_training_is_saved_changes_nothing_and_how_often_it_is_validated_is_asked_apart(
    tokenizer_dir, tmp_path
):
    plain, saved, validated = tmp_path / "plain", tmp_path / "saved", tmp_path / "validated"
    pretrain("phone_raw", tokenizer_dir, plain, SHAPE, PROTOCOL, seed=3)
    facts = pretrain(
        "phone_raw", tokenizer_dir, saved, SHAPE, PROTOCOL, seed=3, hardware=HardwareArguments(save_every=3)
    )
    assert (saved / "model.safetensors").read_bytes() == (plain / "model.safetensors").read_bytes()
    assert [each["updates"] for each in facts["evaluations"]] == [13, 26, 39]
    often = pretrain("phone_raw", tokenizer_dir, validated, SHAPE, replace(PROTOCOL, validate_every=5), seed=3)
    assert [each["updates"] for each in often["evaluations"]] == [5, 10, 15, 20, 25, 30, 35, 39]


def test_a_kill_between_validations_goes_on_from_the_checkpoint_before(tokenizer_dir, tmp_path):
    def kill(share):
        if share > 0.5:  # after update 20, which is neither validated nor saved
            raise KeyboardInterrupt

    arguments = HardwareArguments(save_every=6)
    with pytest.raises(KeyboardInterrupt):
        pretrain(
            "phone_raw",
            tokenizer_dir,
            tmp_path / "m",
            SHAPE,
            PROTOCOL,
            seed=3,
            hardware=arguments,
            report_progress=kill,
        )
    assert newest_checkpoint(tmp_path / "m" / "checkpoints").name == "checkpoint-18"


def make_checkpoint(folder, step):
    checkpoint = folder / f"checkpoint-{step}"
    (checkpoint / "global_step").mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    (checkpoint / "global_step" / "optimizer.pt").write_bytes(b"states")
    return checkpoint


@pytest.mark.parametrize("damage", ["not sealed", "missing", "truncated"])
def test_a_checkpoint_that_is_not_whole_is_passed_over(tmp_path, capsys, damage):
    assert newest_checkpoint(tmp_path / "none") is None
    seal(make_checkpoint(tmp_path, 9), ranks=2)
    newest = make_checkpoint(tmp_path, 10)
    if damage != "not sealed":
        seal(newest)
        assert newest_checkpoint(tmp_path) == newest
    if damage == "missing":
        (newest / "global_step" / "optimizer.pt").unlink()
    if damage == "truncated":
        (newest / "model.safetensors").write_bytes(b"wei")
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-9"
    assert not newest.exists()
    told = {
        "not sealed": "not finished",
        "missing": "optimizer.pt is missing",
        "truncated": "has 3 bytes instead of 7",
    }
    assert told[damage] in capsys.readouterr().err


def test_a_loss_that_is_not_a_number_names_update_and_data(tokenizer_dir, tmp_path):
    protocol = PretrainArguments(epochs=3, utterances_per_batch=4, learning_rate=1e30, warmup_fraction=0.0, points=[])
    with pytest.raises(ValueError, match=r"The loss (exploded|is not a number) .* in update \d+, .* \d+, \d+"):
        pretrain("phone_raw", tokenizer_dir, tmp_path / "m", SHAPE, protocol, seed=0)


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for one checkpoint of the small model and its first point."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no permission to mount a small file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_error_and_leaves_the_checkpoint_before(tokenizer_dir, small_disk):
    protocol = replace(PROTOCOL, points=[])
    with pytest.raises(OSError) as error:
        pretrain("phone_raw", tokenizer_dir, small_disk / "m", SHAPE, protocol, seed=0)
    assert error.value.errno == errno.ENOSPC
    kept = newest_checkpoint(small_disk / "m" / "checkpoints")
    assert kept is not None
    assert f"checkpoint-{int(kept.name.rsplit('-', 1)[1]) + 13}" in str(error.value)


def test_sigterm_saves_once_and_the_same_call_ends_in_the_same_weights(tokenizer_dir, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    pretrain("phone_raw", tokenizer_dir, whole, SHAPE, PROTOCOL, seed=3)

    def stop(share):
        if share > 0.5:
            os.kill(os.getpid(), signal.SIGTERM)

    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TrainingStopped, match="saved after update 20 of 39"):
        pretrain("phone_raw", tokenizer_dir, stopped, SHAPE, PROTOCOL, seed=3, report_progress=stop)
    assert signal.getsignal(signal.SIGTERM) == handler
    checkpoint = newest_checkpoint(stopped / "checkpoints")
    assert checkpoint.name == "checkpoint-20"
    sealed = read_json(checkpoint / MANIFEST)
    assert sealed["seconds"] > 0
    write_json(checkpoint / MANIFEST, sealed | {"seconds": 1000.0})
    assert pretrain("phone_raw", tokenizer_dir, stopped, SHAPE, PROTOCOL, seed=3)["train_seconds"] > 1000
    assert (stopped / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_process_trains_on_one_gpu_however_many_it_sees(tokenizer_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(TrainingArguments, "n_gpu", property(lambda arguments: 2))
    monkeypatch.setattr(torch.nn.DataParallel, "__init__", lambda *_: pytest.fail("batches were shared out"))
    pretrain("phone_raw", tokenizer_dir, tmp_path / "m", SHAPE, replace(PROTOCOL, epochs=1, points=[]), seed=0)


# Gradients of a bf16 pass are rounded before they are added up, and Adam's steps are of lr = 0.01 whatever their size.
@pytest.mark.parametrize("precision, tolerance", [("fp32", 2e-4), ("bf16", 0.02)], indirect=["precision"])
def test_passes_over_parts_of_a_batch_add_up_to_the_batch(tokenizer_dir, tmp_path, precision, tolerance):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    in_one = HardwareArguments(precision=precision)
    pretrain("phone_raw", tokenizer_dir, whole, SHAPE, PROTOCOL, seed=3, hardware=in_one)
    in_parts = replace(in_one, utterances_per_pass=1)
    summary = pretrain("phone_raw", tokenizer_dir, parts, SHAPE, PROTOCOL, seed=3, hardware=in_parts)
    one, other = (load_file(folder / "model.safetensors") for folder in (whole, parts))
    assert summary["updates"] == 39
    for name in one:
        assert torch.allclose(one[name], other[name], atol=tolerance), name


def test_shares_of_a_batch_are_the_batch_and_about_even():
    lengths = np.random.default_rng(0).integers(5, 60, 50)
    whole = UtteranceBatchSampler(50, 12, seed=1)
    ranks = [UtteranceBatchSampler(50, 12, 1, lengths=lengths, rank=rank, world_size=3, shares=2) for rank in range(3)]
    for sampler in (whole, *ranks):
        sampler.set_epoch(2)
    shares = [list(sampler) for sampler in ranks]
    assert [len(share) for share in shares] == [len(sampler) for sampler in ranks] == [10] * 3
    for index, batch in enumerate(whole):
        parts = [share[2 * index + half] for share in shares for half in range(2)]
        assert sorted(sum(parts, [])) == sorted(batch) == sorted(whole.batch_of_update(2 * 5 + index + 1))
        if len(batch) == 12:
            tokens = [lengths[part].sum() for part in parts]
            assert max(tokens) - min(tokens) <= lengths.max()
    assert any(part == [] for share in shares for part in share)  # of the last batch of an epoch, of two utterances


def logits_of_documents(tokenizer_dir: Path, attention: str) -> tuple[torch.Tensor, Callable[[], torch.Tensor]]:
    """Logits of three documents in one row, and what computes them one document after another."""
    dataset = TokenizedUtterances(tokenizer_dir, "train", 0, 1)
    config = make_language_model_config(get_modality("phone_raw"), AutoTokenizer.from_pretrained(tokenizer_dir), SHAPE)
    model = make_language_model(config, 0).eval()
    model.set_attn_implementation(choose_attention(attention, "cpu"))
    rows = [dataset[index] for index in range(3)]
    batch = collate_packed(rows)
    batch.pop("labels")
    with torch.no_grad():
        packed = model(**batch, use_cache=False).logits[0]
    return packed, lambda: torch.cat([model(torch.from_numpy(row)[None], use_cache=False).logits[0] for row in rows])


@pytest.mark.parametrize("attention", ["packed", "sdpa", "eager"])
def test_documents_of_a_row_are_apart_with_every_attention(tokenizer_dir, attention):
    packed, apart = logits_of_documents(tokenizer_dir, attention)
    assert torch.allclose(packed, apart(), atol=1e-5)


def test_compiled_attention_keeps_them_apart_with_any_number_of_threads(tokenizer_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    apart = logits_of_documents(tokenizer_dir, "eager")[1]()
    threads = torch.get_num_threads()
    try:
        for number in (1, 2):  # the second finds the kernels of the first on disk, which are not its own
            torch.set_num_threads(number)
            torch._dynamo.reset()
            packed, _ = logits_of_documents(tokenizer_dir, "flex_attention")
            assert torch.allclose(packed, apart, atol=1e-5), f"{number} threads"
    finally:
        torch.set_num_threads(threads)


def test_throughput_is_logged_beside_the_loss(tokenizer_dir, tmp_path):
    pretrain("phone_raw", tokenizer_dir, tmp_path / "m", SHAPE, PROTOCOL, seed=0)
    logged = [entry for entry in json.loads((tmp_path / "m" / "log_history.json").read_text()) if "loss" in entry]
    assert logged and all(entry["tokens_per_second"] > 0 and entry["mfu"] > 0 for entry in logged)
    lengths = TokenizedUtterances(tokenizer_dir, "train", 0, 1).lengths
    update = UtteranceBatchSampler(50, 4, seed=0).batch_of_update(logged[1]["step"])
    assert logged[1]["step"] == logged[0]["step"] + 1
    filled = lengths[update].sum() / Layout.make(lengths[update].tolist()).positions
    assert logged[1]["non_padding"] == logged[1]["non_padding_in_attention"] == pytest.approx(filled, abs=1e-4)
    # Tokens and operations are of the same seconds, so what a speed cancels out of is exact.
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    operations = [
        training_flops(model.config, model.num_parameters(), lengths[rows].tolist()) / lengths[rows].sum()
        for rows in (UtteranceBatchSampler(50, 4, seed=0).batch_of_update(entry["step"]) for entry in logged[:2])
    ]
    rates = [entry["mfu"] / entry["tokens_per_second"] for entry in logged[:2]]
    assert rates[1] / rates[0] == pytest.approx(operations[1] / operations[0], rel=1e-3)


def test_the_window_follows_the_longest_utterance_and_an_empty_split_is_named(tokenizer_dir, tmp_path):
    protocol = replace(PROTOCOL, epochs=0.1)
    windows = {}
    for name, asked, extra in (("kept", 64, {}), ("longer", 8, {}), ("pairs", 64, {"frame_rate": 75.0})):
        shape = SHAPE | {"max_position_embeddings": asked}
        pretrain("phone_raw", tokenizer_dir, tmp_path / name, shape, protocol, seed=0, **extra)
        model = AutoModelForCausalLM.from_pretrained(tmp_path / name)
        windows[name] = model.config.max_position_embeddings
    # The longest has 31 tokens; at 75 frames a second a pair of 30 s has 2,252.
    assert windows == {"kept": 64, "longer": 1024, "pairs": 3072}
    kept, longer = (load_file(tmp_path / name / "model.safetensors") for name in ("kept", "longer"))
    assert all(torch.equal(kept[name], longer[name]) for name in kept)
    empty = shutil.copytree(tokenizer_dir, tmp_path / "empty")
    write_ids(empty, "validation", [])
    with pytest.raises(ValueError, match="validation split of phone_raw is empty"):
        pretrain("phone_raw", empty, tmp_path / "m", SHAPE, PROTOCOL, seed=0)
