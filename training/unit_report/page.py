"""The pages of the report on quantizers: Markdown with its tables and sentences, and the figure.

the dict of `build_unit_report` -> [`write_page`] -> `unit_report.md`, `word_stability.svg`; no number is made here.
"""

from pathlib import Path

from ..report.figures import INK, Figure
from ..report.formatting import count, duration, markdown_table, number, percent, with_interval
from .phone_page import FORM_NAMES, NORMALIZATION_NAMES, phone_notes, phone_section

PAGE_FILE = "unit_report.md"
FIGURE = "word_stability"
_NAMED_SKIPS = 5
# Named in the table, and beside the points of the figure.
_DISTANCES = {
    "same_word_same_speaker": ("same word, same speaker", "#0a6535", "o"),
    "same_word_other_speaker": ("same word, other speaker", "#1fae62", "D"),
    "other_word_same_speaker": ("other word, same speaker", "#8a1c58", "s"),
    "other_word_other_speaker": ("other word, other speaker", "#e85fa6", "^"),
}
_ERRORS = {
    "abx_within_speaker": ("word ABX within speaker", "#0a2f8a", "o"),
    "abx_across_speaker": ("word ABX across speakers", "#5a84ff", "D"),
}
_EFFECTS = {
    "same_word_other_speaker": "distance of a word across speakers",
    "abx_within_speaker": "word ABX error within a speaker",
    "abx_across_speaker": "word ABX error across speakers",
    "speaker_probe": "accuracy of naming the speaker",
}
_NOTES = """\
- **Distance**: edits from the units of one token of a word to those of another, divided by the length of the longer
  one, in per cent. The mean over words with its 95 % interval (bootstrap over words); of each word equally many pairs
  are drawn. The other word is any other word that the speaker says. In BPE a word is all pieces that have a frame of
  it, those across its edges too.
- **Word ABX**: how often a token is nearer to another word than to its own, in per cent; ties half, chance 50. Both
  words are said by one speaker, the token by the same one (within) or by another (across).
- **PNMI**: the share of the uncertainty about a frame's phone that its unit removes; **purity**: the accuracy of
  naming the phone by the unit. A collapsed unit and a BPE piece stand on all their frames. Larger vocabularies have
  higher PNMI; "bias" is by how much it is expected to be too high because there are few frames.
- **Tokens, bits**: tokens a second, and their entropy one by one times that rate.
- **Speaker**: accuracy of naming the speaker of a recording from how often it has each unit (logistic regression,
  cross-validated by document), beside always naming the most frequent speaker. It rises with the number of recordings
  a speaker and with their length: compare it within one report only.
- **Unit edit distance** (UED): edits from the units of a recording to those of the same recording perturbed, divided
  by the number of the former, in per cent; runs of equal units are one unit in both. The mean over recordings with its
  95 % interval (bootstrap over documents). Pitch and speed move the formants, too; the SNR is that of the whole
  recording, pauses included; the room's echoes fade by 60 dB in 0.4 s; codecs write at 16 kHz and their default
  quality. A speaker's statistics are those of unperturbed speech."""


def write_page(report: dict, folder: Path) -> None:
    """
    Write the page and its figure.

    Args:
        report (`dict`): What `build_unit_report` returns.
        folder (`Path`): Where to.
    """
    _figure(report["rows"]).save(folder)
    measured, settings = report["measured"], report["settings"]
    lines = [
        "# Is the tokenizer lexically stable?",
        "",
        f"{count(measured['recordings'])} recordings ({duration(measured['seconds'])}) of {measured['speakers']} "
        f"speakers with {count(measured['word_tokens'])} tokens of {count(measured['words'])} words; "
        f"{settings['num_units']} units, {settings['frame_rate']:g} frames a second. {_held_out(settings)}",
        "",
        *([describe_skipped(measured["skipped"]), ""] if measured["skipped"] else []),
        *(line for sentence in report["left_out"] for line in (sentence, "")),
        *(f"- {sentence}" for sentence in _findings(report)),
        "",
        "## Words within and across speakers",
        "",
        _stability_table(report["rows"]),
        "",
        f"![Distances and word ABX errors with their intervals]({FIGURE}.svg)",
        "",
        "## What the units say, and what they cost",
        "",
        _quality_table(report["rows"]),
        "",
        *phone_section(report),
        *_perturbation_section(report["perturbations"]),
        "## How to read this",
        "",
        _NOTES,
        *phone_notes(report),
        "",
    ]
    (folder / PAGE_FILE).write_text("\n".join(lines), encoding="utf-8")


def describe_skipped(skipped: list[dict[str, str]]) -> str:
    """A sentence on the recordings that were left out: how many, and the first of them with why."""
    named = "; ".join(f"{entry['file']}: {entry['reason'].rstrip('.')}" for entry in skipped[:_NAMED_SKIPS])
    more = f"; and {count(len(skipped) - _NAMED_SKIPS)} more" if len(skipped) > _NAMED_SKIPS else ""
    one = len(skipped) == 1
    return f"{count(len(skipped))} recording{'' if one else 's'} {'was' if one else 'were'} left out ({named}{more})."


def _held_out(settings: dict) -> str:
    part = (
        "half of the documents, drawn at random"
        if settings["splits"] is None
        else f"the {' and '.join(settings['splits'])} split{'s' * (len(settings['splits']) > 1)}"
    )
    fitted = "Quantizers and BPE were fitted on the other recordings."
    if settings["quantizer"] == "given":
        fitted = "The quantizer was given, and may have been fitted on some of it; all others, and BPE, were not."
    return f"Measured on {part}. {fitted}"


def _findings(report: dict) -> list[str]:
    """What the first row says, and what each step changes."""
    rows = report["rows"]
    value = {name: rows[0][name]["value"] for name in (*_DISTANCES, *_ERRORS)}
    probe, sentences = rows[0]["speaker_probe"], []
    if value["same_word_other_speaker"] is not None:
        sentences.append(
            f"Two tokens of a word by different speakers differ in {percent(value['same_word_other_speaker'])} % of "
            f"their units (by one speaker: {percent(value['same_word_same_speaker'])} %); tokens of different words "
            f"in {percent(value['other_word_other_speaker'])} %."
        )
    if value["abx_across_speaker"] is not None:
        sentences.append(
            f"Said by somebody else, a word is nearer to another word in {percent(value['abx_across_speaker'])} % of "
            f"cases (within a speaker: {percent(value['abx_within_speaker'])} %); 50 % would be chance."
        )
    if report["confused_words"]:
        sentences.append(f"Most often nearer to another word: {', '.join(report['confused_words'])}.")
    if probe["value"] is not None:
        sentences.append(
            f"The speaker of a recording can be told from its units in {percent(probe['value'])} % of cases; chance "
            f"is {percent(probe['chance'])} %."
        )
    for index in range(1, len(rows)):
        effects = [effect for effect in report["effects"] if effect["to_row"] == index]
        if effects:
            changes = "; ".join(_change(effect) for effect in effects)
            sentences.append(f"{_step(rows[effects[0]['from_row']], rows[index])}: {changes}.")
    return sentences


def _step(base: dict, row: dict) -> str:
    normalization = NORMALIZATION_NAMES[row["normalization"]]
    if row["form"] == "units":
        return f"Normalised by {normalization} instead of by {NORMALIZATION_NAMES[base['normalization']]}, in points"
    form = FORM_NAMES[row["form"]]
    return f"{form[0].upper()}{form[1:]} instead of units (normalised by {normalization}), in points"


def _change(effect: dict) -> str:
    """A difference in points, paired by word or recording, with its interval."""
    estimate = {"value": effect["points"], "low": effect["points_low"], "high": effect["points_high"]}
    share = {name: number / 100 for name, number in estimate.items()}
    return f"{_EFFECTS[effect['measure']]} {with_interval(share, sign=True)}"


def _stability_table(rows: list[dict]) -> str:
    names = {**_DISTANCES, **_ERRORS}
    header = ["normalised by", "form", "vocabulary", *(label for label, *_ in names.values())]
    cells = [
        [*_label(row), count(row["vocab_size"]), *(with_interval(_present(row[name])) for name in names)]
        for row in rows
    ]
    return markdown_table(header, cells, left=2)


def _quality_table(rows: list[dict]) -> str:
    header = [
        "normalised by",
        "form",
        "PNMI",
        "bias",
        "purity",
        "used, %",
        "tokens/s",
        "bits/s",
        "speaker, %",
        "chance",
    ]
    cells = [
        [
            *_label(row),
            *(number(row.get(name), 3) for name in ("pnmi", "pnmi_bias", "phone_purity")),
            percent(row["units_used"]),
            number(row["tokens_per_second"]),
            number(row["bits_per_second"], 0),
            with_interval(_present(row["speaker_probe"])),
            percent(row["speaker_probe"]["chance"]),
        ]
        for row in rows
    ]
    return markdown_table(header, cells, left=2)


def _perturbation_section(perturbations: dict) -> list[str]:
    """The table of unit edit distances, and what is not in it."""
    rows = perturbations["rows"]
    missing = [f"{entry['label']}: not measured, {entry['reason']}." for entry in perturbations["not_measured"]]
    if not rows and not missing:
        return []
    normalizations = list(dict.fromkeys(row["normalization"] for row in rows))
    found = {(row["label"], row["normalization"]): row for row in rows}
    cells = [
        [label, *(with_interval(found[label, normalization]) for normalization in normalizations)]
        for label in dict.fromkeys(row["label"] for row in rows)
    ]
    header = ["perturbation", *(f"normalised by {NORMALIZATION_NAMES[name]}, UED, %" for name in normalizations)]
    table = (
        [f"{count(perturbations['recordings'])} recordings.", "", markdown_table(header, cells), ""] if rows else []
    )
    return ["## Under perturbation", "", *table, *([" ".join(missing), ""] if missing else [])]


def _label(row: dict) -> list[str]:
    return [NORMALIZATION_NAMES[row["normalization"]], FORM_NAMES[row["form"]]]


def _present(estimate: dict) -> dict | None:
    return None if estimate["value"] is None else estimate


def _figure(rows: list[dict]) -> Figure:
    caption = "Means over words with their 95 % intervals."
    panels = {
        "distance, %": lambda axes: _panel(axes, rows, _DISTANCES),
        "word ABX, % (dashed: chance)": lambda axes: _panel(axes, rows, _ERRORS, chance=50),
    }
    return Figure(FIGURE, caption, panels, 1.6 + 0.42 * len(rows))


def _panel(axes, rows: list[dict], names: dict, chance: float | None = None) -> None:
    """One row a quantizer and form, the first on top; a mark and an interval for each measure."""
    for index, row in enumerate(rows):
        for place, (name, (label, color, marker)) in enumerate(names.items()):
            estimate = row[name]
            if estimate["value"] is None:
                continue
            height = index + 0.16 * (place - (len(names) - 1) / 2)
            axes.plot([100 * estimate["low"], 100 * estimate["high"]], [height] * 2, color=color, linewidth=1.6)
            axes.plot(100 * estimate["value"], height, marker, color=color, markersize=4.5, linestyle="none",
                      label=label if index == 0 else None)  # fmt: skip
    if chance is not None:
        axes.axvline(chance, color=INK["muted"][0], linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    axes.set_yticks(range(len(rows)), [", ".join(_label(row)) for row in rows], color=INK["ink"][0])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, None if chance is None else chance + 4)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=INK["faint"][0], linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.1), ncols=1, frameon=False, fontsize=8.5)
