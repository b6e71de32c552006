"""The first tab: a prompt, models, and what they make of it as it is being made.

inputs -> [`read_request`] -> events of `continuing.py` -> columns of results; and the endpoint `/continue`, which
gives the same as files and JSON.
"""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.processing_utils import save_audio_to_cache

from ...models.audio import SAMPLE_RATE, to_int16
from .catalog import Catalog, ModelEntry
from .continuing import Event, Written, continue_prompt, gpu_seconds
from .limits import (
    DESCRIPTION,
    MAX_CONTINUATIONS,
    MAX_MODELS,
    MAX_SECONDS,
    MAX_SEED,
    MAX_TEMPERATURE,
    MAX_TEXT,
    MIN_SECONDS,
    Drawing,
    as_error,
    read_prompt,
)
from .result_columns import clear_columns, components_of, make_columns, show_status, update_column
from .shelf import WORKING, PipelineShelf, on_gpu

_HIDDEN = {"api_visibility": "private", "show_progress": "hidden"}


class Inputs(NamedTuple):
    """What a request is made of, in the order of the endpoint's arguments."""

    text: gr.Textbox
    audio: gr.Audio
    models: gr.Dropdown
    num_continuations: gr.Slider
    seconds: gr.Slider
    temperature: gr.Slider
    top_p: gr.Slider
    seed: gr.Number


def build_continue_tab(catalog: Catalog, shelf: PipelineShelf) -> None:
    """
    Put the tab, and the endpoint `/continue`, into the page that is being built.

    Args:
        catalog ([`Catalog`]): What the page offers.
        shelf ([`PipelineShelf`]): Where pipelines are.
    """
    inputs = _make_inputs(catalog)
    with gr.Row():
        run = gr.Button("Continue", variant="primary", scale=4, elem_id="run")
        stop = gr.Button("Stop", variant="stop", scale=1, min_width=96, elem_id="stop")
    status = gr.HTML(show_status("Continuations appear here as they are made."), elem_id="status")
    with gr.Row(equal_height=False, elem_id="results"):
        columns = make_columns()
    gr.Markdown(f"{DESCRIPTION} Uploads and results are deleted within an hour.", elem_classes="small")

    @on_gpu(gpu_seconds)
    def work(entries, prompt, drawing) -> Iterator[Event]:
        yield from continue_prompt(shelf, entries, prompt, drawing)

    def show(*values) -> Iterator[dict[Any, Any]]:
        entries, prompt, drawing = read_request(catalog, *values)
        yield clear_columns(columns, entries) | {status: show_status(f"{entries[0].label}: hearing the prompt")}
        finished, refusals = 0, []
        for event in work(entries, prompt, drawing):
            finished += event.kind == "done"
            refusals += [event.message] * (event.kind == "refused")
            yield update_column(columns[event.column], event, entries[event.column]) | {
                status: show_status(event.message)
            }
        if not finished:
            raise as_error(ValueError(refusals[0]))
        yield {status: show_status(f"Done: {finished} of {len(entries) * drawing.num_continuations} continuations.")}

    def continue_(text, audio, models, num_continuations, seconds, temperature, top_p, seed) -> tuple[list, list]:
        entries, prompt, drawing = read_request(
            catalog, text, audio, models, num_continuations, seconds, temperature, top_p, seed
        )
        events = list(work(entries, prompt, drawing))
        if not any(event.kind == "done" for event in events):
            raise as_error(ValueError(next(event.message for event in events if event.kind == "refused")))
        return _as_files(events, files.GRADIO_CACHE), _as_records(events, entries)

    outputs = [status, *components_of(columns)]
    triggers = [run.click, inputs.text.submit]
    events = [gr.on(triggers, show, list(inputs), outputs, scroll_to_output=True, **_HIDDEN, **WORKING)]
    # What is under way when it is stopped may still arrive, so that nothing is said before that.
    stopped = stop.click(None, cancels=events, queue=False, **_HIDDEN)
    stopped.then(lambda: show_status("Stopped."), None, status, queue=False, **_HIDDEN)
    files = gr.File(visible=False, file_count="multiple", label="audio")
    gr.Button(visible=False).click(
        continue_,
        list(inputs),
        [files, gr.JSON(visible=False, label="continuations")],
        api_name="continue",
        api_description="Continuations of a text or a sound by one model or several: WAV files, and for each its text "
        "and symbols, their log-likelihoods and times, and why it ended.",
        **WORKING,
    )


def read_request(
    catalog: Catalog,
    text: Any,
    audio: Any,
    models: Any,
    num_continuations: Any,
    seconds: Any,
    temperature: Any,
    top_p: Any,
    seed: Any,
) -> tuple[list[ModelEntry], str | Path, Drawing]:
    """
    Check a request before anything is loaded.

    Args:
        catalog ([`Catalog`]): What the page offers.
        text, audio, models, num_continuations, seconds, temperature, top_p, seed (`Any`): As the components give them.

    Returns:
        `tuple[list[ModelEntry], str or Path, Drawing]`: The models, the prompt, and how to draw.

    Raises:
        `gradio.Error`: One sentence on what cannot be.
    """
    try:
        entries = catalog.find(models)
        if len(entries) > MAX_MODELS:
            raise ValueError(f"{len(entries)} models are chosen, more than {MAX_MODELS}; leave some out.")
        return entries, read_prompt(text, audio), Drawing(num_continuations, seconds, temperature, top_p, seed)
    except ValueError as error:
        raise as_error(error) from None


def _make_inputs(catalog: Catalog) -> Inputs:
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            text = gr.Textbox(
                label="The beginning of a sentence",
                placeholder="The old man",
                lines=2,
                max_length=MAX_TEXT,
                elem_id="prompt-text",
            )
            audio = gr.Audio(
                label="… or say it: upload or record",
                sources=["upload", "microphone"],
                type="filepath",
                editable=False,
                buttons=[],
                elem_id="prompt-audio",
            )
            _add_examples(catalog, text, audio)
        with gr.Column(scale=4, min_width=320):
            models = gr.Dropdown(
                [(entry.label, entry.key) for entry in catalog.models],
                value=_first_choice(catalog),
                multiselect=True,
                max_choices=MAX_MODELS,
                label=f"Models, up to {MAX_MODELS} side by side",
                elem_id="models",
            )
            gr.HTML(_describe_alphabets(catalog), elem_id="alphabets")
    return Inputs(text, audio, models, *_make_settings())


def _make_settings() -> tuple[gr.Slider, gr.Slider, gr.Slider, gr.Slider, gr.Number]:
    usual = Drawing()
    with gr.Accordion("How continuations are drawn", open=False):
        with gr.Row():
            number = gr.Slider(
                1,
                MAX_CONTINUATIONS,
                usual.num_continuations,
                step=1,
                label="Continuations of each model",
                elem_id="num-continuations",
            )
            seconds = gr.Slider(
                MIN_SECONDS,
                MAX_SECONDS,
                usual.max_seconds,
                step=0.5,
                label="Longest continuation (seconds)",
                elem_id="seconds",
            )
        with gr.Row():
            temperature = gr.Slider(
                0,
                MAX_TEMPERATURE,
                usual.temperature,
                step=0.05,
                label="Temperature",
                info="Lower is safer, higher is wilder; 0 always takes the likeliest symbol.",
                elem_id="temperature",
            )
            top_p = gr.Slider(
                0.05,
                1,
                usual.top_p,
                step=0.05,
                label="Top-p",
                info="Only the likeliest symbols that have this probability together are drawn.",
                elem_id="top-p",
            )
            seed = gr.Number(
                usual.seed,
                precision=0,
                minimum=0,
                maximum=MAX_SEED,
                label="Seed",
                info="The same seed gives the same continuations.",
                elem_id="seed",
            )
    return number, seconds, temperature, top_p, seed


def _first_choice(catalog: Catalog) -> list[str]:
    """What is compared unless somebody chooses: the modality nearest to text, and that nearest to sound."""
    firsts = [entry.key for entry in catalog.models if entry.is_first and entry.modality != "joint"]
    return list(dict.fromkeys([*firsts[:1], *firsts[-1:]])) or [catalog.models[0].key]


def _describe_alphabets(catalog: Catalog) -> str:
    rows = {entry.says: entry.label.partition(" (")[0] for entry in catalog.models if entry.is_first}
    items = "".join(f"<dt>{escape(label)}</dt><dd>{escape(says)}</dd>" for says, label in rows.items())
    # A region, since it scrolls where the screen is narrow.
    return f'<div class="alphabets" role="region" tabindex="0" aria-label="Alphabets"><dl>{items}</dl></div>'


def _add_examples(catalog: Catalog, text: gr.Textbox, audio: gr.Audio) -> None:
    """Half of the examples as text, the others as sound."""
    if not catalog.examples:
        return
    rows, labels = [], []
    for place, example in enumerate(catalog.examples):
        is_sound = place % 2 == 1
        cache = {"format": "wav", "cache_dir": audio.GRADIO_CACHE}
        sound = save_audio_to_cache(example.audio, SAMPLE_RATE, **cache) if is_sound else None
        audio.keep_in_cache.add(sound)  # or it would be deleted as an upload is, once somebody has picked it
        rows.append(["" if is_sound else example.text, sound])
        labels.append(f"Sound: {_shorten(example.text)}" if is_sound else _shorten(example.text))
    gr.Examples(
        rows, [text, audio], label="… or pick one that no model has seen", example_labels=labels, cache_examples=False
    )


def _shorten(text: str, length: int = 48) -> str:
    return text if len(text) <= length else f"{text[:length].rsplit(' ', 1)[0]} …"


def _as_files(events: list[Event], cache: str) -> list[str]:
    """The audio of all continuations, in files that are deleted as uploads are."""
    return [
        save_audio_to_cache(to_int16(event.written.audio), event.written.sampling_rate, format="wav", cache_dir=cache)
        for event in _finished(events)
        if len(event.written.audio)
    ]


def _as_records(events: list[Event], entries: list[ModelEntry]) -> list[dict[str, Any]]:
    """What was written, and what models refused, for a program to read."""
    refused = [
        {"model": entries[event.column].key, "refusal": event.message} for event in events if event.kind == "refused"
    ]
    file, records = 0, []
    for event in _finished(events):
        has_audio = len(event.written.audio) > 0
        record = _record(event.written, entries[event.column], event.number)
        records.append(record | {"file": file if has_audio else None})
        file += has_audio
    return records + refused


def _finished(events: list[Event]) -> list[Event]:
    done = (event for event in events if event.kind == "done")
    return sorted(done, key=lambda event: (event.column, event.number))


def _record(written: Written, entry: ModelEntry, number: int) -> dict[str, Any]:
    return {
        "model": entry.key,
        "label": entry.label,
        "number": number,
        "text": written.text,
        "content": written.content,
        "tokens": written.tokens,
        "log_likelihoods": written.log_likelihoods,
        "starts": written.starts,
        "seconds": written.seconds,
        "stop_reason": written.stop_reason,
    }
