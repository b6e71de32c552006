"""Training until convergence (2412.17048, Table 4): when the stable phase ends, and the decay that follows it.

validation losses so far -> [`ConvergenceRule`] -> [`Decay`] -> the learning rate of every update. A training that goes
on after a kill has those losses from its checkpoint, and nothing else has to be kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from transformers import TrainerCallback

CONVERGED, STILL_FALLING = "converged", "still falling"


@dataclass(frozen=True)
class Decay:
    """
    The end of a training.

    Args:
        start (`int`): Updates that were made before it.
        length (`int`): Its own updates.
        convergence (`str`): What began it: `"converged"`, the rule, or `"still falling"`, the limit.
    """

    start: int
    length: int
    convergence: str

    @property
    def end(self) -> int:
        """Updates in all."""
        return self.start + self.length


@dataclass(frozen=True)
class ConvergenceRule:
    """
    The stable phase lasts until some validations in a row improve the best loss by too little, or up to a limit.

    Args:
        warmup (`int`): Updates that warm up; a validation among them can set the best loss, and does not count.
        limit (`int`): Updates after which the decay begins in any case.
        patience (`int`): Validations in a row.
        min_improvement (`float`): Share of the best loss before by which a validation has to be lower.
        decay_fraction (`float`): Updates of the decay as a share of those before it.
    """

    warmup: int
    limit: int
    patience: int
    min_improvement: float
    decay_fraction: float

    def find_decay(self, losses: Mapping[int, float]) -> Decay | None:
        """
        The decay that follows from the validation losses so far, by update; `None` in the stable phase.

        What comes after its start changes nothing.
        """
        best, small_in_a_row = float("inf"), 0
        for update in sorted(losses):
            is_small = best - losses[update] < self.min_improvement * best
            small_in_a_row = small_in_a_row + 1 if is_small and update > self.warmup else 0
            best = min(best, losses[update])
            if small_in_a_row >= self.patience:
                return Decay(update, self.decay_length(update), CONVERGED)
            if update >= self.limit:
                return Decay(update, self.decay_length(update), STILL_FALLING)
        return None

    def decay_length(self, start: int) -> int:
        """Updates of a decay that begins after so many."""
        return max(1, round(self.decay_fraction * start))

    @property
    def most_updates(self) -> int:
        """Updates of a training that the limit ends."""
        return self.limit + self.decay_length(self.limit)


class Convergence(TrainerCallback):
    """
    Ends the stable phase by a rule, and has the best checkpoint of the decay alone chosen.

    Every process decides by itself: a validation loss is one sum over all of them, so that they have the same losses.

    Args:
        rule ([`ConvergenceRule`]): The rule.
    """

    def __init__(self, rule: ConvergenceRule):
        self.rule = rule
        self.decay: Decay | None = None

    def learning_rate_share(self, update: int) -> float:
        """The share of the peak learning rate after so many updates: a linear rise, 1, and a linear fall to 0."""
        if self.decay is not None and update >= self.decay.start:
            return max(0.0, (self.decay.end - update) / self.decay.length)
        return update / self.rule.warmup if update < self.rule.warmup else 1.0

    def on_train_begin(self, args, state, control, **kwargs):
        """Go on where the checkpoint was, if there is one."""
        self._follow(state)

    def on_evaluate(self, args, state, control, **kwargs):
        """Ask whether the stable phase is over."""
        self._follow(state)

    def _follow(self, state) -> None:
        self.decay = self.rule.find_decay(validation_losses(state.log_history))
        state.max_steps = self.rule.most_updates if self.decay is None else self.decay.end

    def on_step_begin(self, args, state, control, **kwargs):
        """Forget the best of the stable phase before the decay's first update."""
        if self.decay is not None and state.global_step == self.decay.start:
            state.best_metric = state.best_global_step = state.best_model_checkpoint = None

    def on_step_end(self, args, state, control, **kwargs):
        """Validate and save at the limit, which need not be the end of an epoch."""
        if state.global_step == self.rule.limit:
            control.should_evaluate = control.should_save = True
        return control


def validation_losses(log_history: list[dict]) -> dict[int, float]:
    """The validation losses of a training's log, in nats a token, by update."""
    return {entry["step"]: entry["eval_loss"] for entry in log_history if "eval_loss" in entry}
