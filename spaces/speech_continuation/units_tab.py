"""The third tab: units of a few utterances, measured beside the phones and the units of the run.

a JSONL file of `file` and `units` -> [`read_units`] -> [`measure_units`] -> a table; and the endpoint
`/measure_units`, which gives the same as JSON.
"""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from ...training.external_units.settings import ExternalUnitsConfig
from ...training.external_units.tables import read_table
from .catalog import Catalog
from .limits import MAX_UNIT_BYTES, MAX_UNIT_UTTERANCES, as_error
from .result_columns import show_status
from .unit_measures import measure_units

MEASURING = {"concurrency_limit": 1, "concurrency_id": "units"}
"""Of events that measure units: all of them wait in one line, apart from those that need a model."""
_FIGURES = (
    ("tokens/s", "tokens_per_second", 1),
    ("bits/s", "bits_per_second", 0),
    ("bits", "bits", 2),
    ("different", "units", 0),
    ("run", "run", 2),
    ("recurring, %", "recurring", 1),
)
_STABILITY = (
    ("same word, same voice", "same_word_same_speaker"),
    ("same word, other voice", "same_word_other_speaker"),
    ("other word", "other_word_other_speaker"),
    ("ABX across voices", "abx_across_speaker"),
)


def read_units(path: Any) -> dict[str, np.ndarray]:
    """
    The units of a file that was uploaded.

    Args:
        path (`str`): Where it lies.

    Returns:
        `dict[str, np.ndarray]`: Ids by the name of each utterance.

    Raises:
        `ValueError`: If there is none, it is too large, or it is no table of ids.
    """
    if not path:
        raise ValueError("Upload a JSONL file, a line an utterance.")
    file = Path(path)
    if not file.is_file():  # deleted: uploads are not kept
        raise ValueError("The file is no longer here; upload it again.")
    if file.suffix != ".jsonl":
        raise ValueError("The file is no .jsonl; write a line an utterance, with its `file` and `units`.")
    size = file.stat().st_size
    if size > MAX_UNIT_BYTES:
        raise ValueError(
            f"The file has {size / 1e6:.1f} MB, more than {MAX_UNIT_BYTES / 1e6:g} MB; give fewer utterances."
        )
    try:
        table = read_table(ExternalUnitsConfig(str(file), "table", 50.0, None, "units"))
    except UnicodeDecodeError:
        raise ValueError("The file is no text in UTF-8; write it again.") from None
    except RecursionError:
        raise ValueError("The file has lists in lists in lists; give one list of ids an utterance.") from None
    except ValueError as error:
        raise ValueError(str(error).replace(str(file), "The file")) from None
    if len(table.names) > MAX_UNIT_UTTERANCES:
        raise ValueError(
            f"The file has {len(table.names):,} utterances, more than {MAX_UNIT_UTTERANCES}; give fewer of them."
        )
    return {name: table[name].astype(np.int64) for name in table.names}


def show_measures(found: dict[str, Any]) -> str:
    """
    Show what was measured.

    Args:
        found (`dict[str, Any]`): As [`measure_units`] gives it.

    Returns:
        `str`: HTML.
    """
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in found["notes"])
    head = [label for label, _, _ in _FIGURES]
    rows = []
    for row in found["rows"]:
        cells = [_figure(row[name], digits, 100 if "%" in label else 1) for label, name, digits in _FIGURES]
        rows.append((row["label"], cells))
    parts = [notes, _table("Rates and bits", head, rows), f'<p class="note">{_EXPLAINED}</p>']
    with_words = [row for row in found["rows"] if "stability" in row]
    if with_words:
        rows = [(row["label"], [_with_ends(row["stability"][kind]) for _, kind in _STABILITY]) for row in with_words]
        parts += [_table("Stability of words", [label for label, _ in _STABILITY], rows)]
        words = max(row["stability"]["same_word_other_speaker"]["words"] for row in with_words)
        parts.append(f'<p class="note">{_STABILITY_EXPLAINED.format(words=words)}</p>')
    return "".join(parts)


_EXPLAINED = (
    "Bits: the entropy of a single unit; bits/s: that times the units of a second, what it takes to send them one by "
    "one. Different: how many different units occur. Run: how many equal ones stand together. Recurring: of all "
    "sequences of four runs, those that another utterance has, too."
)
_STABILITY_EXPLAINED = (
    "How much of a word’s units has to be changed to get those of another time that it is said (edit distance by the "
    "longer one, in per cent), with 95 % intervals over {words} words that two voices say; the nearer “same word, "
    "other voice” is to “other word”, the less a language model can know that it is one word. ABX: how often another "
    "word of one voice is nearer than the same word of another voice, in per cent; 50 is chance."
)


def _figure(value: float | None, digits: int, times: float) -> str:
    return "–" if value is None else f"{times * value:,.{digits}f}"


def _with_ends(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "–"
    value, low, high = (100 * figure[name] for name in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _table(name: str, head: list[str], rows: list[tuple[str, list[str]]]) -> str:
    columns = "".join(f"<th scope='col'>{escape(label)}</th>" for label in head)
    body = "".join(
        f"<tr><th scope='row'>{escape(label)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for label, cells in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(name)}"><table class="scores">'
        f"<thead><tr><th scope='col'>{escape(name)}</th>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def build_units_tab(catalog: Catalog) -> None:
    """
    Put the tab, and the endpoint `/measure_units`, into the page that is being built.

    Args:
        catalog ([`Catalog`]): What the page offers.
    """
    gr.Markdown(
        "Bring the units of **your own tokenizer**: a JSONL file, a line an utterance, "
        '`{"file": "name", "units": [17, 17, 942]}`. `evoslm export-audio RUN --to audio` writes the run’s utterances '
        "as WAV files by the names that the page knows, with their words; encode a few of these, and the page shows "
        "whether words keep their units, beside phones and the run’s own units of the same sounds. Of other "
        "utterances it shows bits, runs and what recurs. "
        f"At most {MAX_UNIT_UTTERANCES} utterances and {MAX_UNIT_BYTES / 1e6:g} MB."
    )
    with gr.Row():
        units = gr.File(label="units", file_count="single", height=120, elem_id="units-file")
        rate = gr.Number(
            0,
            minimum=0,
            maximum=1000,
            label="rate",
            info="Ids a second; 0: as the utterances say",
            elem_id="units-rate",
        )
    run = gr.Button("Measure", variant="primary", elem_id="units-run")
    status = gr.HTML(show_status("Upload a file, and press Measure."), elem_id="units-status")
    shown = gr.HTML(elem_id="units-measures")

    def measure(units: str, rate: float = 0) -> dict[str, Any]:
        try:
            return measure_units(read_units(units), float(rate or 0), catalog.utterances)
        except ValueError as error:
            raise as_error(error) from None

    def show(units, rate) -> tuple[str, str]:
        found = measure(units, rate)
        return show_status(f"Measured {found['utterances']} utterances."), show_measures(found)

    run.click(show, [units, rate], [status, shown], api_visibility="private", show_progress="minimal", **MEASURING)
    gr.Button(visible=False).click(
        measure,
        [units, rate],
        gr.JSON(visible=False, label="measures"),
        api_name="measure_units",
        api_description="Units of utterances from a JSONL file, measured: tokens and bits a second, runs, and whether "
        "words keep their units, beside phones and the run's own units.",
        **MEASURING,
    )
