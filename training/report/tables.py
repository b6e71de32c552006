"""The tables of the report, as Markdown.

`compute_results` -> one function a table -> Markdown, or `None` where the run has nothing for it.
"""

from collections import Counter

from ...metrics.tasks import TASKS
from ...models.modalities import MODALITIES, SYNTHETIC_MODALITY
from .estimates import RULES
from .formatting import (
    MISSING,
    NBSP,
    RULE_LABELS,
    count,
    duration,
    items,
    markdown_table,
    number,
    papers,
    percent,
    rate,
    scientific,
    with_interval,
)
from .results import BASELINES, NGRAMS, RUN_BASELINES

BASELINE_LABELS = {
    **{f"ngram{order}": f"{order}\u2011gram" for order in range(1, 6)},
    **{f"runs_ngram{order}": f"{order}\u2011gram of runs" for order in range(1, 6)},
    "fewer_tokens": "fewer tokens",
    "overlap": "overlap",
    "overlap_rarity": "by rarity",
    "overlap_phones": "over phones",
}
QUALITY_LABELS = {
    "pnmi": "PNMI (share of the phone's information that a unit carries)",
    "phone_purity": "Phone purity",
    "cluster_purity": "Cluster purity",
    "syllable_pnmi": "PNMI with syllables",
    "syllable_pnmi_chance": "PNMI with shuffled syllables (chance)",
    "syllable_purity": "Syllable purity",
    "syllable_purity_without_pauses": "Syllable purity without pauses",
    "units_used": "Share of units in use",
    "perplexity": "Perplexity of units",
    "mean_run_frames": "Mean run length, frames",
    "mean_phone_run_frames": "Mean length of a phone, frames",
    "units_per_second": "Units per second",
    "bits_per_second": "Bits per second",
    "units_per_second_dedup": "Units per second, runs collapsed",
    "bits_per_second_dedup": "Bits per second, runs collapsed",
    "syllable_boundary_f1_20ms": "Boundaries of aligned syllables within 20 ms, F1",
    "syllable_boundary_r_value_20ms": "Boundaries of aligned syllables within 20 ms, R-value",
    "syllable_boundary_f1_50ms": "Boundaries of aligned syllables within 50 ms, F1",
    "syllable_boundary_r_value_50ms": "Boundaries of aligned syllables within 50 ms, R-value",
    "phone_boundary_f1_20ms": "Boundaries of aligned phones within 20 ms, F1",
    "phone_boundary_r_value_20ms": "Boundaries of aligned phones within 20 ms, R-value",
    "num_utterances": "Utterances that this was measured on",
    "num_frames": "Frames that this was measured on",
    "num_syllables": "Syllables and pauses that this was measured on",
}
_SAID_IN_PROSE = ("seen", "drawn", "occur")
SPEECH_LABELS = {"recorded": "recordings", "many": "synthetic voices"}


def modality_table(results: dict) -> str:
    """The paper's Table 2: vocabularies and numbers of tokens, the paper's own beside them."""
    header = ["Modality", "Factor", "Alphabet", "Vocabulary", "Tokens", "Tokens/s"]
    header += ["*paper:* *vocabulary*", "*tokens*", "*tokens/s*"]
    rows = []
    for name, modality in results["modalities"].items():
        own = results["paper"]["modalities"].get(name, {})
        rows.append(
            [
                modality["label"],
                modality["factor"],
                modality["vocabulary"],
                count(modality["vocab_size"]),
                count(modality["train_tokens"]),
                rate(modality["tokens_per_second"]),
                papers(count(own["vocab_size"]) if own else None, own.get("shown_as")),
                papers(own.get("train_tokens"), own.get("shown_as")),
                papers(rate(own["tokens_per_second"]) if own else None, own.get("shown_as")),
            ]
        )
    return markdown_table(header, rows, left=3)


def corpus_table(results: dict) -> str | None:
    """Words, utterances, documents and time by split."""
    corpus = results["corpus"]
    columns = [(name, corpus[name]) for name in ("words", "utterances", "documents", "seconds") if name in corpus]
    splits = list(columns[0][1]) if columns else []
    if not splits:
        return None
    rows = [
        [
            split,
            *(duration(value.get(split)) if name == "seconds" else count(value.get(split)) for name, value in columns),
        ]
        for split in splits
    ]
    return markdown_table(
        ["Split", *("Speech" if name == "seconds" else name.capitalize() for name, _ in columns)], rows
    )


def accuracy_table(results: dict) -> str:
    """
    The paper's Table 4: accuracies with intervals; beside them the best baseline, where there are contexts the best
    rule of shared words, and the paper's own figures.
    """
    header, rows = ["Modality"], []
    for task in results["tasks"]:
        overlap = ["overlap"] * TASKS[task].needs_context
        header += [f"{TASKS[task].label} ({_rule(results, task)})", "best baseline", *overlap, "*paper*"]
    for name, by_task in results["accuracies"].items():
        row = [results["modalities"][name]["label"]]
        for task in results["tasks"]:
            accuracy = by_task.get(task)
            row += [
                _accuracy_cell(accuracy, results["shows"]),
                _best_baseline(accuracy),
                *[percent(_overlap(accuracy).get("headline"))] * TASKS[task].needs_context,
                _paper_accuracy(results, name, task),
            ]
        rows.append(row)
    return markdown_table(header, rows)


def baseline_table(results: dict, task: str) -> str | None:
    """One task: the accuracies with all baselines, those over runs in rows of their own."""
    found = {name: by_task[task] for name, by_task in results["accuracies"].items() if task in by_task}
    columns = [name for name in BASELINES if any(name in a.get("baselines", {}) for a in found.values())]
    if not columns:
        return None
    header = ["Modality", f"Model ({_rule(results, task)})", *(BASELINE_LABELS[name] for name in columns)]
    header += ["model − best baseline", "*paper*"]
    rows = []
    for name, accuracy in found.items():
        baselines = accuracy.get("baselines", {})
        values = [percent(baselines[column]["value"]) if column in baselines else MISSING for column in columns]
        above = with_interval(accuracy.get("above_best_baseline"), sign=True) + _reached(accuracy)
        label = results["modalities"][name]["label"]
        rows.append(
            [label, _accuracy_cell(accuracy, results["shows"]), *values, above, _paper_accuracy(results, name, task)]
        )
        if RUN_BASELINES[0] in baselines:
            over_runs = dict(zip(NGRAMS, RUN_BASELINES))
            values = [percent(baselines[over_runs[c]]["value"]) if c in over_runs else "" for c in columns]
            rows.append([f"{label}, runs", "", *values, "", ""])
    return markdown_table(header, rows)


def rule_table(results: dict, task: str, part: str = "rules") -> str | None:
    """One task by every scoring rule: sum, mean per token and PMI, with the share of ties."""
    found = {name: by_task[task] for name, by_task in results["accuracies"].items() if part in by_task.get(task, {})}
    rules = [rule for rule in RULES if any(rule in accuracy[part] for accuracy in found.values())]
    if not rules:
        return None
    ns = items(estimate["n"] for accuracy in found.values() for estimate in accuracy[part].values())
    header = [f"Modality ({ns})", *(RULE_LABELS[rule] for rule in rules)]
    header += ["ties by sum (%)"] if part == "rules" else []
    rows = []
    for name, accuracy in found.items():
        row = [results["modalities"][name]["label"], *(with_interval(accuracy[part].get(rule)) for rule in rules)]
        rows.append(row + ([percent(accuracy["ties"])] if part == "rules" else []))
    return markdown_table(header, rows)


def group_table(results: dict, task: str, part: str = "groups") -> str | None:
    """
    One task by group, in the headline's rule: bands, phenomena or topics in rows, or the words between cue and target
    (the part `"distances"`), and modalities in columns.
    """
    found = {name: by_task[task] for name, by_task in results["accuracies"].items() if task in by_task}
    found = {name: accuracy[part] for name, accuracy in found.items() if part in accuracy}
    groups = list(dict.fromkeys(group for by_group in found.values() for group in by_group))
    if len(groups) < 2:
        return None
    overlap = [_overlap(by_task.get(task)).get(part, {}) for by_task in results["accuracies"].values()]
    shared = {group: value for by_group in overlap for group, value in by_group.items()}
    rows = []
    for group in groups:
        estimates = [by_group.get(group) for by_group in found.values()]
        known = [estimate for estimate in estimates if estimate]
        half_width = max(((estimate["high"] - estimate["low"]) / 2 for estimate in known), default=None)
        values = [percent(estimate and estimate["value"]) for estimate in estimates]
        ns = sorted({estimate["n"] for estimate in known})
        ns = " to ".join(str(n) for n in ns[:1] + ns[1:][-1:])
        rows.append([_group_name(group), ns, *values, percent(half_width)])
        rows[-1] += [percent(shared.get(group))] * bool(shared)
    labels = [results["modalities"][name]["label"] for name in found]
    first = "Words between cue and target" if part == "distances" else TASKS[task].first_column
    return markdown_table([first, "n", *labels, "± at most", *["overlap"] * bool(shared)], rows)


def scaling_table(results: dict) -> str | None:
    """Slopes of the lines through the accuracies by tokens seen."""
    tasks = [task for task in results["tasks"] if any(task in by_task for by_task in results["scaling"].values())]
    if not tasks:
        return None
    header, rows = ["Modality"], []
    for task in tasks:
        lines = [by_task.get(task, {}).get("line") for by_task in results["scaling"].values()]
        header.append(f"{TASKS[task].label} ({items(line['n'] for line in lines if line)})")
    for name, by_task in results["scaling"].items():
        cells = [with_interval(by_task.get(task, {}).get("line"), sign=True) for task in tasks]
        points = sorted({_points_of_line(by_task[task]) for task in tasks if task in by_task})
        rows.append([results["modalities"][name]["label"], *cells, ", ".join(map(str, points)) or MISSING])
    return markdown_table([*header, "points"], rows)


def _points_of_line(scaling: dict) -> int:
    """Through how many points there is a line, or how many there are without one."""
    return scaling["line"]["points"] if scaling["line"] else len(scaling["points"])


def loss_table(results: dict) -> str | None:
    """The best validation loss of each modality, and the size of its training."""
    if not any(results["losses"].values()):
        return None
    endings = {name: describe_convergence(modality) for name, modality in results["modalities"].items()}
    until_converged = any(endings.values())
    rows = []
    for name, modality in results["modalities"].items():
        best = results["losses"][name].get("best", {})
        updates = sorted({str(update) for update in modality["best_update"].values() if update is not None}, key=int)
        seconds = [value for value in modality["train_seconds"].values() if value is not None]
        rows.append(
            [
                modality["label"],
                number(best.get("nats_per_token"), 3),
                number(best.get("bits_per_second")),
                *[endings[name] or MISSING] * until_converged,
                ", ".join(updates) or MISSING,
                count(modality["updates"]),
                number(modality["epochs"]),
                count(modality["tokens_seen"]),
                count(modality["parameters"]),
                scientific(modality["flops"]),
                duration(sum(seconds) / len(seconds) if seconds else None),
            ]
        )
    header = ["Modality", "nats per token", "bits per second", *["at the end"] * until_converged, "best update"]
    header += ["updates", "epochs", "tokens seen", "parameters", "FLOPs", "training time"]
    return markdown_table(header, rows)


def describe_convergence(modality: dict) -> str:
    """How the trainings of a modality ended, by number where they differ; nothing if not until convergence."""
    found = Counter(ending for ending in modality["convergence"].values() if ending)
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{seeds} {ending}" for ending, seeds in sorted(found.items()))


def unit_table(results: dict) -> str | None:
    """The quality of the speech units against the phones, on held-out audio: a row a measure, a column a quantizer."""
    units = results["units"]
    measures = [name for name in QUALITY_LABELS if any(name in quality for quality in units.values())]
    if not measures:
        return None
    encoder = results["study"].get("encoder_label", "units")
    folders = {"speech_units_many_voices": SYNTHETIC_MODALITY}
    names = [folders.get(name, name) for name in units]
    labels = [MODALITIES[name].label.format(encoder=encoder) if name in MODALITIES else name for name in names]
    rows = []
    for measure in measures:
        values = [quality.get(measure) for quality in units.values()]
        rows.append([QUALITY_LABELS[measure], *(_measure(value) for value in values)])
    return markdown_table(["Measure", *labels], rows)


def transfer_tables(results: dict) -> list[str]:
    """Matched and mismatched voices: accuracies, and what the voices of the test are worth in training."""
    rows = results["transfer"].get("rows", [])
    tasks = [task for task in TASKS if any(task in row["tasks"] for row in rows)]
    if not rows:
        return []
    header = ["Trained on", "Tested on", "Voices", "PNMI", "Phone purity"]
    header += [cell for task in tasks for cell in (TASKS[task].label, "best baseline")]
    cells = []
    for row in rows:
        matched = "matched" if row["trained_on"] == row["tested_on"] else "mismatched"
        values = [cell for task in tasks for cell in _transfer_cells(row["tasks"].get(task))]
        quality = [number(row["units"][name], 3) for name in ("pnmi", "phone_purity")]
        cells.append([SPEECH_LABELS[row["trained_on"]], SPEECH_LABELS[row["tested_on"]], matched, *quality, *values])
    changes = [
        [
            SPEECH_LABELS[change["tested_on"]],
            TASKS[change["task"]].label,
            with_interval(change["points"], sign=True),
            count(change["n"]),
        ]
        for change in results["transfer"]["matched_minus_mismatched"]
    ]
    tables = [markdown_table(header, cells, left=3)]
    if changes:
        tables.append(markdown_table(["Tested on", "Task", "matched − mismatched, points", "n"], changes, left=2))
    return tables


def _transfer_cells(found: dict | None) -> list[str]:
    """An accuracy with its interval and number of pairs, and the best of the simple rules on the same pairs."""
    if not found:
        return [MISSING, MISSING]
    accuracy, best = found["accuracy"], found.get("best_baseline")
    rules = [f"{BASELINE_LABELS[best]} {percent(found['baselines'][best]['value'])}"] if best else []
    if overlap := _overlap(found):
        rules.append(f"overlap {percent(overlap['headline'])}")
    if noise := found.get("noise_floor"):
        rules.append(f"noise floor {percent(noise['value'])}")
    return [f"{with_interval(accuracy)}, {items([accuracy['n']])}", ", ".join(rules) or MISSING]


def pair_table(results: dict) -> str | None:
    """Minimal pairs by task: how many, in how many groups, and which could not be spoken or told apart."""
    rows = []
    for task, summary in results["pairs"].items():
        headline = next((by[task]["headline"]["n"] for by in results["accuracies"].values() if task in by), None)
        numbers = [summary.get("made"), summary.get("n"), headline, len(summary.get("groups", {}))]
        rendering = summary.get("rendering", {})
        numbers += [rendering.get("sound_alike"), rendering.get("skipped")]
        rows.append([TASKS[task].label if task in TASKS else task, *(count(number) for number in numbers)])
    header = ["Task", "made", "pairs", "in the headline", "groups", "dropped: sound alike", "dropped: not spoken"]
    return markdown_table(header, rows) if rows else None


def making_of_pairs(results: dict, task: str) -> list[str]:
    """What the makers of a task's pairs counted on the way: a sentence for plain counts, a table for a table."""
    summary = results["pairs"].get(task, {})
    plain, blocks = [], []
    for name, value in summary.get("report", {}).items():
        if name in _SAID_IN_PROSE:
            continue
        if not isinstance(value, dict):
            plain.append(f"{_words(name)}: {_listed(value)}")
        elif value and all(isinstance(entry, dict) for entry in value.values()):
            columns = list(dict.fromkeys(column for entry in value.values() for column in entry))
            rows = [[_words(row), *(_listed(entry.get(c)) for c in columns)] for row, entry in value.items()]
            blocks.append(markdown_table([_words(name), *(_words(column) for column in columns)], rows))
        elif value and value != summary.get("groups"):
            plain.append(f"{_words(name)}: " + ", ".join(f"{_words(why)} {_listed(n)}" for why, n in value.items()))
    return [". ".join(text[0].upper() + text[1:] for text in plain) + "."] * bool(plain) + blocks


def stage_table(results: dict) -> str | None:
    """What each kind of stage took."""
    totals: dict[str, list] = {}
    for stage in results["study"].get("stages", ()):
        total = totals.setdefault(stage["name"].split("/")[0], [0, 0.0, 0.0])
        total[0] += 1
        total[1] += stage["seconds"]
        total[2] = max(total[2], stage.get("peak_memory_mb") or 0)
    rows = [
        [name, count(stages), duration(seconds), f"{memory:,.0f} MB" if memory else MISSING]
        for name, (stages, seconds, memory) in totals.items()
    ]
    return markdown_table(["Part", "stages", "time, one after another", "most memory of one"], rows) if rows else None


def version_table(results: dict) -> str | None:
    """Versions of what the numbers were made with."""
    versions = results["study"].get("versions", {})
    return markdown_table(["Package", "version"], [[name, v] for name, v in versions.items()]) if versions else None


def step(results: dict, effect: dict) -> str:
    """A contrast in words: `"Phone-Raw → Phone-Repeat"`."""
    return " → ".join(results["modalities"][effect[side]]["label"] for side in ("baseline", "result"))


def _rule(results: dict, task: str) -> str:
    ns = items(by[task]["headline"]["n"] for by in results["accuracies"].values() if task in by)
    return f"{results['headline'][task]['rule']}, {ns}"


def _accuracy_cell(accuracy: dict | None, shows: bool) -> str:
    """An accuracy with its interval, bold above chance where that holds for more than one training."""
    if accuracy is None:
        return MISSING
    text = with_interval(accuracy["headline"])
    return f"**{text}**" if accuracy["above_chance"] and shows else text


def _best_baseline(accuracy: dict | None) -> str:
    best = (accuracy or {}).get("best_baseline")
    if best is None:
        return MISSING
    return percent(accuracy["baselines"][best]["value"]) + _reached(accuracy)


def _overlap(accuracy: dict | None) -> dict:
    """The best of the rules of shared words, of the headline and by group; empty where there are no contexts."""
    return (accuracy or {}).get("overlap", {})


def _reached(accuracy: dict) -> str:
    """A dagger where the model is not shown to be better than its best baseline."""
    above = accuracy.get("above_best_baseline")
    return f"{NBSP}†" if above and above["low"] <= 0 else ""


def _paper_accuracy(results: dict, name: str, task: str) -> str:
    own = results["paper"]["accuracies"].get(name, {})
    return papers(own.get(task), own.get("shown_as"))


def _group_name(group: str) -> str:
    return _words(group) if group.islower() else group


def _words(name: str) -> str:
    return str(name).replace("_", " ")


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _measure(value) -> str:
    if not _is_number(value):
        return MISSING
    if float(value).is_integer():
        return count(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}".replace("-", "−")


def _listed(value) -> str:
    """A number, a word or a list of words."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_listed, value))
    return _measure(value) if value is None or _is_number(value) else _words(value)
