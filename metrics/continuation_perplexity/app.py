"""The Space of continuation perplexity: a file of generated continuations goes in, a table comes out.

Run it with `python app.py`.
"""

from pathlib import Path

import evaluate
from continuation_app import launch, read_continuations, say_ends, share_rows

SCRIPT = Path(__file__).with_name("continuation_perplexity.py")
LABELS = ("", "Value", "95 % interval (prompts only)", "Of")
ROWS = {
    "mean": "Mean perplexity",
    "sd": "Standard deviation over outputs",
    "median": "Median",
    "percentile_5": "5th percentile",
    "percentile_95": "95th percentile",
    "true_mean": "Mean perplexity of the true continuations",
    "auto_bleu": "Auto-BLEU",
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
            f"{result[name]:.4g}",
            say_ends(result[f"{name}_low"], result[f"{name}_high"], ".4g"),
            result["n_prompts"] if name.startswith("true") else result["n_scored"],
        ]
        for name, label in ROWS.items()
        if name in result
    ]
    table += [[f"Distinct-{size}", f"{result[f'distinct_{size}']:.3f}", "", result["n_scored"]] for size in (1, 2, 3)]
    return table + share_rows(result)


if __name__ == "__main__":
    launch(
        SCRIPT,
        "Continuation perplexity",
        list(LABELS),
        lambda path, model_id: result_table(evaluate_file(path, model_id)),
    )
