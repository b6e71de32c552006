"""Datasets of joint sequences: CST and AST from shards, drawn by the seed and the epoch, and mixed as asked."""

import re

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest

from evoslm.datasets_scripts.builders.by_name import prepare, stream_contents
from evoslm.datasets_scripts.mixing.base import JointConfig, joint_utterances, read_side_by_side
from evoslm.datasets_scripts.mixing.mixture import KINDS, Mixture, measure_tokens
from evoslm.datasets_scripts.mixing.switching import Spans
from evoslm.models.speech_units.runs import collapse_runs
from evoslm.models.tokenizers.joint import split_segments, train_joint


@pytest.fixture
def folders(tmp_path, tiny_utterances, tiny_units) -> dict:
    datasets.disable_progress_bars()
    utterances = tiny_utterances(tmp_path / "utterances", rows=6)
    units = tiny_units(tmp_path / "units", utterances)
    # As a run has them: a shard of units for each of utterances.
    whole = tmp_path / "units" / "train-00000-of-00001.parquet"
    table = pq.read_table(whole)
    for shard in range(3):
        pq.write_table(table.slice(6 * shard, 6), whole.with_name(f"train-{shard:05d}-of-00003.parquet"))
    whole.unlink()
    rows = {split: [row | own for row, own in zip(utterances[split], units[split])] for split in utterances}
    return {"utterances": tmp_path / "utterances", "units": tmp_path / "units", "cache": tmp_path / "c", "rows": rows}


def contents_of(folders: dict, name: str, **config) -> list[str]:
    units = folders["units"]
    return list(stream_contents(name, folders["utterances"], folders["cache"], units_dir=units, **config)["train"])


def test_concatenated_sequences_have_all_of_both(folders):
    seen = set()
    for row, content in zip(folders["rows"]["train"], contents_of(folders, "joint_cst")):
        units = "".join(f"▪{unit}" for unit in collapse_runs(row["units"]))
        orders = (f"<speech> {units} <speech_to_text> {row['text']}", f"<text> {row['text']} <text_to_speech> {units}")
        assert content in orders
        seen.add(orders.index(content))
    assert seen == {0, 1}
    assert all(content.startswith("<text>") for content in contents_of(folders, "joint_cst", first="text"))


@pytest.mark.parametrize("collapse", [True, False])
def test_alternating_sequences_have_each_word_once(folders, collapse):
    config = {"rule": "per_word", "rule_options": {"probability": 0.6}, "collapse": collapse}
    contents = contents_of(folders, "joint_ast", **config)
    assert any(content.count("<") > 1 for content in contents)
    for row, content in zip(folders["rows"]["train"], contents):
        whole = collapse_runs(row["units"]) if collapse else row["units"]
        words, units = row["text"].split(), re.findall(r"▪(\d+)", content)
        written = [word for part in re.split(r"<[a-z_]+>", content) for word in part.split() if "▪" not in word]
        assert len(written) < len(words) or not units
        # What is written and what is said are parts of the whole, in their order.
        for part, all_of_it in ((written, words), (list(map(int, units)), list(whole))):
            rest = iter(all_of_it)
            assert all(item in rest for item in part)


def test_draws_depend_on_the_seed_the_epoch_and_the_utterance_alone(folders, tmp_path):
    first = contents_of(folders, "joint_ast", rule="per_word")
    assert contents_of(folders, "joint_ast", rule="per_word") == first
    assert contents_of(folders, "joint_ast", rule="per_word", epoch=1) != first
    assert contents_of(folders, "joint_ast", rule="per_word", seed=1) != first
    # The same rows in other shards.
    for name in ("utterances", "units"):
        (tmp_path / "one" / name).mkdir(parents=True)
        for split in ("train", "validation", "test"):
            table = pq.read_table(sorted(folders[name].glob(f"{split}-*")))
            pq.write_table(table, tmp_path / "one" / name / f"{split}-00000-of-00001.parquet")
    moved = folders | {name: tmp_path / "one" / name for name in ("utterances", "units")}
    assert contents_of(moved, "joint_ast", rule="per_word") == first


def test_rows_are_prepared_as_they_are_streamed(folders):
    prepared = prepare("joint_ast", folders["utterances"], folders["cache"], units_dir=folders["units"], num_proc=2)
    assert prepared["train"]["content"] == contents_of(folders, "joint_ast")
    assert prepared["train"].features == {"id": datasets.Value("string"), "content": datasets.Value("string")}


def test_shards_that_do_not_belong_together_are_refused(folders):
    with pytest.raises(ValueError, match="joint_cst needs units_dir"):
        prepare("joint_cst", folders["utterances"], folders["cache"])
    shard = next(folders["units"].glob("train-00000*"))
    rows = pq.read_table(shard)
    pq.write_table(rows.take(list(range(len(rows)))[::-1]), shard)
    with pytest.raises(ValueError, match="has other rows than .*make the units again"):
        contents_of(folders, "joint_cst")
    shard.rename(shard.with_name("train-00000-of-00001.parquet"))
    with pytest.raises((ValueError, FileNotFoundError)):
        contents_of(folders, "joint_cst")


def test_an_utterance_without_units_is_named(folders):
    shard = next(folders["units"].glob("train-00000*"))
    rows = pq.read_table(shard)
    empty = rows.to_pylist()
    empty[2]["units"] = []
    pq.write_table(rows.from_pylist(empty, schema=rows.schema), shard)
    with pytest.raises(ValueError, match="utterance train-2: it has no units"):
        contents_of(folders, "joint_ast")


def test_ratios_are_of_tokens_or_of_sequences(folders):
    config = JointConfig(name="joint")
    pairs = [(sorted(folders[name].glob("train-*"))) for name in ("utterances", "units")]
    batches = [batch for files in zip(*pairs) for batch in read_side_by_side(*files)]
    utterances = [row for batch in batches for row in joint_utterances(batch, config)]
    units = (" ".join(map(str, utterance.units)) for _, utterance in utterances)
    num_units = 1 + max(int(utterance.units.max()) for _, utterance in utterances)
    tokenizer = train_joint([utterance.text() for _, utterance in utterances], units, num_units, 100, None)
    tokens = measure_tokens(utterances, tokenizer, Spans(), seed=0)
    assert tokens["cst"] > tokens["speech"] > tokens["text"]
    ratios = {"speech": 0.3, "text": 0.3, "cst": 0.2, "ast": 0.2}
    for of_tokens in (True, False):
        mixture = Mixture(ratios, tokens if of_tokens else None)
        assert sum(mixture.probabilities.values()) == pytest.approx(1)
        counts = dict.fromkeys(KINDS, 0)
        for epoch in range(150):
            for utterance_id, utterance in utterances:
                kind, content = mixture.draw(utterance_id, utterance, epoch)
                ids = tokenizer(content).input_ids
                counts[kind] += len(ids) if of_tokens else 1
                modalities = {segment.modality for segment in split_segments(tokenizer, ids)}
                assert kind in ("ast", *modalities) if len(modalities) == 1 else kind in ("cst", "ast")
        total = sum(counts.values())
        assert {kind: count / total for kind, count in counts.items()} == pytest.approx(ratios, abs=0.04)
    assert mixture.draw("train-0", utterances[0][1], 3) == mixture.draw("train-0", utterances[0][1], 3)


@pytest.mark.parametrize(
    ("ratios", "named"),
    [
        ({"speech": 0.5, "video": 0.5}, "no kind 'video' to be mixed; choose from speech, text, cst, ast"),
        ({"speech": 0.5, "text": 0.2}, "have to add up to 1, and these to 0.7: speech 0.5, text 0.2"),
        ({"speech": 1.5, "text": -0.5}, "ratio of text is -0.5"),
        ({}, "add up to 1"),
    ],
)
def test_ratios_that_cannot_be_are_refused(ratios, named):
    with pytest.raises(ValueError, match=named):
        Mixture(ratios)


def test_a_kind_without_a_share_never_comes():
    assert Mixture({"speech": 0.333, "text": 0.333, "cst": 0.333, "ast": 0}).probabilities.keys() == {
        "speech",
        "text",
        "cst",
    }
    assert np.isclose(sum(Mixture({"text": 1}).probabilities.values()), 1)
