"""Best paths through phones, by Viterbi's algorithm.

Log-densities of every phone's states -> [`forced_path`], which goes through given phones in order, and
[`phone_loop`], which may go through any: what a recording says best whatever its transcript.
"""

from collections.abc import Sequence

import numpy as np

from .acoustic_model import STATES, AcousticModel

# A phone more has to be worth this many nats: without it the loop changes phones with the noise.
_NEW_PHONE = 5.0


def forced_path(
    model: AcousticModel, log_densities: np.ndarray, phones: Sequence[str]
) -> tuple[np.ndarray, np.ndarray] | None:
    """
    The best path through all of the phones, from the first frame to the last.

    Args:
        model ([`AcousticModel`]): Whose phones they are.
        log_densities (`np.ndarray` of shape `(frames, phones, 3)`): From the model.
        phones (`Sequence[str]`): The phones in order.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: Index of each frame's phone in `phones`, and the log-density of its state;
        `None` if there are fewer frames than states.
    """
    rows = [model.index[phone] for phone in phones]
    emissions = log_densities[:, rows].reshape(len(log_densities), -1)
    stay, leave = model.stay[rows].reshape(-1), model.leave[rows].reshape(-1)
    if emissions.shape[1] > len(emissions):
        return None
    score = np.full(emissions.shape[1], -np.inf)
    score[0] = 0
    entered = np.zeros(emissions.shape, bool)
    for frame, emission in enumerate(emissions):
        score = score + emission
        staying, coming = score + stay, score[:-1] + leave[:-1]
        np.greater(coming, staying[1:], out=entered[frame, 1:])
        score = staying
        np.maximum(score[1:], coming, out=score[1:])
    states = np.empty(len(emissions), int)
    state = emissions.shape[1] - 1
    for frame in range(len(emissions) - 1, -1, -1):
        states[frame] = state
        # What was noted at a frame is how the next one's state was reached.
        if frame and entered[frame - 1, state]:
            state -= 1
    return states // STATES, emissions[np.arange(len(emissions)), states]


def phone_loop(model: AcousticModel, log_densities: np.ndarray) -> np.ndarray:
    """
    The best path through any phones, one or more.

    Args:
        model ([`AcousticModel`]): Whose phones they are.
        log_densities (`np.ndarray` of shape `(frames, phones, 3)`): From the model.

    Returns:
        `np.ndarray` of shape `(frames,)`: The log-density of the state that the path is in.
    """
    num_frames = len(log_densities)
    score = np.full(log_densities.shape[1:], -np.inf)
    score[:, 0] = 0
    stay, leave = model.stay, model.leave
    advanced = np.zeros(log_densities.shape, bool)  # whether a state was reached from the one before it
    restarted = np.zeros((num_frames, len(score)), bool)  # or a first state from the end of a phone
    ended = np.zeros(num_frames, int)  # which phone was the best to end
    for frame, emission in enumerate(log_densities):
        score = score + emission
        leaving = score + leave
        staying = score + stay
        ended[frame] = leaving[:, -1].argmax()
        np.greater(leaving[:, :-1], staying[:, 1:], out=advanced[frame, :, 1:])
        new = leaving[ended[frame], -1] - _NEW_PHONE
        np.greater(new, staying[:, 0], out=restarted[frame])
        score = staying
        np.maximum(score[:, 1:], leaving[:, :-1], out=score[:, 1:])
        np.maximum(score[:, 0], new, out=score[:, 0])
    phone, state = ended[-1], STATES - 1
    best = np.empty(num_frames, log_densities.dtype)
    for frame in range(num_frames - 1, -1, -1):
        best[frame] = log_densities[frame, phone, state]
        if not frame:
            break
        if state == 0 and restarted[frame - 1, phone]:
            phone, state = ended[frame - 1], STATES - 1
        elif advanced[frame - 1, phone, state]:
            state -= 1
    return best
