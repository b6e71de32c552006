"""The table of factors: what each step from text to speech costs."""

from .formatting import count, markdown_table, number, papers, with_interval
from .tables import step

VERDICTS = {
    "falls": "a drop, shown",
    "rises": "a rise, shown",
    "not shown": "no change shown",
    "at chance": "both may be guessing",
    "one seed": "not judged: one seed",
}


def effect_table(results: dict, task: str, finer: bool = False) -> str | None:
    """The paper's Table 3 for one task: what each step changes, in points and per cent."""
    effects = [effect for effect in results["effects"] if effect["finer"] == finer and task in effect["tasks"]]
    if not effects:
        return None
    header = ["Step", "Factor", "points", "per cent", "here"] + ([] if finer else ["*paper, per cent*"]) + ["n"]
    rows = []
    for effect in effects:
        change = effect["tasks"][task]
        points = change["points"] | ({"seed_sd": change["seed_sd"]} if "seed_sd" in change else {})
        row = [step(results, effect), effect["factor"], with_interval(points, sign=True)]
        row += [with_interval(change["relative"], sign=True), VERDICTS[change["verdict"]]]
        if not finer:
            shown_as = results["paper"]["accuracies"][effect["result"]].get("shown_as")
            paper = change.get("paper_percent")
            row.append(papers(None if paper is None else number(paper, sign=True), shown_as))
        rows.append([*row, count(change["n"])])
    return markdown_table(header, rows, left=2)
