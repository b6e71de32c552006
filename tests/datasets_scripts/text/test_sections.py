from collections import Counter

import pytest

from evoslm.datasets_scripts.text.sections import (
    Document,
    choose_sections,
    cut_sections,
    reason_to_drop,
    sentence_runs,
    split_paragraphs,
)

PARAGRAPH = "The road went over the hill. " * 10  # 60 words


def sections_of(text, section_words=100):
    return cut_sections(Document("book", text, "book"), section_words)


class TestParagraphs:
    def test_are_set_off_by_blank_lines_and_have_no_line_breaks(self):
        assert split_paragraphs("One line\nand another.\r\n \r\nA well-\nknown end.\n") == [
            "One line and another.",
            "A well-known end.",
        ]

    def test_are_long_lines_where_there_are_no_blank_ones(self):
        assert split_paragraphs(f"{PARAGRAPH}\n{PARAGRAPH}") == [PARAGRAPH.strip()] * 2

    def test_lose_the_licence_of_project_gutenberg(self):
        start, end = (f"*** {word} OF THE PROJECT GUTENBERG EBOOK EMMA ***" for word in ("START", "END"))
        assert split_paragraphs(f"Licence.\n\n{start}\n\nText.\n\n{end}\n\nTerms.") == ["Text."]

    def test_are_cut_at_a_sentence_where_they_are_very_long(self):
        paragraphs = split_paragraphs(PARAGRAPH * 100)
        assert max(map(len, paragraphs)) <= 4000
        assert " ".join(paragraphs) == (PARAGRAPH * 100).strip()


@pytest.mark.parametrize(
    ("paragraph", "reason"),
    [
        ("It is I.", None),
        ("STOP!", None),
        ("Naïve café.", None),
        ("Part of it was gone.", None),
        ("CHAPTER IV", "heading or contents"),
        ("Chapter 10. A Bosom Friend.", "heading or contents"),
        ("II.", "heading or contents"),
        ("Book the First--Recalled to Life", "heading or contents"),
        ("THE ADVENTURE OF THE BLUE CARBUNCLE", "heading or contents"),
        (" = Title = ", "heading or contents"),
        ("1. The Sea-Dog . . . . . . . 11 2. Black Dog . . . . 17", "heading or contents"),
        ("Chapter I The Period Chapter II The Mail Chapter III The Night Shadows", "heading or contents"),
        ("in a simply way=> in a simple way {pg 68}", "markup"),
        ("See https://example.org for more.", "markup"),
        ("He wrote to john@example.org again.", "markup"),
        ("The word κῆτος is Greek.", "script other than Latin"),
    ],
)
def test_what_is_not_prose_is_dropped_with_a_reason(paragraph, reason):
    assert reason_to_drop(paragraph) == reason


class TestSections:
    def test_end_at_a_paragraph_once_they_are_long_enough(self):
        sections = sections_of("\n\n".join([PARAGRAPH] * 6))
        assert [section.id for section in sections] == ["book/0000", "book/0001", "book/0002"]
        assert [section.num_words for section in sections] == [120, 120, 120]

    def test_end_before_a_heading_that_is_near(self):
        sections = sections_of("\n\n".join([PARAGRAPH, "CHAPTER II", PARAGRAPH, PARAGRAPH]))
        assert [section.paragraphs[0] for section in sections] == [PARAGRAPH.strip(), "CHAPTER II"]

    def test_do_not_end_in_a_crumb(self):
        assert len(sections_of("\n\n".join([PARAGRAPH, PARAGRAPH, "The end came."]))) == 1

    def test_runs_of_sentences_break_where_something_is_left_out(self):
        (section,) = sections_of(
            "He came. He saw.\n\nCHAPTER II\n\nHe went\n\nIt was LATE. It was late. He said:\n\nGo!"
        )
        dropped = Counter()
        assert list(sentence_runs(section, dropped)) == [
            ["He came.", "He saw."],
            ["It was late.", "It was late.", "He said.", "Go!"],
        ]
        assert dropped == {"paragraph: heading or contents": 1, "sentence: no final punctuation": 1}


class TestChoice:
    @pytest.fixture
    def sections(self):
        return [
            section
            for name in "abcdefgh"
            for section in cut_sections(Document(name, "\n\n".join([PARAGRAPH] * 20), name), 100)
        ]

    def test_depends_on_seed_and_names_but_not_on_order(self, sections):
        chosen = [section.id for section in choose_sections(sections, 500, seed=1)]
        assert chosen == [section.id for section in choose_sections(sections[::-1], 500, seed=1)]
        assert chosen != [section.id for section in choose_sections(sections, 500, seed=2)]

    def test_of_less_is_the_beginning_of_the_choice_of_more(self, sections):
        fewer, more = (list(choose_sections(sections, words, seed=1)) for words in (500, 2000))
        assert fewer == more[: len(fewer)]
        assert len(more) < len(choose_sections(sections, None, seed=1)) == len(sections)

    def test_takes_sections_of_all_documents(self, sections):
        assert len({section.topic for section in choose_sections(sections, 1500, seed=1)}) >= 7

    def test_gives_sections_back_as_they_were_as_often_as_they_are_asked_for(self, sections):
        chosen = choose_sections(sections, None, seed=1)
        assert sorted(chosen, key=lambda section: section.id) == sections
        assert list(chosen) == list(chosen)
