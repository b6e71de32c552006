"""What the numbers say: which step costs, on which task, and what to try next.

steps with intervals -> [`name_factors`] -> the factors that are named, by task -> [`next_steps`], by the failure
signatures of 2412.17048 (Sections 5.1 and 6); and [`check_results`], what looks like a mistake in the data.
"""

from ...metrics.tasks import TASKS
from ..report.formatting import interval, listing, number, percent
from .decomposition import STEPS

LEAST_COST = 0.02
"""
Accuracy, as a fraction, that a step has to cost to be named, beside an interval that leaves zero out. As it
stood before any tokenizer was diagnosed (docs/diagnose.md).
"""
_LEAST = f"{100 * LEAST_COST:g}"
CHANCE = 0.5
SIGN_ERROR = 0.4
"""An accuracy below this is not chance: the wrong side is preferred."""
LEAST_PHONE_SHARE = 0.1
"""
Of the phones' information that the units of any tokenizer that hears the right utterances have, above what they say of
the phones of other utterances.
"""
LEAST_SAVING = 0.05
"""
Of a unigram's bits that a trained model of any tokenizer saves. Shuffled ids leave what an utterance's own frequencies
tell, which is 3 % of phones at 50 Hz; of phones with 30 % random frames a model saves 38 % (docs/diagnose.md).
"""


def name_factors(steps_by_task: dict[str, dict]) -> dict:
    """
    The steps that are shown to cost something.

    Args:
        steps_by_task (`dict[str, dict]`): By task, as [`decompose`] gives it.

    Returns:
        `dict`: `by_task`, the named steps of each task, the dearest first; and `named`, those of any task, in the
        order of what they cost where they cost most.
    """
    by_task, dearest = {}, {}
    for task, found in steps_by_task.items():
        costs = {
            step: -change["points"]["value"] for step, change in found["steps"].items() if _is_loss(change["points"])
        }
        by_task[task] = sorted(costs, key=lambda step: -costs[step])
        for step, cost in costs.items():
            dearest[step] = max(cost, dearest.get(step, 0.0))
    return {"by_task": by_task, "named": sorted(dearest, key=lambda step: -dearest[step])}


def describe_verdict(name: str, result: dict) -> str:
    """What is named, in a sentence or two."""
    named, by_task = result["factors"]["named"], result["factors"]["by_task"]
    if not named:
        return f"**{name}**: no step from text to its units is shown to cost {_LEAST} points or more at this size."
    parts = []
    for step in named:
        costs = [
            f"{TASKS[task].label} {percent(-change['value'])} {interval(_negative(change))}"
            for task, found in result["steps"].items()
            if step in by_task[task] and (change := found["steps"][step]["points"])
        ]
        parts.append(f"{step} costs {listing(costs)}")
    quiet = [step for step in STEPS if step not in named]
    unshown = f" {listing(quiet).capitalize()}: nothing of {_LEAST} points or more is shown." if quiet else ""
    return f"**{name}**: {'; '.join(parts)} points.{unshown}"


def next_steps(result: dict, halved: dict[str, dict]) -> list[str]:
    """
    What to try next, by the failure signatures of 2412.17048.

    Args:
        result (`dict`): Of a tokenizer: `factors, steps, accuracies, scaling, frame_rate, word_stability` and others.
        halved (`dict[str, dict]`): By task, `value, low, high` of how much better Phone-Repeat is at half the rate:
            what a lower rate could give back at most. Empty where no anchor is that slow.

    Returns:
        `list[str]`: Sentences, the most urgent first.
    """
    by_task, named = result["factors"]["by_task"], result["factors"]["named"]
    words, advice = result["steps"].get("swuggy"), []
    if words and words["levels"]["phone_repeat"]["low"] <= CHANCE:
        advice.append(
            "Phones at this rate are not shown above chance on words either: this corpus is too small for its rate. "
            "Take a larger preset (`--preset laptop`), or a lower rate."
        )
    elif words and words["levels"]["tokenizer"]["low"] <= CHANCE:
        at_chance = "variability" in by_task["swuggy"] and words["levels"]["tokenizer"]["high"] >= CHANCE
        advice.append(
            "Words are at chance, the paper's signature of variability (its factor C): the same word has too many "
            "spellings to be learned, and nothing can be read off syntax and topics before that changes."
            if at_chance
            else "Words are not shown above chance, and nothing can be read off syntax and topics before that changes."
        )
    if "variability" in named:
        stable, phones = result["word_stability"]["same_word_other_speaker"], result["phone_stability"]
        advice.append(
            f"Variability: of a word's units {percent(stable['value'])} % change from one speaker to another "
            f"(a phone transcript at {phones['frame_rate']:g} Hz: {percent(phones['value'])} %). Normalise by "
            "speaker, take a deeper layer, train the tokenizer on perturbed speech, or use fewer units; collapsing "
            "runs does not help against it."
        )
    if "length" in named:
        gains = [
            f"{TASKS[task].label} {percent(gain['value'], sign=True)}"
            for task, gain in halved.items()
            if _is_loss(_negative(gain))
        ]
        could = (
            f" Phones at half the rate do better by {listing(gains)} points, which is about what a lower rate can "
            "give back."
            if gains
            else ""
        )
        lost = [TASKS[task].label for task in by_task if "length" in by_task[task]]
        signature = " Syntax falls and words stay, the paper's signature of length (its factor B)." * (
            "sBLIMP" in lost and "sWUGGY" not in lost
        )
        advice.append(
            f"Length: {number(result['tokens_per_second'])} tokens a second.{signature} Lower the frame rate, write "
            "runs once, join them into pieces, or pool over syllables (Speech-Dedup, Speech-BPE, Speech-Syllable)."
            + could
        )
    if "alphabet" in named:
        advice.append(
            "Alphabet: phones instead of letters cost here, too. Supervision by meaning is the paper's remedy: text "
            "aligned with words beside the units (`evoslm pretrain-joint`, AST)."
        )
    for task, entry in result["scaling"].items():
        line = entry.get("line")
        if line and _is_loss(line):
            advice.append(
                f"{TASKS[task].label} falls with more training ({percent(line['value'], sign=True)} points for ten "
                "times the tokens), the paper's sign that its alphabet carries too little meaning."
            )
    if not advice:
        advice.append(
            "Nothing at this size: a larger corpus (`--preset laptop`, or your own) separates it from phones."
        )
    return advice


def check_results(result: dict) -> list[str]:
    """
    What looks like a mistake and not like a property of a tokenizer.

    Args:
        result (`dict`): Of a tokenizer: `accuracies, losses, unigram_bits_per_second` and `quality`.

    Returns:
        `list[str]`: A sentence a warning.
    """
    warnings = []
    for task, found in result["accuracies"].items():
        value = found["headline"]["value"]
        if value < SIGN_ERROR and found["headline"]["high"] < CHANCE:  # and no chance of few pairs
            warnings.append(
                f"{TASKS[task].label} is at {percent(value)} %, far below chance: the sides of pairs may be swapped, "
                "or their names shifted in the table."
            )
    bits, unigram = result["losses"].get("best", {}).get("bits_per_second"), result["unigram_bits_per_second"]
    if bits is not None and bits > (1 - LEAST_SAVING) * unigram:
        warnings.append(
            f"The model needs {number(bits)} bits a second and a unigram {number(unigram)}: next to nothing was "
            "learned of what follows what, as if the ids of each utterance were shuffled, or the training was too "
            "short."
        )
    phones, chance = (result["quality"].get(name) for name in ("pnmi", "pnmi_of_others"))
    if phones is not None and phones - chance < LEAST_PHONE_SHARE:
        warnings.append(
            f"The units say {percent(phones)} % of what the phones are, and {percent(chance)} % of what those of "
            "other utterances are: they may not be of the utterances that they stand beside, or in another order, or "
            "of silence."
        )
    return warnings


def _is_loss(change: dict) -> bool:
    """Whether a change of accuracy is shown to be one for the worse, and large enough to be named."""
    return change["high"] < 0 and -change["value"] >= LEAST_COST


def _negative(change: dict) -> dict:
    """The same change in the other direction."""
    return {"value": -change["value"], "low": -change["high"], "high": -change["low"]}
