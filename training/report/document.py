"""The report as one Markdown document: sentences, tables and figures in the order in which they are read.

`compute_results` + names of the figures -> `write_document` -> the text of `report.md`, from which the page is made.
"""

import yaml

from ...metrics.tasks import TASKS
from . import factor_table, lead, prose, tables
from .curves.equal_flops import equal_flops_table
from .figures import Figure
from .formatting import NBSP, listing, percent
from .results import PAPER_CHANGE, trainings_of_models
from .unit_source import describe_lost_phones, describe_source


def write_document(results: dict, figures: dict[str, Figure]) -> str:
    """
    Write the report.

    Args:
        results (`dict`): As `compute_results` gives them.
        figures (`dict[str, Figure]`): As `draw_figures` gives them; each lies beside the report as `<name>.png`.

    Returns:
        `str`: Markdown.
    """
    parts = [
        "# What each step from text to speech costs a language model",
        _figure(figures, "accuracies"),
        "\n".join(f"- {sentence}" for sentence in lead.say_costs(results)),
        lead.say_how_sure(results),
        "## What shows" if results["shows"] else "## What came out",
        prose.describe_run(results),
        "\n".join(f"- {statement}" for statement in prose.summarize(results)),
        _how_to_read(results),
        *_modalities(results),
        *_accuracies(results),
        *_factors(results, figures),
        *_distances(results, figures),
        *_scaling(results, figures),
        *_losses(results, figures),
        *_units(results),
        *_transfer(results),
        *_items(results),
        *_rules_and_groups(results),
        *_analysis(results),
        *_settings(results),
        *_missing(results),
    ]
    return "\n\n".join(part for part in parts if part).replace(" %", f"{NBSP}%") + "\n"


def _how_to_read(results: dict) -> str:
    paper = results["paper"]
    speech = " ‡: of the paper's Speech-HuBERT." if "speech_units" in results["modalities"] else ""
    return (
        f"**How to read this.** {_signs(results)}"
        f"The paper is [{paper['paper']}]({paper['url']}) ({paper['setting']}). *Its own "
        f"figures are in italics*; none of them was measured here.{speech} It gives no intervals, so a change of less "
        f"than {PAPER_CHANGE:.0f} per cent of the accuracy counts as none. {_intervals(results)} In intervals a pair "
        "stays together with all its voices and its mirrored twin, in a cluster; they are not corrected for their "
        f"number. All numbers are in [results.json](results.json), where each interval says what it is over."
    )


def _intervals(results: dict) -> str:
    """By which rule the intervals are made."""
    statistics = results["statistics"]
    drawn = f"{statistics['resamples']:,} resamples of clusters of pairs (seed {statistics['seed']})"
    if not results["shows"]:
        return f"Intervals are over pairs only (one training seed), from {drawn}."
    return (
        f"Intervals of models are over pairs and training seeds ({_number_of_seeds(results)}), as two crossed random "
        "effects, each with Student's t of its own degrees of freedom. Rules that are not trained with seeds, such as "
        f"n-grams, and what was trained with one seed have intervals over pairs only, from {drawn}."
    )


def _number_of_seeds(results: dict) -> str:
    return "S = " + " to ".join(map(str, trainings_of_models(results)))


def _over(results: dict) -> str:
    """What the intervals of a table of models are over."""
    return f"over pairs and training seeds ({_number_of_seeds(results)})" if results["shows"] else "over pairs only"


def _signs(results: dict) -> str:
    if not results["shows"]:
        return ""
    return (
        "> and <: the difference is shown, since its whole interval lies on one side of zero; ≈: it is not, or both "
        "models may be guessing. "
    )


def _modalities(results: dict) -> list[str | None]:
    return [
        "## Modalities",
        "The paper's Table 2: the size of each vocabulary, the tokens of the training split, and tokens per second of "
        "speech.",
        tables.modality_table(results),
        tables.corpus_table(results),
    ]


def _accuracies(results: dict) -> list[str | None]:
    meanings = {"sum": "the sum of log-likelihoods", "mean": "their mean per token"}
    by_rule: dict[str, list[str]] = {}
    for task in results["tasks"]:
        by_rule.setdefault(results["headline"][task]["rule"], []).append(TASKS[task].label)
    rules = ", ".join(f"{listing(labels)} by {meanings[rule]}" for rule, labels in by_rule.items())
    text = f"The paper's Table 4, in per cent with 95 % intervals {_over(results)}: {rules}; ties count half"
    for name, headline in results["headline"].items():
        if headline["bands"]:
            counted = TASKS[name].counted.format(bands=listing(headline["bands"]))
            text += f"; {TASKS[name].label}'s headline counts {counted}"
    if results["shows"]:
        marks = "**Bold**: above chance. †: the model is not shown to be better."
    else:
        marks = (
            "Nothing is bold, since there is one training seed. †: its interval does not lie above the best baseline."
        )
    parts = ["## Accuracies", f"{text}. {marks}"]
    parts.append(tables.accuracy_table(results))
    by_task = {task: tables.baseline_table(results, task) for task in results["tasks"]}
    if any(by_task.values()):
        smoothing = f" ({results['ngram']['smoothing']})" if "smoothing" in results["ngram"] else ""
        parts += [
            "### Beside the simple baselines",
            f"N-grams of order 1 to 5 over the same model's own ids, trained on the same corpus{smoothing}, and the "
            "rule that the side with fewer tokens wins. Where a token is a frame, five of them are often one sound: "
            "there the n-grams are given over runs, too, each one token. The best of all is chosen with the items in "
            "hand, which favours it. Items that these solve test nothing.",
            _about_overlap(results),
        ]
        for task, table in by_task.items():
            parts += [f"**{TASKS[task].label}**", table] if table else []
    return parts


def _about_overlap(results: dict) -> str | None:
    if not any("overlap" in accuracy for by_task in results["accuracies"].values() for accuracy in by_task.values()):
        return None
    return (
        "Overlap: the side wins that has more word types in common with the context; by rarity: the sum over them of "
        "log(passages / passages with the word) over the training split; over phones: the same of pronunciations "
        "without stress. Ties count half. Where one column stands for all three, it is the best of them."
    )


def _factors(results: dict, figures: dict[str, Figure]) -> list[str | None]:
    by_task = {task: factor_table.effect_table(results, task) for task in results["tasks"]}
    finer = {task: factor_table.effect_table(results, task, finer=True) for task in results["tasks"]}
    if not any(by_task.values()) and not any(finer.values()):
        return []
    parts = [
        "## What each factor costs",
        "The paper's Table 3: the change of the accuracy from one modality to the next, in accuracy points and in per "
        "cent of the accuracy before (the paper's form, which misleads near 50 %), with paired 95 % intervals "
        f"{_over(results)} that both have. A: phonetic tokens. B: length. C: acoustic and speaker variability.",
        _figure(figures, "effects"),
    ]
    for task, table in by_task.items():
        parts += [f"**{TASKS[task].label}**", table] if table else []
    if any(finer.values()):
        parts.append("### The finer split")
        for task, table in finer.items():
            parts += [f"**{TASKS[task].label}**", table] if table else []
    return parts


def _distances(results: dict, figures: dict[str, Figure]) -> list[str | None]:
    if "distances" not in figures:
        return []
    return [
        "## Accuracy by distance",
        "A cue, such as the subject's number, says which form of the target is right. Where no word stands between "
        "them a model that knows which words stand beside each other is right; the further apart they are, the more "
        "of the sentence it has to remember. Numbers of pairs and accuracies are under "
        "[All rules and groups](#all-rules-and-groups).",
        _figure(figures, "distances"),
    ]


def _scaling(results: dict, figures: dict[str, Figure]) -> list[str | None]:
    table = tables.scaling_table(results)
    if table is None:
        return []
    return [
        "## Accuracy by tokens seen",
        "The paper's Figure 1: models along the way, scored on a fixed subset of the pairs. The slope is the change "
        f"in accuracy points for ten times the tokens, fitted by least squares, with a 95 % interval {_over(results)} "
        f"that all points share. The paper's points lie within the first epoch, these between {_epochs(results)}.",
        _figure(figures, "scaling"),
        table,
        *_equal_flops(results),
    ]


def _equal_flops(results: dict) -> list[str]:
    table = equal_flops_table(results)
    if table is None:
        return []
    return [
        "### Accuracy at equal FLOPs",
        "The same points at equal training FLOPs, between two points interpolated in their logarithm and never "
        "extrapolated: each budget is the largest at which these modalities can be compared. Points are of the stable "
        "phase and have not decayed, unlike the models of all other tables, with which they cannot be compared.",
        table,
    ]


def _epochs(results: dict) -> str:
    points = [point for by in results["scaling"].values() for task in by.values() for point in task["points"]]
    first, last = (extreme(point["epochs"] for point in points) for extreme in (min, max))
    return f"{first:g} and {last:g} epochs"


def _losses(results: dict, figures: dict[str, Figure]) -> list[str | None]:
    table = tables.loss_table(results)
    if table is None:
        return []
    return [
        "## Training",
        "The validation loss of the checkpoint that was scored. Nats per token cannot be compared between "
        "vocabularies; bits per second of speech can: nats per token, times tokens (ends of utterances included) per "
        "second of the validation split, over ln 2.",
        prose.describe_convergence(results),
        _figure(figures, "losses"),
        table,
    ]


def _units(results: dict) -> list[str | None]:
    table = tables.unit_table(results)
    if table is None:
        return []
    source = describe_source(results["study"].get("encoder")) + describe_lost_phones(results)
    said = f"{source}Quality of the units against the phones, on held-out audio."
    return ["## Speech units", said, table, _unit_seeds(results["unit_seeds"])]


def _unit_seeds(seeds: dict) -> str | None:
    """How much of the units is chance of k-means, in a sentence or two."""
    if not seeds:
        return None
    mean = {name: values["mean"] for name, values in seeds["summary"].items()}
    names = ", ".join(str(row["seed"]) for row in seeds["seeds"])
    spread = max(row["pnmi"] for row in seeds["seeds"]) - min(row["pnmi"] for row in seeds["seeds"])
    return (
        f"Quantizers of seeds {names}, which differ in nothing else: PNMI {mean['pnmi']:.3f} on average, and "
        f"{spread:.3f} between the best and the worst. Two of them agree on {percent(mean['matched'])} % of the "
        f"frames once their units are matched one to one (normalised mutual information {mean['nmi']:.2f})."
    )


def _transfer(results: dict) -> list[str]:
    found = tables.transfer_tables(results)
    if not found:
        return []
    said = (
        "The same transcripts as they were recorded and as the synthetic voices speak them: a quantizer and a model "
        "of each, and both asked about both. Units of either quantizer are measured against the phones of held-out "
        "speech of either kind. sWUGGY's pseudo-words and sBLIMP's sentences are in synthetic voices alone; Topic-SC "
        "is also cut out of the recordings, where context and both endings are of one reader. There the true ending "
        "goes on in the same recording as its context and the wrong one is of another, so a model may hear the room: "
        "what the noise floor alone says is given beside. Accuracies on recordings and on synthetic voices are not of "
        "the same pairs; each difference below is."
    )
    return ["## Matched and mismatched voices", said, *found]


def _items(results: dict) -> list[str | None]:
    table, checks = tables.pair_table(results), prose.check_items(results) + prose.describe_seen(results)
    if table is None and not checks:
        return []
    parts = ["## Items", table, "\n".join(f"- {sentence}" for sentence in checks)]
    for task in results["tasks"]:
        making = tables.making_of_pairs(results, task)
        parts += [f"### How the pairs of {TASKS[task].label} were made", *making] if making else []
    return parts


def _rules_and_groups(results: dict) -> list[str | None]:
    parts = [
        "## All rules and groups",
        "The headline's items by every rule: the sum of log-likelihoods, their mean per token, and (where there is a "
        f"context) the gain from it, PMI. Intervals are {_over(results)}. By group: accuracy in the headline's rule; "
        "± is half the width of the widest interval of the row.",
    ]
    for task in results["tasks"]:
        rules = tables.rule_table(results, task)
        parts += [f"### {TASKS[task].label}", rules]
        if results["headline"][task]["all_bands"]:
            bands = f"All bands together ({listing(results['headline'][task]['all_bands'])}):"
            parts += [bands, tables.rule_table(results, task, "all_bands")]
        parts += [tables.group_table(results, task), tables.group_table(results, task, "distances")]
    return parts


def _analysis(results: dict) -> list[str]:
    if not results["analysis"]:
        return []
    titles = "\n".join(f"- {title}" for title in results["analysis"])
    return [
        "## Why",
        "[The analysis](analysis.md) has a page of its own, of the models that were there when `evoslm analyze` last "
        f"wrote it:\n\n{titles}",
    ]


def _settings(results: dict) -> list[str | None]:
    study = results["study"]
    parts = ["## Settings", tables.stage_table(results), tables.version_table(results)]
    if study.get("configuration"):
        configuration = yaml.safe_dump(_given(study["configuration"]), sort_keys=False, allow_unicode=True).strip()
        parts += ["The whole configuration:", f"```yaml\n{configuration}\n```"]
    return parts if any(parts[1:]) else []


def _given(configuration: dict) -> dict:
    """The configuration without what was left open."""
    return {
        name: _given(value) if isinstance(value, dict) else value
        for name, value in configuration.items()
        if value is not None
    }


def _missing(results: dict) -> list[str | None]:
    sentences = prose.list_missing(results)
    return ["## What is not here", "\n".join(f"- {sentence}" for sentence in sentences)] if sentences else []


def _figure(figures: dict[str, Figure], name: str) -> str | None:
    if name not in figures:
        return None
    return f"![{figures[name].caption}]({name}.png)\n\n*{figures[name].caption}*"
