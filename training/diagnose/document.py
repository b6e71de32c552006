"""The page of a diagnosis: what is named, the figure, a few tables, what to try next.

results -> [`write_document`] -> Markdown, which `report/page.py` makes the page of.
"""

from ...metrics.tasks import TASKS
from ..report.figures import Figure
from ..report.formatting import (
    MISSING,
    count,
    duration,
    items,
    listing,
    markdown_table,
    number,
    percent,
    rate,
    with_interval,
)
from .corpus import anchor_label
from .decomposition import STEPS
from .verdict import CHANCE, describe_verdict
from .waterfall import Waterfall


def write_document(results: dict, figures: dict[str, Waterfall | Figure]) -> str:
    """
    Write the page.

    Args:
        results (`dict`): As `compute_diagnosis` gives them.
        figures (`dict[str, Waterfall | Figure]`): `waterfall` and `layers`.

    Returns:
        `str`: Markdown.
    """
    parts = [
        _head(results),
        _warnings(results),
        _figure(figures["waterfall"]),
        "## Steps\n\n" + _steps(results),
        _against_each_other(results),
        "## What to try next\n\n" + _next(results),
        "## Accuracies\n\n" + _accuracies(results),
        "## Units\n\n" + _units(results),
        "## More training\n\n" + _scaling(results),
        "## Layers\n\n" + _layers(results) + "\n\n" + _figure(figures["layers"]),
        "## How it was made\n\n" + _how(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(results: dict) -> str:
    tokenizers = results["tokenizers"]
    lines = [f"# Diagnosis of {listing(list(tokenizers))}", ""]
    lines += [f"- {describe_verdict(name, result)}" for name, result in tokenizers.items()]
    return "\n".join(lines)


def _warnings(results: dict) -> str:
    warnings = [
        f"- **{name}**: {warning}" for name, result in results["tokenizers"].items() for warning in result["warnings"]
    ]
    return "**Look at this first.**\n\n" + "\n".join(warnings) if warnings else ""


def _steps(results: dict) -> str:
    rows = []
    for name, result in results["tokenizers"].items():
        for task in results["tasks"]:
            found, named = result["steps"][task], result["factors"]["by_task"][task]
            cells = []
            for step in STEPS:
                text = with_interval(found["steps"][step]["points"], sign=True)
                cells.append(f"**{text}**" if step in named else text)
            gap = found["gap"]["points"]
            rows.append([name, TASKS[task].label, *cells, with_interval(gap, sign=True), _shares(found)])
    table = markdown_table(
        ["Tokenizer", "Task", *(step.capitalize() for step in STEPS), "Gap to Text-BPE", "Shares of the gap"],
        rows,
        left=2,
    )
    pairs = items(
        result["steps"][task]["gap"]["n_pairs"]
        for result in results["tokenizers"].values()
        for task in results["tasks"]
    )
    outside = [
        f"{name} has {rate(result['frame_rate'])} ids a second, beyond all anchors: Phone-Repeat at "
        f"{rate(result['rate_anchor']['lower'])} Hz stands in, and what its rate costs beyond that is counted as "
        "variability."
        for name, result in results["tokenizers"].items()
        if result["rate_anchor"]["is_outside"]
    ]
    how = (
        "Changes of accuracy in points. **Alphabet**: Text-BPE to Phone-Raw. **Length**: Phone-Raw to Phone-Repeat at "
        "the tokenizer's rate, between two anchors by the logarithm of the rate. **Variability**: from there to the "
        f"tokenizer. The three add up to the gap exactly; {pairs}, intervals of 95 % over pairs and "
        f"{len(results['seeds'])} training seeds, as the study's. Named, in bold: intervals below zero and at least "
        f"{percent(results['least_cost'])} points."
    )
    return "\n\n".join([how, table, *outside, *_nothing_left(results)])


def _against_each_other(results: dict) -> str:
    """What changes from one tokenizer to another, where there are several."""
    rows = []
    for change in results["changes"]:
        cells = []
        for task in results["tasks"]:
            points = change["by_task"][task]["points"]
            text = with_interval(points, sign=True)
            cells.append(f"**{text}**" if points["low"] > 0 or points["high"] < 0 else text)
        rows.append([f"{change['baseline']} to {change['result']}", *cells])
    if not rows:
        return ""
    how = (
        "Changes of accuracy in points from one tokenizer to another, on the same pairs and training seeds, with "
        "intervals as above. In bold: shown, the whole interval on one side of zero."
    )
    head = ["From, to", *(TASKS[task].label for task in results["tasks"])]
    return "\n\n".join(["## Against each other", how, markdown_table(head, rows)])


def _nothing_left(results: dict) -> list[str]:
    """Where phones at a tokenizer's rate are at chance already, variability has nothing left to cost."""
    found = []
    for name, result in results["tokenizers"].items():
        tasks = [
            TASKS[task].label
            for task in results["tasks"]
            if result["steps"][task]["levels"]["phone_repeat"]["low"] <= CHANCE
        ]
        if tasks:
            found.append(
                f"{name}: on {listing(tasks)} phones at its rate are not shown above chance, so that variability has "
                "nothing left to cost there, and nothing can be read off it."
            )
    return found


def _shares(found: dict) -> str:
    """How much of the gap each step is, where there is a gap."""
    gap = found["gap"]["points"]
    if gap["high"] >= 0:
        return "no gap is shown"
    shares = (100 * found["steps"][step]["points"]["value"] / gap["value"] for step in STEPS)
    return " / ".join(number(share, 0) for share in shares) + " %"


def _next(results: dict) -> str:
    parts = []
    for name, result in results["tokenizers"].items():
        parts.append(f"**{name}**\n\n" + "\n".join(f"- {sentence}" for sentence in result["next"]))
    return "\n\n".join(parts)


def _accuracies(results: dict) -> str:
    rows = []
    everything = {anchor_label(name): found for name, found in results["anchors"].items()} | results["tokenizers"]
    for name, found in everything.items():
        cells = []
        for task in results["tasks"]:
            accuracy = found["accuracies"].get(task)
            cells.append(_accuracy(accuracy) if accuracy else MISSING)
        rows.append([name, *cells])
    heads = [f"{TASKS[task].label} ({TASKS[task].rule})" for task in results["tasks"]]
    return (
        "In per cent, with intervals; behind the semicolon the best n-gram over the same ids. Bold: "
        "above chance.\n\n" + markdown_table(["Model of", *heads], rows)
    )


def _accuracy(accuracy: dict) -> str:
    headline = accuracy["headline"]
    text = with_interval(headline, spread=False)
    text = f"**{text}**" if headline["low"] > 0.5 else text
    if best := accuracy.get("best_ngram"):
        text += f"; {best['name'].removeprefix('ngram')}-gram {percent(best['value'])}"
    return text


def _units(results: dict) -> str:
    rows = []
    anchors = {anchor_label(name): found for name, found in results["anchors"].items() if "word_stability" in found}
    for name, found in (anchors | results["tokenizers"]).items():
        stable, bits = found["word_stability"], found["losses"].get("best", {})
        rows.append(
            [
                name,
                rate(found["tokens_per_second"]),
                count(found["vocab_size"]),
                number(found["bits_per_second"]),
                number(bits.get("bits_per_second")),
                number(found["unigram_bits_per_second"]),
                percent(stable["same_word_same_speaker"]["value"]),
                percent(stable["same_word_other_speaker"]["value"]),
                percent(stable["abx_across_speaker"]["value"]),
                *(number(found.get("quality", {}).get(name), 3) for name in ("pnmi", "pnmi_of_others")),
            ]
        )
    head = ["Units", "tokens/s", "ids in use", "bits/s of a token", "bits/s of the model", "bits/s of a unigram"]
    head += ["word, same speaker", "word, other speaker", "ABX, other speaker", "PNMI", "by chance"]
    how = (
        "Of held-out utterances. Ids in use have the four special tokens with them. A word's units: the share that "
        "changes from one token of it to another, by the same or another speaker (edit distance, in per cent). ABX: "
        "how often another word is nearer, in per cent. PNMI: the share of the phones' "
        "information; by chance: of the phones of other utterances."
    )
    parts = [how, markdown_table(head, rows), _changes(results), _encoding(results)]
    return "\n\n".join(part for part in parts if part)


def _changes(results: dict) -> str:
    """Unit edit distance, of functions."""
    rows, labels = [], {}
    for name, result in results["tokenizers"].items():
        found = {row["perturbation"]: row for row in result["unit_edit_distance"]["rows"]}
        labels |= {key: row["label"] for key, row in found.items()}
        if found:
            rows.append((name, found))
    tables = [name for name, result in results["tokenizers"].items() if not result["is_function"]]
    notes = (
        f"Unit edit distance of {listing(tables)} is not measured: a table of units has none of perturbed sound."
        if tables
        else ""
    )
    if not rows:
        return notes
    cells = [
        [name, *(with_interval(found[key], spread=False) if key in found else MISSING for key in labels)]
        for name, found in rows
    ]
    how = "Unit edit distance: how many units of an utterance change where only its sound does, in per cent."
    return "\n\n".join(part for part in (how, markdown_table(["Units", *labels.values()], cells), notes) if part)


def _encoding(results: dict) -> str:
    """How long it took functions; the ids of a table are looked up."""
    parts = [
        f"{name} took {duration(result['encoding']['seconds'])} for "
        f"{duration(result['encoding']['speech_seconds'])} of speech"
        for name, result in results["tokenizers"].items()
        if result["is_function"]
    ]
    return f"Encoding: {'; '.join(parts)}." if parts else ""


def _scaling(results: dict) -> str:
    rows = []
    everything = {anchor_label(name): found for name, found in results["anchors"].items()} | results["tokenizers"]
    for name, found in everything.items():
        lines = [found["scaling"].get(task, {}).get("line") for task in results["tasks"]]
        rows.append([name, *(with_interval(line, sign=True, spread=False) for line in lines)])
    head = ["Model of", *(TASKS[task].label for task in results["tasks"])]
    return (
        "Points of accuracy for ten times the tokens, the slope of a straight line through the points along the "
        "trainings, which have not decayed.\n\n" + markdown_table(head, rows)
    )


def _layers(results: dict) -> str:
    rows = []
    everything = {anchor_label(name): found for name, found in results["anchors"].items()} | results["tokenizers"]
    for name, found in everything.items():
        if not found["layers"]:  # an anchor of another rate
            continue
        cells = []
        for task in results["tasks"]:
            layers = found["layers"].get(task)
            half = layers["half"] if layers else None
            cells.append(f"{half} of {len(layers['accuracies']) - 1}" if half is not None else MISSING)
        rows.append([name, *cells])
    return (
        "The first layer at or above half of the last one's gain over 50 %, read through the output layer; 0 are the "
        "embeddings. Not given where the last layer is not above chance.\n\n"
        + markdown_table(["Model of", *(TASKS[task].label for task in results["tasks"])], rows)
    )


def _figure(figure: Waterfall | Figure) -> str:
    return f"![{figure.caption}]({figure.name}.png)\n\n*{figure.caption}*"


def _how(results: dict) -> str:
    corpus, made = results["corpus"], results["configuration"]
    model, protocol = made["model"], made["pretrain"]
    hours = sum(corpus["seconds"].values()) / 3600
    lines = [
        f"Corpus: {sum(corpus['words'].values()):,} words, {number(hours)} h, {corpus['speakers']} speakers, "
        f"{made['corpus']['corpus']}, seed {made['corpus']['corpus_seed']}.",
        f"Models: {model['num_hidden_layers']} layers of {model['hidden_size']}, {protocol['epochs']:g} epochs, "
        f"training seeds {listing([str(seed) for seed in results['seeds']])}, of every tokenizer and anchor.",
        "Ids are numbered anew in the order in which they first occur, so that a permutation of a tokenizer's ids "
        "changes nothing.",
        f"Made by evoslm {results['versions']['evoslm']}, commit {results['commit'] or 'unknown'}, on "
        f"{results['device']}. `results.json` has all numbers, settings and versions.",
    ]
    return "\n".join(f"- {line}" for line in lines)
