"""`evoslm pretrain-joint` on a small run: a tokenizer, models, bits a word, and a report that can be written again."""

import json
import math

import evaluate
import numpy as np
import pandas as pd
import pytest
import torch
from tiny_joint_model import make_byte_level_joint_model, make_joint_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

import evoslm
from evoslm.datasets_scripts.retrieval import read_block_contents
from evoslm.models.modalities import get_modality
from evoslm.models.speech_units.identity import check_same_quantizer
from evoslm.models.speech_units.runs import collapse_runs
from evoslm.models.tokenizers.joint import split_segments
from evoslm.training.cli import main
from evoslm.training.joint.bits import QUESTIONS, bits_per_word
from evoslm.training.joint.command import MIXTURES, SHAPES, mixture_of
from evoslm.training.joint.report import describe_trainings
from evoslm.training.joint.scores import joint_contents
from evoslm.training.joint.stages import JointSpeech, _writes_spaces, read_split
from evoslm.training.release import ReleaseChoice, ReleaseNames
from evoslm.training.release.models import prepare_model_repositories
from evoslm.training.run.folder import Run
from evoslm.training.stages.contents import read_contents


@pytest.fixture(scope="module")
def joint(finished_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint") / "joint"
    flags = [
        "--models",
        "text",
        "unpaired",
        "cst_ast",
        "--epochs",
        "1",
        "--training_seeds",
        "0",
        "1",
        "--units",
        "runs",
        "--num_blocks",
        "2",
        "--block_size",
        "3",
    ]
    command = ["pretrain-joint", str(finished_run), "--output_dir", str(folder), *flags, "--num_proc", "1"]
    assert main(command) == 0
    return {"folder": folder, "command": command, "run": Run(finished_run)}


def test_every_model_loads_and_is_reported(joint):
    results = json.loads((joint["folder"] / "results.json").read_text())
    assert results["seeds"] == [0, 1] and set(results["models"]) == {"text", "unpaired", "cst_ast"}
    assert results["precision"] == "fp32" and results["versions"]["torch"]
    assert results["configuration"]["units"] == "runs" and "run_dir" not in results["configuration"]
    report = (joint["folder"] / "report.md").read_text()
    assert "(seeds 0, 1) in fp32" in report and "| CST + AST |" in report and "Intervals are 95 %" in report
    for name in results["models"]:
        for seed in (0, 1):
            folder = joint["folder"] / "models" / name / f"seed-{seed}"
            model = AutoModelForCausalLM.from_pretrained(folder)
            assert model.config.mixture == pytest.approx(mixture_of(name, [1 / 3] * 3), abs=1e-3)
            scores = joint["folder"] / "scores" / name / f"seed-{seed}"
            bits = json.loads((scores / "bits.json").read_text())
            assert set(bits) == set(QUESTIONS) and all(np.isfinite(values).all() for values in bits.values())
            assert not list(scores.rglob("*chunks*"))
    text = results["models"]["text"]
    assert text["bits"]["speech"]["mean"] > results["models"]["cst_ast"]["bits"]["speech"]["mean"]
    # Of what a model has never seen nothing is said.
    rows = [line for line in report.splitlines() if line.startswith("| text |")]
    assert len(rows) == 4 and rows[0].count("±") == 1
    gain = results["models"]["cst_ast"]["accuracies"]["text"]["swuggy"]
    assert gain["gain"]["points"]["value"] == pytest.approx(
        gain["accuracy"]["value"] - text["accuracies"]["text"]["swuggy"]["accuracy"]["value"]
    )


def test_contexts_are_retrieved_in_the_directions_that_a_model_knows(joint):
    results = json.loads((joint["folder"] / "results.json").read_text())["models"]
    assert set(results["text"]["retrieval"]) == {"t2t"}
    assert set(results["cst_ast"]["retrieval"]) == {"u2u", "t2t", "u2t", "t2u"}
    assert results["cst_ast"]["retrieval"]["u2t"]["context"]["n_clusters"] == 2
    report = (joint["folder"] / "report.md").read_text()
    assert "of the 3 contexts of a block" in report and "chance is 33.3" in report
    assert "What paired data is worth" in report and report.count("\n| unpaired | ") == 6
    paired, unpaired = (results[name]["retrieval"]["u2t"] for name in ("cst_ast", "unpaired"))
    more = paired["context"]["value"] - unpaired["context"]["value"]
    assert paired["of_pairs"]["points"]["value"] == pytest.approx(more) and paired["of_pairs"]["n_seeds"] == 2
    assert "of_pairs" not in unpaired and "of_pairs" not in results["text"]["retrieval"]["t2t"]
    table = pd.read_parquet(joint["folder"] / "scores" / "cst_ast" / "seed-1" / "retrieval.parquet")
    rows = read_block_contents(joint["folder"] / "blocks/spoken/blocks", joint["folder"] / "blocks/units/blocks")
    model = joint["folder"] / "models" / "cst_ast" / "seed-1"
    judged = evaluate.load(evoslm.metric_path("cra")).compute(model_id=str(model), blocks=rows, direction="t2u")
    own = table[table["direction"] == "t2u"]
    assert judged["accuracy"] == pytest.approx(own["context"].mean())
    assert judged["accuracy_continuation"] == pytest.approx(own["continuation"].mean())
    # Contexts of another block are other contexts.
    assert len(own) == 6 and own["shuffled"].between(0, 1).all()


def test_pairs_are_written_as_a_joint_model_reads_them(joint):
    run = joint["run"]
    tokenizer = AutoTokenizer.from_pretrained(joint["folder"] / "tokenizer")
    plain = read_contents(run.pairs(), get_modality("speech_units"), run.units() / "pairs")
    for form, modality in (("text", "text"), ("speech", "speech")):
        rows = joint_contents(run.pairs(), run.units() / "pairs", form)
        assert rows["pair_id"].tolist() == plain["pair_id"].tolist()
        for row, (_, units) in zip(rows.iloc[::7].to_dict("records"), plain.iloc[::7].iterrows()):
            whole = f"{row['context']}{' ' if form == 'text' and row['context'] else ''}{row['positive']}"
            segments = split_segments(tokenizer, tokenizer(whole).input_ids)
            assert [segment.modality for segment in segments] == [modality]
            if form == "speech":
                parts = [collapse_runs(units[side].split()) for side in ("context", "positive")]
                assert segments[0].units == [int(unit) for part in parts for unit in part]


def test_bits_are_those_of_the_model_itself(joint):
    folder = joint["folder"] / "models" / "cst_ast" / "seed-0"
    run = joint["run"]
    rows = list(read_split(run.utterances(), run.units() / "utterances", "test", JointSpeech(50.0)))[:3]
    bits = bits_per_word(folder, rows)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for number, (_, utterance) in enumerate(rows):
        ids = [*tokenizer(utterance.concatenate("speech")).input_ids, tokenizer.eos_token_id]
        text = split_segments(tokenizer, ids)[1]
        with torch.inference_mode():
            losses = -model(torch.tensor([ids])).logits[0].log_softmax(-1).double()
        nats = sum(losses[place - 1, ids[place]].item() for place in range(text.start, len(ids)))
        expected = nats / math.log(2) / len(utterance.words)
        assert bits["text after speech"][number] == pytest.approx(expected, rel=1e-4)


def test_the_same_command_changes_nothing_and_another_is_refused(joint, capsys):
    before = {path: path.stat().st_mtime_ns for path in joint["folder"].rglob("*.safetensors")}
    assert main(joint["command"]) == 0
    assert {path: path.stat().st_mtime_ns for path in joint["folder"].rglob("*.safetensors")} == before
    assert main([*joint["command"], "--loss_on", "text"]) == 2
    assert "loss_on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--block_size", "1"], "block_size"),
        (["--models", "both"], "no joint model 'both'; choose from speech, text, unpaired, cst, ast, cst_ast"),
        (["--ratios", "0.5", "0.5"], "--ratios are three shares"),
        (["--models", "cst", "--ratios", "0.5", "0.5", "0.5"], "add up to 1"),
        (["--unit_bpe_vocab_size", "9"], "a vocabulary of 9 is too small"),
        (["--rule_options", "text=4"], "'text=4' is no argument of the switching rule spans; write argument=value"),
        (["--rule", "poisson", "--rule_options", "words=4"], "has no 'words'; it has mean, speech_share"),
        (["--rule", "segments", "--rule_options", "repeat=2"], "repeat has to be between 0 and 1"),
        (["--deepspeed", "zero2"], "start `evoslm pretrain-joint` with torchrun"),
        (["--init_from", "nowhere"], "The model 'nowhere' cannot be found"),
    ],
)
def test_mistakes_are_said_in_a_sentence(finished_run, tmp_path, flags, named, capsys):
    assert main(["pretrain-joint", str(finished_run), "--output_dir", str(tmp_path / "j"), *flags]) == 2
    assert named in capsys.readouterr().err


def test_mixtures_have_the_shares_that_are_asked_for():
    for name in MIXTURES:
        assert sum(mixture_of(name, [0.5, 0.3, 0.2]).values()) == pytest.approx(1)
    assert mixture_of("unpaired", [0.3, 0.5, 0.2]) == pytest.approx({"speech": 0.6, "text": 0.4})
    assert mixture_of("cst_ast", [0.5, 0.3, 0.2]) == {"speech": 0.5, "cst": 0.15, "ast": 0.15, "text": 0.2}


def test_a_joint_model_goes_on_from_the_text_model_of_its_seed(finished_run, tmp_path, capsys):
    text, folder = finished_run / "models" / "text_bpe", tmp_path / "joint"
    seeds = sorted(int(path.name.split("-")[1]) for path in text.glob("seed-*"))
    flags = ["--models", "cst", "--num_blocks", "0", "--epochs", "0.1", "--output_dir", str(folder), "--num_proc", "1"]
    command = ["pretrain-joint", str(finished_run), *flags, "--init_from", str(text), "--learning_rate", "1e-9"]
    assert main([*command, "--training_seeds", str(seeds[0])]) == 0
    own, source = folder / "models" / "cst" / f"seed-{seeds[0]}", text / f"seed-{seeds[0]}"
    joint, old = (AutoModelForCausalLM.from_pretrained(each) for each in (own, source))
    tokenizer, before = (AutoTokenizer.from_pretrained(each) for each in (own, source))
    # After hardly any training it reads text as that model does.
    ids = [torch.tensor([each("they see the cat").input_ids]) for each in (tokenizer, before)]
    names = list(before.get_vocab())
    places = [each.convert_tokens_to_ids(names) for each in (tokenizer, before)]
    with torch.inference_mode():
        one, other = (model(each).logits[0][:, place] for model, each, place in zip((joint, old), ids, places))
    assert torch.allclose(one, other, atol=1e-3)
    told = "a model that goes on from text_bpe by the run's protocol (but for epochs 0.1, learning_rate 1e-09)"
    assert told in (folder / "report.md").read_text()
    for modalities, base, license_id in (
        (["text_bpe"], "base_model:\n- user/evoslm-smoke-text-bpe\n", "apache-2.0"),
        ([], "goes on from `text_bpe` and was trained on", "unknown"),
    ):
        choice = ReleaseChoice(modalities, folder, adapters=[])
        target = tmp_path / license_id
        made = prepare_model_repositories(finished_run, ReleaseNames.of(finished_run, "user"), target, choice)
        (card,) = ((each.folder / "README.md").read_text() for each in made if each.name.endswith("joint-cst"))
        assert base in card and f"license: {license_id}" in card and "trained from scratch" not in card
    assert main([*command, "--training_seeds", str(seeds[0]), "--new_rows", "copy"]) == 2
    assert "new_rows" in capsys.readouterr().err
    assert main([*command, "--training_seeds", "97"]) == 2
    assert "no model of seed 97" in capsys.readouterr().err


def test_texts_that_begin_with_a_space_are_told_by_the_tokenizer(tmp_path):
    assert not _writes_spaces(make_joint_model(tmp_path / "own"))
    assert _writes_spaces(make_byte_level_joint_model(tmp_path / "other"))


def test_shapes_have_about_as_many_weights_as_their_names_say():
    for name, shape in SHAPES.items():
        with torch.device("meta"):
            model = LlamaForCausalLM(LlamaConfig(vocab_size=12_000, **shape))
        assert model.num_parameters() / 1e6 == pytest.approx(int(name.removesuffix("m")), rel=0.1)


def test_joint_models_are_released_with_the_units_that_they_read(joint, tmp_path):
    run = joint["run"].folder
    names, choice = ReleaseNames.of(run, "user"), ReleaseChoice(modalities=[], joint_dir=joint["folder"])
    made = prepare_model_repositories(run, names, tmp_path / "out", choice)
    by_name = {repository.name.removeprefix("user/evoslm-smoke-"): repository for repository in made}
    assert list(by_name) == ["joint-text", "joint-unpaired", "joint-cst-ast", "units-mfcc", "vocoder"]
    released = by_name["joint-cst-ast"]
    assert [branch for branch, _ in released.branches] == ["main", "seed-1"]
    config = AutoModelForCausalLM.from_pretrained(released.folder).config
    check_same_quantizer(config, AutoConfig.from_pretrained(by_name["units-mfcc"].folder))
    assert config.modality == "joint" and config.unit_quantizer == "user/evoslm-smoke-units-mfcc"
    card = (released.folder / "README.md").read_text()
    for told in ("Bits for a word", "| u to t |", "| text | sWUGGY | sum |", "2310.08715", "`seed-1`"):
        assert told in card
    assert "It has never seen speech" in (by_name["joint-text"].folder / "README.md").read_text()
    path = tmp_path / "unfinished"
    path.mkdir()
    with pytest.raises(FileNotFoundError, match="holds no finished joint models"):
        prepare_model_repositories(run, names, tmp_path / "other", ReleaseChoice([], path))
    assert "was trained from scratch on" in card and "far smaller than the paper's models" in card


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "a model of the run's shape and protocol on its utterances"),
        ({"epochs": 2.0}, "a model of the run's shape and protocol (but for epochs 2) on its utterances"),
        ({"shape": "350m"}, "a model of the shape 350m by the run's protocol on its utterances"),
        ({"init_from": "user/text"}, "a model that goes on from user/text by the run's protocol on its utterances"),
    ],
)
def test_the_report_says_what_its_models_began_as(asked, told):
    made_with = {"seeds": [0], "precision": "fp32", "commit": None, "device": "a processor"}
    made_with["configuration"] = {"units": "runs", "rule": "spans", "loss_on": "all", "shape": "run"} | asked
    assert told in describe_trainings(made_with, {"encoder_label": "MFCC"})
