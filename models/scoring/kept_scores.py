"""Scores of minimal pairs that are kept on disk as they are made, so that a kill costs one chunk at most.

pairs in order -> chunks of a fixed number -> `scores-00003-of-00012.parquet`, written under another name and renamed
when whole. Its footer says which model and which ids it is of: what is found again is what would be computed.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ..files import written_whole

PAIRS_PER_CHUNK = 2048
_FOOTER_KEY = b"evoslm"
# What a configuration says of where a model lies and how it runs, not of what it computes.
_IRRELEVANT = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache", "architectures"}


class KeptScores:
    """
    The folder of the chunks of one scoring.

    Args:
        folder (`str` or `Path`): Where the chunks lie; it is made, its parent must exist.
        pairs (`int`): How many pairs there are.

    Raises:
        `FileNotFoundError`: If the parent of the folder does not exist.
        `ValueError`: If the folder holds chunks of another number of pairs.
    """

    def __init__(self, folder: str | Path, pairs: int):
        self.folder, self.pairs = Path(folder), pairs
        if not self.folder.parent.is_dir():
            raise FileNotFoundError(f"There is no folder {self.folder.parent} to keep scores in.")
        self.folder.mkdir(exist_ok=True)
        names = {self.path(chunk).name for chunk in range(len(self))}
        for path in sorted(self.folder.glob("*.parquet")):
            if path.name not in names:
                raise ValueError(
                    f"{self.folder} holds {path.name}, which is not of these pairs; choose another folder."
                )

    def __len__(self) -> int:
        return -(-self.pairs // PAIRS_PER_CHUNK)

    def path(self, chunk: int) -> Path:
        """The file of a chunk."""
        return self.folder / f"scores-{chunk:05d}-of-{len(self):05d}.parquet"

    def rows(self, chunk: int) -> slice:
        """The pairs of a chunk."""
        return slice(chunk * PAIRS_PER_CHUNK, min(self.pairs, (chunk + 1) * PAIRS_PER_CHUNK))

    def is_complete(self) -> bool:
        """Whether every chunk is there."""
        return all(self.path(chunk).exists() for chunk in range(len(self)))

    def read(self, chunk: int, fingerprint: str) -> list[dict] | None:
        """
        The scores of a chunk, or `None` if they are not there or their file is damaged.

        Raises:
            `ValueError`: If they are of another model, other pairs or another rule.
        """
        path = self.path(chunk)
        try:
            table = pq.read_table(path)
        except (FileNotFoundError, pa.ArrowInvalid):
            return None
        if (table.schema.metadata or {}).get(_FOOTER_KEY) != fingerprint.encode():
            raise ValueError(
                f"{path} was made with another model, other pairs or another rule; choose another folder or remove it."
            )
        return table.to_pylist()

    def read_all(self) -> list[dict]:
        """The scores of all pairs, in order, once all chunks are there and were checked as they were made."""
        return [row for chunk in range(len(self)) for row in pq.read_table(self.path(chunk)).to_pylist()]

    def write(self, chunk: int, fingerprint: str, scores: list[dict]) -> None:
        """Keep the scores of a chunk."""
        table = pa.Table.from_pylist(scores).replace_schema_metadata({_FOOTER_KEY: fingerprint.encode()})
        with written_whole(self.path(chunk)) as partial:
            pq.write_table(table, partial)


def fingerprint_model(model) -> str:
    """
    What a model computes: its weights and its configuration, wherever it was loaded from.

    Args:
        model (`PreTrainedModel`): A model whose weights are in this process.

    Returns:
        `str`: 64 hexadecimal digits.
    """
    configuration = {key: value for key, value in model.config.to_dict().items() if key not in _IRRELEVANT}
    digest = hashlib.sha256(json.dumps(configuration, sort_keys=True, default=str).encode())
    for name, weight in sorted(model.named_parameters()):  # tied ones once
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


def fingerprint_chunk(model: str, ids: Sequence[Sequence[Sequence[int]]], rule: dict) -> str:
    """
    What the scores of a chunk depend on.

    Args:
        model (`str`): As [`fingerprint_model`] gives it.
        ids (`Sequence[Sequence[Sequence[int]]]`): The ids of contexts and sides.
        rule (`dict`): What else the scores depend on; JSON values.

    Returns:
        `str`: 16 hexadecimal digits.
    """
    parts = json.dumps([model, [[list(map(int, row)) for row in part] for part in ids], rule], sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()[:16]
