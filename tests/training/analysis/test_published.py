"""Other people's figures: where they are from, that they stand apart, and how far a run is from them."""

import pytest
from fake_run import make_fake_run

from evoslm.training.analysis.published import (
    load_published_figures,
    measure_run,
    published_table,
    say_distance,
)
from evoslm.training.report.run_folder import read_run


def test_every_figure_has_a_source_and_is_an_accuracy():
    figures = load_published_figures()
    for source in figures["sources"]:
        assert source["url"].startswith("https://") and source["setting"] and source["weights"] > 0
        for row in source["rows"]:
            assert row["hours"] > 0
            assert all(40 <= row[task] <= 100 for task in ("swuggy", "sblimp", "topic_sc"))
    units = [row for source in figures["sources"] for row in source["rows"] if row.get("is_speech")]
    assert max(row["swuggy"] for row in units if row["system"].startswith("HuBERT")) == pytest.approx(66.21)


def test_all_of_the_table_is_in_italics_and_has_the_paper():
    rows = published_table(load_published_figures()).splitlines()[2:]
    assert len(rows) == 16 + 6
    assert all(cell.strip().startswith("*") for row in rows for cell in row.split("|")[4:7])
    assert any("2412.17048" in row and "*50.8*" in row for row in rows)


def test_the_distance_is_measured_in_hours_and_weights(tmp_path):
    measured = measure_run(read_run(make_fake_run(tmp_path / "run", ("phone_raw",), pairs=20, baselines=False)))
    assert measured["hours"] == pytest.approx(24_000 / 3600) and measured["weights"] == 1_800_000 + 192 * 74
    sentence = say_distance(measured | load_published_figures())
    assert "90 times less speech and 69 times fewer weights" in sentence and "61.2 % from 600 h" in sentence
    as_much = say_distance({"hours": 6000, "weights": 10**9} | load_published_figures())
    assert "as much speech as the smallest of these models had**" in as_much and "less" not in as_much
    few = say_distance({"hours": 700, "weights": 342_848} | load_published_figures())
    assert "as much speech as the smallest of these models had, but 365 times fewer weights**" in few
    assert "is not known" in say_distance({"hours": None, "weights": None} | load_published_figures())
