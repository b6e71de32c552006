"""What the challenge asks about the system beside its scores.

a run and one of its models -> [`write_meta`] -> `meta.yaml` of a submission, which whoever submits completes.
"""

from datetime import date
from pathlib import Path

import yaml

from ...models.files import read_json_if_whole, written_whole
from ..run.environment import describe_versions
from ..run.folder import Run
from ..run.places import describe_source
from ..run.study_file import read_study

META_FILE = "meta.yaml"
_OPEN = "<to be filled in: {}>"
"""How the challenge's own template marks what is missing; its validator refuses a file that still has it."""


def write_meta(run: Run, model: Path, label: str, submission: Path) -> Path:
    """
    Describe the system of a submission, in the form of the challenge's toolkit (`zerospeech-benchmarks` 0.9).

    What the run knows is written: the system and what it was trained on. What GPUs it took and who publishes it is
    left open, marked so that the challenge refuses the file until it is filled in.

    Args:
        run ([`Run`]): A finished run.
        model (`Path`): The folder of the model, whose `training.json` says how it was trained.
        label (`str`): What it is called in the run's report.
        submission (`Path`): The folder of the submission.

    Returns:
        `Path`: `meta.yaml` in it; one that is there is left as it is.
    """
    path = submission / META_FILE
    if path.exists():
        return path
    training = read_json_if_whole(model / "training.json") or {}
    meta = {
        "benchmark_name": "sLM21",
        "model_info": {
            "system_description": _describe_system(label, training),
            "train_set": _describe_corpus(run),
            "gpu_budget": _OPEN.format("hours of GPUs, 0 where none was used"),
        },
        "publication": {
            "author_label": _OPEN.format("a short label of the authors"),
            "authors": _OPEN.format("their full names"),
            "paper_title": None,
            "paper_url": None,
            "publication_year": date.today().year,
            "institution": _OPEN.format("their university or company"),
            "team": None,
        },
        "open_source": True,
        "code_url": None,
    }
    submission.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as partial:
        partial.write_text(yaml.safe_dump(meta, sort_keys=False, allow_unicode=True, width=1000), encoding="utf-8")
    return path


def _describe_system(label: str, training: dict) -> str:
    size = f" of {training['parameters']:,} parameters" if "parameters" in training else ""
    seen = f", {training['tokens_seen']:,} tokens seen" if training.get("tokens_seen") else ""
    return f"{label}: a causal language model{size}{seen}, trained by evoslm {describe_versions()['evoslm']}"


def _describe_corpus(run: Run) -> str:
    settings = read_study(run.folder).get("configuration", {}).get("corpus")
    summary = read_json_if_whole(run.corpus_summary) or {}
    words, seconds = (summary.get(key, {}).get("train") for key in ("words", "seconds"))
    parts = [
        describe_source(settings) if settings else _OPEN.format("what the models were trained on"),
        f"{words:,} words" if words else "",
        f"{seconds / 3600:.1f} h of speech" if seconds else "",
    ]
    return ", ".join(filter(None, parts))
