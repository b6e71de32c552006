"""`evoslm analyze` on a finished run: layers and word boundaries, a stage a model, on a page of their own."""

import inspect
import json
import shutil
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from evoslm.models.modalities import get_modality
from evoslm.training.analysis.arguments import AnalyzeArguments
from evoslm.training.analysis.command import read_analyzed
from evoslm.training.analysis.layers import part as layers
from evoslm.training.analysis.layers.accuracies import layer_outcomes
from evoslm.training.analysis.page import write_analysis
from evoslm.training.analysis.segmentation.timed_tokens import read_timed_utterances
from evoslm.training.arguments.parsing import parse_arguments
from evoslm.training.arguments.study import AnalysisPart
from evoslm.training.cli import main
from evoslm.training.report.estimates import task_outcomes
from evoslm.training.run.folder import Run

MODALITIES = ("text_raw_no_space", "phone_repeat", "speech_bpe")
FLAGS = ("--num_proc", "1", "--device", "cpu")


@pytest.fixture(scope="module")
def analyzed(finished_run, tmp_path_factory):
    """A run whose analysis was killed after its first model, and then went on."""
    run = shutil.copytree(finished_run, tmp_path_factory.mktemp("analyze") / "run")
    command = ["analyze", str(run), "--parts", "layers", "segmentation", "--modalities", *MODALITIES, *FLAGS]
    load, loaded = layers.load_for_scoring, []

    class Killed(BaseException):
        pass

    def kill_at_the_second(model, *others):
        loaded.append(model.parent.name)
        if len(loaded) == 2:
            raise Killed
        return load(model, *others)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(Killed):
        patched.setattr(layers, "load_for_scoring", kill_at_the_second)
        main(command)
    first = run / "analysis" / "layers" / "logit" / loaded[0] / "seed-0" / "stage.json"
    written = first.stat().st_mtime_ns
    assert main(command) == 0
    assert first.stat().st_mtime_ns == written  # what was finished was not made again
    return run


def read_layers(run, modality):
    return pd.read_parquet(run / "analysis" / "layers" / "logit" / modality / "seed-0" / "items.parquet")


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_last_layer_has_the_outcomes_of_the_report_to_the_last_pair(analyzed, modality):
    items = pd.read_parquet(analyzed / "scores" / modality / "seed-0" / "best" / "items.parquet")
    by_layer = read_layers(analyzed, modality)
    for side in ("positive", "negative"):
        assert np.array_equal(np.stack(by_layer[side])[:, -1], items[side])
    expected, found = task_outcomes(items), layer_outcomes(by_layer)
    assert len(found) == 3 and found[-1].keys() == expected.keys()
    for task in expected:
        pd.testing.assert_frame_equal(found[-1][task], expected[task])


def test_the_page_has_a_section_a_part_and_the_report_leads_there(analyzed):
    report = analyzed / "report"
    page = (report / "analysis.md").read_text()
    numbers = json.loads((report / "analysis.json").read_text())["parts"]
    assert page.index("## What each layer knows") < page.index("## Where words begin")
    for figure in ("analysis_layers", "analysis_segmentation"):
        assert f"]({figure}.png)" in page
        assert (report / f"{figure}.png").is_file() and (report / f"{figure}.svg").is_file()
    curves = numbers["layers"]["lenses"]["logit"]["phone_repeat"]["tasks"]["swuggy"]["rules"]["sum"]
    accuracies = json.loads((report / "results.json").read_text())["accuracies"]["phone_repeat"]["swuggy"]
    assert curves[-1] == accuracies["headline"]
    assert list(numbers["segmentation"]["found"]) == ["text_raw_no_space", "phone_repeat", "speech_bpe"]
    assert "[The analysis](analysis.md)" in (report / "report.md").read_text()
    html = (report / "report.html").read_text()
    assert 'href="analysis.html"' in html and "analysis.md" not in html
    assert 'href="report.html"' in (report / "analysis.html").read_text()


def test_boundaries_of_a_run_say_by_what_they_were_found(analyzed):
    folder = analyzed / "analysis" / "segmentation" / "phone_repeat"
    rules = pd.read_parquet(folder / "rules" / "boundaries.parquet").groupby("rule")
    models = pd.read_parquet(folder / "seed-0" / "boundaries.parquet").groupby("rule")
    assert set(rules.groups) == {*(f"ngram{order}" for order in range(1, 6)), "every"}
    assert set(models.groups) == {"model", "random"}
    sums = {rule: own[["hits", "found", "expected"]].sum() for grouped in (rules, models) for rule, own in grouped}
    assert len({each["expected"] for each in sums.values()}) == 1 and sums["model"]["found"] == sums["random"]["found"]
    # Counts of five phones know words of a hundred or so by heart; what is drawn at random does not.
    assert sums["ngram5"]["hits"] / sums["ngram5"]["found"] > 1.5 * sums["random"]["hits"] / sums["random"]["found"]


@pytest.mark.parametrize(
    "modality",
    ["text_raw_no_space", "phone_raw", "phone_bpe", "phone_stretch", "phone_repeat"]
    + ["speech_units", "speech_dedup", "speech_bpe", "speech_syllable", "speech_duration_penalized"],
)
def test_tokens_begin_where_their_symbols_do(finished_run, modality):
    run, entry = Run(finished_run), get_modality(modality)
    units = run.utterance_units(modality) if entry.is_speech else None
    found, left_out = read_timed_utterances(run.tokenizer(modality), run.utterances(), units, entry, 320, "test")
    rows = pd.concat(map(pd.read_parquet, sorted(run.utterances().glob("test-*.parquet")))).set_index("id")
    assert len(found) + left_out == len(rows) and left_out == 0
    for utterance in found:
        row = rows.loc[utterance.id]
        assert (np.diff(utterance.starts) > 0).all() and utterance.starts[0] == 0
        words = list(row["words"])
        if entry.column == "text":
            assert utterance.starts[-1] == len(utterance.ids) - 1
            assert set(utterance.boundaries) < set(utterance.starts)
            continue
        assert utterance.starts[-1] < row["duration"]
        pauses = sum(abs(one["end"] - other["start"]) > 1e-3 for one, other in zip(words, words[1:]))
        assert len(utterance.stretches) == pauses + 1
        assert len(utterance.boundaries) == len(words) - len(utterance.stretches)
        assert set(utterance.boundaries) <= {word["start"] for word in words}
        # Where a symbol is several tokens, a phone that comes twice in a row is one of both.
        phones = [phone["phone"] for phone in row["phones"]]
        is_seen = np.append(True, [one != other for one, other in zip(phones, phones[1:])])
        is_seen |= modality in ("phone_raw", "phone_bpe")
        starts = np.array([phone["start"] for phone in row["phones"]])[is_seen]
        if modality in ("phone_raw", "phone_stretch"):
            np.testing.assert_array_equal(utterance.starts, starts)
        elif modality == "phone_repeat":  # on the grid of frames, at most one frame from where they are
            assert len(utterance.starts) == len(starts)
            assert np.abs(utterance.starts - starts).max() < 0.0301
        elif modality == "phone_bpe":
            assert set(utterance.starts) < set(starts)


def test_a_tuned_lens_stands_beside_the_other(analyzed):
    shared = json.loads((analyzed / "report" / "analysis.json").read_text())["parts"]["layers"]["lenses"]
    command = [
        "analyze",
        str(analyzed),
        "--parts",
        "layers",
        "--modalities",
        "phone_repeat",
        "--lens",
        "tuned",
        *FLAGS,
    ]
    assert main(command) == 0
    found = json.loads((analyzed / "report" / "analysis.json").read_text())["parts"]["layers"]["lenses"]
    assert found["logit"] == shared["logit"] and list(found["tuned"]) == ["phone_repeat"]
    tuned, plain = (found[lens]["phone_repeat"] for lens in ("tuned", "logit"))
    assert tuned["tasks"]["swuggy"]["rules"]["sum"][-1] == plain["tasks"]["swuggy"]["rules"]["sum"][-1]
    assert all(after < before for before, after in zip(*tuned["divergence"].values()))


def test_what_is_of_earlier_models_is_left_out_and_named(analyzed, tmp_path):
    run = shutil.copytree(analyzed, tmp_path / "run")

    def make_anew(stage, **others):
        record = json.loads((run / stage / "stage.json").read_text())
        record["keys"] |= others
        (run / stage / "stage.json").write_text(json.dumps(record | {"fingerprint": "another"}))
        write_analysis(read_analyzed(str(run)))
        numbers = json.loads((run / "report" / "analysis.json").read_text())["parts"]
        return (run / "report" / "analysis.md").read_text(), numbers["layers"], numbers["segmentation"]

    page, layers, boundaries = make_anew("models/phone_repeat/seed-0")
    assert "Not on this page, since their present models have no scores: Phone-Repeat." in page
    assert list(layers["lenses"]["logit"]) == list(boundaries["found"]) == ["text_raw_no_space", "speech_bpe"]
    page, layers, boundaries = make_anew("scores/phone_repeat/seed-0", **{"inputs.model": "another"})
    assert list(layers["lenses"]["logit"]) == list(boundaries["found"]) == ["text_raw_no_space", "speech_bpe"]
    for part in ("layers", "segmentation"):
        command = f"`evoslm analyze RUN --parts {part} --overwrite`"
        assert f"Left out: Phone-Repeat. What lies there is of earlier models, or is not whole; {command}" in page
    page, layers, boundaries = make_anew("pairs/rendered")
    assert (
        list(layers) == ["title"] and boundaries["found"] and "Left out: Text-Raw, no spaces, Phone-Repeat and" in page
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--parts", "words"], "--parts is 'words'; choose from layers, segmentation, "),
        (["--lens", "wide"], "--lens is 'wide'; choose from logit, tuned."),
        (["--modalities", "phones"], "Unknown modality 'phones'; choose from text_bpe, "),
        (["--modalities", "speech_units_synthetic"], "{run} has no scores of speech_units_synthetic; choose from "),
        (
            ["--parts", "segmentation", "--modalities", "text_bpe"],
            "{run} has no model that reads words without spaces",
        ),
        (["--num_proc", "0"], "--num_proc is 0; it must be at least 1."),
    ],
)
def test_what_cannot_be_analyzed_is_said_in_a_sentence(finished_run, flags, message, capsys):
    assert main(["analyze", str(finished_run), *flags]) == 2
    error = capsys.readouterr().err
    assert message.format(run=finished_run) in error and len(error.splitlines()) == 1
    assert not (finished_run / "analysis").exists()


def test_a_run_without_models_or_scores_is_named(finished_run, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished_run, run, ignore=lambda folder, names: {"models"} & set(names))
    assert main(["analyze", str(run), "--parts", "layers"]) == 2
    assert f"{run} has no language models; run the study again" in capsys.readouterr().err
    shutil.rmtree(run / "scores")
    assert main(["analyze", str(run)]) == 2
    assert f"{run} has no scores yet" in capsys.readouterr().err
    assert main(["analyze", str(tmp_path)]) == 2
    assert f"{tmp_path} is not the folder of a run" in capsys.readouterr().err


def test_the_help_names_every_part():
    assert all(f"`{part}`" in inspect.getdoc(AnalyzeArguments) for part in get_args(AnalysisPart))


def test_the_analysis_is_part_of_overnight_and_of_no_other_preset():
    asked = {name: parse_arguments(["--preset", name]).run.analysis for name in ("smoke", "laptop", "overnight")}
    assert asked == {"smoke": None, "laptop": None, "overnight": ["all"]}
    with pytest.raises(ValueError, match="--analysis is 'words'; choose from all, layers, "):
        parse_arguments(["--analysis", "words"])


def test_a_study_that_asks_for_it_goes_on_to_the_analysis(finished_run, tmp_path, capsys):
    from tiny_study import FLAGS as OF_RUN

    run = shutil.copytree(finished_run, tmp_path / "run")
    flags = [*OF_RUN, "--modalities", "text_bpe", "--analysis", "layers", "--num_proc", "1", "--output_dir", str(run)]
    assert main(["study", *flags]) == 0
    assert "evoslm: analysis" in capsys.readouterr().out
    assert "## What each layer knows" in (run / "report" / "analysis.md").read_text()
