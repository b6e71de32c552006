"""The corpus, the items and the anchors that every tokenizer is measured by: made once, and kept in `EVOSLM_CACHE`.

preset -> [`open_corpus`] -> [`DiagnosisCorpus`]: a run in the cache, named after everything that makes it, with
utterances, minimal pairs and the models of the anchors.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from ...models.audio import frame_samples_at
from ...models.cache import default_cache_dir
from ...models.files import read_json
from ..arguments.parsing import parse_arguments
from ..arguments.study import Arguments
from ..pretrain.hardware import resolve_precision
from ..run.execution import Execution
from ..run.folder import Run
from ..run.stage import fingerprint
from ..stages.models import ModelSettings
from ..stages.spoken_pairs import SpokenPairSettings, build_spoken_pairs
from ..stages.text import describe_lexicon
from ..stages.tokenizers import TokenizerSettings
from ..study import Study
from .canonical_units import UnitFolders

FOLDER = "diagnosis"
ANCHOR_RATES = (12.5, 25.0, 50.0, 100.0)
"""Rates of Phone-Repeat, in symbols a second, between which it is interpolated."""
PLAIN_ANCHORS = {"text_bpe": "Text-BPE", "phone_raw": "Phone-Raw"}
"""Labels of the anchors that have no rate, by name."""
UNITS = "speech_units"
"""The modality that units of any kind are read as."""
LENS = "logit"
"""How the states of inner layers are read: through the output layer as it is."""


@dataclass(frozen=True)
class Measured:
    """
    Something that has language models and scores: a tokenizer or an anchor.

    Args:
        name (`str`): What it is called: of an anchor `text_bpe`, `phone_raw` or `phone_repeat_50`.
        run ([`Run`]): Where its tokenizer, models and scores lie.
        modality (`str`): What its models read.
        frame_rate (`float`, *optional*): Ids a second, where there is one a frame.
    """

    name: str
    run: Run
    modality: str = UNITS
    frame_rate: float | None = None

    @property
    def raw(self) -> UnitFolders:
        """Its units as they were given."""
        return UnitFolders(self.run.utterance_units(UNITS), self.run.pair_units(UNITS))

    @property
    def canonical(self) -> UnitFolders:
        """Its units under names that do not depend on their numbers."""
        folder = self.run.folder / "canonical_units"
        return UnitFolders(folder / "utterances", folder / "pairs")

    @property
    def layers(self) -> Path:
        """Scores of the pairs by every layer of its models."""
        return self.run.folder / "layers"

    @property
    def is_of_units(self) -> bool:
        """Whether its models read units."""
        return self.modality == UNITS


class DiagnosisCorpus:
    """
    Text, utterances, minimal pairs and anchors in the cache.

    Args:
        arguments ([`Arguments`]): Of a study, with the folder in the cache.
        execution ([`Execution`]): How it is done.
    """

    def __init__(self, arguments: Arguments, execution: Execution):
        self.arguments, self.execution = arguments, execution
        self.run = Study(arguments).run

    @cached_property
    def anchors(self) -> list[Measured]:
        """Text-BPE, Phone-Raw, and Phone-Repeat at [`ANCHOR_RATES`]."""
        plain = [Measured(name, self.run, name) for name in PLAIN_ANCHORS]
        return plain + [self.phone_repeat(rate) for rate in ANCHOR_RATES]

    def phone_repeat(self, rate: float) -> Measured:
        """Phone-Repeat at one of the rates."""
        name = phone_repeat_name(rate)
        return Measured(name, Run(self.run.folder / name, self.run.voices), frame_rate=rate)

    def anchor_pairs(self, anchor: Measured) -> Path:
        """The pairs that an anchor reads: of Phone-Repeat those with as many frames a second."""
        return anchor.run.pairs() if anchor.is_of_units else self.run.pairs()

    def build_anchor_pairs(self, anchor: Measured, execution: Execution) -> None:
        """The minimal pairs with Phone-Repeat at an anchor's rate, in the voices in which tokenizers hear them."""
        corpus, pairs = self.arguments.corpus, self.arguments.pairs
        settings = SpokenPairSettings(
            voices="many" if corpus.is_recorded else self.run.voices,
            rate=corpus.rate,
            corpus_seed=corpus.corpus_seed,
            voices_per_pair=pairs.voices_per_pair if self.run.voices != "one" else 1,
            max_skipped_fraction=corpus.max_skipped_fraction,
            frame_samples=frame_samples_at(anchor.frame_rate),
            synthesizer=corpus.synthesizer,
        )
        build_spoken_pairs(anchor.run.pairs(), self.run.pairs_text, self.run.utterances(), settings, execution)

    def tokenizer_settings(self, measured: Measured, num_units: int | None) -> TokenizerSettings:
        """How contents become ids."""
        size = self.arguments.model.bpe_vocab_size if measured.modality == "text_bpe" else None
        return TokenizerSettings(measured.modality, vocab_size=size, num_units=num_units)

    def model_settings(self, measured: Measured, seed: int) -> ModelSettings:
        """What makes a language model: of units nothing of their maker, so that equal ones make equal models."""
        return ModelSettings(
            measured.modality,
            seed,
            self.arguments.shape,
            self.arguments.pretrain,
            precision=self.precision,
            frame_rate=measured.frame_rate,
        )

    @property
    def precision(self) -> str:
        """Of the computation."""
        return resolve_precision(self.arguments.hardware.precision, self.execution.device)

    @property
    def seconds(self) -> float:
        """Of the speech of all utterances."""
        return sum(read_json(self.run.corpus_summary)["seconds"].values())


def phone_repeat_name(rate: float) -> str:
    """The name of the anchor with so many phones a second."""
    return f"phone_repeat_{rate:g}"


def anchor_label(name: str) -> str:
    """An anchor's name as tables and figures show it."""
    return PLAIN_ANCHORS.get(name) or f"Phone-Repeat, {name.removeprefix('phone_repeat_')} Hz"


def anchor_words() -> set[str]:
    """Every name and label of an anchor, in small letters: what no tokenizer can be called beside them."""
    names = [*PLAIN_ANCHORS, *map(phone_repeat_name, ANCHOR_RATES)]
    return {word.lower() for name in names for word in (name, anchor_label(name))}


def nearest_rate(rate: float) -> float:
    """That of [`ANCHOR_RATES`] which is nearest to a tokenizer's."""
    return min(ANCHOR_RATES, key=lambda anchor: abs(anchor - rate))


def open_corpus(preset: str, execution: Execution, cache: Path | None = None) -> DiagnosisCorpus:
    """
    Find the place of a preset's corpus in the cache; nothing is made.

    Args:
        preset (`str`): The name of a preset or a YAML file: corpus, items, model and schedule.
        execution ([`Execution`]): How it is done.
        cache (`Path`, *optional*): Instead of `EVOSLM_CACHE`.

    Returns:
        [`DiagnosisCorpus`]

    Raises:
        `ValueError`: If there is no such preset, or it cannot work.
    """
    flags = ["--preset", preset, "--num_proc", str(execution.num_proc), "--device", execution.device]
    made_of = parse_arguments([*flags, "--modalities", "text_bpe", "phone_raw"], "study")
    keys = {name: asdict(getattr(made_of, name)) for name in ("corpus", "pairs", "model", "pretrain")}
    keys["corpus"]["lexicon"] = describe_lexicon(made_of.corpus.lexicon)
    keys["precision"] = resolve_precision(made_of.hardware.precision, execution.device)
    folder = Path(cache or default_cache_dir()) / FOLDER / f"{Path(preset).stem}-{fingerprint(keys)}"
    flags += ["--modalities", "text_bpe", "phone_raw", "--output_dir", str(folder)]
    # It is in the cache under everything that makes it: what is there of another version is made again.
    return DiagnosisCorpus(parse_arguments([*flags, "--overwrite", "true"], "study"), execution)
