"""The part of the report's page on units as phones: error rates, boundaries, and ABX of phones.

the dict of `build_unit_report` -> [`phone_section`], [`phone_notes`] -> lines of Markdown; no number is made here.
"""

from ..report.formatting import count, markdown_table, number, percent, with_interval

FORM_NAMES = {"units": "units", "collapsed": "collapsed", "bpe": "BPE pieces"}
NORMALIZATION_NAMES = {"none": "corpus", "utterance": "utterance", "speaker": "speaker"}
_BOUNDARIES = {
    "unit_boundaries": "the units",
    "many_to_one": "phones, many to one",
    "one_to_one": "phones, one to one",
}
_BOUNDARY_MEASURES = ("precision", "recall", "f1", "over_segmentation", "r_value")
_NOTES = """\
- **Phone error rate**: a phone is chosen for each unit on the recordings that were fitted on, and the units that are
  measured are read as these phones. Edits from them to the phones that were spoken, over the number of the latter, in
  per cent, with a 95 % interval over documents. A run of one phone is one, stress is left out, and so are pauses, but
  for the columns with pauses, which are as discophon defines them (it chooses phones on what it measures). Above 100
  where units change more often than they are wrong. Many to one: each unit is the phone that it most often stands on.
  One to one: no two units are the same phone; where there are more units than phones, the others are phones of their
  own that nobody says.
- **Boundaries**: where units change, and where the phones that they are read as do, against the edges of phones and
  pauses, within 20 ms, in per cent. Over-segmentation is how many more there are. The R-value is 100 where all are
  found and nothing else, and falls below F1 where boundaries are so many that they are hit by chance. Precision,
  recall, F1 and R-value are discophon's.
- **Phone ABX**, by fastabx: how often a phone is nearer to another phone between the same two neighbours than to
  itself, neighbours included, in per cent; chance 50. Both are said by one speaker, the phone by the same one (within)
  or by another (across); there are no pauses in it. Features are what the quantizer clusters, by their angle; units
  are equal or not; both along a path by dynamic time warping. At most 10 tokens of each by a speaker and 5 speakers
  are compared. Word ABX counts edits between words instead, and the two cannot be compared."""


def phone_section(report: dict) -> list[str]:
    """
    The section on units as phones.

    Args:
        report (`dict`): What `build_unit_report` returns.

    Returns:
        `list[str]`: Its lines, the heading first; none where the recordings have no phones.
    """
    rows = [row for row in report["rows"] if "many_to_one" in row]
    if not rows:
        return []
    return [
        "## Units as phones",
        "",
        *(f"- {sentence}" for sentence in _findings(rows[0], report["phone_abx"])),
        "",
        _error_table(rows),
        "",
        _boundary_table(rows),
        "",
        *([_abx_table(report["phone_abx"]), ""] if report["phone_abx"]["rows"] else []),
    ]


def phone_notes(report: dict) -> list[str]:
    """
    How to read the section.

    Args:
        report (`dict`): What `build_unit_report` returns.

    Returns:
        `list[str]`: Points of a list; none where there is no section.
    """
    return [_NOTES] if phone_section(report) else []


def _findings(row: dict, abx: dict) -> list[str]:
    rates = {kind: row[kind]["phone_error_rate"] for kind in ("many_to_one", "one_to_one")}
    edges = row["unit_boundaries"]
    return [
        f"Each read as the phone that it most often stands on, the units have a phone error rate of "
        f"{with_interval(rates['many_to_one'])} %; where no two may be the same phone, "
        f"{with_interval(rates['one_to_one'])} %.",
        f"There are {number(edges['over_segmentation'] + 1, 2)} times as many boundaries between units as between the "
        f"{count(row['many_to_one']['phones'])} phones and the pauses; {percent(edges['recall'])} % of the latter are "
        f"found within 20 ms.",
        _compared(abx),
    ]


def _compared(abx: dict) -> str:
    if "not_measured" in abx:
        return f"Phones were not compared by ABX. {abx['not_measured']}"
    return f"{count(abx['triphones'])} triphones were compared by {abx['engine']}."


def _error_table(rows: list[dict]) -> str:
    header = [
        "normalised by",
        "form",
        "phone errors, %, many to one",
        "one to one",
        "with pauses: many to one",
        "one to one",
    ]
    names = ("phone_error_rate", "phone_error_rate_with_pauses")
    cells = [
        [*_label(row), *(with_interval(row[kind][name]) for name in names for kind in ("many_to_one", "one_to_one"))]
        for row in rows
    ]
    return markdown_table(header, cells, left=2)


def _boundary_table(rows: list[dict]) -> str:
    header = ["normalised by", "form", "boundaries of", "precision", "recall", "F1", "over-segmentation", "R-value"]
    cells = [
        [*_label(row), label, *(percent(row[name][measure]) for measure in _BOUNDARY_MEASURES)]
        for row in rows
        for name, label in _BOUNDARIES.items()
    ]
    return markdown_table(header, cells, left=3)


def _abx_table(abx: dict) -> str:
    header = ["normalised by", "form", "phone ABX within speaker, %", "phone ABX across speakers, %"]
    cells = [
        [
            NORMALIZATION_NAMES[row["normalization"]],
            row["of"],
            percent(row["within_speaker"]),
            percent(row["across_speaker"]),
        ]
        for row in abx["rows"]
    ]
    return markdown_table(header, cells, left=2)


def _label(row: dict) -> list[str]:
    return [NORMALIZATION_NAMES[row["normalization"]], FORM_NAMES[row["form"]]]
