"""The Entity F1 Space: a file of predictions goes in, a table of F1 comes out. Run it with `python app.py`."""

import json
from pathlib import Path

import evaluate

SCRIPT = Path(__file__).with_name("entity_f1.py")
LABELS = ("Label", "Precision (%)", "Recall (%)", "F1 (%)", "95 % interval of F1", "Entities")


def evaluate_file(path: str) -> dict:
    """
    A file of predictions, judged.

    Args:
        path (`str`): A .jsonl file with a sentence a line: `prediction` and `reference`, each a text or a list of
            [label, phrase].

    Returns:
        `dict`: What the metric returns.

    Raises:
        `ValueError`: If a line is no JSON or lacks one of them, or cannot be judged.
    """
    sides: dict[str, list] = {"prediction": [], "reference": []}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8-sig").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"Line {number} of {Path(path).name} is not JSON: {error}.") from None
        for side, values in sides.items():
            if side not in row:
                raise ValueError(f"Line {number} of {Path(path).name} has no {side!r}.")
            values.append(row[side])
    metric = evaluate.load(str(SCRIPT))
    return metric.compute(predictions=sides["prediction"], references=sides["reference"])


def result_table(result: dict) -> list[list]:
    """The result of the metric as rows of `LABELS`."""
    rows = [_row("all", result, result["n_references"], _interval(result, ""))]
    alone = {name: result[f"label_{name}"] for name in ("precision", "recall", "f1")}
    rows.append(_row("all, labels alone", alone, result["n_references"], _interval(result, "label_")))
    return rows + [_row(label, values, values["n_references"], "") for label, values in result["labels"].items()]


def _row(label: str, rates: dict, entities: int, interval: str) -> list:
    return [label, *(round(100 * rates[name], 1) for name in ("precision", "recall", "f1")), interval, entities]


def _interval(result: dict, prefix: str) -> str:
    return f"{100 * result[f'{prefix}ci_low']:.1f} to {100 * result[f'{prefix}ci_high']:.1f}"


def launch() -> None:
    """Show the app and wait."""
    try:
        import gradio as gr
    except ImportError:
        raise SystemExit("The app needs Gradio: pip install gradio.") from None

    def judge(path):
        try:
            return result_table(evaluate_file(path))
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    # The card without its YAML block.
    card = SCRIPT.with_name("README.md").read_text(encoding="utf-8").split("---", 2)[-1]
    with gr.Blocks(title="Entity F1") as app:
        gr.Markdown(
            "# Entity F1\nA .jsonl file with a sentence a line: `prediction` and `reference`, each a text such as "
            "`PERSON: young baker; PLACE: pantry` or a list of [label, phrase]."
        )
        file = gr.File(label="Predictions", file_types=[".jsonl"], type="filepath")
        table = gr.Dataframe(headers=list(LABELS), label="F1")
        file.upload(judge, file, table)
        with gr.Accordion("About this metric", open=False):
            gr.Markdown(card)
    app.launch()


if __name__ == "__main__":
    launch()
