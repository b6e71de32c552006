"""The columns of results, one a model: what is in them, and how an event changes them.

[`make_columns`] -> components; an [`Event`] -> [`update_column`] -> the components that change.
"""

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import gradio as gr

from ...models.audio import to_int16
from .catalog import ModelEntry
from .continuing import REASONS, Event, ShownPrompt, Written
from .limits import MAX_CONTINUATIONS, MAX_MODELS
from .timeline import draw_timeline


class Result(NamedTuple):
    """What shows one continuation."""

    group: gr.Column
    audio: gr.Audio
    text: gr.Textbox
    line: gr.HTML


class Column(NamedTuple):
    """What shows one model."""

    column: gr.Column
    heading: gr.HTML
    heard: gr.Audio
    heard_line: gr.HTML
    results: list[Result]


def make_columns() -> list[Column]:
    """Hidden columns for as many models, and with as many continuations, as a request may have."""
    return [_make_column(number) for number in range(MAX_MODELS)]


def components_of(columns: Sequence[Column]) -> list[Any]:
    """All components of columns, for the outputs of an event."""
    return [
        component
        for column in columns
        for component in (*column[:4], *(part for result in column.results for part in result))
    ]


def clear_columns(columns: Sequence[Column], entries: Sequence[ModelEntry]) -> dict[Any, Any]:
    """A column for each model, with nothing in it yet but what the model is."""
    changes: dict[Any, Any] = {}
    for number, column in enumerate(columns):
        is_used = number < len(entries)
        changes[column.column] = gr.update(visible=is_used)
        changes[column.heading] = _heading(entries[number]) if is_used else ""
        changes[column.heard], changes[column.heard_line] = None, ""
        for result in column.results:
            changes |= {result.group: gr.update(visible=False), result.audio: None, result.text: "", result.line: ""}
    return changes


def update_column(column: Column, event: Event, entry: ModelEntry) -> dict[Any, Any]:
    """
    What an event changes.

    Args:
        column ([`Column`]): Of the model.
        event ([`Event`]): What happened to it.
        entry ([`ModelEntry`]): The model.

    Returns:
        `dict`: Components with their new values.
    """
    if event.kind == "refused":
        return {column.heading: _heading(entry, event.message)}
    if event.kind == "prompt":
        return _show_prompt(column, event.prompt, entry)
    if event.written is None:
        return {}
    return _show_written(column.results[event.number], event, entry)


def show_status(message: str) -> str:
    """A line that screen readers say when it changes."""
    return f'<p class="status" role="status" aria-live="polite">{escape(message)}</p>'


def _make_column(number: int) -> Column:
    with gr.Column(visible=False, min_width=320, elem_id=f"column-{number}", elem_classes="model") as column:
        heading = gr.HTML(elem_id=f"heading-{number}")
        with gr.Accordion("The prompt as this model hears it", open=False):
            heard = gr.Audio(
                label="The prompt, from its symbols",
                interactive=False,
                buttons=["download"],
                elem_id=f"heard-{number}",
            )
            heard_line = gr.HTML(elem_id=f"heard-line-{number}")
        results = [_make_result(number, place) for place in range(MAX_CONTINUATIONS)]
    return Column(column, heading, heard, heard_line, results)


def _make_result(column: int, place: int) -> Result:
    at = f"{column}-{place}"
    with gr.Column(visible=False, elem_id=f"result-{at}", elem_classes="result") as group:
        audio = gr.Audio(
            label=f"Continuation {place + 1}", interactive=False, buttons=["download"], elem_id=f"audio-{at}"
        )
        text = gr.Textbox(
            label="What it says", interactive=False, lines=1, max_lines=6, elem_id=f"text-{at}", visible=False
        )
        line = gr.HTML(elem_id=f"line-{at}")
    return Result(group, audio, text, line)


def _heading(entry: ModelEntry, refusal: str = "") -> str:
    note = f'<p class="refusal" role="alert">{escape(refusal)}</p>' if refusal else ""
    return f"<h2>{escape(entry.label)}</h2><p>{escape(entry.says)}</p>{note}"


def _show_prompt(column: Column, prompt: ShownPrompt, entry: ModelEntry) -> dict[Any, Any]:
    heard = prompt.resynthesized if prompt.resynthesized is not None else prompt.audio
    name = f"The prompt over time: spectrogram as it was said, and symbols of {entry.label}"
    # Symbols made audible last otherwise than in the prompt, whose times these are.
    line = draw_timeline(prompt.audio, prompt.sampling_rate, prompt.tokens, prompt.starts, None, name)
    return {column.heard: (prompt.sampling_rate, to_int16(heard)), column.heard_line: line}


def _show_written(result: Result, event: Event, entry: ModelEntry) -> dict[Any, Any]:
    written = event.written
    changes: dict[Any, Any] = {result.group: gr.update(visible=True)}
    if event.kind in ("sound", "done") and len(written.audio):
        changes[result.audio] = gr.update(value=(written.sampling_rate, to_int16(written.audio)), label=_title(event))
    if written.text is not None:
        changes[result.text] = gr.update(value=written.text, visible=True)
    changes[result.line] = _line(event, written, entry)
    return changes


def _title(event: Event) -> str:
    return f"Continuation {event.number + 1}" + ("" if event.kind == "done" else ", its beginning")


def _line(event: Event, written: Written, entry: ModelEntry) -> str:
    if not written.tokens:
        return '<p class="note">Nothing: the model ended it at once.</p>' if event.kind == "done" else ""
    name = (
        f"Continuation {event.number + 1} over time: spectrogram, symbols of {entry.label}, and the log-likelihood of "
        "each in nats"
    )
    line = draw_timeline(
        written.audio, written.sampling_rate, written.tokens, written.starts, written.log_likelihoods, name
    )
    if event.kind != "done":
        return line
    mean = sum(written.log_likelihoods) / len(written.log_likelihoods)
    note = (
        f"{written.seconds:.1f} s, {len(written.tokens)} symbols, {mean:.2f} nats each; "
        f"{REASONS.get(written.stop_reason, written.stop_reason)}."
    )
    if written.text is None:
        note += " Its words are not known: nobody has trained a transcriber of these symbols."
    return f'{line}<p class="note">{escape(note.replace(" -", " −"))}</p>'
