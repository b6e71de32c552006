"""Minimal pairs as text: what each task's generator yields before the pairs are pronounced and spoken.

words, grammar frames or passages -> `PairText` -> `minimal_pairs.render_pairs` -> one row a pair and voice.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PairText:
    """
    One minimal pair, written out.

    Args:
        id (`str`): Unique over all tasks.
        task (`str`): The name of one of the [`~evoslm.metrics.tasks.TASKS`].
        group (`str`): What the pair is grouped by: frequency band (sWUGGY), phenomenon (sBLIMP), topic (Topic-SC), ...
        band (`str`): The band of a task that has bands, such as sWUGGY, else the empty string.
        context (`str`): What both sides continue; the empty string where a pair has no context.
        positive (`str`): The side that a good language model finds likelier.
        negative (`str`): The other side.
        cluster (`str`, *optional*): What the pair shares with pairs that are made of the same sides, such as its
            mirrored twin: bootstrap intervals resample clusters. Defaults to the id.
    """

    id: str
    task: str
    group: str
    band: str
    context: str
    positive: str
    negative: str
    cluster: str = ""

    def __post_init__(self):
        """A pair without a cluster is one of its own."""
        if not self.cluster:
            object.__setattr__(self, "cluster", self.id)
