"""What the language models of a run read: the contents of each modality, as a configuration of one dataset.

utterances and units -> the builder of each modality, and those of joint sequences -> `id`, `content` -> a prepared
repository.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from ....datasets_scripts.builders import prepare
from ....models.audio import FRAME_SAMPLES, frame_samples_at
from ....models.modalities import Modality, get_modality
from ...stages.speech import read_stretch_factor
from ..card import link
from ..models.language_model_card import describe_content
from ..repository import ReleaseRepository
from .dataset_card import DatasetSource, write_dataset_card
from .joint_contents import JointDraw
from .parquet import FILE_BYTES, Configuration, write_split

_COLUMNS = {"id": "name of the utterance", "content": "its symbols, as the modality writes them"}
_SNIPPET = """
from datasets import load_dataset

contents = load_dataset("{name}", "{configuration}", split="test")
print(contents[0]["content"][:60])
"""
_AS_IDS = """
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{model}")
print(tokenizer(contents[0]["content"])["input_ids"][:10])
"""


def prepare_contents(source: DatasetSource, folder: Path) -> ReleaseRepository:
    """
    Prepare the dataset of contents.

    Args:
        source ([`DatasetSource`]): The run, and what its cards say.
        folder (`Path`): Where to, a folder a repository.

    Raises:
        `FileNotFoundError`: If units or utterances of a modality are missing.
        `ValueError`: If a shard cannot be read.
    """
    name = source.names.repository("contents")
    target = folder / name.split("/")[1] / "main"
    configurations = [_write(source, get_modality(modality), target) for modality in source.modalities]
    models = {modality: source.find_model(modality) for modality in source.modalities}
    if source.joint is not None:
        for kind in source.joint.kinds:
            configurations.append(_write_joint(source, source.joint, kind, target))
            models[f"joint_{kind}"] = source.find_model(*(f"joint-{name}" for name in source.joint.models_of(kind)))
    first = configurations[0]
    shown = next((name for name, model in models.items() if model), first.name)
    snippet = _SNIPPET.format(name=name, configuration=shown)
    if models[shown]:
        snippet = snippet.rstrip() + "\n" + _AS_IDS.format(model=models[shown])
    write_dataset_card(
        target,
        source,
        title="contents",
        lead=(
            f"The same {first.rows:,} utterances in {len(configurations)} alphabets, a configuration each: what the "
            "language models of this release were trained on, before any tokenizer. Rows of one `id` say the same."
        ),
        configurations=configurations,
        metadata={"task_categories": ["text-generation"], "tags": ["speech-units", "phones"]},
        columns=_COLUMNS,
        use=(snippet, ""),
        made=(
            f"From {link(source.names.repository('utterances'), 'dataset')}: text as it is; phones from its aligned "
            "phones, once each or as often as they have frames; units as the run's quantizers "
            "gave them, or what stood in their place."
            + (f"\n\n{source.joint.how_made()}" if source.joint and source.joint.kinds else "")
        ),
        limits=source.corpus_limits(),
    )
    return ReleaseRepository(
        name,
        "dataset",
        target,
        title="Contents",
        note="The same utterances in every alphabet, one configuration each.",
    )


def _write(source: DatasetSource, modality: Modality, target: Path) -> Configuration:
    content = describe_content(modality, source.study.get("frame_rate"))
    rows_of = source.run.utterance_units(modality.name)
    if not modality.is_speech:
        rows_of = source.run.utterances(source.run.voices_of(modality.name))
    return _write_rows(
        modality.name, f"{source.label(modality)}: {content}.", target, rows_of, **_options(source, modality)
    )


def _write_joint(source: DatasetSource, joint: JointDraw, kind: str, target: Path) -> Configuration:
    """What joint models read of the run's own utterances and units."""
    options = joint.builder_options(kind, source.run.units() / "utterances")
    return _write_rows(f"joint_{kind}", joint.describe(kind), target, source.run.utterances(), **options)


def _write_rows(name: str, description: str, target: Path, rows_of: Path, **options) -> Configuration:
    """The rows of a builder as a configuration."""
    features = datasets.Features({"id": datasets.Value("string"), "content": datasets.Value("string")})
    configuration = Configuration(name, description, features)
    with tempfile.TemporaryDirectory() as cache, _without_progress_bars():
        for split, rows in prepare(name, rows_of, cache, **options).items():
            number = 1 + rows.data.nbytes // FILE_BYTES
            shards = [rows.with_format("arrow").shard(number, index, contiguous=True) for index in range(number)]
            parts = [(shard.data.nbytes, shard.iter(batch_size=1000)) for shard in shards]
            write_split(target, configuration, split, parts)
    return configuration


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Rows take seconds, and every split of every modality would have a bar of its own."""
    silent = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not silent:
            enable_progress_bars()


def _options(source: DatasetSource, modality: Modality) -> dict[str, Any]:
    """Those of the run's own tokenizers: what it trained on is what is published."""
    frame_rate = source.study.get("frame_rate")
    frame_samples = frame_samples_at(frame_rate) if frame_rate else FRAME_SAMPLES
    if modality.column == "phones_stretch":
        utterances = source.run.utterances(source.run.voices_of(modality.name))
        return {"stretch_factor": read_stretch_factor(utterances, frame_samples)}
    return {"frame_samples": frame_samples} if modality.column == "phones_repeat" else {}
