"""What a tokenizer's units cost and how stable they are, without a language model; and what its models make of them.

canonical units of held-out utterances -> rates, bits, word stability; a function that can be called again -> unit edit
distance; scores and training records -> accuracies, n-grams, lines over tokens, bits a second beside the unigram's.
"""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np
import pyarrow.parquet as pq

from ...metrics.tasks import TASKS
from ...models.files import read_json
from ...models.modalities import get_modality
from ...models.unit_quality.stability import WordDraws, WordTokens, token_rates, word_stability
from ..analysis.layers.accuracies import read_layers
from ..external_units.tables import TableUnits
from ..report.curves.learning_curves import points_along_the_way, scaling_by_task, validation_losses
from ..report.estimates import Outcomes, estimate, estimates, headline_outcomes, headlines_by_seed, task_outcomes
from ..report.results import NGRAMS
from ..report.run_folder import ModalityRun, read_modality
from ..run.folder import QUALITY_FILE, SUMMARY_FILE
from ..stages.units.quality import measure_pnmi_of_others
from ..unit_report.encoding import encode_batch, frames_of, spelled_alike
from ..unit_report.perturbation import PERTURBATIONS, draw_recordings, measure_perturbations
from ..unit_report.sources import open_recordings
from .canonical_units import count_canonical_units
from .corpus import DiagnosisCorpus, Measured

HELD_OUT = ("validation", "test")
PERTURBED = ("pitch_up", "fast", "noise_20", "noise_10", "reverberation")
"""Perturbations whose unit edit distance is measured: each by something else, and all that every machine can make."""
_RECORDINGS = 12
_DRAWS_PER_WORD = 20
_SEED = 0


def read_trained(measured: Measured, seeds: Sequence[int]) -> ModalityRun:
    """
    What the trainings of some seeds and their scores left in the folder of a tokenizer or an anchor, where those of
    other seeds may lie, too.
    """
    return read_modality(measured.run, get_modality(measured.modality), measured.name, seeds)


def outcomes_of(part: ModalityRun) -> Outcomes:
    """Outcomes of the pairs by the models of each training seed."""
    return {seed: task_outcomes(items) for seed, items in part.items.items()}


def accuracies(part: ModalityRun, outcomes: Outcomes) -> dict[str, dict]:
    """
    By task, `headline` as `estimate` gives it, and the best n-gram over the same ids (`best_ngram`: its name, and its
    accuracy as `value`).
    """
    found = {}
    baselines = {} if part.baselines is None else task_outcomes(part.baselines, [f"{name}_" for name in NGRAMS])
    for task, entry in TASKS.items():
        by_seed = headlines_by_seed(outcomes, task)
        if not by_seed:
            continue
        found[task] = {"headline": estimate(by_seed)}
        if task in baselines:
            columns = {f"{name}_{entry.rule}": name for name in NGRAMS}
            scored = headline_outcomes(baselines, task)[list(columns)].rename(columns=columns)
            ngrams = estimates({0: scored})
            best = max(ngrams, key=lambda name: ngrams[name]["value"])
            found[task]["best_ngram"] = {"name": best, "value": ngrams[best]["value"]}
    return found


def training_measures(part: ModalityRun, corpus: DiagnosisCorpus) -> dict:
    """Lines over tokens by task (`scaling`), validation loss (`losses`), and what the trainings took."""
    seconds = [training["train_seconds"] for training in part.trainings.values() if training.get("train_seconds")]
    return {
        "scaling": scaling_by_task(part, points_along_the_way(part)),
        "losses": validation_losses(part, read_json(corpus.run.corpus_summary)),
        "vocab_size": part.tokenizer.get("vocab_size"),
        "tokens_per_second": part.tokenizer.get("tokens_per_second"),
        "train_tokens": part.tokenizer.get("train_tokens"),
        "parameters": next(iter(part.trainings.values()), {}).get("parameters"),
        "epochs": fmean(training["epochs"] for training in part.trainings.values()) if part.trainings else None,
        "train_seconds": fmean(seconds) if seconds else None,
    }


def layer_accuracies(measured: Measured, seeds: Sequence[int]) -> dict:
    """
    By task, the accuracy of each layer of the models of some training seeds by the headline's rule (`accuracies`, as
    `estimate` gives it, that of the embeddings first), and the first layer at or above half of the last one's gain
    over 50 % (`half`).
    """
    found = read_layers(measured.layers, {measured.modality: measured.name}, {measured.modality: seeds})
    return {
        task: {"accuracies": layers["rules"][TASKS[task].rule], "half": layers["half"]}
        for task, layers in found.get(measured.modality, {"tasks": {}})["tasks"].items()
    }


def unigram_bits(measured: Measured, corpus: DiagnosisCorpus) -> float:
    """
    Bits a second that the validation utterances cost a model that knows how often each id occurs in training and
    nothing else; an end of an utterance is a token, as it is for the language models.
    """
    from ..pretrain.data import TokenizedUtterances

    folder = measured.run.tokenizer(measured.modality)
    summary = read_json(folder / SUMMARY_FILE)
    train, validation = (TokenizedUtterances(folder, split, 0, 0) for split in ("train", "validation"))
    counts = np.bincount(train.ids, minlength=summary["vocab_size"]).astype(float)
    counts += 1  # for ids that training lacks
    total = counts.sum() + len(train)
    nats = -np.log(counts[validation.ids] / total).sum() - len(validation) * math.log(len(train) / total)
    return float(nats / math.log(2) / summary["validation_seconds"])


def measure_units(measured: Measured, corpus: DiagnosisCorpus) -> dict:
    """
    Rates and word stability of the units of held-out utterances, as they are: `tokens_per_second`, `bits_per_second`,
    `perplexity`, `units_used`, and [`word_stability`]'s measures. The words that are compared are the same for all
    tokenizers.
    """
    words, speakers, units, sequences, seconds = [], [], [], [], 0.0
    for split in HELD_OUT:
        for shard in sorted(corpus.run.utterances().glob(f"{split}-*.parquet")):
            rows = pq.read_table(shard, columns=["id", "words", "speaker", "duration"]).to_pylist()
            encoded = pq.read_table(measured.canonical.utterances / shard.name).to_pylist()
            for row, found in zip(rows, encoded):
                sequence = np.asarray(found["units"], np.int64)
                sequences.append(sequence)
                seconds += row["duration"]
                for word in row["words"]:
                    spelled = spelled_alike(word["word"])
                    first, last = frames_of(word, measured.frame_rate)
                    if spelled and 0 <= first < len(sequence):
                        words.append(spelled)
                        speakers.append(row["speaker"])
                        units.append(sequence[first : last + 1].tolist())
    size = 1 + max((int(sequence.max()) for sequence in sequences if len(sequence)), default=0)
    draws = WordDraws(words, speakers, _DRAWS_PER_WORD, _SEED)
    stability = word_stability(WordTokens(words, speakers, units), draws, _SEED)
    plain = {
        kind: {name: value for name, value in found.items() if name != "by_word"} for kind, found in stability.items()
    }
    return token_rates(sequences, seconds, size) | {"word_stability": plain}


def measure_changes(units, corpus: DiagnosisCorpus) -> dict:
    """
    Unit edit distance under [`PERTURBED`], as [`measure_perturbations`] gives it; a table has none of perturbed sound.
    """
    recordings = open_recordings(corpus.run.utterances(), HELD_OUT)
    documents = {document for document, split in recordings.documents.items() if split in HELD_OUT}
    total = sum(len(batch) for batch in recordings.read(documents))
    drawn = draw_recordings(recordings.read(documents), total, _RECORDINGS, _SEED)
    models = {units.config.normalization: units}
    encode = None if isinstance(units, TableUnits) else partial(encode_batch, models)
    return measure_perturbations(drawn, encode, {name: PERTURBATIONS[name] for name in PERTURBED}, _SEED)


def read_quality(measured: Measured, corpus: DiagnosisCorpus) -> dict:
    """
    What the units say of phones, as it was measured when they were made: `pnmi`, `phone_purity`, ...; and
    `pnmi_of_others`, what they say of the phones of other utterances, which is chance.
    """
    count = count_canonical_units(measured.canonical)
    chance = measure_pnmi_of_others(corpus.run.utterances(), measured.canonical.utterances, count, measured.frame_rate)
    return read_json(Path(measured.raw.utterances) / QUALITY_FILE) | {"pnmi_of_others": chance}
