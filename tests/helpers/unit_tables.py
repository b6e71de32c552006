"""Units as somebody hands them in who knows nothing of a run: a table of file names and ids.

finished run -> [`write_units`] -> `.jsonl` for `--units`; [`make_table_study`] -> a study with it on the same corpus.
"""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
from tiny_study import TINY

from evoslm.models.scoring.sides import PARTS
from evoslm.training.cli import main

FLAGS = (*TINY, "--precision", "fp32", "--modalities", "phone_repeat", "speech_units")


def write_units(run: Path, table: Path) -> None:
    """The units of a run's utterances and pairs, by the names of their audio files."""
    folder, rows = run / "units" / "speech_units", []
    for shard in folder.glob("utterances/*.parquet"):
        rows += [(row["id"], row["units"]) for row in pq.read_table(shard).to_pylist()]
    for shard in folder.glob("pairs/*/*.parquet"):
        for row in pq.read_table(shard).to_pylist():
            given = {part: row[f"{part}_units"] for part in PARTS if row[f"{part}_units"]}
            rows += [(f"{row['id']}-{row['voice']}-{part}", units) for part, units in given.items()]
    lines = (json.dumps({"file": f"wav/{name}.wav", "units": units}) for name, units in rows)
    table.write_text("\n".join(lines))


def make_table_study(run: Path, folder: Path) -> Path:
    """A study on the corpus and pairs of a run, with its units as a table; return its folder."""
    folder.mkdir(exist_ok=True)
    write_units(run, folder / "units.jsonl")
    for part in ("corpus", "pairs"):
        shutil.copytree(run / part, folder / "run" / part)
    table = ["--units", str(folder / "units.jsonl"), "--units_frame_rate", "50", "--units_codebook_size", "50"]
    assert main(["study", *FLAGS, *table, "--units_name", "Table", "--output_dir", str(folder / "run")]) == 0
    return folder / "run"
