"""Many prompts continued at once, several times each: a batch over prompts and draws, with one cache.

encoded prompts -> a row a prompt and draw -> [`~evoslm.models.generation.continue_prompts`] -> the symbols of each.
They can be heard afterwards ([`speak_symbols`]); nothing ends a continuation but its model and its greatest length.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..generation import Drawing, continue_prompts
from .alphabets import Alphabet
from .outputs import EncodedPrompt


@dataclass(frozen=True)
class WrittenSymbols:
    """
    What a model wrote behind a prompt.

    Args:
        symbols (`list[str]`): Characters, phones or units.
        content (`str`): The same as a content.
        reason (`str`): Why it ended: `"end"`, `"stop"` or `"limit"`.
        tokens (`int`): How many were drawn before it ended.
    """

    symbols: list[str]
    content: str
    reason: str
    tokens: int


def continue_encoded(
    model,
    tokenizer,
    alphabet: Alphabet,
    prompts: Sequence[EncodedPrompt],
    drawing: Drawing,
    num_continuations: int = 1,
    batch_size: int = 128,
) -> list[list[WrittenSymbols]]:
    """
    Continue prompts.

    The first so many continuations of a prompt are the same whatever their number is, but for rounding.

    Args:
        model (`PreTrainedModel`): A causal language model.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        alphabet ([`Alphabet`]): What prompts and continuations are written in.
        prompts (`Sequence[EncodedPrompt]`): Prompts as the model reads them.
        drawing ([`Drawing`]): How tokens are drawn.
        num_continuations (`int`, *optional*, defaults to 1): Continuations of each prompt.
        batch_size (`int`, *optional*, defaults to 128): Rows at once.

    Returns:
        `list[list[WrittenSymbols]]`: Of each prompt, its continuations.

    Raises:
        `ValueError`: As [`continue_prompts`].
    """
    rows = [prompt.ids for _ in range(num_continuations) for prompt in prompts]
    written = continue_prompts(model, rows, drawing, batch_size)
    found: list[list[WrittenSymbols]] = [[] for _ in prompts]
    for number, continuation in enumerate(written):
        prompt = prompts[number % len(prompts)]
        reader = alphabet.reader(tokenizer, prompt.ids[prompt.first :])
        symbols = [symbol for index in continuation.ids for symbol in reader.read(index)]
        own = WrittenSymbols(symbols, alphabet.join(symbols), continuation.reason, len(continuation.ids))
        found[number % len(prompts)].append(own)
    return found


def speak_symbols(alphabet: Alphabet, symbols: Sequence[str], seconds_per_symbol: float) -> tuple[np.ndarray, int]:
    """
    Make symbols audible.

    Args:
        alphabet ([`Alphabet`]): What they are written in.
        symbols (`Sequence[str]`): Characters, phones or units.
        seconds_per_symbol (`float`): How long one lasts on average, where symbols do not say it.

    Returns:
        `tuple[np.ndarray, int]`: float32 samples, none of no symbols, and how many there are in a second.
    """
    voice = alphabet.voice(seconds_per_symbol)
    if not symbols:
        return np.zeros(0, np.float32), voice.sampling_rate
    voice.write(symbols)
    return voice.hear(is_last=True), voice.sampling_rate
