"""A language model by id or folder, and what its modality needs: quantizer, vocoder, transcriber.

id on the Hub -> the keys of its `config.json` (`unit_quantizer`, `unit_vocoder`, `unit_transcriber`) -> the other
repositories, each pinned to its commit; a folder of a run -> what lies beside it. All that read or write units are of
one quantizer, or nothing is loaded.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ..hub_commit import find_commit
from ..modalities import JOINT, MODALITIES, Modality
from ..released_files import FileChanged, as_released, check_released_files
from ..speech_units.identity import HASH_KEY, check_same_quantizer, is_external, quantizer_hash
from ..speech_units.modeling_speech_units import SpeechUnitModel
from ..transcriber import Transcriber, UnitTranscriber
from ..vocoder import CodebookVocoder, UnitHifiGan
from ..vocoder.modeling_vocoder import UnitVocoder

_VOCODERS = {vocoder.config_class.model_type: vocoder for vocoder in (CodebookVocoder, UnitHifiGan)}
_SPECTRAL_ENCODERS = ("mfcc", "log_mel")
_PARENTS_SEARCHED = 6


@dataclass
class Components:
    """
    What a pipeline runs.

    Args:
        model (`PreTrainedModel`): The language model, in evaluation mode.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        modality ([`Modality`]): What it reads; of a model that does not say so, text.
        quantizer ([`SpeechUnitModel`], *optional*): Audio to units, where it reads units.
        vocoder ([`UnitVocoder`], *optional*): Units to audio.
        transcriber ([`Transcriber`] or [`UnitTranscriber`], *optional*): Audio, units or phones to text.
        repeats (`int`): How often the modality writes a phone.
        collapse (`bool`): Whether a joint model reads each run of units once.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    modality: Modality
    quantizer: SpeechUnitModel | None = None
    vocoder: UnitVocoder | None = None
    transcriber: Transcriber | UnitTranscriber | None = None
    repeats: int = 1
    collapse: bool = True

    @property
    def reads_units(self) -> bool:
        """Whether the model reads speech units, beside text or alone."""
        return self.modality.is_speech or self.modality is JOINT


def load_components(
    model: str | Path,
    quantizer: str | Path | SpeechUnitModel | None = None,
    vocoder: str | Path | UnitVocoder | None = None,
    transcriber: str | Path | Transcriber | UnitTranscriber | None = None,
    revision: str | None = None,
    device: str = "cpu",
) -> Components:
    """
    Load a language model and what its modality needs.

    Args:
        model (`str` or `Path`): An id on the Hub, or a folder, such as one of a run.
        quantizer (`str`, `Path` or [`SpeechUnitModel`], *optional*): Audio to units; what the model names, or what
            lies in its run, when not given.
        vocoder (`str`, `Path` or [`UnitVocoder`], *optional*): Units to audio; what the model names, what lies in its
            run, or one that is read off the quantizer, when not given.
        transcriber (`str`, `Path`, [`Transcriber`] or [`UnitTranscriber`], *optional*): Audio, units or phones to
            text; what the model names, or what lies in its run, when not given.
        revision (`str`, *optional*): Commit, branch or tag of the model on the Hub.
        device (`str`, *optional*, defaults to `"cpu"`): Where all of them run.

    Returns:
        [`Components`]

    Raises:
        `FileNotFoundError`: If there is no such model, or one that it needs is missing.
        `ValueError`: If a folder is none of a model, two are of different quantizers, or a file is not the one that
            was released.
    """
    commit = find_commit(str(model), revision, "model")
    loaded, tokenizer = _load_language_model(model, commit)
    return complete_components(loaded.to(device), tokenizer, model, quantizer, vocoder, transcriber, device)


def complete_components(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    source: str | Path,
    quantizer: str | Path | SpeechUnitModel | None = None,
    vocoder: str | Path | UnitVocoder | None = None,
    transcriber: str | Path | Transcriber | UnitTranscriber | None = None,
    device: str = "cpu",
) -> Components:
    """
    Load what the modality of a language model needs.

    Args:
        model (`PreTrainedModel`): The language model.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        source (`str` or `Path`): Where it is from: an id on the Hub, or a folder, such as one of a run.
        quantizer, vocoder, transcriber, device (*optional*): As in [`load_components`].

    Returns:
        [`Components`]

    Raises:
        `FileNotFoundError`, `ValueError`: As [`load_components`].
    """
    config, run = model.config, _find_run(Path(source)) if Path(source).is_dir() else None
    check_released_files(source, getattr(config, "_commit_hash", None))
    modality = _modality_of(config)
    found = Components(model.eval(), tokenizer, modality)
    if found.reads_units:
        quantizer = quantizer or getattr(config, "unit_quantizer", None) or _in_run(run, _quantizer_places(modality))
        if quantizer is None:
            raise FileNotFoundError(
                f"The model {source} reads speech units and its quantizer is missing; give its id or folder as "
                "quantizer."
            )
        vocoder = vocoder or getattr(config, "unit_vocoder", None) or _in_run(run, _vocoder_places(modality))
        transcriber = transcriber or getattr(config, "unit_transcriber", None)
    transcriber = transcriber or _in_run(run, _transcriber_places(modality))
    if quantizer is not None:
        found.quantizer = _load_quantizer(quantizer).to(device)
        found.vocoder = _load_vocoder(vocoder, found.quantizer, device) if found.reads_units else None
    found.transcriber = _load_transcriber(transcriber, device)
    _check_quantizers(found)
    found.repeats = _repeats(config, modality, run)
    found.collapse = _collapses(config, Path(source))
    return found


def find_silent_units(quantizer: SpeechUnitModel) -> list[int]:
    """
    The units that a quantizer gives for silence: for none at all, and for noise that is 50 to 80 dB below full scale.

    Args:
        quantizer ([`SpeechUnitModel`]): Of frames.

    Returns:
        `list[int]`: Ascending; none where units are of segments, or of a quantizer that has to know who speaks.
    """
    config = quantizer.config
    if config.segment_parts or config.normalization != "none":
        return []
    rng = np.random.default_rng(0)
    noises = [10 ** (level / 20) * rng.standard_normal(config.sampling_rate) for level in (-80, -70, -60, -50)]
    silences = [np.zeros(config.sampling_rate), *noises]
    return sorted(set(np.concatenate(quantizer.units([part.astype(np.float32) for part in silences])).tolist()))


def _read_config(model: str | Path, commit: str | None) -> PretrainedConfig:
    try:
        return AutoConfig.from_pretrained(model, revision=commit)
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{model} is no model that can be loaded: {reason}") from error


def _modality_of(config: PretrainedConfig) -> Modality:
    name = getattr(config, "modality", None)
    if name is None:
        return MODALITIES["text_bpe"]
    if name == JOINT.name:
        return JOINT
    if name not in MODALITIES:
        raise ValueError(f"The model's config.json says modality {name!r}, which is none of {', '.join(MODALITIES)}.")
    return MODALITIES[name]


def _load_language_model(model: str | Path, commit: str | None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if commit is None and not (Path(model) / "config.json").is_file():
        raise FileNotFoundError(f"There is no model in {model}: it has no config.json.")
    try:
        with as_released(model, commit):
            loaded = AutoModelForCausalLM.from_pretrained(
                model, revision=commit, dtype=torch.float32, use_safetensors=True
            )
            return loaded, AutoTokenizer.from_pretrained(model, revision=commit)
    except FileChanged:
        raise
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{model} is no language model with its tokenizer: {reason}") from error


def _load_quantizer(source: str | Path | SpeechUnitModel) -> SpeechUnitModel:
    if isinstance(source, SpeechUnitModel):
        return source.eval()
    if is_external(source):
        raise ValueError(
            f"The units of {source} are made by a function or a table, and prompts are continued in those of a "
            "speech-unit model alone; choose a model of text, of phones or of such units."
        )
    return _load(SpeechUnitModel, source, "quantizer")


def _load_vocoder(
    source: str | Path | UnitVocoder | None, quantizer: SpeechUnitModel, device: str
) -> UnitVocoder | None:
    if isinstance(source, UnitVocoder):
        return source.eval().to(device)
    if source is not None:
        kind = _read_config(source, find_commit(str(source), None, "model")).model_type
        if kind not in _VOCODERS:
            raise ValueError(f"{source} is no vocoder of speech units, but a model of the kind {kind!r}.")
        return _load(_VOCODERS[kind], source, "vocoder").to(device)
    if quantizer.config.segment_parts or quantizer.config.encoder not in _SPECTRAL_ENCODERS:
        return None
    return CodebookVocoder.from_quantizer(quantizer).to(device)


def _load_transcriber(source: Any, device: str) -> Transcriber | UnitTranscriber | None:
    if source is None or not isinstance(source, (str, Path)):
        return source
    config = _read_config(source, find_commit(str(source), None, "model"))
    if config.model_type == UnitTranscriber.config_class.model_type:
        return _load(UnitTranscriber, source, "transcriber").to(device)
    return Transcriber.from_pretrained(source, device=device)


def _load(cls: type[PreTrainedModel], source: str | Path, name: str) -> PreTrainedModel:
    commit = find_commit(str(source), None, "model")
    try:
        with as_released(source, commit):
            return cls.from_pretrained(source, revision=commit, use_safetensors=True).eval()
    except FileChanged:
        raise
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"The {name} {source} cannot be loaded: {reason}") from error


def _check_quantizers(found: Components) -> None:
    """Refuse parts that are of different quantizers, whether or not they were released."""
    if found.quantizer is None:
        return
    own = {HASH_KEY: quantizer_hash(found.quantizer), "_name_or_path": found.quantizer.config._name_or_path}
    others = [found.model.config] if found.reads_units else []
    others += [part.config for part in (found.vocoder, found.transcriber) if isinstance(part, PreTrainedModel)]
    for config in others:
        check_same_quantizer(config, own | {"_name_or_path": own["_name_or_path"] or "The quantizer"})
    num_units = found.quantizer.config.num_units
    if found.vocoder is not None and found.vocoder.config.num_units != num_units:
        raise ValueError(
            f"The vocoder knows {found.vocoder.config.num_units} units and the quantizer {num_units}; give the one "
            "that was made for it."
        )


def _find_run(folder: Path) -> Path | None:
    """The run that a folder lies in."""
    parents = folder.resolve().parents
    return next((parent for parent in list(parents)[:_PARENTS_SEARCHED] if (parent / "study.json").is_file()), None)


def _in_run(run: Path | None, places: list[str]) -> Path | None:
    folders = [] if run is None else [run / place for place in places]
    return next((folder for folder in folders if (folder / "config.json").is_file()), None)


def _quantizer_places(modality: Modality) -> list[str]:
    name = "speech_units" if modality.unit_of == "frame" else f"speech_{modality.unit_of}"
    suffix = {"one": "_one_voice", "many": "_many_voices"}.get(modality.voices, "")
    return [f"units/{name}{suffix}/model", f"units/{name}/model"]


def _vocoder_places(modality: Modality) -> list[str]:
    return ["vocoder"] if modality.unit_of == "frame" and modality.voices is None else []


def _transcriber_places(modality: Modality) -> list[str]:
    if modality.column == "text" and modality is not JOINT:
        return []
    names = ["speech_dedup", "speech_units"] if modality is JOINT or modality.unit_of == "frame" else []
    if not (modality.is_speech or modality is JOINT):
        names = ["phone_raw", "phone_repeat", "phone_bpe", "phone_stretch"]
    elif modality.voices is not None:
        names = []
    return [f"transcribers/{name}/model" for name in dict.fromkeys([modality.name, *names])]


def _collapses(config: PretrainedConfig, folder: Path) -> bool:
    """Whether a joint model reads each run of units once: as it says, or as its tokenizer was made in a run."""
    said, stage = getattr(config, "collapse_units", None), folder / "../../../tokenizer/stage.json"
    if said is None and stage.is_file():
        said = json.loads(stage.read_text(encoding="utf-8"))["keys"].get("configuration.speech.collapse")
    return said is not False


def _repeats(config: PretrainedConfig, modality: Modality, run: Path | None) -> int:
    if modality.column != "phones_stretch":
        return 1
    factor = getattr(config, "stretch_factor", None)
    summary = run / "corpus" / "utterances" / "summary.json" if run is not None else None
    if factor is None and summary is not None and summary.is_file():
        factor = json.loads(summary.read_text(encoding="utf-8")).get("stretch_factor")
    if factor is None:
        raise ValueError(
            "The model's config.json does not say how often each phone is written (stretch_factor); add it there."
        )
    return int(factor)
