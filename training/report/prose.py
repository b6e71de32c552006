"""The sentences of the report, each made from the numbers by a rule that is written down here.

A modality is above chance where its whole interval is above 50 %. A step falls (rises) where its whole paired interval
is below (above) zero; nothing is said of a step between two modalities at chance. Only intervals over pairs and
training seeds show anything. The paper gives no intervals: one of its changes that is smaller than 5 per cent of the
accuracy counts as none.
"""

from dataclasses import asdict

from ...datasets_scripts.synthesis.by_name import ESPEAK
from ...metrics.tasks import TASKS
from ...models.seed_intervals import FEWEST_CLUSTERS
from ..arguments.study import PretrainArguments
from .formatting import count, duration, interval, items, listing, percent, spelled
from .results import trainings_of_models
from .tables import BASELINE_LABELS

# Less recorded speech than this says nothing about what a modality costs.
FEWEST_SECONDS = 3600
# Between two neighbours of the chain: where no difference is shown, they count as alike.
SIGNS = {"falls": ">", "rises": "<", "not shown": "≈", "at chance": "≈", "one seed": ","}


def describe_run(results: dict) -> str:
    """One paragraph: what was trained on what, and what the intervals mean."""
    corpus, study, seeds = results["corpus"], results["study"], results["seeds"]
    number = len(results["modalities"])
    models = f"{spelled(number)} language models, one a modality" if number > 1 else "One language model"
    on_what = "the same utterances" if number > 1 else "utterances"
    if corpus.get("words") and corpus.get("seconds"):
        recorded = corpus.get("voices") == "recorded"
        text = "generated stories" if corpus.get("corpus") == "stories" else "the given text"
        text = "transcripts" if recorded else text
        voices = f" in {count(corpus['speakers'])} voices" if corpus.get("speakers", 1) > 1 else " in one voice"
        pace = f" at a {corpus['rate']} rate" if corpus.get("rate") else ""
        speech = "recorded" if recorded else "synthesized"
        on_what += f": {count(corpus['words'].get('train'))} words of {text}, "
        neural = corpus.get("synthesizer") or ESPEAK
        voices += "" if neural == ESPEAK else f" of the neural {neural}"
        on_what += f"{duration(corpus['seconds'].get('train'))} of {speech} speech{voices}{pace}"
    precisions = sorted({each for modality in results["modalities"].values() for each in modality["precision"]})
    precision = f" in {listing(precisions)}" if precisions else ""
    sentences = [f"{models}, trained from scratch{precision} on {on_what}."]
    if corpus.get("voices") == "recorded":
        heard = (
            "only the models trained on synthetic voices have heard" if results["transfer"] else "no model has heard"
        )
        sentences.append(f"The minimal pairs are spoken by synthetic voices, which {heard} in training.")
        if corpus.get("seconds", {}).get("train", 0) < FEWEST_SECONDS:
            sentences.append(
                "**With less than an hour of speech to train on, this report shows that every stage runs on these "
                "recordings, and nothing about modalities.**"
            )
    if len(seeds) == 1:
        sentences.append(
            "Intervals are 95 % bootstrap intervals over pairs (items only: there is one training seed, and what "
            "another one would change is not in them). So no difference between modalities is shown here, and none is "
            "called so."
        )
    else:
        fewest, *more = trainings_of_models(results)
        which = f"{spelled(fewest).lower()} to {spelled(*more).lower()} of the" if more else "the"
        once = ", of a model that was trained once over pairs only" if fewest == 1 else ""
        sentences.append(
            f"Numbers are means over {which} training seeds {listing([str(seed) for seed in seeds])}; ± is the "
            f"standard deviation over seeds. The 95 % intervals are over pairs and training seeds{once}: they say how "
            "far other pairs and other trainings of the same models would move a number. A difference is called shown "
            "only where its whole interval lies on one side of zero."
        )
    made = [
        study.get("device"),
        study.get("commit") and f"commit {study['commit'][:12]}",
        study.get("started", "")[:10],
    ]
    if any(made):
        sentences.append(f"Made on {', '.join(part for part in made if part)}.")
    return " ".join(sentences)


def summarize(results: dict) -> list[str]:
    """What shows and what does not: one statement on chance and baselines, and one a task on the ordering."""
    return [_above_chance(results), *(_ordering(results, task) for task in results["tasks"])]


def _above_chance(results: dict) -> str:
    labels = _labels(results)
    by_task = {
        task: {name: by[task] for name, by in results["accuracies"].items() if task in by} for task in results["tasks"]
    }
    parts, sure = [], []
    text_and_phones = [name for name, modality in results["modalities"].items() if not modality["is_speech"]]
    for task, accuracies in by_task.items():
        above = [labels[name] for name, accuracy in accuracies.items() if accuracy["above_chance"]]
        below = [labels[name] for name, accuracy in accuracies.items() if not accuracy["above_chance"]]
        if not below:
            who = "every modality"
        elif not above:
            who = "none"
        else:
            who = f"only {listing(above)}" if len(above) < len(below) else f"all but {listing(below)}"
        parts.append(f"on {TASKS[task].label} {who}")
        if all(name in accuracies and accuracies[name]["above_chance"] for name in text_and_phones):
            sure.append(TASKS[task].label)
    if not results["shows"]:
        return (
            f"Of this one training of each, the whole interval over pairs lies above 50 %: {'; '.join(parts)}. "
            "Another seed may give another list."
        )
    sentences = [
        f"**Above chance** (the whole interval, over pairs and training seeds, is above 50 %): {'; '.join(parts)}."
    ]
    if text_and_phones:
        where = f"on {listing(sure)}" if sure else "on no task"
        sentences.append(f"Text and phone modalities are all above chance {where}.")
    unsolved = [
        part for task, accuracies in by_task.items() if (part := _no_better_than_baseline(task, accuracies, labels))
    ]
    if unsolved:
        sentences.append(
            "Above chance, but not shown to be better than the best simple baseline over the same ids: "
            f"{'; '.join(unsolved)}."
        )
    return " ".join(sentences)


def _no_better_than_baseline(task: str, accuracies: dict, labels: dict) -> str | None:
    found = {
        name: accuracy
        for name, accuracy in accuracies.items()
        if accuracy["above_chance"] and accuracy.get("above_best_baseline", {"low": 1})["low"] <= 0
    }
    names = [labels[name] for name in found]
    if 0 < len(found) <= 2:  # more figures than that are for the table
        baselines = [(accuracy["best_baseline"], accuracy) for accuracy in found.values()]
        names = [
            f"{name} ({percent(accuracy['headline']['value'])}, {BASELINE_LABELS[best]} "
            f"{percent(accuracy['baselines'][best]['value'])})"
            for name, (best, accuracy) in zip(names, baselines)
        ]
    return f"on {TASKS[task].label} {listing(names)}" if names else None


def _ordering(results: dict, task: str) -> str:
    """One task along text, phones, Phone-Repeat, units: the ordering, each step with its interval, and the paper's."""
    if task in results["too_small"]:
        return f"**{TASKS[task].label}**: {describe_too_small(results, task)}"
    labels, ordering = _labels(results), results["ordering"][task]
    rungs, steps = ordering["rungs"], ordering["steps"]
    accuracies = {name: results["accuracies"][name][task]["headline"] for name in rungs}
    scored = (
        f"{TASKS[task].meaning}; {results['headline'][task]['rule']}, {items(a['n'] for a in accuracies.values())}"
    )
    if not rungs:
        return f"**{TASKS[task].label}**: no modality between text and units was scored."
    signs = {step["result"]: SIGNS[step["verdict"]] for step in steps}
    bold = "**" if results["shows"] else ""
    chain = f"{labels[rungs[0]]} {percent(accuracies[rungs[0]]['value'])}"
    for name in rungs[1:]:
        sign = signs.get(name, ",")
        chain += f"{'' if sign == ',' else ' '}{sign} {labels[name]} {percent(accuracies[name]['value'])}"
    changes = "; ".join(_step(step, labels) for step in steps)
    sentences = [
        f"**{TASKS[task].label}** ({scored}): {bold}{chain}{bold} %.",
        changes and f"{changes}.",
        _beside_the_paper(steps) if results["shows"] else "",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _step(step: dict, labels: dict) -> str:
    name = step["factor"] or f"{labels[step['baseline']]} to {labels[step['result']]}"
    verdict = " (both at chance)" if step["verdict"] == "at chance" else ""
    return (
        f"{name}: {percent(step['points']['value'], sign=True)} {interval(step['points'], sign=True)} points{verdict}"
    )


def _beside_the_paper(steps: list[dict]) -> str:
    """Which of the paper's drops are shown here, which are not and why, and what is shown that is not the paper's."""
    steps = [step for step in steps if "paper_verdict" in step]
    drops = [step for step in steps if step["paper_verdict"] == "falls"]
    extra = [
        f"a {word} at {step['factor']}"
        for step in steps
        for verdict, word in (("falls", "drop"), ("rises", "rise"))
        if step["verdict"] == verdict and step["paper_verdict"] == "no change"
    ]
    sentences = []
    if drops:
        names = listing([step["factor"] for step in drops])
        missing = [step for step in drops if step["verdict"] != "falls"]
        shown = [step["factor"] for step in drops if step["verdict"] == "falls"]
        if not missing:
            sentences.append(f"As in the paper, accuracy drops at {names}.")
        else:
            reasons = "; ".join(f"at {step['factor']} {_why_missing(step)}" for step in missing)
            part = f"The drop at {listing(shown)} is shown here, too. " if shown else ""
            sentences.append(f"In the paper accuracy drops at {names}. {part}Not shown here: {reasons}.")
    elif steps:
        sentences.append("The paper has no drop at these steps.")
    if extra:
        sentences.append(f"Shown here and not in the paper: {listing(extra)}.")
    return " ".join(sentences)


def _why_missing(step: dict) -> str:
    return {
        "at chance": "both models may be guessing (at chance)",
        "not shown": "the two models may be alike (the interval includes zero)",
        "rises": "accuracy rises",
        "one seed": "one of the models was trained once",
    }[step["verdict"]]


def describe_too_small(results: dict, task: str) -> str:
    """Why nothing can be read off a task."""
    found = results["too_small"][task]
    counted = TASKS[task].counted.format(bands=listing(results["headline"][task]["bands"] or [""])) or "pairs"
    if "asked" not in found:
        return (
            f"too small to read: {count(found['n'])} {counted} in {found['n_clusters']} clusters, and intervals hold "
            f"from {FEWEST_CLUSTERS} on; a larger --pairs_per_task, or more text, gives more."
        )
    return (
        f"too small to read: {count(found['n'])} {counted} of {count(found['asked'])} that were asked for; more text, "
        "of more topics, gives more."
    )


def check_items(results: dict) -> list[str]:
    """Whether the items could be solved without language modelling: rules at about 50 % where they have to be."""
    sentences, labels = [], _labels(results)
    for task in TASKS.values():
        checks = [check for check in results["item_checks"] if check["task"] == task.name]
        if not checks:
            continue
        far = [
            f"the {BASELINE_LABELS[check['baseline']]}"
            + (f" of {labels[check['modality']]}" if task.check.modalities else "")
            + f" is at {percent(check['value'])} %"
            for check in checks
            if not check["within"]
        ]
        counted = results["headline"][task.name]["bands"] or []
        bands = f", in the bands {listing(counted)}," if len(counted) > 1 else ""
        low, high = (percent(extreme(check["value"] for check in checks)) for extreme in (min, max))
        asked = f"50 ± {100 * task.check.tolerance:.0f} %"
        statement = f"{task.label}{bands} against {task.check.against}: {low} to {high} %, "
        statement += f"all within {asked}." if not far else f"not all within {asked}: {listing(far)}."
        sentences.append(statement)
    return sentences


def describe_seen(results: dict) -> list[str]:
    """What of the items training shows, and how many were rejected because it does."""
    sentences = []
    for task in results["tasks"]:
        report = results["pairs"].get(task, {}).get("report", {})
        if seen := report.get("seen"):
            parts = [f"{count(n['in_training'])} of {count(n['asked'])} {name}" for name, n in seen.items()]
            sentences.append(f"{TASKS[task].label}: {listing(parts)} occur in the training split.")
        if {"drawn", "occur"} <= set(report):
            sentences.append(
                f"{TASKS[task].label}: of {count(report['drawn'])} frames that were drawn {count(report['occur'])} "
                "were rejected, because training has the sentence, or the cue beside the target."
            )
    return sentences


def list_missing(results: dict) -> list[str]:
    """What a whole study would have and this run has not, one sentence each."""
    have = set(results["modalities"])
    sentences = []
    if results["missing"]:
        sentences.append(f"Asked for and not scored: {listing(results['missing'])}.")
    if "phone_stretch" not in have:
        sentences.append("Phone-Stretch was not run, so factor B is not split into length and durations.")
    if "speech_units" in have and "speech_units_one_voice" not in have:
        if results["corpus"].get("voices") == "one":
            sentences.append("All speech is in one voice: factor C is acoustic variability here, without speakers.")
        elif results["corpus"].get("voices") == "recorded":
            sentences.append("Factor C is all that recordings add: it cannot be split into acoustics and voices.")
        else:
            sentences.append("Units of one voice were not run, so factor C is not split into acoustics and voices.")
    rungs = {"text": ("text_raw", "text_bpe"), "phone": ("phone_raw", "phone_bpe")}
    rungs |= {"Phone-Repeat": ("phone_repeat",), "unit": ("speech_units",)}
    absent = [label for label, names in rungs.items() if not have & set(names)]
    if absent:
        sentences.append(f"No {listing(absent)} modality was run, so the ordering lacks its place.")
    if not any(results["scaling"].values()):
        sentences.append("No points along the way were scored, so there is no figure of accuracy by tokens seen.")
    if not any(results["losses"].values()):
        sentences.append("No validation losses were found.")
    if not any("baselines" in accuracy for by in results["accuracies"].values() for accuracy in by.values()):
        sentences.append("No baselines were scored, so how much of an accuracy n-grams would reach is not known.")
    if not results["units"] and any(modality["is_speech"] for modality in results["modalities"].values()):
        sentences.append("The quality of the speech units was not measured.")
    left_out = {task: made["report"].get("left_out") for task, made in results["pairs"].items() if "report" in made}
    tasks = [task for task in TASKS if task not in results["tasks"]]
    sentences += [f"No items of {TASKS[task].label}: {left_out[task]}" for task in tasks if left_out.get(task)]
    unscored = [TASKS[task].label for task in tasks if not left_out.get(task)]
    if unscored:
        sentences.append(f"No items of {listing(unscored)} were scored.")
    return sentences


def describe_convergence(results: dict) -> str | None:
    """What ended trainings until convergence."""
    if not any(ending for modality in results["modalities"].values() for ending in modality["convergence"].values()):
        return None
    protocol = asdict(PretrainArguments()) | results["study"].get("configuration", {}).get("pretrain", {})
    return (
        f"A model has *converged* if {spelled(protocol['patience']).lower()} validations in a row improved its best "
        f"loss by less than {100 * protocol['min_improvement']:g} %, and was *still falling* if the limit of "
        f"{protocol['epochs']:g} epochs came first; after either the learning rate fell to 0, and the lowest loss of "
        "that decay is the one that was scored. Updates, epochs, tokens and FLOPs are means over training seeds."
    )


def _labels(results: dict) -> dict[str, str]:
    """Names for running text: a comma in one would look like the end of an entry."""
    return {name: m["label"].replace(", one voice", " (one voice)") for name, m in results["modalities"].items()}
