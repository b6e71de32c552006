"""The report: numbers against ones worked out by hand, sentences against their rules, the page against a parser."""

import errno
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import evaluate
import fake_run
import numpy as np
import pandas as pd
import pytest
from fake_run import PAPER_SIX, make_fake_run
from matplotlib.figure import Figure as Canvas

import evoslm
from evoslm.metrics.tasks import TASKS, ItemCheck, Task
from evoslm.models.modalities import MODALITIES
from evoslm.training.report import write_report
from evoslm.training.report.document import write_document
from evoslm.training.report.figures import COLORS, INK, MARKERS, draw_figures
from evoslm.training.report.formatting import with_interval
from evoslm.training.report.prose import summarize
from evoslm.training.report.results import compute_results, load_paper_figures
from evoslm.training.report.run_folder import read_run
from evoslm.training.score.pair_files import accuracies_by_task

EVERYTHING = tuple(MODALITIES)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The folder of a report on every modality."""
    run = make_fake_run(tmp_path_factory.mktemp("runs") / "all", modalities=EVERYTHING, pairs=60)
    path = write_report(run)
    assert path == run / "report" / "report.md"
    return path.parent


@pytest.fixture(scope="module")
def six(tmp_path_factory):
    """The results of the paper's six modalities with one seed."""
    return compute_results(read_run(make_fake_run(tmp_path_factory.mktemp("runs") / "six")))


def document(run) -> str:
    results = compute_results(read_run(run))
    return write_document(results, draw_figures(results))


class TestResults:
    def test_headline_of_swuggy_counts_the_lower_bands(self, tmp_path):
        run = make_fake_run(tmp_path / "run", modalities=("text_raw",), pairs=40)
        scored = pd.read_parquet(run / "scores/text_raw/seed-0/best/items.parquet")
        lower = scored[scored["band"].isin(["1-5", "6-20", "21-100"])]
        accuracy = compute_results(read_run(run))["accuracies"]["text_raw"]["swuggy"]
        assert accuracy["headline"]["value"] == pytest.approx((lower["positive"] > lower["negative"]).mean())
        assert accuracy["headline"]["n"] == lower["pair_id"].nunique()
        assert accuracy["all_bands"]["sum"]["n"] == 40
        assert set(accuracy["groups"]) == set(TASKS["swuggy"].bands)

    @pytest.mark.parametrize("task", ["swuggy", "sblimp", "topic_sc"])
    @pytest.mark.parametrize("clusters", ["equal", "unequal"])
    def test_accuracies_and_intervals_are_those_of_the_metric_and_of_score(self, tmp_path, task, clusters):
        """All bands go in, and each counts its headline's; of unequal clusters some lack a twin or a voice."""
        run = make_fake_run(
            tmp_path / "run", modalities=("phone_raw",), pairs=60, voices=3, points=False, baselines=False
        )
        file = run / "scores/phone_raw/seed-0/best/items.parquet"
        scored = pd.read_parquet(file)
        if clusters == "unequal":
            number = scored["pair_id"].str[-4:].astype(int)
            scored["cluster"] = scored["task"] + "-" + np.sqrt(number).astype(int).astype(str)
            kept = (number % 7 > 0) & ((number % 3 > 0) | (scored["voice"] != "voice-2"))
            scored = scored[kept].reset_index(drop=True)
            scored.to_parquet(file)
        scored = scored[scored["task"] == task]
        rows = scored.to_dict("records")
        metric = evaluate.load(evoslm.metric_path(task), cache_dir=str(tmp_path / "cache"))
        expected = metric.compute(**metric.judge_arguments(rows))
        assert accuracies_by_task(rows)[task] == expected
        found = compute_results(read_run(run))["accuracies"]["phone_raw"][task]
        counted = scored[scored["band"].isin(TASKS[task].headline_bands or scored["band"])]
        counts = {"n": counted["pair_id"].nunique(), "n_clusters": counted["cluster"].nunique()}
        counts["n_pairs"] = counts["n"]
        assert expected.items() >= counts.items() and found["headline"].items() >= counts.items()
        assert found["headline"]["value"] == pytest.approx(expected["accuracy"], abs=1e-12)
        for rule, accuracy in found["rules"].items():
            ends = [expected[f"{key}_{rule}"] for key in ("accuracy", "ci_low", "ci_high")]
            assert [accuracy[key] for key in ("value", "low", "high")] == pytest.approx(ends, abs=1e-12)
        for group, accuracy in found["groups"].items():
            value = expected["groups"][group][f"accuracy_{expected['headline']}"]
            assert accuracy["value"] == pytest.approx(value, abs=1e-12)
            assert accuracy["n_pairs"] == expected["groups"][group]["n_pairs"]

    def test_a_new_task_is_named_in_one_place(self, tmp_path, monkeypatch):
        """With an entry of its own, its pairs are judged, shown in every table and checked against n-grams."""
        bands = {"bands": ("easy", "hard"), "headline_bands": ("easy",)}
        bands["counted"] = "{bands} riddles"
        check = ItemCheck(("ngram1", "ngram2"), "1- and 2-grams over letters", 0.05, ("text_raw",))
        riddles = Task("riddles", "Riddles", "wit", "A riddle.", "mean", "Who asks", **bands, check=check)
        monkeypatch.setitem(TASKS, "riddles", riddles)
        monkeypatch.setitem(fake_run.GROUPS, "riddles", ("hard", "easy"))
        run = make_fake_run(tmp_path / "run", modalities=("text_raw", "phone_raw", "phone_repeat"), pairs=40)
        results = compute_results(read_run(run))
        assert results["tasks"] == ["swuggy", "sblimp", "topic_sc", "riddles"]
        assert results["headline"]["riddles"] == {"rule": "mean", "bands": ["easy"], "all_bands": ["easy", "hard"]}
        accuracy = results["accuracies"]["text_raw"]["riddles"]
        assert (accuracy["headline"]["n"], accuracy["all_bands"]["sum"]["n"]) == (20, 40)
        assert list(accuracy["groups"]) == ["easy", "hard"]
        checks = [check for check in results["item_checks"] if check["task"] == "riddles"]
        assert [check["baseline"] for check in checks] == ["ngram1", "ngram2"]
        text = write_document(results, draw_figures(results))
        assert "Riddles's headline counts easy riddles." in text
        assert "| Who asks | n |" in text and "Riddles (mean, n" in text
        assert "Riddles against 1- and 2-grams over letters: " in text

    def test_topics_are_scored_by_mean_and_pmi_needs_a_context(self, six):
        accuracy = six["accuracies"]["text_bpe"]["topic_sc"]
        assert accuracy["headline"] == accuracy["rules"]["mean"]
        assert "pmi" in accuracy["rules"]
        assert "pmi" not in six["accuracies"]["text_bpe"]["sblimp"]["rules"]

    def test_paper_figures_are_consistent(self):
        paper = load_paper_figures()
        assert set(paper["accuracies"]) == set(PAPER_SIX) == set(paper["modalities"])
        for effect in paper["effects"]:
            before, after = (paper["accuracies"][effect[side]] for side in ("baseline", "result"))
            for task in ("swuggy", "sblimp", "topic_sc"):
                assert 100 * (after[task] / before[task] - 1) == pytest.approx(effect[task], abs=0.35)

    def test_effects_are_differences_of_the_accuracies(self, six):
        for effect in six["effects"]:
            for task, change in effect["tasks"].items():
                before, after = (
                    six["accuracies"][effect[side]][task]["headline"]["value"] for side in ("baseline", "result")
                )
                assert change["points"]["value"] == pytest.approx(after - before)

    def test_bits_per_second_count_the_ends_of_utterances(self, six):
        tokens, ends, seconds = 50.0 * 1200, 60, 1200
        best = six["losses"]["phone_repeat"]["best"]
        assert best["bits_per_second"] == pytest.approx(best["nats_per_token"] / np.log(2) * (tokens + ends) / seconds)


class TestProse:
    def test_ordering_and_drops_are_named(self, tmp_path):
        run = make_fake_run(tmp_path / "run", seeds=range(5), points=False)
        chance, words, syntax, topics = summarize(compute_results(read_run(run)))
        assert chance.startswith("**Above chance**")
        assert "Text and phone modalities are all above chance on sWUGGY and sBLIMP." in chance
        assert "Text-Raw" in words and "> Speech-MFCC" in words
        assert "As in the paper, accuracy drops at C." in words
        assert "As in the paper, accuracy drops at B and C." in syntax

    def test_what_does_not_show_is_said(self, tmp_path):
        level = dict.fromkeys(PAPER_SIX, (2.0, -0.3, -0.3))
        run = make_fake_run(tmp_path / "run", points=False, baselines=False, abilities=level, seeds=range(5))
        for repeat in (run / "scores/phone_repeat").glob("seed-*/best/items.parquet"):
            units = run / "scores/speech_units" / repeat.relative_to(run / "scores/phone_repeat")
            units.write_bytes(repeat.read_bytes())
        chance, words, syntax, topics = summarize(compute_results(read_run(run)))
        assert "on sBLIMP none" in chance
        alike = "Not shown here: at C the two models may be alike (the interval includes zero)."
        assert f"In the paper accuracy drops at C. {alike}" in words
        guessing = "both models may be guessing (at chance)"
        assert f"Not shown here: at B {guessing}; at C {guessing}." in syntax
        assert "≈ Speech-MFCC" in words and "C: +0.0 [+0.0,\u00a0+0.0] points" in words

    def test_models_that_a_baseline_reaches_are_named(self, tmp_path):
        weak = {"text_bpe": (0.6, 0.6, 0.0)}
        run = make_fake_run(tmp_path / "run", modalities=("text_bpe",), points=False, abilities=weak, seeds=range(5))
        chance = summarize(compute_results(read_run(run)))[0]
        assert re.search(
            r"best simple baseline over the same ids: on sWUGGY Text-BPE \(\d\d\.\d, \d.gram \d\d\.\d\)", chance
        )

    def test_several_seeds_are_told_from_one(self, tmp_path):
        run = make_fake_run(tmp_path / "run", modalities=("text_raw",), seeds=(0, 1), pairs=24, points=False)
        text = document(run)
        assert "means over the training seeds 0 and 1" in text and "items only" not in text
        assert "trained from scratch in fp32 on" in text
        assert re.search(r"Text-Raw \| \**\d+\.\d\u00a0±\u00a0\d", text)

    def test_every_interval_says_what_it_is_over(self, tmp_path):
        run = make_fake_run(tmp_path / "run", modalities=("text_raw", "phone_raw"), seeds=(0, 1, 2), pairs=40)
        results = compute_results(read_run(run))

        def intervals(part):
            if isinstance(part, dict):
                yield from [part] if "over" in part else []
                part = list(part.values())
            for entry in part if isinstance(part, list) else []:
                yield from intervals(entry)

        rules = results["statistics"]["intervals"]
        found = list(intervals([results[name] for name in ("accuracies", "effects", "ordering", "scaling")]))
        assert {(each["over"], each["n_seeds"]) for each in found} == {(name, n) for name, n in zip(rules, (1, 3))}
        for by_task in results["accuracies"].values():
            for accuracy in by_task.values():
                assert all(rule["over"] == "pairs" for rule in accuracy["baselines"].values())
                assert accuracy["headline"]["over"] == accuracy["above_best_baseline"]["over"] == list(rules)[1]
        text = write_document(results, {})
        assert "Intervals of models are over pairs and training seeds (S = 3)" in text
        assert "95\u00a0% intervals over pairs and training seeds (S = 3)" in text

    def test_what_was_trained_once_among_several_seeds_shows_nothing(self, tmp_path):
        run = make_fake_run(tmp_path / "run", modalities=("text_raw", "phone_raw"), seeds=(0, 1, 2), points=False)
        for seed in (1, 2):
            (run / f"scores/phone_raw/seed-{seed}/best/items.parquet").unlink()
        results = compute_results(read_run(run))
        above = {name: by_task["swuggy"]["above_chance"] for name, by_task in results["accuracies"].items()}
        assert above == {"text_raw": True, "phone_raw": False}
        assert {change["verdict"] for change in results["effects"][0]["tasks"].values()} == {"one seed"}
        assert "accuracy drops" not in " ".join(summarize(results))

    def test_one_seed_is_items_only_and_shows_nothing(self, six):
        text = write_document(six, {})
        assert "items only" in text and "no difference between modalities is shown here" in text
        assert "Nothing is bold, since there is one training seed." in text
        assert not re.search(r"\*\*\d", text)
        assert not re.search(
            r"shows\b|[><≈] (Text|Phone|Speech)", text.split("## Modalities")[0].split("## What came out")[1]
        )
        verdicts = {change["verdict"] for effect in six["effects"] for change in effect["tasks"].values()}
        assert verdicts == {"one seed"}
        assert "±" not in text.split("## Items")[0].replace("± at most", "")

    def test_what_the_makers_of_pairs_counted_is_shown(self, six):
        text = write_document(six, {})
        assert "Words: 2,434. Dropped: sounds like the word 656." in text
        assert "| phenomena | pairs | share kept |" in text and "| anaphora | 2,000 | 0.216 |" in text
        assert "Witten-Bell" in text

    def test_missing_parts_are_left_out_with_a_sentence(self, tmp_path):
        run = make_fake_run(tmp_path / "run", modalities=("phone_raw",), points=False, baselines=False)
        for path in run.glob("units/*/utterances/quality.json"):
            path.unlink()
        text = document(run)
        for gone in (
            "## Accuracy by tokens seen",
            "## What each factor costs",
            "## Speech units",
            "simple baselines\n",
        ):
            assert gone not in text
        for said in (
            "No points along the way were scored",
            "No baselines were scored",
            "No text, Phone-Repeat and unit modality was run",
            "Phone-Stretch was not run",
        ):
            assert said in text

    @pytest.mark.parametrize(("num_units", "is_shown"), [(500, True), (50, False)])
    def test_seeds_of_another_codebook_are_not_shown(self, tmp_path, num_units, is_shown):
        run = make_fake_run(tmp_path / "run", modalities=("phone_raw", "speech_units"), points=False)
        keys = {"version": 1, "configuration.num_units": 500, "inputs.utterances": "0123"}
        seeds = {"summary": {name: {"mean": 0.6} for name in ("pnmi", "nmi", "matched")}}
        seeds["seeds"] = [{"seed": 0, "pnmi": 0.58}, {"seed": 1, "pnmi": 0.62}]
        (run / "units" / "seeds").mkdir()
        (run / "units" / "seeds" / "seeds.json").write_text(json.dumps(seeds))
        for folder, own in (
            ("seeds", {"configuration.num_units": num_units, "configuration.seeds": [0, 1]}),
            ("speech_units/model", {"configuration.corpus_seed": 0}),
        ):
            (run / "units" / folder).mkdir(exist_ok=True)
            (run / "units" / folder / "stage.json").write_text(json.dumps({"keys": keys | own}))
        said = "Quantizers of seeds 0, 1, which differ in nothing else: PNMI 0.600 on average, and 0.040 between"
        assert (said in document(run)) == is_shown

    def test_a_whole_run_misses_nothing(self, report):
        assert "## What is not here" not in (report / "report.md").read_text(encoding="utf-8")

    def test_a_modality_without_scores_is_named(self, tmp_path):
        run = make_fake_run(tmp_path / "run", modalities=("text_raw", "phone_raw"), points=False)
        (run / "scores/phone_raw/seed-0/best/items.parquet").unlink()
        assert "Asked for and not scored: Phone-Raw." in document(run)


class TestReport:
    def test_files(self, report):
        names = {path.name for path in report.iterdir()}
        figures = {
            f"{name}.{kind}"
            for name in ("accuracies", "effects", "distances", "scaling", "losses")
            for kind in ("png", "svg")
        }
        assert names == {"report.md", "report.html", "results.json"} | figures

    def test_page_is_self_contained(self, report):
        page = (report / "report.html").read_text(encoding="utf-8")
        assert "<img" not in page and "<script" not in page and "@import" not in page
        assert set(re.findall(r'href="(https?://[^"]+)"', page.split("</style>")[1])) <= {
            "https://arxiv.org/abs/2412.17048",
        }
        assert not re.findall(r'\bsrc="', page)
        assert "prefers-color-scheme: dark" in page and "@media print" in page

    def test_drawings_are_well_formed_and_follow_the_theme(self, report):
        page = (report / "report.html").read_text(encoding="utf-8")
        drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
        assert len(drawings) == 10
        ids = [name for drawing in drawings for name in re.findall(r'\bid="([^"]+)"', drawing)]
        assert len(ids) == len(set(ids))
        for drawing in drawings:
            ElementTree.fromstring(drawing)
            assert "var(--ink)" in drawing
            assert not any(light in drawing for light, _ in (INK | COLORS).values())

    def test_markdown_and_page_hold_the_same_tables(self, report):
        text = (report / "report.md").read_text(encoding="utf-8")
        page = (report / "report.html").read_text(encoding="utf-8")
        assert len(re.findall(r"^\| :---", text, flags=re.MULTILINE)) == page.count("<table>")
        assert text.count("## ") == len(re.findall(r"<h[23]", page))

    def test_results_are_strict_json_and_hold_the_tables_numbers(self, report):
        results = json.loads((report / "results.json").read_text(), parse_constant=lambda name: pytest.fail(name))
        text = (report / "report.md").read_text(encoding="utf-8")
        for by_task in results["accuracies"].values():
            for accuracy in by_task.values():
                assert with_interval(accuracy["headline"]) in text
        for effect in results["effects"]:
            for change in effect["tasks"].values():
                assert with_interval(change["relative"], sign=True) in text

    def test_the_papers_figures_are_marked(self, report):
        text = (report / "report.md").read_text(encoding="utf-8")
        table = next(part for part in text.split("\n\n") if part.startswith("| Modality | sWUGGY"))
        rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in table.splitlines()[2:]}
        paper = load_paper_figures()["accuracies"]
        for name, own in paper.items():
            label = MODALITIES[name].label.format(encoder="MFCC")
            mark = "\u00a0‡" if name == "speech_units" else ""
            assert [rows[label][column].strip("| ") for column in (3, 6, 10)] == [
                f"*{own[task]}{mark}*" for task in own if task in ("swuggy", "sblimp", "topic_sc")
            ]
        assert [rows["Phone-Stretch"][column].strip("| ") for column in (3, 6, 10)] == ["–"] * 3

    def test_nothing_of_the_run_is_called_hubert(self, report):
        text = (report / "report.md").read_text(encoding="utf-8")
        assert text.count("HuBERT") == 1
        assert "of the paper's Speech-HuBERT" in text

    def test_the_same_run_gives_the_same_report(self, tmp_path):
        run = make_fake_run(tmp_path / "run", modalities=("text_raw",), pairs=24, points=False)
        kinds = ("*.md", "*.html", "*.json", "*.svg", "*.png")
        write_report(run)
        first = {path.name: path.read_bytes() for kind in kinds for path in (run / "report").glob(kind)}
        write_report(run)
        assert first == {path.name: path.read_bytes() for kind in kinds for path in (run / "report").glob(kind)}

    def test_colours_and_marks_are_there_for_every_modality(self):
        assert list(COLORS) == list(MARKERS) == list(MODALITIES)
        assert len(set(MARKERS.values())) == len(MARKERS)
        for light, dark in COLORS.values():
            assert contrast(light, "#ffffff") >= 3 and contrast(dark, "#14171c") >= 3


class TestErrors:
    def test_a_folder_that_is_no_run(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="not the folder of a run"):
            write_report(tmp_path)

    def test_a_run_without_scores(self, tmp_path):
        run = make_fake_run(tmp_path / "run", modalities=("text_raw",), points=False)
        (run / "scores/text_raw/seed-0/best/items.parquet").unlink()
        with pytest.raises(FileNotFoundError, match="no scores yet"):
            write_report(run)

    @pytest.mark.parametrize("kind", ["png", "svg"])
    def test_a_report_that_cannot_be_written_leaves_the_old_one_whole(self, tmp_path, monkeypatch, kind):
        run = make_fake_run(tmp_path / "run", modalities=("text_raw", "phone_raw"), pairs=24, points=False)
        old = {path.name: path.read_bytes() for path in write_report(run).parent.iterdir()}
        draw = Canvas.savefig

        def write_half(canvas, target, **options):
            draw(canvas, target, **options)
            if options["format"] == kind and isinstance(target, Path):
                target.write_bytes(target.read_bytes()[:100])
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Canvas, "savefig", write_half)
        with pytest.raises(OSError, match="No space left"):
            write_report(run)
        assert {path.name: path.read_bytes() for path in (run / "report").iterdir()} == old
        monkeypatch.undo()
        (run / "report" / ".effects.png.0123.tmp").write_bytes(b"half")  # as a kill leaves it
        write_report(run)
        assert {path.name: path.read_bytes() for path in (run / "report").iterdir()} == old

    @pytest.mark.parametrize("name", ["study.json", "scores/text_raw/seed-0/best/items.parquet"])
    def test_a_broken_file_is_named(self, tmp_path, name):
        run = make_fake_run(tmp_path / "run", modalities=("text_raw",), points=False)
        (run / name).write_bytes(b"{")
        with pytest.raises(ValueError, match=re.escape(name)):
            write_report(run)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours by WCAG 2."""
    luminances = []
    for color in (one, other):
        channels = np.array([int(color[start : start + 2], 16) for start in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        luminances.append(linear @ [0.2126, 0.7152, 0.0722])
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)
