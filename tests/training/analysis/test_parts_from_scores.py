"""`evoslm analyze` with the parts that read scores alone: one page of scaling, factors and other people's figures."""

import json

import pytest
from fake_run import make_fake_run

from evoslm.training.cli import main

PARTS = ("scaling", "factors", "published")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = make_fake_run(
        tmp_path_factory.mktemp("parts") / "run", ("text_raw", "phone_raw"), seeds=(0, 1), pairs=20, baselines=False
    )
    for stage in [*folder.glob("scores/*/seed-*"), *folder.glob("models/*/seed-*")]:
        record = {"fingerprint": stage.name, "keys": {}, "seconds": 0, "peak_memory_mb": 0, "versions": {}}
        (stage / "stage.json").write_text(json.dumps(record))
    return folder


def test_the_page_has_them_with_all_their_numbers(run, capsys):
    command = ["analyze", str(run), "--parts", *PARTS, "--num_proc", "1", "--device", "cpu"]
    assert main(command) == 0
    page = (run / "report" / "analysis.md").read_text()
    titles = [line for line in page.splitlines() if line.startswith("## ")]
    assert titles == ["## Accuracy over tokens, epochs and FLOPs", "## What each factor costs, in four views", (
        "## Other people's figures"
    )]  # fmt: skip
    assert "No continuations were written in this run" in page and "less speech and" in page
    assert (run / "report" / "analysis_scaling.png").is_file()
    numbers = json.loads((run / "report" / "analysis.json").read_text())["parts"]
    assert set(numbers) == set(PARTS) and numbers["scaling"]["topline"] == "text_raw"
    # None of other people's numbers has come between those of the run.
    assert "SpidR" not in page[: page.index("## Other people's figures")]
    # Scores that were made anew are read anew, without being asked to; what has not changed stays.
    kept = {part: (run / "analysis" / part / "stage.json").stat().st_mtime_ns for part in PARTS}
    path = run / "scores" / "text_raw" / "seed-0" / "stage.json"
    path.write_text(path.read_text().replace('"seed-0"', '"other"'))
    assert main(["analyze", str(run), "--parts", "scaling", "published", "--num_proc", "1", "--device", "cpu"]) == 0
    made = {part: (run / "analysis" / part / "stage.json").stat().st_mtime_ns for part in PARTS}
    assert made["scaling"] > kept["scaling"] and made["published"] == kept["published"]
    # What was computed of the earlier scores is no longer on the page.
    page, report = ((run / "report" / f"{name}.md").read_text() for name in ("analysis", "report"))
    left_out = "is of earlier models, or is not whole; `evoslm analyze RUN --parts factors` makes it anew."
    assert f"## What each factor costs, in four views\n\nLeft out: what lies here {left_out}" in page
    numbers = json.loads((run / "report" / "analysis.json").read_text())["parts"]
    assert list(numbers["factors"]) == ["title"] and "scaling" in numbers["scaling"]
    assert "of the models that were there when `evoslm analyze` last wrote it" in report


def test_what_a_run_lacks_is_one_sentence(run, tmp_path, capsys):
    alone = make_fake_run(tmp_path / "run", ("phone_raw",), pairs=20, points=False, baselines=False)
    for part, message in (("scaling", "has no points along its trainings"), ("factors", "differ by one factor")):
        assert main(["analyze", str(alone), "--parts", part]) == 2
        error = capsys.readouterr().err
        assert message in error and len(error.splitlines()) == 1
