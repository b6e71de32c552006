"""Which recordings are taken, and of which split they are: by the seed and the names of documents."""

import logging
from collections import Counter, defaultdict

import pytest

from evoslm.datasets_scripts.recordings.layout import split_named, split_of_manifest, topic_of
from evoslm.datasets_scripts.recordings.sampling import assign_splits, sample_recordings
from evoslm.datasets_scripts.recordings.sources import Recording

SEVEN_WORDS = "One two three four five six seven."


def recordings_of(documents: int, each: int = 3, split: str | None = None, name: str = "") -> list[Recording]:
    return [
        Recording(f"{name}{d}-{i}", f"{name}{d}", "", SEVEN_WORDS, "a.wav", split=split)
        for d in range(documents)
        for i in range(each)
    ]


def documents_by_split(recordings, seed: int = 0) -> dict[str, set[str]]:
    split_of, found = assign_splits(recordings, seed), defaultdict(set)
    for recording in recordings:
        found[split_of(recording)].add(recording.document)
    return dict(found)


class TestSampling:
    def test_a_corpus_that_is_small_enough_is_taken_whole(self):
        recordings = [*recordings_of(4), Recording("x", "x", "", "", "", problem="It has no transcript.")]
        assert sample_recordings(recordings, 12 * 7, seed=0) == recordings

    def test_documents_are_chosen_by_the_seed_and_their_names(self):
        recordings = recordings_of(40)
        few = sample_recordings(recordings, 10 * 3 * 7, seed=0)
        assert few == sample_recordings(recordings, 10 * 3 * 7, seed=0)
        assert {r.id for r in sample_recordings(recordings[::-1], 10 * 3 * 7, seed=0)} == {r.id for r in few}
        assert Counter(r.document for r in few) == dict.fromkeys({r.document for r in few}, 3)
        chosen = {r.document for r in few}
        assert len(chosen) == 10 and chosen != {str(d) for d in range(10)}
        assert chosen != {r.document for r in sample_recordings(recordings, 10 * 3 * 7, seed=1)}
        assert [r for r in recordings if r in few] == few

    def test_the_last_document_is_cut(self):
        whole, cut = (
            Counter(r.document for r in sample_recordings(recordings_of(9), words * 7, seed=0)) for words in (3, 4)
        )
        assert list(whole.values()) == [3] and list((cut - whole).values()) == [1]

    def test_each_split_of_the_source_has_its_share(self):
        # As a folder of LibriSpeech is: train-clean-100 stands behind dev-clean and test-clean.
        source = [*recordings_of(20, split="validation", name="d"), *recordings_of(20, split="test", name="t")]
        source += recordings_of(160, split="train", name="x")
        words = Counter()
        for recording in sample_recordings(source, 2100, seed=0):
            words[recording.split] += 7
        assert words == {"train": 1680, "validation": 210, "test": 210}

    def test_small_splits_have_a_twentieth_of_the_words(self):
        source = [*recordings_of(5, split="validation", name="d"), *recordings_of(995, split="train", name="x")]
        words = Counter()
        for recording in sample_recordings(source, 2100, seed=0):
            words[recording.split] += 7
        assert words == {"train": 2100 - 105, "validation": 105}

    def test_no_split_is_lost(self):
        source = [r for name in ("train", "validation", "test") for r in recordings_of(9, split=name, name=name)]
        assert {r.split for r in sample_recordings(source, 10, seed=0)} == {"train", "validation", "test"}

    def test_bad_recordings_are_sampled_with_the_others(self):
        bad = [Recording(f"b{i}", f"b{i}", "", "", "", problem="It has no transcript.") for i in range(400)]
        taken = sample_recordings([*recordings_of(400, 1), *bad], 100 * 7, seed=0)
        assert sum(not r.problem for r in taken) == 100
        assert 70 < sum(bool(r.problem) for r in taken) < 130


class TestSplits:
    def test_documents_stay_together_whatever_their_order(self):
        recordings = recordings_of(10)
        found = documents_by_split(recordings)
        assert {split: len(names) for split, names in found.items()} == {"train": 8, "validation": 1, "test": 1}
        assert documents_by_split(recordings[::-1]) == found
        assert any(documents_by_split(recordings, seed) != found for seed in (1, 2, 3))

    def test_recordings_of_one_document_are_split_themselves(self, caplog):
        recordings = recordings_of(1, 10)
        with caplog.at_level(logging.WARNING):
            split_of = assign_splits(recordings, 0)
        assert Counter(map(split_of, recordings)) == {"train": 8, "validation": 1, "test": 1}
        assert "only 1 documents: the recordings are split" in caplog.text

    def test_splits_that_the_source_names_are_kept(self, caplog):
        splits = {"a": "train", "b": "test", "c": None, "d": "validation"}
        recordings = [Recording(i, i, "", "Words.", "nowhere.wav", split=split) for i, split in splits.items()]
        assert documents_by_split(recordings) == {"train": {"a", "c"}, "test": {"b"}, "validation": {"d"}}
        assert not caplog.records

    @pytest.mark.parametrize(
        ("named", "said"),
        [
            (
                ["train"],
                "the split validation or test: the documents of train are shared among train, validation, test.",
            ),
            (
                ["validation"],
                "the split train or test: the documents of validation are shared among train, validation, test.",
            ),
            (
                ["test"],
                "the split train or validation: the documents of test are shared among train, validation, test.",
            ),
            (["train", "test"], "the split validation: the documents of train are shared among train, validation."),
            (["train", "validation"], "the split test: the documents of train are shared among train, test."),
            (
                ["validation", "test"],
                "the split train: the documents of validation are shared among train, validation.",
            ),
            ([None, "validation"], "the split test: the documents of train are shared among train, test."),
        ],
    )
    def test_splits_that_it_lacks_are_drawn_and_that_is_said(self, caplog, named, said):
        recordings = [r for split in named for r in recordings_of(20, split=split, name=f"{split}-")]
        with caplog.at_level(logging.WARNING):
            found = documents_by_split(recordings)
        assert set(found) == {"train", "validation", "test"}
        assert said in caplog.text
        assert sum(map(len, found.values())) == 20 * len(named)
        if "test" in named and len(named) > 1:
            assert found["test"] == {f"test-{d}" for d in range(20)}

    def test_a_split_without_a_usable_recording_is_one_that_is_lacking(self):
        broken = Recording("x", "x", "", "", "", split="test", problem="It has no transcript.")
        recordings = [*recordings_of(20, split="train"), broken]
        found = documents_by_split(recordings)
        assert found["test"] - {"x"} and len(found["validation"]) == 1

    def test_too_few_recordings(self):
        with pytest.raises(
            ValueError, match="There are 2 usable recordings for the splits train, validation and test"
        ):
            assign_splits(recordings_of(2, 1), 0)
        with pytest.raises(ValueError, match="There are 0 usable recordings"):
            assign_splits([], 0)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "split"),
        [
            ("train", "train"),
            ("TRAIN", "train"),
            ("Training", "train"),
            ("train-clean-100", "train"),
            ("train-other-500", "train"),
            ("dev", "validation"),
            ("dev-clean", "validation"),
            ("dev-clean-2", "validation"),
            ("valid", "validation"),
            ("test_clean_large", "test"),
            ("testing", "test"),
            ("eval", "test"),
            ("a-test-of-courage", None),
            ("training_your_dog", None),
            ("Val-de-Loire", None),
            ("train-of-thought", None),
            ("test-drive", None),
            ("contest", None),
            ("", None),
        ],
    )
    def test_only_whole_names_are_splits(self, name, split):
        assert split_named(name) == split

    @pytest.mark.parametrize(
        ("name", "split"),
        [
            ("libriheavy_cuts_small.jsonl.gz", None),
            ("libriheavy_cuts_dev.jsonl.gz", "validation"),
            ("libriheavy_cuts_test_clean.jsonl.gz", "test"),
            ("librispeech_cuts_train-clean-100.jsonl.gz", "train"),
            ("dev.jsonl", "validation"),
            ("my_test_cuts_small.jsonl.gz", None),
        ],
    )
    def test_a_manifest_is_of_a_split_by_what_follows_its_cuts(self, name, split):
        assert split_of_manifest(name) == split

    @pytest.mark.parametrize(
        ("document", "topic"),
        [
            ("emma/01", "emma"),
            ("100/emma/01", "100/emma"),
            ("train/emma", "emma"),
            ("test/wavs/clip-1", "clip-1"),
            ("84-121123", "84-121123"),
        ],
    )
    def test_a_document_without_a_topic_is_of_what_it_lies_in(self, document, topic):
        assert topic_of(document) == topic
