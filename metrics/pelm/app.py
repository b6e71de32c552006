"""The PELM Space: a file of generated continuations goes in, a table of perplexities and shares comes out.

Run it with `python app.py`.
"""

from pathlib import Path

import evaluate
from continuation_app import launch, read_continuations, share_rows

SCRIPT = Path(__file__).with_name("pelm.py")
LABELS = ("", "Value", "95 % interval (prompts only)", "Of")
# Suffixes of perplexities, and what they are of.
ROWS = {
    "": ("Perplexity a word", "n_scored"),
    "_token": ("Perplexity a token", "n_scored"),
    "_not_copied": ("Perplexity a word, without copies", "n_not_copied"),
    "_clean": ("Perplexity a word, without copies and repeats", "n_clean"),
    "_true": ("Perplexity a word of the true continuations", "n"),
    "_shuffled": ("Perplexity a word of other prompts' continuations", "n"),
}


def evaluate_file(path: str | Path, model_id: str) -> dict:
    """
    A file of continuations, judged.

    Args:
        path (`str` or `Path`): As [`read_continuations`] takes it.
        model_id (`str`): The language model that judges.

    Returns:
        `dict`: What the metric returns.

    Raises:
        `ValueError`: If the file cannot be read, or its continuations cannot be judged.
    """
    return evaluate.load(str(SCRIPT)).compute(**read_continuations(path), model_id=model_id)


def result_table(result: dict) -> list[list]:
    """The result of the metric as rows of `LABELS`."""
    table = [
        [
            label,
            f"{result[f'perplexity{suffix}']:.4g}",
            f"{result[f'ci_low{suffix}']:.4g} to {result[f'ci_high{suffix}']:.4g}",
            result[count],
        ]
        for suffix, (label, count) in ROWS.items()
        if f"perplexity{suffix}" in result
    ]
    return table + share_rows(result)


if __name__ == "__main__":
    launch(SCRIPT, "PELM", list(LABELS), lambda path, model_id: result_table(evaluate_file(path, model_id)))
