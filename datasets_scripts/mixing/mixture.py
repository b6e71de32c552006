"""How much of each kind: speech, text, CST and AST, of all tokens or of all sequences, drawn anew each epoch.

ratios -> probabilities of the kinds, with the tokens that a sequence of each kind has -> [`Mixture`] -> for an
utterance and an epoch one kind, and the sequence of that kind. Draws depend on the seed, the epoch and the utterance
alone, not on its place or on who asks.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from transformers import PreTrainedTokenizerBase

from .sequences import JointUtterance
from .switching import SPEECH, TEXT, Spans, SwitchingRule

CST, AST = "cst", "ast"
KINDS = (SPEECH, TEXT, CST, AST)
PAIRED = (CST, AST)
"""The kinds that have both modalities in one sequence."""

# Ratios are often written in two or three digits.
_SUM_TOLERANCE = 0.011


def draws_of(utterance_id: str, seed: int, epoch: int = 0) -> np.random.Generator:
    """
    The generator of all that is drawn for an utterance in an epoch.

    Args:
        utterance_id (`str`): The utterance's `id`.
        seed (`int`): The seed of all draws.
        epoch (`int`, *optional*, defaults to 0): Passes over the data before this one.
    """
    digest = hashlib.sha256(utterance_id.encode()).digest()
    return np.random.default_rng([seed, epoch, int.from_bytes(digest[:8], "little")])


def draw_sequence(utterance: JointUtterance, kind: str, rule: SwitchingRule, rng: np.random.Generator) -> str:
    """
    Write the sequence of a kind.

    Args:
        utterance ([`JointUtterance`]): What is said.
        kind (`str`): One of `KINDS`. Of CST, speech or text comes first as a coin falls.
        rule ([`SwitchingRule`]): Where AST changes the modality.
        rng (`np.random.Generator`): Draws.

    Returns:
        `str`: A content of the joint tokenizer.
    """
    if kind == SPEECH:
        return utterance.speech()
    if kind == TEXT:
        return utterance.text()
    if kind == CST:
        return utterance.concatenate(SPEECH if rng.random() < 0.5 else TEXT)
    return utterance.alternate(rule.draw(utterance.times, rng))


def measure_tokens(
    utterances: Iterable[tuple[str, JointUtterance]],
    tokenizer: PreTrainedTokenizerBase,
    rule: SwitchingRule,
    seed: int,
) -> dict[str, float]:
    """
    Count the tokens of a sequence of each kind, in the mean.

    Args:
        utterances (`Iterable[tuple[str, JointUtterance]]`): Ids and utterances, some hundreds of them.
        tokenizer (`PreTrainedTokenizerBase`): A joint one.
        rule ([`SwitchingRule`]): Where AST changes the modality.
        seed (`int`): Seed of the draws.

    Returns:
        `dict[str, float]`: Tokens of each kind, `<s>` included.
    """
    contents: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for utterance_id, utterance in utterances:
        for kind in KINDS:
            contents[kind].append(draw_sequence(utterance, kind, rule, draws_of(utterance_id, seed)))
    return {kind: float(np.mean([len(ids) for ids in tokenizer(own).input_ids])) for kind, own in contents.items()}


@dataclass(frozen=True)
class Mixture:
    """
    How much of each kind a model is trained on.

    Args:
        ratios (`Mapping[str, float]`): Shares of the kinds in `KINDS`, which add up to 1; those that are not named
            are 0.
        tokens (`Mapping[str, float]`, *optional*): Tokens of a sequence of each kind, from [`measure_tokens`]: then
            shares are of tokens. Without, they are of sequences. Speech is several times as long as text, so that the
            two differ by as much.
        rule ([`SwitchingRule`], *optional*): Where AST changes the modality; spans of Spirit LM's lengths, scaled.
        seed (`int`, *optional*, defaults to 0): Seed of all draws.
    """

    ratios: Mapping[str, float]
    tokens: Mapping[str, float] | None = None
    rule: SwitchingRule = field(default_factory=Spans)
    seed: int = 0

    def __post_init__(self):
        for kind, ratio in self.ratios.items():
            if kind not in KINDS:
                raise ValueError(f"There is no kind {kind!r} to be mixed; choose from {', '.join(KINDS)}.")
            if ratio < 0:
                raise ValueError(f"The ratio of {kind} is {ratio}; it has to be 0 or more.")
        if abs((total := sum(self.ratios.values())) - 1) > _SUM_TOLERANCE:
            named = ", ".join(f"{kind} {ratio:g}" for kind, ratio in self.ratios.items())
            raise ValueError(f"Ratios have to add up to 1, and these to {total:g}: {named}.")

    @property
    def probabilities(self) -> dict[str, float]:
        """How probable each kind is for a sequence, of those that come at all."""
        weights = {
            kind: ratio / (self.tokens[kind] if self.tokens else 1) for kind, ratio in self.ratios.items() if ratio
        }
        return {kind: weight / sum(weights.values()) for kind, weight in weights.items()}

    def draw(self, utterance_id: str, utterance: JointUtterance, epoch: int) -> tuple[str, str]:
        """
        Draw what an utterance is in an epoch.

        Args:
            utterance_id (`str`): The utterance's `id`.
            utterance ([`JointUtterance`]): What is said.
            epoch (`int`): Passes over the data before this one.

        Returns:
            `tuple[str, str]`: The kind and the content.
        """
        rng = draws_of(utterance_id, self.seed, epoch)
        probabilities = self.probabilities
        kind = str(rng.choice(list(probabilities), p=list(probabilities.values())))
        return kind, draw_sequence(utterance, kind, self.rule, rng)
