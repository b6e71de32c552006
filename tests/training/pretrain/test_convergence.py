"""Training until convergence: a stable phase that ends by a rule, a decay, and the best checkpoint of the decay."""

import json
import os
import signal
from dataclasses import replace

import pytest
from safetensors.torch import load_file
from shared_training import SHAPE
from transformers import AutoConfig

from evoslm.training.arguments.checks import check_protocol
from evoslm.training.arguments.study import HardwareArguments, PretrainArguments
from evoslm.training.pretrain import trainer
from evoslm.training.pretrain.checkpoints import newest_checkpoint
from evoslm.training.pretrain.convergence import Convergence, ConvergenceRule, Decay
from evoslm.training.pretrain.pretraining import PretrainingPlan, pretrain
from evoslm.training.run.distributed import TrainingStopped

# 13 updates an epoch. The loss still falls by much in each of these epochs, so that the bar is higher here.
PROTOCOL = PretrainArguments(
    epochs=12,
    train_until="converged",
    patience=2,
    min_improvement=0.25,
    utterances_per_batch=4,
    learning_rate=1e-2,
    warmup_fraction=0.02,
    decay_fraction=0.4,
    points=[0.5, 1.0],
)
RULE = ConvergenceRule(warmup=10, limit=100, patience=3, min_improvement=0.002, decay_fraction=0.2)


def train(tokenizer_dir, folder, protocol=PROTOCOL, hardware=None, report_progress=None):
    return pretrain(
        "phone_raw",
        tokenizer_dir,
        folder,
        SHAPE,
        protocol,
        seed=3,
        hardware=hardware,
        report_progress=report_progress,
    )


@pytest.fixture(scope="module")
def whole(tokenizer_dir, tmp_path_factory):
    """A training that nothing interrupts, and what it says of itself."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(tokenizer_dir, folder)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([2.0, 1.0, 0.5], None),
        ([2.0, 1.999, 1.998], None),
        ([2.0, 1.999, 1.998, 1.997], Decay(40, 8, "converged")),  # each improves the best by 0.05 %
        ([2.0, 2.1, 2.2, 2.3], Decay(40, 8, "converged")),
        ([2.0, 1.999, 1.998, 1.99, 1.989, 1.988, 1.987], Decay(70, 14, "converged")),  # 0.4 % begins the count anew
        ([2.0, 2.5, 1.999, 2.5], Decay(40, 8, "converged")),  # measured by the best, not by the one before
        ([2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1], Decay(100, 20, "still falling")),
        ([2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.4, 1.4, 1.4], Decay(100, 20, "converged")),  # at the limit, by the rule
    ],
)
def test_the_decay_begins_after_validations_in_a_row_that_improve_the_best_loss_by_too_little(losses, expected):
    by_update = {10 * index: loss for index, loss in enumerate(losses, 1)}
    assert RULE.find_decay(by_update) == expected
    later = {max(by_update) + 10 * index: loss for index, loss in enumerate((0.5, 0.4, 0.3), 1)}
    assert expected is None or RULE.find_decay(by_update | later) == expected


def test_a_validation_while_the_learning_rate_rises_does_not_count():
    losses = dict.fromkeys(range(10, 60, 10), 2.0)
    assert RULE.find_decay(losses).start == 40
    assert replace(RULE, warmup=30).find_decay(losses) is None
    assert replace(RULE, warmup=20).find_decay(losses).start == 50


def test_the_learning_rate_rises_stays_and_falls_in_a_line_to_nothing():
    convergence = Convergence(RULE)
    assert [convergence.learning_rate_share(update) for update in (0, 5, 10, 50, 119)] == [0, 0.5, 1, 1, 1]
    convergence.decay = Decay(50, 10, "converged")
    shares = [convergence.learning_rate_share(update) for update in range(50, 62)]
    assert shares == pytest.approx([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0, 0])


def test_the_plan_counts_a_decay_behind_the_most_epochs_and_no_points_in_it():
    plan = PretrainingPlan.make(50, replace(PROTOCOL, points=[1, 12, 13]))
    assert (plan.updates, plan.updates_per_epoch, plan.warmup, plan.decay) == (156 + 62, 13, 3, 62)
    assert plan.points == (13, 156)


def test_a_training_that_converges_decays_and_says_so(tokenizer_dir, whole):
    folder, summary = whole
    start = summary["decay_start"]
    assert summary["convergence"] == AutoConfig.from_pretrained(folder).convergence == "converged"
    assert 26 < start < 156 and start % 13 == 0 and summary["updates"] == start + round(0.4 * start)
    assert summary["best_update"] > start
    after = [each for each in summary["evaluations"] if each["updates"] > start]
    assert after[-1]["updates"] == summary["updates"]
    assert summary["best_validation_loss"] == min(each["validation_loss"] for each in after)
    assert json.loads((folder / "training.json").read_text()) == summary


def test_until_the_decay_it_is_the_training_of_a_set_number_of_epochs(tokenizer_dir, whole, tmp_path):
    summary = train(tokenizer_dir, tmp_path / "m", replace(PROTOCOL, train_until="epochs", decay_fraction=0.8))
    assert summary["convergence"] is None and not hasattr(AutoConfig.from_pretrained(tmp_path / "m"), "convergence")
    assert summary["points"] == whole[1]["points"]
    for point in summary["points"]:
        ours, theirs = (folder / "points" / point["name"] for folder in (whole[0], tmp_path / "m"))
        assert (ours / "model.safetensors").read_bytes() == (theirs / "model.safetensors").read_bytes()


def test_a_training_that_the_limit_ends_is_still_falling(tokenizer_dir, tmp_path):
    # The limit lies inside an epoch; points beyond it are none.
    protocol = replace(PROTOCOL, epochs=2.5, decay_fraction=0.2, points=[2.0, 2.5, 2.6])
    summary = train(tokenizer_dir, tmp_path / "m", protocol)
    assert summary["convergence"] == AutoConfig.from_pretrained(tmp_path / "m").convergence == "still falling"
    assert (summary["decay_start"], summary["updates"]) == (33, 40)
    assert [each["updates"] for each in summary["evaluations"]] == [13, 26, 33, 39, 40]
    assert [each["updates"] for each in summary["points"]] == [26, 32]


def test_the_best_checkpoint_of_the_decay_is_chosen_even_if_one_before_was_better(
    tokenizer_dir, tmp_path, monkeypatch
):
    made_up = iter([2.0, 1.0, 1.0, 1.0, 1.5, 1.6])
    monkeypatch.setattr(trainer, "validation_loss", lambda *_: next(made_up))
    protocol = replace(PROTOCOL, validate_every=10, decay_fraction=0.5, points=[])
    summary = train(tokenizer_dir, tmp_path / "m", protocol, HardwareArguments(save_every=1))
    assert (summary["decay_start"], summary["updates"], summary["best_update"]) == (40, 60, 50)
    assert summary["best_validation_loss"] == 1.5


class Killed(BaseException):
    """Ends a training as a kill would."""


def kill_after(update):
    """A callback that ends a training after so many updates, counted by how often it is called."""
    calls = iter(range(1, 10_000))

    def kill(share):
        if next(calls) == update:
            raise Killed

    return kill


@pytest.mark.parametrize(
    ("offset", "save_every"),
    [
        pytest.param(-20, None, id="in the stable phase"),
        pytest.param(0, None, id="before its last validation"),
        pytest.param(1, None, id="between the phases"),
        pytest.param(6, 1, id="in the decay, before any validation of it"),
        pytest.param(14, None, id="in the decay"),
    ],
)
def test_a_kill_changes_nothing(tokenizer_dir, whole, tmp_path, offset, save_every):
    folder, summary = whole
    broken, hardware = tmp_path / "broken", HardwareArguments(save_every=save_every)
    with pytest.raises(Killed):
        train(tokenizer_dir, broken, hardware=hardware, report_progress=kill_after(summary["decay_start"] + offset))
    resumed_from = int(newest_checkpoint(broken / "checkpoints").name.rsplit("-", 1)[1])
    assert (resumed_from >= summary["decay_start"]) == (offset > 0)
    shares = []
    train(tokenizer_dir, broken, hardware=hardware, report_progress=shares.append)
    assert len(shares) == summary["updates"] - resumed_from
    assert (broken / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    ours = json.loads((broken / "training.json").read_text())
    timed = ("train_seconds", "matrix_rate")
    assert {k: v for k, v in ours.items() if k not in timed} == {k: v for k, v in summary.items() if k not in timed}
    assert sorted(path.name for path in (broken / "points").iterdir()) == ["updates-000006", "updates-000013"]


def test_a_signal_says_how_far_a_training_is_of_at_most_how_many_updates(tokenizer_dir, whole, tmp_path):
    folder, summary = whole
    start = summary["decay_start"]
    for update, most in ((20, "at most 218"), (start + 3, str(summary["updates"]))):
        calls = iter(range(newest(tmp_path / "m") + 1, 10_000))

        def stop(share, update=update, calls=calls):
            if next(calls) == update:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(TrainingStopped, match=f"saved after update {update} of {most};"):
            train(tokenizer_dir, tmp_path / "m", report_progress=stop)
    train(tokenizer_dir, tmp_path / "m")
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def newest(folder):
    checkpoint = newest_checkpoint(folder / "checkpoints")
    return 0 if checkpoint is None else int(checkpoint.name.rsplit("-", 1)[1])


def test_gradients_added_up_over_passes_decay_at_the_same_update(tokenizer_dir, whole, tmp_path):
    folder, summary = whole
    parts = train(tokenizer_dir, tmp_path / "parts", hardware=HardwareArguments(utterances_per_pass=1))
    assert (parts["decay_start"], parts["updates"]) == (summary["decay_start"], summary["updates"])
    one, other = (load_file(each / "model.safetensors") for each in (folder, tmp_path / "parts"))
    assert max((one[name] - other[name]).abs().max() for name in one) < 1e-2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr_scheduler": "cosine"}, "--train_until converged does not go with --lr_scheduler cosine"),
        ({"decay_fraction": 0.0}, "give a --decay_fraction above 0"),
    ],
)
def test_a_protocol_that_cannot_decay_is_refused(changes, message):
    check_protocol(PROTOCOL)
    check_protocol(replace(PROTOCOL, train_until="epochs", **changes))
    with pytest.raises(ValueError, match=message):
        check_protocol(replace(PROTOCOL, **changes))
    with pytest.raises(ValueError, match=message):
        PretrainingPlan.make(50, replace(PROTOCOL, **changes))
