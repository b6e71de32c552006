"""The minimal pairs of a run as a dataset of the Hub: every form of each pair, and the units of an encoder apart.

`pairs/rendered` -> a configuration a task; its units -> `<task>_units` -> a prepared repository.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ....datasets_scripts.builders.minimal_pairs import FEATURES, UNIT_FEATURES
from ....datasets_scripts.pairs.unit_contents import unit_pairs
from ....datasets_scripts.shards.reading import find_shards
from ....metrics.tasks import TASKS
from ....models.modalities import RECORDINGS_MODALITY, get_modality
from ..card import link
from ..repository import ReleaseRepository
from .benchmark import write_benchmark
from .dataset_card import DatasetSource, write_dataset_card
from .parquet import Configuration, read_shards, write_split

_COLUMNS = {
    "id, cluster": "name of the pair, and of it and its mirrored twin together",
    "task, group, band": "what it asks; what it is about; how often the word occurs in training (sWUGGY), and which "
    "pairs are unbalanced: accuracies of the models' cards leave those out",
    "voice, rate": "who speaks it, and words a minute that were asked for",
    "context_*": "what both sides continue, of Topic-SC; else empty",
    "positive_*, negative_*": "the side that should be likelier, and the other",
    "*_text, *_phones": "as text; as ARPAbet phones",
    "*_phones_stretch, *_phones_repeat": "each phone equally often; once a frame",
    "*_audio": "FLAC, 16 kHz, one channel",
    "*_units": "of the configurations of units: as the speech model of this release reads it",
}
_SNIPPET = """
from datasets import load_dataset

pairs = load_dataset("{name}", "{task}", split="test")
print(pairs[0]["positive_{form}"], "or", pairs[0]["negative_{form}"])
"""
_SCORING = """
import evaluate

pairs.to_parquet("pairs.parquet")
metric = evaluate.load("{metric}")
print(metric.compute(model_id="{model}", pairs="pairs.parquet", modality="{form}")["accuracy"])
"""
_LIMITS = (
    "The pairs are a test: of a model that was trained on them they say nothing. They are made of the words of this "
    "corpus, and a model of another one meets words that it does not know. How far n-grams and simpler rules come "
    "with them stands on the cards of the models; what those solve tests nothing else."
)


def prepare_pairs(source: DatasetSource, folder: Path) -> ReleaseRepository:
    """
    Prepare the dataset of minimal pairs.

    Args:
        source ([`DatasetSource`]): The run, and what its cards say.
        folder (`Path`): Where to, a folder a repository.

    Raises:
        `FileNotFoundError`: If the run has none, or lacks their units.
        `ValueError`: If units and pairs are not of the same rows.
    """
    name = source.names.repository("pairs")
    target = folder / name.split("/")[1] / "main"
    speech = [modality for modality in source.modalities if get_modality(modality).is_speech]
    configurations = [each for voices in source.renderings() for each in _write_forms(source, voices, target)]
    for modality in speech:
        configurations += _write_units(source, modality, target, first=modality == _first(speech))
    tasks = [task for task in TASKS if any(each.name == task for each in configurations)]
    snippet = _write_snippet(source, name, tasks[0], speech)
    numbers = ", ".join(f"{source.pairs[task]['n']:,} of {TASKS[task].label}" for task in tasks)
    write_dataset_card(
        target,
        source,
        title="minimal pairs",
        lead=(
            f"Two things that differ in one respect, of which a language model should find one likelier: {numbers}, "
            "each as text, as phones and as speech, so that models of every alphabet are asked the same."
        ),
        configurations=configurations,
        metadata={
            "task_categories": ["text-generation", "other"],
            "tags": ["minimal-pairs", "evaluation", *(TASKS[task].label for task in tasks)],
        },
        columns=_COLUMNS,
        use=(snippet, f"The metrics are {', '.join(link(source.names.shared(task), 'space') for task in tasks)}."),
        made=_describe_making(source, tasks),
        limits=_LIMITS,
    )
    if source.evaluation_framework:
        title = f"EvoSLM {source.names.study}: minimal pairs"
        of_units = [f"{task}_units" for task in tasks if source.joint is not None]  # joint models are asked in both
        asked = [each.name for each in configurations if each.name in (*tasks, *of_units)]
        write_benchmark(target, title, f"{numbers}, as text, phones and speech.", source.evaluation_framework, asked)
    return ReleaseRepository(
        name, "dataset", target, title="Minimal pairs", note=f"{numbers}: as text, phones, speech and units."
    )


def _write_snippet(source: DatasetSource, name: str, task: str, speech: list[str]) -> str:
    """The pairs, and a model of this release that is asked about them, where one reads them as they are."""
    of_units = _first(speech)
    asked = [each for each in source.modalities if not get_modality(each).is_speech] + [of_units] * bool(of_units)
    asked = next((each for each in asked if source.find_model(each)), None)
    form = get_modality(asked).column if asked else "text"
    snippet = _SNIPPET.format(name=name, task=f"{task}_units" if form == "units" else task, form=form)
    if asked is None:
        return snippet
    scoring = _SCORING.format(metric=source.names.shared(task), model=source.find_model(asked), form=form)
    return snippet.rstrip() + "\n" + scoring


def _first(speech: list[str]) -> str | None:
    """The modality whose units are `<task>_units`."""
    return RECORDINGS_MODALITY if RECORDINGS_MODALITY in speech else next(iter(speech), None)


def _write_forms(source: DatasetSource, voices: str, target: Path) -> Iterator[Configuration]:
    """A configuration a task, in one set of voices."""
    pairs = source.run.pairs(voices)
    if voices != source.run.voices and pairs == source.run.pairs():
        return  # nobody has recorded pairs: there is one rendering
    suffix = "" if voices == source.run.voices else f"_{voices}_voice{'s' if voices == 'many' else ''}"
    for task in source.pairs:
        description = TASKS[task].description + (
            f" In {voices} voice{'s' if voices == 'many' else ''}." if suffix else ""
        )
        configuration = Configuration(f"{task}{suffix}", description, FEATURES)
        for split, files in find_shards(pairs / task, tuple(FEATURES)).items():
            write_split(target, configuration, split, read_shards(files))
        yield configuration


def _write_units(source: DatasetSource, modality: str, target: Path, first: bool) -> Iterator[Configuration]:
    """A configuration a task, as a modality of speech reads it."""
    pairs, units = source.run.pairs(source.run.voices_of(modality)), source.run.pair_units(modality)
    if not units.is_dir():
        raise FileNotFoundError(f"There are no units of pairs in {units}; let `evoslm study` finish.")
    for task in source.pairs:
        suffix = "units" if first else modality
        description = f"{TASKS[task].label} as contents of {source.label(get_modality(modality))}."
        configuration = Configuration(f"{task}_{suffix}", description, UNIT_FEATURES)
        for split, files in find_shards(pairs / task).items():
            parts = [_read_units(Path(file), units / task, modality) for file in files]
            write_split(target, configuration, split, parts)
        yield configuration


def _read_units(shard: Path, units: Path, modality: str) -> tuple[int, Iterator[pa.Table]]:
    """The contents of a shard's units, written when they are asked for, as a part of a split."""
    path = units / shard.name
    return path.stat().st_size, (unit_pairs(shard, pq.read_table(path), modality) for _ in range(1))


def _describe_making(source: DatasetSource, tasks: list[str]) -> str:
    told = [f"- **{TASKS[task].label}**: {TASKS[task].description}" for task in tasks]
    told.append(
        "- Pairs of one `cluster` are mirrored twins: what is right in one is wrong in the other, so that a rule that "
        "does not look at what is asked is right in half of them. Pairs whose sides sound alike were dropped."
    )
    if source.study["configuration"]["pairs"]["blimp"]:
        told.append("- sBLIMP's sentences are those of [BLiMP](https://arxiv.org/abs/1912.00582) (CC-BY 4.0).")
    return "\n".join(told)
