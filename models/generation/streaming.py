"""Continue one prompt several times, token by token, so that what is written can be heard before it ends.

prompt -> one forward pass, whose cache all continuations start from -> a step a token -> a [`DrawnToken`] of each
continuation that is not at its end. The draws are those of [`~evoslm.models.generation.continue_prompts`].
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel

from .continuation import END, LIMIT, STOP, Drawing, SeededDraw, check_prompts, make_processors


@dataclass(frozen=True)
class DrawnToken:
    """
    The next token of a continuation.

    Args:
        index (`int`): Number of the continuation.
        id (`int`): The token.
        log_likelihood (`float`): Its log-probability in nats by the model itself: without temperature, `top_k`,
            `top_p` and suppressed ids.
        reason (`str`, *optional*): Why the continuation ends with it, one of `REASONS`; `None` where it goes on. A
            token that ends it for `"end"` or `"stop"` is none of its own.
    """

    index: int
    id: int
    log_likelihood: float
    reason: str | None = None


class ContinuationStream:
    """
    Continuations of one prompt that are being written.

    Continuation `i` depends on the seed, the prompt and `i`, not on how many there are (but for rounding), and is what
    [`continue_prompts`] writes behind the `i`th of equal prompts.

    Args:
        model (`PreTrainedModel`): A causal language model with an end-of-sequence id; in evaluation mode.
        prompt (`Sequence[int]`): Ids, `<s>` among them where the model has it.
        num_continuations (`int`, *optional*, defaults to 1): How many.
        drawing ([`Drawing`], *optional*): How tokens are drawn.

    Raises:
        `ValueError`: As [`continue_prompts`].

    Examples:

    ```python
    >>> stream = ContinuationStream(model, tokenizer("The lion").input_ids, num_continuations=2)  # doctest: +SKIP
    >>> while stream.running:  # doctest: +SKIP
    ...     for token in stream.step():
    ...         print(token.index, token.id, token.reason)
    ```
    """

    def __init__(
        self,
        model: PreTrainedModel,
        prompt: Sequence[int],
        num_continuations: int = 1,
        drawing: Drawing | None = None,
    ):
        self.drawing = drawing or Drawing()
        self.running = list(range(num_continuations))
        self._ends = check_prompts(model, [prompt], self.drawing)
        self._model, self._cache, self._num_drawn = model, DynamicCache(config=model.config), 0
        self._draw = SeededDraw(self.running, self.drawing.seed)
        self._processors = make_processors(self.drawing, self._draw, model.device)
        self._next = torch.tensor([list(prompt)], device=model.device)

    @torch.inference_mode()
    def step(self) -> list[DrawnToken]:
        """
        Draw one token for each continuation that is running; those that end with it run no longer.

        Returns:
            `list[DrawnToken]`: In the order of `running`.
        """
        output = self._model(self._next, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        logits = output.logits[:, -1].float()
        if self._num_drawn == 0:
            logits = logits.expand(len(self.running), -1)
            self._cache.batch_repeat_interleave(len(self.running))
        drawn = self._processors(None, self._without_ends(logits)).argmax(-1)
        # In float64: a logarithm of a sum over thousands of ids.
        likelihoods = logits.double().log_softmax(-1).gather(1, drawn[:, None])[:, 0].tolist()
        self._num_drawn, self._next = self._num_drawn + 1, drawn[:, None]
        tokens = [
            DrawnToken(index, token, likelihood, self._reason(token))
            for index, token, likelihood in zip(self.running, drawn.tolist(), likelihoods)
        ]
        self.drop([token.index for token in tokens if token.reason])
        return tokens

    def drop(self, indices: Collection[int]) -> None:
        """
        End continuations, so that they take no more time.

        Args:
            indices (`Collection[int]`): Their numbers.
        """
        rows = [row for row, index in enumerate(self.running) if index not in indices]
        if len(rows) == len(self.running):
            return
        self.running = [self.running[row] for row in rows]
        if not rows:
            self._cache = None  # the memory of a long prompt, as soon as nobody reads it
            return
        kept = torch.tensor(rows, device=self._next.device)
        self._next = self._next[kept]
        self._cache.batch_select_indices(kept)
        self._draw.keep(rows)

    def _without_ends(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits in which nothing ends a continuation that is too short."""
        if self._num_drawn >= self.drawing.min_new_tokens:
            return logits
        ends = torch.tensor([*self._ends, *self.drawing.stop_ids], device=logits.device)
        return logits.index_fill(1, ends, -torch.inf)

    def _reason(self, token: int) -> str | None:
        if token in self._ends:
            return END
        if token in self.drawing.stop_ids:
            return STOP
        return LIMIT if self._num_drawn == self.drawing.max_new_tokens else None
