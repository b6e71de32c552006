"""Whether a prepared file names a folder of this machine, whatever it is packed in."""

import json
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image, PngImagePlugin

from evoslm.training.release import ReleaseRepository
from evoslm.training.release.files import check_prepared
from evoslm.training.release.private_places import PrivatePlaces
from evoslm.training.release.wheel import write_wheel

PLANTED = "/home/anna/texts/one.txt"


@pytest.fixture
def places(monkeypatch) -> PrivatePlaces:
    return places_of(monkeypatch, home="/home/anna")


def places_of(monkeypatch, home: str, run: str = "/mnt/runs/books") -> PrivatePlaces:
    """As on a machine where the user's folder, the working one and the run's are these."""
    monkeypatch.setattr(Path, "home", lambda: Path(home))
    monkeypatch.setattr(Path, "cwd", lambda: Path(home))
    return PrivatePlaces(Path(run))


def found_in(places: PrivatePlaces, path: Path, text: str) -> bool:
    path.write_text(text, encoding="utf-8")
    return places.find(path) is not None


def write_parquet(path: Path, table: pyarrow.Table) -> Path:
    pyarrow.parquet.write_table(table, path, compression="zstd", row_group_size=100)
    assert PLANTED.encode() not in path.read_bytes()
    return path


def columns(planted: str) -> dict[str, pyarrow.Table]:
    """Tables with a text in the last of many rows, by the kind of column that it is in."""
    texts = [f"the old man sees {i} apples" for i in range(250)] + [planted]
    words = [[{"word": text, "start": 0.0}] for text in texts]
    kinds = {
        "text": pyarrow.array(texts),
        "large text": pyarrow.array(texts, pyarrow.large_string()),
        "dictionary": pyarrow.array(texts).dictionary_encode(),
        "words": pyarrow.array(words),
        "audio": pyarrow.array([{"bytes": text.encode(), "path": None} for text in texts]),
        "map": pyarrow.array([[(text, 1)] for text in texts], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
    }
    return {name: pyarrow.table({"id": range(251), name: values}) for name, values in kinds.items()}


@pytest.mark.parametrize("kind", columns(""))
def test_values_of_a_compressed_parquet_are_searched(tmp_path, places, kind):
    clean = write_parquet(
        tmp_path / "clean.parquet", columns("the old man sees 225 apples at home/anna or /home/annabel")[kind]
    )
    assert places.find(clean) is None
    planted = write_parquet(tmp_path / "planted.parquet", columns(f"the old man sees 225 apples in {PLANTED}")[kind])
    assert places.find(planted) == ("/home/anna", f"its column {kind}")


def test_what_a_parquet_says_beside_its_rows_is_searched(tmp_path, places):
    table = pyarrow.table({"number": [1, 2]})
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(table, path)
    assert places.find(path) is None
    pyarrow.parquet.write_table(table.replace_schema_metadata({"source": PLANTED}), path)
    assert places.find(path) == ("/home/anna", "its metadata source")
    field = pyarrow.field("number", pyarrow.int64(), metadata={"made_from": PLANTED})
    pyarrow.parquet.write_table(table.cast(pyarrow.schema([field])), path)
    assert places.find(path) == ("/home/anna", "its metadata made_from")
    pyarrow.parquet.write_table(table.rename_columns([PLANTED]), path)
    assert places.find(path) == ("/home/anna", "its names of columns")


@pytest.mark.parametrize("compressed", [False, True])
def test_text_in_a_png_is_searched(tmp_path, places, compressed):
    text = PngImagePlugin.PngInfo()
    text.add_itxt("Source", f"drawn from {PLANTED}", zip=compressed)
    image = Image.new("L", (4, 4))
    image.save(tmp_path / "clean.png")
    image.save(tmp_path / "planted.png", pnginfo=text)
    assert places.find(tmp_path / "clean.png") is None
    found, where = places.find(tmp_path / "planted.png")
    assert found == "/home/anna" and where == ("its text Source" if compressed else "")


def test_files_in_a_wheel_are_searched(tmp_path, places):
    wheel = write_wheel(tmp_path)
    assert places.find(wheel) is None
    with zipfile.ZipFile(wheel, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("evoslm/added.py", f"DATA = {PLANTED!r}\n" * 9)
    assert places.find(wheel) == ("/home/anna", "its file evoslm/added.py")


@pytest.mark.parametrize(
    "name", ["modeling.py", "config.json", "notes.md", "report.html", "figure.svg", "model.safetensors"]
)
def test_a_file_that_is_not_packed_is_searched_as_it_is(tmp_path, places, name):
    assert found_in(places, tmp_path / name, f'<a href="{PLANTED}">')
    assert not found_in(places, tmp_path / name, '<a href="/home/annabel/one.txt">')
    assert not found_in(places, tmp_path / name, "")


def test_a_folder_is_found_as_json_and_addresses_write_it(tmp_path, monkeypatch):
    places = places_of(monkeypatch, home="/home/zoë b")
    for text in (json.dumps({"path": "/home/zoë b/x"}), "file:///home/zo%C3%AB%20b/x", "It is in /home/zoë b."):
        assert found_in(places, tmp_path / "x.txt", text), text


@pytest.mark.parametrize("home", ["/root", "/data", "/tmp", "/work", "/workspace", "/app", "/models"])
def test_a_folder_at_the_root_is_named_by_what_lies_in_it(tmp_path, monkeypatch, home):
    places = places_of(monkeypatch, home)
    for text in (f"in {home}/x", f'"{home}/.cache"', f"file://{home}/x", f"path={home}//x", f"<code>{home}/x</code>"):
        assert found_in(places, tmp_path / "x.txt", text), text
    for text in (f"in {home}, or {home}/", f"https://host{home}/x", f"and{home}/x", f"{{run}}{home}/x", f"..{home}/x"):
        assert not found_in(places, tmp_path / "x.txt", text), text
    assert places.find(write_wheel(tmp_path)) is None  # nor does the package itself name anything in one


def test_the_root_is_nobodys_folder(tmp_path, monkeypatch):
    assert not found_in(places_of(monkeypatch, home="/"), tmp_path / "x.txt", "and / or /home/x, /tmp/x")


@pytest.mark.parametrize("name", ["x.parquet", "x.png", "x.whl"])
def test_what_cannot_be_unpacked_is_refused(tmp_path, places, name):
    (tmp_path / name).write_bytes(b"not what its name says")
    with pytest.raises(ValueError, match=f"{name} cannot be searched"):
        places.find(tmp_path / name)


def test_the_error_says_what_was_found_and_where(tmp_path):
    run = tmp_path / "run"
    (tmp_path / "main").mkdir()
    table = pyarrow.table({"text": [f"from {run}/corpus"]})
    pyarrow.parquet.write_table(table, tmp_path / "main" / "x.parquet", compression="zstd")
    with pytest.raises(ValueError, match=r"x\.parquet names a folder of this machine, .*/run' \(its column text\)"):
        check_prepared([ReleaseRepository("user/x", "dataset", tmp_path / "main")], run)
