"""Whether runs may stand in one table: the same speech, the same minimal pairs, the same training protocol.

the run + another -> the records of their stages and what they were told -> nothing, or one sentence on what differs.
"""

from typing import Any

from ...run.folder import Run
from ...run.stage import read_stage
from ...run.study_file import read_study

_PARTS = {
    "text": lambda run: run.passages,
    "speech": lambda run: run.utterances(),
    "pairs": lambda run: run.pairs_text,
    "spoken pairs": lambda run: run.pairs(),
}
# What a pair is in the frames of another encoder differs in its length alone.
_MAY_DIFFER = ("configuration.frame_samples",)
_OF_PROTOCOL = {
    "model": ("bpe_vocab_size", "unit_bpe_vocab_size"),
    "pretrain": ("points",),
}
"""Groups of a run's arguments that make its trainings, and what in them may differ."""


def check_comparable(run: Run, other: Run) -> None:
    """
    Refuse a run that was not made of the same text, speech and pairs, or not trained the same way.

    Args:
        run ([`Run`]): The run whose table it is.
        other ([`Run`]): The run that is to be in it, too.

    Raises:
        `ValueError`: If something differs; it names what, and the way out.
    """
    for what, folder_of in _PARTS.items():
        records = [read_stage(folder_of(each)) for each in (run, other)]
        for each, record in zip((run, other), records):
            if record is None:
                raise ValueError(f"{each.folder} has no finished {what}; let `evoslm study` finish.")
        own, theirs = (record["keys"] for record in records)
        differing = [
            name
            for name in sorted(set(own) | set(theirs), key=lambda name: name.startswith("inputs."))
            if name not in _MAY_DIFFER and own.get(name) != theirs.get(name)
        ]
        if differing:
            raise ValueError(_refuse(run, other, what, differing[0], own.get(differing[0]), theirs.get(differing[0])))
    told = [read_study(each.folder)["configuration"] for each in (run, other)]
    for group, may_differ in _OF_PROTOCOL.items():
        own, theirs = ({k: v for k, v in each[group].items() if k not in may_differ} for each in told)
        for name in own:
            if own[name] != theirs.get(name):
                raise ValueError(_refuse(run, other, "training", name, own[name], theirs.get(name)))


def _refuse(run: Run, other: Run, what: str, name: str, own: Any, theirs: Any) -> str:
    name = name.removeprefix("configuration.").removeprefix("inputs.")
    return (
        f"{other.folder} is not of the same {what} as {run.folder}: {name} is {theirs} there and {own} here; a table "
        "compares runs that differ in their units alone, so run it again with the flags of the other."
    )
