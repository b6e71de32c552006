"""Tasks are read from datasets of the Hub by their ids, with the columns that those have."""

import json
import os
import subprocess
import sys

import pytest
from hub_server import HubServer

PUSH = """
import datasets, pyarrow
from datasets import Audio, ClassLabel, Dataset, Features, Value
spans = [{"type": Value("string"), "start": Value("int32"), "length": Value("int32")}]
told = {"train": ("a", "b", "c", "d"), "validation": ("e", "f"), "test": ("g", "h")}
def push(name, config, target, values, kind, **others):
    splits = {}
    for split, words in told.items():
        rows = {"id": [f"{split}-{word}" for word in words]}
        rows["normalized_text"] = [f"{word} in europe ." for word in words]
        rows[target] = [values[i % len(values)] for i in range(len(words))]
        rows["audio"] = [{"bytes": b"no sound", "path": None}] * len(words)
        kinds = {"id": Value("string"), "normalized_text": Value("string"), target: kind, "audio": Audio(16_000)}
        # As Arrow: what makes a dataset of Python objects wants to encode audio.
        splits[split] = Dataset(pyarrow.table(rows, schema=Features(kinds).arrow_schema))
    datasets.DatasetDict(splits).push_to_hub(name, config_name=config)
push("user/slue", "voxceleb", "sentiment", ["Positive", "Neutral", "<mixed>", "Negative"], Value("string"))
entity = [{"type": "PLACE", "start": 5, "length": 6}]
push("user/slue", "voxpopuli", "normalized_combined_ner", [entity, []], spans)
push("user/moods", "default", "mood", [1, 0], ClassLabel(names=["bad", "good"]))
push("user/half", "default", "mood", [1, 0, -1], ClassLabel(names=["bad", "good"]))
"""
READ = """
import json, sys
sys.modules["torchcodec"] = None  # what would decode audio
from evoslm.datasets_scripts.slu import read_task
def show(task):
    splits = {split: [(e.id, e.text, e.label or e.entities) for e in task.splits[split]] for split in task.splits}
    return [task.kind, task.labels, splits, task.dropped]
answers = [show(read_task(name, source="user/slue")) for name in ("slue_sa", "slue_ner")]
answers.append(show(read_task("user/moods", text_column="normalized_text", label_column="mood", id_column="id")))
answers.append(show(read_task("user/half", text_column="normalized_text", label_column="mood", id_column="id")))
for name, options in (("user/moods", {}), ("user/nothing", {})):
    try:
        read_task(name, **options)
    except (ValueError, FileNotFoundError) as error:
        answers.append(str(error))
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    with HubServer() as hub:
        environment = {**os.environ, **hub.environment(tmp_path_factory.mktemp("cache")), "USE_TORCH": "NO"}
        for script in (PUSH, READ):
            done = subprocess.run(
                [sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=180
            )
            assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_sentiments_that_nobody_agrees_upon_are_left_out(answers):
    kind, labels, splits, dropped = answers[0]
    assert (kind, labels) == ("classification", ["negative", "neutral", "positive"])
    assert splits["train"] == [
        ["train-a", "A in europe.", "positive"],
        ["train-b", "B in europe.", "neutral"],
        ["train-d", "D in europe.", "negative"],
    ]
    assert [len(splits[split]) for split in ("validation", "test")] == [2, 2]
    assert dropped == {"sentiment mixed or disagreed upon": 1}


def test_entities_have_their_merged_labels(answers):
    kind, labels, splits, _ = answers[1]
    assert (kind, labels) == ("entities", ["PLACE"])
    assert splits["test"] == [["test-g", "G in europe.", [["PLACE", "europe"]]], ["test-h", "H in europe.", []]]


def test_any_dataset_is_a_task_and_its_classes_have_their_names(answers):
    kind, labels, splits, _ = answers[2]
    assert (kind, labels, splits["validation"][0]) == (
        "classification",
        ["bad", "good"],
        ["validation-e", "E in europe.", "good"],
    )


def test_a_missing_column_and_a_missing_dataset_are_named(answers):
    assert "user/moods has no column 'text'; its columns are" in answers[4]
    assert "user/nothing" in answers[5]


def test_rows_without_a_label_are_left_out_and_counted(answers):
    _, labels, splits, dropped = answers[3]
    assert labels == ["bad", "good"] and dropped == {"without a label": 1}
    assert [name for name, _, _ in splits["train"]] == ["train-a", "train-b", "train-d"]
