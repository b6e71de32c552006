"""What the joint study adds to the report: what is inside the models, PELM, spoken tasks and their transfer, variants.

the study's results -> lines of markdown.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...models.scoring.retrieval import DIRECTIONS
from ..transcriber.evaluation import SECOND_HALVES
from .report import LABELS, estimate_of, retrieval_range, write_estimate

HELD_OUT = "held_out"
"""Voices of a test that no utterance of a corpus has."""
_HEADLINE = {"classification": "macro_f1", "entities": "f1"}
_MEASURES = {"classification": "macro-F1", "entities": "micro-F1 of (label, phrase)"}
_RULES = {
    "classification": "a logistic regression over which words, or units (a run of equal ones is one), an example has",
    "entities": "the same answer for all, of training's commonest entities; a list of its phrases, found in the text",
}
_SHARES = ("empty", "copied", "repeated", "same", "limit", "instant", "silent")


def study_lines(results: dict[str, Any]) -> list[str]:
    """
    The sections of a joint study.

    Args:
        results (`dict`): As `results.json` has them.

    Returns:
        `list[str]`: Lines of markdown.
    """
    lines = []
    if results["inside"]:
        lines += _inside_lines(results["inside"])
    lines += _pelm_lines(results["pelm"], results["pelm_estimates"], results["transcriber"])
    for task, found in results["slu"].items():
        lines += slu_lines(task, found, results["seeds"][0], results["test_voices"], results["asked"]["slu_method"])
    if results["variants"]:
        lines += _variant_lines(results)
    return lines


def _inside_lines(inside: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "",
        "## Inside the models",
        "",
        "Attention: of the units of an utterance behind its text, the share of which the token of text with the most "
        "attention is of their own word, in per cent, for the head where that is so most often (chosen on every "
        "second utterance, counted on the others). Beside it the token that lies as far into the text as the unit "
        "into the speech, and any token. Logit lens: of the words of speech alone, the share behind whose last unit "
        "the likeliest token of text is the first of that word, at the best layer (chosen the same way; 0 is the "
        "embeddings) and at the last; and what the commonest token would get.",
        "",
        "| trained on | own word, best head | same place | any token | its text, best layer | layers | last layer | "
        "commonest token |",
        "| :--- |" + " ---: |" * 7,
    ]
    for model, by_seed in inside.items():
        attention, lens = ([found[part] for found in by_seed.values()] for part in ("attention", "logit_lens"))
        layers = ", ".join(str(found["layer"][0]) for found in lens)
        cells = [
            _per_cent(attention, "best_head"),
            _per_cent(attention, "same_place"),
            _per_cent(attention, "any_token"),
            _per_cent(lens, "best_layer"),
            layers,
            _per_cent(lens, "last_layer"),
            _per_cent(lens, "commonest"),
        ]
        lines.append(f"| {LABELS[model]} | " + " | ".join(cells) + " |")
    return lines


def _per_cent(found: Sequence[dict[str, list[float]]], name: str) -> str:
    return write_estimate(estimate_of(100 * np.array([each[name] for each in found])), digits=1)


def _pelm_lines(
    pelm: dict[str, dict[str, Any]], estimates: dict[str, dict[str, Any]], transcriber: dict[str, Any]
) -> list[str]:
    first = next(iter(next(iter(pelm.values())).values()))
    directions = [found["directions"] for by_seed in pelm.values() for found in by_seed.values()]
    anchor = next(each for found in directions for each in found.values())
    settings = first["made_with"]
    transcribed = [each for found in directions for each in found.values() if "perplexity_true_transcribed" in each]
    errors = transcriber["transcripts"][SECOND_HALVES]["wer"]["value"]
    lines = [
        "",
        "## Continuations: PELM",
        "",
        f"The second half of {anchor['n']} utterances of the test split, generated from the first (temperature "
        f"{settings['temperature']:g}), brought to text where it is of units, and judged by another language model "
        "given the true text of the first half: perplexity a word of what does not copy its prompt (the geometric "
        "mean over training seeds, with its 95 % interval over prompts and trainings; of one training, over prompts "
        "alone); behind it what is left out as copied, in per cent. The true continuation has "
        f"{anchor['perplexity_true']:.3g}, and that of another utterance {anchor['perplexity_shuffled']:.3g}.",
    ]
    if transcribed:
        heard = f" of the true units has {transcribed[0]['perplexity_true_transcribed']:.3g}"
        wer = f" (its word error rate is {100 * errors:.0f} %)"
        lines[-1] += (
            f" What the transcriber makes{heard}{wer}: u2u and t2u are of units, and cannot be expected below that."
        )
    lines += ["", "| trained on | " + " | ".join(DIRECTIONS) + " |", "| :--- |" + " ---: |" * len(DIRECTIONS)]
    for model, by_seed in pelm.items():
        own = [found["directions"] for found in by_seed.values()]
        cells = [
            _pelm_cell([each[name] for each in own], estimates[model][name]) if name in own[0] else ""
            for name in DIRECTIONS
        ]
        lines.append(f"| {LABELS[model]} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Shares of the continuations, in per cent, means over training seeds: no text; half or more copied from the "
        "prompt; repetitive; the same as another; cut at the greatest length; ended at once; units that say nothing.",
        "",
        "| trained on | direction | " + " | ".join(_SHARES) + " |",
        "| :--- | :--- |" + " ---: |" * len(_SHARES),
    ]
    for model, by_seed in pelm.items():
        for name in DIRECTIONS:
            own = [found["directions"][name]["shares"] for found in by_seed.values() if name in found["directions"]]
            if own:
                means = (np.mean([each[share]["share"] for each in own]) for share in _SHARES)
                lines.append(
                    f"| {LABELS[model]} | {name} | " + " | ".join(f"{100 * mean:.0f}" for mean in means) + " |"
                )
    return lines


def _pelm_cell(trainings: Sequence[dict[str, Any]], estimate: dict[str, Any] | None) -> str:
    if estimate is None:
        return "none scored"
    low, high = estimate["ci_low"], estimate["ci_high"]
    if len(trainings) == 1:
        low, high = (trainings[0][f"{end}_not_copied"] for end in ("ci_low", "ci_high"))
    interval = "" if low is None or np.isnan(low) else f" [{low:.3g}, {high:.3g}]"
    copied = 100 * np.mean([each["shares"]["copied"]["share"] for each in trainings])
    return f"{estimate['perplexity']:.3g}{interval}, {copied:.0f} %"


def slu_lines(task: str, found: dict[str, Any], seed: int, test_voices: str, method: str) -> list[str]:
    """
    The section of a spoken task.

    Args:
        task (`str`): Its name.
        found (`dict`): `task`, `rules` by what they read, and of `models` by what they were trained and tested on.
        seed (`int`): Of the training whose models were fine-tuned.
        test_voices (`str`): In which the test was spoken.
        method (`str`): Of the fine-tuning, `"full"` or `"lora"`.

    Returns:
        `list[str]`: Lines of markdown.
    """
    kind, sizes = found["task"]["kind"], found["task"]["sizes"]
    has_own = test_voices == HELD_OUT
    in_voices = "in voices that nothing else was said in" if has_own else "in the voices of training"
    trained = "all weights of" if method == "full" else "LoRA on"
    measure = f"{_MEASURES[kind][0].upper()}{_MEASURES[kind][1:]}"
    lines = [
        "",
        f"## Spoken language understanding: {task}",
        "",
        f"{sizes['train']:,} examples to train on and {sizes['test']:,} to test, {in_voices}; {trained} the models of "
        f"training seed {seed}. {measure} in per cent, and in brackets how "
        "many points more than with the input of another example (95 % intervals over examples: not over trainings). "
        "Trained and tested on different modalities is zero-shot transfer. In italics what is reached without a "
        "language model: " + _RULES[kind] + ".",
        "",
        "| trained on | speech to speech | speech to text | text to text | text to speech |",
        "| :--- |" + " ---: |" * 4,
    ]
    ways = [("speech", "speech"), ("speech", "text"), ("text", "text"), ("text", "speech")]
    for model, by_input in found["models"].items():
        cells = [_slu_cell(by_input[trained][tested][_HEADLINE[kind]]) for trained, tested in ways]
        lines.append(f"| {LABELS[model]} | " + " | ".join(cells) + " |")
    for way, (trained, tested) in enumerate(ways):
        for name, measures in found["rules"].get(trained, {}).items() if trained == tested else ():
            cells = [""] * len(ways)
            cells[way] = f"{100 * measures[_HEADLINE[kind]]['mean']:.1f}"
            lines.append(f"| *{name}* | " + " | ".join(cells) + " |")
    noisy = sorted({name for by in found["models"].values() for name in by["speech"]} - {"speech", "text"})
    if noisy:
        lines += ["", "Trained on speech and tested in noise:", ""]
        lines += ["| trained on | " + " | ".join(noisy) + " |", "| :--- |" + " ---: |" * len(noisy)]
        for model, by_input in found["models"].items():
            cells = [_slu_cell(by_input["speech"][name][_HEADLINE[kind]]) for name in noisy]
            lines.append(f"| {LABELS[model]} | " + " | ".join(cells) + " |")
    return lines


def _slu_cell(measure: dict[str, Any]) -> str:
    gain = measure["difference"]
    return (
        f"{100 * measure['mean']:.1f} ({gain['points']:+.1f} [{gain['points_low']:+.1f}, {gain['points_high']:+.1f}])"
    )


def _variant_lines(results: dict[str, Any]) -> list[str]:
    variants = results["variants"]
    lines = [
        "",
        "## Other mixtures of CST + AST",
        "",
        f"One training each (seed {results['seeds'][0]}): bits a word of text and of speech, alone and after the "
        "other, and context retrieval. Nothing here is shown: differences may be those of trainings.",
        "",
        "| | text | text after speech | speech | speech after text | " + " | ".join(DIRECTIONS) + " |",
        "| :--- |" + " ---: |" * (4 + len(DIRECTIONS)),
    ]
    for name, found in variants.items():
        bits = [write_estimate(estimate) for estimate in found["bits"].values()]
        retrieval = found.get("retrieval", {})
        ranges = [retrieval_range(retrieval[each]["context"]) if each in retrieval else "" for each in DIRECTIONS]
        lines.append(f"| {name} | " + " | ".join(bits + ranges) + " |")
    return lines
