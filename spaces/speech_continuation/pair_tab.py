"""The second tab: two texts of one's own, scored by every modality, token by token.

two texts + models -> the scores of each model as they come, as a table and as symbols that are the redder, the less
the model expected them. Whatever comes from texts is text in the HTML.
"""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import gradio as gr

from .catalog import Catalog
from .limits import MAX_TEXT, as_error, read_sentence
from .result_columns import show_status
from .scoring import PairScores, gpu_seconds, score_pair
from .shelf import WORKING, PipelineShelf, on_gpu

_STRONGEST = 8.0
"""Nats below which a token is coloured no more strongly."""


def show_scores(scores: Sequence[PairScores], first: str, second: str) -> str:
    """
    Show what models find of two texts.

    Args:
        scores (`Sequence[PairScores]`): Of each model.
        first (`str`): A text.
        second (`str`): The other one.

    Returns:
        `str`: HTML.
    """
    rows = "".join(_row(score) for score in scores)
    table = (
        '<p class="note">Log-likelihoods in nats: the higher, the likelier. Totals of different rows cannot be '
        "compared, because each model writes the sentence in its own symbols; which of the two is preferred can.</p>"
        '<div class="scroll" role="region" tabindex="0" aria-label="Scores of the pair"><table class="scores">'
        "<thead><tr><th scope='col'>Model</th><th scope='col'>prefers</th><th scope='col'>A</th><th scope='col'>B</th>"
        "<th scope='col'>A − B</th><th scope='col'>symbols of A, B</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )
    details = "".join(_tokens(score, first, second) for score in scores if score.sides is not None)
    return table + details


def _row(score: PairScores) -> str:
    head = f"<th scope='row'>{escape(score.entry.label)}</th>"
    if score.sides is None:
        return f"<tr>{head}<td colspan='5'>{escape(score.refusal or '')}</td></tr>"
    first, second = score.sides
    difference = score.difference
    prefers = "A" if difference > 0 else "B" if difference < 0 else "neither"
    cells = (prefers, _nats(first.total), _nats(second.total), _nats(difference, sign=True))
    numbers = f"{len(first.tokens)}, {len(second.tokens)}"
    return f"<tr>{head}{''.join(f'<td>{cell}</td>' for cell in (*cells, numbers))}</tr>"


def _tokens(score: PairScores, first: str, second: str) -> str:
    sides = "".join(
        f'<p class="side">{name}: {escape(text)}</p>{_chips(side, f"{score.entry.label}, {name}")}'
        for name, text, side in zip("AB", (first, second), score.sides)
    )
    return f"<details open><summary>{escape(score.entry.label)}, symbol by symbol</summary>{sides}</details>"


def _chips(side: Any, name: str) -> str:
    chips = "".join(
        f'<li style="--doubt:{min(1.0, -value / _STRONGEST):.2f}"><span class="token">{escape(_shown(token))}</span>'
        f'<span class="nats">{_nats(value, digits=1)}</span></li>'
        for token, value in zip(side.tokens, side.log_likelihoods)
    )
    label = f"Symbols of {name}, with log-likelihoods"
    return f'<ol class="chips" tabindex="0" aria-label="{escape(label)}">{chips}</ol>'


def _shown(token: str) -> str:
    return token.replace("▁", " ").strip() or "␣"


def _nats(value: float, sign: bool = False, digits: int = 2) -> str:
    shown = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return shown.replace("-", "−")


def build_pair_tab(catalog: Catalog, shelf: PipelineShelf) -> None:
    """
    Put the tab, and the endpoint `/score_pair`, into the page that is being built.

    Args:
        catalog ([`Catalog`]): What the page offers.
        shelf ([`PipelineShelf`]): Where pipelines are.
    """
    gr.Markdown(
        "Write the same thing twice, once as it should be and once not quite: a word that does not exist, a verb that "
        "does not agree, an ending that does not fit. Each model says which one it finds likelier. Models of sound "
        "hear both sentences in the same synthetic voice."
    )
    with gr.Row():
        first = gr.Textbox(
            "The dogs near the house are hungry.", label="A", lines=2, max_length=MAX_TEXT, elem_id="pair-first"
        )
        second = gr.Textbox(
            "The dogs near the house is hungry.", label="B", lines=2, max_length=MAX_TEXT, elem_id="pair-second"
        )
    models = gr.Dropdown(
        [(entry.label, entry.key) for entry in catalog.models],
        value=[entry.key for entry in catalog.models if entry.is_first],
        multiselect=True,
        label="Models",
        elem_id="pair-models",
    )
    with gr.Row():
        run = gr.Button("Score", variant="primary", scale=4, elem_id="pair-run")
        stop = gr.Button("Stop", variant="stop", scale=1, min_width=96, elem_id="pair-stop")
    status = gr.HTML(show_status("The scores of each model appear as they are made."), elem_id="pair-status")
    shown = gr.HTML(elem_id="pair-scores")

    @on_gpu(gpu_seconds)
    def work(entries, first, second) -> Iterator[PairScores]:
        yield from score_pair(shelf, entries, first, second)

    def read(first, second, models) -> tuple[list, str, str]:
        try:
            return catalog.find(models), read_sentence(first, "A"), read_sentence(second, "B")
        except ValueError as error:
            raise as_error(error) from None

    def show(first, second, models) -> Iterator[tuple[str, str]]:
        entries, first, second = read(first, second, models)
        yield show_status(f"{entries[0].label}: loading and scoring"), ""
        scores: list[PairScores] = []
        for score in work(entries, first, second):
            scores.append(score)
            left = entries[len(scores) :]
            message = f"{left[0].label}: loading and scoring" if left else "Done."
            yield show_status(message), show_scores(scores, first, second)

    def score(first: str, second: str, models: list[str]) -> list[dict[str, Any]]:
        entries, first, second = read(first, second, models)
        return [score.to_dict() for score in work(entries, first, second)]

    inputs, hidden = [first, second, models], {"api_visibility": "private", "show_progress": "hidden"}
    events = [run.click(show, inputs, [status, shown], **hidden, **WORKING)]
    stopped = stop.click(None, cancels=events, queue=False, **hidden)
    stopped.then(lambda: show_status("Stopped."), None, status, queue=False, **hidden)
    gr.Button(visible=False).click(
        score,
        inputs,
        gr.JSON(visible=False, label="scores"),
        api_name="score_pair",
        api_description="Two texts, scored by models: which one each prefers, and the log-likelihood of every symbol.",
        **WORKING,
    )
