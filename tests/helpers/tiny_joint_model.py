"""A joint model of a few thousand weights, and blocks of passages in its two modalities, made from a seed.

[`make_joint_model`] -> the folder of an untrained model with its tokenizer, [`make_byte_level_joint_model`] -> that of
one whose tokenizer is of another make, [`make_text_model`] -> that of one of text alone;
[`make_passages`] -> rows of blocks.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from evoslm.models.tokenizers.joint import join_units, train_joint
from evoslm.models.tokenizers.text import train_text_bpe

NUM_UNITS = 40
WORDS = ("lion", "otter", "river", "window", "letter", "garden", "yellow", "quiet", "sings", "carries")


def make_joint_model(folder: Path, seed: int = 0) -> str:
    """Save an untrained joint model with a tokenizer of its own, and return the folder."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, 6)) + "." for _ in range(60)]
    units = (" ".join(map(str, rng.integers(0, NUM_UNITS, 30))) for _ in range(60))
    return save_joint_model(folder, train_joint(texts, units, NUM_UNITS, text_vocab_size=100, unit_vocab_size=70))


def make_byte_level_joint_model(folder: Path) -> str:
    """Save an untrained joint model whose tokenizer is of another make, and return the folder."""
    text_tokenizer = byte_level_tokenizer([" ".join(WORDS)], eos_token="<|end|>")
    return save_joint_model(folder, join_units(text_tokenizer, [], NUM_UNITS, None))


def byte_level_tokenizer(texts: Iterable[str], **special) -> PreTrainedTokenizerFast:
    """A tokenizer as many models of text have: BPE over bytes."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=alphabet)
    backend.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


def make_text_model(folder: Path, seed: int = 0) -> str:
    """Save an untrained model of text with a tokenizer of its own, and return the folder."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, 6)) + "." for _ in range(60)]
    return save_joint_model(folder, train_text_bpe(texts, vocab_size=110))


def save_joint_model(folder: Path, tokenizer: PreTrainedTokenizerBase, max_positions: int = 128) -> str:
    """Save an untrained model for a tokenizer, and return the folder."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=max_positions,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def make_passages(num_blocks: int = 2, size: int = 4, seed: int = 0) -> list[dict]:
    """Rows of blocks: what the text and the units say has nothing to do with each other."""
    rng = np.random.default_rng(seed)

    def text() -> str:
        return " ".join(rng.choice(WORDS, rng.integers(3, 6))).capitalize() + "."

    def units() -> str:
        return "".join(f"▪{unit}" for unit in rng.integers(0, NUM_UNITS, rng.integers(10, 25)))

    return [
        {
            "id": f"passage-{block}-{place}",
            "block": f"block-{block}",
            **{f"{part}_text": text() for part in ("context", "continuation")},
            **{f"{part}_units": units() for part in ("context", "continuation")},
        }
        for block in range(num_blocks)
        for place in range(size)
    ]
