"""Speech to units with an encoder of HuBERT-base's size: ours beside a loop of one file at a time.

Random weights (speed does not depend on them), the stories' own speech, in turns. A one-hour recording shows how
memory grows.
"""

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import HubertConfig, HubertModel

from evoslm.datasets_scripts.stories import generate_stories
from evoslm.datasets_scripts.synthesis import EspeakSynthesizer
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel
from evoslm.models.speech_units.modeling_speech_units import nearest_centroids
from evoslm.training.hardware import matrix_rate

from .common import peak_of

WORDS, TURNS, LAYER, UNITS = 300, 3, 9, 500
SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "conv_dim": [64] * 7}
MINUTES = (1, 10, 60)


def run() -> str:
    torch.set_num_threads(2)
    audio = _speech()
    seconds = sum(len(samples) for samples in audio) / 16_000
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(folder)
        whole = HubertModel(HubertConfig()).eval()
        missing = whole.load_state_dict(model.encoder.model.state_dict(), strict=False)
        assert not missing.unexpected_keys
        engines = {
            "ours, a process a core": lambda pool: _ours_in_processes(pool, audio),
            "ours, one process": lambda pool: model.units(audio),
            f"one file at a time, {LAYER} layers": lambda pool: [model.units([samples])[0] for samples in audio],
            "one file at a time, all 12 layers": lambda pool: _loop(whole, model, audio),
        }
        loop = "one file at a time, all 12 layers"
        flops = {name: _count_flops(engines[name]) for name in (f"one file at a time, {LAYER} layers", loop)}
        rates: dict[str, list[float]] = {name: [] for name in engines}
        units = {}
        with multiprocessing.get_context("spawn").Pool(2, _start, (folder,)) as pool:
            pool.map(_warm, range(2))
            for _ in range(TURNS):
                for name, engine in engines.items():
                    start = time.perf_counter()
                    units[name] = engine(pool)
                    rates[name].append(seconds / (time.perf_counter() - start))
    ours = "ours, a process a core"
    highest = matrix_rate("cpu", "fp32")
    lines = []
    for name, values in rates.items():
        other = np.mean(np.concatenate(units[name]) != np.concatenate(units[ours]))
        # Frames of several files at once cost what they cost one by one.
        rate = flops.get(name, flops[f"one file at a time, {LAYER} layers"]) / seconds * statistics.median(values)
        lines.append(
            f"| {name} | {statistics.median(values):.1f} | {min(values):.1f} to {max(values):.1f} | "
            f"{statistics.median(rates[ours]) / statistics.median(values):.2f} | {100 * other:.2f} | "
            f"{100 * rate / highest:.0f} |"
        )
    bound = flops[loop] / flops[f"one file at a time, {LAYER} layers"]
    peaks = " | ".join(f"{peak_of('extraction', f'encode_minutes({minutes})'):,.0f}" for minutes in MINUTES)
    return "\n".join(
        [
            "## Speech units of a self-supervised encoder",
            "",
            f"HuBERT-base's shape (95 M parameters, random), layer {LAYER}, K = {UNITS}, fp32, {len(audio)} stories "
            f"of {seconds / len(audio):.0f} s on average, two cores; {TURNS} turns, one engine after another. 'Other "
            "units': the share of frames, in per cent, that differ from those of the first row. 'Matrix rate': "
            f"operations a second, in per cent of the {highest / 1e9:.0f} billion that a large fp32 product reaches "
            "here; a smaller one reaches somewhat more.",
            "",
            "| engine | times real time | spread | the first is faster by | other units | matrix rate |",
            "| :--- | ---: | ---: | ---: | ---: | ---: |",
            *lines,
            "",
            f"The loop over all layers has {bound:.2f} times the operations of ours, which stop at the {LAYER}th. "
            "Where every engine runs near the matrix rate, none that gives the same units can beat it by much more.",
            "",
            "Peak memory of a process that encodes one long recording with a small encoder, in MB:",
            "",
            f"| {' | '.join(f'{minutes} min' for minutes in MINUTES)} |",
            f"|{' ---: |' * len(MINUTES)}",
            f"| {peaks} |",
        ]
    )


def make_model(folder: str | None = None, **shape) -> SpeechUnitModel:
    """A quantizer with random weights; saved where a folder is given."""
    hubert = HubertConfig(num_hidden_layers=LAYER, **shape)
    ssl = {
        "model": hubert.to_diff_dict()
        | {"model_type": "hubert", "hidden_size": hubert.hidden_size, "conv_stride": list(hubert.conv_stride)},
        "normalize": False,
        "sampling_rate": 16_000,
        "layer": LAYER,
        "source": "random",
        "revision": None,
    }
    torch.manual_seed(0)
    model = SpeechUnitModel(SpeechUnitConfig(encoder="ssl", ssl=ssl, num_units=UNITS)).eval()
    if folder is not None:
        model.save_pretrained(folder)
    return model


def _count_flops(engine: Callable) -> int:
    """Operations of matrix products and convolutions of an engine that runs in this process."""
    with FlopCounterMode(display=False) as counter:
        engine(None)
    return counter.get_total_flops()


def encode_minutes(minutes: int) -> None:
    """Units of a long recording; what a process that is measured calls."""
    samples = np.random.default_rng(0).integers(-3000, 3000, minutes * 60 * 16_000, dtype=np.int16)
    make_model(**SMALL).units([samples])


def _speech() -> list[np.ndarray]:
    synthesizer = EspeakSynthesizer()
    return [synthesizer.render(story.sentences).audio for story in generate_stories(WORDS, 0)]


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


_worker_model: SpeechUnitModel | None = None


def _start(folder: str) -> None:
    global _worker_model
    torch.set_num_threads(1)
    _worker_model = SpeechUnitModel.from_pretrained(folder).eval()


def _warm(_: int) -> None:
    _worker_model.units([np.zeros(16_000, np.int16)])


def _encode(audio: list[np.ndarray]) -> list[np.ndarray]:
    return _worker_model.units(audio)


def _ours_in_processes(pool, audio: list[np.ndarray]) -> list[np.ndarray]:
    """One recording after another to whoever is free, the longest first."""
    order = sorted(range(len(audio)), key=lambda index: -len(audio[index]))
    units: list = [None] * len(audio)
    for index, made in zip(order, pool.imap(_encode, [[audio[index]] for index in order])):
        units[index] = made[0]
    return units
