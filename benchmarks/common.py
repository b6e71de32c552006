"""What the benchmarks share: the same stories, the same model, the peak of a process."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, WhisperConfig, WhisperFeatureExtractor

from evoslm.datasets_scripts.phones.frames import num_frames, phone_content, repeat_content
from evoslm.datasets_scripts.recordings.reading import read_speech
from evoslm.datasets_scripts.recordings.sources import read_audio_folder
from evoslm.datasets_scripts.stories.rich.generation import generate_stories
from evoslm.datasets_scripts.stories.simple.generation import generate_stories as generate_simple_stories
from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
from evoslm.datasets_scripts.synthesis.utterances import make_utterance
from evoslm.models.audio import decode_flac
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel, whisper_encoder
from evoslm.models.speech_units.pretrained_encoder import describe_encoder, load_encoder_weights
from evoslm.models.tokenizers.by_modality import encode_contents, train_tokenizer
from evoslm.training.arguments.parsing import read_preset
from evoslm.training.unit_report.sources import MeasuredRecording

from .flags import PIPER, WHISPER_SHAPES, full_or_quick

NEURAL = "neural"
"""The speaker of `--piper`'s voice."""
SHAPE = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")

_LARGE_WHISPER = {"d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20, "encoder_ffn_dim": 5120}
_LARGE_WHISPER |= {"num_mel_bins": 128}
_WHISPER_SHAPES = dict(zip(WHISPER_SHAPES, ({}, _LARGE_WHISPER)))
_SMALL_WHISPER = {"d_model": 64, "encoder_layers": 4, "encoder_attention_heads": 4, "encoder_ffn_dim": 128}


def story_ids(modality: str, words: int) -> list:
    """Ids of generated stories in `phone_raw` or `phone_repeat`."""
    synthesizer, contents = EspeakSynthesizer(), []
    for story in generate_stories(words, 0):
        spoken = synthesizer.render(story.sentences)
        if modality == "phone_repeat":
            contents.append(repeat_content(spoken.phones, num_frames(spoken.duration)))
        else:
            contents.append(phone_content(spoken.phones))
    return encode_contents(train_tokenizer(modality), contents)


def simple_sentences(number: int, seed: int) -> list[str]:
    """Sentences of simple generated stories."""
    stories = generate_simple_stories(10**6, seed)
    return list(islice((sentence for story in stories for sentence in story.sentences), number))


def read_recordings(folder: str) -> Iterator[np.ndarray]:
    """The recordings of a folder that can be read."""
    return (read_speech(recording.path) for recording in read_audio_folder(Path(folder)) if not recording.problem)


def piper_synthesizer(voice: str | None = None) -> str:
    """The name of the synthesizer with a voice, that of `--piper` where none is given."""
    voice = voice or os.environ[PIPER]
    return f"piper:{Path(voice).resolve() if Path(voice).exists() else voice}"


def stories_to_fit_on(number: int, seed: int) -> Iterator[MeasuredRecording]:
    """So many simple stories in the Klatt voices, and with `--piper` as many others in that voice."""
    stories, settings = iter(generate_simple_stories(10**6, seed)), {"rate": "fixed", "seed": seed}
    rows = [make_utterance(story, settings | {"voices": "many"}) for story in islice(stories, number)]
    if PIPER in os.environ:
        name = piper_synthesizer()
        spoken = (make_utterance(story, settings | {"voices": "one"}, name) for story in islice(stories, number))
        rows += [[row | {"speaker": NEURAL} for row in one] for one in spoken]
    for (row,) in rows:
        yield MeasuredRecording(row["document"], row["speaker"], [], [], partial(decode_flac, row["audio"]["bytes"]))


def open_whisper(name: str, num_units: int = 2, layer: int | None = None) -> SpeechUnitModel:
    """A quantizer with the weights of a Whisper, a folder or an id on the Hub, and random centroids."""
    described = describe_encoder(name, layer)
    model = _whisper_quantizer(described, num_units)
    model.encoder.model.load_state_dict(load_encoder_weights(name, described))
    return model


def random_whisper(shape: str = "tiny", num_units: int = 2) -> SpeechUnitModel:
    """The same with random weights of a Whisper's shape; of a small one where a section only shows that it runs."""
    whisper = WhisperConfig(**_WHISPER_SHAPES[shape] | full_or_quick({}, _SMALL_WHISPER))
    layer = whisper_encoder.default_layer(whisper.encoder_layers)
    extractor = WhisperFeatureExtractor(feature_size=whisper.num_mel_bins)
    described = whisper_encoder.describe(whisper, extractor.to_dict(), "random", layer)
    described |= {"hidden_size": whisper.d_model, "layer": layer, "source": "random", "revision": None}
    return _whisper_quantizer(described, num_units)


def _whisper_quantizer(described: dict, num_units: int) -> SpeechUnitModel:
    torch.manual_seed(0)
    config = SpeechUnitConfig(encoder="pretrained", pretrained=described, num_units=num_units)
    return SpeechUnitModel(config).eval()


def laptop_config(vocab_size: int, **more) -> LlamaConfig:
    """The `laptop` preset's model, or one that differs from it."""
    preset = read_preset("laptop")
    shape = {name: preset[name] for name in SHAPE} | more
    return LlamaConfig(vocab_size=vocab_size, max_position_embeddings=2048, tie_word_embeddings=True, **shape)


def peak_of(module: str, call: str) -> float:
    """The peak of a process of its own that makes one call of a benchmark's module, in MB."""
    code = f"from benchmarks import common, {module}; {module}.{call}; print('peak', common.peak_memory_mb())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr)
    return float(result.stdout.rsplit("peak", 1)[1])


def peak_memory_mb() -> float:
    """The largest resident set of this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # the other way counts what the process was before it became this program, too
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
