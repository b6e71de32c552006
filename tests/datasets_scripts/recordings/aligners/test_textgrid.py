from pathlib import Path

import numpy as np
import pytest

from evoslm.datasets_scripts.recordings.aligners.alignment import AlignmentError, finish_alignment
from evoslm.datasets_scripts.recordings.aligners.textgrid import TextGridAligner
from evoslm.datasets_scripts.synthesis.synthesizer import Rendering
from evoslm.models.phones import SIL

PHONES = {"well": "W EH1 L", "known": "N OW1 N", "a": "AH0", "the": "DH AH0", "dog": "D AO1 G", "'s": "Z"}


def tier(number: int, name: str, intervals: list[tuple[str, float, float]]) -> list[str]:
    lines = [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"']
    lines += ["        xmin = 0", f"        xmax = {intervals[-1][2]}", f"        intervals: size = {len(intervals)}"]
    for index, (label, start, end) in enumerate(intervals, 1):
        lines += [f"        intervals [{index}]:", f"            xmin = {start}", f"            xmax = {end}"]
        lines += [f'            text = "{label}"']
    return lines


def align(folder: Path, labels: str, text: str) -> Rendering:
    """Words of 0.3 s each, with the phones that the table has, or spn."""
    words, phones = [("", 0, 0.2)], [("sil", 0, 0.2)]
    for index, label in enumerate(labels.split()):
        start, symbols = 0.2 + 0.3 * index, PHONES.get(label.lower(), "spn").split()
        words.append((label, start, start + 0.3))
        bounds = np.linspace(start, start + 0.3, len(symbols) + 1).tolist()
        phones += list(zip(symbols, bounds, bounds[1:]))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {words[-1][2]}"]
    lines += ["tiers? <exists>", "size = 2", "item []:", *tier(1, "words", words), *tier(2, "phones", phones)]
    (folder / "a.TextGrid").write_text("\n".join(lines) + "\n", encoding="utf-8")
    audio = np.zeros(round(words[-1][2] * 16_000), np.int16)
    return finish_alignment(audio, text, TextGridAligner(folder).align(audio, text, "a"))


def spoken(rendering: Rendering) -> dict[str, str]:
    """Phones of each word."""
    return {
        word["word"]: " ".join(
            phone["phone"]
            for phone in rendering.phones
            if word["start"] <= phone["start"] < word["end"] and phone["phone"] != SIL
        )
        for word in rendering.words
    }


@pytest.mark.parametrize("mark", ["<unk>", "<UNK>", "spn", "<cutoff>", "[bracketed]", "[laughter]"])
@pytest.mark.parametrize(
    ("labels", "text", "expected"),
    [
        ("well known {}", "Well-known xyzzy.", {"Well-known": "W EH1 L N OW1 N", "xyzzy.": "SPN"}),
        ("{} well known", "Xyzzy - well-known.", {"Xyzzy": "SPN", "-": "", "well-known.": "W EH1 L N OW1 N"}),
        ("well {} the dog", "Well-xyzzy the dog.", {"Well-xyzzy": "W EH1 L SPN", "the": "DH AH0", "dog.": "D AO1 G"}),
        (
            "{} known the dog",
            "Xyzzy-known the dog.",
            {"Xyzzy-known": "SPN N OW1 N", "the": "DH AH0", "dog.": "D AO1 G"},
        ),
        ("{} 's a {}", "Xyzzy's a plugh-foo.", {"Xyzzy's": "SPN Z", "a": "AH0", "plugh-foo.": "SPN"}),
        (
            "well {} known {} dog",
            "Well x-known y dog",
            {"Well": "W EH1 L", "x-known": "SPN N OW1 N", "y": "SPN", "dog": "D AO1 G"},
        ),
        ("{} {} {}", "Xyzzy plugh-foo bar.", {"Xyzzy": "SPN", "plugh-foo": "SPN", "bar.": "SPN"}),
    ],
)
def test_a_mark_beside_a_word_that_was_cut_is_the_word_between(tmp_path, labels, mark, text, expected):
    assert spoken(align(tmp_path, labels.format(*[mark] * 3), text)) == expected


@pytest.mark.parametrize(
    ("labels", "text", "reason"),
    [
        ("well known <unk>", "Well-done xyzzy", "has the word 'known' where the transcript has 'Well-done'"),
        ("<unk> well known <unk>", "Well-known xyzzy", "has the word 'well' where the transcript has 'xyzzy'"),
        ("well known <unk> dog", "Well-known xyzzy plugh dog", "has the word 'dog' where the transcript has 'plugh'"),
        ("well known <unk>", "Well-known xyzzy plugh", "ends before the transcript does"),
        ("well known жук", "Well-known", "has the word 'жук' where the transcript has 'its end'"),
    ],
)
def test_a_mark_hides_no_other_transcript(tmp_path, labels, text, reason):
    with pytest.raises(AlignmentError, match=reason):
        align(tmp_path, labels, text)


def test_labels_may_have_the_accents_and_signs_that_reading_aloud_takes_off(tmp_path):
    rendering = align(tmp_path, "café Ægir o' <unk> & dog", "Cafe Aegir of x-y and dog")
    assert list(spoken(rendering).values()) == ["SPN"] * 5 + ["D AO1 G"]
