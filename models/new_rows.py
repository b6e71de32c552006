"""A model of text that goes on with a larger vocabulary, such as that of a joint model (TWIST, 2305.13009).

weights of a model of text + its tokenizer + the larger one -> the rows of what both have, new rows for the rest -> a
plain `LlamaForCausalLM`.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
)

from .packed_attention import PACKED_ATTENTION

_SHAPE = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "hidden_act",
    "max_position_embeddings",
    "initializer_range",
    "rms_norm_eps",
    "tie_word_embeddings",
    "rope_parameters",
    "attention_bias",
    "mlp_bias",
)

NEW_ROWS = ("mean", "fresh", "copy")
"""How rows of tokens begin that a model did not have; see [`load_with_new_rows`]."""


def read_shape(folder: str | Path) -> dict[str, Any]:
    """
    What a joint model shares with the model of text that it goes on from: all but the vocabulary.

    Args:
        folder (`str` or `Path`): Its folder.

    Returns:
        `dict`: Arguments of `LlamaConfig`.

    Raises:
        `ValueError`: If it is no Llama.
    """
    config = AutoConfig.from_pretrained(folder)
    if not isinstance(config, LlamaConfig):
        raise ValueError(
            f"{folder} is a {config.model_type} model; joint models are plain Llamas and go on from one "
            "(Llama, TinyLlama, SmolLM, or a text model of a run)."
        )
    return {name: getattr(config, name) for name in _SHAPE}


def load_with_new_rows(
    folder: str | Path,
    tokenizer: PreTrainedTokenizerBase,
    config: LlamaConfig,
    new_rows: str = "mean",
    seed: int = 0,
) -> LlamaForCausalLM:
    """
    Load a model of text for a vocabulary that has its own tokens, by their names, and others.

    Rows of the embedding, and of the output layer where it has weights of its own, of tokens that both vocabularies
    have are the old ones. What is new begins

    - `mean`: as a draw from the normal distribution with the mean and the covariance of the old rows, so that a new
      token is as likely as an old one is in the mean (Hewitt, 2021: "Initializing New Word Embeddings for Pretrained
      Language Models");
    - `fresh`: as in a model from scratch, a normal distribution around 0 of width `initializer_range`;
    - `copy`: as a copy of the row of an old token that is drawn, none twice before all were drawn.

    Args:
        folder (`str` or `Path`): The model's folder, with its tokenizer.
        tokenizer (`PreTrainedTokenizerBase`): The larger one.
        config (`LlamaConfig`): Of the model that is made: the old one's shape, the new vocabulary.
        new_rows (`str`, *optional*, defaults to `"mean"`): One of `NEW_ROWS`.
        seed (`int`, *optional*, defaults to 0): Of the draws.

    Returns:
        `LlamaForCausalLM`: In fp32, with the packed attention that models are trained with.

    Raises:
        `ValueError`: If `new_rows` is none of them, or the tokenizer lacks tokens that the model has.
    """
    if new_rows not in NEW_ROWS:
        raise ValueError(f"new_rows has to be one of {', '.join(NEW_ROWS)}, not {new_rows!r}.")
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, attn_implementation=PACKED_ATTENTION
    )
    sources = _places_in(folder, tokenizer, model.config.vocab_size)
    weights = model.state_dict()
    names = ["model.embed_tokens.weight"] + ([] if config.tie_word_embeddings else ["lm_head.weight"])
    grown = {
        # The same draws for both: what is a copy of a token is that in the output layer, too.
        name: _grow(weights[name], sources, new_rows, config.initializer_range, torch.Generator().manual_seed(seed))
        for name in names
    }
    if config.tie_word_embeddings:
        grown["lm_head.weight"] = grown["model.embed_tokens.weight"]
    larger = LlamaForCausalLM._from_config(config, attn_implementation=PACKED_ATTENTION, dtype=torch.float32)
    larger.load_state_dict(weights | grown)
    larger.tie_weights()
    larger.config.use_cache = False
    return larger


def _places_in(folder: str | Path, new: PreTrainedTokenizerBase, rows: int) -> list[int]:
    """For each id of the new vocabulary the id that it had, or -1."""
    known = {
        token: place for token, place in AutoTokenizer.from_pretrained(folder).get_vocab().items() if place < rows
    }
    names = sorted(new.get_vocab(), key=new.get_vocab().get)
    if lost := set(known).difference(names):
        raise ValueError(
            f"The joint tokenizer lacks {len(lost):,} of the {len(known):,} tokens of {folder}; join units to that "
            "model's own (join_units)."
        )
    return [known.get(name, -1) for name in names]


def _grow(
    rows: torch.Tensor, sources: list[int], new_rows: str, width: float, generator: torch.Generator
) -> torch.Tensor:
    sources = torch.tensor(sources)
    new = torch.nonzero(sources < 0).flatten()
    grown = rows[sources.clamp_min(0)].clone()
    # What a padded embedding has beyond its tokenizer was never trained, and is not drawn from.
    old = rows[sources[sources >= 0].unique()]
    if new_rows == "fresh":
        grown[new] = width * torch.randn(len(new), rows.shape[1], generator=generator)
    elif new_rows == "copy":
        rounds = -(-len(new) // len(old))
        order = torch.cat([torch.randperm(len(old), generator=generator) for _ in range(rounds)])[: len(new)]
        grown[new] = old[order]
    else:
        # A mean and a sum of the rows' own deviations has their covariance, whatever its rank.
        centred = (old - old.mean(0)).double()
        weights = torch.randn(len(new), len(old), generator=generator, dtype=torch.float64)
        grown[new] = (old.mean(0) + (weights @ centred) / len(old) ** 0.5).to(rows)
    return grown
