"""Language models from scratch: a plain `LlamaForCausalLM` for each modality, whose configuration says what it reads.

modality + shape -> `LlamaConfig` -> weights from a seed. Everything loads with `AutoModelForCausalLM` and no code of
ours; the extra configuration keys (`modality`, `frame_rate`, ...) survive saving and loading.
"""

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase, set_seed

from .modalities import Modality
from .packed_attention import PACKED_ATTENTION

_WINDOW_STEP = 1_024


def make_language_model_config(
    modality: Modality, tokenizer: PreTrainedTokenizerBase, shape: dict, longest: int = 0, **extra
) -> LlamaConfig:
    """
    The configuration of a modality's language model.

    Args:
        modality ([`Modality`]): What the model reads.
        tokenizer (`PreTrainedTokenizerBase`): Gives the vocabulary and the special ids.
        shape (`dict`): `LlamaConfig` arguments: `hidden_size`, `num_hidden_layers`, ...
        longest (`int`, *optional*, defaults to 0): Tokens of the longest sequence that it has to read. Where
            `max_position_embeddings` has fewer, it becomes the next multiple of 1,024; no weight depends on it.
        **extra: Further keys to keep with the model, such as `unit_encoder`, or a `frame_rate` other than 50.

    Returns:
        `LlamaConfig`: With `modality`, `frame_rate` and the extra keys beside Llama's own.
    """
    asked = shape.get("max_position_embeddings", LlamaConfig().max_position_embeddings)
    window = asked if longest <= asked else -(-longest // _WINDOW_STEP) * _WINDOW_STEP
    return LlamaConfig(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        modality=modality.name,
        **shape | {"max_position_embeddings": window},
        **{"frame_rate": modality.frame_rate} | extra,
    )


def make_language_model(config: LlamaConfig, seed: int) -> LlamaForCausalLM:
    """
    A language model with fresh weights, in fp32, that trains on packed rows.

    Args:
        config (`LlamaConfig`): As [`make_language_model_config`] makes it.
        seed (`int`): The same seed gives the same weights.

    Returns:
        `LlamaForCausalLM`: With the packed attention of [`models.packed_attention`].
    """
    set_seed(seed)
    model = LlamaForCausalLM._from_config(config, attn_implementation=PACKED_ATTENTION, dtype=torch.float32)
    model.config.use_cache = False
    return model


def training_flops(config: LlamaConfig, parameters: int, lengths: list[int]) -> float:
    """
    Floating point operations of one training pass (forward and backward) over sequences.

    Six operations a weight and token (embeddings are counted once, as the output layer), and the causal attention's
    `6 * layers * length^2 * hidden_size` a sequence (half of the full square), after Kaplan et al. 2020, section 2.1.

    Args:
        config (`LlamaConfig`): The model's shape.
        parameters (`int`): Its number of weights.
        lengths (`list[int]`): Tokens of each sequence.

    Returns:
        `float`: The number of operations.
    """
    if not config.tie_word_embeddings:
        parameters -= config.vocab_size * config.hidden_size
    attention_width = config.num_attention_heads * config.head_dim
    squares = sum(length * length for length in lengths)
    return float(6 * parameters * sum(lengths) + 6 * config.num_hidden_layers * attention_width * squares)
