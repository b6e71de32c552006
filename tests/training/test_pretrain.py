"""Training: the same order for every modality, exact losses, resumable to the bit, and a plain folder at the end."""

import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from evoslm.models.packed_attention import PACKED_ATTENTION
from evoslm.training.arguments import PretrainArguments
from evoslm.training.data import TokenizedUtterances, UtteranceBatchSampler, collate_packed, write_ids
from evoslm.training.pretrain import PretrainingPlan, newest_checkpoint, pretrain, validation_loss

SHAPE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
PROTOCOL = PretrainArguments(epochs=3, utterances_per_batch=4, learning_rate=1e-2, points=[0.5, 1.0, 3.0])


@pytest.fixture(scope="module")
def tokenizer_dir(tmp_path_factory):
    """Ids in which every symbol names the next one, so that there is something to learn."""
    folder = tmp_path_factory.mktemp("tokenizer")
    words = ["<s>", "</s>", "<pad>", "<unk>", *map(str, range(20))]
    backend = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    random = np.random.default_rng(0)
    for split, count in (("train", 50), ("validation", 10)):
        starts, lengths = random.integers(20, size=count), random.integers(5, 30, size=count)
        write_ids(folder, split, [(start + np.arange(length)) % 20 + 4 for start, length in zip(starts, lengths)])
    return folder


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


def test_validation_loss_is_the_mean_over_tokens_whatever_the_batches(tokenizer_dir, tmp_path):
    summary = pretrain("phone_raw", tokenizer_dir, tmp_path / "m", SHAPE, PROTOCOL, seed=0)
    dataset = TokenizedUtterances(tokenizer_dir, "validation", 0, 1)
    packed = AutoModelForCausalLM.from_pretrained(tmp_path / "m", attn_implementation=PACKED_ATTENTION)
    losses = [validation_loss(packed, dataset, size) for size in (1, 3, 16)]
    plain, total, tokens = AutoModelForCausalLM.from_pretrained(tmp_path / "m"), 0.0, 0
    for index in range(len(dataset)):
        ids = torch.from_numpy(dataset[index])[None]
        total += plain(ids, labels=ids).loss.item() * (ids.shape[1] - 1)
        tokens += ids.shape[1] - 1
    assert losses == pytest.approx([total / tokens] * 3, abs=1e-5)
    assert summary["best_validation_loss"] == pytest.approx(total / tokens, abs=1e-5)


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


def test_an_interrupted_training_ends_in_the_same_weights(tokenizer_dir, tmp_path):
    whole = tmp_path / "whole"
    pretrain("phone_raw", tokenizer_dir, whole, SHAPE, PROTOCOL, seed=3)

    class Killed(Exception):
        pass

    def kill(share):
        if share > 0.8:
            raise Killed

    broken = tmp_path / "broken"
    with pytest.raises(Killed):
        pretrain("phone_raw", tokenizer_dir, broken, SHAPE, PROTOCOL, seed=3, report_progress=kill)
    assert newest_checkpoint(broken / "checkpoints") is not None
    pretrain("phone_raw", tokenizer_dir, broken, SHAPE, PROTOCOL, seed=3)
    assert (broken / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    ours, theirs = (json.loads((folder / "training.json").read_text()) for folder in (broken, whole))
    assert ours["points"] == theirs["points"] and ours["evaluations"] == theirs["evaluations"]


def test_a_checkpoint_that_was_cut_off_is_passed_over(tmp_path):
    for step, whole in ((9, True), (10, False)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if whole:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    assert newest_checkpoint(tmp_path).endswith("checkpoint-9")
    assert not (tmp_path / "checkpoint-10").exists()


def test_too_long_an_utterance_and_an_empty_split_are_named(tokenizer_dir, tmp_path):
    with pytest.raises(ValueError, match="more than the model's window of 8"):
        pretrain("phone_raw", tokenizer_dir, tmp_path, SHAPE | {"max_position_embeddings": 8}, PROTOCOL, seed=0)


def test_convergence_stops_before_the_last_epoch(tokenizer_dir, tmp_path):
    arguments = PretrainArguments(
        epochs=60,
        utterances_per_batch=4,
        learning_rate=0.5,
        train_until="converged",
        patience=2,
        lr_scheduler="cosine",
    )
    summary = pretrain("phone_raw", tokenizer_dir, tmp_path / "m", SHAPE, arguments, seed=0)
    assert summary["epochs"] < 60
    assert summary["best_update"] < summary["updates"]
