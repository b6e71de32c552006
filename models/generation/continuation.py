"""Continue prompts in batches, each as if it were alone.

prompts -> batches of like length, padded on the left -> `generate` with its cache -> a draw for each prompt from a
generator of its own -> ids, and the reason of the end.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

END, STOP, LIMIT = REASONS = ("end", "stop", "limit")
"""Why a continuation ends: the model ended the sequence, it wrote a token that stops, or it is as long as allowed."""


@dataclass(frozen=True)
class Drawing:
    """
    How tokens are drawn.

    Args:
        max_new_tokens (`int`, *optional*, defaults to 128): The longest continuation.
        temperature (`float`, *optional*, defaults to 1.0): Of the distribution; 0 takes the likeliest token.
        top_k (`int`, *optional*): Only the `top_k` likeliest tokens are drawn.
        top_p (`float`, *optional*): Only the likeliest tokens that have this probability together are drawn.
        seed (`int`, *optional*, defaults to 0): Of all draws.
        stop_ids (`tuple[int, ...]`, *optional*): Ids that end a continuation, beside the model's own end.
        suppressed_ids (`tuple[int, ...]`, *optional*): Ids that are never drawn; what is left to draw has the
            probabilities that the model gives it without them.
        min_new_tokens (`int`, *optional*, defaults to 0): The shortest continuation: no token that ends one is drawn
            before.
    """

    max_new_tokens: int = 128
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0
    stop_ids: tuple[int, ...] = field(default=())
    suppressed_ids: tuple[int, ...] = field(default=())
    min_new_tokens: int = 0

    def __post_init__(self):
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens has to be at least 1, not {self.max_new_tokens}.")
        if not 0 <= self.min_new_tokens <= self.max_new_tokens:
            raise ValueError(
                f"min_new_tokens has to be from 0 to the {self.max_new_tokens} of max_new_tokens, not "
                f"{self.min_new_tokens}."
            )
        if self.temperature < 0:
            raise ValueError(f"temperature has to be 0 or more, not {self.temperature}.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p has to be above 0 and at most 1, not {self.top_p}.")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k has to be at least 1, not {self.top_k}.")


@dataclass(frozen=True)
class Continuation:
    """
    What a model wrote behind a prompt.

    Args:
        ids (`list[int]`): The tokens, without the prompt and without the one that ended them.
        reason (`str`): One of `REASONS`.
        ended_by (`int`, *optional*): The id that ended them, where one did.
    """

    ids: list[int]
    reason: str
    ended_by: int | None = None


def continue_prompts(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    drawing: Drawing | None = None,
    batch_size: int = 16,
) -> list[Continuation]:
    """
    Continue prompts. What is written behind a prompt depends on the seed and the prompt's place among the prompts, not
    on what else is in its batch (but for rounding), and on nothing that the model's own `generation_config` asks for.

    Args:
        model (`PreTrainedModel`): A causal language model with an end-of-sequence id.
        prompts (`Sequence[Sequence[int]]`): Ids, `<s>` among them where the model has it.
        drawing ([`Drawing`], *optional*): How tokens are drawn.
        batch_size (`int`, *optional*, defaults to 16): Prompts at once.

    Returns:
        `list[Continuation]`: In the order of the prompts.

    Raises:
        `ValueError`: If a prompt is empty or has an id that the model does not know, the model has no end-of-sequence
            id, a prompt leaves its window no room, or nothing is left to draw.
    """
    drawing = drawing or Drawing()
    ends = check_prompts(model, prompts, drawing)
    order = sorted(range(len(prompts)), key=lambda number: (len(prompts[number]), number))
    found: dict[int, Continuation] = {}
    with _nothing_but_drawing(model):
        for start in range(0, len(order), batch_size):
            numbers = order[start : start + batch_size]
            for number, ids in zip(numbers, _generate(model, [prompts[n] for n in numbers], numbers, ends, drawing)):
                found[number] = _read(ids, ends, drawing)
    return [found[number] for number in range(len(prompts))]


def check_prompts(model: PreTrainedModel, prompts: Sequence[Sequence[int]], drawing: Drawing) -> list[int]:
    """
    Check that a model can continue prompts.

    Args:
        model (`PreTrainedModel`): A causal language model.
        prompts (`Sequence[Sequence[int]]`): Ids.
        drawing ([`Drawing`]): How tokens are drawn.

    Returns:
        `list[int]`: The ids that end a sequence of the model.

    Raises:
        `ValueError`: As [`continue_prompts`].
    """
    end = model.config.eos_token_id
    if end is None:
        raise ValueError("The model has no end-of-sequence id; set eos_token_id in its configuration.")
    vocabulary = model.get_input_embeddings().weight.shape[0]
    if len(set(drawing.suppressed_ids) & set(range(vocabulary))) == vocabulary:
        raise ValueError(f"All {vocabulary} ids of the model are suppressed; leave some to be drawn.")
    window = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    for number, prompt in enumerate(prompts):
        if not len(prompt):
            raise ValueError(f"Prompt {number} is empty; it needs the token that begins a sequence at least.")
        if not 0 <= min(prompt) <= max(prompt) < vocabulary:
            raise ValueError(
                f"Prompt {number} has ids from {min(prompt)} to {max(prompt)}, and the model knows {vocabulary}: they "
                "are not of its tokenizer."
            )
        if window is not None and len(prompt) + drawing.max_new_tokens > window:
            raise ValueError(
                f"Prompt {number} has {len(prompt)} tokens, and {drawing.max_new_tokens} more do not fit the model's "
                f"{window}; cut it, or lower max_new_tokens."
            )
    return [end] if isinstance(end, int) else list(end)


@contextmanager
def _nothing_but_drawing(model: PreTrainedModel) -> Iterator[None]:
    """
    Evaluation mode, and no defaults of the model's own, such as a penalty for repetition, which `generate` takes where
    a call does not say otherwise; then all as it was.
    """
    training, own = model.training, model.generation_config
    try:
        model.eval()
        model.generation_config = GenerationConfig()
        yield
    finally:
        model.generation_config = own
        model.train(training)


class SeededDraw(LogitsProcessor):
    """
    Makes the likeliest token a draw: Gumbel noise from a generator of each row's own (Gumbel-max trick), so that a row
    draws the same whatever stands beside it.

    Args:
        numbers (`Sequence[int]`): What tells the rows apart.
        seed (`int`): Of all draws.
    """

    def __init__(self, numbers: Sequence[int], seed: int):
        states = [np.random.SeedSequence([seed, number]).generate_state(1) for number in numbers]
        self._generators = [torch.Generator().manual_seed(int(state[0])) for state in states]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores of shape `(num_rows, vocabulary)` with the noise; each row takes one step of its generator."""
        uniform = torch.stack(
            [torch.rand(scores.shape[-1], generator=generator, dtype=torch.float64) for generator in self._generators]
        )
        return scores + (-(-uniform.clamp_min(1e-300).log()).log()).to(scores)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with some of the rows, by their places."""
        self._generators = [self._generators[row] for row in rows]


def make_processors(drawing: Drawing, draw: SeededDraw, device: torch.device) -> LogitsProcessorList:
    """
    What turns a model's logits into those whose largest is the token that is drawn.

    Args:
        drawing ([`Drawing`]): How tokens are drawn.
        draw ([`SeededDraw`]): Of the rows; not asked at temperature 0.
        device (`torch.device`): Of the logits.

    Returns:
        `LogitsProcessorList`: In the order in which they are applied.
    """
    processors = LogitsProcessorList()
    if drawing.suppressed_ids:
        processors.append(SuppressTokensLogitsProcessor(list(drawing.suppressed_ids), device=device))
    if drawing.temperature > 0:
        if drawing.temperature != 1:
            processors.append(TemperatureLogitsWarper(float(drawing.temperature)))
        if drawing.top_k is not None:
            processors.append(TopKLogitsWarper(drawing.top_k))
        if drawing.top_p is not None:
            processors.append(TopPLogitsWarper(drawing.top_p))
        processors.append(draw)
    return processors


def _generate(
    model: PreTrainedModel, prompts: list[Sequence[int]], numbers: list[int], ends: list[int], drawing: Drawing
) -> list[list[int]]:
    longest = max(len(prompt) for prompt in prompts)
    pad = model.config.pad_token_id if model.config.pad_token_id is not None else ends[0]
    input_ids = torch.full((len(prompts), longest), pad)
    attention_mask = torch.zeros_like(input_ids)
    for row, prompt in enumerate(prompts):
        input_ids[row, longest - len(prompt) :] = torch.as_tensor(list(prompt))
        attention_mask[row, longest - len(prompt) :] = 1
    with torch.inference_mode():
        output = model.generate(
            input_ids=input_ids.to(model.device),
            attention_mask=attention_mask.to(model.device),
            max_new_tokens=drawing.max_new_tokens,
            min_new_tokens=drawing.min_new_tokens,
            do_sample=False,  # the draw is in the logits
            num_beams=1,
            use_cache=True,
            pad_token_id=pad,
            eos_token_id=[*ends, *drawing.stop_ids],
            logits_processor=make_processors(drawing, SeededDraw(numbers, drawing.seed), model.device),
        )
    return output[:, longest:].tolist()


def _read(ids: list[int], ends: list[int], drawing: Drawing) -> Continuation:
    for place, index in enumerate(ids):
        if index in ends:
            return Continuation(ids[:place], END, index)
        if index in drawing.stop_ids:
            return Continuation(ids[:place], STOP, index)
    return Continuation(ids, LIMIT)
