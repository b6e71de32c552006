"""
One text, many voices: what units say of the same sentences whoever speaks them, encoder by encoder.

Sentences -> the Klatt voices, with `--piper VOICE` a neural one, with `--ljspeech FOLDER` the reader whose sentences
they are, timed by the aligner; without it they are of generated stories. Other stories in the Klatt voices and the
neural one -> k-means for each encoder, with `--whisper MODEL` Whisper's, too (by `--layers`); raw and normalised by
speaker -> PNMI, ABX errors of words and speaker accuracy by kind of voice, unit edit distances between speakers of a
sentence, and those between the reader's recordings (or else the first Klatt voice's) and the same perturbed.
"""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import permutations
from pathlib import Path

import numpy as np

from evoslm.datasets_scripts.recordings.aligners.alignment import AlignmentError, finish_alignment, spoken_text
from evoslm.datasets_scripts.recordings.aligners.pocketsphinx import PocketSphinxAligner
from evoslm.datasets_scripts.recordings.reading import read_speech
from evoslm.datasets_scripts.recordings.sources import read_audio_folder
from evoslm.datasets_scripts.synthesis.by_name import ESPEAK, load_synthesizer
from evoslm.datasets_scripts.synthesis.synthesizer import Rendering
from evoslm.datasets_scripts.synthesis.voices import VOICES
from evoslm.models.audio import SAMPLE_RATE
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel, fit_unit_normalizations
from evoslm.models.speech_units.pretrained_encoder import describe_encoder
from evoslm.models.statistics import resampled_means
from evoslm.models.unit_quality import unit_quality
from evoslm.models.unit_quality.stability import WordDraws, WordTokens, speaker_information, word_stability
from evoslm.training.report.formatting import NBSP, markdown_table, number, with_interval
from evoslm.training.unit_report.encoding import (
    EncodedRecordings,
    add_strangers,
    encode_batch,
    encode_recordings,
    threads_for,
)
from evoslm.training.unit_report.perturbation import PERTURBATIONS, measure_perturbations, unit_edit_distance
from evoslm.training.unit_report.sources import MeasuredRecording

from .common import NEURAL, open_whisper, piper_synthesizer, simple_sentences, stories_to_fit_on
from .flags import LAYERS, LJSPEECH, PIPER, WHISPER, full_or_quick

UNITS, SENTENCES, STORIES = full_or_quick((500, 32, 160), (20, 4, 12))
"""Clusters, sentences that are measured, and stories that are fitted on, in the Klatt voices and in the neural one."""
KLATT_VOICES = VOICES["many"][: full_or_quick(None, 3)]
DRAWS_PER_WORD = 50
FIT_SEED, SEED = 105, 104
NORMALIZATIONS = {"none": "raw", "speaker": "by speaker"}
KLATT, READER = "Klatt", "reader"
PAIRS = ((KLATT, KLATT), (KLATT, NEURAL), (KLATT, READER), (NEURAL, READER))
"""Kinds of voices, from the units of one of which to those of the other."""


@dataclass(frozen=True)
class Heard:
    """What all speakers said, with the units of one quantizer."""

    num_units: int
    recordings: EncodedRecordings
    units: list[np.ndarray]

    def of(self, *kinds: str) -> list[int]:
        """Which recordings are by voices of these kinds."""
        return [index for index, speaker in enumerate(self.recordings.speakers) if kind_of(speaker) in kinds]

    def quality(self, kinds: Sequence[str], without: str | None = None) -> dict[str, float]:
        """What [`unit_quality`] says of all recordings by these kinds of voices but those of one sentence."""
        kept = [index for index in self.of(*kinds) if self.recordings.documents[index] != without]
        return unit_quality(
            [self.units[index] for index in kept],
            [self.recordings.phones[index] for index in kept],
            self.recordings.frame_rate,
            self.num_units,
        )


def run() -> str:
    spoken = list(_spoken())
    kinds = [kind for kind in (KLATT, NEURAL, READER) if any(kind_of(row.speaker) == kind for row in spoken)]
    perturbed_by = READER if READER in kinds else KLATT_VOICES[0].name
    said, moved, perturbed = [], [], {}
    for label, encoder in _encoders().items():
        models = _fit(spoken, encoder)
        for normalization, heard in _hear(spoken, models).items():
            name = [label, NORMALIZATIONS[normalization]]
            said.append([*name, *_what_is_said(heard, kinds)])
            moved.append([*name, *_what_moves(heard, kinds)])
        for row in _perturb([row for row in spoken if row.speaker == perturbed_by], models):
            column = f"{label}, {NORMALIZATIONS[row['normalization']]}"
            perturbed.setdefault(row["label"], {})[column] = with_interval(row)
    seconds = sum(len(row.audio) for row in spoken) / SAMPLE_RATE
    return "\n".join(
        [
            "## One text, many voices",
            "",
            f"{SENTENCES} sentences {'of LJSpeech' if READER in kinds else 'of generated stories'} by "
            f"{len({row.speaker for row in spoken})} speakers, {seconds / 60:.0f} minutes; {UNITS} units by k-means "
            f"on {STORIES} other stories in Klatt voices{' and as many in the neural one' * (NEURAL in kinds)}. ABX "
            "errors, speaker accuracy and unit edit distance (UED) in per cent. 95 % intervals are over sentences, of "
            "ABX errors over words. Of PNMI, what is in brackets is chance.",
            "",
            markdown_table(["units", "normalised", *_heads_said(kinds)], said, left=2),
            "",
            markdown_table(["units", "normalised", *_heads_moved(kinds)], moved, left=2),
            "",
            f"UED of the sentences of one speaker ({perturbed_by}), perturbed:",
            "",
            markdown_table(
                ["perturbation", *next(iter(perturbed.values()))],
                [[label, *columns.values()] for label, columns in perturbed.items()],
            ),
        ]
    )


def kind_of(speaker: str) -> str:
    """What kind of voice a speaker has."""
    return speaker if speaker in (NEURAL, READER) else KLATT


def phone_information(heard: Heard, kind: str) -> str:
    """
    PNMI of units by one kind of voices, with the half width of a 95 % interval over sentences and its bias.

    The interval is a jackknife's, which leaves a sentence out: a bootstrap takes some twice, and units say more of
    what is repeated.
    """
    quality = heard.quality([kind])
    left_out = [heard.quality([kind], sentence)["pnmi"] for sentence in dict.fromkeys(heard.recordings.documents)]
    error = 1.96 * np.sqrt((len(left_out) - 1) * np.var(left_out))
    return f"{quality['pnmi']:.3f}{NBSP}±{NBSP}{error:.3f} ({quality['pnmi_bias']:.3f})"


def distances_between(
    heard: Heard, first: str, second: str, other_sentence: bool = False, seed: int = SEED
) -> dict[str, float]:
    """
    Unit edit distances from each voice of one kind to each other voice of another in the same sentence, both ways.

    Args:
        heard ([`Heard`]): What all speakers said.
        first (`str`): A kind of voices.
        second (`str`): Another, or the same.
        other_sentence (`bool`, *optional*, defaults to `False`): Whether it is another sentence, the next longer one:
            what is left where nothing is kept.
        seed (`int`, *optional*): Of the bootstrap.

    Returns:
        `dict[str, float]`: `value`, the mean over pairs; `low` and `high`, a 95 % bootstrap interval over sentences.
    """
    by_sentence: dict[str, dict[str, np.ndarray]] = {}
    for index in heard.of(first, second):
        sentence, speaker = heard.recordings.documents[index], heard.recordings.speakers[index]
        by_sentence.setdefault(sentence, {})[speaker] = heard.units[index]
    said = sorted(by_sentence, key=lambda sentence: sum(map(len, by_sentence[sentence].values())))
    distances, sentences = [], []
    for sentence, compared in zip(said, said[1:] + said[-2:-1] if other_sentence else said):
        units, others = by_sentence[sentence], by_sentence[compared]
        for one, other in permutations(units, 2):
            if {kind_of(one), kind_of(other)} == {first, second}:
                distances.append(unit_edit_distance(units[one], others[other]))
                sentences.append(sentence)
    low, high = np.quantile(resampled_means(np.array(distances)[:, None], seed, 2000, sentences), [0.025, 0.975])
    return {"value": float(np.mean(distances)), "low": float(low), "high": float(high)}


def word_errors(heard: Heard, kinds: Sequence[str], across: Sequence[str] | None = None) -> dict[str, float]:
    """
    ABX errors of words across speakers, as of [`word_stability`], from units as they are.

    Args:
        heard ([`Heard`]): What all speakers said.
        kinds (`Sequence[str]`): Kinds of voices that speak.
        across (`Sequence[str]`, *optional*): Kinds of which X is, or A and B are, and not both.

    Returns:
        `dict[str, float]`: `value`, `low` and `high`, over words.
    """
    chosen = set(heard.of(*kinds))
    tokens = [token for token in heard.recordings.tokens if token.recording in chosen]
    words, speakers = zip(*((token.word, heard.recordings.speakers[token.recording]) for token in tokens))
    units = [heard.units[token.recording][token.first : token.last + 1] for token in tokens]
    drawn = _draw(words, speakers, tuple(across or ()))
    return word_stability(WordTokens(list(words), list(speakers), units), drawn, SEED)["abx_across_speaker"]


@cache
def _draw(words: tuple[str, ...], speakers: tuple[str, ...], across: tuple[str, ...]) -> WordDraws:
    """The same triples for every quantizer; so many that enough are left of those between kinds of voices."""
    draws = WordDraws(words, speakers, DRAWS_PER_WORD * (len(set(speakers)) // 2 if across else 1), SEED)
    triples = draws.drawn["abx_across_speaker"]
    if across:
        triples = [t for t in triples if (kind_of(speakers[t[1]]) in across) != (kind_of(speakers[t[3]]) in across)]
    draws.drawn = {"abx_across_speaker": triples}
    return draws


def _heads_said(kinds: Sequence[str]) -> list[str]:
    heads = [f"PNMI, {kind}" for kind in kinds]
    heads.append("word ABX error across synthetic voices")
    if READER in kinds:
        heads.append("word ABX error, synthetic and reader")
    return [*heads, *(f"speaker, {name}" for name in ("Klatt", "all")[: len(kinds)])]


def _what_is_said(heard: Heard, kinds: Sequence[str]) -> list[str]:
    """Cells of the first table: what units say of phones, words and speakers."""
    cells = [phone_information(heard, kind) for kind in kinds]
    cells.append(with_interval(word_errors(heard, [kind for kind in kinds if kind != READER])))
    if READER in kinds:
        cells.append(with_interval(word_errors(heard, kinds, [READER])))
    for chosen in ([KLATT], kinds)[: len(kinds)]:
        rows = heard.of(*chosen)
        units = [heard.units[row] for row in rows]
        speakers = [heard.recordings.speakers[row] for row in rows]
        documents = [heard.recordings.documents[row] for row in rows]
        cells.append(with_interval(speaker_information(units, speakers, documents, SEED)))
    return cells


def _heads_moved(kinds: Sequence[str]) -> list[str]:
    heads = [f"UED, {first} – {second}" for first, second in PAIRS if {first, second} <= set(kinds)]
    heads.append(f"another sentence, {kinds[0]} – {kinds[-1]}")
    return [*heads, *(f"{what}, {kind}" for what in ("collapsed bits/s", "run, ms") for kind in _ends(kinds))]


def _what_moves(heard: Heard, kinds: Sequence[str]) -> list[str]:
    """Cells of the second table: unit edit distances between kinds of voices, and what the units cost."""
    pairs = [pair for pair in PAIRS if set(pair) <= set(kinds)]
    cells = [with_interval(distances_between(heard, *pair)) for pair in pairs]
    cells.append(with_interval(distances_between(heard, kinds[0], kinds[-1], other_sentence=True)))
    qualities = [heard.quality([kind]) for kind in _ends(kinds)]
    return [
        *cells,
        *(number(quality[name], 0) for name in ("bits_per_second_dedup", "mean_run_ms") for quality in qualities),
    ]


def _ends(kinds: Sequence[str]) -> list[str]:
    """The most and the least synthetic kind of voices."""
    return list(dict.fromkeys((kinds[0], kinds[-1])))


def _encoders() -> dict[str, Callable[[], SpeechUnitModel]]:
    """Encoders by their names: each a model of which only the encoder is read."""
    encoders = {
        "MFCC": lambda: SpeechUnitModel(SpeechUnitConfig()),
        "log-mel": lambda: SpeechUnitModel(SpeechUnitConfig(encoder="log_mel")),
    }
    if WHISPER in os.environ:
        for layer in map(int, os.environ[LAYERS].split()) if LAYERS in os.environ else [None]:
            described = describe_encoder(os.environ[WHISPER], layer)
            label = f"{described['source']}, layer {described['layer']}"
            encoders[label] = partial(open_whisper, os.environ[WHISPER], layer=layer)
    return encoders


def _fit(spoken: list[MeasuredRecording], encoder: Callable[[], SpeechUnitModel]) -> dict[str, SpeechUnitModel]:
    """Quantizers of one encoder by normalisation, fitted on stories; they know all who speak."""
    batches, model = (([row.audio], [row.speaker]) for row in _stories()), encoder()
    with threads_for(model):
        models = fit_unit_normalizations(batches, list(NORMALIZATIONS), UNITS, SEED, encoder_of=model)
        add_strangers(models, None, lambda _: [spoken], set())
    return models


def _hear(spoken: list[MeasuredRecording], models: dict[str, SpeechUnitModel]) -> dict[str, Heard]:
    """Units of what is spoken by quantizers that share an encoder."""
    with threads_for(models["none"]):
        encoded = encode_recordings(models, ([row] for row in spoken))
    return {name: Heard(UNITS, encoded, units) for name, units in encoded.units.items()}


def _perturb(spoken: list[MeasuredRecording], models: dict[str, SpeechUnitModel]) -> list[dict]:
    """Unit edit distances by perturbation and normalisation."""
    with threads_for(models["none"]):
        return measure_perturbations(spoken, partial(encode_batch, models), PERTURBATIONS, SEED)["rows"]


@cache
def _stories() -> list[MeasuredRecording]:
    """What is fitted on: other stories in the Klatt voices, and others again in the neural one."""
    return list(stories_to_fit_on(STORIES, FIT_SEED))


def _spoken() -> Iterator[MeasuredRecording]:
    """Every sentence by every speaker."""
    sentences = _reader(Path(os.environ[LJSPEECH])) if LJSPEECH in os.environ else _sentences()
    espeak = load_synthesizer(ESPEAK)
    for name, text, read in sentences:
        for voice in KLATT_VOICES:
            pitch = random.Random(f"{SEED}-{voice.name}-{name}").randint(*voice.pitch_settings)
            yield _recording(name, voice.name, espeak.render(text, voice.name, pitch))
        if PIPER in os.environ:
            neural = load_synthesizer(piper_synthesizer())
            yield _recording(name, NEURAL, neural.render(text, *neural.speakers("one")))
        if read is not None:
            yield _recording(name, READER, read)


def _recording(name: str, speaker: str, spoken: Rendering) -> MeasuredRecording:
    return MeasuredRecording(name, speaker, spoken.words, spoken.phones, lambda: spoken.audio)


def _sentences() -> Iterator[tuple[str, str, None]]:
    """Of generated stories, for which there is no reader."""
    return ((f"s{index}", text, None) for index, text in enumerate(simple_sentences(SENTENCES, SEED)))


def _reader(folder: Path) -> Iterator[tuple[str, str, Rendering]]:
    """Recordings that the aligner accepts, with their names and texts."""
    aligner, found = PocketSphinxAligner(), 0
    for recording in read_audio_folder(folder):
        if recording.problem or found == SENTENCES:
            continue
        try:
            audio, text = read_speech(recording.path), spoken_text(recording.text)
            read = finish_alignment(audio, text, aligner.align(audio, text))
        except AlignmentError:
            continue
        found += 1
        yield recording.id, text, read
