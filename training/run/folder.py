"""A run's folder: where each stage of a study lies.

Nothing here reads or writes; the names are the agreement between the commands, the report and the reader.
"""

from dataclasses import dataclass
from pathlib import Path

from ...models.modalities import get_modality

BASELINES_FILE = "baselines.parquet"
BEST = "best"
HELD_OUT_FILE = "held_out.parquet"
ITEMS_FILE = "items.parquet"
MODEL_FOLDER = "model"
OVERLAP_FILE = "overlap.parquet"
PAIRS_FILE = "pairs.parquet"
PASSAGES_FILE = "passages.parquet"
POINTS_FOLDER = "points"
QUALITY_FILE = "quality.json"
SEEDS_FILE = "seeds.json"
SKIPPED_FILE = "skipped.jsonl"
STUDY_FILE = "study.json"
SUMMARY_FILE = "summary.json"
TRAINING_FILE = "training.json"
UNITS_FILE = "units.json"


@dataclass(frozen=True)
class Run:
    """
    Paths of one run.

    Args:
        folder (`Path`): The run's folder.
        voices (`str`): The voices of the run's own speech, `"one"`, `"many"` or `"recorded"`.
    """

    folder: Path
    voices: str = "many"

    @property
    def study_file(self) -> Path:
        """Configuration, versions, seeds and timings."""
        return self.folder / STUDY_FILE

    @property
    def passages(self) -> Path:
        """The text, as `passages.parquet` (the corpus) and `held_out.parquet` (for Topic-SC)."""
        return self.folder / "corpus" / "passages"

    @property
    def corpus_summary(self) -> Path:
        """Words, utterances and seconds of the corpus."""
        return self.folder / "corpus" / "summary.json"

    @property
    def pairs_text(self) -> Path:
        """The minimal pairs as text, one parquet file a task."""
        return self.folder / "pairs" / "text"

    @property
    def pairs_summary(self) -> Path:
        """Numbers of pairs, groups and what was dropped, by task."""
        return self.folder / "pairs" / "summary.json"

    def voices_of(self, modality: str) -> str:
        """The voices that a modality is read from."""
        return get_modality(modality).voices or self.voices

    def utterances(self, voices: str | None = None) -> Path:
        """Utterances, spoken in the run's voices or in others."""
        return self.folder / "corpus" / self._rendering("utterances", voices)

    def pairs(self, voices: str | None = None) -> Path:
        """The minimal pairs in every form, spoken in the run's voices or in others."""
        if self.voices == "recorded":  # nobody has recorded the pairs: there is one rendering, by synthetic voices
            voices = None
        return self.folder / "pairs" / self._rendering("rendered", voices)

    @property
    def recorded_pairs(self) -> Path:
        """Topic-SC as it was recorded, in a run on recordings."""
        return self.folder / "pairs" / "recorded"

    @property
    def voice_transfer(self) -> Path:
        """Training on recordings and on synthetic voices, each tested on both."""
        return self.folder / "voice_transfer"

    def units(self, voices: str | None = None, unit_of: str = "frame") -> Path:
        """What is of one of the kinds of units: `model`, the quantizer, and units of `utterances` and `pairs`."""
        name = "speech_units" if unit_of == "frame" else f"speech_{unit_of}"
        return self.folder / "units" / self._rendering(name, voices)

    def units_of(self, modality: str) -> Path:
        """What is of the units that a modality of speech is made of."""
        return self.units(self.voices_of(modality), get_modality(modality).unit_of)

    def quantizer(self, modality: str) -> Path:
        """The quantizer of a modality of speech."""
        return self.units_of(modality) / MODEL_FOLDER

    def utterance_units(self, modality: str) -> Path:
        """The units of utterances that a modality of speech is made of."""
        return self.units_of(modality) / "utterances"

    def pair_units(self, modality: str) -> Path:
        """The units of minimal pairs, as a modality of speech reads them."""
        return self.units_of(modality) / "pairs"

    def unit_pairs(self, modality: str) -> Path:
        """The minimal pairs in the contents of a modality of speech, for the metrics and `evoslm score`."""
        return self.folder / "unit_pairs" / modality

    @property
    def unit_seeds(self) -> Path:
        """How far quantizers of other seeds agree with the run's own."""
        return self.folder / "units" / "seeds"

    def tokenizer(self, modality: str) -> Path:
        """A modality's tokenizer and the ids of its utterances."""
        return self.folder / "tokenizers" / modality

    def model(self, modality: str, seed: int) -> Path:
        """A modality's language model."""
        return self.folder / "models" / modality / f"seed-{seed}"

    def scores(self, modality: str, seed: int) -> Path:
        """Log-likelihoods of the pairs by a model: `<point>/items.parquet`."""
        return self.folder / "scores" / modality / f"seed-{seed}"

    def baselines(self, modality: str) -> Path:
        """Log-likelihoods of the pairs by n-gram models over the modality's ids."""
        return self.folder / "scores" / modality / "baselines"

    @property
    def report(self) -> Path:
        """`report.md`, `report.html` and the figures."""
        return self.folder / "report"

    def _rendering(self, name: str, voices: str | None) -> str:
        return name if voices in (None, self.voices) else f"{name}_{voices}_voice{'s' if voices == 'many' else ''}"
