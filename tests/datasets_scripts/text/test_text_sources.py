import json
import random
import re
from collections import Counter

import pytest

from evoslm.datasets_scripts.text.cutting import estimate_seconds
from evoslm.datasets_scripts.text.sources import Document, passages_from_documents, read_hub_text, read_text_folder

NAMES = ("Anna", "Boris", "Clara", "David", "Emil", "Flora", "Georg", "Hanna", "Ivan", "Julia")
VERBS = ("saw", "found", "lost", "loved", "feared", "sold", "bought", "painted", "carried", "followed")
THINGS = ("river", "garden", "letter", "horse", "lantern", "mountain", "window", "village", "teacher", "bridge")


def novel(seed: int, num_sentences: int = 900) -> str:
    generator = random.Random(seed)

    def sentence():
        first, second = (f"the {generator.choice(THINGS)} of {generator.choice(NAMES)}" for _ in range(2))
        return f"{generator.choice(NAMES)} {generator.choice(VERBS)} {first} and {generator.choice(VERBS)} {second}."

    return "\n\n".join(" ".join(sentence() for _ in range(5)) for _ in range(num_sentences // 5))


@pytest.fixture(scope="module")
def novels() -> list[Document]:
    return [Document(f"novel-{i}", novel(i), f"novel-{i}") for i in range(4)]


class TestTextFolder:
    def test_files_are_documents_in_the_order_of_their_names(self, tmp_path):
        (tmp_path / "more").mkdir()
        for name in ("b.txt", "a.TXT", "more/c.txt", "notes.md", "._a.txt"):
            (tmp_path / name).write_text(f"Text of {name}.")
        documents = list(read_text_folder(tmp_path))
        assert [(document.id, document.title) for document in documents] == [
            ("a", "a"),
            ("b", "b"),
            ("more/c", "more/c"),
        ]
        assert documents[0].text == "Text of a.TXT."

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
    def test_unicode_files_are_read(self, tmp_path, encoding):
        (tmp_path / "a.txt").write_text("A naïve café.", encoding=encoding)
        assert [document.text for document in read_text_folder(tmp_path)] == ["A naïve café."]

    def test_missing_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="There is no folder .*nowhere"):
            read_text_folder(tmp_path / "nowhere")

    def test_a_file_in_place_of_the_folder(self, tmp_path):
        (tmp_path / "a.txt").write_text("Text.")
        with pytest.raises(ValueError, match="a.txt is a file"):
            read_text_folder(tmp_path / "a.txt")

    def test_folder_without_text(self, tmp_path):
        (tmp_path / "notes.md").write_text("Text.")
        with pytest.raises(FileNotFoundError, match=r"No \.txt file lies in"):
            read_text_folder(tmp_path)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "a binary file, not text"),
            (bytes(range(1, 32)) * 10, "a binary file, not text"),
            ("A naïve café.".encode("cp1252"), r"not UTF-8 text \(byte 4 is 0xef\); save it as UTF-8"),
            (b"\xff\xfeA", "not UTF-16 text"),
            (b" \n\n", "an empty file"),
            (b"", "an empty file"),
        ],
    )
    def test_a_file_that_is_not_text_ends_the_reading_if_it_is_alone(self, tmp_path, content, reason):
        (tmp_path / "a.txt").write_bytes(content)
        with pytest.raises(ValueError, match=rf"1 of 1 .txt files in .* cannot be used, .*a\.txt: {reason}"):
            list(read_text_folder(tmp_path))

    def test_a_bad_file_among_many_is_skipped_and_listed(self, tmp_path):
        for i in range(20):
            (tmp_path / f"{i:02d}.txt").write_text("Text.")
        (tmp_path / "07.txt").write_bytes(b"\0\1\2")
        skipped = []
        assert len(list(read_text_folder(tmp_path, skipped=skipped))) == 19
        assert skipped == [{"path": str(tmp_path / "07.txt"), "reason": "a binary file, not text"}]

        (tmp_path / "08.txt").write_bytes(b"\0\1\2")
        with pytest.raises(ValueError, match="2 of 20 .* more than max_skipped_fraction=0.05"):
            list(read_text_folder(tmp_path))
        assert len(list(read_text_folder(tmp_path, max_skipped_fraction=0.1))) == 18


class TestHubText:
    @pytest.fixture
    def dataset(self, tmp_path):
        rows = [{"text": "First row.", "label": 1}, {"text": None, "label": 2}, {"text": "Third row.", "label": 3}]
        (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(tmp_path)

    def test_rows_with_text_are_documents(self, dataset):
        assert [(document.id, document.text) for document in read_hub_text(dataset, "text")] == [
            ("row-0000000", "First row."),
            ("row-0000002", "Third row."),
        ]
        assert len(list(read_hub_text(dataset, "text", max_documents=1))) == 1

    def test_parquet_files_are_read_too(self, tmp_path):
        from datasets import Dataset

        Dataset.from_dict({"text": ["A row."]}).to_parquet(tmp_path / "train.parquet")
        assert [document.text for document in read_hub_text(str(tmp_path), "text")] == ["A row."]

    def test_unknown_column(self, dataset):
        with pytest.raises(ValueError, match="no column 'story'; its columns are label, text"):
            read_hub_text(dataset, "story")

    def test_column_without_text(self, dataset):
        with pytest.raises(ValueError, match="'label' .* holds int values"):
            list(read_hub_text(dataset, "label"))

    def test_unknown_split_and_configuration(self, dataset):
        with pytest.raises(ValueError, match="split 'dev'.*train"):
            read_hub_text(dataset, "text", split="dev")
        with pytest.raises(ValueError, match="configuration 'large'"):
            read_hub_text(dataset, "text", config="large")

    def test_missing_dataset(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="cannot be found"):
            read_hub_text(str(tmp_path / "nowhere"), "text")

    def test_broken_row(self, tmp_path):
        (tmp_path / "train.jsonl").write_text('{"text": "A row."}\n{"text": "half')
        with pytest.raises(ValueError, match="cannot be read"):
            list(read_hub_text(str(tmp_path), "text"))


def cut(documents, **options):
    """What `passages_from_documents` leaves on the disk, as lists."""
    passages, spare, summary = passages_from_documents(documents, **options)
    assert summary.passages == len(passages)
    return list(passages), list(spare), summary


class TestPassages:
    def test_documents_lie_in_one_split_each_and_all_splits_have_some(self, novels):
        passages, _, summary = cut(novels, max_words=None)
        split_of = {}
        for passage in passages:
            assert split_of.setdefault(passage.document, passage.split) == passage.split
        assert summary.documents == len(split_of)
        counts = Counter(split_of.values())
        assert counts["validation"] == counts["test"] == max(1, round(0.05 * len(split_of)))
        assert summary.passages_by_split == Counter(passage.split for passage in passages)

    def test_have_ids_topics_and_an_order_that_follow_the_text(self, novels):
        passages, _, summary = cut(novels, max_words=None)
        assert passages[0].id == "novel-0/0000/000"
        assert [passage.id for passage in passages] == sorted({passage.id for passage in passages})
        assert {passage.topic for passage in passages} == {document.title for document in novels}
        assert all(passage.id.startswith(f"{passage.document}/") for passage in passages)
        text = " ".join(passage.text for passage in passages if passage.topic == "novel-0")
        assert text in " ".join(novels[0].text.split())
        assert summary.words == sum(len(passage.text.split()) for passage in passages)

    def test_fit_the_limit_and_end_each_sentence_as_espeak_does(self, novels):
        passages, _, _ = cut(novels, max_words=20_000, max_seconds=15)
        assert max(estimate_seconds(passage.text) for passage in passages) <= 15
        for passage in passages:
            assert all(re.fullmatch(r"[A-Z][A-Za-z,;:' -]*[.!?]", sentence) for sentence in passage.sentences)

    def test_max_words_bounds_the_corpus_and_takes_from_every_text(self, novels):
        passages, _, summary = cut(novels, max_words=30_000)
        assert 29_900 < summary.words <= 30_000
        assert summary.topics == 4

    def test_spare_passages_are_of_sections_beyond_the_corpus_and_change_nothing_of_it(self, novels):
        plain, none, _ = cut(novels, max_words=20_000)
        assert none == []
        for spare_words in (4_000, 10_000):
            passages, spare, summary = cut(novels, max_words=20_000, spare_words=spare_words)
            assert passages == plain and not summary.is_short
            assert 0.5 * spare_words < summary.spare_words <= spare_words
            assert not {passage.document for passage in passages} & {passage.document for passage in spare}

    def test_a_text_with_little_beyond_the_corpus_holds_out_a_tenth(self, novels):
        _, _, whole = cut(novels, max_words=None)
        by_asking = []
        for spare_words in (10_000, 40_000):
            passages, spare, summary = cut(novels, max_words=10**6, spare_words=spare_words)
            assert summary.is_short and 0.85 * whole.words < summary.words <= 0.9 * whole.words + 1
            assert 0 < summary.spare_words <= 0.1 * whole.words + 2_500
            by_asking.append((passages, spare))
        assert by_asking[0] == by_asking[1]

    def test_the_seed_decides_and_the_order_of_the_documents_does_not(self, novels):
        first, _, _ = cut(novels, max_words=20_000, seed=3)
        again, _, _ = cut(reversed(novels), max_words=20_000, seed=3)
        other, _, _ = cut(novels, max_words=20_000, seed=4)
        assert first == again
        assert {passage.document for passage in first} != {passage.document for passage in other}

    def test_wait_on_the_disk_and_can_be_put_in_another_order(self, novels):
        passages, spare, _ = passages_from_documents(novels, max_words=20_000, spare_words=4_000)
        assert list(passages) == list(passages)
        # Read in turn, neither loses its place in the file that they share.
        both = list(zip(passages, spare))
        assert both == list(zip(list(passages), list(spare)))
        turned = list(passages.ordered_by(lambda document: document[::-1].encode()))
        assert turned == sorted(passages, key=lambda passage: passage.document[::-1])

    def test_a_second_edition_of_a_book_is_dropped(self, novels):
        edition = "A new preface, which is not short. It says nothing.\n\n" + novels[0].text.replace("Anna", "ANNA")
        both = [*novels, Document("novel-0-again", edition, "novel-0-again")]
        passages, _, summary = cut(both, max_words=None)
        _, _, summary_alone = cut(novels, max_words=None)
        assert summary.dropped_by_reason["passage: near-duplicate"] > 0.9 * summary_alone.passages / len(novels)
        assert summary.words < 1.02 * summary_alone.words
        held_out = {sentence for passage in passages if passage.split != "train" for sentence in passage.sentences}
        trained = {sentence for passage in passages if passage.split == "train" for sentence in passage.sentences}
        assert len(held_out & trained) <= 0.01 * len(held_out)

    def test_what_is_left_out_is_counted(self, novels):
        oddities = ["CHAPTER I", "See https://example.org.", "Это не по-английски.", "A Title", "Oh!", "PREFACE"]
        text = "\n\n".join([*oddities, novels[0].text])
        _, _, summary = cut([Document("a", text, "a")])
        assert summary.dropped_by_reason == {
            "paragraph: heading or contents": 2,
            "paragraph: markup": 1,
            "paragraph: script other than Latin": 1,
            "passage: too short": 1,
            "sentence: no final punctuation": 1,
        }

    @pytest.mark.parametrize("text", ["Too short. It ends.", "一二三。" * 100, "CHAPTER I\n\nCHAPTER II"])
    def test_too_small_a_corpus(self, text):
        with pytest.raises(ValueError, match=r"The corpus is too small: it gives \d section"):
            cut([Document("a", text, "a")])

    def test_too_few_words_asked_for(self, novels):
        with pytest.raises(ValueError, match="too small.*raise max_words"):
            cut(novels, max_words=100)
        with pytest.raises(ValueError, match="max_words is 0"):
            cut(novels, max_words=0)

    def test_fractions_that_leave_nothing_to_train_on(self, novels):
        with pytest.raises(ValueError, match="leave something to train on"):
            cut(novels, validation_fraction=0.5, test_fraction=0.5)

    def test_documents_of_the_same_name(self, novels):
        with pytest.raises(ValueError, match="Two documents have the id 'novel-0'"):
            cut([novels[0], novels[0]])


def test_books_become_passages_of_real_sentences(shared_data):
    books = [document for document in read_text_folder(shared_data / "books") if len(document.text) < 600_000]
    passages, _, summary = cut(books, max_words=40_000)
    assert 39_900 < summary.words <= 40_000
    assert summary.topics >= 5
    assert max(estimate_seconds(passage.text) for passage in passages) <= 30
    sizes = [len(passage.sentences) for passage in passages]
    assert sum(size >= 4 for size in sizes) > 0.45 * len(sizes)
    assert sum(size == 1 for size in sizes) < 0.08 * len(sizes)
    text = " ".join(passage.text for passage in passages)
    assert re.fullmatch(r"[A-Za-z.,!?';: -]+", text)
    assert not re.search(r"\b(?:Mr|Mrs|CHAPTER|etc)\b", text)
    assert text.count("Mister") > 50
