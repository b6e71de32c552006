"""What the preparation of a corpus would take, before any of it is made: `--dry_run` of a study's commands.

arguments -> the stages up to some command, and rates that were measured -> core hours, disk and memory for
`--max_words` words, as lines for a terminal.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ..models.audio import FRAME_RATE
from ..models.modalities import SYLLABLES, UNIT_KINDS, get_modality
from .study import Study

# Rates of one core of the machine named here. Those of text, pairs and ids are of `python -m benchmarks.preparation
# text 250000 1000000`, the larger size; docs/scale.md has its table. What was not measured is said to be an estimate.
MACHINE = "two cores of an AMD EPYC"
SECONDS_PER_WORD = 0.315
"""Of the speech of rich stories, with pauses, at the fixed rate: 3.50 hours of 40,000 words (docs/benchmarks.md)."""
TEXT_CORE_SECONDS = {"stories": 8.0, "text": 40.0}
"""Of a million words: simple stories that are told; of text that is read an estimate, from 40,000 words of books."""
TEXT_BYTES = 3.3
"""A word, in passages, of 4 million words of simple stories."""
SPEECH_REAL_TIME = 207.0
"""Seconds of speech a core second: espeak, FLAC and the times of phones, of 10,000 words (docs/benchmarks.md)."""
NEURAL_REAL_TIME = 16.0
"""The same of a Piper voice of medium size: 18.6 of the network alone, and an estimate of the rest."""
SPEECH_BYTES = 17_200.0
"""A second of speech, as FLAC with words and phones, of 2,440 s (docs/scale.md)."""
PAIR_CORE_SECONDS = 10.0
"""Of a million words: what sWUGGY's words and n-grams are counted in, and Topic-SC's shared words weighed by."""
UNIT_REAL_TIME = {500: 1100.0, 2048: 700.0}
"""Seconds of speech a core second, MFCC, of codebooks of so many units, of 2,446 s (docs/scale.md)."""
UNIT_BYTES = 1.05
"""A unit, in shards, of 2,440 s of speech (docs/scale.md)."""
ID_CORE_SECONDS = 1.1
"""Of a million tokens: contents, ids, and tokenizers that are trained on a sample; five of text and phones."""
NGRAM_CORE_SECONDS = 0.4
"""Of a million tokens: n-grams of up to five of them, of tokens and of their runs; 2.2 million of four modalities."""
ID_BYTES = 2.0
"""An id, of up to 65,536."""
PROCESS_GIB = 0.6
"""A process that has imported what the stages need, and each worker is one: an estimate; at most 0.8 was measured."""
ENCODER_FLOPS = 36e9
"""Of a second of audio: HuBERT-large up to layer 21, in utterances of 19 s; computed from its shapes, not measured."""
ENCODER_DIMENSIONS = 1024
_SAMPLE_COPIES = 2.25  # of the frames that k-means sees, while they are put in order
_UTILISATION = 0.4  # an assumption: no encoder was measured on such a device
_FIT_PASS = 0.9  # of the speech is read once more, to fit the quantizer


class Need(NamedTuple):
    """What a stage takes: core hours (of a CPU), device hours, and bytes on the disk."""

    stage: str
    core_hours: float
    device_hours: float
    disk: float


STAGES_OF = {"build-dataset": 1, "fit-units": 2, "train-tokenizer": 3, "pretrain": 3, "evaluate": 4}
"""How many of the groups of stages each command goes through."""


def describe_preparation(study: Study, command: str, device_flops: float | None = None) -> str:
    """
    A table of what the stages before the trainings take.

    Args:
        study ([`Study`]): With its arguments.
        command (`str`): One of [`STAGES_OF`]: the stages up to it are reckoned.
        device_flops (`float`, *optional*): FLOP/s of all devices together, for an encoder with weights.

    Returns:
        `str`: Lines for a terminal.
    """
    groups = (_dataset, _units, _tokenizers, _ngrams)[: STAGES_OF[command]]
    needs = [need for group in groups for need in group(study, device_flops)]
    num_proc = study.execution.num_proc
    words = study.arguments.corpus.max_words
    lines = [
        f"Preparation of {words:,} words, {_seconds(study) / 3600:,.1f} hours of speech in each set of voices; from "
        f"rates of {MACHINE}.",
        f"{'stage':44}{'core hours':>12}{'device hours':>14}{'GB on disk':>12}",
    ]
    lines += [f"{n.stage:44}{n.core_hours:>12,.2f}{n.device_hours:>14,.2f}{n.disk / 1e9:>12,.2f}" for n in needs]
    cores, devices, disk = (sum(column) for column in list(zip(*needs))[1:])
    lines.append(f"{'all':44}{cores:>12,.2f}{devices:>14,.2f}{disk / 1e9:>12,.2f}")
    hours, memory = cores / num_proc + devices, reckon_memory(study, command, num_proc) / 2**30
    lines.append(
        f"About {hours:,.1f} hours with --num_proc {num_proc}, and {memory:,.1f} GiB of memory, reckoned as if it "
        "did not grow with the words: docs/scale.md says of which stages that was measured."
    )
    if study.arguments.corpus.is_recorded:
        lines.append("Recordings are there already: their alignment, which is not reckoned, stands in for synthesis.")
    if study.external_units is not None and len(groups) > 1:
        lines.append("Units from elsewhere take what their maker takes, which is not reckoned.")
    if study.arguments.units.is_pretrained and len(groups) > 1:
        lines.append(
            f"Encoders with weights are reckoned as HuBERT-large up to layer 21, {ENCODER_FLOPS / 1e9:.0f} GFLOP a "
            f"second of audio, at {100 * _UTILISATION:.0f} % of the matrix rate."
        )
    return "\n".join(lines)


def _seconds(study: Study) -> float:
    return study.arguments.corpus.max_words * SECONDS_PER_WORD


def _dataset(study: Study, device_flops: float | None) -> Iterator[Need]:
    corpus, millions = study.arguments.corpus, study.arguments.corpus.max_words / 1e6
    kind = "stories" if corpus.corpus == "stories" else "text"
    yield Need("text", TEXT_CORE_SECONDS[kind] * millions / 3600, 0.0, TEXT_BYTES * corpus.max_words)
    for voices in study.renderings:
        seconds = _seconds(study)
        real_time = SPEECH_REAL_TIME if corpus.synthesizer == "espeak" else NEURAL_REAL_TIME
        core_hours = 0.0 if voices == "recorded" else seconds / real_time / 3600
        yield Need(f"speech, {voices}", core_hours, 0.0, SPEECH_BYTES * seconds)
    yield Need("minimal pairs", PAIR_CORE_SECONDS * millions / 3600, 0.0, 0.0)


def _units(study: Study, device_flops: float | None) -> Iterator[Need]:
    seconds, units = _seconds(study), study.arguments.units
    for voices, unit_of in study.units:
        size = units.codebook_size(unit_of)
        work = seconds * (1 + _FIT_PASS)
        core_hours = device_hours = 0.0  # of units from elsewhere, whose maker's time is not known
        if units.units is None and units.is_pretrained:
            device_hours = work * ENCODER_FLOPS / (_UTILISATION * device_flops) / 3600 if device_flops else 0.0
        elif units.units is None:
            rate = UNIT_REAL_TIME[500] if size <= 500 else UNIT_REAL_TIME[2048] * min(1.0, 2048 / size)
            core_hours = work / rate / 3600
        rate = 5.0 if unit_of in SYLLABLES else FRAME_RATE
        yield Need(f"units of {UNIT_KINDS[unit_of]}, {voices}", core_hours, device_hours, UNIT_BYTES * rate * seconds)


def _tokens(study: Study) -> dict[str, float]:
    """Tokens of each modality."""
    from .pretrain.dry_run import TOKENS_PER_SECOND

    entries = (get_modality(name) for name in study.arguments.modalities)
    rates = {entry.name: TOKENS_PER_SECOND.get(entry.name, entry.frame_rate or FRAME_RATE) for entry in entries}
    return {name: rate * _seconds(study) for name, rate in rates.items()}


def _tokenizers(study: Study, device_flops: float | None) -> Iterator[Need]:
    for name, tokens in _tokens(study).items():
        yield Need(f"ids of {name}", ID_CORE_SECONDS * tokens / 1e6 / 3600, 0.0, ID_BYTES * tokens)


def _ngrams(study: Study, device_flops: float | None) -> Iterator[Need]:
    tokens = sum(_tokens(study).values())
    yield Need("n-grams", NGRAM_CORE_SECONDS * tokens / 1e6 / 3600, 0.0, 0.0)


def reckon_memory(study: Study, command: str, num_proc: int) -> float:
    """Bytes of all processes of a number of workers, at the stage before the trainings that needs most."""
    return PROCESS_GIB * 2**30 * (num_proc + 2) + reckon_sample(study, command)


def reckon_sample(study: Study, command: str) -> float:
    """Bytes of the frames that k-means sees, which one process holds."""
    from ..models.speech_units import SpeechUnitConfig

    units = study.arguments.units
    if STAGES_OF[command] < STAGES_OF["fit-units"] or not study.units:
        return 0.0
    dimensions = ENCODER_DIMENSIONS if units.is_pretrained else SpeechUnitConfig(encoder=units.encoder).feature_size
    parts = max(1, *(units.segment_parts(unit_of) for _, unit_of in study.units))
    return _SAMPLE_COPIES * units.fit_frames * dimensions * parts * 8
