"""The arguments of `evoslm analyze`: those that all parts share, then those of one part."""

from dataclasses import dataclass, field
from typing import Literal

from ..arguments.study import AnalysisPart


@dataclass
class AnalyzeArguments:
    """
    A finished run, and what is asked of it.

    Args:
        run_dir (`str`): The folder of a finished run.
        parts (`list[str]`, *optional*): Which parts; all that the run has what they need for, when not given.
        modalities (`list[str]`, *optional*): Names of modalities; all that the run has models of, when not given.
        lens (`str`, *optional*, defaults to `"logit"`): Of layers, how their states are read: by the output layer as
            they are (`logit`), or after an affine map that is fitted for each layer (`tuned`).
        num_proc (`int`, *optional*): Worker processes; the number of cores when not given.
        device (`str`, *optional*, defaults to `"auto"`): Where models run; `auto` takes a GPU where there is one.
        overwrite (`bool`, *optional*, defaults to `False`): Redo finished parts whose configuration differs.
    """

    run_dir: str
    parts: list[AnalysisPart] | None = None
    modalities: list[str] | None = None
    lens: Literal["logit", "tuned"] = "logit"
    num_proc: int | None = field(default=None, metadata={"least": 1})
    device: Literal["auto", "cpu", "cuda"] = "auto"
    overwrite: bool = False
