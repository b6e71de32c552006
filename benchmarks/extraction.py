"""Speech to units with encoders of HuBERT-base's and Whisper tiny's size: ours beside a loop of one file at a time.

Random weights (speed does not depend on them), the stories' own speech, in turns. A one-hour recording shows how
memory grows. `--shape`, `--device` and `--whisper` measure Whisper's encoder alone, of another shape, on a GPU or with
real weights, on `--ljspeech FOLDER`'s recordings, too: on a CPU in time of one core.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from transformers import HubertConfig, HubertModel, WhisperConfig, WhisperFeatureExtractor, WhisperModel

from evoslm.datasets_scripts.stories.rich.generation import generate_stories
from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
from evoslm.models.audio import FRAME_SAMPLES, SAMPLE_RATE
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel
from evoslm.models.speech_units.modeling_speech_units import nearest_centroids
from evoslm.training.pretrain.hardware import matrix_rate

from .common import open_whisper, peak_of, random_whisper, read_recordings
from .flags import DEVICE, LJSPEECH, SHAPE, WHISPER, full_or_quick

WORDS, TURNS = full_or_quick((300, 3), (100, 1))
LAYER, UNITS = 9, 500
SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "conv_dim": [64] * 7}
MEASURED = full_or_quick({}, SMALL)
MINUTES = full_or_quick((1, 10, 60), (1,))


GPU_WORDS, RECORDINGS = full_or_quick((6000, 32), (100, 2))
"""Of stories for a GPU, which hears 640 s at a time; and recordings of a reader."""


def run() -> str:
    if any(flag in os.environ for flag in (DEVICE, SHAPE, WHISPER)):
        return _run_whisper(os.environ.get(DEVICE, "cpu"))
    torch.set_num_threads(2)
    stories = _speech(WORDS)
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(folder, **MEASURED)
        whole = HubertModel(HubertConfig(**MEASURED)).eval()
        missing = whole.load_state_dict(model.encoder.model.state_dict(), strict=False)
        assert not missing.unexpected_keys
        with _processes(folder) as pool:
            of_stories = _compare(_hubert_engines(model, whole, pool), stories)
            of_words = _compare(_hubert_engines(model, whole, pool), _cut(stories))
    with tempfile.TemporaryDirectory() as folder:
        model = random_whisper(num_units=UNITS)
        model.save_pretrained(folder)
        layer, parameters = model.config.pretrained["layer"], model.encoder.model.num_parameters() / 1e6
        with _processes(folder) as pool:
            processes = Engine(lambda audio: _ours_in_processes(pool, audio), _count_own(model))
            of_whisper = _compare({"ours, a process a core": processes} | _whisper_engines(model), stories)
    seconds = statistics.fmean(len(samples) for samples in stories) / SAMPLE_RATE
    shape = "A small HuBERT" if MEASURED else "HuBERT-base's shape"
    peaks = " | ".join(f"{peak_of('extraction', f'encode_minutes({minutes})'):,.0f}" for minutes in MINUTES)
    return "\n".join(
        [
            "## Speech units of a self-supervised encoder",
            "",
            f"{shape} ({whole.num_parameters() / 1e6:.0f} M "
            f"parameters, random), layer {LAYER}, K = {UNITS}, fp32, two cores; {TURNS} "
            "turns, one engine after another. 'Other units': the share of frames, in per cent, that differ from those "
            "of the first row. 'Matrix rate': operations a second in per cent of what a large fp32 product reaches "
            "here; smaller ones reach somewhat more. The loop over all layers has more operations, for it does not "
            f"stop at layer {LAYER}, and hears the samples behind the last whole frame, which normalisation over time "
            "notices in short pieces. Where an engine is near the matrix rate, nothing with the same units is much "
            "faster.",
            "",
            f"{len(stories)} stories of {seconds:.0f} s on average:",
            "",
            *of_stories,
            "",
            "The same speech in pieces of 0.7 to 1.3 s, about what a word of a minimal pair takes:",
            "",
            *of_words,
            "",
            f"An encoder of Whisper tiny's shape up to layer {layer} ({parameters:.0f} M parameters, random), "
            "the stories again. What is filled up to 30 s is another sound to every frame, and its units are others:",
            "",
            *of_whisper,
            "",
            "Peak memory of a process that encodes one long recording with a small encoder, in MB:",
            "",
            f"| {' | '.join(f'{minutes} min' for minutes in MINUTES)} |",
            f"|{' ---: |' * len(MINUTES)}",
            f"| {peaks} |",
        ]
    )


def _run_whisper(device: str) -> str:
    """The section of Whisper's encoder alone, on a GPU or on one core."""
    if device == "cpu":
        torch.set_num_threads(1)
    if WHISPER in os.environ:
        model = open_whisper(os.environ[WHISPER], UNITS)
        name, source = model.config.pretrained["source"], WhisperModel.from_pretrained(os.environ[WHISPER]).encoder
    else:
        shape = os.environ.get(SHAPE, "tiny")
        model, name, source = random_whisper(shape, UNITS), f"random weights of the shape of {shape}", None
    model = model.to(device)
    engines = _whisper_engines(model, source and source.float().eval().to(device))
    if device == "cuda":
        half = _in_bf16(model)
        engines |= {"ours, bf16": Engine(half.units, _count_own(model), "bf16")}
    stories = _speech(WORDS if device == "cpu" else GPU_WORDS)
    heard = {"Stories": stories, "Pieces of 0.7 to 1.3 s": _cut(stories)}
    if LJSPEECH in os.environ:
        heard["LJSpeech"] = list(islice(read_recordings(os.environ[LJSPEECH]), RECORDINGS))
    encoder = model.encoder.model
    tables = []
    for what, audio in heard.items():
        seconds = sum(map(len, audio)) / SAMPLE_RATE
        tables += ["", f"{what}, {len(audio)} of {seconds / len(audio):.1f} s on average:", ""]
        tables += _compare(engines, audio, device)
    if device == "cuda":
        tables += ["", f"Peak memory of the GPU: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB."]
    return "\n".join(
        [
            f"## Speech units of Whisper's encoder: {name}, {device}",
            "",
            f"Layer {model.config.pretrained['layer']} ({encoder.num_parameters() / 1e6:.0f} M parameters), "
            f"{encoder.num_mel_bins} mel bins, K = {UNITS} with random centroids, fp32 unless it says otherwise; "
            f"{TURNS} turns, one engine after another; {_name_clock(device)}. 'Other units': the share of frames, in "
            "per cent, that differ from those of the first row. 'Matrix rate': operations a second in per cent of "
            "what a large product of that precision reaches.",
            *tables,
        ]
    )


def _name_clock(device: str) -> str:
    if device == "cuda":
        return f"one {torch.cuda.get_device_name()}, times of the clock"
    return "seconds of audio in a second of one core's time"


def _in_bf16(model: SpeechUnitModel) -> SpeechUnitModel:
    """The same quantizer with an encoder in bf16."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return SpeechUnitModel.from_pretrained(folder, dtype=torch.bfloat16).eval().to(model.device)


@dataclass(frozen=True)
class Engine:
    """
    What makes units of recordings.

    Args:
        encode (`Callable[[list[np.ndarray]], list[np.ndarray]]`): Recordings to units.
        count (`Callable[[int], int]`): The operations that it takes for a recording of so many samples.
        precision (`str`, *optional*, defaults to `"fp32"`): What it computes in.
    """

    encode: Callable[[list[np.ndarray]], list[np.ndarray]]
    count: Callable[[int], int]
    precision: str = "fp32"


Engines = dict[str, Engine]


@contextmanager
def _processes(folder: str) -> Iterator:
    """A process a core, each with the model that lies in a folder."""
    # One process imports what all of them need, and they are forked from it.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with context.Pool(2, _start, (folder,)) as pool:
        pool.map(_warm, range(2))
        yield pool


def _hubert_engines(model: SpeechUnitModel, whole: HubertModel, pool) -> Engines:
    def count(samples: int) -> int:
        return _count_flops(whole.config, LAYER, samples)

    return {
        "ours, a process a core": Engine(lambda audio: _ours_in_processes(pool, audio), count),
        "ours, one process": Engine(model.units, count),
        f"one file at a time, {LAYER} layers": Engine(lambda audio: _one_by_one(model, audio), count),
        "one file at a time, all 12 layers": Engine(
            lambda audio: _loop(whole, model, audio),
            lambda samples: _count_flops(whole.config, 12, samples),
        ),
    }


def _whisper_engines(model: SpeechUnitModel, source: torch.nn.Module | None = None) -> Engines:
    """Engines of Whisper; `source` is the whole encoder with the same weights, of which a script runs all layers."""
    config = model.encoder.model.config
    whole, layers = (config, "") if source is None else (source.config, ", every layer")
    count = _count_own(model)
    return {
        "ours, one process": Engine(model.units, count),
        "one file at a time": Engine(lambda audio: _one_by_one(model, audio), count),
        f"one file at a time, filled up to 30 s{layers}": Engine(
            lambda audio: _filled_up(model, audio, source),
            lambda samples: _count_whisper_flops(whole, whole.max_source_positions),
        ),
    }


def _count_own(model: SpeechUnitModel) -> Callable[[int], int]:
    config = model.encoder.model.config
    return lambda samples: _count_whisper_flops(config, samples // FRAME_SAMPLES)


def _compare(engines: Engines, audio: list[np.ndarray], device: str | None = None) -> list[str]:
    """A table of the engines on some recordings: of the clock, or on the device `"cpu"` of one core's time."""
    ours = next(iter(engines))
    clock = time.process_time if device == "cpu" else time.perf_counter
    seconds = sum(len(samples) for samples in audio) / SAMPLE_RATE
    flops = {name: sum(engine.count(len(samples)) for samples in audio) for name, engine in engines.items()}
    rates: dict[str, list[float]] = {name: [] for name in engines}
    units = {}
    for engine in engines.values():
        engine.encode(audio[:1])
    for _ in range(TURNS):
        for name, engine in engines.items():
            start = clock()
            units[name] = engine.encode(audio)  # its units lie in the host's memory: a GPU is done with them
            rates[name].append(seconds / (clock() - start))
    # A matrix product is timed by the clock, which other work on the machine shares.
    is_rated, precisions = device != "cpu", {engine.precision for engine in engines.values()}
    highest = {each: matrix_rate(device or "cpu", each) for each in precisions} if is_rated else {}
    lines = []
    for name, values in rates.items():
        other = np.mean(np.concatenate(units[name]) != np.concatenate(units[ours]))
        rate = statistics.median(values)
        line = (
            f"| {name} | {rate:.1f} | {min(values):.1f} to {max(values):.1f} | "
            f"{statistics.median(rates[ours]) / rate:.2f} | {100 * other:.2f} |"
        )
        if is_rated:
            line += f" {100 * flops[name] / seconds * rate / highest[engines[name].precision]:.0f} |"
        lines.append(line)
    heads = "| engine | times real time | spread | the first is faster by | other units |"
    rule = "| :--- | ---: | ---: | ---: | ---: |"
    return [heads + " matrix rate |" * is_rated, rule + " ---: |" * is_rated, *lines]


def _count_flops(config: HubertConfig, layers: int, samples: int) -> int:
    """Operations of convolutions, linear layers and attention for a recording; a product and a sum are two."""
    total, length, channels = 0, samples, 1
    for width, kernel, stride in zip(config.conv_dim, config.conv_kernel, config.conv_stride):
        length = (length - kernel) // stride + 1
        total += length * kernel * channels * width
        channels = width
    size = config.hidden_size
    total += length * channels * size
    total += length * size * size // config.num_conv_pos_embedding_groups * config.num_conv_pos_embeddings
    total += layers * length * (4 * size**2 + 2 * size * config.intermediate_size + 2 * length * size)
    return 2 * total


def _count_whisper_flops(config: WhisperConfig, frames: int) -> int:
    """The same of Whisper's encoder, for a window of so many frames."""
    size = config.d_model
    total = 3 * 2 * frames * config.num_mel_bins * size + 3 * frames * size * size
    total += config.encoder_layers * frames * (4 * size**2 + 2 * size * config.encoder_ffn_dim + 2 * frames * size)
    return 2 * total


def _cut(audio: list[np.ndarray]) -> list[np.ndarray]:
    """Speech in pieces of about a second."""
    joined = np.concatenate(audio)
    ends = np.cumsum(np.random.default_rng(0).integers(11_200, 20_800, len(joined) // 11_200))
    return np.split(joined, ends[ends < len(joined)])[:-1]


def make_model(folder: str | None = None, **shape) -> SpeechUnitModel:
    """A quantizer with random weights; saved where a folder is given."""
    hubert = HubertConfig(num_hidden_layers=LAYER, **shape)
    pretrained = {
        "model": hubert.to_diff_dict() | {"model_type": "hubert"},
        "hidden_size": hubert.hidden_size,
        "hop_length": FRAME_SAMPLES,
        "normalize": False,
        "sampling_rate": SAMPLE_RATE,
        "layer": LAYER,
        "source": "random",
        "revision": None,
    }
    torch.manual_seed(0)
    model = SpeechUnitModel(SpeechUnitConfig(encoder="pretrained", pretrained=pretrained, num_units=UNITS)).eval()
    if folder is not None:
        model.save_pretrained(folder)
    return model


def encode_minutes(minutes: int) -> None:
    """Units of a long recording; what a process that is measured calls."""
    samples = np.random.default_rng(0).integers(-3000, 3000, minutes * 60 * SAMPLE_RATE, dtype=np.int16)
    make_model(**SMALL).units([samples])


def _speech(words: int) -> list[np.ndarray]:
    synthesizer = EspeakSynthesizer()
    return [synthesizer.render(story.sentences).audio for story in generate_stories(words, 0)]


def _loop(encoder: HubertModel, model: SpeechUnitModel, audio: list[np.ndarray]) -> list[np.ndarray]:
    """What a script does that calls the encoder for one file after another; the same frames, so that units compare."""
    units = []
    with torch.inference_mode():
        for samples in audio:
            waveform = torch.nn.functional.pad(torch.from_numpy(samples).float() / 2**15, (40, 40))
            features = encoder(waveform[None], output_hidden_states=True).hidden_states[LAYER][0]
            frames = (features.double() - model.feature_mean) / model.feature_std * model.feature_weight
            units.append(nearest_centroids(frames, model.centroids.double())[0].numpy().astype(np.uint16))
    return units


def _one_by_one(model: SpeechUnitModel, audio: list[np.ndarray]) -> list[np.ndarray]:
    return [model.units([samples])[0] for samples in audio]


def _filled_up(
    model: SpeechUnitModel, audio: list[np.ndarray], source: torch.nn.Module | None = None
) -> list[np.ndarray]:
    """What a script does with transformers' own feature extractor and encoder, which read 30 s whatever is said."""
    layer, encoder = model.config.pretrained["layer"], source or model.encoder.model
    extractor = WhisperFeatureExtractor(feature_size=model.encoder.model.num_mel_bins)
    units = []
    with torch.inference_mode():
        for samples in audio:
            heard = extractor(samples / 2**15, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features
            states = encoder(heard.to(model.device), output_hidden_states=source is not None)
            hidden = states.last_hidden_state[0] if source is None else states.hidden_states[layer][0]
            features = hidden[: model.config.num_frames(len(samples))]
            frames = (features.double() - model.feature_mean) / model.feature_std * model.feature_weight
            units.append(nearest_centroids(frames, model.centroids.double())[0].cpu().numpy().astype(np.uint16))
    return units


_worker_model: SpeechUnitModel | None = None


def _start(folder: str) -> None:
    global _worker_model
    torch.set_num_threads(1)
    _worker_model = SpeechUnitModel.from_pretrained(folder).eval()


def _warm(_: int) -> None:
    _worker_model.units([np.zeros(SAMPLE_RATE, np.int16)])


def _encode(audio: list[np.ndarray]) -> list[np.ndarray]:
    return _worker_model.units(audio)


def _ours_in_processes(pool, audio: list[np.ndarray]) -> list[np.ndarray]:
    """A few recordings after another to whoever is free, the longest first."""
    order = sorted(range(len(audio)), key=lambda index: -len(audio[index]))
    size = max(1, len(order) // 8)
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    units: list = [None] * len(audio)
    for part, made in zip(parts, pool.imap(_encode, [[audio[index] for index in part] for part in parts])):
        for index, row in zip(part, made):
            units[index] = row
    return units
