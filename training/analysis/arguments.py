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
        parts (`list[str]`, *optional*): Which of `layers`, `segmentation`, `scaling`, `factors`, `published`,
            `continuation` and `mitigations`; all that the run has what they need for, when not given.
        modalities (`list[str]`, *optional*): Names of modalities; all that the run has models of, when not given.
        lens (`str`, *optional*, defaults to `"logit"`): Of layers, how their states are read: by the output layer as
            they are (`logit`), or after an affine map that is fitted for each layer (`tuned`).
        runs (`list[str]`, *optional*): Of mitigations, further runs on the same speech and pairs whose units go into
            the table: of another encoder, another normalisation, ...
        unit_bpe_sizes (`list[int]`, *optional*): Of mitigations, further numbers of pieces of Speech-BPE, of which
            models are trained as the run's own.
        transcriber (`str`, *optional*): Of mitigations and continuations, a model for speech recognition that hears
            resynthesized units (and, of continuations, spoken phones), by folder or Hub id; the run's own transcribers
            when not given: of mitigations that of units, if it was trained.
        num_heard (`int`, *optional*, defaults to 50): Of mitigations, the first so many test utterances are
            resynthesized.
        prompts (`str`, *optional*, defaults to `"heldout"`): Of continuations, what is continued: beginnings of the
            run's held-out documents (`heldout`), twenty on everyday topics that were written for EvoSLM (`topics`), or
            a file: a YAML list of texts, or a .txt with one a line.
        num_prompts (`int`, *optional*, defaults to 20): Of continuations, the most prompts.
        generation_seeds (`int`, *optional*, defaults to 10): Of continuations, outputs of each prompt and model.
        temperature (`float`, *optional*, defaults to 1.0): Of continuations, of the distribution that tokens are drawn
            from.
        top_p (`float`, *optional*, defaults to 0.9): Of continuations, only the likeliest tokens that have this
            probability together are drawn.
        max_seconds (`float`, *optional*, defaults to 10.0): Of continuations, the longest, in seconds of the mean
            number of tokens a second of each modality.
        external_model (`str`, *optional*): Of continuations, the text language model that judges them: a folder, an id
            on the Hub or a .gguf file; a small one that is trained on other stories, once, when not given.
        external_words (`int`, *optional*, defaults to 300000): Of continuations, words that the small one is trained
            on.
        transcriber_steps (`int`, *optional*, defaults to 1600): Of continuations, training steps of each transcriber
            of the run's own that is not there yet.
        num_proc (`int`, *optional*): Worker processes; the number of cores when not given.
        device (`str`, *optional*, defaults to `"auto"`): Where models run; `auto` takes a GPU where there is one.
        overwrite (`bool`, *optional*, defaults to `False`): Redo finished parts whose configuration differs.
    """

    run_dir: str
    parts: list[AnalysisPart] | None = field(default=None, metadata={"metavar": "PART"})
    modalities: list[str] | None = None
    lens: Literal["logit", "tuned"] = "logit"
    runs: list[str] | None = None
    unit_bpe_sizes: list[int] | None = field(default=None, metadata={"least": 3})
    transcriber: str | None = None
    num_heard: int = field(default=50, metadata={"least": 1})
    prompts: str = "heldout"
    num_prompts: int = field(default=20, metadata={"least": 1})
    generation_seeds: int = field(default=10, metadata={"least": 1})
    temperature: float = field(default=1.0, metadata={"least": 0})
    top_p: float = field(default=0.9, metadata={"above": 0, "most": 1})
    max_seconds: float = field(default=10.0, metadata={"above": 0, "most": 60})
    external_model: str | None = None
    external_words: int = field(default=300_000, metadata={"least": 1000})
    transcriber_steps: int = field(default=1600, metadata={"least": 1})
    num_proc: int | None = field(default=None, metadata={"least": 1})
    device: Literal["auto", "cpu", "cuda"] = "auto"
    overwrite: bool = False
