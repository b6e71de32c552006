"""Which models a page offers, what each of them reads, and sentences to begin with.

a run's folder, or ids on the Hub -> [`read_catalog`] -> models with a label and a line on what they are, examples of
held-out utterances, and the study's report.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...models.audio import SAMPLE_RATE, decode_flac
from ...models.files import read_json
from ...models.modalities import JOINT, MODALITIES
from ...training.run.folder import Run
from .known_utterances import KnownUtterances, find_utterances

SAYS = {
    "text_bpe": "Text in pieces of words, as chat models read it. You hear its words spoken by a synthesizer.",
    "text_raw": "Text letter by letter. You hear its words spoken by a synthesizer.",
    "text_raw_no_space": "Text letter by letter, without the spaces between words.",
    "phone_bpe": "Phones, the sounds that a dictionary gives for words, in pieces of several phones.",
    "phone_raw": "Phones, the sounds that a dictionary gives for words (“cat” is K AE T), one by one.",
    "phone_stretch": "Phones, each written several times, so that texts get as long as speech is.",
    "phone_repeat": "Phones, each written for as long as it is spoken, 50 times a second.",
    "speech_units": "Sound alone: 50 times a second, the number of the sound that the recording resembles most.",
    "speech_units_one_voice": "Sound alone, of one single voice, as 50 numbers of sounds a second.",
    "speech_units_synthetic": "Sound alone, of synthetic voices, as 50 numbers of sounds a second.",
    "speech_dedup": "Sound alone, as numbers of sounds; a number that lasts is written once.",
    "speech_bpe": "Sound alone, as numbers of sounds in pieces of several.",
    "speech_syllable": "Sound alone, one number for each syllable.",
    "speech_syllable_unsupervised": "Sound alone, one number for each syllable, found without any text.",
    "speech_duration_penalized": "Sound alone, as numbers of sounds that are kept from changing too often.",
    "joint": "Sound and text in one model, which can go from one to the other.",
}
"""What a modality is, for somebody who has never heard of it."""
EXAMPLE_SECONDS = 6.0
_NUM_EXAMPLES = 4


@dataclass(frozen=True)
class ModelEntry:
    """
    A model that the page offers.

    Args:
        key (`str`): Its name in requests: `text_bpe/seed-0` of a run, or its id on the Hub.
        source (`str`): What a pipeline loads: a folder or an id.
        label (`str`): Its name on the page.
        modality (`str`): What it reads.
        is_first (`bool`): Whether it is the first training of its modality.
    """

    key: str
    source: str
    label: str
    modality: str
    is_first: bool = True

    @property
    def says(self) -> str:
        """What its modality is, in one line."""
        return SAYS.get(self.modality, "A language model of speech.")


@dataclass(frozen=True)
class Example:
    """
    The beginning of a held-out utterance.

    Args:
        text (`str`): Its words.
        audio (`np.ndarray` of shape `(num_samples,)`): int16, 16 kHz.
    """

    text: str
    audio: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Catalog:
    """
    What a page offers.

    Args:
        models (`list[ModelEntry]`): In the order from text to speech.
        examples (`list[Example]`): Held-out utterances.
        report (`Path`, *optional*): The folder of the study's report.
        utterances ([`KnownUtterances`], *optional*): Utterances that units from elsewhere can be of.
    """

    models: list[ModelEntry]
    examples: list[Example]
    report: Path | None
    utterances: KnownUtterances | None = None

    def find(self, keys: Any) -> list[ModelEntry]:
        """
        The models of a request.

        Raises:
            `ValueError`: If none is named, or one that the page does not offer.
        """
        keys = [keys] if isinstance(keys, str) else keys
        if not isinstance(keys, (list, tuple)) or not keys:
            raise ValueError("Choose at least one model.")
        by_key = {entry.key: entry for entry in self.models}
        if unknown := [key for key in keys if not isinstance(key, str) or key not in by_key]:
            raise ValueError(f"There is no model {str(unknown[0])[:80]!r} here; choose from {', '.join(by_key)}.")
        return [by_key[key] for key in dict.fromkeys(keys)]


def read_catalog(source: str | Path | Sequence[str], utterances: str | None = None) -> Catalog:
    """
    Find models.

    Args:
        source (`str`, `Path` or `Sequence[str]`): The folder of a finished run, or ids of models on the Hub or their
            folders.
        utterances (`str`, *optional*): Id of the dataset on the Hub whose held-out utterances are the examples, where
            models are not of a run.

    Returns:
        [`Catalog`].

    Raises:
        `FileNotFoundError`: If there is no such folder or no such model.
        `ValueError`: If the run has no trained model, or a model does not say what it reads.
    """
    if not isinstance(source, (str, Path)) and len(source) == 1 and not _is_model(source[0]):
        source = source[0] if Path(source[0]).exists() else source
    if isinstance(source, (str, Path)):
        return _read_run(Path(source))
    models = _in_order([_read_model(str(name)) for name in source])
    return Catalog(models, _read_examples_of_hub(utterances), None, find_utterances(utterances))


def _is_model(source: str) -> bool:
    return (Path(source) / "config.json").is_file()


def _read_run(folder: Path) -> Catalog:
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no run {folder}; make one with `evoslm study`, or name models on the Hub.")
    entries = []
    for path in _model_folders(folder):
        modality = read_json(path / "config.json").get("modality")
        if modality is not None:
            key = path.relative_to(folder).as_posix().removeprefix("models/")
            entries.append(ModelEntry(key, str(path), "", modality))
    if not entries:
        raise ValueError(f"{folder} has no trained models; let `evoslm study --output_dir {folder}` go on.")
    reports = (path for path in (Run(folder).report, folder / JOINT.name) if (path / "report.md").is_file())
    report = next(reports, None)
    return Catalog(_in_order(entries), _read_examples_of_run(folder), report, find_utterances(folder))


def _model_folders(folder: Path) -> list[Path]:
    """Models of a run, and those of its joint trainings that have seen speech and text in one sequence."""
    folders = (folder / "models", folder / "joint" / "models")
    paths = [path for models in folders for path in sorted(models.glob("*/seed-*/config.json"))]
    return [path.parent for path in paths if _is_offered(read_json(path))]


def _is_offered(config: dict[str, Any]) -> bool:
    is_joint = config.get("modality") == JOINT.name
    return not is_joint or bool({"cst", "ast"} & set(config.get("mixture") or {}))


def _read_model(name: str) -> ModelEntry:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if Path(name).is_dir():
        path = Path(name) / "config.json"
    else:
        try:
            path = Path(hf_hub_download(name, "config.json"))
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            raise FileNotFoundError(f"There is no model {name} in a folder or on the Hub that can be read.") from error
    config = read_json(path)
    if config.get("modality") not in {*MODALITIES, JOINT.name}:
        raise ValueError(f"{name} does not say which modality it reads: it is no model of this project.")
    return ModelEntry(name, name, "", config["modality"])


def _in_order(entries: list[ModelEntry]) -> list[ModelEntry]:
    """From text to speech, the first training of each modality before the others; and with labels."""
    order = {name: place for place, name in enumerate([*MODALITIES, JOINT.name])}
    entries = sorted(entries, key=lambda entry: order.get(entry.modality, len(order)))
    seen: dict[str, int] = {}
    labelled = []
    for entry in entries:
        kind = entry.key.rsplit("/", 1)[0] if "/seed-" in entry.key else entry.modality
        place = seen[kind] = seen.get(kind, -1) + 1
        labelled.append(ModelEntry(entry.key, entry.source, _label(entry, place), entry.modality, place == 0))
    return sorted(labelled, key=lambda entry: not entry.is_first)


def _label(entry: ModelEntry, place: int) -> str:
    if entry.modality == JOINT.name:
        kinds = entry.key.split("/")[-2] if "/seed-" in entry.key else ""
        label = "Joint" + (f" ({kinds.replace('_', ', ')})" if kinds else "")
    else:
        config = _read_config(entry.source)
        encoder = str(config.get("unit_encoder") or "units")
        label = MODALITIES[entry.modality].label.format(encoder=encoder.upper() if encoder == "mfcc" else encoder)
    if place == 0:
        return label
    if "/seed-" in entry.key:
        return f"{label}, training seed {entry.key.rsplit('-', 1)[1]}"
    return f"{label}, {entry.key}"


def _read_config(source: str) -> dict[str, Any]:
    if Path(source).is_dir():
        return read_json(Path(source) / "config.json")
    from huggingface_hub import hf_hub_download

    return read_json(hf_hub_download(source, "config.json"))


def _read_examples_of_run(folder: Path) -> list[Example]:
    import pyarrow.parquet as pq

    for path in sorted(folder.glob("corpus/utterances/test-*.parquet")):
        rows = pq.read_table(path, columns=["text", "audio", "words"]).slice(0, 8 * _NUM_EXAMPLES).to_pylist()
        return _cut_all(rows)
    return []


def _read_examples_of_hub(dataset: str | None) -> list[Example]:
    """A page without examples is a page, so that a dataset that cannot be read is said and no more."""
    if dataset is None:
        return []
    from datasets import Audio, load_dataset

    try:
        rows = load_dataset(dataset, split="test", streaming=True)
        return _cut_all(list(rows.cast_column("audio", Audio(decode=False)).take(8 * _NUM_EXAMPLES)))
    except (OSError, ValueError) as error:
        print(f"There are no examples: {dataset} cannot be read ({error}).", flush=True)
        return []


def _cut_all(rows: list[dict[str, Any]]) -> list[Example]:
    examples = [_cut(row) for row in rows]
    return [example for example in examples if example is not None][:_NUM_EXAMPLES]


def _cut(row: dict[str, Any]) -> Example | None:
    """The first sentence of an utterance, or its first words where that is long or all there is."""
    words = row["words"]
    ends = [place + 1 for place, word in enumerate(words) if word["word"].endswith((".", "!", "?"))]
    last = ends[0] if ends and words[ends[0] - 1]["end"] <= EXAMPLE_SECONDS else 0
    if not last:
        last = sum(word["end"] <= EXAMPLE_SECONDS / 2 for word in words)
    if last < 3:
        return None
    audio = decode_flac(row["audio"]["bytes"])[: int(words[last - 1]["end"] * SAMPLE_RATE)]
    return Example(" ".join(word["word"] for word in words[:last]), audio)
