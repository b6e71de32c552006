"""The CRA Space: a file of scored blocks goes in, a table of accuracies comes out. Run it with `python app.py`."""

import json
from pathlib import Path

import evaluate

SCRIPT = Path(__file__).with_name("cra.py")
LABELS = ("Direction", "Retrieved", "Accuracy (%)", "95 % interval (items only)", "Chance (%)", "Blocks")
RULES = {"": "context", "_continuation": "continuation"}


def evaluate_file(path: str) -> dict:
    """
    A file of scored blocks, judged.

    Args:
        path (`str`): A .jsonl file with a block and direction a line: `block`, `direction`, `log_likelihoods` and
            `unconditional`.

    Returns:
        `dict`: What the metric returns.

    Raises:
        `ValueError`: If a line is no JSON or lacks one of them, or the numbers cannot be judged.
    """
    blocks = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8-sig").split("\n"), 1):
        if not line.strip():
            continue
        try:
            blocks.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(f"Line {number} of {Path(path).name} is not JSON: {error}.") from None
        for key in ("block", "direction", "log_likelihoods", "unconditional"):
            if key not in blocks[-1]:
                raise ValueError(f"Line {number} of {Path(path).name} has no {key!r}.")
    metric = evaluate.load(str(SCRIPT))
    return metric.compute(**metric.judge_arguments(blocks))


def result_table(result: dict) -> list[list]:
    """The result of the metric as rows of `LABELS`."""
    return [
        [
            group,
            what,
            round(100 * values[f"accuracy{rule}"], 1),
            f"{100 * values[f'ci_low{rule}']:.1f} to {100 * values[f'ci_high{rule}']:.1f}",
            round(100 * result["chance"], 1),
            values["n_blocks"],
        ]
        for group, values in result["groups"].items()
        for rule, what in RULES.items()
    ]


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
    with gr.Blocks(title="CRA") as app:
        gr.Markdown(
            "# CRA\nA .jsonl file with a block and direction a line: `block`, `direction`, `log_likelihoods` "
            "(continuations by contexts) and `unconditional`."
        )
        file = gr.File(label="Scored blocks", file_types=[".jsonl"], type="filepath")
        table = gr.Dataframe(headers=list(LABELS), label="Accuracy")
        file.upload(judge, file, table)
        with gr.Accordion("About this metric", open=False):
            gr.Markdown(card)
    app.launch()


if __name__ == "__main__":
    launch()
