"""The bits that a joint model needs for a held-out word: in text and in speech, alone and after the other modality.

test utterances -> four sequences of each -> negative log-likelihood of what is asked for, added up -> bits a word.
What a modality is worth to the other is the difference; of models that were never shown the two together, too.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ...datasets_scripts.mixing.sequences import JointUtterance
from ...datasets_scripts.mixing.switching import SPEECH, TEXT
from ...models.packed_attention import PACKED_ATTENTION
from ...models.tokenizers.joint import bears_loss
from ..pretrain.data import collate_packed

QUESTIONS = {
    "text": (lambda utterance: utterance.text(), TEXT),
    "text after speech": (lambda utterance: utterance.concatenate(SPEECH), TEXT),
    "speech": (lambda utterance: utterance.speech(), SPEECH),
    "speech after text": (lambda utterance: utterance.concatenate(TEXT), SPEECH),
}
"""What is predicted after what: the sequence that is written, and the modality whose tokens count."""
_SEQUENCES_AT_ONCE = 16


def bits_per_word(
    model_dir: Path, utterances: Sequence[tuple[str, JointUtterance]], device: str = "cpu"
) -> dict[str, list[float]]:
    """
    Ask a joint model for the words of utterances, in each of `QUESTIONS`.

    The tokens of the asked modality count, and what ends them (`</s>`); neither the first token of a sequence nor the
    switch into what is asked for does.

    Args:
        model_dir (`Path`): A joint model's folder.
        utterances (`Sequence[tuple[str, JointUtterance]]`): Ids and utterances.
        device (`str`, *optional*, defaults to `"cpu"`): Where the model runs.

    Returns:
        `dict[str, list[float]]`: Bits a word of each utterance by question.
    """
    model = AutoModelForCausalLM.from_pretrained(
        model_dir, attn_implementation=PACKED_ATTENTION, use_safetensors=True
    ).to(device)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    words = np.array([len(utterance.words) for _, utterance in utterances])
    bits = {}
    for question, (write, asked) in QUESTIONS.items():
        sequences = []
        for ids in tokenizer([write(utterance) for _, utterance in utterances]).input_ids:
            ids = np.array([*ids, tokenizer.eos_token_id])
            bears = bears_loss(tokenizer, ids, asked)
            bears[0] = True  # `<s>` is never predicted, and is written as it is
            sequences.append(np.where(bears, ids, ~ids))
        bits[question] = (_nats(model, sequences, device) / math.log(2) / words).tolist()
    return bits


def _nats(model: torch.nn.Module, sequences: list[np.ndarray], device: str) -> np.ndarray:
    """Negative log-likelihood of what each sequence asks for."""
    nats = np.zeros(len(sequences))
    with torch.inference_mode():
        for start in range(0, len(sequences), _SEQUENCES_AT_ONCE):
            own = sequences[start : start + _SEQUENCES_AT_ONCE]
            batch = {name: tensor.to(device) for name, tensor in collate_packed(own).items()}
            labels = batch.pop("labels")[0, 1:]
            logits = model(**batch, use_cache=False).logits[0, :-1].float()
            losses = torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="none").double()
            # The label at a place is of the sequence that the next place is in.
            sequence = torch.repeat_interleave(torch.arange(len(own)), torch.tensor([len(ids) for ids in own]))[1:]
            nats[start : start + len(own)] = np.bincount(sequence, losses.cpu().numpy(), len(own))
    return nats
