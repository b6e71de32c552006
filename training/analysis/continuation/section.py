"""The section of continuations: perplexities in the form of the paper's Table 4, what each step changes, and examples.

outputs and perplexities of all models -> [`describe_outputs`] by modality -> tables, sentences, numbers.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from ....metrics.continuation_perplexity.continuation_perplexity import describe_outputs
from ...report.formatting import MISSING, NBSP, markdown_table, number, papers, percent
from ...report.results import CONTRASTS, FINER_CONTRASTS, load_paper_figures
from ..made_of import is_made_of, say_left_out
from ..parts import AnalyzedRun, Section
from .changes import change_of_mean
from .judging import PERPLEXITIES_FILE
from .outputs import OUTPUTS_FILE, GenerationSettings, sound_name
from .prompts import HELD_OUT, ContinuationPrompt, read_prompts
from .to_text import AS_IT_IS, BY_EAR, BY_SYMBOLS, SPACED

_TITLE = "Continuations"
_EXAMPLES = 5
_ENDS = ("_low", "_high")
_LONGEST_EXAMPLE = 160  # characters
_SHARES = {"empty": "empty", "limit": "cut off", "silent": "silent", "instant": "ended at once"}


def describe_continuations(run: AnalyzedRun, folder: Path, made_with: dict[str, Any]) -> Section:
    """
    The section of the page.

    Args:
        run ([`AnalyzedRun`]): The run.
        folder (`Path`): Of this part of the analysis.
        made_with (`dict`): What was asked, as `asked.json` has it.

    Returns:
        [`Section`]
    """
    labels = {name: label for name, label in run.labels.items() if name in made_with["channels"]}
    earlier = {name: label for name, label in labels.items() if not _is_whole(run, folder, made_with, name)}
    left_out = [say_left_out("continuation", earlier.values(), "--overwrite")] if earlier else []
    labels = {name: label for name, label in labels.items() if name not in earlier}
    if not labels:
        return Section(_TITLE, left_out)
    prompts = read_prompts(folder / "prompts")
    tables = {name: _read_outputs(folder, name, made_with["seeds"][name]) for name in labels}
    modalities = {name: _describe(tables[name]) for name in labels}
    # What held-out prompts left behind says nothing of others: nobody knows how a text goes on that nobody has spoken.
    is_known = made_with["prompts"] == HELD_OUT and is_made_of(
        folder / "judged" / "true", {"prompts": folder / "prompts"}, _pinned_judge(made_with)
    )
    true = _read_true(folder / "judged" / "true") if is_known else None
    for name in labels:
        modalities[name]["true_through_channel"] = _read_true(folder / "judged" / name / "true") if is_known else None
    changes = _changes(modalities)
    outcomes = {name: found.pop("outcomes") for name, found in modalities.items()}
    paper = load_paper_figures()["continuation"]
    paragraphs = [
        _say_what_was_asked(prompts, made_with, labels),
        _perplexity_table(modalities, labels, true, made_with, paper),
        _how_to_read(made_with, labels, true is not None),
        _quality_table(modalities, labels),
        "Shares are of all outputs. Auto-BLEU is the share of an output's words and pairs of words that it repeats "
        "(geometric mean, Lakhotia et al., 2021, 2102.01192); distinct-n is the share of different n-grams among "
        "those of all outputs, which falls with the number of words.",
    ]
    if changes:
        paragraphs += [_change_table(changes, run.labels, paper), _about_changes(made_with)]
    paragraphs += [*_examples(run, prompts, tables, labels, made_with), *left_out]
    results = {
        "made_with": made_with,
        "prompts": [vars(prompt) for prompt in prompts],
        "modalities": modalities,
        "true": true,
        "changes": changes,
        "outputs": {name: len(rows) for name, rows in outcomes.items()},
    }
    return Section(_TITLE, paragraphs, results=results)


def _is_whole(run: AnalyzedRun, folder: Path, made_with: dict[str, Any], modality: str) -> bool:
    """
    Whether a modality's outputs are of the models that the run has now, were made as they are said to be, and are
    those that were judged: what is begun anew and not finished has some of both.
    """
    told = {field.name: made_with[field.name] for field in fields(GenerationSettings)}
    told["channel"] = made_with["channels"][modality]
    judge = _pinned_judge(made_with)
    prompts, places = folder / "prompts", [f"{modality}/seed-{seed}" for seed in made_with["seeds"][modality]]
    models = [run.paths.model(modality, seed) for seed in made_with["seeds"][modality]]
    whole = [
        is_made_of(folder / "outputs" / place, {"prompts": prompts, "model": model}, told)
        and is_made_of(folder / "judged" / place, {"prompts": prompts, "outputs": folder / "outputs" / place}, judge)
        for place, model in zip(places, models)
    ]
    if made_with["prompts"] == HELD_OUT:
        true = {"prompts": prompts, "outputs": folder / "outputs" / modality / "true"}
        whole.append(is_made_of(folder / "judged" / modality / "true", true, judge))
    return all(whole)


def _pinned_judge(made_with: dict[str, Any]) -> dict[str, str]:
    return {"external.fingerprint": made_with["external"]["fingerprint"]}


def _read_outputs(folder: Path, modality: str, seeds: list[int]) -> pd.DataFrame:
    """The outputs of a modality's models with their perplexities, a row an output."""
    tables = []
    for seed in seeds:
        outputs = pd.read_parquet(folder / "outputs" / modality / f"seed-{seed}" / OUTPUTS_FILE)
        judged = pd.read_parquet(folder / "judged" / modality / f"seed-{seed}" / PERPLEXITIES_FILE)
        judged = judged.rename(columns={"text": "judged_text"})
        tables.append(pd.concat([outputs, judged], axis=1).assign(training_seed=seed))
    return pd.concat(tables, ignore_index=True)


def _describe(table: pd.DataFrame) -> dict[str, Any]:
    return describe_outputs(
        table["judged_text"].tolist(),
        _numbers(table["perplexity"]),
        table["prompt_id"].tolist(),
        training_seeds=table["training_seed"].tolist(),
        reasons=table["reason"].tolist(),
        generated_tokens=table["tokens"].tolist(),
        silent=table["silent"].tolist(),
        word_perplexities=_numbers(table["word_perplexity"]),
        return_outcomes=True,
    )


def _read_true(folder: Path) -> dict[str, Any] | None:
    """Perplexities of the true continuations, as they are or as a channel gives them back."""
    path = folder / PERPLEXITIES_FILE
    if not path.is_file():
        return None
    table = pd.read_parquet(path)
    described = describe_outputs(
        table["text"].tolist(),
        _numbers(table["perplexity"]),
        list(range(len(table))),
        word_perplexities=_numbers(table["word_perplexity"]),
    )
    kept = ("mean", "sd", "median", "word_mean", "word_median")
    return {
        name: value for name, value in described.items() if name.removesuffix("_low").removesuffix("_high") in kept
    }


def _numbers(column: pd.Series) -> list[float | None]:
    return [None if pd.isna(value) else float(value) for value in column]


def _changes(modalities: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    changes = []
    for baseline, result, factor in (*CONTRASTS, *FINER_CONTRASTS):
        if baseline not in modalities or result not in modalities:
            continue
        sides = [modalities[name]["outcomes"] for name in (baseline, result)]
        shared = set.intersection(*({row["training_seed"] for row in side} for side in sides))
        sides = [[row for row in side if row["training_seed"] in shared] for side in sides]
        if all(any(row["perplexity"] == row["perplexity"] for row in side) for side in sides):
            names = {"baseline": baseline, "result": result, "factor": factor}
            changes.append(names | change_of_mean(*sides))
    return changes


def _say_what_was_asked(prompts: list[ContinuationPrompt], made_with: dict[str, Any], labels: dict[str, str]) -> str:
    words = [prompt.num_words for prompt in prompts]
    kinds = {HELD_OUT: "beginnings of held-out documents", "topics": "beginnings that were written for EvoSLM"}
    seeds = max(map(len, made_with["seeds"].values()))
    trainings = "one training" if seeds == 1 else f"{seeds} trainings"
    times = "once" if made_with["generation_seeds"] == 1 else f"{made_with['generation_seeds']} times"
    return (
        f"{len(prompts)} prompts of {min(words)} to {max(words)} words "
        f"({kinds.get(made_with['prompts'], 'texts of a file')}), each continued {times} "
        f"by {trainings} of each modality, at temperature {made_with['temperature']:g} and top-p "
        f"{made_with['top_p']:g}, for {made_with['max_seconds']:g} s at most. Perplexity of each output, a token, "
        "given the text of the prompt, which is not counted; small letters without punctuation on all sides; under "
        f"{_name_judge(made_with)}."
    )


def _name_judge(made_with: dict[str, Any]) -> str:
    own = "a small text model that EvoSLM trained on other stories"
    name = own if made_with["is_embedded"] else made_with["judge"]
    return f"{name} (fingerprint {made_with['external']['fingerprint'][:8]})"


def _perplexity_table(
    modalities: dict[str, dict], labels: dict[str, str], true: dict | None, made_with: dict, paper: dict
) -> str:
    # Whoever takes the table from the page takes the judge with it, without which a perplexity says nothing.
    header = [f"modality; judge: {_name_judge(made_with)}", "mean", "SD of outputs", "median", "5 to 95 %"]
    header += ["median a word"]
    header += ["true, as read back: mean", "median"] if true is not None else []
    header += ["*paper: mean*", "*SD*"]
    rows = []
    if true is not None:
        own = [_with_ends(true, "mean"), number(true["sd"]), _with_ends(true, "median"), MISSING]
        rows.append(["what was said", *own, number(true["word_median"], 0), MISSING, MISSING, MISSING, MISSING])
    for name, label in labels.items():
        found, back = modalities[name], modalities[name]["true_through_channel"]
        row = [label, _with_ends(found, "mean"), _with_ends(found, "sd"), _with_ends(found, "median")]
        row.append(f"{number(found['percentile_5'])} to {number(found['percentile_95'])}")
        row.append(number(found["word_median"], 0))
        if true is not None:
            row += [number(back["mean"]), number(back["median"])] if back else [MISSING, MISSING]
        figures = paper.get(name)
        shown_as = (figures or {}).get("shown_as")
        row += [papers(figures and figures["mean"], shown_as), papers(figures and figures["sd"], shown_as)]
        rows.append(row)
    return markdown_table(header, rows)


def _quality_table(modalities: dict[str, dict], labels: dict[str, str]) -> str:
    header = ["modality", *(f"{name}, %" for name in _SHARES.values())]
    header += ["Auto-BLEU, %", "distinct-1", "distinct-2", "words an output"]
    rows = []
    for name, label in labels.items():
        found = modalities[name]
        shares = [found["shares"].get(share) for share in _SHARES]
        row = [label, *(_share(share) for share in shares), percent(found["auto_bleu"])]
        row += [number(found[f"distinct_{size}"], 3) for size in (1, 2)]
        rows.append([*row, number(found["n_words"] / max(1, found["n"]))])
    return markdown_table(header, rows)


def _change_table(changes: list[dict[str, Any]], labels: dict[str, str], paper: dict) -> str:
    header = ["Step", "Factor", "geometric mean, per cent", "mean perplexity", "per cent"]
    header += ["*paper*", "*paper, per cent*"]
    rows = []
    for change in changes:
        baseline, result = change["baseline"], change["result"]
        row = [f"{labels[baseline]} to {labels[result]}", change["factor"]]
        row += [_with_ends(change, name, sign=True) for name in ("geometric_percent", "difference", "percent")]
        if baseline in paper and result in paper:
            before, after = paper[baseline]["mean"], paper[result]["mean"]
            shown_as = paper[result].get("shown_as")
            row += [papers(number(after - before, sign=True), shown_as)]
            row += [papers(number(100 * (after - before) / before, sign=True), shown_as)]
        else:
            row += [MISSING, MISSING]
        rows.append(row)
    return markdown_table(header, rows, left=2)


def _how_to_read(made_with: dict[str, Any], labels: dict[str, str], has_true: bool) -> str:
    by_kind: dict[str, list[str]] = {}
    for name, label in labels.items():
        by_kind.setdefault(made_with["channels"][name], []).append(label)
    ways = {
        AS_IT_IS: "text is judged as it was written",
        SPACED: "letters without spaces are cut into the words of the training that they are likeliest to be",
        BY_SYMBOLS: "phones and units are read by CTC transcribers of their symbols, trained on this run, which write "
        "none but the words of its training",
        BY_EAR: "phones are spoken by espeak and units by a vocoder, and one recogniser hears both "
        f"({(made_with['transcriber'] or {}).get('model', '')})",
    }
    sentences = [f"{', '.join(names)}: {ways[kind]}." for kind, names in by_kind.items()]
    if has_true:
        sentences.append(
            "What that costs is in the columns of the true continuations, which went the same way: two modalities are "
            "comparable only where theirs are alike."
        )
    if made_with["left_out"]:
        sentences.append(f"Without {', '.join(made_with['left_out'])}, whose units nothing here brings to text.")
    sentences.append(
        "The paper's figures are of its own prompts, models, recogniser and judge (Whisper large-v3, Llama 3.1 8B): "
        "only their order can be compared."
    )
    return "**How to read it.** " + " ".join(sentences)


def _about_changes(made_with: dict[str, Any]) -> str:
    intervals = "95 % bootstrap intervals over prompts, of one training."
    if max(map(len, made_with["seeds"].values())) > 1:
        intervals = (
            "95 % intervals over prompts and training seeds, with Student's t of their few degrees of freedom. Those "
            "of the means above are of a bootstrap, which two or three trainings make too narrow."
        )
    return (
        f"With {intervals} A judge may find a few outputs many thousand times less likely than the others: they make "
        "the mean, whose interval then says nothing, and steps are read by the geometric mean (exp of the mean of "
        "logarithms). The paper's table gives +7.8 for Text-BPE to Phone-BPE, which is the difference of its means, "
        "and per cents of means for the other steps; here both stand for all of them."
    )


def _examples(
    run: AnalyzedRun,
    prompts: list[ContinuationPrompt],
    tables: dict[str, pd.DataFrame],
    labels: dict[str, str],
    made_with: dict[str, Any],
) -> list[str]:
    """The first output of each modality's first model behind some prompts, with its sound."""
    paragraphs = ["### What was written", "The first output of each modality's first training, not chosen."]
    step = max(1, len(prompts) // _EXAMPLES)
    for place in range(0, len(prompts), step)[:_EXAMPLES]:
        prompt, rows = prompts[place], []
        if prompt.continuation:
            rows.append(["*what was said*", _cut(prompt.continuation), MISSING, ""])
        for name, label in labels.items():
            table = tables[name]
            first = table[(table["prompt_id"] == prompt.id) & (table["generation_seed"] == 0)].iloc[0]
            sound = sound_name(name, place)
            link = f"[sound]({sound})" if (run.paths.report / sound).is_file() else ""
            perplexity = None if pd.isna(first["perplexity"]) else float(first["perplexity"])
            rows.append([label, _cut(first["text"]) or "*(nothing)*", number(perplexity), link])
        paragraphs += [f"**{_cut(prompt.prompt)} …**", markdown_table(["", "goes on", "perplexity", ""], rows, left=2)]
    paragraphs.append(
        f"Sounds of all {len(prompts)} prompts, each with the output behind it, lie in [continuation](continuation/)."
        if (run.paths.report / "continuation").is_dir()
        else "None of these modalities can be heard."
    )
    return paragraphs


def _with_ends(found: dict[str, Any], name: str, sign: bool = False) -> str:
    low, high = found[f"{name}_low"], found[f"{name}_high"]
    return f"{number(found[name], sign=sign)} [{number(low, sign=sign)},{NBSP}{number(high, sign=sign)}]"


def _share(share: dict[str, float] | None) -> str:
    return MISSING if share is None else percent(share["share"])


def _cut(text: str) -> str:
    text = " ".join(text.split()).replace("*", "").replace("_", "")
    return text if len(text) <= _LONGEST_EXAMPLE else text[:_LONGEST_EXAMPLE].rpartition(" ")[0] + " …"
