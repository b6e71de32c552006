import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evoslm.datasets_scripts.shards.writing import build_shards

SCHEMA = pa.schema([("id", pa.string()), ("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])


@dataclass(frozen=True)
class Item:
    id: str
    split: str


ITEMS = [Item(f"item-{i}", "test" if i % 5 == 4 else "train") for i in range(25)]


def split_of(item: Item) -> str:
    return item.split


def make_rows(item: Item, settings: dict) -> list[dict]:
    if item.id in settings.get("unspeakable", ()):
        raise ValueError(f"{item.id} cannot be spoken.")
    return [{"id": f"{item.id}{settings['suffix']}", "audio": {"bytes": item.id.encode() * 100, "path": None}}]


def make_rows_slowly(item: Item, settings: dict) -> list[dict]:
    (Path(settings["pids"]) / str(os.getpid())).touch()
    time.sleep(0.2)
    return make_rows(item, settings)


def build(folder: Path, items=ITEMS, **arguments) -> list[dict]:
    defaults = {"make_rows": make_rows, "settings": {"suffix": "!"}, "shard_size": 8, "progress": False}
    return build_shards(items, split_of, schema=SCHEMA, output_dir=folder, **{**defaults, **arguments})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_items_go_into_shards_of_a_fixed_size_in_their_order(tmp_path):
    results = build(tmp_path)
    names = ["test-00000-of-00001", *(f"train-{i:05d}-of-00003" for i in range(3))]
    assert [result["file"] for result in results] == [f"{name}.parquet" for name in names]
    assert [result["rows"] for result in results] == [5, 8, 8, 4]
    ids = [row for name in names[1:] for row in pq.read_table(tmp_path / f"{name}.parquet")["id"].to_pylist()]
    assert ids == [f"{item.id}!" for item in ITEMS if item.split == "train"]


def test_an_iterator_gives_the_same_files(tmp_path):
    build(tmp_path / "list")
    build(tmp_path / "iterator", iter(ITEMS))
    assert contents(tmp_path / "list") == contents(tmp_path / "iterator")


def test_the_number_of_processes_changes_nothing(tmp_path):
    build(tmp_path / "one")
    build(tmp_path / "two", num_proc=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_whole_shards_are_kept_and_damaged_ones_made_again(tmp_path):
    build(tmp_path)
    before = contents(tmp_path)
    kept, cut, gone = sorted(tmp_path.glob("train-*"))
    cut.write_bytes(cut.read_bytes()[:-100])
    gone.unlink()
    (tmp_path / ".train-00002-of-00003.parquet.99999.tmp").write_bytes(b"half a shard")
    written = kept.stat().st_mtime_ns
    build(tmp_path)
    assert contents(tmp_path) == before
    assert kept.stat().st_mtime_ns == written


def test_shards_of_other_settings_or_items_are_not_taken_over(tmp_path):
    build(tmp_path)
    with pytest.raises(ValueError, match="was made of other items or settings"):
        build(tmp_path, settings={"suffix": "?"})
    with pytest.raises(ValueError, match="which is not of these items"):
        build(tmp_path, ITEMS[:10])
    pq.write_table(pa.table({"a": [1]}), tmp_path / "test-00000-of-00001.parquet")
    with pytest.raises(ValueError, match="was made of other items or settings"):
        build(tmp_path)


def test_what_is_skipped_is_listed_even_after_a_restart(tmp_path):
    settings = {"suffix": "", "unspeakable": ["item-3"]}
    for _ in range(2):
        results = build(tmp_path, settings=settings)
        skipped = [json.loads(line) for line in (tmp_path / "skipped.jsonl").read_text().splitlines()]
        assert skipped == [{"id": "item-3", "reason": "item-3 cannot be spoken."}]
        assert sum(result["rows"] for result in results) == 24
        (tmp_path / "skipped.jsonl").unlink()


@pytest.mark.parametrize("num_proc", [1, 2])
def test_too_many_skipped_items_stop_the_work(tmp_path, num_proc):
    settings = {"suffix": "", "unspeakable": ["item-3", "item-20"]}
    with pytest.raises(ValueError, match=r"2 of 25 items were skipped.*item-(3|20) cannot be spoken"):
        build(tmp_path, settings=settings, num_proc=num_proc)
    assert not (tmp_path / "skipped.jsonl").exists()
    build(tmp_path, settings=settings, max_skipped_fraction=0.1)


def test_audio_is_not_compressed_again_and_can_be_left_unread(tmp_path):
    build(tmp_path)
    metadata = pq.read_metadata(tmp_path / "test-00000-of-00001.parquet").row_group(0)
    columns = {metadata.column(i).path_in_schema: metadata.column(i) for i in range(metadata.num_columns)}
    assert columns["audio.bytes"].compression == "UNCOMPRESSED"
    assert columns["id"].compression == "ZSTD"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full on this system")
def test_a_full_disk_is_one_sentence_and_leaves_nothing_behind(tmp_path, monkeypatch):
    class OnAFullDisk(UUID):
        @property
        def hex(self) -> str:  # the name under which the shard is being written
            (tmp_path / ".train-00000-of-00001.parquet.full.tmp").symlink_to("/dev/full")
            return "full"

    monkeypatch.setattr("evoslm.models.files.uuid4", lambda: OnAFullDisk(int=0))
    with pytest.raises(OSError, match=f"The disk of {tmp_path} is full"):
        build(tmp_path, ITEMS[:1])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot be written .*; choose another"):
        build(tmp_path / "file" / "folder")


@pytest.mark.end_to_end
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_killed_workers_die_with_their_parent_and_the_rest_is_made_later(tmp_path):
    pids, folder = tmp_path / "pids", tmp_path / "shards"
    pids.mkdir()
    script = (
        "import test_shards as t\n"
        "if __name__ == '__main__':\n"
        f"    settings = {{'suffix': '!', 'pids': {str(pids)!r}}}\n"
        f"    t.build({str(folder)!r}, make_rows=t.make_rows_slowly, settings=settings, shard_size=2, num_proc=2)\n"
    )
    (tmp_path / "script.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen([sys.executable, tmp_path / "script.py"], env=environment)
    deadline = time.monotonic() + 60
    while not (folder.is_dir() and list(folder.glob("train-*"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    workers = [Path("/proc", path.name) for path in pids.iterdir()]
    assert workers
    while any(worker.exists() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(worker.exists() for worker in workers)

    finished = {path: path.stat().st_mtime_ns for path in folder.glob("train-*.parquet")}
    build(folder, make_rows=make_rows_slowly, settings={"suffix": "!", "pids": str(pids)}, shard_size=2)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert sum(len(pq.read_table(path)) for path in folder.glob("*.parquet")) == len(ITEMS)
