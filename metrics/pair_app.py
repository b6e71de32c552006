"""The small Gradio app of the pair metrics: a file of scores goes in, a table of accuracies and one of pairs come out.

The folders of the metrics hold links to this file, because each is a Space by itself.
"""

import csv
import json
from pathlib import Path

import evaluate

COLUMNS = ("positive", "negative", "positive_tokens", "negative_tokens")
RULES = ("sum", "mean", "pmi")
LABELS = ("Which pairs", "Rule", "Accuracy (%)", "95 % interval (items only)", "Pairs")


def read_scores(path: str) -> list[dict]:
    """
    Scored pairs from a file.

    Args:
        path (`str`): A .csv file with a header, a .json list of objects or a .jsonl file, with the columns `positive`,
            `negative` (log-likelihoods in nats), `positive_tokens`, `negative_tokens`, and perhaps
            `positive_unconditional`, `negative_unconditional`, `group`, `cluster`, `pair_id`, `id` and `band`.

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
    bands = ", ".join(filter(None, result.get("bands", ())))
    which = f"bands {bands}" if bands else "all"
    rows = [
        [
            which,
            rule + (" (headline)" if rule == result["headline"] else ""),
            round(100 * result[f"accuracy_{rule}"], 1),
            f"{100 * result[f'ci_low_{rule}']:.1f} to {100 * result[f'ci_high_{rule}']:.1f}",
            result["n"],
        ]
        for rule in rules
    ]
    rows.append([which, "fewer tokens (baseline)", round(100 * result["accuracy_fewer_tokens"], 1), "", result["n"]])
    for group, values in result.get("groups", {}).items():
        rule = result["headline"]
        rows.append([group, rule, round(100 * values[f"accuracy_{rule}"], 1), "", values["n"]])
    return rows


def outcome_table(result: dict) -> tuple[list[str], list[list]]:
    """The outcomes of a metric's result as the names of columns, and a row a pair."""
    outcomes = result["outcomes"]
    return list(outcomes[0]), [list(outcome.values()) for outcome in outcomes]


def evaluate_file(script: str, path: str) -> dict:
    """
    A file of scores, judged.

    Args:
        script (`str`): The metric's own .py file.
        path (`str`): The file, as [`read_scores`] takes it.

    Returns:
        `dict`: What the metric returns, with the outcomes of the pairs.
    """
    metric = evaluate.load(script)
    return metric.compute(**metric.judge_arguments(read_scores(path)), return_outcomes=True)


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
            result = evaluate_file(str(script), path)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None
        headers, rows = outcome_table(result)
        return result_table(result), gr.Dataframe(rows, headers=headers)

    # The card without its YAML block.
    card = script.with_name("README.md").read_text(encoding="utf-8").split("---", 2)[-1]
    with gr.Blocks(title=title) as app:
        gr.Markdown(f"# {title}\nA .csv, .json or .jsonl file of scored pairs: columns `{'`, `'.join(COLUMNS)}`.")
        file = gr.File(label="Scores", file_types=[".csv", ".json", ".jsonl"], type="filepath")
        table = gr.Dataframe(headers=list(LABELS), label="Accuracy")
        with gr.Accordion("Each pair: right (1), a tie (0.5) or wrong (0) by each rule", open=False):
            outcomes = gr.Dataframe(label="Outcomes")
        file.upload(judge, file, [table, outcomes])
        with gr.Accordion("About this metric", open=False):
            gr.Markdown(card)
    app.launch()
