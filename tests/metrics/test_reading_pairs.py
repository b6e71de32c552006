import json

import datasets
import pytest

from evoslm.metrics.pair_accuracy import check_pairs, read_pairs

ROWS = [
    {"id": "007", "positive_text": "The value is null", "negative_text": "The null value are"},
    {"id": "8", "positive_text": "null", "negative_text": "NA"},
    {"id": "9", "positive_text": "None", "negative_text": "nan"},
    {"id": "10", "positive_text": "true", "negative_text": "1984"},
]
HEADER = "id,positive_text,negative_text\n"


def csv_text(mark: str = ",") -> str:
    return "".join(mark.join(cells) + "\n" for cells in [ROWS[0], *(row.values() for row in ROWS)])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".jsonl"])
def test_pairs_are_read_with_any_byte_order_mark(tmp_path, encoding, suffix):
    text = "".join(json.dumps(row) + "\n" for row in ROWS) if suffix == ".jsonl" else csv_text()
    (tmp_path / f"pairs{suffix}").write_text(text, encoding=encoding)
    assert read_pairs(tmp_path / f"pairs{suffix}", "text") == ROWS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_words_null_and_na_are_read_the_same_in_a_file_and_in_a_folder(tmp_path, encoding):
    (tmp_path / "pairs.csv").write_text(csv_text(), encoding=encoding)
    (tmp_path / "more.csv").write_text(HEADER + "11,N/A,#N/A\n", encoding="utf-8")
    more = {"id": "11", "positive_text": "N/A", "negative_text": "#N/A"}
    assert read_pairs(tmp_path / "pairs.csv", "text") == ROWS
    assert read_pairs(tmp_path, "text") == [more, *ROWS]


def test_a_folder_of_json_files_is_read_as_each_is_by_itself(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8-sig")
    assert read_pairs(tmp_path, "text") == read_pairs(tmp_path / "a.jsonl", "text") == ROWS
    (tmp_path / "a.jsonl").unlink()
    (tmp_path / "b.json").write_text(json.dumps(ROWS, indent=1))
    assert read_pairs(tmp_path, "text") == read_pairs(tmp_path / "b.json", "text") == ROWS


def test_a_folder_gives_its_test_split(tmp_path):
    (tmp_path / "train.csv").write_text(HEADER + "1,a,b\n")
    (tmp_path / "validation.csv").write_text(HEADER + "2,a,b\n")
    with pytest.raises(ValueError, match=r"has no split 'test'; load one of train, validation"):
        read_pairs(tmp_path, "text")
    (tmp_path / "test.csv").write_text(csv_text())
    assert read_pairs(tmp_path, "text") == ROWS


def test_of_several_splits_the_test_split_is_read_or_the_only_one():
    splits = datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)})
    assert read_pairs(splits, "text") == ROWS
    splits["test"] = datasets.Dataset.from_list(ROWS[:1])
    assert read_pairs(splits, "text") == ROWS[:1]
    splits["validation"] = splits.pop("test")
    with pytest.raises(ValueError, match="given as pairs has no split 'test'; load one of train, validation"):
        read_pairs(splits, "text")


def test_rows_with_one_id_are_one_pair_in_several_voices():
    row = {"id": "1", "task": "sblimp", "group": "x", "voice": "a", "positive_phones": "p q", "negative_phones": "q"}
    other = row | {"voice": "b", "positive_phones": "p r"}
    nan = float("nan")
    check_pairs([row, row, other, other | {"task": "swuggy", "group": "y"}], "phones")
    check_pairs([row | {"group": nan}, other | {"group": None}], "phones")
    check_pairs([{"positive": "a", "negative": "b"}, {"positive": "c", "negative": "b"}], None)
    for change, what in (
        ({"group": "y"}, "group"),
        ({"cluster": "c"}, "cluster"),
        ({"voice": "a"}, "content in the same voice"),
        ({"voice": "a", "rate": None}, "content in the same voice"),
    ):
        first = row | {"cluster": "b"} if "cluster" in change else row
        with pytest.raises(ValueError, match=f"Rows with the id '1' differ in their {what}, .* two pairs two ids"):
            check_pairs([first, other | change], "phones")


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_other_marks_between_cells_are_told_by_the_header(tmp_path, mark):
    (tmp_path / "pairs.csv").write_text(csv_text(mark), encoding="utf-16")
    assert read_pairs(tmp_path / "pairs.csv", "text") == ROWS
    (tmp_path / "pairs.csv").rename(tmp_path / "pairs.tsv")
    assert read_pairs(tmp_path / "pairs.tsv", "text") == ROWS


def test_empty_cells_are_no_label_or_no_context_whether_spreadsheets_write_them_or_not(tmp_path):
    written = 'id, context_text ,positive_text,negative_text,task\r\n1,,a,"b, or ""c""",,,\r\n,,,,\r\n\r\n2,,a,b\r\n'
    (tmp_path / "pairs.csv").write_bytes(written.encode())
    empty = {"context_text": "", "positive_text": "a", "task": None}
    expected = [{"id": "1", "negative_text": 'b, or "c"'} | empty, {"id": "2", "negative_text": "b"} | empty]
    assert read_pairs(tmp_path / "pairs.csv", "text", "sblimp") == read_pairs(tmp_path, "text") == expected


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.csv", b"1,Well, he came,b\n", r"Line 2 of .*a\.csv has 4 cells and its header 3; put text that has ','"),
        ("a.csv", b'1,"never closed,b\n2,a,b\n', r"Line 2 of .*a\.csv is not CSV \(.*\); close its quotation marks"),
        ("a.csv", b'1,a,b\n2,"Oh" he said,b\n', r"Line 3 of .*a\.csv is not CSV"),
        ("a.csv", "1,café,b\n".encode("cp1252"), r"a\.csv is not UTF-8 \(byte 36 is 0xe9\); save it as UTF-8"),
        ("a.csv", b"1,\0a,b\n", r"a\.csv has zero bytes in it and is not UTF-8 text"),
        ("a.csv", b"", "There are no pairs"),
    ],
)
def test_a_table_that_would_be_misread_is_refused(tmp_path, name, data, reason):
    (tmp_path / name).write_bytes(HEADER.encode() + data)
    for source in (tmp_path / name, tmp_path):
        with pytest.raises(ValueError, match=reason):
            read_pairs(source, "text")
