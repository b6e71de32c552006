"""How a model reads an example: as the contents of its modality, of text or of units.

texts, or units of each example + the model's modality -> [`write_contents`] -> strings that its tokenizer reads.
"""

from collections.abc import Sequence

import numpy as np

from ..modalities import JOINT, MODALITIES, SYLLABLES, get_modality
from ..speech_units.runs import collapse_runs
from ..tokenizers.joint import SPEECH_TOKEN, TEXT_TOKEN, UNIT_MARK
from ..tokenizers.text import letters_of

TEXT, SPEECH = INPUTS = ("text", "speech")
"""What an example is read as."""


def inputs_of(modality: str | None) -> tuple[str, ...]:
    """
    Say what a model can read.

    Args:
        modality (`str`, *optional*): The `modality` of its configuration; `None` of a model that is not ours, which
            reads text.

    Returns:
        `tuple[str, ...]`: Of `INPUTS`; none for models of phones.
    """
    if modality == JOINT.name:
        return INPUTS
    if modality is None or modality not in MODALITIES or MODALITIES[modality].column == "text":
        return (TEXT,)
    return (SPEECH,) if MODALITIES[modality].is_speech else ()


def check_input(modality: str | None, kind: str, name: str) -> None:
    """
    Refuse an input that a model cannot read.

    Args:
        modality (`str`, *optional*): The model's.
        kind (`str`): One of `INPUTS`.
        name (`str`): What the error calls the model.

    Raises:
        `ValueError`: If it does not read it.
    """
    readable = inputs_of(modality)
    if kind in readable:
        return
    if not readable:
        raise ValueError(
            f"{name} reads phones, which neither a text nor a recording has; take a model of text or units."
        )
    other = "one of units" if kind == SPEECH else "one of text"
    raise ValueError(f"{name} reads {readable[0]} and no {kind}; take a joint model, or {other}.")


def write_contents(
    modality: str | None, kind: str, examples: Sequence[str] | Sequence[Sequence[int]], collapse: bool = True
) -> list[str]:
    """
    Write examples as a model's tokenizer reads them.

    Args:
        modality (`str`, *optional*): The model's; `None` of a model that is not ours.
        kind (`str`): `"text"` or `"speech"`.
        examples (`Sequence[str]` or `Sequence[Sequence[int]]`): Texts, or the units of each utterance.
        collapse (`bool`, *optional*, defaults to `True`): Of a joint model, whether a run of equal units is written
            once. Of a model of units alone, its modality says so.

    Returns:
        `list[str]`: One content an example.

    Raises:
        `ValueError`: If the model does not read it.
    """
    check_input(modality, kind, f"A model of {modality}")
    if modality == JOINT.name:
        if kind == TEXT:
            return [f"{TEXT_TOKEN} {text}" for text in examples]
        runs = [collapse_runs(units) if collapse else np.asarray(units).tolist() for units in examples]
        return [f"{SPEECH_TOKEN} " + "".join(f"{UNIT_MARK}{unit}" for unit in row) for row in runs]
    if kind == TEXT:
        return [letters_of(text) if modality == "text_raw_no_space" else text for text in examples]
    keeps_runs = get_modality(modality).repeats_tokens or get_modality(modality).unit_of in SYLLABLES
    rows = [np.asarray(units).tolist() if keeps_runs else collapse_runs(units) for units in examples]
    return [" ".join(map(str, row)) for row in rows]
