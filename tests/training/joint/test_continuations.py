"""Continuations in four directions and their PELM, on a small run; the model that judges is trained once and kept."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_joint_model import make_joint_model, make_text_model, save_joint_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from evoslm.datasets_scripts.mixing.sequences import make_joint_utterance
from evoslm.models.scoring.retrieval import DIRECTIONS
from evoslm.models.tokenizers.joint import train_joint
from evoslm.models.transcriber import UnitTranscriber, UnitTranscriberConfig
from evoslm.training.arguments.study import PretrainArguments
from evoslm.training.joint.continuations import (
    ContinuationSettings,
    build_continuations,
    cut_passages,
    cut_texts,
    estimate_pelm,
    find_silent_units,
    generate_continuations,
    measure_continuations,
)
from evoslm.training.joint.external import EmbeddedModel, external_language_model
from evoslm.training.joint.stages import JointSpeech
from evoslm.training.run.execution import Execution
from evoslm.training.run.folder import Run
from evoslm.training.run.stage import Stage

SPEECH = JointSpeech(50.0)
SETTINGS = ContinuationSettings(num_prompts=6, longest=0.5)


class Numbers:
    """What transcribes units into words that tests can read: `seven` for 7, nothing for 0."""

    NAMES = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

    def transcribe(self, units):
        return [" ".join(self.NAMES[unit % 10] for unit in own if unit % 10) for own in units]


def utterances(count: int = 12) -> list:
    """Utterances of eight words of ten frames each."""
    rng, made = np.random.default_rng(0), []
    words = ["Lions", "sing", "to", "the", "quiet", "river", "near", "otters."]
    for number in range(count):
        spoken = [{"word": word, "start": place / 5, "end": (place + 1) / 5} for place, word in enumerate(words)]
        made.append((f"utterance-{number}", make_joint_utterance(spoken, rng.integers(0, 40, 80), 50.0)))
    return made


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    joint, judge = tmp_path_factory.mktemp("joint"), tmp_path_factory.mktemp("judge")
    make_joint_model(joint)
    make_text_model(judge)
    return AutoModelForCausalLM.from_pretrained(joint), AutoTokenizer.from_pretrained(joint), judge


def test_passages_are_cut_between_words_near_their_middle():
    passages = cut_passages(utterances(), num_prompts=5)
    assert len(passages) == 5 and passages == cut_passages(utterances(), num_prompts=5)
    assert {row["id"] for row in passages} != {row["id"] for row in cut_passages(utterances(), 5, seed=1)}
    whole = dict(utterances())
    for row in passages:
        assert (row["prompt_text"], row["continuation_text"]) == ("Lions sing to the", "quiet river near otters.")
        units = whole[row["id"]].speech().removeprefix("<speech> ")
        assert row["prompt_units"] + row["continuation_units"] == units
        assert row["continuation_units"].startswith("▪")
    assert cut_texts([("a", "one two three four five six seven"), ("b", "too short")]) == [
        {"id": "a", "prompt_text": "one two three four", "continuation_text": "five six seven"}
    ]
    with pytest.raises(ValueError, match="no passages of 6 words"):
        cut_texts([("b", "too short")])


def test_units_of_pauses_are_found(finished_run):
    run = Run(finished_run)
    silent = find_silent_units(run.utterances(), run.units() / "utterances", "train", 50.0)
    shard = sorted((run.units() / "utterances").glob("train-*.parquet"))[0]
    first = pd.read_parquet(shard)["units"]
    # An utterance begins and ends with a short silence.
    assert np.mean([units[0] in silent and units[-1] in silent for units in first]) > 0.5
    assert 0 < len(silent) < 0.5 * len(set(np.concatenate(first.to_list())))


def test_four_directions_are_written_and_measured(models):
    model, tokenizer, judge = models
    passages, numbers = cut_passages(utterances(), 8), Numbers()
    settings = replace(SETTINGS, num_prompts=8)
    generated = pd.concat(
        generate_continuations(model, tokenizer, passages, direction, settings, numbers, silent_units=range(40))
        for direction in DIRECTIONS
    )
    assert len(generated) == 32 and generated["silent"].equals(generated["units"].map(bool))
    for row in generated.to_dict("records"):
        assert (row["units"] is None) == row["direction"].endswith("t")
        if row["units"] is not None:
            assert [row["continuation"]] == numbers.transcribe([row["units"]])
        assert row["generated_tokens"] <= row["max_new_tokens"]
    measured = measure_continuations(judge, passages, generated, settings, numbers)
    assert list(measured) == list(DIRECTIONS)
    for direction, result in measured.items():
        own = generated[generated["direction"] == direction]
        assert result["n"] == 8 and result["n_scored"] == sum(own["continuation"].map(lambda text: bool(text.strip())))
        assert result["shares"]["limit"]["share"] == (own["reason"] == "limit").mean()
        assert result["shares"]["instant"]["share"] == (own["generated_tokens"] == 0).mean()
        assert ("perplexity_true_transcribed" in result) == direction.endswith("u")
    # The true continuations are the same whatever was written.
    assert measured["u2u"]["perplexity_true"] == pytest.approx(measured["t2t"]["perplexity_true"], rel=1e-4)


def test_what_is_written_does_not_depend_on_the_other_directions(models):
    model, tokenizer, _ = models
    passages = cut_passages(utterances(), 4)
    first, again = (generate_continuations(model, tokenizer, passages, "t2t", SETTINGS) for _ in range(2))
    assert first.equals(again)
    other = generate_continuations(model, tokenizer, passages, "t2t", replace(SETTINGS, seed=5))
    assert not first["continuation"].equals(other["continuation"])


def test_what_cannot_be_asked_is_named(models):
    model, tokenizer, _ = models
    passages = cut_passages(utterances(), 2)
    with pytest.raises(ValueError, match="Continuations of t2u are units; give what transcribes them"):
        generate_continuations(model, tokenizer, passages, "t2u", SETTINGS)
    with pytest.raises(ValueError, match="Passage 'a' has no 'prompt_units', which u2t needs"):
        generate_continuations(model, tokenizer, cut_texts([("a", "b " * 9)]), "u2t", SETTINGS)
    with pytest.raises(ValueError, match="no direction 's2t'"):
        ContinuationSettings(directions=("s2t",))
    with pytest.raises(ValueError, match="no form 'phones'"):
        ContinuationSettings(form="phones")


@pytest.fixture(scope="module")
def embedded() -> EmbeddedModel:
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    protocol = PretrainArguments(epochs=0.1, points=[])
    return EmbeddedModel({"rich": 3000, "simple": 2000}, vocab_size=300, shape=shape, protocol=protocol)


def test_the_judge_is_trained_once_and_kept_by_what_made_it(embedded, tmp_path):
    folder = external_language_model(cache=tmp_path, embedded=embedded)
    assert folder.parent == tmp_path / "external_lm" and not list(folder.glob("*.npy"))
    made = (folder / "model.safetensors").stat().st_mtime_ns
    assert external_language_model(cache=tmp_path, embedded=embedded) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == made
    other = external_language_model(cache=tmp_path, embedded=replace(embedded, training_seed=1))
    assert other != folder and folder.exists()
    weights, again = (
        (external_language_model(cache=cache, embedded=embedded) / "model.safetensors").read_bytes()
        for cache in (tmp_path, tmp_path / "again")
    )
    assert weights == again
    # Transcripts are read as well as texts.
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.unk_token_id not in tokenizer("the girl's dog isn't old").input_ids
    assert AutoModelForCausalLM.from_pretrained(folder).config.vocab_size == len(tokenizer) == 300


def test_another_judge_takes_its_place(models, tmp_path):
    assert external_language_model(str(models[2])) == models[2]
    with pytest.raises(FileNotFoundError, match="cannot be found"):
        external_language_model(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="has no language model in safetensors"):
        external_language_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="has a model and no tokenizer"):
        external_language_model(str(tmp_path))


def draw_trainings(rng, seeds=3, prompts=80):
    """Continuations with as many nats a word as prompt and training have in common with others, and a rest."""
    words = rng.integers(3, 12, (seeds, prompts))
    level = 2 + 0.2 * rng.normal(size=(seeds, 1)) + 0.4 * rng.normal(size=prompts) + rng.normal(size=(seeds, prompts))
    same = {"id": range(prompts), "direction": "t2t", "copied": False}
    return [pd.DataFrame(same | {"log_likelihood": -nats, "words": own}) for nats, own in zip(words * level, words)]


def test_a_perplexity_over_trainings_has_an_interval_that_covers_other_prompts_and_trainings():
    rng = np.random.default_rng(0)
    drawn = [estimate_pelm(draw_trainings(rng))["t2t"] for _ in range(400)]
    covered = np.mean([found["ci_low"] < math.exp(2) < found["ci_high"] for found in drawn])
    assert 0.92 < covered < 0.99
    alone = estimate_pelm(draw_trainings(rng, seeds=1))["t2t"]
    assert alone["ci_low"] is None and alone["by_training"] == pytest.approx([alone["perplexity"]])


def test_what_copies_its_prompt_or_says_nothing_has_no_part_in_a_perplexity():
    rows = pd.DataFrame({"id": ["a", "b", "c"], "direction": "u2t", "copied": [False, True, False]})
    rows["log_likelihood"], rows["words"] = [-6.0, -100.0, math.nan], [3, 4, 0]
    found = estimate_pelm([rows, rows.assign(log_likelihood=[-3.0, -100.0, math.nan])])["u2t"]
    assert found["by_training"] == pytest.approx([math.exp(2), math.exp(1)])
    assert found["perplexity"] == pytest.approx(math.exp(1.5))
    assert estimate_pelm([rows, rows.assign(copied=True)]) == {"u2t": None}
    assert estimate_pelm([rows.assign(log_likelihood=-9000.0)] * 2)["u2t"]["perplexity"] == math.inf
    apart = estimate_pelm([rows, rows.assign(log_likelihood=[-30.0, -100.0, math.nan])])["u2t"]
    assert apart["ci_low"] == 1 < apart["perplexity"] < apart["ci_high"]
    alone = estimate_pelm([rows.iloc[:1]] * 2)["u2t"]
    assert alone["perplexity"] == pytest.approx(math.exp(2)) and alone["ci_low"] is None


def test_the_stage_keeps_what_was_written_and_what_judged_it(finished_run, models, tmp_path):
    run, judge = Run(finished_run), Path(models[2])
    num_units = json.loads((run.units() / "model" / "config.json").read_text())["num_units"]
    texts = [f"lion {number} sings" for number in range(30)]
    tokenizer = train_joint(texts, (), num_units, text_vocab_size=100, unit_vocab_size=None)
    Stage(tmp_path / "model", 1, {}).run(lambda folder: save_joint_model(folder, tokenizer, 2048))
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    UnitTranscriber(UnitTranscriberConfig(num_units, **sizes)).save_pretrained(tmp_path / "transcriber")
    arguments = {
        "folder": tmp_path / "continuations",
        "model": tmp_path / "model",
        "utterances": run.utterances(),
        "units": run.units() / "utterances",
        "speech": SPEECH,
        "transcriber": tmp_path / "transcriber",
        "external": judge,
        "settings": replace(SETTINGS, directions=("u2u", "u2t")),
        "execution": Execution(),
    }
    build_continuations(**arguments)
    saved = json.loads((tmp_path / "continuations" / "pelm.json").read_text())
    assert set(saved["directions"]) == {"u2u", "u2t"} and saved["directions"]["u2t"]["n"] == 6
    made_with = saved["made_with"]
    assert len(made_with["transcriber"]["fingerprint"]) == 16
    assert (
        made_with["temperature"] == 1.0 and made_with["seed"] == 0 and len(made_with["external"]["fingerprint"]) == 16
    )
    assert made_with["versions"]["torch"] and "tokenised separately" in made_with["tokenisation"]
    rows = pd.read_parquet(tmp_path / "continuations" / "continuations.parquet")
    assert len(rows) == 12 and set(rows["reason"]) <= {"end", "stop", "limit"}
    heard = UnitTranscriber.from_pretrained(tmp_path / "transcriber").transcribe(list(rows["units"].iloc[:6]))
    assert rows["continuation"].iloc[:6].tolist() == heard
    for direction, found in estimate_pelm([rows]).items():
        expected = saved["directions"][direction]["perplexity_not_copied"]
        assert found is None if math.isnan(expected) else found["perplexity"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="Continuations of u2u are units"):
        build_continuations(**arguments | {"folder": tmp_path / "others", "transcriber": None})
    with pytest.raises(ValueError, match="a model cannot judge itself"):
        build_continuations(**arguments | {"external": tmp_path / "model"})
    with pytest.raises(ValueError, match="temperature"):
        build_continuations(**arguments | {"settings": replace(arguments["settings"], temperature=0.5)})
