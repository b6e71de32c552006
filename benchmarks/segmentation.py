"""How well segments that nobody aligned end where syllables and phones do, and what their units say and cost.

Stories in synthetic voices, whose phones have exact times, and with `--ljspeech FOLDER` every second of its
recordings, as the aligner times them -> quantizers that were fitted on other stories -> boundaries, rates and PNMI, by
kind of speech. [`choose`] is how the defaults of `SyllableSegmentation` and `duration_penalty` were chosen: on other
stories, and on the other recordings.
"""

import os
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product
from pathlib import Path

import numpy as np

from evoslm.datasets_scripts.phones.frames import phones_to_frames
from evoslm.datasets_scripts.phones.syllables import syllable_frames, syllable_names, syllable_starts
from evoslm.datasets_scripts.recordings.aligners.alignment import AlignmentError, finish_alignment, spoken_text
from evoslm.datasets_scripts.recordings.aligners.pocketsphinx import PocketSphinxAligner
from evoslm.datasets_scripts.recordings.reading import read_speech
from evoslm.datasets_scripts.recordings.sources import read_audio_folder
from evoslm.datasets_scripts.stories.simple.generation import generate_stories
from evoslm.datasets_scripts.synthesis.utterances import make_utterance
from evoslm.models.audio import FRAME_RATE, FRAME_SAMPLES, SAMPLE_RATE, decode_flac
from evoslm.models.speech_units import SpeechUnitModel, SyllableSegmentation, fit_units
from evoslm.models.speech_units.runs import run_starts
from evoslm.models.speech_units.segmentation import find_syllables
from evoslm.models.unit_quality import BoundaryCounts, unit_quality

from .flags import LJSPEECH, full_or_quick

TOLERANCES = (0.02, 0.05)
FITTED_ON, MEASURED = full_or_quick((400, 60), (20, 3))
"""Stories in many voices that quantizers are fitted on, and stories in each kind of voices that are measured."""
UNITS, SYLLABLE_UNITS = full_or_quick((500, 1000), (20, 20))
PENALTIES = (4.0, 10.0, 16.0)
FIT_SEED, CHOICE_SEED, SEED = 103, 101, 102
_WITHOUT_STRESS = str.maketrans("", "", "012")


@dataclass(frozen=True)
class Spoken:
    """An utterance: int16 samples at 16 kHz, and phones with their times."""

    audio: np.ndarray
    phones: list[dict]

    @cached_property
    def frame_phones(self) -> list[str]:
        """The phone of each frame."""
        return phones_to_frames(self.phones, len(self.audio) // FRAME_SAMPLES)

    @cached_property
    def frame_syllables(self) -> list[str]:
        """The aligned syllable, without stress, of each frame."""
        names = [name.translate(_WITHOUT_STRESS) for name in syllable_names(self.frame_phones)]
        return np.repeat(names, syllable_frames(self.frame_phones)).tolist()

    def starts(self, what: str) -> list[float]:
        """Where each aligned syllable or phone but the first begins, in seconds."""
        starts = syllable_starts(self.phones) if what == "syllable" else [phone["start"] for phone in self.phones]
        return starts[1:]


@dataclass(frozen=True)
class Segments:
    """An utterance in segments: the unit of each, and its frames."""

    units: np.ndarray
    frames: np.ndarray


def run() -> str:
    models, kinds, rows = _quantizers(), {"Klatt, one voice": stories("one", SEED)}, []
    kinds["Klatt, many voices"] = stories("many", SEED)
    if LJSPEECH in os.environ:
        kinds["LJSpeech"] = recordings(Path(os.environ[LJSPEECH]))[1::2][:MEASURED]
    for kind, spoken in kinds.items():
        for name, model in models.items():
            rows.append(f"| {kind} | {name} | {' | '.join(_cells(spoken, model))} |")
    heads = [f"{what} {tolerance * 1000:.0f} ms: P, R, F1, R-value" for what, tolerance in _REFERENCES]
    return "\n".join(
        [
            "## Boundaries that nobody aligned",
            "",
            f"{MEASURED} stories in each kind of voices; quantizers ({UNITS} units of MFCC frames, {SYLLABLE_UNITS} "
            f"of syllables) were fitted on {FITTED_ON} others in many voices. Boundaries within 20 or 50 ms, in %; "
            "pauses are segments, an utterance's edges are no boundaries. PNMI with syllables is of each segment with "
            "the aligned syllable that has most of its frames; in brackets with shuffled ones.",
            "",
            f"| speech | segments | {' | '.join(heads)} | units/s | bits/s | PNMI, phones | PNMI, syllables |",
            f"| :--- | :--- |{' ---: |' * (len(heads) + 4)}",
            *rows,
        ]
    )


_REFERENCES = (("syllable", 0.02), ("syllable", 0.05), ("phone", 0.02))


def choose(ljspeech: str | Path) -> None:
    """Print the R-values by which smoothing, prominence and penalty were chosen, the best first."""
    kinds = {voices: stories(voices, CHOICE_SEED) for voices in ("one", "many")}
    kinds["LJSpeech"] = recordings(Path(ljspeech))[::2]
    found = []
    for smoothing, prominence in product((15, 20, 25, 30, 40), (1, 2, 3)):
        settings = SyllableSegmentation(smoothing, prominence)
        values = [
            _boundaries(spoken, [_syllables(each, settings) for each in spoken], "syllable", tolerance)["r_value"]
            for spoken in kinds.values()
            for tolerance in TOLERANCES
        ]
        found.append((float(np.mean(values)), smoothing, prominence))
    print(sorted(found, reverse=True)[:5])
    nearest = _fit(stories("many", FIT_SEED, FITTED_ON), duration_penalty=1.0)
    for penalty in (4, 6, 8, 10, 12, 16):
        model = _with_penalty(nearest, penalty)
        values = {
            kind: _boundaries(spoken, [each.frames for each in segment(spoken, model)], "phone", 0.02)["r_value"]
            for kind, spoken in kinds.items()
        }
        print(penalty, values)


def stories(voices: str, seed: int, number: int = MEASURED) -> list[Spoken]:
    """Generated stories, spoken."""
    settings = {"voices": voices, "rate": "fixed", "seed": seed}
    rows = (make_utterance(story, settings)[0] for story in islice(generate_stories(10**6, seed), number))
    return [Spoken(decode_flac(row["audio"]["bytes"]), row["phones"]) for row in rows]


def recordings(folder: Path) -> list[Spoken]:
    """Recordings of LJSpeech that the aligner accepts, timed by it."""
    aligner, found = PocketSphinxAligner(), []
    for recording in read_audio_folder(folder):
        if not recording.problem:
            audio, text = read_speech(recording.path), spoken_text(recording.text)
            try:
                aligned = finish_alignment(audio, text, aligner.align(audio, text))
            except AlignmentError:
                continue
            found.append(Spoken(aligned.audio, aligned.phones))
    return found


def segment(spoken: Sequence[Spoken], model: SpeechUnitModel) -> list[Segments]:
    """The segments that a quantizer makes, aligned syllables where it finds none itself."""
    audio = [each.audio for each in spoken]
    if not model.config.segment_parts:
        units, segments = model.units(audio), []
        for row in units:
            starts = np.flatnonzero(run_starts(row))
            segments.append(Segments(row[starts], np.diff(starts, append=len(row))))
        return segments
    is_found = model.config.segmentation is not None
    frames = model.find_segments(audio) if is_found else [syllable_frames(each.frame_phones) for each in spoken]
    return [Segments(*row) for row in zip(model.units(audio, segments=frames), frames)]


def _quantizers() -> dict[str, SpeechUnitModel]:
    spoken = stories("many", FIT_SEED, FITTED_ON)
    syllables = {"num_units": SYLLABLE_UNITS, "segment_parts": 3}
    frames = _fit(spoken, duration_penalty=1.0)
    return {
        "aligned syllables": _fit(spoken, **syllables),
        "syllables found": _fit(spoken, **syllables, segmentation={}),
        "runs of units": _with_penalty(frames, 0.0),
        **{f"penalty {penalty:g}": _with_penalty(frames, penalty) for penalty in PENALTIES},
    }


def _fit(spoken: Sequence[Spoken], num_units: int = UNITS, **arguments) -> SpeechUnitModel:
    batches = (
        ([each.audio], None, *([[syllable_frames(each.frame_phones)]] if "segment_parts" in arguments else []))
        for each in spoken
    )
    return fit_units(batches, num_units, max_frames=100_000, **arguments)


def _with_penalty(model: SpeechUnitModel, penalty: float) -> SpeechUnitModel:
    """The same clusters with another penalty."""
    other = deepcopy(model)
    other.config.duration_penalty = penalty
    return other


def _syllables(spoken: Spoken, settings: SyllableSegmentation) -> np.ndarray:
    num_frames = len(spoken.audio) // FRAME_SAMPLES
    return find_syllables(spoken.audio / 2**15, SAMPLE_RATE, FRAME_RATE, num_frames, settings)


def _boundaries(spoken: Sequence[Spoken], frames: Sequence[np.ndarray], what: str, tolerance: float) -> dict:
    counts = BoundaryCounts(tolerance)
    for each, counted in zip(spoken, frames):
        counts.add(np.cumsum(counted)[:-1] / FRAME_RATE, each.starts(what))
    return counts.scores()


def _cells(spoken: Sequence[Spoken], model: SpeechUnitModel) -> list[str]:
    """Boundaries, units and bits a second, PNMI of frames with phones and of segments with syllables."""
    segments = segment(spoken, model)
    frames = [each.frames for each in segments]
    cells = []
    for what, tolerance in _REFERENCES:
        scores = _boundaries(spoken, frames, what, tolerance)
        cells.append(", ".join(f"{100 * scores[name]:.1f}" for name in ("precision", "recall", "f1", "r_value")))
    size, units = model.config.num_units, [each.units for each in segments]
    rate = sum(map(len, units)) / (sum(map(sum, frames)) / FRAME_RATE)
    names = [_most_shared(each.frame_syllables, counted) for each, counted in zip(spoken, frames)]
    quality = unit_quality(units, names, rate, size)
    repeated = [np.repeat(each.units, each.frames) for each in segments]
    by_frame = unit_quality(repeated, [each.frame_phones for each in spoken], FRAME_RATE, size)
    flat = np.random.default_rng(0).permutation(np.concatenate(names))
    shuffled = np.split(flat, np.cumsum([len(row) for row in names])[:-1])
    chance = unit_quality(units, shuffled, rate, size)["pnmi"]
    said = f"{quality['pnmi']:.3f} ({chance:.3f})"
    return [*cells, f"{rate:.1f}", f"{quality['bits_per_second']:.0f}", f"{by_frame['pnmi']:.3f}", said]


def _most_shared(labels: Sequence[str], frames: np.ndarray) -> np.ndarray:
    """The label that most frames of each segment have."""
    names, index = np.unique(labels, return_inverse=True)
    parts = np.split(index, np.cumsum(frames)[:-1])
    return names[[np.bincount(part).argmax() for part in parts]]
