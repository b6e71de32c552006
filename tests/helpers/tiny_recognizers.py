"""Tiny models for speech recognition with random weights and tokenizers of bytes, saved as a Hub has them."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Speech2TextConfig,
    Speech2TextFeatureExtractor,
    Speech2TextForConditionalGeneration,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

LANGUAGES = ("en", "de")
_SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES)]
_SPECIAL += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
_ATTENTION = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_layers": 1, "decoder_layers": 1}
_ATTENTION |= {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "d_model": 16}


def save_whisper(folder: Path, is_multilingual: bool = False, dtype: torch.dtype = torch.float32) -> Path:
    """A Whisper that writes something of every sound."""
    tokenizer = _byte_tokenizer()
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in _SPECIAL}
    end = ids["<|endoftext|>"]
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=80,
        max_source_positions=1500,
        max_target_positions=448,
        decoder_start_token_id=ids["<|startoftranscript|>"],
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        init_std=1.0,
        **_ATTENTION,
    )
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(config)
    model.generation_config._from_model_config = False  # else what only Whisper has is not read
    model.generation_config.is_multilingual = is_multilingual
    model.generation_config.suppress_tokens = [id for token, id in ids.items() if token != "<|endoftext|>"]
    model.generation_config.begin_suppress_tokens = [end]
    model.to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    return folder


def save_ctc(folder: Path, has_mask: bool = True) -> Path:
    """A wav2vec 2.0 with a CTC head for the letters; without a mask, its first convolution normalises over time."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAOIN"]
    (folder / "vocab.json").write_text(str({letter: i for i, letter in enumerate(letters)}).replace("'", '"'))
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=has_mask).save_pretrained(folder)
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=len(letters),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm="layer" if has_mask else "group",
        initializer_range=1.0,
        pad_token_id=0,
    )
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    return folder


def save_sequence_to_sequence(folder: Path) -> Path:
    """A Speech2Text, which is no Whisper."""
    tokenizer = _byte_tokenizer()
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    torch.manual_seed(0)
    config = Speech2TextConfig(
        vocab_size=len(tokenizer),
        max_target_positions=448,
        conv_channels=16,
        decoder_start_token_id=end,
        eos_token_id=end,
        pad_token_id=1,
        bos_token_id=end,
        init_std=1.0,
        **_ATTENTION,
    )
    Speech2TextForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Speech2TextFeatureExtractor().save_pretrained(folder)
    return folder


def _byte_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {byte: i for i, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(_SPECIAL)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|endoftext|>", unk_token="<|endoftext|>"
    )
