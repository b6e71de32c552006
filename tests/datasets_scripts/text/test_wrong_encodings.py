import pytest

from evoslm.datasets_scripts.text.normalization import normalize_text
from evoslm.datasets_scripts.text.sources import read_text_folder
from evoslm.datasets_scripts.text.wrong_encodings import repair_encoding

TEXT = "I don’t know — “café” naïve… cœur £5 Œuvre à la ½ élan ÀÉ TÔT ”"


def misread(text: str, codec: str) -> str:
    """UTF-8 as a program shows it that takes it for something else; bytes without a character there as controls."""
    return "".join(bytes([byte]).decode(codec, "ignore") or chr(byte) for byte in text.encode())


@pytest.mark.parametrize("codec", ["cp1252", "latin-1"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_text_that_was_encoded_twice_or_more_is_what_was_written(codec, times):
    text = TEXT
    for _ in range(times):
        text = misread(text, codec)
    assert text != TEXT
    assert repair_encoding(text) == TEXT


@pytest.mark.parametrize("codec", ["mac_roman", "cp437"])
def test_other_old_encodings_are_undone_too(codec):
    assert repair_encoding(misread("I don’t know — “naïve”", codec)) == "I don’t know — “naïve”"


@pytest.mark.parametrize(
    ("written", "repaired"),
    [
        ("I donâ€™t know", "I don’t know"),
        ("â€œHelloâ€ he said", "“Hello” he said"),
        ("â€œHelloâ€\ufffd he said", "“Hello” he said"),
        ("It\x92s late\x97he ran", "It’s late—he ran"),
        ("\x93So\x94 wait\x85", "“So” wait…"),
        ("ï»¿Chapter", "\ufeffChapter"),
        ("ðŸ˜€ Hi. Â\u00a0Yes", "😀 Hi. \u00a0Yes"),
        ("Ï€Ï…", "πυ"),
        ("cÅ“ur", "cœur"),
        ("CÃ”TE", "CÔTE"),
    ],
)
def test_what_is_certain_is_repaired(written, repaired):
    assert repair_encoding(written) == repaired


@pytest.mark.parametrize(
    "text",
    [
        *(TEXT, "«CAFÉ»", "« café»…", "“IRMÃ”", "CAFÉ”", "„Ä“", "„Å“", "SÃO Â", "Ångström", "‚Ähnlich‘", "20° 30′"),
        *("déjà «vu»", "√ of 2", "Γ rays", "ΕΛΛΗΝΙΚΑ", "naïve — ‘rosé’", "Пётр", "日本語", "ã “x”", "\x81"),
    ],
)
def test_what_is_not_certain_is_left_alone(text):
    assert repair_encoding(text) == text


def test_text_is_read_aloud_as_it_was_written_before_it_was_misread():
    for written in ("It\x92s late \x96 he ran.", "Itâ€™s late â€“ he ran.", "It’s late – he ran."):
        assert normalize_text(written) == "It's late - he ran."
    assert normalize_text("\x93I donâ€™t know,\x94 said JosÃ©.") == "I don't know, said Jose."


def test_a_file_of_misread_text_is_a_document_of_what_was_written(tmp_path):
    (tmp_path / "a.txt").write_text(misread(TEXT, "cp1252"), encoding="utf-8")
    (tmp_path / "b.txt").write_text("It\x92s late.\x85", encoding="utf-8")
    assert [document.text for document in read_text_folder(tmp_path)] == [TEXT, "It’s late.…"]


def test_real_books_have_nothing_to_repair(shared_data):
    for path in sorted((shared_data / "books").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        assert repair_encoding(text) == text, path.name
