"""Tasks that a few thousand weights learn in seconds, models of every kind for them, and speech of tones.

[`make_model`] -> the folder of an untrained model; [`write_sentiment`], [`write_entities`] -> a file that `read_task`
reads; [`speak_tones`] -> utterance shards of a task in which a class is a pitch; [`make_quantizer`] -> its quantizer.
"""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evoslm.datasets_scripts.shards.utterance_rows import UTTERANCE_SCHEMA
from evoslm.datasets_scripts.slu import SluTask
from evoslm.models.audio import SAMPLE_RATE, encode_flac, to_int16
from evoslm.models.speech_units import fit_units
from evoslm.models.tokenizers.joint import train_joint
from evoslm.models.tokenizers.text import train_text_bpe
from evoslm.models.tokenizers.units import train_units

NUM_UNITS = 12
WORDS = ("film", "story", "scene", "music", "actors", "ending")
OF_CLASS = {"negative": ("dull", "cold", "flat"), "positive": ("warm", "funny", "bright")}
PEOPLE = ("anna", "ben", "carla", "dora")
PLACES = ("the kitchen", "the garden", "the harbour", "the mill")
VERBS, WHEN = ("sees", "leaves", "likes", "paints"), ("today", "again", "at once", "alone", "with joy", "in silence")
_PITCHES = {"negative": 150, "positive": 600}


def make_model(folder: Path, modality: str, tied: bool = True, **shape) -> Path:
    """Save an untrained model of a modality with its tokenizer."""
    rng = np.random.default_rng(0)
    texts = [sentence for sentence, _ in (*sentiment_rows(80), *entity_rows(80))]
    units = [" ".join(map(str, rng.integers(0, NUM_UNITS, 30))) for _ in range(40)]
    if modality == "joint":
        tokenizer = train_joint(texts, units, NUM_UNITS, text_vocab_size=90, unit_vocab_size=30)
    else:
        tokenizer = train_text_bpe(texts, 90) if modality == "text_bpe" else train_units(NUM_UNITS)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        modality=modality,
        tie_word_embeddings=tied,
        **{
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 128,
            "initializer_range": 0.15,
        }
        | shape,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def sentiment_rows(number: int, seed: int = 0) -> list[tuple[str, str]]:
    """Sentences and classes: one word of each says which."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(number):
        label = str(rng.choice(list(OF_CLASS)))
        words = [*rng.choice(WORDS, 4), rng.choice(OF_CLASS[label])]
        rows.append((" ".join(rng.permutation(words)).capitalize() + ".", label))
    return rows


def entity_rows(number: int, seed: int = 0) -> list[tuple[str, list[list[str]]]]:
    """Sentences and entities, of which some have none."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(number):
        words, entities = [], []
        for label, phrases, other in (("PERSON", PEOPLE, "somebody"), ("PLACE", PLACES, "it")):
            if rng.random() < 0.7:
                phrase = str(rng.choice(phrases))
                entities.append([label, phrase])
            else:
                phrase = other
            words.append(phrase)
        rows.append((f"{words[0]} {rng.choice(VERBS)} {words[1]} {rng.choice(WHEN)}.".capitalize(), entities))
    return rows


def write_sentiment(folder: Path, number: int = 240) -> Path:
    """A file of sentences with classes."""
    return _write(
        folder / "sentiment.jsonl", [{"text": text, "label": label} for text, label in sentiment_rows(number)]
    )


def write_entities(folder: Path, number: int = 300) -> Path:
    """A file of sentences with entities."""
    return _write(
        folder / "people.jsonl", [{"text": text, "entities": entities} for text, entities in entity_rows(number)]
    )


def tone(pitch: float, rng: np.random.Generator, seconds: float = 0.4) -> np.ndarray:
    """A tone with a little noise, int16 at 16 kHz."""
    times = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return to_int16(0.3 * np.sin(2 * np.pi * pitch * times) + 0.003 * rng.standard_normal(len(times)))


def speak_tones(folder: Path, task: SluTask) -> Path:
    """Utterance shards of a task in which a class is a pitch."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split, examples in task.splits.items():
        rows = []
        for example in examples:
            audio = tone(_PITCHES[example.label] * rng.uniform(0.9, 1.1), rng)
            row = dict.fromkeys(UTTERANCE_SCHEMA.names) | {"id": example.id, "text": example.text}
            rows.append(row | {"speaker": "nobody", "audio": {"bytes": encode_flac(audio), "path": None}})
        pq.write_table(pa.Table.from_pylist(rows, UTTERANCE_SCHEMA), folder / f"{split}-00000-of-00001.parquet")
    return folder


def make_quantizer(folder: Path) -> Path:
    """Save a quantizer of tones."""
    rng = np.random.default_rng(0)
    audio = [tone(pitch * rng.uniform(0.9, 1.1), rng) for pitch in _PITCHES.values() for _ in range(10)]
    fit_units([(audio, ["nobody"] * len(audio))], NUM_UNITS).save_pretrained(folder)
    return folder


def _write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
