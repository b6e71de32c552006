"""The small Gradio app of the metrics of continuations: a file of them goes in, a table comes out.

The folders of the metrics hold links to this file, because each is a Space by itself.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path

NEEDED = ("prediction", "prompt")
IN_ALL_OR_NONE = ("reason", "generated_tokens")


def read_continuations(path: str | Path) -> dict[str, list | None]:
    """
    Continuations from a file.

    Args:
        path (`str` or `Path`): A .jsonl file with a continuation a line: `prediction` and `prompt`, perhaps
            `continuation` (the true one), and in all lines or in none `reason` and `generated_tokens`.

    Returns:
        `dict[str, list]`: Arguments of a metric: `predictions`, `references`, `reasons` and `generated_tokens`.

    Raises:
        `ValueError`: If a line is no JSON object or lacks one of them.
    """
    rows = []
    # Not `splitlines`, for which a line ends at characters that JSON leaves as they are, such as U+2028.
    for number, line in enumerate(Path(path).read_text(encoding="utf-8-sig").split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(f"Line {number} of {Path(path).name} is not JSON: {error}.") from None
        if not isinstance(rows[-1], dict):
            raise ValueError(f"Line {number} of {Path(path).name} is no JSON object; give one a line.")
        for key in (*NEEDED, *(name for name in IN_ALL_OR_NONE if name in rows[0])):
            if key not in rows[-1]:
                raise ValueError(f"Line {number} of {Path(path).name} has no {key!r}.")
    known = rows[0] if rows else {}
    return {
        "predictions": [row["prediction"] for row in rows],
        "references": [{"prompt": row["prompt"], "continuation": row.get("continuation")} for row in rows],
        "reasons": [row["reason"] for row in rows] if "reason" in known else None,
        "generated_tokens": [row["generated_tokens"] for row in rows] if "generated_tokens" in known else None,
    }


def share_rows(result: dict) -> list[list]:
    """The shares of a metric's result as rows: what they are, per cent, its interval, of how many."""
    rows = []
    for name, share in result["shares"].items():
        percent = f"{100 * share['share']:.1f}"
        ends = say_ends(100 * share["ci_low"], 100 * share["ci_high"], ".1f")
        rows.append([f"Share that is {name} (%)", percent, ends, result["n"]])
    return rows


def say_ends(low: float, high: float, form: str) -> str:
    """The ends of an interval in a form, such as `.1f`; a dash where one is not known."""
    return "–" if math.isnan(low) or math.isnan(high) else f"{low:{form}} to {high:{form}}"


def launch(script: Path, title: str, labels: list[str], evaluate_file: Callable[[str, str], list[list]]) -> None:
    """
    Show the app and wait.

    Args:
        script (`Path`): The metric's own .py file.
        title (`str`): The metric's name.
        labels (`list[str]`): The head of its table.
        evaluate_file (`Callable[[str, str], list[list]]`): From a file and the id of a language model to the table.
    """
    try:
        import gradio as gr
    except ImportError:
        raise SystemExit("The app needs Gradio: pip install gradio.") from None

    def judge(path, model_id):
        try:
            if not path or not model_id:
                raise ValueError("Give a file of continuations and the id of a language model that judges them.")
            return evaluate_file(path, model_id)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    # The card without its YAML block.
    card = script.with_name("README.md").read_text(encoding="utf-8").split("---", 2)[-1]
    with gr.Blocks(title=title) as app:
        gr.Markdown(
            f"# {title}\nA .jsonl file with a continuation a line: `prediction` and `prompt`, and perhaps "
            "`continuation` (the true one), `reason` and `generated_tokens`; and a language model that did not write "
            "them."
        )
        file = gr.File(label="Continuations", file_types=[".jsonl"], type="filepath")
        model_id = gr.Textbox(label="Language model that judges (Hub id)")
        table = gr.Dataframe(headers=labels, label=title)
        gr.Button("Judge").click(judge, [file, model_id], table)
        with gr.Accordion("About this metric", open=False):
            gr.Markdown(card)
    app.launch()
