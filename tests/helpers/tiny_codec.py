"""Codecs of a few thousand random weights, by the names of transformers.

`"encodec"` or `"mimi"` -> [`make_codec`] -> a folder for `from_pretrained`.
"""

import torch
from transformers import EncodecConfig, EncodecModel, MimiConfig, MimiModel


def make_codec(kind, folder):
    """Write a codec to a folder, and return its name."""
    torch.manual_seed(0)
    if kind == "encodec":
        shape = {"num_filters": 4, "hidden_size": 16, "codebook_dim": 16, "codebook_size": 64, "num_lstm_layers": 1}
        model = EncodecModel(EncodecConfig(**shape))
    else:
        shape = {"num_filters": 4, "hidden_size": 16, "codebook_dim": 8, "codebook_size": 64, "head_dim": 8}
        shape |= {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 16}
        shape |= {"vector_quantization_hidden_dimension": 8, "num_quantizers": 4, "upsample_groups": 16}
        model = MimiModel(MimiConfig(**shape))
    with torch.no_grad():  # a fresh codebook is all zeros, and what fresh layers give is small
        for name, buffer in model.named_buffers():
            if name.endswith("embed_sum"):
                buffer.normal_()
            elif name.endswith("embed"):
                buffer.copy_(model.encoder(torch.randn(1, 1, 64 * 320))[0].T)
    model.save_pretrained(folder)
    return str(folder)
