"""A Whisper of a few kilobytes with random weights, audio for it, and what plain transformers makes of that.

[`save_whisper`] -> a folder as of the Hub; [`whisper_frames`] -> the frames of a layer with as many positions.
"""

import torch
from changing_sound import speech
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

LAYER = 2
POSITIONS = 100  # 2 s
SHAPE = {
    "d_model": 24,
    "encoder_layers": 4,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 8,
    "max_source_positions": POSITIONS,
    "vocab_size": 16,
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0),
}


AUDIO = [speech(seconds, seed) for seed, seconds in enumerate((1.0, 1.9, 0.31, 1.7, 1.9, 0.02))]


def save_whisper(folder, bins=80, seed=0):
    """A tiny Whisper with random weights, whose layers and frames differ by more than initialisation gives."""
    torch.manual_seed(seed)
    source = WhisperModel(WhisperConfig(**SHAPE, num_mel_bins=bins)).eval()
    with torch.no_grad():
        for name, weight in source.named_parameters():
            if weight.ndim > 1 and "conv" not in name:
                weight.mul_(3)
    source.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=bins).save_pretrained(folder)
    return folder


def whisper_frames(source, log_mel, layer):
    """What transformers makes of log-mel frames, whose number it asks to be that of its positions."""
    encoder, frames = source.encoder, log_mel.shape[0] // 2
    every = encoder.embed_positions
    encoder.embed_positions = torch.nn.Embedding.from_pretrained(every.weight[:frames])
    encoder.config.max_source_positions = frames
    with torch.no_grad():
        states = encoder(log_mel.T[None], output_hidden_states=True).hidden_states
    encoder.embed_positions, encoder.config.max_source_positions = every, len(every.weight)
    return states[layer][0]
