"""What the benchmarks share: the same stories, the same model, the peak of a process."""

import os
import resource
import subprocess
import sys
from itertools import islice
from pathlib import Path

from transformers import LlamaConfig

from evoslm.datasets_scripts.phones.frames import num_frames, phone_content, repeat_content
from evoslm.datasets_scripts.stories.rich.generation import generate_stories
from evoslm.datasets_scripts.stories.simple.generation import generate_stories as generate_simple_stories
from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
from evoslm.models.tokenizers.by_modality import encode_contents, train_tokenizer
from evoslm.training.arguments.parsing import read_preset

from .flags import PIPER

SHAPE = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")


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


def piper_synthesizer() -> str:
    """The name of the synthesizer whose voice `--piper` gives."""
    voice = os.environ[PIPER]
    return f"piper:{Path(voice).resolve() if Path(voice).exists() else voice}"


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
