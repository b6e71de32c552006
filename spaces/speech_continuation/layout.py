"""The page: four tabs, and four endpoints.

a run or ids of models -> [`build_demo`] -> `gradio.Blocks`.

Components by elem_id, for tests and style sheets: `tabs`, of which `tab-continue`, `tab-pair`, `tab-units` and
`tab-study`; `prompt-text`, `prompt-audio`, `models`, `alphabets`, `num-continuations`, `seconds`, `temperature`,
`top-p`, `seed`, `run`, `stop`, `status`, `results`; for the model in column c from 0 on `column-c`, `heading-c`,
`heard-c` (the prompt re-synthesized), `heard-line-c`, and for its continuation n from 0 on `result-c-n`, `audio-c-n`,
`text-c-n` and `line-c-n`; `pair-first`, `pair-second`, `pair-models`, `pair-run`, `pair-stop`, `pair-status`,
`pair-scores`; `units-file`, `units-rate`, `units-run`, `units-status`, `units-measures`.
"""

from collections.abc import Sequence
from pathlib import Path

import gradio as gr
from gradio.utils import is_zero_gpu_space

from .catalog import read_catalog
from .continue_tab import build_continue_tab
from .pair_tab import build_pair_tab
from .shelf import PipelineShelf
from .study_tab import show_report
from .units_tab import build_units_tab

TITLE = "EvoSLM: hear what a language model makes of speech"
_INTRODUCTION = f"""# {TITLE}

Begin a sentence, and small language models go on with it. They learned the same stories, each **in an alphabet of its
own**: letters, the sounds that a dictionary gives, or nothing but sound. The closer to sound, the harder it is to say
something that makes sense. Compare them by ear.
"""
_KEPT = (600, 1800)
"""Every so many seconds, uploads and results that are older than so many seconds are deleted."""
_LONGEST_QUEUE = 64


def build_demo(
    source: str | Path | Sequence[str],
    *,
    utterances: str | None = None,
    report: Path | None = None,
    device: str | None = None,
) -> gr.Blocks:
    """
    Build the page.

    Args:
        source (`str`, `Path` or `Sequence[str]`): The folder of a finished run, or ids of models on the Hub.
        utterances (`str`, *optional*): Id of a dataset on the Hub whose held-out utterances are the examples, where
            the models are not of a run.
        report (`Path`, *optional*): A folder with the report of the study, where it is not in the run.
        device (`str`, *optional*): Where models run; a GPU if there is one when not given.

    Returns:
        `gradio.Blocks`: The page, which [`launch_demo`] serves within the limits that it states.

    Raises:
        `FileNotFoundError`: If there is no such run or model.
        `ValueError`: If a run has no trained model, a model is none of this project, or, where a Hub lends GPUs, it
            cannot be loaded.
    """
    catalog, shelf = read_catalog(source, utterances), PipelineShelf(device)
    if is_zero_gpu_space():  # whose processes keep nothing that they load
        shelf.load_all(catalog.models)
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=_KEPT) as demo:
        gr.Markdown(_INTRODUCTION)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Continue", elem_id="tab-continue"):
                build_continue_tab(catalog, shelf)
            with gr.Tab("Which is likelier?", elem_id="tab-pair"):
                build_pair_tab(catalog, shelf)
            with gr.Tab("Your units", elem_id="tab-units"):
                build_units_tab(catalog)
            with gr.Tab("The study", elem_id="tab-study"):
                show_report(report or catalog.report)

        def list_models() -> list[dict[str, str]]:
            return [
                {"model": entry.key, "label": entry.label, "modality": entry.modality, "alphabet": entry.says}
                for entry in catalog.models
            ]

        gr.Button(visible=False).click(
            list_models,
            None,
            gr.JSON(visible=False, label="models"),
            api_name="list_models",
            api_description="The models that the other endpoints take, and what the alphabet of each is.",
        )
    # Closed: what does not wait in the queue is refused.
    demo.queue(max_size=_LONGEST_QUEUE, default_concurrency_limit=4, api_open=False)
    return demo
