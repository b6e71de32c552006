"""What the table shows, in sentences, with the tables behind them.

results -> [`write_paragraphs`] -> Markdown.
"""

from typing import Any

from ....metrics.tasks import TASKS
from ....models.seed_intervals import FEWEST_CLUSTERS
from ...report.formatting import MISSING, interval, listing, percent
from .hearing import SQUIM_WEIGHTS
from .rows import SPEECH
from .tables import main_table, share_table, sound_table, training_table, verdict_table


def write_paragraphs(results: dict[str, Any], figure: str | None) -> list[str]:
    """
    Write the section.

    Args:
        results (`dict`): Of the table.
        figure (`str`, *optional*): The Markdown of the figure.

    Returns:
        `list[str]`: Paragraphs and tables.
    """
    shares, verdicts = share_table(results), verdict_table(results)
    parts = ["\n".join(f"- {sentence}" for sentence in say_recovered(results)), figure, main_table(results)]
    parts.append(_read_table(results))
    if shares:
        parts += [
            "**Of each gap, recovered in per cent.** The gap is what a topline is above the units of frames, on the "
            "same pairs and seeds; below zero an answer loses. A share is given where the interval of the gap is "
            "above zero, and its interval covers both of its ends (Fieller's).",
            shares,
        ]
    if verdicts:
        parts += ["**Each change, judged.**", verdicts]
    parts += [f"**What is still heard.** {_say_sound(results)}", sound_table(results)]
    parts += [f"{name}: not spoken. {reason}" for name, reason in results["not_spoken"].items()]
    parts += ["**What each has seen.**", training_table(results)]
    return [part for part in parts if part]


def say_recovered(results: dict[str, Any]) -> list[str]:
    """Of each task, which answers are shown to recover something; and how sure that is."""
    if not results["shows"]:
        return [
            "One training seed: nothing is shown of any answer, since another training would give other numbers. "
            "Intervals are over pairs alone."
        ]
    sentences = [_say_task(results, task) for task in results["tasks"]]
    judged = sum(len(row["recovered"]) for row in results["rows"])
    sentences.append(
        f"Of {judged} comparisons, each with an interval of 95 % by itself, about {judged / 40:.1f} would lie above "
        "zero by chance if no answer changed anything. Intervals cover other pairs and trainings, not other texts or "
        "sizes."
    )
    return sentences


def _say_task(results: dict[str, Any], task: str) -> str:
    found = {row["label"]: row["recovered"][task] for row in results["rows"] if task in row["recovered"]}
    label = TASKS[task].label
    few = max((change["n_clusters"] for change in found.values()), default=0) < FEWEST_CLUSTERS
    if few:
        return f"**{label}**: too few pairs to read anything off."
    gains, losses = (
        [name for name, change in found.items() if change["verdict"] == word] for word in ("rises", "falls")
    )
    gains.sort(key=lambda name: -found[name]["points"]["value"])
    parts = [f"{name} recovers {_gain(results, found[name])}" for name in gains]
    parts += [f"{name} costs {_points(found[name], -1)}" for name in losses]
    others = len(found) - len(parts)
    guessing = sum(change["verdict"] == "at chance" for change in found.values())
    if guessing:
        rest = f"of {others}, {guessing} cannot be told from guessing, as the units of frames cannot"
    else:
        rest = f"of {'the other ' if parts else ''}{others}, no change is shown"
    return f"**{label}**: {'; '.join([*parts, *([rest] if others else [])])}."


def _gain(results: dict[str, Any], found: dict[str, Any]) -> str:
    labels = {row["key"]: row["label"] for row in results["rows"]}
    shares = [
        f"{percent(gap['share']['value'])} % of the gap to {labels[name]}"
        for name, gap in found["toplines"].items()
        if gap["share"] is not None
    ]
    return _points(found) + (f", {listing(shares)}" if shares else "")


def _points(found: dict[str, Any], sign: int = 1) -> str:
    points = found["points"]
    ends = sorted((sign * points["low"], sign * points["high"]))
    shown = {"value": sign * points["value"], "low": ends[0], "high": ends[1]}
    return f"{percent(shown['value'])} points {interval(shown)}"


def _read_table(results: dict[str, Any]) -> str:
    speech = next(row["label"] for row in results["rows"] if row["key"] == SPEECH)
    bold = "shown by several trainings" if results["shows"] else "nothing, with one training"
    return (
        f"Recovers: points above {speech} on the same pairs and seeds; bold: {bold}. Bits are tokens times the "
        "entropy of a single one. WER and MCD are of the units made audible, below."
    ) + (
        " Joint models of text and speech have read the texts, too: what they gain is not due to their units alone."
        if any(row["reads_text"] for row in results["rows"])
        else ""
    )


def _say_sound(results: dict[str, Any]) -> str:
    by = results["heard_by"]
    sentences = [
        f"The first {results['num_utterances']} utterances of the {results['split']} split (fewer where there are no "
        "more), spoken by tables of mean spectra of the training split, in the voice of whoever spoke. Sound that is "
        "heard has the durations that tokens give: those of frames, else the mean of each token, whence the *length* "
        "in per cent of the true one. MCD, pitch (root mean square over frames that are voiced in both) and voicing "
        "errors (in per cent) are of the same units in the durations that were spoken, since they compare frame by "
        "frame; such a table has one pitch a voice, beside *a monotone* at the mean of each utterance."
    ]
    if by is None:
        sentences.append(
            "Nothing was heard: give `--transcriber`, or run `evoslm train-transcriber` on the run, and analyze again."
        )
    elif by["kind"] == "recogniser":
        sentences.append(f"Heard by {by['name']}; errors in per cent, with intervals over utterances.")
    else:
        sentences.append(
            f"Heard by the run's own transcriber of units ({by['name']}), to which the run's quantizer lent its ear: "
            "it was trained on the same voices, and knows the words of the training split alone. Errors in per cent, "
            "with intervals over utterances."
        )
    if results["opinion_by"] is None:
        sentences.append(
            f"MOS {MISSING}: the weights of torchaudio's SQUIM are not on this machine; they are looked for below "
            f"`torch.hub.get_dir()` as `{SQUIM_WEIGHTS}`, and not downloaded."
        )
    else:
        sentences.append("MOS is what SQUIM predicts that people would say, from 1 to 5.")
    return " ".join(sentences)
