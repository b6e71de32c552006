"""The PELM Space: a file of generated continuations goes in, a table of perplexities and shares comes out.

Run it with `python app.py`.
"""

import json
from pathlib import Path

import evaluate

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


def evaluate_file(path: str, model_id: str) -> dict:
    """
    A file of continuations, judged.

    Args:
        path (`str`): A .jsonl file with a continuation a line: `prediction` and `prompt`, and in all lines or in none
            `continuation`, `reason` and `generated_tokens`.
        model_id (`str`): The language model that judges.

    Returns:
        `dict`: What the metric returns.

    Raises:
        `ValueError`: If a line is no JSON or lacks one of them, or the continuations cannot be judged.
    """
    rows = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(f"Line {number} of {Path(path).name} is not JSON: {error}.") from None
        for key in ("prediction", "prompt", *(rows[0].keys() & {"reason", "generated_tokens"})):
            if key not in rows[-1]:
                raise ValueError(f"Line {number} of {Path(path).name} has no {key!r}.")
    known = rows[0] if rows else {}
    return evaluate.load(str(SCRIPT)).compute(
        predictions=[row["prediction"] for row in rows],
        references=[{"prompt": row["prompt"], "continuation": row.get("continuation")} for row in rows],
        reasons=[row["reason"] for row in rows] if "reason" in known else None,
        generated_tokens=[row["generated_tokens"] for row in rows] if "generated_tokens" in known else None,
        model_id=model_id,
    )


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
    for name, share in result["shares"].items():
        percent = [f"{100 * share[key]:.1f}" for key in ("share", "ci_low", "ci_high")]
        table.append([f"Share that is {name} (%)", percent[0], f"{percent[1]} to {percent[2]}", result["n"]])
    return table


def launch() -> None:
    """Show the app and wait."""
    try:
        import gradio as gr
    except ImportError:
        raise SystemExit("The app needs Gradio: pip install gradio.") from None

    def judge(path, model_id):
        try:
            if not path or not model_id:
                raise ValueError("Give a file of continuations and the id of a language model that judges them.")
            return result_table(evaluate_file(path, model_id))
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    # The card without its YAML block.
    card = SCRIPT.with_name("README.md").read_text(encoding="utf-8").split("---", 2)[-1]
    with gr.Blocks(title="PELM") as app:
        gr.Markdown(
            "# PELM\nA .jsonl file with a continuation a line: `prediction` and `prompt`, and perhaps `continuation` "
            "(the true one), `reason` and `generated_tokens`; and a language model that did not write them."
        )
        file = gr.File(label="Continuations", file_types=[".jsonl"], type="filepath")
        model_id = gr.Textbox(label="Language model that judges (Hub id)")
        table = gr.Dataframe(headers=list(LABELS), label="PELM")
        gr.Button("Judge").click(judge, [file, model_id], table)
        with gr.Accordion("About this metric", open=False):
            gr.Markdown(card)
    app.launch()


if __name__ == "__main__":
    launch()
