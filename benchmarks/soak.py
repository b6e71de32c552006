"""A page under load: an hour's requests in ten minutes, what they take, and whether its memory stays where it was.

The page of `--run RUN`, in a process of its own -> clients that each ask for the same round of things again and again
-> seconds by kind of request, and memory, threads and files in ten parts of the time.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from evoslm.models.audio import SAMPLE_RATE
from evoslm.models.modalities import MODALITIES
from evoslm.training.report.formatting import markdown_table

from .flags import RUN, SOAK_SECONDS, full_or_quick
from .served import served_page

SECONDS = float(os.environ.get(SOAK_SECONDS, full_or_quick(600, 10)))
CLIENTS = 4
PARTS = 10
PROMPT = "The old man saw the"
CONTINUATION_SECONDS = 3


@dataclass(frozen=True)
class Answer:
    """
    What became of a request.

    Args:
        kind (`str`): What was asked for.
        at (`float`): When it was answered, in seconds from the beginning.
        seconds (`float`): How long it took, with the wait in the queue.
        problem (`str`, *optional*): What went wrong.
    """

    kind: str
    at: float
    seconds: float
    problem: str | None


@dataclass(frozen=True)
class State:
    """Of the server: when, in seconds, its memory in MB, its threads, and its temporary files and their MB."""

    at: float
    memory: float
    threads: int
    files: int
    megabytes: float


def run() -> str:
    with tempfile.TemporaryDirectory() as folder, served_page(os.environ[RUN], Path(folder)) as (url, process):
        sound = Path(folder) / "prompt.wav"
        soundfile.write(sound, np.sin(np.arange(2 * SAMPLE_RATE) / 5) / 2, SAMPLE_RATE)
        clients = [Client(url, verbose=False, download_files=False) for _ in range(CLIENTS)]
        requests = _requests(clients[0].predict(api_name="/list_models"), sound)
        for request in requests.values():  # models are loaded once
            _try(request, clients[0], 0)
        answers, states = _soak(clients, requests, lambda start: _state(process, Path(folder), start))
    return _section(answers, states, list(requests))


def _requests(models: list[dict[str, str]], sound: Path) -> dict[str, Callable[[Client, int], object]]:
    """By kind: what a client asks for, with a seed."""
    text, units = _first(models, "text"), _first(models, "units")
    usual = {"seconds": CONTINUATION_SECONDS, "num_continuations": 1, "api_name": "/continue"}

    def refuse(client: Client, seed: int) -> None:
        try:
            client.predict(text="", audio=None, models=[text], seed=seed, **usual)
        except AppError:
            return
        raise AssertionError("a request without a prompt was answered")

    return {
        "text, by a model of text": lambda client, seed: client.predict(
            text=PROMPT, audio=None, models=[text], seed=seed, **usual
        ),
        "text, by a model of units": lambda client, seed: client.predict(
            text=PROMPT, audio=None, models=[units], seed=seed, **usual
        ),
        "sound, by a model of units": lambda client, seed: client.predict(
            text="", audio=handle_file(sound), models=[units], seed=seed, **usual
        ),
        "a pair, by both": lambda client, seed: client.predict(
            "The dogs are hungry.", "The dogs is hungry.", [text, units], api_name="/score_pair"
        ),
        "no prompt": refuse,
    }


def _first(models: list[dict[str, str]], column: str) -> str:
    """The first model whose modality reads that form of a pair."""
    read = {name for name, modality in MODALITIES.items() if modality.column == column}
    found = next((model["model"] for model in models if model["modality"] in read), None)
    if found is None:
        raise SystemExit(f"the run has no model of {column}; soak needs one of text and one of units")
    return found


def _try(request: Callable[[Client, int], object], client: Client, seed: int) -> str | None:
    try:
        request(client, seed)
    except Exception as error:  # whatever it is, it is counted
        return f"{type(error).__name__}: {error}"
    return None


def _soak(clients: list[Client], requests: dict, look: Callable[[float], State]) -> tuple[list[Answer], list[State]]:
    answers, start = [], time.monotonic()

    def ask(client: Client, number: int) -> None:
        seed = number
        while time.monotonic() - start < SECONDS:
            for kind, request in requests.items():
                began = time.monotonic()
                problem = _try(request, client, seed)
                answers.append(Answer(kind, time.monotonic() - start, time.monotonic() - began, problem))
                seed += len(clients)

    threads = [threading.Thread(target=ask, args=(client, number)) for number, client in enumerate(clients)]
    states = [look(start)]
    for thread in threads:
        thread.start()
    for part in range(1, PARTS + 1):
        time.sleep(max(0.0, start + part * SECONDS / PARTS - time.monotonic()))
        states.append(look(start))
    for thread in threads:
        thread.join()
    return answers, states


def _state(process: psutil.Process, folder: Path, start: float) -> State:
    files = [path for path in folder.rglob("*.wav") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    memory = process.memory_info().rss / 1e6
    return State(time.monotonic() - start, memory, process.num_threads(), len(files), megabytes)


def _section(answers: list[Answer], states: list[State], kinds: list[str]) -> str:
    failed = [answer for answer in answers if answer.problem]
    middle, last = states[PARTS // 2], states[-1]
    problems = "".join(f" {problem}." for problem in sorted({answer.problem for answer in failed})[:3])
    return "\n".join(
        [
            "## A page under load",
            "",
            f"{CLIENTS} clients for {SECONDS:.0f} s, each of which asks again as soon as it has its answer; "
            f"continuations of at most {CONTINUATION_SECONDS} s. {len(answers)} requests (one every ten seconds are "
            f"360 an hour), {len(failed)} failed.{problems} Memory in the second half of the time: "
            f"{last.memory - middle.memory:+.0f} MB.",
            "",
            markdown_table(
                ["request", "number", "median s", "95 % within s", "failed"],
                [_row(kind, [answer for answer in answers if answer.kind == kind]) for kind in kinds],
            ),
            "",
            markdown_table(
                ["after s", "requests", "memory MB", "threads", "files", "MB of files"],
                [
                    [
                        f"{state.at:.0f}",
                        sum(answer.at <= state.at for answer in answers),
                        f"{state.memory:.0f}",
                        state.threads,
                        state.files,
                        f"{state.megabytes:.1f}",
                    ]
                    for state in states
                ],
                left=0,
            ),
        ]
    )


def _row(kind: str, answers: list[Answer]) -> list:
    seconds = [answer.seconds for answer in answers]
    quantiles = [f"{value:.2f}" for value in np.quantile(seconds, [0.5, 0.95])] if seconds else ["", ""]
    return [kind, len(answers), *quantiles, sum(answer.problem is not None for answer in answers)]
