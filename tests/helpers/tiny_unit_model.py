"""A language model of units of a few thousand weights, with all that it needs to be heard, each in a folder.

[`save_unit_models`] -> untrained `model`, `quantizer`, `vocoder` and `transcriber`, tied as a release ties them.
"""

from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel, SpeechUnitProcessor
from evoslm.models.speech_units.identity import HASH_KEY, quantizer_hash
from evoslm.models.tokenizers import train_tokenizer
from evoslm.models.transcriber import UnitTranscriber, UnitTranscriberConfig
from evoslm.models.vocoder import CodebookVocoder

NUM_UNITS = 20


def save_unit_models(folder: Path, namespace: str, seed: int = 0, num_units: int = NUM_UNITS) -> dict[str, Path]:
    """Save the four, and return the folder of each by its name; they name each other as `<namespace>/<name>`."""
    torch.manual_seed(seed)
    quantizer = SpeechUnitModel(SpeechUnitConfig(num_units=num_units))
    vocoder = CodebookVocoder.from_quantizer(quantizer)
    transcriber = UnitTranscriber(
        UnitTranscriberConfig(num_units=num_units, hidden_size=16, intermediate_size=16, num_hidden_layers=1)
    )
    tokenizer = train_tokenizer("speech_units", num_units=num_units)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        modality="speech_units",
        frame_rate=50.0,
        unit_quantizer=f"{namespace}/quantizer",
        unit_vocoder=f"{namespace}/vocoder",
        unit_transcriber=f"{namespace}/transcriber",
    )
    parts = {
        "model": LlamaForCausalLM(config),
        "quantizer": quantizer,
        "vocoder": vocoder,
        "transcriber": transcriber,
    }
    for name, part in parts.items():
        setattr(part.config, HASH_KEY, quantizer_hash(quantizer))
        part.save_pretrained(folder / name)
    SpeechUnitProcessor.from_config(quantizer.config).save_pretrained(folder / "quantizer")
    tokenizer.save_pretrained(folder / "model")
    return {name: folder / name for name in parts}
