"""Which transcripts the aligner refuses, and where it puts the edges of words.

Sentences -> synthetic voices, whose words have exact times -> [`PocketSphinxAligner`] -> edges, early or late; the
same sound with transcripts of others -> accepted or not. With `--ljspeech FOLDER` its recordings, too, which have no
exact times, and its transcripts as sentences; generated stories are spoken else. With `--piper VOICE` a neural voice,
too, in which a word follows another behind a space that has a length of its own.

Voices and recordings are those that the aligner's bound was not chosen on.
"""

import csv
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evoslm.datasets_scripts.recordings.aligners.alignment import Alignment, AlignmentError, spoken_text
from evoslm.datasets_scripts.recordings.aligners.pocketsphinx import PocketSphinxAligner
from evoslm.datasets_scripts.recordings.reading import read_speech
from evoslm.datasets_scripts.stories.rich.generation import generate_stories
from evoslm.datasets_scripts.synthesis.by_name import load_synthesizer
from evoslm.datasets_scripts.synthesis.piper import PiperSynthesizer, lay_out
from evoslm.datasets_scripts.synthesis.synthesizer import Rendering, shared_synthesizer, tokens_of
from evoslm.datasets_scripts.synthesis.voices import RATE_RANGE, VOICES
from evoslm.datasets_scripts.text.sentences import split_sentences
from evoslm.models.audio import SAMPLE_RATE
from evoslm.models.phones import SIL

from .common import piper_synthesizer
from .flags import LJSPEECH, PIPER, full_or_quick

VOICES_HEARD = VOICES["many"][1::2][: full_or_quick(None, 2)]
"""The bound was chosen on the others."""
CHOSEN_ON = 16
"""Recordings of LJSpeech, its first ones."""
RECORDINGS, SENTENCES, NEURAL_SENTENCES, OTHERS = full_or_quick((16, 10, 40, 3), (2, 1, 1, 1))
"""Recordings, sentences of a synthetic voice and of a neural one, and for each of them transcripts of others."""
LETTERS = (20, 150)
LIKE_LENGTH = 0.1
NEAR = (20, 50)
"""Milliseconds."""
FAMILIES = {"male": "synthetic, men", "female": "synthetic, women", "child": "synthetic, children"}


@dataclass(frozen=True)
class Sentence:
    """A text as it is spoken, and the document that it is of."""

    document: str
    text: str


@dataclass
class Clip:
    """
    Sound with its transcript.

    Args:
        family (`str`): The row of the table.
        document (`str`): What its text is of; transcripts of others are of another.
        audio (`np.ndarray` of shape `(num_samples,)`): int16, 16 kHz, mono.
        text (`str`): The transcript.
        edges (`dict[int, tuple[int, int]]`): For each word that follows another one without a pause, by its number in
            the text: samples at which the word before ends and at which it begins. Empty where nobody knows.
    """

    family: str
    document: str
    audio: np.ndarray
    text: str
    edges: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass
class Outcome:
    """What became of the clips of one family; distances in ms, early is negative, one for each convention."""

    true: int = 0
    refused: int = 0
    others: int = 0
    accepted: int = 0
    paused: int = 0
    distances: list[tuple[float, float]] = field(default_factory=list)


def run() -> str:
    folder = Path(os.environ[LJSPEECH]) if LJSPEECH in os.environ else None
    sentences = _transcripts(folder) if folder else _stories()
    clips = [*(_recordings(folder) if folder else ()), *_synthetic(sentences)]
    if PIPER in os.environ:
        clips += _neural(sentences)
    outcomes = measure(clips, sentences)
    source = "transcripts of LJSpeech" if folder else "generated stories"
    return "\n".join(
        [
            "## The aligner",
            "",
            f"{len(VOICES_HEARD)} synthetic voices with {SENTENCES} sentences each of {source}, at {RATE_RANGE[0]} to "
            f"{RATE_RANGE[1]} words a minute, and {NEURAL_SENTENCES} of a neural voice where there is one; each clip "
            f"also with {OTHERS} transcripts of other documents, within {LIKE_LENGTH:.0%} of its letters. No voice or "
            "recording is one that the bound was chosen on. Edges are those between words without a pause between "
            "them; where the aligner puts one, the edge is counted as 'pause put' and has no distance. Early is "
            "negative.",
            "",
            *table(outcomes),
        ]
    )


def measure(clips: Sequence[Clip], sentences: Sequence[Sentence], seed: int = 0) -> dict[str, Outcome]:
    """
    Align each clip with its transcript and with those of others.

    Args:
        clips (`Sequence[Clip]`): What to align.
        sentences (`Sequence[Sentence]`): What others say.
        seed (`int`, *optional*, defaults to 0): Which of those that are alike in length are taken.

    Returns:
        `dict[str, Outcome]`: By family, in the order of the clips.
    """
    aligner = PocketSphinxAligner()
    outcomes: dict[str, Outcome] = {}
    for clip in clips:
        outcome = outcomes.setdefault(clip.family, Outcome())
        found = _align(aligner, clip.audio, clip.text)
        outcome.true += 1
        outcome.refused += found is None
        if found is not None:
            distances = word_distances(found, clip.edges)
            outcome.paused += sum(distance is None for distance in distances)
            outcome.distances += [distance for distance in distances if distance is not None]
        alike = [sentence.text for sentence in sentences if _is_alike(clip, sentence)]
        for text in random.Random(f"{seed}-{clip.text}").sample(alike, min(OTHERS, len(alike))):
            outcome.others += 1
            outcome.accepted += _align(aligner, clip.audio, text) is not None
    return outcomes


def word_distances(alignment: Alignment, edges: dict[int, tuple[int, int]]) -> list[tuple[float, float] | None]:
    """
    How far words begin from where they should.

    Args:
        alignment ([`Alignment`]): What the aligner found.
        edges (`dict[int, tuple[int, int]]`): See [`Clip`].

    Returns:
        `list[tuple[float, float] | None]`: For each edge the distance in ms to the end of the word before and to the
        beginning of the word; `None` where the aligner put a pause, which hides the edge.
    """
    begins: dict[int, tuple[int, bool]] = {}
    end = None
    for phone in alignment.phones:
        if phone.phone == SIL:
            continue
        begins.setdefault(phone.token, (phone.start, end is not None and phone.start > end))
        end = phone.end
    distances: list[tuple[float, float] | None] = []
    for number, (before, after) in edges.items():
        if number in begins:
            start, paused = begins[number]
            distances.append(None if paused else tuple(_milliseconds(start - edge) for edge in (before, after)))
    return distances


def table(outcomes: dict[str, Outcome]) -> list[str]:
    """Lines in Markdown: refusals and edges of each family; three conventions where words leave room between them."""
    shares = " | ".join(f"within {near} ms" for near in NEAR)
    lines = [
        f"| voice | true refused | others accepted | edges | pause put | median, ms | {shares} |",
        f"| :--- |{' ---: |' * (5 + len(NEAR))}",
    ]
    for family, outcome in outcomes.items():
        refusals = f"{outcome.refused} of {outcome.true} | {outcome.accepted} of {outcome.others}"
        if not outcome.distances:
            lines.append(f"| {family} | {refusals} |{' |' * (3 + len(NEAR))}")
            continue
        ends, begins = np.array(outcome.distances).T
        views = {"": begins}
        if not np.array_equal(ends, begins):
            views = {
                ", next word's first phone": begins,
                ", middle of the space": (ends + begins) / 2,
                ", end of the word's last phone": ends,
            }
        for view, distances in views.items():
            within = " | ".join(f"{np.mean(np.abs(distances) <= near):.0%}" for near in NEAR)
            lines.append(
                f"| {family}{view} | {refusals} | {len(distances)} | {outcome.paused} | {np.median(distances):+.1f} | "
                f"{within} |"
            )
            refusals = " | "
    return lines


def edges_of(spoken: Rendering) -> dict[int, tuple[int, int]]:
    """Where a rendering's words begin that follow another without a pause; see [`Clip`]."""
    silences = {round(phone["start"] * SAMPLE_RATE) for phone in spoken.phones if phone["phone"] == SIL}
    edges = {}
    for number, (word, following) in enumerate(zip(spoken.words, spoken.words[1:]), start=1):
        before, after = (round(time * SAMPLE_RATE) for time in (word["end"], following["start"]))
        if before not in silences:
            edges[number] = (before, after)
    return edges


def _synthetic(sentences: Sequence[Sentence]) -> Iterator[Clip]:
    generator = random.Random(0)
    for voice in VOICES_HEARD:
        for sentence in generator.sample(sentences, SENTENCES):
            rate, pitch = generator.randint(*RATE_RANGE), generator.randint(*voice.pitch_settings)
            spoken = shared_synthesizer().render(sentence.text, voice.name, pitch, rate)
            family = FAMILIES[voice.name.split("-")[0]]
            yield Clip(family, sentence.document, spoken.audio, sentence.text, edges_of(spoken))


def _neural(sentences: Sequence[Sentence]) -> Iterator[Clip]:
    """Single sentences, since their spaces are looked up in what the voice was given to read."""
    synthesizer = load_synthesizer(piper_synthesizer())
    (speaker,) = synthesizer.speakers("one")
    single = [sentence for sentence in sentences if split_sentences(sentence.text) == [sentence.text]]
    for sentence in random.Random(0).sample(single, NEURAL_SENTENCES):
        spoken, spaces = synthesizer.render(sentence.text, speaker), spaces_of(synthesizer, sentence.text, speaker)
        edges = {word: (end, end + spaces.get(word, 0)) for word, (end, _) in edges_of(spoken).items()}
        yield Clip("neural", sentence.document, spoken.audio, sentence.text, edges)


def spaces_of(synthesizer: PiperSynthesizer, sentence: str, speaker: str) -> dict[int, int]:
    """How long the space before a word lasts, with the blanks around it, in samples; by the word's number."""
    voice = synthesizer.voice
    layout = lay_out(sentence, shared_synthesizer().espeak, voice)
    _, lengths = voice.speak(layout.ids, speaker)
    numbers = {token.position: number for number, token in enumerate(tokens_of(sentence))}
    space = [voice.phoneme_ids[mark][0] for mark in "_ _"]
    return {
        numbers[position]: round(int(lengths[first : first + 3].sum()) * SAMPLE_RATE / voice.sample_rate)
        for _, first, position in layout.events
        if layout.ids[first : first + 3] == space and position in numbers
    }


def _recordings(folder: Path) -> Iterator[Clip]:
    """Recordings of LJSpeech after those that the bound was chosen on."""
    audio = sorted(path for kind in ("flac", "wavs") for path in (folder / kind).glob("LJ*"))
    transcripts = dict(_rows(folder))
    for path in audio[CHOSEN_ON : CHOSEN_ON + RECORDINGS]:
        yield Clip("LJSpeech", _document(path.stem), read_speech(path), spoken_text(transcripts[path.stem]))


def _transcripts(folder: Path) -> list[Sentence]:
    """Of the documents of LJSpeech that the recordings are not of."""
    sentences = []
    for name, text in _rows(folder):
        try:
            spoken = spoken_text(text)
        except AlignmentError:
            continue
        if _document(name) != "LJ001" and LETTERS[0] <= len(spoken) <= LETTERS[1]:
            sentences.append(Sentence(_document(name), spoken))
    return sentences


def _rows(folder: Path) -> list[tuple[str, str]]:
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as lines:
        return [(row[0], row[-1]) for row in csv.reader(lines, delimiter="|", quoting=csv.QUOTE_NONE)]


def _document(name: str) -> str:
    return name.rpartition("-")[0]


def _stories() -> list[Sentence]:
    stories = generate_stories(full_or_quick(20_000, 2_000), 0)
    return [
        Sentence(story.document, sentence)
        for story in stories
        for sentence in story.sentences
        if LETTERS[0] <= len(sentence) <= LETTERS[1]
    ]


def _is_alike(clip: Clip, sentence: Sentence) -> bool:
    letters = len(clip.text)
    return sentence.document != clip.document and abs(len(sentence.text) - letters) <= LIKE_LENGTH * letters


def _align(aligner: PocketSphinxAligner, audio: np.ndarray, text: str) -> Alignment | None:
    try:
        return aligner.align(audio, text)
    except AlignmentError:
        return None


def _milliseconds(samples: int) -> float:
    return samples * 1000 / SAMPLE_RATE
