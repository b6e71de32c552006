"""Blocks are spoken in one voice each, and come back as text and units that joint models read."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from evoslm.datasets_scripts.retrieval.blocks import Block, CutPassage
from evoslm.datasets_scripts.retrieval.contents import read_block_contents
from evoslm.datasets_scripts.retrieval.rendering import BLOCK_SCHEMA, PARTS, render_blocks

PARTS_OF_PASSAGES = (
    ("The old sailor swims.", "His boats are quick."),
    ("A quiet baker sings.", "The kitchens have two ovens."),
    ("The dancer is kind.", "A violin plays again."),
    ("Two farmers wait.", "The tractor carries hay."),
)
BLOCKS = [
    Block(f"retrieval-{block}", tuple(CutPassage(f"{block}/{i}", "a", *parts) for i, parts in enumerate(own)))
    for block, own in enumerate((PARTS_OF_PASSAGES[:2], PARTS_OF_PASSAGES[2:], PARTS_OF_PASSAGES[1:3]))
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocks")
    summary = render_blocks(BLOCKS, folder, "many", "random", seed=1, shard_size=2, progress=False)
    assert summary == {"blocks": 3, "rows": 6, "skipped": 0}
    return folder


def rows_of(folder) -> list[dict]:
    return [row for shard in sorted(folder.glob("test-*.parquet")) for row in pq.read_table(shard).to_pylist()]


def samples_of(row: dict, part: str) -> np.ndarray:
    return soundfile.read(io.BytesIO(row[f"{part}_audio"]["bytes"]), dtype="int16")[0]


def test_all_of_a_block_is_said_by_one_speaker(folder):
    rows = rows_of(folder)
    assert [row["id"] for row in rows] == [passage.id for block in BLOCKS for passage in block.passages]
    assert [(row["context_text"], row["continuation_text"]) for row in rows[:4]] == [*PARTS_OF_PASSAGES]
    speakers = {
        block.id: {(row["voice"], row["rate"]) for row in rows if row["block"] == block.id} for block in BLOCKS
    }
    assert all(len(own) == 1 for own in speakers.values())
    assert len({speaker for own in speakers.values() for speaker in own}) > 1
    # The same passage sounds otherwise in another block, and any context goes with any continuation.
    assert len(samples_of(rows[1], "context")) != len(samples_of(rows[4], "context"))
    for row in rows:
        context, continuation = (samples_of(row, part) for part in PARTS)
        assert not context[-4800:].any() and continuation[:1600].any()
        assert len(context) % 320 == len(continuation) % 320 == 0


def test_the_same_blocks_are_the_same_files(folder, tmp_path):
    render_blocks(BLOCKS, tmp_path, "many", "random", seed=1, shard_size=2, progress=False)
    for shard in folder.glob("*.parquet"):
        assert (tmp_path / shard.name).read_bytes() == shard.read_bytes()
    with pytest.raises(ValueError, match="other items or settings"):
        render_blocks(BLOCKS, tmp_path, "many", "random", seed=2, shard_size=2, progress=False)


def test_in_any_voice_each_passage_has_a_speaker_of_its_own(tmp_path):
    blocks = [Block("retrieval-0", tuple(passage for block in BLOCKS[:2] for passage in block.passages))]
    render_blocks(blocks, tmp_path, "many", "fixed", seed=0, any_voice=True, progress=False)
    assert len({row["voice"] for row in rows_of(tmp_path)}) > 1


def test_a_block_that_cannot_be_spoken_is_left_out_whole(tmp_path):
    long = CutPassage("long", "a", "A sailor swims. " * 20, "The farmers wait. " * 20)
    blocks = [*BLOCKS, Block("retrieval-long", (long, *BLOCKS[0].passages))]
    with pytest.raises(ValueError, match="1 of 4 items were skipped.*takes more than 30 s to speak"):
        render_blocks(blocks, tmp_path / "strict", "one", "fixed", seed=0, progress=False)
    summary = render_blocks(blocks, tmp_path, "one", "fixed", seed=0, max_skipped_fraction=0.3, progress=False)
    assert summary == {"blocks": 3, "rows": 6, "skipped": 1}
    with pytest.raises(ValueError, match="Unknown voices 'some'"):
        render_blocks(BLOCKS, tmp_path / "voices", "some", "fixed", seed=0, progress=False)


def test_contents_have_the_text_and_the_units_of_each_part(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="There are no units of the blocks"):
        read_block_contents(folder, tmp_path)
    with pytest.raises(FileNotFoundError, match="There are no blocks"):
        read_block_contents(tmp_path, tmp_path)
    types = [("id", pa.string()), *((f"{part}_units", pa.list_(pa.uint16())) for part in PARTS)]
    for shard in sorted(folder.glob("*.parquet")):
        ids = pq.read_table(shard, columns=["id"])["id"].to_pylist()
        units = [{"id": name, "context_units": [1, 1, 22, 3], "continuation_units": [3, 3, 4]} for name in ids]
        pq.write_table(pa.Table.from_pylist(units, pa.schema(types)), tmp_path / shard.name)
    rows = read_block_contents(folder, tmp_path)
    assert [row["context_text"] for row in rows] == [row["context_text"] for row in rows_of(folder)]
    assert {row["context_units"] for row in rows} == {"▪1▪22▪3"} and {row["continuation_units"] for row in rows} == {
        "▪3▪4"
    }
    assert read_block_contents(folder, tmp_path, collapse=False)[0]["context_units"] == "▪1▪1▪22▪3"
    assert set(BLOCK_SCHEMA.names) - set(rows[0]) == {"rate", "context_audio", "continuation_audio"}
    shard = min(tmp_path.glob("*.parquet"))
    pq.write_table(pq.read_table(shard).slice(1), shard)
    with pytest.raises(ValueError, match="are not those of the blocks .*; make them again"):
        read_block_contents(folder, tmp_path)
