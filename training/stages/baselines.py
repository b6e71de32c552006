"""Log-likelihoods of the minimal pairs by n-grams over a modality's ids."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from ...models.files import write_json
from ...models.modalities import get_modality
from ...models.scoring.sides import PARTS
from ..arguments.study import Arguments
from ..pretrain.data import TokenizedUtterances
from ..run.folder import BASELINES_FILE, Run
from ..run.stage import Stage
from .contents import KEYS, load_pairs

NGRAM_ORDER = 5


def build_baselines(
    arguments: Arguments, run: Run, modality: str, report_progress: Callable[[float], None] | None = None
) -> Path:
    """
    Score the pairs by 1- to 5-grams over the modality's own ids, trained on the same utterances as the models.

    Args:
        arguments ([`Arguments`]): Of the command.
        run ([`Run`]): Where to.
        modality (`str`): The modality's name.
        report_progress (`Callable[[float], None]`, *optional*): Not used: the stage takes seconds.

    Returns:
        `Path`: The stage's folder, with `baselines.parquet`.
    """
    entry = get_modality(modality)
    tokenizer_dir, voices = run.tokenizer(modality), run.voices_of(modality)
    inputs = {"tokenizer": tokenizer_dir, "pairs": run.pairs(voices)}
    if entry.is_speech:
        inputs["units"] = run.units_of(modality)

    def build(folder: Path) -> None:
        score_baselines(tokenizer_dir, load_pairs(run, entry)).to_parquet(folder / BASELINES_FILE)
        write_json(folder / "summary.json", {"orders": NGRAM_ORDER, "smoothing": "Witten-Bell, interpolated"})

    Stage(run.baselines(modality), 2, {"max_order": NGRAM_ORDER}, inputs).run(build, arguments.run.overwrite)
    return run.baselines(modality)


def score_baselines(tokenizer_dir: Path, pairs: pd.DataFrame) -> pd.DataFrame:
    """
    Log-likelihoods of pairs by 1- to 5-grams.

    Args:
        tokenizer_dir (`Path`): A tokenizer with the ids of the training utterances.
        pairs (`pd.DataFrame`): As [`load_pairs`] gives them.

    Returns:
        `pd.DataFrame`: The keys of the pairs, `<side>_tokens` and `ngram<order>_<side>` (nats).
    """
    from transformers import AutoTokenizer

    from ...models.ngram import NGramModel
    from ...models.tokenizers.by_modality import encode_contents

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir)
    train = TokenizedUtterances(tokenizer_dir, "train", tokenizer.bos_token_id, tokenizer.eos_token_id)
    model = NGramModel.fit(
        np.asarray(train.ids, dtype=np.int64), train.offsets, vocab_size=len(tokenizer), max_order=NGRAM_ORDER
    )
    ids = {side: encode_contents(tokenizer, pairs[side].tolist(), unknown="unk") for side in PARTS}
    items = pairs[KEYS].copy()
    for side in ("positive", "negative"):
        items[f"{side}_tokens"] = [len(sequence) for sequence in ids[side]]
        values = model.log_likelihoods(ids[side], ids["context"])
        for order in range(1, NGRAM_ORDER + 1):
            items[f"ngram{order}_{side}"] = values[:, order - 1]
    return items
