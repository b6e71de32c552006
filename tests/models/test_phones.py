from pathlib import Path

import pytest

from evoslm.models.phones import ARPABET, SIL, SPN, espeak_to_arpabet, espeak_word_to_arpabet


def read_phoneme_names(data_path: Path, *tables: str) -> set[str]:
    """Names in espeak's compiled phoneme tables: four bytes of header, then name and 16 bytes a phoneme per table."""
    data = (data_path / "phontab").read_bytes()
    names, position = set(), 4
    for _ in range(data[0]):
        count, name = data[position], data[position + 4 : position + 36].rstrip(b"\0").decode()
        position += 36
        if name in tables:
            records = (data[position + 16 * i :][:4] for i in range(count))
            names.update(record.rstrip(b"\0").decode() for record in records)
        position += 16 * count
    return names


def test_there_are_71_phones():
    assert len(ARPABET) == len(set(ARPABET)) == 71
    assert {SIL, SPN, "AA0", "UW2", "ZH"} <= set(ARPABET)


@pytest.mark.parametrize(
    ("symbol", "phones"),
    [
        ("'oU", "OW1"),
        (",oU", "OW2"),
        ("oU", "OW0"),
        ("%I2", "IH0"),
        ("@L", "AH0 L"),
        ("n-", "AH0 N"),
        ("a#", "AH0"),
        ("3", "ER0"),
        ("'3:", "ER1"),
        ("'aI3", "AY1 ER0"),
        ("'A@", "AA1 R"),
        (",O@", "AO2 R"),
        ("t#", "T"),
        ("t2", "T"),
        ("?", "T"),
        ("dZ", "JH"),
        ("_:", "SIL"),
        ("_", "SIL"),
        (";", ""),
        ("''eI", "EY1"),
        ("a#:", "AH0"),  # "waaaay"
    ],
)
def test_symbols_become_phones(symbol, phones):
    assert " ".join(espeak_to_arpabet(symbol)) == phones


def test_the_whole_american_english_inventory_is_mapped():
    espeakng_loader = pytest.importorskip("espeakng_loader")
    names = read_phoneme_names(Path(espeakng_loader.get_data_path()), "en", "en-us")
    assert len(names) > 60
    for name in names:
        for mark in ("", "'", ","):
            assert set(espeak_to_arpabet(mark + name)) <= set(ARPABET)


@pytest.mark.parametrize("symbol", ["(hi)", "k@x", "'Q^", "1"])
def test_a_symbol_without_a_phone_is_an_error_that_names_it(symbol):
    with pytest.raises(ValueError, match="has no ARPAbet phone") as error:
        espeak_to_arpabet(symbol)
    assert repr(symbol) in str(error.value)


def test_r_after_an_r_coloured_vowel_is_written_once():
    story, water, far = ["s", "t", "'o@", "r", "i"], ["'3:", "r", "i"], ["f", "'A@", ";", "r"]
    assert espeak_word_to_arpabet(story) == [("S",), ("T",), ("AO1", "R"), (), ("IY0",)]
    assert espeak_word_to_arpabet(water) == [("ER1",), (), ("IY0",)]
    assert espeak_word_to_arpabet(far) == [("F",), ("AA1", "R"), (), ()]
    assert espeak_word_to_arpabet(["k", "a", "r", "i"])[2] == ("R",)
