"""The tables: what each answer costs and reaches, what it recovers of each gap, and what is still heard of its units.

results -> Markdown.
"""

from typing import Any

from ....metrics.tasks import TASKS
from ...report.factor_table import VERDICTS
from ...report.formatting import (
    MISSING,
    NBSP,
    count,
    interval,
    markdown_table,
    number,
    percent,
    rate,
    with_interval,
)
from .results import RECORDED
from .rows import SPEECH


def main_table(results: dict[str, Any]) -> str:
    """Every row: tokens and bits a second, the tasks and what is recovered on each, and what is heard."""
    header = ["", "answer", "tokens/s", "bits/s"]
    for task in results["tasks"]:
        header += [f"{TASKS[task].label} ({TASKS[task].rule})", "recovers"]
    header += ["WER", "MCD, dB"]
    rows = []
    for row in results["rows"]:
        cells = [row["label"], row["answer"] or "anchor"]
        cells += [rate(row["rates"]["tokens_per_second"]), number(row["rates"]["bits_per_second"], 0)]
        for task in results["tasks"]:
            cells += [_accuracy(row["accuracies"].get(task)), _recovered(row, task)]
        sound = results["sounds"].get(row["sound"], {})
        rows.append([*cells, _rate_of(sound, "wer", with_ends=False), _measure(sound, "mcd", 2)])
    return markdown_table(header, rows, left=2)


def share_table(results: dict[str, Any]) -> str | None:
    """Which share of each gap each answer recovers, in per cent."""
    labels = {row["key"]: row["label"] for row in results["rows"]}
    columns = [(task, name) for task in results["tasks"] for name in results["toplines"]]
    header = ["", *(f"{TASKS[task].label}: to {labels[name]}" for task, name in columns)]
    rows = []
    for row in results["rows"]:
        if row["recovered"]:
            rows.append([row["label"], *(_share(row["recovered"].get(task), name) for task, name in columns)])
    if not rows or not columns:
        return None
    gaps = ["*the gap, points*"]
    for task, name in columns:
        found = (row["recovered"][task]["toplines"].get(name) for row in results["rows"] if task in row["recovered"])
        gap = next((each["gap"] for each in found if each), None)
        gaps.append(MISSING if gap is None else f"*{with_interval(gap['points'], sign=True)}*")
    return markdown_table(header, [gaps, *rows])


def verdict_table(results: dict[str, Any]) -> str | None:
    """What each answer changes, judged as the report judges steps."""
    rows = [
        [row["label"], TASKS[task].label, with_interval(found["points"] | _spread(found), sign=True)]
        + [VERDICTS[found["verdict"]], count(found["n"])]
        for row in results["rows"]
        for task, found in row["recovered"].items()
    ]
    if not rows:
        return None
    return markdown_table(["", "Task", "change, points", "here", "n"], rows, left=2)


def sound_table(results: dict[str, Any]) -> str:
    """What was heard of each sound, and how far it is from what was said."""
    header = ["units of", "WER", "CER", "empty", "length", "MCD, dB", "pitch, cents", "a monotone", "voicing", "MOS"]
    rows = []
    for name, sound in results["sounds"].items():
        quality = sound["quality"] or {}
        errors, length = sound["errors"] or {}, quality.get("length_ratio")
        rows.append(
            [
                sound["label"],
                _rate_of(sound, "wer"),
                _rate_of(sound, "cer"),
                count(errors.get("empty")),
                MISSING if length is None else percent(length),
                number(quality.get("mcd"), 2),
                number(quality.get("f0_rmse_cents"), 0),
                number(quality.get("f0_spread_cents"), 0),
                percent(quality.get("voicing_error")),
                _opinion(sound["opinion"]) if name != RECORDED else MISSING,
            ]
        )
    return markdown_table(header, rows)


def training_table(results: dict[str, Any]) -> str:
    """What each model has seen."""
    header = ["", "run", "seeds", "parameters", "updates", "epochs", "tokens seen"]
    rows = [
        [
            row["label"],
            row["run"],
            ", ".join(map(str, row["seeds"])),
            *(count(row["training"][name]) for name in ("parameters", "updates")),
            number(row["training"]["epochs"]),
            count(row["training"]["tokens_seen"]),
        ]
        for row in results["rows"]
    ]
    return markdown_table(header, rows, left=2)


def _accuracy(accuracy: dict | None) -> str:
    if accuracy is None:
        return MISSING
    text = with_interval(accuracy, spread=False)
    return f"**{text}**" if accuracy["above_chance"] and "seed_sd" in accuracy else text


def _recovered(row: dict[str, Any], task: str) -> str:
    if row["key"] == SPEECH or task not in row["recovered"]:
        return MISSING
    found = row["recovered"][task]
    text = f"{percent(found['points']['value'], sign=True)} {interval(found['points'], sign=True)}"
    return f"**{text}**" if found["verdict"] == "rises" else text


def _spread(found: dict) -> dict:
    return {"seed_sd": found["seed_sd"]} if "seed_sd" in found else {}


def _share(found: dict | None, topline: str) -> str:
    gap = (found or {}).get("toplines", {}).get(topline)
    if gap is None:
        return MISSING
    if gap["share"] is None:
        return "no gap shown"
    share = gap["share"]
    ends = (("…" if share[end] is None else percent(share[end], sign=True)) for end in ("low", "high"))
    return f"{percent(share['value'], sign=True)} [{f',{NBSP}'.join(ends)}]"


def _rate_of(sound: dict[str, Any], name: str, with_ends: bool = True) -> str:
    errors = sound.get("errors")
    if not errors:
        return MISSING
    return with_interval(errors[name]) if with_ends else percent(errors[name]["value"])


def _measure(sound: dict[str, Any], name: str, digits: int) -> str:
    return number((sound.get("quality") or {}).get(name), digits)


def _opinion(opinion: dict | None) -> str:
    if opinion is None:
        return MISSING
    return f"{number(opinion['value'], 2)} [{number(opinion['low'], 2)},{NBSP}{number(opinion['high'], 2)}]"
