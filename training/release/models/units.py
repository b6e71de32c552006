"""What reads and writes speech units: quantizers, a vocoder and transcribers, tied to each other by one hash.

a run's quantizers -> [`prepare_units`] -> their repositories, and [`UnitTies`] for the configuration of each language
model that is made of their units.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from transformers import AutoModel

from ....datasets_scripts.shards.reading import find_shards
from ....models.audio import decode_flac
from ....models.files import read_json, write_json
from ....models.modalities import get_modality
from ....models.speech_units import SpeechUnitConfig, SpeechUnitModel, SpeechUnitProcessor
from ....models.speech_units.identity import HASH_KEY, check_same_quantizer, quantizer_hash
from ....models.vocoder import resynthesis_quality
from ...external_units.quantizers import is_external
from ...run.folder import MODEL_FOLDER, QUALITY_FILE, Run
from ...run.places import without_places
from ...run.stage import check_inputs
from ...transcription.sounds import CODEBOOK, load_vocoder
from ..card import UNKNOWN_LICENSE
from ..files import copy_json
from ..names import ReleaseNames
from ..repository import ReleaseRepository
from .ties import UnitTies
from .unit_cards import write_quantizer_card, write_transcriber_card, write_vocoder_card

_MEASURED = 10  # validation utterances that a codebook's vocoder says again
_RESULTS_FILE = "results.json"


def prepare_units(
    run: Run,
    names: ReleaseNames,
    folder: Path,
    modalities: list[str],
    license_id: str,
    vocoder: Path | None = None,
    foreign_license: str = UNKNOWN_LICENSE,
) -> tuple[dict[Path, UnitTies], list[ReleaseRepository]]:
    """
    Prepare the repositories of what reads and writes the units of a run.

    Args:
        run ([`Run`]): The run.
        names ([`ReleaseNames`]): How repositories are called.
        folder (`Path`): Where to, a folder a repository.
        modalities (`list[str]`): The modalities of speech whose models are released.
        license_id (`str`): Of the cards.
        vocoder (`Path`, *optional*): A trained vocoder; the run's own when not given, else one that is read off the
            codebook.
        foreign_license (`str`, *optional*, defaults to `"unknown"`): Of quantizers with the weights of an encoder.

    Returns:
        `tuple`: What each folder of units (`Run.units_of`) is tied to, and the repositories.

    Raises:
        `FileNotFoundError`: If a model's quantizer is missing, or a vocoder that was asked for.
        `ValueError`: If vocoder or transcriber are of another quantizer, without results, or of units whose quantizer
            is not released.
    """
    ties: dict[Path, UnitTies] = {}
    repositories: list[ReleaseRepository] = []
    for modality in modalities:
        units = run.units_of(modality)
        if units not in ties:
            ties[units], made = _prepare_quantizer(run, names, folder, modality, license_id, foreign_license)
            repositories += made
    main = run.units()
    if vocoder is not None and not (main in ties and ties[main].quantizer):
        raise ValueError(
            f"{vocoder} makes sound of units whose quantizer is no part of this release; leave --vocoder out, or "
            "release it with a modality of the run's own units (--modalities)."
        )
    if main in ties and ties[main].quantizer:
        ties[main], made = _prepare_vocoder(run, names, folder, ties[main], vocoder, license_id)
        repositories += made
    for units, tied in list(ties.items()):
        if tied.quantizer:
            ties[units], made = _prepare_transcribers(run, names, folder, units, tied, license_id)
            repositories += made
    return ties, repositories


def _prepare_quantizer(
    run: Run, names: ReleaseNames, folder: Path, modality: str, license_id: str, foreign_license: str
) -> tuple[UnitTies, list[ReleaseRepository]]:
    units, source = run.units_of(modality), run.quantizer(modality)
    if not (source / "config.json").is_file():
        raise FileNotFoundError(
            f"The quantizer of {modality} is missing: {source} has no config.json; run `evoslm fit-units` with the "
            "run's arguments, or leave the modality out (--modalities)."
        )
    if is_external(source):
        return UnitTies(), []
    model = SpeechUnitModel.from_pretrained(source).eval()
    check_same_quantizer(model.config, {HASH_KEY: quantizer_hash(model), "_name_or_path": str(source)})
    check_inputs(units / "utterances", "quantizer", source)
    tied = UnitTies(quantizer_hash(model), name_quantizer(names, model.config, units))
    quality = _read_results(units / "utterances" / QUALITY_FILE, "evoslm fit-units")
    main = _open_folder(folder, tied.quantizer)
    setattr(model.config, HASH_KEY, tied.hash)
    model.save_pretrained(main)
    SpeechUnitProcessor.from_pretrained(source).save_pretrained(main)
    _clean(main)
    license_id = foreign_license if model.config.pretrained else license_id
    write_quantizer_card(main, tied, names, model.config, quality, license_id)
    kind = f"{model.config.encoder_label} frames" if not model.config.segment_parts else "segments"
    title = f"Speech units: {model.config.num_units} clusters of {kind}"
    return tied, [ReleaseRepository(tied.quantizer, "model", main, title=title, note="Sound to units.")]


def _prepare_vocoder(
    run: Run, names: ReleaseNames, folder: Path, tied: UnitTies, vocoder: Path | None, license_id: str
) -> tuple[UnitTies, list[ReleaseRepository]]:
    trained = vocoder or run.folder / "vocoder"
    if vocoder is not None and not (vocoder / "config.json").is_file():
        raise FileNotFoundError(f"There is no vocoder in {vocoder}; give the folder that `evoslm train-vocoder` made.")
    is_trained = (trained / "config.json").is_file()
    model = load_vocoder(run, str(trained) if is_trained else CODEBOOK)
    quality = _read_results(trained / QUALITY_FILE, "evoslm train-vocoder") if is_trained else _measure(run, model)
    tied = replace(tied, vocoder=names.repository("vocoder"))
    main = _open_folder(folder, tied.vocoder)
    _tie(model.config, tied)
    model.save_pretrained(main)
    _clean(main)
    write_vocoder_card(main, tied, names, model.config, quality, license_id)
    title = "Vocoder: speech units to sound"
    return tied, [ReleaseRepository(tied.vocoder, "model", main, title=title, note="Units to sound.")]


def _prepare_transcribers(
    run: Run, names: ReleaseNames, folder: Path, units: Path, tied: UnitTies, license_id: str
) -> tuple[UnitTies, list[ReleaseRepository]]:
    """Those that read the units of one quantizer; the first is the one that language models name."""
    repositories = []
    for source, name in find_transcribers(run, names, units):
        check_inputs(source, "quantizer", units / MODEL_FOLDER)
        results = _read_results(source.parent / _RESULTS_FILE, "evoslm train-transcriber")
        model = AutoModel.from_pretrained(source, use_safetensors=True).eval()
        check_same_quantizer(model.config, {HASH_KEY: tied.hash, "_name_or_path": str(units / MODEL_FOLDER)})
        tied = replace(tied, transcriber=tied.transcriber or name)
        main = _open_folder(folder, name)
        _tie(model.config, tied)
        model.save_pretrained(main)
        copy_json(source / "training.json", main / "training.json")
        _clean(main)
        write_transcriber_card(main, name, tied, names, model.config, results, license_id)
        repositories.append(
            ReleaseRepository(name, "model", main, title="Transcriber: speech units to text", note="Units to text.")
        )
    return tied, repositories


def find_transcribers(run: Run, names: ReleaseNames, units: Path) -> list[tuple[Path, str]]:
    """
    The transcribers of the units of one quantizer, with the repositories that they get.

    Args:
        run ([`Run`]): The run.
        names ([`ReleaseNames`]): How repositories are called.
        units (`Path`): The folder of the units.
    """
    found: list[tuple[Path, str]] = []
    for source in sorted(run.folder.glob(f"transcribers/*/{MODEL_FOLDER}")):
        modality = get_modality(source.parent.name)
        if modality.is_speech and run.units_of(modality.name) == units:
            is_first = not found and units == run.units()
            part = "transcriber" if is_first else f"transcriber-{modality.name}"
            found.append((source, names.repository(part)))
    return found


def name_quantizer(names: ReleaseNames, config: SpeechUnitConfig, units: Path) -> str:
    """
    The repository of a quantizer: called by its encoder, and by what tells it apart from the run's own.

    Args:
        names ([`ReleaseNames`]): How repositories are called.
        config ([`SpeechUnitConfig`]): Its configuration.
        units (`Path`): The folder of its units.
    """
    other = units.name.removeprefix("speech_").removeprefix("units").strip("_")
    label = "-".join(part for part in (config.encoder_label.replace(" ", "-"), other) if part)
    return names.repository(f"units-{label}")


def _measure(run: Run, vocoder) -> dict[str, Any]:
    """How near a codebook's vocoder comes to some validation utterances."""
    quantizer = SpeechUnitModel.from_pretrained(run.units() / MODEL_FOLDER)
    shard = find_shards(run.utterances(), ("audio", "speaker"))["validation"][0]
    rows = pq.read_table(shard, columns=["audio", "speaker"]).slice(0, _MEASURED).to_pylist()
    audio, speakers = [decode_flac(row["audio"]["bytes"]) for row in rows], [row["speaker"] for row in rows]
    said = vocoder.waveforms(quantizer.units(audio, speakers), speakers)
    quality = resynthesis_quality(audio, said, vocoder.config.sampling_rate, vocoder.config.hop_length)
    return {name: None if value != value else value for name, value in quality.items()}


def _read_results(path: Path, command: str) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"A card says what was measured, and {path} is missing; run `{command}` again.")
    return read_json(path)


def _open_folder(folder: Path, repository: str) -> Path:
    main = folder / repository.split("/")[1] / "main"
    main.mkdir(parents=True)
    return main


def _tie(config, tied: UnitTies) -> None:
    """What reads or writes units says of which quantizer they are."""
    setattr(config, HASH_KEY, tied.hash)
    config.unit_quantizer = tied.quantizer


def _clean(folder: Path) -> None:
    """Take places out of what `save_pretrained` wrote."""
    for path in folder.glob("*.json"):
        write_json(path, without_places(read_json(path)))
    for path in folder.glob("model*.safetensors"):
        path.chmod(0o644)
