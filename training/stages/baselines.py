"""What simple rules know of the minimal pairs: counts of 1 to 5 tokens, and the words that a context and a side share.

ids of the training utterances -> `NGramModel`, over the ids and, at a fixed frame rate, over their runs as well; pairs
in the modality's form -> ids -> log-likelihoods; with what their texts share -> `baselines.parquet`.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ...models.files import write_json
from ...models.modalities import Modality, get_modality
from ...models.ngram import NGramModel, cut_blocks
from ...models.scoring.sides import PARTS, SIDES
from ..pretrain.data import TokenizedUtterances
from ..run.execution import Execution
from ..run.folder import BASELINES_FILE, OVERLAP_FILE, SUMMARY_FILE
from ..run.stage import Stage
from .contents import KEYS, read_contents

NGRAM_ORDER = 5


def baseline_stage(
    folder: Path, tokenizer: Path, pairs: Path, texts: Path, units: Path | None, modality: str
) -> Stage:
    """What makes the scores of n-grams; the arguments are those of [`build_baselines`]."""
    inputs = {"tokenizer": tokenizer, "pairs": pairs, "texts": texts} | ({"units": units} if units else {})
    return Stage(folder, 4, {"modality": modality, "max_order": NGRAM_ORDER}, inputs)


def build_baselines(
    folder: Path,
    tokenizer: Path,
    pairs: Path,
    texts: Path,
    units: Path | None,
    modality: str,
    execution: Execution,
    report_progress: Callable[[float], None] | None = None,
) -> None:
    """
    Score the pairs by 1- to 5-grams over the modality's own ids, trained on the same utterances as the models, and by
    the words that their contexts and sides share.

    Args:
        folder (`Path`): Where to; it gets `baselines.parquet`.
        tokenizer (`Path`): The stage of the modality's tokenizer, with the ids of its utterances.
        pairs (`Path`): The spoken pairs.
        texts (`Path`): Their text, with what contexts and sides share.
        units (`Path`, *optional*): Their units, for a modality of speech.
        modality (`str`): The modality's name.
        execution ([`Execution`]): How it is done.
        report_progress (`Callable[[float], None]`, *optional*): Not used: the stage takes seconds.
    """

    def build(partial: Path) -> None:
        entry = get_modality(modality)
        contents = read_contents(pairs, entry, units)
        score_baselines(tokenizer, contents, entry, read_overlap(texts)).to_parquet(partial / BASELINES_FILE)
        write_json(partial / SUMMARY_FILE, {"orders": NGRAM_ORDER, "smoothing": "Witten-Bell, interpolated"})

    baseline_stage(folder, tokenizer, pairs, texts, units, modality).run(build, execution.overwrite)


def read_overlap(texts: Path) -> pd.DataFrame:
    """What contexts and sides share: `<rule>_<side>` of every pair with a context."""
    return pq.read_table(texts / OVERLAP_FILE).to_pandas().set_index("pair_id")


def score_baselines(
    tokenizer_dir: Path, pairs: pd.DataFrame, modality: Modality, overlap: pd.DataFrame
) -> pd.DataFrame:
    """
    Log-likelihoods of pairs by 1- to 5-grams, and what their texts share.

    Where tokens repeat because they are frames, five of them are often one phone: there the n-grams are also counted
    over runs, each one token.

    Args:
        tokenizer_dir (`Path`): A tokenizer with the ids of the training utterances.
        pairs (`pd.DataFrame`): As [`read_contents`] gives them.
        modality ([`Modality`]): Their modality.
        overlap (`pd.DataFrame`): As [`read_overlap`] gives it.

    Returns:
        `pd.DataFrame`: The keys of the pairs, `<side>_tokens`, `ngram<order>_<side>` (nats) and `<rule>_<side>` (NaN
        without a context); with repeated tokens also `runs_<side>_tokens` and `runs_ngram<order>_<side>`.
    """
    from transformers import AutoTokenizer

    from ...models.tokenizers import encode_contents

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir)
    train = TokenizedUtterances(tokenizer_dir, "train", tokenizer.bos_token_id, tokenizer.eos_token_id)
    ids = {part: encode_contents(tokenizer, pairs[part].tolist(), unknown="unk") for part in PARTS}
    blocks = ((block.astype(np.int64), offsets) for block, offsets in cut_blocks(train.ids, train.offsets))
    scores = _score_ngrams(blocks, ids, len(tokenizer))
    if modality.repeats_tokens:
        blocks = (collapse_runs(*block) for block in cut_blocks(train.ids, train.offsets))
        runs = {part: [_collapse(sequence) for sequence in sequences] for part, sequences in ids.items()}
        scores |= {f"runs_{name}": values for name, values in _score_ngrams(blocks, runs, len(tokenizer)).items()}
    items = pairs[KEYS].assign(**scores).reset_index(drop=True)
    return items.join(overlap, on="pair_id")


def collapse_runs(ids: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Write every run of one token as a single one.

    Args:
        ids (`np.ndarray`): Sequences end to end.
        offsets (`np.ndarray` of shape `(num_sequences + 1,)`): Between which each of them lies.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: The same of the runs, ids as int64.
    """
    ids, starts = np.asarray(ids, dtype=np.int64), np.asarray(offsets[:-1])
    kept = np.ones(len(ids), dtype=bool)
    kept[1:] = ids[1:] != ids[:-1]
    kept[starts[starts < len(ids)]] = True
    return ids[kept], np.concatenate([[0], np.cumsum(kept)])[offsets]


def _collapse(ids: Sequence[int]) -> np.ndarray:
    return collapse_runs(ids, np.array([0, len(ids)]))[0]


def _score_ngrams(
    train: Iterator[tuple[np.ndarray, np.ndarray]], ids: dict[str, Sequence], vocab_size: int
) -> dict[str, np.ndarray]:
    """Lengths and log-likelihoods of both sides, a column each."""
    asked = [np.concatenate(pair) for side in SIDES for pair in zip(ids["context"], ids[side])]
    model = NGramModel.fit(train, vocab_size=vocab_size, max_order=NGRAM_ORDER, asked=asked)
    columns = {}
    for side in SIDES:
        values = model.log_likelihoods(ids[side], ids["context"])
        columns[f"{side}_tokens"] = np.array([len(sequence) for sequence in ids[side]])
        columns |= {f"ngram{order}_{side}": values[:, order - 1] for order in range(1, NGRAM_ORDER + 1)}
    return columns
