"""Tasks from files: texts become what is spoken, splits are drawn or kept, and what is wrong is said in a sentence."""

import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evoslm.datasets_scripts.slu import read_task
from evoslm.datasets_scripts.slu.examples import spoken_text
from evoslm.datasets_scripts.slu.slue import MERGED_LABELS

TEXTS = [f"The {animal} {verb}." for animal in ("cat", "dog", "fox", "owl", "hen") for verb in ("sleeps", "runs")]
ROWS = [{"text": text, "label": "good" if "sleeps" in text else "bad"} for text in TEXTS]


def write_rows(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    else:
        separator = "\t" if path.suffix == ".tsv" else ","
        lines = [rows[0].keys(), *(row.values() for row in rows)]
        path.write_text("\n".join(separator.join(f'"{value}"' for value in line) for line in lines), encoding="utf-8")
    return str(path)


def texts_of(task):
    return {split: sorted(example.text for example in examples) for split, examples in task.splits.items()}


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("there. i look forward to it", "There. I look forward to it."),
        ("a snappy screenplay ; it's so clever . but no .", "A snappy screenplay; it's so clever. But no."),
        ("In 1999, Dr. Smith paid $5!", "In nineteen ninety-nine, Doctor Smith paid five dollars!"),
        ("what a caf\u00e9 \x97 really", "What a cafe - really."),
        (" ... ", ""),
    ],
)
def test_texts_are_written_as_the_corpus_writes_its_own(written, spoken):
    assert spoken_text(written) == spoken
    assert spoken_text(spoken) == spoken


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_file_of_texts_and_labels_is_a_task(tmp_path, suffix):
    task = read_task(write_rows(tmp_path / f"moods{suffix}", ROWS), validation_fraction=0.2, test_fraction=0.2)
    assert (task.name, task.kind, task.labels) == ("moods", "classification", ("bad", "good"))
    sizes = {split: len(examples) for split, examples in task.splits.items()}
    assert sizes == {"train": 6, "validation": 2, "test": 2}
    for examples in task.splits.values():
        assert len({*Counter(example.label for example in examples).values()}) == 1  # of every class alike
    assert sorted(sum(texts_of(task).values(), [])) == sorted(TEXTS)
    again = read_task(str(tmp_path / f"moods{suffix}"), seed=1, validation_fraction=0.2, test_fraction=0.2)
    assert texts_of(again) != texts_of(task)


def test_a_quotation_mark_without_its_pair_is_a_character_of_a_tsv(tmp_path):
    lines = [f'"{row["text"]}\t{row["label"]}' for row in ROWS[:5]]
    lines += [f'"{row["text"].replace(" ", chr(34) * 2)}"\t"{row["label"]}"' for row in ROWS[5:]]
    (tmp_path / "moods.tsv").write_text("\n".join(["text\tlabel", *lines]))
    task = read_task(str(tmp_path / "moods.tsv"))
    assert task.labels == ("bad", "good") and sum(map(len, task.splits.values())) == 10


def test_a_row_that_a_quotation_mark_has_swallowed_is_named(tmp_path):
    lines = [
        "text,label",
        *(f"{row['text']},{row['label']}" for row in ROWS),
        '"Oh,bad',
        *["word " * 20 + ",bad"] * 2_000,
    ]
    (tmp_path / "moods.csv").write_text("\n".join(lines))
    message = r"Row 11 of .*moods.csv cannot be read \(field larger than .*\); look for a quotation mark"
    with pytest.raises(ValueError, match=message):
        read_task(str(tmp_path / "moods.csv"))


def test_labels_of_entities_are_written_in_letters_and_digits(tmp_path):
    rows = [{"text": f"She stayed in Paris {n} times", "entities": [["geo:city", "Paris"]]} for n in range(5)]
    assert read_task(write_rows(tmp_path / "trips.jsonl", rows)).labels == ("GEO_CITY",)


def test_splits_of_a_folder_are_kept_and_share_no_text(tmp_path):
    write_rows(tmp_path / "moods" / "train.csv", ROWS[:7])
    write_rows(tmp_path / "moods" / "dev.csv", ROWS[6:8])
    write_rows(tmp_path / "moods" / "test" / "part-0.csv", ROWS[7:])
    task = read_task(str(tmp_path / "moods"))
    assert texts_of(task) == {
        "train": sorted(TEXTS[:6]),
        "validation": [TEXTS[6]],
        "test": sorted(TEXTS[7:]),
    }
    assert task.dropped == {"in another split, too": 2}


def test_columns_have_the_names_that_they_are_given(tmp_path):
    rows = [{"says": row["text"], "mood": row["label"], "number": i} for i, row in enumerate(ROWS)]
    path = write_rows(tmp_path / "moods.csv", rows)
    task = read_task(path, text_column="says", label_column="mood", id_column="number")
    assert {example.id for examples in task.splits.values() for example in examples} == set(map(str, range(10)))
    message = "has no column 'text'; its columns are says, mood, number: name one as text_column"
    with pytest.raises(ValueError, match=message):
        read_task(path)
    with pytest.raises(ValueError, match="has no column 'label'; .*: name one as label_column"):
        read_task(path, text_column="says")


@pytest.mark.parametrize(
    "entities",
    [
        [["place", "Paris"], ["when", "last week"]],
        [["when", 25, 9], ["place", 14, 5]],
        [{"label": "place", "phrase": "Paris"}, {"type": "when", "start": 25, "end": 34}],
        {"type": ["when", "place"], "start": [25, 14], "length": [9, 5]},
        "PLACE: Paris; WHEN: last week",
        "[['place', 14, 5], ['when', 25, 9]]",
    ],
)
def test_entities_may_be_written_in_several_ways(tmp_path, entities):
    rows = [{"text": f"She stayed in Paris till last week, {n} times", "entities": entities} for n in range(5)]
    rows.append({"text": "Nobody came", "entities": None})
    task = read_task(write_rows(tmp_path / "trips.jsonl", rows))
    assert (task.kind, task.labels) == ("entities", ("PLACE", "WHEN"))
    examples = [example for examples in task.splits.values() for example in examples]
    found = Counter(example.entities for example in examples)
    assert found == {(("PLACE", "paris"), ("WHEN", "last week")): 5, (): 1}
    assert "She stayed in Paris till last week, three times." in {example.text for example in examples}


def test_long_texts_and_lost_phrases_are_left_out_and_counted(tmp_path):
    rows = [{"text": f"She paid {n} euros", "entities": [["QUANT", str(n)]]} for n in range(2, 8)]
    rows.append({"text": "so " * 9, "entities": []})
    rows.append({"text": "It cost $50", "entities": [["QUANT", "$5"]]})
    rows.append({"text": "...", "entities": []})
    task = read_task(write_rows(tmp_path / "sums.jsonl", rows), max_words=8)
    assert task.dropped == {
        "an entity is not spoken as it stands by itself": 1,
        "more than 8 words": 1,
        "nothing to speak": 1,
    }
    numbers = {phrase for example in task.splits["train"] for _, phrase in example.entities}
    assert numbers < {"two", "three", "four", "five", "six", "seven"}


def test_a_limit_keeps_every_split_and_asks_for_no_more_than_there_is(tmp_path):
    path = write_rows(tmp_path / "moods.csv", ROWS)
    task = read_task(path, limit=5)
    assert sum(map(len, task.splits.values())) == 5 and all(task.splits.values())
    with pytest.raises(
        ValueError, match="moods has 10 examples, fewer than the 11 that limit asks for; ask for fewer"
    ):
        read_task(path, limit=11)
    with pytest.raises(ValueError, match="limit is 2; train, validation and test need one example each"):
        read_task(path, limit=2)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row | {"label": "good"} for row in ROWS], r"moods has one class only in its training examples \('good'\)"),
        ([*ROWS, {"text": " ", "label": "bad"}], "moods: the example row-000010 has an empty text"),
        ([*ROWS, {"text": "Hm", "label": ""}], "row-000010 has nothing in the column 'label'"),
        (
            [{"text": text, "entities": [["ANIMAL", 4, 2]]} for text in TEXTS],
            "The entity ANIMAL of row-000000 is 'ca', which begins or ends inside a word",
        ),
        (ROWS[:2], "moods has 2 examples that can be spoken, 2 of them for training; train, validation and test need"),
        ([{"text": text, "entities": []} for text in TEXTS], "moods has no entity in its 8 training examples"),
        (
            [{"text": text, "entities": [["ANIMAL", "horse"]]} for text in TEXTS],
            "moods: the entity ANIMAL 'horse' of row-000000 is not in its text",
        ),
        (
            [{"text": text, "entities": [["ANIMAL", 4, 90]]} for text in TEXTS],
            "The entity ANIMAL of row-000000 is at characters 4 to 94, which are not in its text, of 15 characters",
        ),
        (
            [{"text": text, "entities": [["+", text.split()[1]]]} for text in TEXTS],
            "moods: the label '\\+' of row-000000 has no letter or digit; give it one",
        ),
        ([*ROWS, {"text": "Hm", "label": float("nan")}], "row-000010 has nothing in the column 'label'"),
        ([*ROWS, {"text": float("nan"), "label": "bad"}], "moods: the example row-000010 has an empty text"),
        ([{"text": text, "entities": "cat"} for text in TEXTS], r"The entities of row-000000 are 'cat'; give \[label"),
        ([{"text": text, "entities": [7]} for text in TEXTS], r"An entity of row-000000 is 7; give \[label"),
    ],
)
def test_what_is_wrong_in_a_table_is_one_sentence(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        read_task(write_rows(tmp_path / "moods.jsonl", rows))


def test_tasks_and_options_that_there_are_not_are_named(tmp_path):
    with pytest.raises(ValueError, match="There is no task 'sa'; choose from stories_sa, stories_ner, slue_sa"):
        read_task("sa")
    with pytest.raises(FileNotFoundError, match="There is no file or folder .*nowhere.csv"):
        read_task(str(tmp_path / "nowhere.csv"))
    with pytest.raises(FileNotFoundError, match="There is no .csv, .tsv, .jsonl, .parquet file"):
        read_task(str(tmp_path))
    with pytest.raises(ValueError, match="The task slue_sa has no option 'lexicon'; its options are source, revision"):
        read_task("slue_sa", lexicon="words.yaml")
    with pytest.raises(ValueError, match="needs source, the folder of pos.txt"):
        read_task("sentence_polarity")
    with pytest.raises(FileNotFoundError, match="There is no pos.txt in"):
        read_task("sentence_polarity", source=tmp_path)
    (tmp_path / "broken.jsonl").write_text("{")
    with pytest.raises(ValueError, match="Line 1 of .*broken.jsonl is not JSON"):
        read_task(str(tmp_path / "broken.jsonl"))


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_sentence_polarity_is_read_in_either_encoding(tmp_path, encoding):
    sentences = {"pos": "a caf\u00e9 \u2014 [garbus] is good . ", "neg": "no clich\u00e9 is left out ."}
    for name, text in sentences.items():
        lines = "\n".join(f"{text} number {number} is it . " for number in range(5)) + "\n"
        (tmp_path / f"{name}.txt").write_bytes(lines.encode(encoding))
    task = read_task("sentence_polarity", source=tmp_path)
    assert task.labels == ("negative", "positive") and len(task.splits["train"]) == 6
    texts = {example.text for examples in task.splits.values() for example in examples}
    assert (
        "A cafe - garbus is good. Number one is it." in texts and "No cliche is left out. Number four is it." in texts
    )


SLUE = "id\tnormalized_text\tnormalized_ner\n"
SLUE_ROWS = [
    "u1\tin two thousand france and the second of the saxons met the eu's court\t"
    "[['ORG', 60, 2], ['GPE', 16, 6], ['DATE', 3, 12], ['ORDINAL', 31, 6], ['FAC', 65, 5], ['NORP', 45, 6]]",
    "u2\tnothing is here\tNone",
    "u3\tthat is all\t[]",
]


def test_entities_of_slue_are_merged(tmp_path):
    (tmp_path / "slue-voxpopuli_fine-tune.tsv").write_text(SLUE + "\n".join(SLUE_ROWS))
    others = [row.replace("is", "was").replace("court", "house") for row in SLUE_ROWS]
    (tmp_path / "slue-voxpopuli_dev.tsv").write_text(SLUE + "\n".join(others))
    (tmp_path / "slue-voxpopuli_test_blind.tsv").write_text("id\tnormalized_text\n")
    task = read_task("slue_ner", source=tmp_path)
    assert task.splits["train"][0].text == "In two thousand france and the second of the saxons met the eu's court."
    assert task.splits["train"][0].entities == (
        ("WHEN", "two thousand"),
        ("PLACE", "france"),
        ("QUANT", "second"),
        ("NORP", "saxons"),
        ("ORG", "eu"),
    )
    assert [example.entities for example in task.splits["train"][1:]] == [(), ()]
    assert set(MERGED_LABELS.values()) == {"PLACE", "WHEN", "QUANT", "NORP", "ORG", "LAW", "PERSON"}
    assert sum(map(len, task.splits.values())) == 6 and task.dropped == {}
    with pytest.raises(
        ValueError, match="has no column 'sentiment'; its columns are id, normalized_text, normalized_ner"
    ):
        read_task("slue_sa", source=tmp_path)


def test_labels_that_slue_does_not_have_and_folders_without_it_are_named(tmp_path):
    (tmp_path / "train.tsv").write_text(SLUE + "u1\ta thing\t[['THING', 2, 5]]\n")
    with pytest.raises(ValueError, match="'THING', an entity of u1, is no label of SLUE"):
        read_task("slue_ner", source=tmp_path)
    (tmp_path / "train.tsv").rename(tmp_path / "other.tsv")
    with pytest.raises(FileNotFoundError, match="There is no fine-tune .tsv file of SLUE in"):
        read_task("slue_ner", source=tmp_path)


def test_slue_voxpopuli_is_read_whole(shared_data):
    task = read_task("slue_ner", source=shared_data / "slue_voxpopuli")
    assert task.labels == ("LAW", "NORP", "ORG", "PERSON", "PLACE", "QUANT", "WHEN")
    sizes = {split: len(examples) for split, examples in task.splits.items()}
    assert sum(sizes.values()) + sum(task.dropped.values()) == 6_753 and sizes["train"] > 4_900
    assert set(task.dropped) == {"more than 80 words", "a text that was there before"}
    assert abs(sizes["validation"] - sizes["test"]) <= 1


def test_sentence_polarity_is_read_whole(shared_data):
    task = read_task("sentence_polarity", source=shared_data / "sentence_polarity", limit=3_000)
    counts = Counter(example.label for example in task.splits["train"])
    assert set(counts) == {"negative", "positive"} and sum(map(len, task.splits.values())) == 3_000
    assert not any(ord(character) > 127 for example in task.splits["train"] for character in example.text)
