"""The forward passes behind log-likelihoods: a causal language model, and the features of one batch.

A batch of trees or of groups of items (`plan.py`) -> padded ids -> features, with common beginnings computed once
-> those that predict a scored token, for the output layer (`output_layer.py`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import torch
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from .layout import lay_out
from .matrix_products import linear_layers_by_onednn
from .output_layer import Scored
from .plan import LONGEST_IN_TREE, Group, Tokens, Tree

_BATCH_TOKENS = {"cpu": 2048, "cuda": 65536}
# Where all logits of a batch exist at once, and where the states of all layers do.
_MOST_LOGITS = 2**26
_MOST_STATES = 2**30


@contextmanager
def scoring_mode(model):
    """
    Evaluation mode, float32 weights, true float32 products, no autocast, no gradients; then all as it was.

    Args:
        model (`PreTrainedModel`): The model.
    """
    training, precision = model.training, torch.get_float32_matmul_precision()
    tensors = (*model.parameters(), *model.buffers())
    stored = [(tensor, tensor.dtype) for tensor in tensors if tensor.dtype in (torch.bfloat16, torch.float16)]
    try:
        model.eval()
        torch.set_float32_matmul_precision("highest")
        for tensor, _ in stored:
            tensor.data = tensor.data.float()
        with (
            torch.no_grad(),
            torch.autocast(model.device.type, enabled=False),
            linear_layers_by_onednn(model),
        ):
            yield
    finally:
        for tensor, dtype in stored:  # float32 holds every value of theirs, so that nothing is lost
            tensor.data = tensor.data.to(dtype)
        torch.set_float32_matmul_precision(precision)
        model.train(training)


class Network:
    """
    A causal language model up to the features that its output layer reads, so that this wide layer runs only on the
    positions that are scored. What the model can do is found out by trying it on a few tokens: of a large model each
    trial reads all weights, as much as a dozen short pairs take, so that none is made before it is asked for.

    Args:
        model (`PreTrainedModel`): The model, inside of [`scoring_mode`].
        batch_tokens (`int`, *optional*): Most positions in one forward pass. Defaults to what suits its device.
        all_layers (`bool`, *optional*, defaults to `False`): Whether features are of every layer, not of the last.

    Attributes:
        head (`torch.nn.Module` or `None`): The output layer; `None` if features are logits.
        norm (`torch.nn.Module` or `None`): With `all_layers`, what stands between the last layer and the output layer.
        num_layers (`int` or `None`): Likewise, how many layers there are.
        longest_in_tree (`int`): Most inputs of an item that can stand in a tree; 0 if none can.

    Raises:
        `ValueError`: If the states of its layers are asked for and cannot be read by its output layer.
    """

    def __init__(self, model, batch_tokens: int | None = None, all_layers: bool = False):
        self.model, self.device = model, model.get_input_embeddings().weight.device
        vocabulary = model.get_input_embeddings().weight.shape[0]
        probe = {"input_ids": torch.arange(min(8, vocabulary), device=self.device)[None], "use_cache": True}
        output = model(**probe)
        takes_masks, window = self._takes_masks(output.logits), self._attention_window()
        self.longest_in_tree = min(LONGEST_IN_TREE, window or LONGEST_IN_TREE) if takes_masks else 0
        self.takes_one_mask = takes_masks and window is None
        self._probed = output.logits
        # Some models work on their logits after the output layer (Gemma 2 caps them, Cohere scales them).
        self.decoder, self.head = model.get_decoder(), model.get_output_embeddings()
        if self.head is not None:
            features = self.decoder(**probe).last_hidden_state
            separable = features.shape[-1] == self.head.weight.shape[-1]
            if not (separable and torch.equal(self.head(features), output.logits)):
                self.head = None
        self.all_layers = all_layers
        self.norm, self.num_layers = self._find_norm(probe) if all_layers else (None, None)
        self.batch_tokens = batch_tokens or _BATCH_TOKENS["cpu" if self.device.type == "cpu" else "cuda"]
        if self.head is None:
            self.batch_tokens = min(self.batch_tokens, max(1, _MOST_LOGITS // vocabulary))
        if all_layers:
            states = (self.num_layers + 1) * self.head.weight.shape[-1]
            self.batch_tokens = min(self.batch_tokens, max(1, _MOST_STATES // states))

    def _find_norm(self, probe: dict[str, torch.Tensor]) -> tuple[torch.nn.Module, int]:
        """The module that gives the last features from the last layer's states, and how many layers there are."""
        if not self._probed.isfinite().all():
            raise ValueError(
                "The model's logits are no numbers: its weights are not usable (did its training diverge?)."
            )
        given = {}
        hooks = [
            child.register_forward_hook(lambda module, inputs, output, name=name: given.update({name: output}))
            for name, child in self.decoder.named_children()
        ]
        try:
            output = self.decoder(**probe, output_hidden_states=True)
        finally:
            for hook in hooks:
                hook.remove()
        states, features = output.hidden_states, output.last_hidden_state
        same = [
            name for name, found in given.items() if isinstance(found, torch.Tensor) and torch.equal(found, features)
        ]
        if self.head is None or not same or not torch.equal(states[-1], features):
            raise ValueError(
                f"The layers of {type(self.model).__name__} cannot be read by its output layer: it does more than one "
                "normalisation between the last layer and its logits."
            )
        return self.decoder.get_submodule(same[-1]), len(states) - 1

    def _attention_window(self) -> int | None:
        """How many positions every layer sees, its own included; `None` if all before it."""
        config = self.model.config.get_text_config()
        slides = "sliding_attention" in (getattr(config, "layer_types", None) or ["sliding_attention"])
        return getattr(config, "sliding_window", None) if slides else None

    def _takes_masks(self, logits: torch.Tensor) -> bool:
        """Whether items in a tree have the logits that they have alone; windows apart, which the mask cannot show."""
        config = self.model.config.get_text_config()
        layers = set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
        if layers or config._attn_implementation not in ("sdpa", "eager"):
            return False
        length = min(logits.shape[1], self._attention_window() or logits.shape[1])
        half = length // 2
        ids = torch.arange(length, device=self.device)
        # One beginning, and twice what follows it.
        ids = torch.cat([ids, ids[half:]])[None]
        depths = np.concatenate([np.arange(length), np.arange(half, length)])[None]
        ends = np.full((1, ids.shape[1]), ids.shape[1])
        ends[0, half:length] = length
        try:
            found = self.model(input_ids=ids, use_cache=False, **self._of_tree(depths, ends)).logits
        except (ValueError, RuntimeError, TypeError):
            return False
        alone = torch.cat([logits[:, :length], logits[:, half:length]], dim=1)
        return bool((found - alone).abs().max() <= 1e-3 * logits.std())

    def _of_tree(self, depths: np.ndarray, ends: np.ndarray) -> dict[str, torch.Tensor]:
        """Mask and positions of trees, each position of which sees those in whose subtrees it stands, and itself."""
        depths, ends = (torch.from_numpy(array).to(self.device) for array in (depths, ends))
        column = torch.arange(ends.shape[1], device=self.device)
        visible = (column <= column[:, None]) & (column[:, None] < ends[:, None])
        mask = torch.zeros(visible.shape, device=self.device).masked_fill_(~visible, torch.finfo(torch.float32).min)
        return {"attention_mask": mask[:, None], "position_ids": depths}

    @cached_property
    def can_share(self) -> bool:
        """Whether a beginning computed once gives its continuations the logits that they have as a whole."""
        logits, length = self._probed, self._probed.shape[1]
        ids = torch.arange(length, device=self.device)[None]
        begun = self.model(input_ids=ids[:, : length // 2], use_cache=True)
        cache = getattr(begun, "past_key_values", None)
        # Recurrent states continue one token at a time only.
        if cache is None or any(
            type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers
        ):
            return False
        cache.batch_select_indices(torch.zeros(2, dtype=torch.long, device=self.device))
        ends = ids[:, length // 2 :].repeat(2, 1)
        continued = self.model(
            input_ids=ends, past_key_values=cache, use_cache=True, **self._mask(length // 2, ends.shape[1])
        ).logits
        # Attention that takes every call for the start of a sequence, as some for training does, is far off here.
        return bool((continued - logits[:, length // 2 :]).abs().max() <= 1e-3 * logits.std())

    def _mask(self, past: int, width: int) -> dict[str, torch.Tensor]:
        """
        The causal mask behind a cache, as numbers to add: one for all layers and rows, where the model would make it
        of truth values in every layer again.
        """
        if not self.takes_one_mask:
            return {}
        mask = torch.full((width, past + width), torch.finfo(torch.float32).min, device=self.device)
        return {"attention_mask": mask.triu(past + 1)[None, None]}

    def features(self, ids: np.ndarray, past=None, use_cache: bool = False, **of_tree: torch.Tensor):
        """
        Features (or, without a separable output layer, logits) of shape `(rows * width, size)`, of all layers
        `(rows * width, layers, size)`, the last of them normalised; and the cache.
        """
        network = self.model if self.head is None else self.decoder
        inputs = {"input_ids": torch.from_numpy(ids).to(self.device), "use_cache": use_cache, **of_tree}
        if past is not None:
            inputs["past_key_values"] = past
            inputs |= self._mask(past.get_seq_length(), ids.shape[1])
        if self.all_layers:
            output = network(**inputs, output_hidden_states=True)
            features = torch.stack(output.hidden_states, dim=2)
        else:
            output = network(**inputs)
            features = output.logits if self.head is None else output.last_hidden_state
        return features.flatten(0, 1), output.past_key_values if use_cache else None

    def of_trees(self, trees: list[Tree], tokens: Tokens) -> Scored:
        """
        What predicts the scored tokens of trees.

        Args:
            trees (`list[Tree]`): One of the batches of [`make_tree_batches`].
            tokens ([`Tokens`]): The items in them.

        Returns:
            [`Scored`]: Tokens and features.
        """
        layout = lay_out(trees, tokens)
        features, _ = self.features(layout.ids, **self._of_tree(layout.depths, layout.ends))
        return Scored.of(features, layout.positions, layout.items, layout.targets)

    def of_groups(self, groups: list[Group], tokens: Tokens) -> Iterator[Scored]:
        """
        What predicts the scored tokens of groups: inputs below a group's `prefix` are computed once, the others once a
        member, from a cache.

        Args:
            groups (`list[Group]`): One of the batches of [`make_batches`].
            tokens ([`Tokens`]): The items in them.

        Returns:
            `Iterator[Scored]`: Tokens and features, of beginnings and then of continuations.
        """
        sizes = np.array([len(group.members) for group in groups])
        members = np.array([member for group in groups for member in group.members])
        row = np.repeat(np.arange(len(groups)), sizes)
        prefixes = np.array([group.prefix for group in groups])
        prefix, start, end = prefixes[row], tokens.starts[members], tokens.lengths[members] - 1

        ids = _padded(tokens, members[np.cumsum(sizes) - sizes], np.zeros_like(prefixes), prefixes)
        features, cache = self.features(ids, use_cache=bool(sizes.max() > 1))
        yield _scored(features, row, ids.shape[1], members, start, prefix, 0, tokens)

        longer = np.flatnonzero(end > prefix)
        if len(longer):
            del features
            row, members, start, prefix, end = (array[longer] for array in (row, members, start, prefix, end))
            cache.batch_select_indices(torch.from_numpy(row).to(self.device))
            ids = _padded(tokens, members, prefix, end)
            features, _ = self.features(ids, past=cache, use_cache=True)
            rows = np.arange(len(members))
            yield _scored(features, rows, ids.shape[1], members, np.maximum(start, prefix), end, prefix, tokens)


def _scored(features, rows, width, members, start, end, shift, tokens: Tokens) -> Scored:
    """What predicts the tokens behind inputs `start` to `end` of each member, its row beginning with input `shift`."""
    member, column = _ragged(start, end)
    items = members[member]
    positions = rows[member] * width + column - np.broadcast_to(shift, len(members))[member]
    return Scored.of(features, positions, items, tokens.flat[tokens.offsets[items] + column + 1])


def _padded(tokens: Tokens, items: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Tokens `start` to `end` of the items as an `(items, width)` array; the last token is repeated on the right."""
    column = np.minimum(np.arange((end - start).max())[None, :], (end - start - 1)[:, None])
    return tokens.flat[(tokens.offsets[items] + start)[:, None] + column]


def _ragged(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All (row, column) with `start[row] <= column < end[row]`."""
    lengths = np.maximum(end - start, 0)
    row = np.repeat(np.arange(len(start)), lengths)
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return row, start[row] + np.arange(len(row)) - first
