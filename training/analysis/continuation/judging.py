"""Perplexities of outputs under another language model: a stage a modality and training seed, and one of true texts.

texts in lower case without punctuation + prompts -> log-likelihoods behind the prompt -> perplexities a token and a
word.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ....metrics.continuation_perplexity.continuation_perplexity import perplexities_of
from ....metrics.continuation_texts import write_form
from ...joint.continuations import TOKENISATION
from ...joint.external import describe_model
from ...run.execution import Execution
from ...run.stage import Stage
from .outputs import OUTPUTS_FILE, Continued
from .prompts import ContinuationPrompt, read_prompts

PERPLEXITIES_FILE = "perplexities.parquet"
FORM = "words"
VERSION = 1

Scorer = Callable[[Sequence[str], Sequence[str]], list[dict | None]]


def load_judge(folder: Path, device: str) -> Scorer:
    """
    Load the language model that judges.

    Args:
        folder (`Path`): As [`external_language_model`] gives it.
        device (`str`): Where it runs.

    Returns:
        `Callable`: From prompts and texts behind them to scores.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ....models.scoring.continuations import score_continuations

    model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # An output that is longer than the window of the model that judges is no mistake of the user.
    return partial(score_continuations, model, tokenizer, long_sequences="slide", device=device)


def judge_texts(
    folder: Path, outputs: Path, prompts: Path, external: Path, load: Callable[[], Scorer], execution: Execution
) -> None:
    """
    Build the perplexities of texts: `perplexities.parquet`, a row a row of `outputs.parquet`, with `perplexity` (a
    token) and `word_perplexity`, none of empty texts.

    Args:
        folder (`Path`): Where to.
        outputs (`Path`): The stage of the texts.
        prompts (`Path`): The stage of the prompts.
        external (`Path`): The folder of the language model that judges.
        load (`Callable`): Loads that model, where it is needed.
        execution ([`Execution`]): How it is done.
    """

    def build(partial_folder: Path) -> None:
        rows = pd.read_parquet(outputs / OUTPUTS_FILE)
        text_of = {prompt.id: write_form(prompt.prompt, FORM) for prompt in read_prompts(prompts)}
        texts = [write_form(text, FORM) for text in rows["text"]]
        by_token, by_word = _perplexities(load(), [text_of[name] for name in rows["prompt_id"]], texts)
        table = {"text": texts, "perplexity": by_token, "word_perplexity": by_word}
        pd.DataFrame(table).astype({"perplexity": float, "word_perplexity": float}).to_parquet(
            partial_folder / PERPLEXITIES_FILE
        )

    stage = Stage(
        folder, VERSION, judge_settings(external), {"outputs": outputs, "prompts": prompts}, ("torch", "transformers")
    )
    stage.run(build, execution.overwrite)


def judge_settings(external: Path) -> dict[str, Any]:
    """What pins the judgement in a result."""
    return {"external": describe_model(external), "form": FORM, "tokenisation": TOKENISATION}


def judge_prompts(
    folder: Path, prompts: Path, external: Path, load: Callable[[], Scorer], execution: Execution
) -> None:
    """
    Build the perplexities of the true continuations as they are: `perplexities.parquet`, a row a prompt.

    Args:
        folder (`Path`): Where to.
        prompts (`Path`): The stage of the prompts, beginnings of utterances.
        external, load, execution: As in [`judge_texts`].
    """

    def build(partial_folder: Path) -> None:
        own: list[ContinuationPrompt] = read_prompts(prompts)
        texts = [write_form(prompt.continuation, FORM) for prompt in own]
        by_token, by_word = _perplexities(load(), [write_form(prompt.prompt, FORM) for prompt in own], texts)
        table = {"prompt_id": [prompt.id for prompt in own], "text": texts}
        pd.DataFrame(table | {"perplexity": by_token, "word_perplexity": by_word}).to_parquet(
            partial_folder / PERPLEXITIES_FILE
        )

    stage = Stage(folder, VERSION, judge_settings(external), {"prompts": prompts}, ("torch", "transformers"))
    stage.run(build, execution.overwrite)


def judged_folder(asked: Continued, outputs: Path) -> Path:
    """Where the perplexities of a stage of texts lie."""
    return asked.folder / "judged" / outputs.relative_to(asked.folder / "outputs")


def _perplexities(
    score: Scorer, prompts: Sequence[str], texts: Sequence[str]
) -> tuple[list[float | None], list[float | None]]:
    """Of each text behind its prompt; the same text behind the same prompt is judged once."""
    pairs = list(zip(prompts, texts))
    asked = list(dict.fromkeys(pairs))
    scores = dict(zip(asked, score([prompt for prompt, _ in asked], [text for _, text in asked])))
    return perplexities_of(texts, [scores[pair] for pair in pairs])
