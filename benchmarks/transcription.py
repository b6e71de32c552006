"""What a recogniser hears: errors by kind of speech and disturbance, and sounds in which nobody speaks.

Sentences -> a reader's recordings with `--ljspeech FOLDER`, a neural voice with `--piper VOICE`, the Klatt voices ->
the first of them softer, in babble and noise, and in one file -> the model of `--whisper MODEL` -> word and character
errors. All of them as their units say them, by codebooks of MFCC and of Whisper's frames, fitted on other stories in
the synthetic voices, and of MFCC on the first half of the same speech -> the same errors. Without LJSpeech the
sentences are of generated stories, and the Klatt voices are what is disturbed. Silence, noise, tones, hum, clicks ->
how many are given text, without the rules against that and with them.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from evoslm.datasets_scripts.recordings.reading import read_speech
from evoslm.datasets_scripts.recordings.sources import read_audio_folder
from evoslm.datasets_scripts.synthesis.by_name import ESPEAK, load_synthesizer
from evoslm.datasets_scripts.synthesis.voices import VOICES
from evoslm.models.audio import SAMPLE_RATE
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel, fit_unit_normalizations
from evoslm.models.transcriber import Transcriber, recognition_errors
from evoslm.models.transcriber.probe_sounds import (
    CHANGING_SOUNDS,
    CHOSEN_ON,
    NUM_BABBLING,
    QUIET_SOUNDS,
    STEADY_SOUNDS,
    add_babble,
    at_level,
)
from evoslm.models.transcriber.stretches import find_stretches
from evoslm.models.vocoder import CodebookVocoder
from evoslm.training.report.formatting import markdown_table, percent
from evoslm.training.unit_report.perturbation import add_white_noise

from .common import open_whisper, piper_synthesizer, simple_sentences, stories_to_fit_on
from .flags import LJSPEECH, PIPER, WHISPER, full_or_quick

SENTENCES = full_or_quick(32, 4)
"""The rules were chosen on the first half of them, half A, and measured on the second, half B."""
KLATT_VOICES = VOICES["many"][: full_or_quick(None, 3)]
LEVELS = (-40, -55)
BABBLE_SNR, NOISE_SNR = 5, 10
BETWEEN_SECONDS = 0.5
SOUND_LEVELS = full_or_quick((-50, -12), (-12,))
SECONDS_CHOSEN_ON, SECONDS_MEASURED_ON = full_or_quick(((1, 10), (3,)), ((1,), (1,)))
FIT_SEED, SEED = 105, 100
UNITS, STORIES, UNITS_OF_HALF = full_or_quick((500, 160, 100), (20, 8, 10))
"""Clusters, stories in each kind of synthetic voice that are fitted on, and clusters of half the sentences alone."""
RECORDINGS, NEURAL = "recordings", "neural voice"
ONE, MANY = "Klatt, one voice", f"Klatt, {len(KLATT_VOICES)} voices in turn"
HALVES = "half A / half B"
ENCODERS = ("MFCC", "Whisper")
"""Whose units are made audible again; Whisper's layer is the one three quarters of the way up."""

Audio = Sequence[np.ndarray]
"""The sentences as somebody says them: float32 in [-1, 1], 16 kHz."""


def run() -> str:
    transcriber = _listener()
    texts, spoken = _spoken()
    rows = _rows(transcriber, texts, spoken)
    words = recognition_errors(texts, texts)["words"]
    minutes = sum(map(len, next(iter(spoken.values())))) / SAMPLE_RATE / 60
    half = len(texts) // 2
    return "\n".join(
        [
            f"## What {transcriber.source['model']} heard",
            "",
            f"{len(texts)} sentences {'of LJSpeech' if RECORDINGS in spoken else 'of generated stories'} "
            f"({minutes:.1f} minutes, {words} words); fp32, greedy. Half A is sentences 1 to {half}, half B the "
            "others; babble is of the same half. Errors of words and characters in per cent.",
            "",
            markdown_table(["sound", "WER", "CER", "empty"], rows),
            "",
            f"The same as `codebook` says their units: WER and CER. {UNITS} units are fitted on {STORIES} stories of "
            f"each kind of synthetic voice that is here, {UNITS_OF_HALF} on half A of the same speech. Half B.",
            "",
            markdown_table(
                ["sound", "as it is", *ENCODERS, "MFCC of half A"], _from_units(transcriber, texts, spoken)
            ),
            "",
            "Sounds without speech that are given text:",
            "",
            markdown_table(
                ["sounds", "number", "without the rules", "behind the first", "behind both"],
                [
                    ["of kinds that the rules were chosen on", *_made_up(transcriber, _chosen_on())],
                    ["others, too, and other lengths", *_made_up(transcriber, _measured_on())],
                ],
            ),
        ]
    )


def disturbances() -> dict[str, Callable[[np.ndarray, Audio, np.random.Generator], np.ndarray]]:
    """By label: from a sentence, the others of its half and a random generator to the disturbed sentence."""
    levels = {f"at {level} dB of full scale": partial(_at_level, level=level) for level in LEVELS}
    return {
        "as they are": lambda audio, others, rng: audio,
        **levels,
        f"in babble of {NUM_BABBLING} voices at {BABBLE_SNR} dB": partial(add_babble, snr=BABBLE_SNR),
        f"in white noise at {NOISE_SNR} dB": lambda audio, others, rng: add_white_noise(audio, rng, NOISE_SNR),
    }


def disturb(half: Audio, disturbance: Callable) -> list[np.ndarray]:
    """Each sentence of a half, disturbed; by its number and [`SEED`] alone, whatever is measured before."""
    return [
        disturbance(audio, [*half[:index], *half[index + 1 :]], np.random.default_rng(SEED + index))
        for index, audio in enumerate(half)
    ]


def _listener() -> Transcriber:
    try:
        return Transcriber.from_pretrained(os.environ[WHISPER], device="cpu")
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None


def _rows(transcriber: Transcriber, texts: Sequence[str], spoken: dict[str, Audio]) -> list[list[str]]:
    """The first kind of speech with all that disturbs it, and then the others."""
    (first, audio), *others = spoken.items()
    half = len(texts) // 2
    rows, parts = [], (slice(half), slice(half, None))
    for label, disturbance in disturbances().items():
        heard = [transcriber.transcribe(disturb(audio[part], disturbance)) for part in parts]
        if not rows:
            rows.append([first, *_cells([recognition_errors(texts, heard[0] + heard[1])])])
        found = [recognition_errors(texts[part], transcripts) for part, transcripts in zip(parts, heard)]
        rows.append([f"{HALVES}, {label}", *_cells(found)])
    (in_one,) = transcriber.transcribe([_join(audio)])
    between = f"all in one file, {BETWEEN_SECONDS} s apart"
    rows.append([between, *_cells([recognition_errors([" ".join(texts)], [in_one])])])
    rows += [[label, *_cells([recognition_errors(texts, transcriber.transcribe(said))])] for label, said in others]
    return rows


def _from_units(transcriber: Transcriber, texts: Sequence[str], spoken: dict[str, Audio]) -> list[list[str]]:
    """Errors of half B of each kind of speech, as it is and from its units."""
    half, stories = len(texts) // 2, [row.audio for row in stories_to_fit_on(STORIES, FIT_SEED)]
    encoders = [SpeechUnitModel(SpeechUnitConfig()), open_whisper(os.environ[WHISPER])]
    made = [_fit(encoder, stories, UNITS) for encoder in encoders]
    rows = []
    for label, audio in spoken.items():
        own = _fit(encoders[0], audio[:half], UNITS_OF_HALF)
        said = [audio[half:], *(_resynthesize(audio[half:], *fitted) for fitted in (*made, own))]
        found = [recognition_errors(texts[half:], transcriber.transcribe(sounds)) for sounds in said]
        rows.append([label, *(f"{percent(errors['wer'])}, {percent(errors['cer'])}" for errors in found)])
    return rows


def _fit(encoder: SpeechUnitModel, audio: Audio, num_units: int) -> tuple[SpeechUnitModel, CodebookVocoder]:
    """A quantizer, and what its units sound like in the same audio."""
    batches = [([samples], None) for samples in audio]
    model = fit_unit_normalizations(batches, ["none"], num_units, SEED, encoder_of=encoder)["none"]
    return model, CodebookVocoder.from_quantizer(model, batches)


def _resynthesize(audio: Audio, model: SpeechUnitModel, vocoder: CodebookVocoder) -> list[np.ndarray]:
    return [vocoder.waveforms(model.units([samples]))[0] for samples in audio]


def _cells(found: Sequence[dict[str, float]]) -> list[str]:
    """Word errors, character errors and empty texts, of each half where there are two."""
    rates = [" / ".join(percent(errors[name]) for errors in found) for name in ("wer", "cer")]
    return [*rates, str(sum(errors["empty"] for errors in found))]


def _at_level(audio: np.ndarray, others: Audio, rng: np.random.Generator, level: float) -> np.ndarray:
    return at_level(audio, level)


def _join(audio: Audio) -> np.ndarray:
    pause = np.zeros(round(BETWEEN_SECONDS * SAMPLE_RATE), np.float32)
    return np.concatenate([part for samples in audio for part in (samples, pause)])


def _made_up(transcriber: Transcriber, sounds: Audio) -> list[str]:
    """How many sounds there are, and how many are given text without the rules, behind the first and behind both."""
    recognizer = transcriber.recognizer
    # One by one: short stretches and long ones are no batch.
    written = [bool(recognizer.recognize([samples], 1)[0].text) for samples in sounds]
    passed = [bool(find_stretches(samples, SAMPLE_RATE, recognizer.max_seconds)) for samples in sounds]
    kept = [bool(text) for text in transcriber.transcribe(sounds)]
    first = [text and may_be_speech for text, may_be_speech in zip(written, passed)]
    return [str(len(sounds)), *(str(sum(counted)) for counted in (written, first, kept))]


def _chosen_on() -> list[np.ndarray]:
    return list(_sounds(CHOSEN_ON, SECONDS_CHOSEN_ON, SEED))


def _measured_on() -> list[np.ndarray]:
    """Other draws and lengths of those, and sounds that the rules were not chosen on."""
    return list(_sounds([*QUIET_SOUNDS, *STEADY_SOUNDS, *CHANGING_SOUNDS], SECONDS_MEASURED_ON, SEED + 1))


def _sounds(names: Sequence[str], lengths: Sequence[int], seed: int) -> Iterator[np.ndarray]:
    """Each sound in each length, and unless it is quiet at each level."""
    makers = QUIET_SOUNDS | STEADY_SOUNDS | CHANGING_SOUNDS
    for number, name in enumerate(names):
        for seconds in lengths:
            samples = makers[name](seconds * SAMPLE_RATE, np.random.default_rng([seed, number, seconds]))
            if name in QUIET_SOUNDS:
                yield samples.astype(np.float32)
            else:
                yield from (at_level(samples, level) for level in SOUND_LEVELS)


def _spoken() -> tuple[list[str], dict[str, Audio]]:
    """The sentences, and who says them by kind of speech: what is disturbed comes first."""
    spoken: dict[str, Audio] = {}
    if LJSPEECH in os.environ:
        texts, spoken[RECORDINGS] = _read(Path(os.environ[LJSPEECH]))
    else:
        texts = simple_sentences(SENTENCES, SEED)
    espeak = load_synthesizer(ESPEAK)
    many = [
        espeak.render(text, KLATT_VOICES[index % len(KLATT_VOICES)].name).audio for index, text in enumerate(texts)
    ]
    if RECORDINGS not in spoken:
        spoken[MANY] = many
    if PIPER in os.environ:
        neural = load_synthesizer(piper_synthesizer())
        spoken[NEURAL] = [neural.render(text, *neural.speakers("one")).audio for text in texts]
    spoken[ONE] = [espeak.render(text).audio for text in texts]
    spoken[MANY] = many
    return texts, {kind: [samples.astype(np.float32) / 2**15 for samples in audio] for kind, audio in spoken.items()}


def _read(folder: Path) -> tuple[list[str], list[np.ndarray]]:
    """Texts and audio of the first recordings."""
    found = islice((recording for recording in read_audio_folder(folder) if not recording.problem), SENTENCES)
    recordings = list(found)
    return [recording.text for recording in recordings], [read_speech(recording.path) for recording in recordings]
