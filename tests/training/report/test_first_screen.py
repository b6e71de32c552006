"""What a report begins with, and what it says of the ladder: costs, distances, bands, n-grams that do not reach."""

import shutil

import numpy as np
import pandas as pd
import pytest
from fake_run import RUNGS, make_fake_run

from evoslm.metrics.tasks import TASKS
from evoslm.training.report import lead, prose, tables, write_report
from evoslm.training.report.document import write_document
from evoslm.training.report.figures import draw_figures
from evoslm.training.report.results import compute_results
from evoslm.training.report.run_folder import read_run

CHAIN = ("text_raw", "text_raw_no_space", "phone_raw", "phone_repeat", "speech_units")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    abilities = {"text_raw": (2.6, 2.6, 0.0), "text_raw_no_space": (2.6, 2.6, 0.0), "phone_raw": (2.6, 2.6, 0.0)}
    folder = tmp_path_factory.mktemp("runs") / "chain"
    return make_fake_run(folder, CHAIN, seeds=range(5), pairs=120, points=False, abilities=abilities)


@pytest.fixture(scope="module")
def results(run):
    return compute_results(read_run(run))


def of_modalities(tmp_path, *modalities, **options) -> dict:
    return compute_results(read_run(make_fake_run(tmp_path / "run", modalities, points=False, pairs=40, **options)))


def test_each_factor_has_a_sentence_with_its_cost_in_points(results):
    a, b, c = lead.say_costs(results)
    assert a.startswith("**A, phones instead of letters** (Text-Raw to Phone-Raw): no change is shown on sWUGGY (")
    effect = next(effect for effect in results["effects"] if effect["factor"] == "B")["tasks"]["sblimp"]
    assert effect["verdict"] == "falls"
    low, high = (f"{-100 * effect['points'][end]:.1f}" for end in ("high", "low"))
    assert f"**{-100 * effect['points']['value']:.1f}** points [{low},\u00a0{high}] on sBLIMP" in b
    assert "nothing can be read off Topic-SC, where both models may be guessing" in b
    assert c.startswith("**C, ") and "(Phone-Repeat to Speech-MFCC) costs" in c


def test_every_step_of_a_factor_is_said_that_of_the_chain_first(tmp_path):
    modalities = ("text_bpe", "text_raw", "phone_bpe", "phone_raw")
    abilities = {"text_bpe": (4.0, 4.0, 4.0), "phone_bpe": (0.5, 0.5, 0.5)}
    (sentence,) = lead.say_costs(of_modalities(tmp_path, *modalities, seeds=range(5), abilities=abilities))
    chain, other = sentence.split(" The same step ")
    assert chain.startswith("**A, phones instead of letters** (Text-Raw to Phone-Raw)")
    assert other.startswith("(Text-BPE to Phone-BPE) costs **")


def test_how_sure_says_seeds_pairs_and_what_intervals_cover(results, tmp_path):
    sure = lead.say_how_sure(results)
    assert "five trainings of each model (seeds 0, 1, 2, 3 and 4), asked about 72\u00a0pairs of sWUGGY" in sure
    assert "cover other pairs and other trainings of the same models, not other texts" in sure
    single = of_modalities(tmp_path, "text_raw", "phone_raw")
    assert "one training of each model (seed 0)" in lead.say_how_sure(single)
    (sentence,) = lead.say_costs(single)
    assert "changes accuracy by" in sentence and "costs" not in sentence and "shown" not in sentence


def test_models_of_fewer_trainings_are_not_said_to_have_more(tmp_path):
    run = make_fake_run(tmp_path / "run", ("text_raw", "phone_raw"), (0, 1, 2), pairs=40, points=False)
    for seed in (1, 2):
        shutil.rmtree(run / "scores" / "phone_raw" / f"seed-{seed}")
    results = compute_results(read_run(run))
    sure = lead.say_how_sure(results)
    assert "one to three trainings of each model (seeds 0, 1 and 2)" in sure
    assert "of a model that was trained once, other pairs only" in sure
    said = prose.describe_run(results)
    assert "means over one to three of the training seeds 0, 1 and 2" in said
    assert "of a model that was trained once over pairs only" in said


def test_without_a_factor_each_task_has_a_sentence(tmp_path):
    sentences = lead.say_costs(of_modalities(tmp_path, "phone_repeat", seeds=(0, 1)))
    assert [sentence.split("**")[1] for sentence in sentences] == ["sWUGGY", "sBLIMP", "Topic-SC"]
    assert all("chance is 50 %): Phone-Repeat " in sentence for sentence in sentences)


def test_a_task_with_too_few_pairs_is_called_so(results):
    few = results | {"too_small": {"sblimp": {"n": 3, "asked": 40}}}
    assert "there are too few pairs of sBLIMP" in lead.say_costs(few)[1]


def test_figure_and_sentences_come_before_everything_else(run):
    page = (write_report(run).parent / "report.html").read_text(encoding="utf-8")
    first = page.split('<section class="first">')[1].split("</section>")[0]
    assert first.count("<svg") == 2 and first.count("<li>") == 3 and "How sure:" in first
    for layout in ("wide", "narrow"):
        drawing = first.split(f'<div class="{layout}">')[1].split("</div>")[0]
        assert all(TASKS[task].label in drawing for task in TASKS)
        assert all(words in drawing for words in ("Text-Raw", "chance", "best n-gram", "the paper", "Speech-MFCC"))
        assert drawing.count(">B") == 3


def test_groups_of_the_ladder_go_from_easy_to_hard(results):
    groups = results["accuracies"]["text_raw"]["sblimp"]["groups"]
    assert list(groups) == list(RUNGS)


def test_accuracy_by_distance_is_that_of_the_pairs_at_that_distance(run, results):
    found = results["accuracies"]["phone_repeat"]["sblimp"]["distances"]
    assert list(found) == ["0", "1", "3", "4", "5"]
    by_seed = []
    for path in run.glob("scores/phone_repeat/seed-*/best/items.parquet"):
        items = pd.read_parquet(path).query("task == 'sblimp' and band == '3'")
        by_seed.append((items["positive"] > items["negative"]).mean())
    assert found["3"]["value"] == pytest.approx(np.mean(by_seed))
    assert "distances" not in results["accuracies"]["phone_repeat"]["swuggy"]
    assert "distances" in draw_figures(results)
    assert tables.group_table(results, "sblimp", "distances").startswith("| Words between cue and target | n |")


def test_headline_bands_are_those_that_the_pairs_have(tmp_path):
    run = make_fake_run(tmp_path / "run", ("text_raw", "phone_raw"), pairs=40, points=False)
    for path in run.glob("scores/*/**/*.parquet"):
        items = pd.read_parquet(path)
        items[~items["band"].isin(["1-5", "21-100, unbalanced"])].to_parquet(path)
    results = compute_results(read_run(run))
    assert results["headline"]["swuggy"]["bands"] == ["6-20", "21-100"]
    text = write_document(results, {})
    assert "headline counts words of the frequency bands 6-20 and 21-100;" in text
    assert "All bands together (6-20, 21-100 and >100, unbalanced)" in text and "1-5" not in text


def test_factor_a_is_split_into_word_boundaries_and_sounds(results):
    steps = {(effect["baseline"], effect["result"]): effect for effect in results["effects"]}
    spaces, sounds = steps["text_raw", "text_raw_no_space"], steps["text_raw_no_space", "phone_raw"]
    assert (spaces["factor"], sounds["factor"]) == ("A: word boundaries", "A: spelling to sound")
    whole = steps["text_raw", "phone_raw"]["tasks"]["sblimp"]["points"]["value"]
    parts = [effect["tasks"]["sblimp"]["points"]["value"] for effect in (spaces, sounds)]
    assert sum(parts) == pytest.approx(whole)


def test_n_grams_are_checked_on_pairs_that_their_window_does_not_span(run, results):
    items = pd.read_parquet(run / "scores/text_raw/baselines/baselines.parquet").query("task == 'sblimp'")
    far = items[items["band"].astype(int) >= 2]
    checks = {
        check["baseline"]: check
        for check in results["item_checks"]
        if (check["task"], check["modality"]) == ("sblimp", "text_raw")
    }
    assert list(checks) == [f"ngram{order}" for order in range(1, 6)]
    expected = (far["ngram3_positive"] > far["ngram3_negative"]).mean()
    assert checks["ngram3"]["value"] == pytest.approx(expected)
    said = next(sentence for sentence in prose.check_items(results) if sentence.startswith("sBLIMP"))
    assert "against n-grams whose window does not reach from the cue to the target" in said


def test_what_training_shows_of_the_items_is_said(results):
    seen, rejected = prose.describe_seen(results)
    assert seen == "sBLIMP: 0 of 240 sentences occur in the training split."
    assert rejected.startswith("sBLIMP: of 90 frames that were drawn 30 were rejected, because training has")
    assert not any("Drawn" in part for part in tables.making_of_pairs(results, "sblimp"))
