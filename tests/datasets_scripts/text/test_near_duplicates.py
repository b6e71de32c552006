from evoslm.datasets_scripts.text.near_duplicates import NearDuplicateFilter

PASSAGE = (
    "The old man walked slowly down to the harbour in the grey light of the morning.",
    "Nobody had seen the ship since the storm.",
    "He waited there until the bells of the church rang for the second time.",
)


def test_a_copy_is_found_whatever_its_case_and_punctuation():
    near_duplicates = NearDuplicateFilter()
    assert near_duplicates.add(PASSAGE)
    assert not near_duplicates.add(tuple(sentence.upper().replace(".", "!") for sentence in PASSAGE))


def test_a_passage_with_a_word_changed_in_each_sentence_is_found():
    near_duplicates = NearDuplicateFilter()
    near_duplicates.add(PASSAGE)
    edited = (PASSAGE[0].replace("morning", "evening"), PASSAGE[1], PASSAGE[2].replace("second", "third"))
    assert not near_duplicates.add(edited)


def test_a_copy_that_begins_at_another_sentence_is_found():
    near_duplicates = NearDuplicateFilter()
    near_duplicates.add(PASSAGE)
    assert not near_duplicates.add((PASSAGE[2], "Then the fog came in."))


def test_other_text_with_a_common_phrase_is_kept():
    near_duplicates = NearDuplicateFilter()
    near_duplicates.add(PASSAGE)
    assert near_duplicates.add(("The old man walked slowly home.", "His daughter had left a lamp in the window."))


def test_short_refrains_do_not_count():
    near_duplicates = NearDuplicateFilter()
    assert near_duplicates.add(("Yes, sir.", "I saw him go down to the water's edge."))
    assert near_duplicates.add(("Yes, sir.", "No, sir.", "Nobody has been here today but the postman."))


def test_what_was_seen_long_ago_is_still_found():
    near_duplicates = NearDuplicateFilter()
    others = [(f"The {word} said that number {word} of them came by the old road of {word}.",) for word in _words(300)]
    assert near_duplicates.add(PASSAGE)
    assert sum(map(near_duplicates.add, others)) == len(others)
    assert not near_duplicates.add(PASSAGE)
    assert not any(map(near_duplicates.add, others))


def _words(count):
    return ["".join("abcdefghij"[int(digit)] for digit in f"{number:04d}") for number in range(count)]
