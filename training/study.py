"""A study: which values and folders each of its stages gets.

[`Arguments`] (all groups) + [`Run`] (all folders) -> one method of [`Study`] a stage -> the stage's function in
`stages/`, which is told what makes its result and nothing else. Only here are all arguments at hand.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ..models.audio import SAMPLE_RATE, frame_samples_at
from ..models.files import read_json
from ..models.modalities import RECORDINGS_MODALITY, SYNTHETIC_MODALITY, UNIT_KINDS, Modality, get_modality
from .arguments.study import RECORDED, Arguments
from .external_units.callables import CallableUnits
from .external_units.tables import TableUnits
from .pretrain.hardware import resolve_precision
from .run.execution import Execution
from .run.folder import MODEL_FOLDER, SUMMARY_FILE, Run
from .run.stage import Stage
from .run.workers import count_cores, resolve_device
from .stages.models import ModelSettings, model_stage, train_model
from .stages.scores import ScoreSettings, build_scores
from .stages.tokenizers import TokenizerSettings, build_tokenizer, check_text_vocabulary, tokenizer_stage
from .stages.units.encoders import EncoderSettings
from .stages.units.quantizer import QuantizerSettings

# Recordings of up to 30 s may be read faster than the synthetic voices speak; models see 2,048 frames, which is 41 s.
_LONGEST_TRANSCRIPT = 40.0


class UnitsOf(NamedTuple):
    """Units that some modality reads: of which speech, and which of [`UNIT_KINDS`]."""

    voices: str
    unit_of: str


class Study:
    """
    The stages of a study with what each of them is given.

    Args:
        arguments ([`Arguments`]): Of the command.
    """

    def __init__(self, arguments: Arguments):
        self.arguments = arguments
        self.run = Run(arguments.output_dir, arguments.corpus.own_voices)
        self.execution = Execution(
            num_proc=arguments.run.num_proc or count_cores(),
            device=resolve_device(arguments.run.device),
            overwrite=arguments.run.overwrite,
        )

    @property
    def modalities(self) -> list[Modality]:
        """The modalities that are asked for."""
        return [get_modality(name) for name in self.arguments.modalities]

    @property
    def models(self) -> list[tuple[str, int]]:
        """Modality and training seed of each language model."""
        return [(name, seed) for name in self.arguments.modalities for seed in self.arguments.run.training_seeds]

    @property
    def renderings(self) -> list[str]:
        """The sets of voices that the modalities are read from, the run's own first."""
        own = self.run.voices
        return [own, *sorted({modality.voices or own for modality in self.modalities} - {own})]

    @property
    def pair_renderings(self) -> list[str]:
        """The sets of voices that the pairs are spoken in: nobody has recorded those of a corpus of recordings."""
        return [RECORDED] if self.arguments.corpus.is_recorded else self.renderings

    @property
    def units(self) -> list[UnitsOf]:
        """The units that some modality reads."""
        speech = [modality for modality in self.modalities if modality.is_speech]
        needed = {UnitsOf(modality.voices or self.run.voices, modality.unit_of) for modality in speech}
        order = [UnitsOf(voices, unit_of) for unit_of in UNIT_KINDS for voices in self.renderings]
        return [units for units in order if units in needed]

    @cached_property
    def frame_samples(self) -> float:
        """Samples from one frame of the encoder to the next, and so from one symbol of Phone-Repeat to the next."""
        if self.external_units is not None:
            return self.external_units.config.hop_length
        if rate := self.arguments.units.units_frame_rate:  # of a table that is still to be made
            return frame_samples_at(rate)
        return self.encoder.frame_samples

    @property
    def external_units(self) -> CallableUnits | TableUnits | None:
        """Units that are not fitted, where these are asked for."""
        return self.arguments.units.open_external()

    @property
    def encoder(self) -> EncoderSettings:
        """What makes the frames of speech units."""
        units = self.arguments.units
        return EncoderSettings(
            units.encoder, units.encoder_layer, units.encoder_revision, precision=units.encoder_precision
        )

    def describe(self) -> dict[str, Any]:
        """What the run's `study.json` says of it."""
        external = self.external_units
        return {
            "configuration": self.arguments.to_dict(),
            "voices": self.run.voices,
            "modalities": self.arguments.modalities,
            "seeds": self.arguments.run.training_seeds,
            "encoder": external.config.describe() if external else self.encoder.describe(),
            "encoder_label": external.config.label if external else self.encoder.label,
            "frame_rate": SAMPLE_RATE / self.frame_samples,
        }

    def summarize(self) -> dict[str, Any]:
        """What the corpus amounts to."""
        from ..datasets_scripts.synthesis.by_name import label_synthesizer
        from .stages.speech import summarize_utterances

        corpus = self.arguments.corpus
        own = {"corpus": corpus.corpus, "voices": self.run.voices, "rate": None, "synthesizer": None}
        if not corpus.is_recorded:
            own |= {"rate": corpus.rate, "synthesizer": label_synthesizer(corpus.synthesizer)}
        return own | summarize_utterances(self.run.utterances())

    def build_recordings(self) -> None:
        """Recordings, aligned with their transcripts."""
        from .stages.recordings import RecordingSettings, RecordingSource, build_recordings

        corpus = self.arguments.corpus
        if corpus.corpus == "hub":
            source = RecordingSource(
                dataset=corpus.dataset,
                text_column=corpus.dataset_column,
                audio_column=corpus.audio_column,
                speaker_column=corpus.speaker_column,
                document_column=corpus.document_column,
                topic_column=corpus.topic_column,
                config=corpus.dataset_config,
                split=corpus.dataset_split,
                revision=corpus.dataset_revision,
            )
        else:
            manifest = corpus.manifest if corpus.corpus == "libriheavy" else None
            source = RecordingSource(audio_dir=corpus.audio_dir, manifest=manifest)
        settings = RecordingSettings(corpus.aligner, corpus.corpus_seed, corpus.max_words, corpus.max_skipped_fraction)
        build_recordings(self.run.utterances(), source, settings, self.execution)

    def build_text(self) -> None:
        """Passages, or the transcripts of recordings."""
        from .stages.text import TextSettings, TextSource, build_passages, build_transcripts

        corpus = self.arguments.corpus
        if corpus.is_recorded:
            build_transcripts(self.run.passages, self.run.utterances(), self.execution)
            return
        source = {
            "stories": TextSource(stories=corpus.stories, lexicon=corpus.lexicon),
            "text": TextSource(text_dir=corpus.text_dir),
            "hub": TextSource(
                dataset=corpus.dataset,
                column=corpus.dataset_column,
                config=corpus.dataset_config,
                split=corpus.dataset_split,
                revision=corpus.dataset_revision,
            ),
        }[corpus.corpus]
        settings = TextSettings(
            max_words=corpus.max_words,
            corpus_seed=corpus.corpus_seed,
            max_skipped_fraction=corpus.max_skipped_fraction,
        )
        build_passages(self.run.passages, source, settings, self.execution)

    def check_vocabulary(self) -> None:
        """Whether the text gives as many pieces as are asked for: synthesis takes minutes, and comes before."""
        if "text_bpe" in self.arguments.modalities and not self.run.tokenizer("text_bpe").exists():
            check_text_vocabulary(self.run.passages, self.arguments.model.bpe_vocab_size)

    def build_speech(self, voices: str) -> None:
        """Passages, spoken in one set of voices."""
        from ..datasets_scripts.shards.utterance_rows import MAX_SECONDS
        from .stages.speech import SpeechSettings, build_utterances

        corpus = self.arguments.corpus
        settings = SpeechSettings(
            voices=voices,
            rate=corpus.rate,
            corpus_seed=corpus.corpus_seed,
            max_skipped_fraction=corpus.max_skipped_fraction,
            max_seconds=_LONGEST_TRANSCRIPT if corpus.is_recorded else MAX_SECONDS,
            synthesizer=corpus.synthesizer,
        )
        build_utterances(self.run.utterances(voices), self.run.passages, settings, self.execution)

    def build_pair_texts(self) -> None:
        """The minimal pairs as text."""
        from .stages.pair_texts import PairTextSettings, build_pair_texts, find_blimp

        corpus, pairs = self.arguments.corpus, self.arguments.pairs
        stories = corpus.corpus == "stories"
        settings = PairTextSettings(
            pairs_per_task=pairs.pairs_per_task,
            corpus_seed=corpus.corpus_seed,
            bpe_vocab_size=self.arguments.model.bpe_vocab_size,
            stories=corpus.stories if stories else None,
            lexicon=corpus.lexicon,
            blimp=None if stories else find_blimp(pairs.blimp, (corpus.text_dir, corpus.audio_dir)),
            blimp_min_count=pairs.blimp_min_count,
            may_lack_tasks=corpus.is_recorded,
        )
        build_pair_texts(self.run.pairs_text, self.run.passages, self.run.utterances(), settings, self.execution)

    def build_spoken_pairs(self, voices: str) -> None:
        """The minimal pairs in every form, in one set of voices."""
        from .stages.spoken_pairs import SpokenPairSettings, build_spoken_pairs

        corpus = self.arguments.corpus
        spoken = "many" if voices == RECORDED else voices
        settings = SpokenPairSettings(
            voices=spoken,
            rate=corpus.rate,
            corpus_seed=corpus.corpus_seed,
            # In one voice there is one rendering of each pair.
            voices_per_pair=self.arguments.pairs.voices_per_pair if spoken == "many" else 1,
            max_skipped_fraction=corpus.max_skipped_fraction,
            frame_samples=self.frame_samples,
            synthesizer=corpus.synthesizer,
        )
        folder, texts = self.run.pairs(voices), self.run.pairs_text
        build_spoken_pairs(folder, texts, self.run.utterances(), settings, self.execution)

    def build_units(self, voices: str, unit_of: str) -> None:
        """A quantizer of one kind of speech, and the units of its utterances and of the pairs."""
        from .stages.units.encoding import build_pair_units, build_utterance_units
        from .stages.units.external import build_external_units
        from .stages.units.quantizer import build_quantizer

        run, execution = self.run, self.execution
        folder, utterances, pairs = run.units(voices, unit_of), run.utterances(voices), run.pairs(voices)
        quantizer, precision = folder / MODEL_FOLDER, self.arguments.units.encoder_precision
        if self.external_units is not None:
            build_external_units(quantizer, utterances, pairs, self.external_units, execution)
        else:
            build_quantizer(quantizer, utterances, self._quantizer_settings(unit_of), execution)
        build_utterance_units(folder / "utterances", quantizer, utterances, precision, execution)
        build_pair_units(folder / "pairs", quantizer, pairs, precision, execution)

    def compare_unit_seeds(self) -> None:
        """Quantizers of further seeds, compared with each other."""
        from .stages.units.seeds import compare_seeds

        first = self.arguments.corpus.corpus_seed
        seeds = range(first, first + self.arguments.units.compare_seeds + 1)
        utterances = self.run.utterances()
        compare_seeds(self.run.unit_seeds, utterances, self._quantizer_settings("frame"), seeds, self.execution)

    def tokenizer_job(self, modality: str) -> tuple[Callable, dict[str, Any]]:
        """What builds a tokenizer, and its arguments."""
        return build_tokenizer, self._tokenizer(modality) | {"execution": self.execution}

    def tokenizer_stage(self, modality: str) -> Stage:
        """What makes a tokenizer."""
        return tokenizer_stage(**self._tokenizer(modality))

    def train_tokens(self, modality: str) -> int:
        """Tokens of a modality's training utterances."""
        return read_json(self.run.tokenizer(modality) / SUMMARY_FILE)["train_tokens"]

    def training_job(self, modality: str, seed: int) -> tuple[Callable, dict[str, Any]]:
        """What trains a language model, and its arguments."""
        return train_model, self._model(modality, seed) | self._training

    def model_stage(self, modality: str, seed: int) -> Stage:
        """What makes a language model."""
        return model_stage(**self._model(modality, seed))

    def scoring_job(self, modality: str, seed: int) -> tuple[Callable, dict[str, Any]]:
        """What trains and scores a language model in one process, and its arguments."""
        entry = get_modality(modality)
        scores = {
            "folder": self.run.scores(modality, seed),
            "model": self.run.model(modality, seed),
            "settings": ScoreSettings(modality, self.arguments.pairs.point_pairs, self.arguments.corpus.corpus_seed),
            "execution": self.execution,
        }
        training = self._model(modality, seed) | self._training
        return train_and_score, {"training": training, "scores": scores | self._pairs(entry)}

    def baseline_job(self, modality: str) -> tuple[Callable, dict[str, Any]]:
        """What scores the pairs by n-grams, and its arguments."""
        from .stages.baselines import build_baselines

        return build_baselines, {
            "folder": self.run.baselines(modality),
            "tokenizer": self.run.tokenizer(modality),
            "texts": self.run.pairs_text,
            "modality": modality,
            "execution": self.execution,
        } | self._pairs(get_modality(modality))

    def build_voice_transfer(self) -> None:
        """Training on recordings and on synthetic voices, each tested on both."""
        from .stages.voice_transfer import (
            TransferSide,
            build_recorded_pairs,
            build_transfer_scores,
            build_transfer_speech,
        )

        run, execution = self.run, self.execution
        speech, pairs = run.voice_transfer / "speech", run.recorded_pairs
        build_recorded_pairs(pairs, run.pairs_text, run.passages, run.utterances(), self.frame_samples, execution)
        sides = {
            name: TransferSide(voices, run.utterances(voices), run.quantizer(name), run.tokenizer(name))
            for name, voices in ((RECORDINGS_MODALITY, RECORDED), (SYNTHETIC_MODALITY, "many"))
        }
        build_transfer_speech(speech, pairs, run.pairs_text, sides, self.arguments.units.encoder_precision, execution)
        for name in sides:
            for seed in self.arguments.run.training_seeds:
                folder = run.voice_transfer / "scores" / name / f"seed-{seed}"
                build_transfer_scores(folder, run.model(name, seed), pairs, speech, name, execution)

    @property
    def _training(self) -> dict[str, Any]:
        return {"hardware": self.arguments.hardware, "execution": self.execution}

    @property
    def _encoder_name(self) -> str:
        """What a language model's configuration says of its units: never a path."""
        return self.external_units.config.label if self.external_units else self.arguments.units.encoder

    def _quantizer_settings(self, unit_of: str) -> QuantizerSettings:
        units = self.arguments.units
        return QuantizerSettings(
            encoder=self.encoder,
            num_units=units.codebook_size(unit_of),
            segment_parts=units.segment_parts(unit_of),
            normalization=units.unit_normalization,
            fit_frames=units.fit_frames,
            algorithm=units.kmeans,
            corpus_seed=self.arguments.corpus.corpus_seed,
            segmentation=units.segmentation(unit_of),
            duration_penalty=units.penalty(unit_of),
        )

    def _tokenizer(self, modality: str) -> dict[str, Any]:
        entry, model = get_modality(modality), self.arguments.model
        sizes = {"text_bpe": model.bpe_vocab_size, "phone_bpe": model.bpe_vocab_size}
        sizes["units_bpe"] = model.unit_bpe_vocab_size
        return {
            "folder": self.run.tokenizer(modality),
            "utterances": self.run.utterances(self.run.voices_of(modality)),
            "units": self.run.utterance_units(modality) if entry.is_speech else None,
            "settings": TokenizerSettings(
                modality,
                vocab_size=sizes.get(entry.tokenizer),
                num_units=self.arguments.units.vocabulary(entry.unit_of) if entry.is_speech else None,
                frame_samples=self.frame_samples if entry.column in ("phones_stretch", "phones_repeat") else None,
            ),
        }

    def _model(self, modality: str, seed: int) -> dict[str, Any]:
        entry = get_modality(modality)
        encoder = self._encoder_name if entry.is_speech else None
        settings = ModelSettings(
            modality,
            seed,
            self.arguments.shape,
            self.arguments.pretrain,
            precision=resolve_precision(self.arguments.hardware.precision, self.execution.device),
            unit_encoder=encoder,
            frame_rate=SAMPLE_RATE / self.frame_samples if entry.frame_rate else None,
        )
        return {
            "folder": self.run.model(modality, seed),
            "tokenizer": self.run.tokenizer(modality),
            "settings": settings,
        }

    def _pairs(self, modality: Modality) -> dict[str, Path | None]:
        return {
            "pairs": self.run.pairs(self.run.voices_of(modality.name)),
            "units": self.run.pair_units(modality.name) if modality.is_speech else None,
        }


def train_and_score(
    training: dict[str, Any], scores: dict[str, Any], report_progress: Callable[[float], None]
) -> None:
    """
    One language model and its scores, in the process that has just trained it.

    Args:
        training (`dict[str, Any]`): Arguments of [`train_model`].
        scores (`dict[str, Any]`): Arguments of [`build_scores`].
        report_progress (`Callable[[float], None]`): Called with the share of the work that is done.
    """
    train_model(**training, report_progress=lambda share: report_progress(0.95 * share))
    build_scores(**scores, report_progress=lambda share: report_progress(0.95 + 0.05 * share))
