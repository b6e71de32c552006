"""Tokens a second of the continuation task: all that `evoslm analyze RUN --parts continuation` lets models write.

The models of a finished run (`--run`) of its first training seed, its held-out prompts, as many draws of each and as
many seconds as the task has by default -> `continue_all` of each modality's pipeline, on `--device`, once behind a few
tokens that are not counted.
"""

import os
import time
from pathlib import Path

from evoslm.training.analysis.command import read_analyzed
from evoslm.training.analysis.continuation.outputs import Continued, GenerationSettings
from evoslm.training.analysis.continuation.prompts import HELD_OUT, ContinuationPrompt, choose_prompts, hear_prompts
from evoslm.training.analysis.continuation.to_text import TextChannel, find_channel
from evoslm.training.analysis.parts import AnalyzedRun
from evoslm.training.report.formatting import markdown_table, number
from evoslm.training.run.environment import describe_device
from evoslm.training.run.workers import resolve_device

from .flags import DEVICE, RUN, full_or_quick

PROMPTS = full_or_quick(20, 2)
SETTINGS = full_or_quick(GenerationSettings(), GenerationSettings(generation_seeds=2, max_seconds=0.5))


def run() -> str:
    device = resolve_device(os.environ.get(DEVICE, "auto"))
    analyzed = read_analyzed(os.environ[RUN])
    names = list(dict.fromkeys(name for name, _ in analyzed.models))
    names = [name for name in names if find_channel(analyzed.paths, name, None) is not None]
    measured = {analyzed.labels[name]: _measure(analyzed, name, device) for name in names}
    rows = [
        [label, number(tokens, 0), number(longest, 0), number(seconds), number(tokens / seconds, 0)]
        for label, (tokens, longest, seconds) in measured.items()
    ]
    tokens, seconds = (sum(found[place] for found in measured.values()) for place in (0, 2))
    rows.append(["all together", number(tokens, 0), "", number(seconds), number(tokens / seconds, 0)])
    return "\n".join(
        [
            "## The continuation task",
            "",
            f"{PROMPTS} held-out prompts of {Path(os.environ[RUN]).name}, {SETTINGS.generation_seeds} draws each, "
            f"{SETTINGS.max_seconds:g} s at most, by one model of each modality, on {describe_device(device)}; each "
            "timed once, from encoded prompts to symbols. Tokens are those that were drawn until an output ended.",
            "",
            markdown_table(["modality", "tokens", "longest", "seconds", "tokens a second"], rows),
        ]
    )


def _measure(run: AnalyzedRun, name: str, device: str) -> tuple[int, int, float]:
    """Tokens of all outputs, the most that one may have, and seconds."""
    asked = Continued(run.paths, run.folder("continuation"), TextChannel(run.paths, name), {}, SETTINGS)
    utterances = run.paths.utterances(run.paths.voices_of(name))
    pipe = asked.pipeline(run.seeds(name)[0], device)
    prompts = [ContinuationPrompt(**row) for row in choose_prompts(HELD_OUT, run.paths.utterances(), PROMPTS)]
    encoded = [pipe.encode(own) for own in hear_prompts(prompts, utterances, pipe.synthesizer)[0]]
    limit = asked.limit([own.ids for own in encoded], pipe.model.config.max_position_embeddings)
    drawing = {"temperature": SETTINGS.temperature, "top_p": SETTINGS.top_p, "seed": SETTINGS.seed}
    pipe.continue_all(encoded, max_new_tokens=2, **drawing)  # what is slow the first time is not generation's
    start = time.perf_counter()
    written = pipe.continue_all(encoded, max_new_tokens=limit, num_continuations=SETTINGS.generation_seeds, **drawing)
    seconds = time.perf_counter() - start
    return sum(own.tokens for of_prompt in written for own in of_prompt), limit, seconds
