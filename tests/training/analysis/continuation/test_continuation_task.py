"""The continuation task on a small run: outputs of every kind of modality, judged, shown, resumed."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
from safetensors.torch import load_file, save_file
from tiny_joint_model import make_text_model
from tiny_recognizers import save_whisper

from evoslm.metrics.continuation_texts import write_form
from evoslm.training.analysis.command import read_analyzed
from evoslm.training.analysis.continuation import judging
from evoslm.training.analysis.continuation import outputs as outputs_module
from evoslm.training.analysis.continuation import part as part_module
from evoslm.training.analysis.page import write_analysis
from evoslm.training.cli import main

MODALITIES = ("text_bpe", "text_raw_no_space", "phone_repeat", "speech_units")
COPIED = ("corpus", "units", "models", "tokenizers", "scores", "pairs", "report")


@pytest.fixture(scope="module")
def run(finished_run, tmp_path_factory):
    """A copy of the finished run, since the analysis lies in it."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    folder.mkdir()
    shutil.copy(finished_run / "study.json", folder)
    for name in COPIED:
        shutil.copytree(finished_run / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def flags(run, tmp_path_factory):
    judge = make_text_model(tmp_path_factory.mktemp("judge"))
    own = ["--num_prompts", "3", "--generation_seeds", "2", "--max_seconds", "1.5", "--transcriber_steps", "10"]
    return ["analyze", str(run), "--parts", "continuation", "--num_proc", "1", *own, "--external_model", str(judge)]


@pytest.fixture(scope="module")
def analyzed(run, flags):
    """The task by the run's own transcribers, killed once in the middle."""
    built = []

    def build_and_die(asked, training_seed, execution, report_progress=None):
        if len(built) == 2:
            raise KeyboardInterrupt
        built.append(asked.modality)
        outputs_module.build_outputs(asked, training_seed, execution, report_progress)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(part_module, "build_outputs", build_and_die)
        assert main([*flags, "--modalities", *MODALITIES]) == 130
    finished = {path: path.stat().st_mtime_ns for path in (run / "analysis").rglob("outputs.parquet")}
    assert len(finished) == 2
    assert main([*flags, "--modalities", *MODALITIES]) == 0
    return run, finished


def outputs_of(run, modality):
    folder = run / "analysis" / "continuation"
    judged = pd.read_parquet(folder / "judged" / modality / "seed-0" / "perplexities.parquet")
    return pd.read_parquet(folder / "outputs" / modality / "seed-0" / "outputs.parquet"), judged


def test_every_modality_is_continued_and_judged_and_a_kill_costs_nothing_that_was_finished(analyzed):
    run, finished = analyzed
    assert all(path.stat().st_mtime_ns == before for path, before in finished.items())
    for modality in MODALITIES:
        outputs, judged = outputs_of(run, modality)
        assert len(outputs) == len(judged) == 6 and set(outputs["generation_seed"]) == {0, 1}
        assert set(outputs["reason"]) <= {"end", "limit"} and (outputs["tokens"] <= outputs["max_tokens"]).all()
        assert ((outputs["reason"] == "limit") == (outputs["tokens"] == outputs["max_tokens"])).all()
        assert judged["text"].tolist() == [write_form(text, "words") for text in outputs["text"]]
        assert (judged["perplexity"].isna() == (judged["text"] == "")).all()
        assert (judged["perplexity"].dropna() >= 1).all()
    # What each modality may say at most is equally long.
    rates = {
        modality: json.loads((run / "tokenizers" / modality / "summary.json").read_text())["tokens_per_second"]
        for modality in MODALITIES
    }
    assert all(outputs_of(run, name)[0]["max_tokens"][0] == int(np.ceil(1.5 * rates[name])) for name in MODALITIES)
    text = outputs_of(run, "text_bpe")[0]
    assert (text["text"] == text["content"].str.strip()).all()
    spaced = outputs_of(run, "text_raw_no_space")[0]
    assert (spaced["text"].str.replace(" ", "") == spaced["content"].str.lower()).all()


def test_the_page_has_tables_examples_sounds_and_what_pins_them(analyzed):
    run, _ = analyzed
    page = (run / "report" / "analysis.md").read_text()
    assert "## Continuations" in page and "what was said" in page and "*51.3*" in page
    assert (run / "report" / "analysis.html").read_text().count("continuation/phone_repeat-00.wav") == 1
    results = json.loads((run / "report" / "analysis.json").read_text())["parts"]["continuation"]
    assert set(results["modalities"]) == set(MODALITIES) and results["outputs"]["phone_repeat"] == 6
    made_with = results["made_with"]
    judge = f"{made_with['judge']} (fingerprint {made_with['external']['fingerprint'][:8]})"
    assert f"\n| modality; judge: {judge} | mean |" in page
    assert len(made_with["external"]["fingerprint"]) == 16 and not made_with["is_embedded"]
    assert made_with["temperature"] == 1.0 and made_with["top_p"] == 0.9 and made_with["prompts"] == "heldout"
    assert results["true"]["mean"] > 1 and len(results["prompts"]) == 3
    for modality in ("text_bpe", "phone_repeat"):
        assert results["modalities"][modality]["true_through_channel"]["mean"] >= 1
    # Text goes through no channel: what comes back is what was said.
    assert results["modalities"]["text_bpe"]["true_through_channel"]["mean"] == pytest.approx(results["true"]["mean"])
    for modality in MODALITIES:
        for place in range(3):
            samples, rate = soundfile.read(run / "report" / "continuation" / f"{modality}-{place:02d}.wav")
            assert rate == 16_000 and len(samples) > 0.1 * rate and np.abs(samples).max() > 0.01
    # Another command that rewrites the page keeps the section.
    shutil.rmtree(run / "report" / "continuation")
    steps = [(change["baseline"], change["result"]) for change in results["changes"]]
    assert steps == [("phone_repeat", "speech_units")]


def test_other_settings_are_refused_and_say_what_differs(analyzed, flags, capsys):
    run, _ = analyzed
    assert main([*flags, "--modalities", "text_bpe", "--top_p", "0.5"]) == 2
    assert "top_p (0.9 there, 0.5 now)" in capsys.readouterr().err


@pytest.fixture
def copied(analyzed, flags, tmp_path):
    """A copy of what was analyzed, and the flags of its command."""
    run = shutil.copytree(analyzed[0], tmp_path / "run")
    return run, [str(run) if word == str(analyzed[0]) else word for word in flags]


def read_section(run):
    numbers = json.loads((run / "report" / "analysis.json").read_text())["parts"]["continuation"]
    return numbers, (run / "report" / "analysis.md").read_text()


def test_other_prompts_have_no_true_continuation_of_those_before(copied):
    run, flags = copied
    assert main([*flags, "--modalities", "text_bpe", "--prompts", "topics", "--num_prompts", "2", "--overwrite"]) == 0
    numbers, page = read_section(run)
    assert (run / "analysis" / "continuation" / "outputs" / "text_bpe" / "true").is_dir()
    assert numbers["true"] is None and numbers["modalities"]["text_bpe"]["true_through_channel"] is None
    assert "what was said" not in page and "written for EvoSLM" in page


def test_a_judge_of_the_project_is_named_so_in_the_table_itself(copied):
    run, _ = copied
    asked = run / "analysis" / "continuation" / "asked.json"
    asked.write_text(json.dumps(json.loads(asked.read_text()) | {"is_embedded": True}))
    write_analysis(read_analyzed(str(run)))
    (table,) = [line for line in read_section(run)[1].splitlines() if line.startswith("| modality; judge:")]
    assert table.startswith("| modality; judge: a small text model that EvoSLM trained on other stories (fingerprint ")


def test_outputs_that_were_not_judged_are_not_on_the_page(copied, monkeypatch):
    """A kill between new outputs and their judgement leaves perplexities of the old ones."""
    run, flags = copied

    def die(*anything):
        raise KeyboardInterrupt

    monkeypatch.setattr(judging, "judge_texts", die)
    assert main([*flags, "--modalities", "text_bpe", "--generation_seeds", "1", "--overwrite"]) == 130
    write_analysis(read_analyzed(str(run)))
    numbers, page = read_section(run)
    assert set(numbers["modalities"]) == set(MODALITIES) - {"text_bpe"}
    assert "Left out: Text-BPE. What lies there is of earlier models, or is not whole" in page


def test_outputs_of_earlier_models_are_not_on_the_page(copied):
    run, _ = copied
    for modality in MODALITIES:
        for kind, changed in (("models", {}), ("scores", {"inputs.model": "another"})):
            path = run / kind / modality / "seed-0" / "stage.json"
            record = json.loads(path.read_text())
            path.write_text(json.dumps(record | {"fingerprint": "another", "keys": record["keys"] | changed}))
    write_analysis(read_analyzed(str(run)))
    numbers, page = read_section(run)
    assert list(numbers) == ["title"] and "`evoslm analyze RUN --parts continuation --overwrite` makes it anew" in page


def test_a_recogniser_hears_phones_and_units_by_ear(run, flags, tmp_path):
    """Another folder's task, on prompts of texts: the recogniser is pinned, and nobody knows how a text goes on."""
    other = tmp_path / "run"
    shutil.copytree(run, other, ignore=shutil.ignore_patterns("analysis", "transcribers"))
    whisper = save_whisper(tmp_path / "whisper")
    (tmp_path / "texts.txt").write_text("The girl\nThe old man\n")
    flags = [str(other) if word == str(run) else word for word in flags]
    own = ["--prompts", str(tmp_path / "texts.txt"), "--transcriber", str(whisper), "--generation_seeds", "1"]
    assert main([*flags, "--modalities", "speech_units", "phone_raw", *own]) == 0
    results = json.loads((other / "report" / "analysis.json").read_text())["parts"]["continuation"]
    made_with = results["made_with"]
    assert made_with["channels"] == {"phone_raw": "by ear", "speech_units": "by ear"}
    assert made_with["transcriber"]["model"] == "whisper" and len(made_with["transcriber"]["fingerprint"]) == 16
    assert results["true"] is None and made_with["prompts"] == "texts.txt"
    assert not (other / "transcribers").exists()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (["--external_model", "nowhere/at-all"], "'nowhere/at-all' cannot be found"),
        (["--external_model", "{empty}"], "has no language model in safetensors"),
        (["--external_model", "{broken}"], "is no language model with its tokenizer that can be loaded"),
        (["--transcriber", "{empty}"], "is no model that can be loaded"),
        (["--prompts", "nowhere"], "There are no prompts 'nowhere'"),
        (["--top_p", "1.5"], "top_p"),
        (["--modalities", "speech_syllable"], "Nothing brings the units of speech_syllable to text"),
    ],
)
def test_what_cannot_be_loaded_is_named_first(finished_run, tmp_path, wrong, named, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    empty, broken = tmp_path / "empty", tmp_path / "broken"
    for folder in (empty, broken):
        folder.mkdir()
    (broken / "config.json").write_text("{}")
    (broken / "model.safetensors").write_bytes(b"")
    (broken / "tokenizer.json").write_text("{}")
    words = [word.format(empty=empty, broken=broken) for word in wrong]
    assert main(["analyze", str(finished_run), "--parts", "continuation", "--num_proc", "1", *words]) == 2
    assert named in capsys.readouterr().err
    assert not (finished_run / "analysis" / "continuation").exists()


def cut_short(weights):
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size * 2 // 3])


def leave_one_out(weights):
    tensors = load_file(weights)
    save_file({name: tensors[name] for name in sorted(tensors)[1:]}, weights, {"format": "pt"})


def be_of_another_vocabulary(weights):
    config = weights.parent / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"vocab_size": 7}))


@pytest.mark.parametrize(
    ("breaks", "named"),
    [
        (cut_short, "cannot be loaded: Error while deserializing header: incomplete metadata"),
        (leave_one_out, "lack 1, such as "),
        (be_of_another_vocabulary, "have other shapes than its config.json says, such as "),
    ],
)
def test_a_judge_with_broken_weights_is_named_before_anything_is_generated(
    finished_run, flags, tmp_path, breaks, named, capsys
):
    judge = shutil.copytree(flags[-1], tmp_path / "judge")
    breaks(judge / "model.safetensors")
    flags = ["--parts", "continuation", "--num_proc", "1", "--external_model", str(judge)]
    assert main(["analyze", str(finished_run), *flags]) == 2
    message = capsys.readouterr().err
    assert f"The weights of {judge} {named}" in message and "get the model again" in message
    assert not (finished_run / "analysis" / "continuation").exists()
