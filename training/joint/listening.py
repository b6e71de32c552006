"""`evoslm listening-sheet RUN`: continuations for people to rate, who do not know what made which.

a joint study's continuations of units, the true ones and another utterance's -> sound by the run's vocoder -> shuffled
wav files, a form in a browser and a key; ratings -> means by what made them, with intervals.
"""

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ...datasets_scripts.shards.reading import find_shards
from ...models.audio import SAMPLE_RATE
from ...models.files import read_json, write_json
from ...models.speech_units.runs import run_starts
from ...models.statistics import resampled_means
from ...models.tokenizers.joint import UNIT_MARK
from ..arguments.fields import check_values
from ..run.folder import Run
from ..run.study_file import open_run, read_study
from ..transcription.sounds import CODEBOOK, load_vocoder
from .command import JointArguments, tokenizer_settings
from .continuations import CONTINUATIONS_FILE, PELM_FILE, cut_passages
from .report import LABELS, RESULTS_FILE
from .stages import read_split

TRUE, SHUFFLED = "true", "shuffled"
"""Systems beside the models: the true second half, and that of another utterance."""
QUESTIONS = {
    "meaning": "Does the second half go on with what the first says?",
    "words": "Is the second half made of English words?",
}
"""What is rated from 1, not at all, to 5, fully."""
KEY_FILE, FORM_FILE, RATINGS_FILE, SHEET_FOLDER = "key.json", "listen.html", "ratings.csv", "sheet"
_PAUSE_SECONDS = 0.35  # where the second half begins


@dataclass
class ListeningArguments:
    """
    A listening sheet, or what was rated on one.

    Args:
        run_dir (`str`): A run's folder with a joint study (`evoslm study --study joint`).
        output_dir (`str`, *optional*): Where the sheet goes; `<run_dir>/joint/listening` when not given.
        models (`list[str]`, *optional*, defaults to `["speech", "cst", "ast", "cst_ast"]`): Joint models.
        training_seed (`int`, *optional*): Whose; the first when not given.
        num_passages (`int`, *optional*, defaults to 15): Passages, each continued by every system.
        vocoder (`str`, *optional*, defaults to `"codebook"`): `codebook`, or the folder of a trained one.
        seed (`int`, *optional*, defaults to 0): Of the order, and of whose second half is put behind which first.
        ratings (`list[str]`, *optional*): Files of ratings that the form has given: then they are read, and nothing is
            made.
    """

    run_dir: str
    output_dir: str | None = None
    models: list[str] = field(default_factory=lambda: ["speech", "cst", "ast", "cst_ast"])
    training_seed: int | None = None
    num_passages: int = field(default=15, metadata={"least": 2})
    vocoder: str = CODEBOOK
    seed: int = 0
    ratings: list[str] | None = None


def make_listening_sheet(arguments: ListeningArguments) -> Path:
    """
    Make a sheet, or report what was rated on it.

    Args:
        arguments ([`ListeningArguments`]): What is asked for.

    Returns:
        `Path`: The form, or the report of the ratings.

    Raises:
        `FileNotFoundError`: If the run has no joint study, or a file of ratings is not there.
        `ValueError`: If a model is unknown, there are too few passages, or ratings are not of this sheet.
    """
    check_values(arguments)
    run = open_run(arguments.run_dir)
    joint = run.folder / "joint"
    folder = Path(arguments.output_dir or joint / "listening")
    if arguments.ratings:
        report = report_ratings(folder, arguments.ratings)
        print(f"The report is {report}.")
        return report
    if not (joint / "continuations").is_dir():
        raise FileNotFoundError(f"{run.folder} has no continuations; run `evoslm study --study joint`.")
    for name in arguments.models:
        if not (joint / "continuations" / name).is_dir():
            known = sorted(path.name for path in (joint / "continuations").iterdir() if path.name != "text")
            raise ValueError(f"There are no continuations of {name!r}; choose from {', '.join(known)}.")
    seed = arguments.training_seed
    if seed is None:
        seed = read_json(joint / RESULTS_FILE)["seeds"][0]
    spoken = _passages(run, joint, arguments, seed)
    vocoder = load_vocoder(run, arguments.vocoder)
    lengths = _mean_lengths(run, vocoder.config.num_units)
    names = [(passage, system) for passage in spoken for system in spoken[passage]["systems"]]
    order = np.random.default_rng([arguments.seed, 1]).permutation(len(names))
    sheet = folder / SHEET_FOLDER
    (sheet / "audio").mkdir(parents=True, exist_ok=True)
    key = {}
    for number, place in enumerate(order, start=1):
        passage, system = names[place]
        item = f"item-{number:03d}"
        halves = spoken[passage]["prompt"], spoken[passage]["systems"][system]
        _write_wav(sheet / "audio" / f"{item}.wav", vocoder, halves, lengths)
        key[item] = {"passage": passage, "system": system}
    made_with = {"training_seed": seed, "seed": arguments.seed, "vocoder": arguments.vocoder, "questions": QUESTIONS}
    write_json(folder / KEY_FILE, made_with | {"items": key})
    form = sheet / FORM_FILE
    form.write_text(_form(list(key)), encoding="utf-8")
    print(f"Give raters {sheet}, whose form is {FORM_FILE} ({len(key)} items); the key is {folder / KEY_FILE}.")
    return form


def report_ratings(folder: Path, files: list[str]) -> Path:
    """
    Report what people rated.

    Args:
        folder (`Path`): The sheet's folder, with its key.
        files (`list[str]`): Ratings: columns `item` and those of `QUESTIONS`, 1 to 5; what is empty was not rated.

    Returns:
        `Path`: `report.md`, beside `ratings.json`: means by system and question, with 95 % intervals of a bootstrap
        that draws passages.

    Raises:
        `FileNotFoundError`: If there is no key or no such file.
        `ValueError`: If an item is unknown, or a rating is not from 1 to 5.
    """
    if not (folder / KEY_FILE).is_file():
        raise FileNotFoundError(f"{folder} has no {KEY_FILE}: it is no listening sheet.")
    key, rows = read_json(folder / KEY_FILE)["items"], []
    for file in files:
        with open(file, newline="", encoding="utf-8-sig") as opened:
            for row in csv.DictReader(opened):
                if row.get("item") not in key:
                    raise ValueError(f"{file}: {row.get('item')!r} is no item of {folder}.")
                for question in QUESTIONS:
                    if value := (row.get(question) or "").strip():
                        if value not in {"1", "2", "3", "4", "5"}:
                            raise ValueError(f"{file}: {row['item']} is rated {value!r}; ratings are from 1 to 5.")
                        rows.append(key[row["item"]] | {"rater": file, "question": question, "rating": int(value)})
    if not rows:
        raise ValueError(f"There are no ratings in {', '.join(files)}.")
    ratings = pd.DataFrame(rows)
    results: dict[str, dict[str, Any]] = {}
    for (system, question), own in ratings.groupby(["system", "question"], sort=False):
        drawn = resampled_means(own[["rating"]].to_numpy(float), cluster_ids=own["passage"].tolist())[:, 0]
        low, high = np.quantile(drawn, [0.025, 0.975])
        found = {"mean": float(own["rating"].mean()), "low": float(low), "high": float(high), "n": len(own)}
        results.setdefault(system, {})[question] = found | {"n_passages": int(own["passage"].nunique())}
    write_json(folder / "ratings.json", {"raters": len(files), "systems": results})
    lines = [
        "# What was heard",
        "",
        f"{len(files)} {'rater' if len(files) == 1 else 'raters'}; means of ratings from 1 to 5, with 95 % intervals "
        "over passages: another choice of passages, not other raters or trainings.",
        "",
        "| continued by | " + " | ".join(QUESTIONS.values()) + " |",
        "| :--- |" + " ---: |" * len(QUESTIONS),
    ]
    for system, found in results.items():
        cells = [
            f"{own['mean']:.2f} [{own['low']:.2f}, {own['high']:.2f}]" if (own := found.get(question)) else ""
            for question in QUESTIONS
        ]
        lines.append(f"| {LABELS.get(system, system)} | " + " | ".join(cells) + " |")
    report = folder / "report.md"
    report.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return report


def _passages(run: Run, joint: Path, arguments: ListeningArguments, seed: int) -> dict[str, dict[str, Any]]:
    """Units of the first half of each passage, and of the second by system."""
    tables, settings = {}, None
    for name in arguments.models:
        own = joint / "continuations" / name / f"seed-{seed}"
        if not own.is_dir():
            raise ValueError(f"There are no continuations of {name} of seed {seed}; choose another --training_seed.")
        rows = pd.read_parquet(own / CONTINUATIONS_FILE)
        tables[name] = rows[rows["direction"] == "u2u"].set_index("id")["units"]
        settings = read_json(own / PELM_FILE)["made_with"]
    made_with = JointArguments(str(run.folder), **read_json(joint / RESULTS_FILE)["configuration"])
    speech = tokenizer_settings(made_with, run, read_study(run.folder)["configuration"]).speech
    held_out = read_split(run.utterances(), run.units() / "utterances", "test", speech)
    passages = cut_passages(held_out, settings["num_prompts"], settings["seed"])
    said = [row for row in passages if all(len(table.loc[row["id"]]) for table in tables.values())]
    if len(said) < 2:
        raise ValueError("Fewer than two passages were continued by all systems; choose fewer --models.")
    rng = np.random.default_rng([arguments.seed, 0])
    chosen = [said[place] for place in sorted(rng.permutation(len(said))[: arguments.num_passages])]
    found = {}
    for row, other in zip(chosen, [*chosen[1:], chosen[0]]):
        systems = {TRUE: _units(row["continuation_units"]), SHUFFLED: _units(other["continuation_units"])}
        systems |= {name: np.array(table.loc[row["id"]]) for name, table in tables.items()}
        found[row["id"]] = {"prompt": _units(row["prompt_units"]), "systems": systems}
    return found


def _units(content: str) -> np.ndarray:
    return np.array([int(unit) for unit in content.split(UNIT_MARK)[1:]])


def _mean_lengths(run: Run, num_units: int) -> np.ndarray:
    """Frames that a run of each unit lasts in the mean, which a model of runs does not say."""
    frames, runs = np.zeros(num_units), np.zeros(num_units)
    for shard in find_shards(run.units() / "utterances", ("id", "units")).get("train", []):
        for units in pq.read_table(shard, columns=["units"])["units"].to_pylist():
            units = np.array(units)
            frames += np.bincount(units, minlength=num_units)
            runs += np.bincount(units[run_starts(units)], minlength=num_units)
    return np.maximum(1, np.round(frames / np.maximum(runs, 1))).astype(int)


def _write_wav(path: Path, vocoder, halves: tuple[np.ndarray, np.ndarray], lengths: np.ndarray) -> None:
    """Both halves as runs of their mean lengths, with a pause where the second begins."""
    import soundfile

    speakers = [vocoder.config.speakers[0]] * 2 if len(vocoder.config.speakers or ()) > 1 else None
    collapsed = [half[run_starts(half)] for half in halves]
    first, second = vocoder.waveforms(collapsed, speakers, [lengths[half] for half in collapsed])
    pause = np.zeros(int(_PAUSE_SECONDS * SAMPLE_RATE), np.float32)
    samples = np.concatenate([first, pause, second])
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")


def _form(items: list[str]) -> str:
    from jinja2 import Environment

    template = Environment(autoescape=True).from_string(
        Path(__file__).with_name("listening.html").read_text(encoding="utf-8")
    )
    return template.render(items=items, questions=QUESTIONS, ratings=RATINGS_FILE, scale=range(1, 6))
