"""Everything that a diagnosis says in numbers, computed once: what figure, page and JSON are made of.

folders of tokenizers and anchors -> outcomes by training seed -> [`compute_diagnosis`] -> one dictionary. Accuracies
and their changes are fractions.
"""

from collections.abc import Sequence
from itertools import combinations

from ...metrics.tasks import TASKS
from ...models.files import read_json
from ..report.estimates import Outcomes, difference, headlines_by_seed
from ..report.results import INTERVALS
from ..run.environment import describe_commit, describe_device, describe_versions
from ..run.places import without_places
from .corpus import ANCHOR_RATES, DiagnosisCorpus, Measured, nearest_rate, phone_repeat_name
from .decomposition import RateAnchor, decompose, find_rate_anchor, interpolate
from .encoding import Encoding, share_of_equal_sides
from .measures import (
    accuracies,
    layer_accuracies,
    measure_changes,
    measure_units,
    outcomes_of,
    read_quality,
    read_trained,
    training_measures,
    unigram_bits,
)
from .tokenizer_specs import DiagnosedTokenizer
from .verdict import LEAST_COST, check_results, name_factors, next_steps

_SLOWER = 0.5  # the rate that a tokenizer's is compared with


def compute_diagnosis(
    tokenizers: Sequence[DiagnosedTokenizer],
    measured: Sequence[Measured],
    encodings: Sequence[Encoding],
    seeds: Sequence[int],
    corpus: DiagnosisCorpus,
) -> dict:
    """
    Compute all numbers of a diagnosis.

    Args:
        tokenizers (`Sequence[DiagnosedTokenizer]`): The tokenizers.
        measured (`Sequence[Measured]`): Where the models and scores of each lie.
        encodings (`Sequence[Encoding]`): What it took them to hear everything.
        seeds (`Sequence[int]`): Training seeds.
        corpus ([`DiagnosisCorpus`]): With the anchors.

    Returns:
        `dict`: `tasks`, `anchors` and `tokenizers` by name, `changes` between these two by two, `seeds`, `least_cost`,
        `intervals`, `corpus`, and what it was made with: `configuration, versions, commit, device`.
    """
    anchors = {anchor.name: _Trained(anchor, seeds) for anchor in corpus.anchors}
    described = {name: _describe_anchor(anchor, corpus) for name, anchor in anchors.items()}
    found = {
        tokenizer.name: _diagnose(tokenizer, place, encoding, seeds, anchors, described, corpus)
        for tokenizer, place, encoding in zip(tokenizers, measured, encodings)
    }
    return {
        "tasks": [task for task in TASKS if all(task in result["steps"] for result in found.values())],
        "seeds": list(seeds),
        "least_cost": LEAST_COST,
        "intervals": INTERVALS,
        "anchors": described,
        "tokenizers": found,
        "changes": _changes_between(measured, seeds),
        "corpus": read_json(corpus.run.corpus_summary),
        "configuration": without_places(corpus.arguments.to_dict()),
        "versions": describe_versions(),
        "commit": describe_commit(),
        "device": describe_device(corpus.execution.device),
    }


class _Trained:
    """What lies in the folder of a tokenizer or an anchor."""

    def __init__(self, measured: Measured, seeds: Sequence[int]):
        self.measured, self.seeds = measured, seeds
        self.part = read_trained(measured, seeds)
        self.outcomes: Outcomes = outcomes_of(self.part)


def _describe_anchor(anchor: _Trained, corpus: DiagnosisCorpus) -> dict:
    described = {"frame_rate": anchor.measured.frame_rate, "accuracies": accuracies(anchor.part, anchor.outcomes)}
    described |= training_measures(anchor.part, corpus)
    described["unigram_bits_per_second"] = unigram_bits(anchor.measured, corpus)
    described["layers"] = layer_accuracies(anchor.measured, anchor.seeds)
    return described | (measure_units(anchor.measured, corpus) if anchor.measured.is_of_units else {})


def _diagnose(
    tokenizer: DiagnosedTokenizer,
    place: Measured,
    encoding: Encoding,
    seeds: Sequence[int],
    anchors: dict[str, _Trained],
    described: dict[str, dict],
    corpus: DiagnosisCorpus,
) -> dict:
    """One tokenizer: its accuracies, the steps down to it, its measures, what is named and what to try next."""
    own, config, is_function = _Trained(place, seeds), tokenizer.units.config, tokenizer.is_function
    rate = find_rate_anchor(config.frame_rate, ANCHOR_RATES)
    slower = find_rate_anchor(config.frame_rate * _SLOWER, ANCHOR_RATES)
    steps, halved = {}, {}
    for task in TASKS:
        chain = [headlines_by_seed(anchors[name].outcomes, task) for name in ("text_bpe", "phone_raw")]
        by_rate = {each: headlines_by_seed(anchors[phone_repeat_name(each)].outcomes, task) for each in ANCHOR_RATES}
        repeated = interpolate(rate, by_rate)
        if step := decompose(*chain, repeated, headlines_by_seed(own.outcomes, task)):
            steps[task] = step
            if not slower.is_outside:
                halved[task] = difference(repeated, interpolate(slower, by_rate))["points"]
    result = {
        "label": tokenizer.name,
        "source": without_places(config.source),
        "frame_rate": config.frame_rate,
        "codebook_size": config.num_units,
        "encoding": _describe_encoding(encoding) if is_function else None,
        "rate_anchor": _describe_rate(rate),
        "steps": steps,
        "at_half_the_rate": halved,
        "accuracies": accuracies(own.part, own.outcomes),
        "layers": layer_accuracies(place, seeds),
        "equal_sides": share_of_equal_sides(place.canonical),
        "quality": read_quality(place, corpus),
        "unigram_bits_per_second": unigram_bits(place, corpus),
        "unit_edit_distance": measure_changes(tokenizer.units, corpus),
        "is_function": is_function,
    }
    result |= training_measures(own.part, corpus) | measure_units(place, corpus)
    phones = described[phone_repeat_name(nearest_rate(config.frame_rate))]
    stable = phones["word_stability"]["same_word_other_speaker"]["value"]
    result["phone_stability"] = {"frame_rate": phones["frame_rate"], "value": stable}
    result["factors"] = name_factors(steps)
    result["warnings"] = check_results(result)
    return result | {"next": next_steps(result, halved)}


def _changes_between(measured: Sequence[Measured], seeds: Sequence[int]) -> list[dict]:
    """Of every two tokenizers, in their order, what changes from the first to the second (`baseline`, `result`)."""
    outcomes = {place.name: _Trained(place, seeds).outcomes for place in measured}
    changes = []
    for baseline, result in combinations(outcomes, 2):
        by_task = {
            task: change
            for task in TASKS
            if (change := difference(*(headlines_by_seed(outcomes[name], task) for name in (baseline, result))))
        }
        changes.append({"baseline": baseline, "result": result, "by_task": by_task})
    return changes


def _describe_encoding(encoding: Encoding) -> dict:
    return {
        "seconds": encoding.seconds,
        "speech_seconds": encoding.speech_seconds,
        "real_time": encoding.real_time,
    }


def _describe_rate(anchor: RateAnchor) -> dict:
    return {
        "rate": anchor.rate,
        "lower": anchor.lower,
        "upper": anchor.upper,
        "weight": anchor.weight,
        "is_outside": anchor.is_outside,
    }
