"""How many tokens a second a row has, and how many bits they are.

ids of the training utterances -> [`~evoslm.models.unit_quality.stability.token_rates`].
"""

import numpy as np

from ....models.files import read_json
from ....models.tokenizers.joint import SPEECH_TOKEN, UNIT_MARK
from ....models.unit_quality.stability import token_rates
from ...external_units.quantizers import read_quantizer_config
from ...run.folder import MODEL_FOLDER, SUMMARY_FILE
from .rows import Row, reads_frames
from .written import read_written

_AT_ONCE = 200


def measure_rates(row: Row) -> dict[str, float]:
    """
    What the tokens of a row cost on the training utterances.

    Args:
        row ([`Row`]): Of the table.

    Returns:
        `dict[str, float]`: As [`token_rates`] gives it: `bits_per_second` is the rate times the entropy of a single
        token, so what it takes to send the tokens without a model of their order.
    """
    if row.is_joint:
        return _measure_joint(row)
    summary = read_json(row.tokenizer / SUMMARY_FILE)
    ids = np.load(row.tokenizer / "train.ids.npy", mmap_mode="r")
    seconds = summary["train_tokens"] / summary["tokens_per_second"]
    return token_rates([ids], seconds, summary["vocab_size"])


def _measure_joint(row: Row) -> dict[str, float]:
    """Of speech alone, without the token that begins it."""
    from transformers import AutoTokenizer

    tokenizer, in_frames = AutoTokenizer.from_pretrained(row.tokenizer), reads_frames(row.tokenizer)
    contents, frames = [], 0
    for written in read_written(row.run.units() / "utterances", "train"):
        symbols = np.repeat(written.symbols, written.frames) if in_frames else written.symbols
        contents.append(f"{SPEECH_TOKEN} " + "".join(f"{UNIT_MARK}{unit}" for unit in symbols.tolist()))
        frames += int(written.frames.sum())
    ids = [
        np.array(each[1:])
        for start in range(0, len(contents), _AT_ONCE)
        for each in tokenizer(contents[start : start + _AT_ONCE], add_special_tokens=False).input_ids
    ]
    seconds = frames / read_quantizer_config(row.run.units() / MODEL_FOLDER).frame_rate
    return token_rates(ids, seconds, len(tokenizer))
