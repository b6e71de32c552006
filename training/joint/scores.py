"""What joint models are asked: sWUGGY, sBLIMP and Topic-SC in units and in text, and which context belongs (CRA).

the run's minimal pairs -> the joint tokenizer's contents -> log-likelihoods, as of every other model of the run;
blocks of held-out passages -> a matrix a block in four directions -> which contexts are found.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from ...models.modalities import get_modality
from ...models.scoring.retrieval import DIRECTIONS
from ...models.tokenizers.joint import SPEECH_TOKEN, TEXT_TOKEN, UNIT_MARK
from ..run.folder import ITEMS_FILE
from ..score.pair_files import CHUNKS_FOLDER
from ..stages.contents import KEYS, read_contents
from ..stages.scores import score_folder

FORMS = ("text", "speech")
"""What pairs are written in."""


def joint_contents(pairs: Path, units: Path, form: str, collapse: bool = True) -> pd.DataFrame:
    """
    Write minimal pairs as a joint model reads them: the modality's token begins a context, or a side without one.

    Args:
        pairs (`Path`): The run's spoken pairs.
        units (`Path`): Their units.
        form (`str`): `"text"` or `"speech"`.
        collapse (`bool`, *optional*, defaults to `True`): Whether a run of equal units is written once.

    Returns:
        `pd.DataFrame`: As [`read_contents`] gives them.
    """
    if form == "text":
        rows, first = read_contents(pairs, get_modality("text_bpe")), TEXT_TOKEN
    else:
        modality, first = get_modality("speech_dedup" if collapse else "speech_units"), SPEECH_TOKEN
        rows = read_contents(pairs, modality, units)
        for side in ("context", "positive", "negative"):
            rows[side] = [mark_units(content) for content in rows[side]]
    has_context = rows["context"] != ""
    rows["context"] = rows["context"].where(~has_context, f"{first} " + rows["context"])
    for side in ("positive", "negative"):
        rows[side] = rows[side].where(has_context, f"{first} " + rows[side])
    return rows


def mark_units(content: str) -> str:
    """Units as a joint tokenizer reads them: `"17 942"` is `"▪17▪942"`."""
    return UNIT_MARK + content.replace(" ", UNIT_MARK) if content else ""


def score_joint(model: Path, folder: Path, pairs: Path, units: Path, collapse: bool, device: str = "cpu") -> None:
    """
    Score a joint model on the pairs in both forms: `<form>/items.parquet`.

    The token of the modality is in both sides of a pair without a context, and takes nothing from their difference.

    Args:
        model (`Path`): Its folder.
        folder (`Path`): Where to.
        pairs (`Path`): The run's spoken pairs.
        units (`Path`): Their units.
        collapse (`bool`): Whether a run of equal units is written once.
        device (`str`, *optional*, defaults to `"cpu"`): Where the model runs.
    """
    for form in FORMS:
        rows, target = joint_contents(pairs, units, form, collapse), folder / form
        target.mkdir(parents=True, exist_ok=True)
        scores = pd.DataFrame(score_folder(model, model, rows, target / CHUNKS_FOLDER, device, part=(0, 1)))
        pd.concat([rows[KEYS], scores], axis=1).to_parquet(target / ITEMS_FILE)
        shutil.rmtree(target / CHUNKS_FOLDER)


def score_retrieval(model: Path, blocks: Path, block_units: Path, collapse: bool, device: str = "cpu") -> pd.DataFrame:
    """
    Which context a joint model finds likeliest for each continuation of a block, in four directions.

    Args:
        model (`Path`): Its folder.
        blocks (`Path`): The folder of spoken blocks.
        block_units (`Path`): That of their units.
        collapse (`bool`): Whether a run of equal units is written once.
        device (`str`, *optional*, defaults to `"cpu"`): Where the model runs.

    Returns:
        `pd.DataFrame`: A row a continuation and direction: `direction`, `block`, `id`, and 1, 0 or a share of a tie:
        for the context that is found for a continuation (`context`), for the continuation that is found for a context
        (`continuation`), and, as a check, for the context at its own place among those of the next block
        (`shuffled`), none of which is its own.
    """
    from ...datasets_scripts.retrieval import read_block_contents
    from ...metrics.cra.retrieval_accuracy import share_ties
    from ...models.scoring import score_blocks
    from ..score.pair_files import load_for_scoring

    loaded, tokenizer = load_for_scoring(model, model, device)
    contents, rows = read_block_contents(blocks, block_units, collapse), []
    shuffled = _contexts_of_next_block(contents)
    for direction in DIRECTIONS:
        scored = (score_blocks(loaded, tokenizer, each, direction) for each in (contents, shuffled))
        for block, other in zip(*scored):
            scores, alone = np.array(block["log_likelihoods"]), np.array(block["unconditional"])
            own = np.arange(len(scores))
            found = {
                "context": share_ties(scores, own),
                "continuation": share_ties((scores - alone[:, None]).T, own),
                "shuffled": share_ties(np.array(other["log_likelihoods"]), own),
            }
            rows.append(pd.DataFrame({"direction": direction, "block": block["block"], "id": block["ids"]} | found))
    return pd.concat(rows, ignore_index=True)


def _contexts_of_next_block(contents: list[dict]) -> list[dict]:
    """Continuations with the contexts of another block: the last block's are before those of the first."""
    size = sum(row["block"] == contents[0]["block"] for row in contents)
    others = contents[size:] + contents[:size]
    return [
        row | {name: other[name] for name in ("context_text", "context_units")} for row, other in zip(contents, others)
    ]
