"""Log-likelihoods of the minimal pairs by n-grams over a modality's ids: what counts of 1 to 5 tokens know of them.

ids of the training utterances -> `NGramModel`; pairs in the modality's form -> ids -> `baselines.parquet`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from ...models.files import write_json
from ...models.modalities import get_modality
from ...models.scoring.sides import PARTS, SIDES
from ..pretrain.data import TokenizedUtterances
from ..run.execution import Execution
from ..run.folder import BASELINES_FILE, SUMMARY_FILE
from ..run.stage import Stage
from .contents import KEYS, read_contents

NGRAM_ORDER = 5


def build_baselines(
    folder: Path,
    tokenizer: Path,
    pairs: Path,
    units: Path | None,
    modality: str,
    execution: Execution,
    report_progress: Callable[[float], None] | None = None,
) -> None:
    """
    Score the pairs by 1- to 5-grams over the modality's own ids, trained on the same utterances as the models.

    Args:
        folder (`Path`): Where to; it gets `baselines.parquet`.
        tokenizer (`Path`): The stage of the modality's tokenizer, with the ids of its utterances.
        pairs (`Path`): The spoken pairs.
        units (`Path`, *optional*): Their units, for a modality of speech.
        modality (`str`): The modality's name.
        execution ([`Execution`]): How it is done.
        report_progress (`Callable[[float], None]`, *optional*): Not used: the stage takes seconds.
    """

    def build(partial: Path) -> None:
        contents = read_contents(pairs, get_modality(modality), units)
        score_baselines(tokenizer, contents).to_parquet(partial / BASELINES_FILE)
        write_json(partial / SUMMARY_FILE, {"orders": NGRAM_ORDER, "smoothing": "Witten-Bell, interpolated"})

    inputs = {"tokenizer": tokenizer, "pairs": pairs} | ({"units": units} if units else {})
    Stage(folder, 3, {"modality": modality, "max_order": NGRAM_ORDER}, inputs).run(build, execution.overwrite)


def score_baselines(tokenizer_dir: Path, pairs: pd.DataFrame) -> pd.DataFrame:
    """
    Log-likelihoods of pairs by 1- to 5-grams.

    Args:
        tokenizer_dir (`Path`): A tokenizer with the ids of the training utterances.
        pairs (`pd.DataFrame`): As [`read_contents`] gives them.

    Returns:
        `pd.DataFrame`: The keys of the pairs, `<side>_tokens` and `ngram<order>_<side>` (nats).
    """
    from transformers import AutoTokenizer

    from ...models.ngram import NGramModel
    from ...models.tokenizers import encode_contents

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir)
    train = TokenizedUtterances(tokenizer_dir, "train", tokenizer.bos_token_id, tokenizer.eos_token_id)
    model = NGramModel.fit(
        np.asarray(train.ids, dtype=np.int64), train.offsets, vocab_size=len(tokenizer), max_order=NGRAM_ORDER
    )
    ids = {part: encode_contents(tokenizer, pairs[part].tolist(), unknown="unk") for part in PARTS}
    items = pairs[KEYS].copy()
    for side in SIDES:
        items[f"{side}_tokens"] = [len(sequence) for sequence in ids[side]]
        values = model.log_likelihoods(ids[side], ids["context"])
        for order in range(1, NGRAM_ORDER + 1):
            items[f"ngram{order}_{side}"] = values[:, order - 1]
    return items
