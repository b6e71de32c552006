"""The small Gradio app of the pair metrics: a file of scores goes in, a table of accuracies comes out.

The folders of the metrics hold copies of this file, because each is a Space by itself: edit it in `metrics/` and run
`python metrics/copy_shared.py`.
"""

import csv
import json
from pathlib import Path

import evaluate
from pair_accuracy import judge_arguments

COLUMNS = ("positive", "negative", "positive_tokens", "negative_tokens")
RULES = ("sum", "mean", "pmi")
LABELS = ("Which pairs", "Rule", "Accuracy (%)", "95 % interval (items only)", "Pairs")


def read_scores(path: str) -> list[dict]:
    """
    Scored pairs from a file.

    Args:
        path (`str`): A .csv file with a header, a .json list of objects or a .jsonl file, with the columns `positive`,
            `negative` (log-likelihoods in nats), `positive_tokens`, `negative_tokens`, and perhaps
            `positive_unconditional`, `negative_unconditional`, `group` and `pair_id`.

    Returns:
        `list[dict]`: A row a pair.

    Raises:
        `ValueError`: If the file is of another kind, lacks a column or holds something else than numbers.
    """
    suffix = Path(path).suffix.lower()
    with open(path, encoding="utf-8-sig", newline="") as file:
        try:
            if suffix == ".csv":
                rows = list(csv.DictReader(file))
            elif suffix == ".jsonl":
                rows = [json.loads(line) for line in file if line.strip()]
            elif suffix == ".json":
                rows = json.load(file)
            else:
                raise ValueError(
                    f"A {suffix or 'file without a suffix'} cannot be read: give a .csv, .json or .jsonl."
                )
        except json.JSONDecodeError as error:
            raise ValueError(f"{Path(path).name} is not valid JSON: {error}.") from None
    for number, row in enumerate(rows):
        missing = [column for column in COLUMNS if column not in row]
        if missing:
            raise ValueError(f"Row {number} of {Path(path).name} has no column {missing[0]!r}.")
        for key in (*COLUMNS, "positive_unconditional", "negative_unconditional"):
            try:
                row[key] = float(row[key]) if row.get(key) not in (None, "") else float("nan")
            except (TypeError, ValueError):
                raise ValueError(f"Row {number} has {row[key]!r} for {key!r}, which is not a number.") from None
        for key in COLUMNS[2:]:
            if not row[key].is_integer():
                raise ValueError(f"Row {number} has {row[key]} for {key!r}, which is not a number of tokens.")
            row[key] = int(row[key])
    return rows


def result_table(result: dict) -> list[list]:
    """The result of a metric as rows of `LABELS`, the headline first."""
    rules = sorted(
        (rule for rule in RULES if f"accuracy_{rule}" in result), key=lambda rule: rule != result["headline"]
    )
    rows = [
        [
            "all",
            rule + (" (headline)" if rule == result["headline"] else ""),
            round(100 * result[f"accuracy_{rule}"], 1),
            f"{100 * result[f'ci_low_{rule}']:.1f} to {100 * result[f'ci_high_{rule}']:.1f}",
            result["n"],
        ]
        for rule in rules
    ]
    rows.append(["all", "fewer tokens (baseline)", round(100 * result["accuracy_fewer_tokens"], 1), "", result["n"]])
    for group, values in result.get("groups", {}).items():
        rule = result["headline"]
        rows.append([group, rule, round(100 * values[f"accuracy_{rule}"], 1), "", values["n"]])
    return rows


def evaluate_file(script: str, path: str) -> list[list]:
    """
    A file of scores, judged.

    Args:
        script (`str`): The metric's own .py file.
        path (`str`): The file, as [`read_scores`] takes it.

    Returns:
        `list[list]`: Rows of `LABELS`.
    """
    metric = evaluate.load(script)
    return result_table(metric.compute(**judge_arguments(read_scores(path))))


def launch(script: Path, title: str) -> None:
    """
    Show the app and wait.

    Args:
        script (`Path`): The metric's own .py file.
        title (`str`): The metric's name.
    """
    try:
        import gradio as gr
    except ImportError:
        raise SystemExit("The app needs Gradio: pip install gradio.") from None

    def judge(path):
        try:
            return evaluate_file(str(script), path)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    # The card without its YAML block.
    card = script.with_name("README.md").read_text(encoding="utf-8").split("---", 2)[-1]
    with gr.Blocks(title=title) as app:
        gr.Markdown(f"# {title}\nA .csv, .json or .jsonl file of scored pairs: columns `{'`, `'.join(COLUMNS)}`.")
        file = gr.File(label="Scores", file_types=[".csv", ".json", ".jsonl"], type="filepath")
        table = gr.Dataframe(headers=list(LABELS), label="Accuracy")
        file.upload(judge, file, table)
        with gr.Accordion("About this metric", open=False):
            gr.Markdown(card)
    app.launch()
