"""BLiMP's pairs come from a folder or the Hub, within the corpus' vocabulary, evenly over phenomena."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hub_server import HubServer

from evoslm.datasets_scripts.pairs.blimp import is_in_vocabulary, make_blimp_pairs, read_blimp, share_out
from evoslm.datasets_scripts.text.words import words_of

TERMS = {"agreement_1": "agreement", "agreement_2": "agreement", "selection": "s-selection", "rare": "binding"}
WORDS = ("cats", "dogs", "birds", "foxes")


def rows_of(paradigm: str, number: int) -> list[dict]:
    """Pairs in BLiMP's columns; every fourth one has a word that the vocabulary lacks."""
    return [
        {
            "sentence_good": f"The {WORDS[i % 4]} see Derek's house number {'abcdefghijklmnopqrstuvwxyz'[i % 26]}.",
            "sentence_bad": f"The {WORDS[i % 4]} sees Derek's house number {'abcdefghijklmnopqrstuvwxyz'[i % 26]}.",
            "linguistics_term": TERMS[paradigm],
            "UID": paradigm,
            "pairID": str(i),
        }
        for i in range(number)
    ]


VOCABULARY = {
    **dict.fromkeys(("The", "see", "sees", "derek", "HOUSE", "number", "cats", "dogs", "birds"), 3),
    **dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 3),
}


@pytest.fixture
def blimp_dir(tmp_path: Path) -> Path:
    for paradigm, number in {"agreement_1": 40, "agreement_2": 8, "selection": 40, "rare": 4}.items():
        lines = (json.dumps(row) + "\n" for row in rows_of(paradigm, number))
        (tmp_path / f"{paradigm}.jsonl").write_text("".join(lines))
    return tmp_path


def test_only_pairs_within_the_vocabulary_are_kept_and_counted(blimp_dir):
    pairs, report = make_blimp_pairs(blimp_dir, VOCABULARY, 40, seed=0, min_pairs_per_phenomenon=5)
    assert len(pairs) == 40
    assert not any("foxes" in pair.positive for pair in pairs)
    assert report["phenomena"]["agreement"] == {"pairs": 48, "in_vocabulary": 36, "share_kept": 0.75, "chosen": 20}
    assert report["total"]["pairs"] == 92 and report["total"]["in_vocabulary"] == 69


def test_phenomena_and_their_paradigms_share_the_pairs_evenly(blimp_dir):
    pairs, _ = make_blimp_pairs(blimp_dir, VOCABULARY, 40, seed=0, min_pairs_per_phenomenon=5)
    # The two of argument structure are one phenomenon; "rare" has too few pairs for an accuracy.
    assert Counter(pair.group for pair in pairs) == {"agreement": 20, "argument_structure": 20}
    # One paradigm has 6 pairs in the vocabulary: the other gives what it lacks.
    assert Counter(pair.id.split("-")[1] for pair in pairs if pair.group == "agreement") == {
        "agreement_1": 14,
        "agreement_2": 6,
    }


def test_ids_name_paradigm_and_row_and_sides_are_the_good_and_the_bad_sentence(blimp_dir):
    pairs, _ = make_blimp_pairs(blimp_dir, VOCABULARY, 40, seed=0, min_pairs_per_phenomenon=5)
    for pair in pairs:
        task, paradigm, number = pair.id.split("-")
        row = rows_of(paradigm, int(number) + 1)[int(number)]
        assert (task, pair.context, pair.band) == ("sblimp", "", "")
        assert (pair.positive, pair.negative) == (row["sentence_good"], row["sentence_bad"])


def test_the_seed_decides_and_nothing_else_does(blimp_dir):
    first, second, other = (
        make_blimp_pairs(blimp_dir, VOCABULARY, 20, seed=seed, min_pairs_per_phenomenon=5)[0] for seed in (1, 1, 2)
    )
    assert first == second != other


def test_every_word_must_occur_often_enough_and_a_possessive_counts_as_its_owner():
    assert is_in_vocabulary("Derek's cats can't see.", frozenset(["derek", "cats", "can't", "see"]))
    assert not is_in_vocabulary("Derek's cats can't see.", frozenset(["derek", "cats", "can", "see"]))


def test_min_count_is_applied_to_the_case_folded_count(blimp_dir):
    counts = {**VOCABULARY, "The": 1, "the": 1}
    with pytest.raises(ValueError, match=r"Only 0 of 10 sBLIMP pairs .* at least 3 times"):
        make_blimp_pairs(blimp_dir, counts, 10, seed=0, min_count=3)
    assert make_blimp_pairs(blimp_dir, counts, 10, seed=0, min_count=2)[0]


def test_a_missing_folder_an_empty_one_and_a_foreign_file_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder .*nowhere"):
        make_blimp_pairs(tmp_path / "nowhere", VOCABULARY, 10, seed=0)
    with pytest.raises(FileNotFoundError, match="no .jsonl file in"):
        make_blimp_pairs(tmp_path, VOCABULARY, 10, seed=0)
    (tmp_path / "a.jsonl").write_text('{"sentence": "no BLiMP"}\n')
    with pytest.raises(ValueError, match="Row 0 of .*a.jsonl is no pair of BLiMP"):
        make_blimp_pairs(tmp_path, VOCABULARY, 10, seed=0)
    (tmp_path / "a.jsonl").write_text("not json\n")
    with pytest.raises(ValueError, match="Line 1 of .*a.jsonl is not JSON"):
        make_blimp_pairs(tmp_path, VOCABULARY, 10, seed=0)


def test_a_total_is_shared_out_as_evenly_as_possible():
    assert share_out(10, {"a": 1, "b": 100, "c": 100}) == {"a": 1, "b": 5, "c": 4}
    assert share_out(10, {"a": 2, "b": 3}) == {"a": 2, "b": 3}
    assert share_out(2, {"a": 5, "b": 5, "c": 5}) == {"a": 1, "b": 1, "c": 0}
    assert share_out(3, {}) == {}


THROUGH_A_HUB = """
import json, sys
from huggingface_hub import HfApi
from evoslm.datasets_scripts.pairs.blimp import read_blimp

HfApi().create_repo("user/blimp", repo_type="dataset")
HfApi().upload_folder(repo_id="user/blimp", folder_path=sys.argv[1], repo_type="dataset")
print(json.dumps(list(read_blimp("user/blimp"))))
try:
    list(read_blimp("user/nothing"))
except FileNotFoundError as error:
    print(error)
"""


def test_the_hub_gives_the_same_pairs_as_the_folder(blimp_dir, tmp_path_factory):
    configs = "".join(
        f"- config_name: {name}\n  data_files:\n  - split: train\n    path: {name}.jsonl\n" for name in sorted(TERMS)
    )
    (blimp_dir / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    with HubServer() as hub:
        result = subprocess.run(
            [sys.executable, "-c", THROUGH_A_HUB, blimp_dir],
            env={**os.environ, **hub.environment(tmp_path_factory.mktemp("cache"))},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert result.returncode == 0, result.stderr
    rows, error = result.stdout.splitlines()
    assert json.loads(rows) == [list(pair) for pair in read_blimp(blimp_dir)]
    assert error.startswith("BLiMP cannot be loaded from the Hub as 'user/nothing'")


def test_the_whole_of_blimp_has_twelve_phenomena_and_real_text_has_some_of_each(shared_data):
    text = (shared_data / "books" / "emma.txt").read_text(encoding="utf-8").lower()
    pairs, report = make_blimp_pairs(
        shared_data / "blimp", Counter(words_of(text)), 100, seed=0, min_pairs_per_phenomenon=1
    )
    assert report["total"]["pairs"] == 67_000 and len(report["phenomena"]) == 12
    assert len(pairs) == 100 and len({pair.group for pair in pairs}) == 12
