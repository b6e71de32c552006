"""The challenge's figures from scored pairs, and its files; and a tiny model that goes all the way there."""

import io

import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
from zerospeech_layout import VOICES, make_layout, read_gold_rows

from evoslm.datasets_scripts.builders import prepare
from evoslm.datasets_scripts.builders.minimal_pairs import UNIT_FEATURES
from evoslm.datasets_scripts.pairs.published.zerospeech_2021 import build_zerospeech2021
from evoslm.metrics.pair_accuracy import read_pairs
from evoslm.models.phones import ARPABET
from evoslm.models.scoring import score_pairs
from evoslm.models.speech_units import fit_units
from evoslm.models.tokenizers.phones import word_level_tokenizer
from evoslm.models.tokenizers.text import train_text_raw
from evoslm.models.tokenizers.units import train_units
from evoslm.training.cli import main
from evoslm.training.score.pair_files import accuracies_by_task
from evoslm.training.score.zerospeech_2021_results import write_submission, write_unit_pairs, zerospeech_results
from evoslm.training.stages.units.encoding import encode_shard


def scored(task, pair, voice, group, positive, negative, tokens=(1, 1)):
    row = {"task": task, "id": pair, "voice": voice, "group": group, "positive": positive, "negative": negative}
    return row | {"positive_tokens": tokens[0], "negative_tokens": tokens[1]}


def test_voices_are_averaged_before_pairs_and_a_tie_is_half_right():
    rows = [
        scored("swuggy", "a", "v", "oov", -1.0, -2.0),
        scored("swuggy", "a", "w", "oov", -2.0, -1.0),
        scored("swuggy", "a", "x", "oov", -1.0, -1.0),
        scored("swuggy", "b", "v", ">100", -1.0, -2.0),
    ]
    results = zerospeech_results(rows)["lexical"]
    # Pair a: (1 + 0 + 0.5) / 3; pair b, in one voice only, weighs as much.
    assert (results["n"], results["score"]) == (2, 0.75)
    assert results["std"] == pytest.approx(0.5**1.5)
    assert results["by_voice"]["v"] == {"n": 2, "score": 1.0, "std": 0.0}
    assert results["by_voice"]["w"] == {"n": 1, "score": 0.0, "std": None}
    assert {band: part["score"] for band, part in results["by_frequency"].items()} == {"oov": 0.5, ">100": 1.0}


def test_syntactic_pairs_are_parted_by_type_and_subtype():
    rows = [
        scored("sblimp", str(index), "v", group, float(right), 0.5)
        for index, (group, right) in enumerate([("a/x", 1), ("a/x", 0), ("a/y", 1), ("b/x", 0)])
    ]
    results = zerospeech_results(rows)["syntactic"]
    assert {name: part["score"] for name, part in results["by_type"].items()} == {"a": pytest.approx(2 / 3), "b": 0.0}
    assert {name: part["n"] for name, part in results["by_subtype"].items()} == {"a/x": 2, "a/y": 1, "b/x": 1}


def test_pseudo_words_of_one_word_are_averaged_in_each_voice_first():
    rows = [
        scored("swuggy", "a", "v", "oov", -1.0, -2.0),
        scored("swuggy", "b", "v", "oov", -1.0, 0.0),
        scored("swuggy", "b", "w", "oov", -1.0, 0.0),
        scored("swuggy", "c", "v", ">100", -1.0, -2.0),
        scored("sblimp", "a", "v", "x/y", -1.0, -2.0),
    ]
    results = zerospeech_results(rows, words={"a": "hello", "b": "hello", "c": "cookie"})
    # hello: in v half of two pseudo-words, in w none; cookie: all.
    assert (results["lexical"]["n"], results["lexical"]["score"]) == (2, pytest.approx((0.25 + 1) / 2))
    assert results["syntactic"]["score"] == 1.0 and zerospeech_results(rows)["lexical"]["n"] == 3


def test_the_mean_per_token_is_another_rule():
    rows = [scored("swuggy", "a", "v", "oov", -4.0, -3.0, tokens=(4, 2))]
    assert zerospeech_results(rows)["lexical"]["score"] == 0.0
    assert zerospeech_results(rows, rule="mean")["lexical"]["score"] == 1.0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no scored pairs"),
        ([{"task": "swuggy", "id": "a"}], "no column 'voice'"),
        ([scored("swuggy", "a", "v", "oov", -1.0, float("nan"))], "'a' has no score on its negative side"),
        ([scored("swuggy", "a", "v", "oov", -1.0, -2.0)] * 2, "'a' stands twice in the voice 'v'"),
    ],
)
def test_rows_that_cannot_be_judged_are_named(rows, message):
    with pytest.raises(ValueError, match=message):
        zerospeech_results(rows)


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return make_layout(tmp_path_factory.mktemp("zerospeech"))


@pytest.fixture(scope="module")
def pairs(layout, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    build_zerospeech2021(layout, folder, stretch_factor=2, progress=False)
    return folder


@pytest.fixture(scope="module")
def unit_pairs(pairs, tmp_path_factory):
    """The pairs in units of a quantizer of their own recordings."""
    folder = tmp_path_factory.mktemp("units")
    rows = [row for shard in pairs.rglob("*.parquet") for row in pq.read_table(shard).to_pylist()]
    recordings = [row[f"{side}_audio"]["bytes"] for row in rows for side in ("positive", "negative")]
    audio = [soundfile.read(io.BytesIO(recording), dtype="int16")[0] for recording in recordings]
    fit_units([(audio, None)], 20).save_pretrained(folder / "model")
    return write_unit_pairs(pairs, folder / "model", folder / "pairs")


def tiny_model(tokenizer, folder):
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=512, bos_token_id=1, **shape)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("modality", ["text", "phones", "phones_stretch", "units"])
def test_a_model_of_any_form_is_scored_and_submitted(modality, pairs, unit_pairs, layout, tmp_path):
    source = unit_pairs if modality == "units" else pairs
    rows = read_pairs(source, modality)
    if modality == "text":
        tokenizer = train_text_raw([row[f"{side}_text"] for row in rows for side in ("positive", "negative")])
    else:
        tokenizer = train_units(20) if modality == "units" else word_level_tokenizer(ARPABET)
    folder = tiny_model(tokenizer, tmp_path / "model")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    scores = [row | score for row, score in zip(rows, score_pairs(model, tokenizer, rows, modality))]

    results = zerospeech_results(scores)
    assert {task: (part["n"], sorted(part["by_voice"])) for task, part in results.items()} == {
        "lexical": (3, sorted(VOICES)),
        "syntactic": (3, sorted(VOICES)),
    }
    assert list(results["lexical"]["by_frequency"]) == ["oov", "6-20", ">100"]
    written = write_submission(scores, layout, tmp_path / "submission")
    for task, name in (("lexical", "swuggy"), ("syntactic", "sblimp")):
        assert written[task]["missing"] == []
        lines = [line.split(" ") for line in (tmp_path / "submission" / task / "dev.txt").read_text().splitlines()]
        of_file = {file: float(score) for file, score in lines}
        gold = pd.DataFrame(read_gold_rows(layout / task / "dev" / "gold.csv"))
        assert list(of_file) == gold["filename"].tolist()
        # What the challenge makes of gold.csv and the scores is what was made of the rows.
        gold["score"] = gold["filename"].map(of_file)
        sides = gold.pivot(index=["id", "voice"], columns="correct", values="score")
        right = (sides["1"] > sides["0"]) + 0.5 * (sides["1"] == sides["0"])
        assert right.groupby("id").mean().mean() == pytest.approx(results[task]["score"])
        assert sides["1"].sum() == pytest.approx(sum(row["positive"] for row in scores if row["task"] == name))


def test_the_command_scores_them_too(pairs, tmp_path):
    folder = tiny_model(word_level_tokenizer(ARPABET), tmp_path / "model")
    flags = ["--modality", "phones", "--device", "cpu", "--num_proc", "1", "--output_dir", str(tmp_path / "scores")]
    assert main(["score", "--model_id", str(folder), "--pairs", str(pairs), *flags]) == 0
    results = zerospeech_results(pd.read_parquet(tmp_path / "scores" / "scores.parquet").to_dict("records"))
    assert results["lexical"]["n"] == results["syntactic"]["n"] == 3


def test_recordings_without_a_score_are_named(layout, pairs, tmp_path):
    rows = [
        row | {"positive": -1.0, "negative": -2.0, "positive_tokens": 1, "negative_tokens": 1}
        for row in read_pairs(pairs / "swuggy", "text")
    ]
    written = write_submission(rows[1:], layout, tmp_path)
    assert list(written) == ["lexical"] and written["lexical"]["missing"] == ["mriver", "mriber"]
    assert (tmp_path / "lexical" / "dev.txt").read_text().splitlines()[:2] == ["friver -1.0", "friber -2.0"]
    with pytest.raises(ValueError, match="'lexical-dev-9' .* is not in lexical/dev/gold.csv"):
        write_submission([rows[0] | {"id": "lexical-dev-9"}], layout, tmp_path)
    with pytest.raises(ValueError, match="No row is of the task swuggy or sblimp"):
        write_submission([rows[0] | {"task": "topic_sc"}], layout, tmp_path)


def test_units_of_the_official_items_are_a_configuration_of_the_dataset_and_count_all_bands(unit_pairs, tmp_path):
    dataset = prepare("swuggy_units", unit_pairs, tmp_path)["test"]
    assert dataset.features == UNIT_FEATURES and set(dataset["task"]) == {"swuggy"}
    won = {"positive": -1.0, "negative": -2.0, "positive_tokens": 1, "negative_tokens": 1}
    rows = [row | won for row in dataset if row["band"] != "oov"]  # all that are left have names of our own bands
    assert {row["band"] for row in rows} == {"6-20", ">100"}
    result = accuracies_by_task(rows)["swuggy"]
    assert result["n_pairs"] == 2 and "bands" not in result


def test_units_are_made_once_and_by_a_model_that_is_there(pairs, unit_pairs, tmp_path):
    shard = next(unit_pairs.rglob("*.parquet"))
    before = shard.stat().st_mtime_ns
    assert write_unit_pairs(pairs, unit_pairs.parent / "model", unit_pairs) == unit_pairs
    assert shard.stat().st_mtime_ns == before
    again = write_unit_pairs(pairs, unit_pairs.parent / "model", tmp_path / "again", num_proc=2)
    for path in unit_pairs.rglob("*.parquet"):
        assert pq.read_table(path).equals(pq.read_table(again / path.relative_to(unit_pairs)))
    with pytest.raises(FileNotFoundError, match="no speech-unit model in"):
        write_unit_pairs(pairs, tmp_path, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="no shards of pairs"):
        write_unit_pairs(tmp_path / "nothing", tmp_path, tmp_path / "out")
    with pytest.raises(ValueError, match="phone_raw is not made of units"):
        write_unit_pairs(pairs, unit_pairs.parent / "model", tmp_path / "out", "phone_raw")


def test_a_shard_whose_pairs_were_all_left_out_has_no_units(pairs, unit_pairs, tmp_path):
    shard = next(pairs.rglob("*.parquet"))
    pq.write_table(pq.read_table(shard).slice(0, 0), tmp_path / shard.name)
    (tmp_path / "units").mkdir()
    encode_shard(unit_pairs.parent / "model", tmp_path / shard.name, tmp_path / "units", ("positive_audio",))
    assert pq.read_table(tmp_path / "units" / shard.name).to_pydict() == {"id": [], "voice": [], "positive_units": []}
