"""A tokenizer hears the corpus and the items once; its units are checked, timed, kept and renamed.

[`DiagnosedTokenizer`] + corpus -> [`check_tokenizer`], of all first -> [`encode_tokenizer`] -> raw and canonical
units in the tokenizer's folder, and [`Encoding`], how long that took.
"""

from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow.parquet as pq
import soundfile

from ...models.audio import SAMPLE_RATE
from ...models.scoring.sides import SIDES
from ..run.execution import Execution
from ..run.stage import read_stage
from ..stages.units.encoding import build_pair_units, build_utterance_units
from ..stages.units.external import build_external_units, read_pairs, read_utterances
from .canonical_units import UnitFolders, build_canonical_units
from .corpus import UNITS, DiagnosisCorpus, Measured
from .tokenizer_specs import DiagnosedTokenizer, in_options


@dataclass(frozen=True)
class Encoding:
    """
    What it took to hear everything.

    Args:
        seconds (`float`): Wall-clock time until the units of utterances and pairs were kept: to read the audio, have
            it encoded or looked up, and measure PNMI. What was tried out and checked before is not part of it.
        speech_seconds (`float`): Length of what was heard.
    """

    seconds: float
    speech_seconds: float

    @property
    def real_time(self) -> float:
        """Seconds of speech a second."""
        return self.speech_seconds / self.seconds if self.seconds else float("inf")


def check_tokenizer(
    tokenizer: DiagnosedTokenizer, measured: Measured, corpus: DiagnosisCorpus, execution: Execution
) -> None:
    """
    Check on the corpus whether a tokenizer can encode it: a table has everything, a function gives the same ids twice.

    Args:
        tokenizer ([`DiagnosedTokenizer`]): The tokenizer.
        measured ([`Measured`]): Where its units go.
        corpus ([`DiagnosisCorpus`]): With its utterances and pairs.
        execution ([`Execution`]): How it is done.

    Raises:
        `ValueError`: If a table lacks audio or has other than an id a frame, or a function gives others the second
            time, or other ids than those that the folder was made with and nothing is to be overwritten.
    """
    utterances, pairs = corpus.run.utterances(), corpus.run.pairs()
    try:
        build_external_units(measured.run.quantizer(UNITS), utterances, pairs, tokenizer.units, execution)
    except ValueError as error:
        raise ValueError(in_options(str(error))) from error


def encode_tokenizer(
    tokenizer: DiagnosedTokenizer, measured: Measured, corpus: DiagnosisCorpus, execution: Execution
) -> Encoding:
    """
    Let a tokenizer that was checked encode utterances and pairs, and keep what it gives.

    Args:
        tokenizer ([`DiagnosedTokenizer`]): The tokenizer.
        measured ([`Measured`]): Where its units go.
        corpus ([`DiagnosisCorpus`]): With its utterances and pairs.
        execution ([`Execution`]): How it is done.

    Returns:
        [`Encoding`]: Of the time when it was done, also where that was before.

    Raises:
        `ValueError`: If a function fails or gives other than an id a frame, or all ids are one.
    """
    utterances, pairs = corpus.run.utterances(), corpus.run.pairs()
    quantizer = measured.run.quantizer(UNITS)
    try:
        build_utterance_units(measured.raw.utterances, quantizer, utterances, "fp32", execution)
        build_pair_units(measured.raw.pairs, quantizer, pairs, "fp32", execution)
    except ValueError as error:
        raise ValueError(in_options(str(error))) from error
    if build_canonical_units(measured.raw, measured.canonical, execution) < 2:
        raise ValueError(
            f"{tokenizer.name} gives one id for everything that is said, as if it heard silence only; look at how it "
            "scales and resamples its input (float32 in [-1, 1], 16 kHz)."
        )
    stages = [read_stage(folder) for folder in (quantizer, measured.raw.utterances, measured.raw.pairs)]
    return Encoding(sum(stage["seconds"] for stage in stages), speech_seconds(corpus))


def speech_seconds(corpus: DiagnosisCorpus) -> float:
    """Length of all utterances and parts of pairs."""
    import io

    parts = chain(read_utterances(corpus.run.utterances()), read_pairs(corpus.run.pairs()))
    return sum(soundfile.info(io.BytesIO(data)).frames for _, data in parts) / SAMPLE_RATE


def share_of_equal_sides(units: UnitFolders) -> float:
    """Share of pairs whose two sides have the same units, which no model can tell apart."""
    equal = []
    for shard in sorted(units.pairs.glob("*/test-*.parquet")):
        table = pq.read_table(shard, columns=[f"{side}_units" for side in SIDES])
        sides = [table[name].to_pylist() for name in table.column_names]
        equal += [first == second for first, second in zip(*sides)]
    return float(np.mean(equal)) if equal else 0.0
