"""Functions that make units: found, tried out before anything starts, and refused in one sentence."""

import json
import sys

import numpy as np
import pytest

from evoslm.models.audio import frame_samples_at
from evoslm.training.external_units.callables import load_callable
from evoslm.training.external_units.quantizers import load_quantizer, open_units, save_units
from evoslm.training.external_units.settings import ExternalUnitsConfig

LEVELS = """
import numpy as np

def levels(waveform, rate, frame_rate=50, shift=0):
    hop = rate // frame_rate
    frames = waveform[: len(waveform) // hop * hop].reshape(-1, hop)
    return (np.clip(np.abs(frames).mean(1) * 40, 0, 7).astype(int) + shift) % 8
"""
BAD = {
    "floats": ("return levels(waveform, rate) / 2", "floats gives values of type float64 for 2 s of test tones; ids"),
    "negatives": (
        "return levels(waveform, rate) - 100",
        "gives the id -100 for 2 s of test tones; ids are 0 or above",
    ),
    "nothing": ("levels(waveform, rate)", "gives nothing for 2 s of test tones; it has to give one id a frame"),
    "no_ids": ("return []", "gives no ids for 2 s of test tones"),
    "too_large": ("return levels(waveform, rate) + 4", r"gives the id \d+ for 2 s .* and has 8 different ids, 0 to 7"),
    "matrix": ("return levels(waveform, rate)[None]", r"gives ids of shape \(1, 100\) for 2 s of test tones"),
    "ragged": ("return [[1, 2], [3]]", "gives ids of rows of different lengths"),
    "always_padded": ("return np.zeros(1500, int)", "gives 1500 ids for 2 s .* is 2.00 s and has 100 frames at 50 Hz"),
    "fails": ("raise RuntimeError('no weights')", "fails fails on 2 s of test tones: RuntimeError: no weights"),
    "longer_later": (
        "calls.append(1); return levels(waveform, rate)[: 100 - len(calls) // 2]",
        "gives 100 ids for 2 s of test tones, and 99 the second time; a study needs the same ids every time",
    ),
    "other_later": (
        "calls.append(1); return levels(waveform, rate, shift=len(calls))",
        "gives other ids for 100 of 100 frames of 2 s of test tones the second time",
    ),
}

SAYS_OF_ITSELF = """
def fast(waveform, rate):
    return levels(waveform, rate)

def odd(waveform, rate):
    return levels(waveform, rate)

def product(waveform, rate):
    return levels(waveform, rate)

fast.frame_rate, fast.num_units = 800, 8.5
odd.frame_rate = "fifty"
product.frame_rate, product.num_units, product.label = np.float32(50), np.prod([2, 2, 2]), np.str_("FSQ")
"""


@pytest.fixture
def module(tmp_path):
    """A file of functions, good and bad."""
    bodies = [f"def {name}(waveform, rate):\n    {body}\n" for name, (body, _) in BAD.items()]
    path = tmp_path / "mine.py"
    path.write_text(LEVELS + "\ncalls = []\n" + "\n".join(bodies) + "\nnumber = 7\n" + SAYS_OF_ITSELF)
    return path


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_tokenizer_is_refused_in_a_sentence(module, name):
    with pytest.raises(ValueError, match=BAD[name][1]) as refused:
        open_units(f"{module}:{name}", frame_rate=50, codebook_size=8)
    assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize(
    ("source", "flags", "message"),
    [
        ("levels", {}, "--units is 'levels'; give module:function"),
        ("no.such.module:levels", {}, "There is no module no.such.module; start the command in its folder"),
        ("nowhere.py:levels", {}, "There is no file nowhere.py"),
        ("{module}:missing", {}, "There is no missing in .*mine.py"),
        ("{module}:number", {}, "is a int, not a function from a waveform"),
        ("{module}:levels", {"frame_rate": None}, "does not say how many ids a second has; give --units_frame_rate"),
        ("{module}:levels", {"codebook_size": None}, "how many different ids it has; give --units_codebook_size"),
        ("{module}:levels", {"frame_rate": 75}, "gives 100 ids for 2 s of test tones, .* 150 frames at 75 Hz"),
        ("{module}:fast", {"frame_rate": None}, "fast has 800 ids a second; 5 to 200 are read, one a frame"),
        ("{module}:fast", {"codebook_size": None}, "fast has num_units = 8.5; it is a whole number of different ids"),
        ("{module}:odd", {"frame_rate": None}, "odd has frame_rate = 'fifty'; it is a number of ids a second"),
        ("{module}:number", {"model": "some/model"}, "cannot be made of some/model: TypeError"),
    ],
)
def test_what_cannot_be_found_or_is_not_said_is_named(module, source, flags, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        open_units(source.format(module=module), **{"frame_rate": 50, "codebook_size": 8} | flags)


def test_a_module_that_lacks_a_package_or_is_broken_is_named(tmp_path):
    (tmp_path / "needy.py").write_text("import no_such_package\n")
    with pytest.raises(ValueError, match="needy.py needs the module no_such_package, which is not installed"):
        load_callable(f"{tmp_path / 'needy.py'}:f")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(ValueError, match="broken.py cannot be imported: ZeroDivisionError: division by zero"):
        load_callable(f"{tmp_path / 'broken.py'}:f")


def test_a_function_is_a_quantizer_with_a_unit_a_frame(module, tmp_path):
    units = open_units(f"{module}:levels", frame_rate=50, codebook_size=8, name="Levels")
    assert (units.config.label, units.config.hop_length, units.config.num_units) == ("Levels", 320, 8)
    audio = [np.random.default_rng(0).normal(0, 3000, size).astype(np.int16) for size in (16_000, 777)]
    assert [(len(row), row.dtype) for row in units.units(audio)] == [(50, np.uint16), (2, np.uint16)]

    save_units(units, tmp_path)
    loaded = load_quantizer(tmp_path)
    assert loaded.config == units.config
    assert all(np.array_equal(a, b) for a, b in zip(loaded.units(audio), units.units(audio)))
    with pytest.raises(ValueError, match="The audio has 24000 samples per second"):
        units.units(audio, sampling_rate=24_000)


def test_a_fingerprint_is_of_the_ids_and_the_name_and_not_of_places_or_labels(module, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "mine.py"
    copy.write_text(module.read_text() + "# another comment\n")
    described = [
        open_units(f"{path}:levels", frame_rate=50, codebook_size=8, name=name).config.describe()
        for path, name in ((module, "one"), (copy, "two"))
    ]
    assert described[0] == described[1] and described[0]["source"] == "mine.py:levels"
    copy.write_text(module.read_text().replace("* 40", "* 30"))
    assert open_units(f"{copy}:levels", frame_rate=50, codebook_size=8).config.describe() != described[0]


def test_what_numpy_says_of_an_adapter_are_plain_values(module):
    config = open_units(f"{module}:product").config
    described = json.loads(json.dumps(config.to_dict()))
    assert [type(config.num_units), type(config.frame_rate), type(config.label)] == [int, float, str]
    assert (described["num_units"], described["frame_rate"], described["label"]) == (8, 50.0, "FSQ")


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("sub/mine.py:f", "mine.py:f"),
        ("./sub/mine.py:f", "mine.py:f"),
        ("./mine.py:f", "mine.py:f"),
        ("mine.py:f", "mine.py:f"),
        ("ckpt/", "ckpt"),
        ("ckpt", "ckpt"),
        ("sub/ckpt/", "ckpt"),
        ("user/model", "user/model"),
        ("module.of:f", "module.of:f"),
    ],
)
def test_a_place_is_no_part_of_a_name_however_it_is_typed(tmp_path, monkeypatch, typed, known):
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path, tmp_path / "sub"):
        (path / "ckpt").mkdir(parents=True)
        (path / "mine.py").touch()
    assert ExternalUnitsConfig("f", "callable", 50.0, 8, "F", model=typed).describe()["model"] == known


def test_a_file_may_hold_dataclasses_whose_annotations_are_text(tmp_path):
    path = tmp_path / "dataclasses_units.py"
    path.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n\n"
        "@dataclass\nclass Config:\n    hop: int = 320\n\n\n"
        "def units(waveform, rate):\n    return [index % 7 for index in range(len(waveform) // Config().hop)]\n"
    )
    open_units(f"{path}:units", frame_rate=50, codebook_size=7)
    path.write_text("1 / 0\n")
    modules = set(sys.modules)
    with pytest.raises(ValueError, match="cannot be imported: ZeroDivisionError"):
        load_callable(f"{path}:units")
    assert not set(sys.modules) - modules and "dataclasses_units" not in sys.modules


def test_a_function_that_has_changed_since_is_refused(module, tmp_path):
    save_units(open_units(f"{module}:levels", frame_rate=50, codebook_size=8), tmp_path)
    module.write_text(module.read_text().replace("* 40", "* 30"))
    with pytest.raises(ValueError, match="gives other ids than those that levels had"):
        load_quantizer(tmp_path)


def test_edges_that_a_tokenizer_pads_or_leaves_out_are_made_to_fit(tmp_path):
    path = tmp_path / "edges.py"
    path.write_text(
        "def more(waveform, rate):\n    return list(range(-(-len(waveform) * 75 // rate)))\n"
        "def fewer(waveform, rate):\n    return [index % 9 for index in range((len(waveform) - 400) // 320 + 1)]\n"
    )
    audio = [np.ones(size, np.int16) for size in (16_001, 12_000)]
    more = open_units(f"{path}:more", frame_rate=75, codebook_size=1000).units(audio)
    assert [row.tolist() for row in more] == [list(range(75)), list(range(56))]
    fewer = open_units(f"{path}:fewer", frame_rate=50, codebook_size=9).units(audio)
    assert [len(row) for row in fewer] == [50, 37] and fewer[0][-2:].tolist() == [3, 3]


def test_an_adapter_is_made_of_a_model_and_says_the_rest_itself(tmp_path):
    path = tmp_path / "adapter.py"
    path.write_text(
        "class Adapter:\n    frame_rate, num_units, label = 25, 5, 'Mine'\n"
        "    def __init__(self, model='none'):\n        self.model = model\n"
        "    def __call__(self, waveform, rate):\n        return [len(self.model)] * (len(waveform) * 25 // rate)\n"
    )
    units = open_units(f"{path}:Adapter", "abc")
    assert units.config == ExternalUnitsConfig(
        f"{path}:Adapter", "callable", 25.0, 5, "Mine", "abc", units.config.fingerprint
    )
    assert units.units([np.zeros(16_000, np.int16)])[0].tolist() == [3] * 25
    assert open_units(f"{path}:Adapter").units([np.zeros(1280, np.int16)])[0].tolist() == [4, 4]
    assert frame_samples_at(25) == units.config.hop_length
    with pytest.raises(ValueError, match="gives the id 6 for 2 s of test tones, and has 5 different ids"):
        open_units(f"{path}:Adapter", "abcdef")
