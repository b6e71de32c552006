"""What a pre-training would need, before any of it is made: `evoslm pretrain --dry_run`.

arguments (and the run's ids, where it has them) -> for each modality parameters, tokens, memory of a device and time.
"""

import math

from transformers import LlamaConfig

from ...models.audio import FRAME_RATE
from ...models.files import read_json
from ...models.modalities import Modality, get_modality
from ..arguments.study import Arguments
from ..run.folder import Run
from ..run.stage import read_stage
from ..stages.tokenizers import SUMMARY_FILE
from .deepspeed_config import zero_stage
from .hardware import (
    UTILISATION,
    MemoryEstimate,
    count_parameters,
    estimate_memory,
    estimate_seconds,
    matrix_rate,
    resolve_precision,
)

# Of the default run on generated stories, at the fixed rate and with pauses; Speech-BPE with 4,096 pieces.
SECONDS_PER_WORD, UTTERANCE_SECONDS = 0.315, 19.0
TOKENS_PER_SECOND = {
    "text_bpe": 4.05,
    "text_raw": 17.6,
    "phone_bpe": 3.51,
    "phone_raw": 11.9,
    "speech_dedup": 37.6,
    "speech_bpe": 16.2,
    "speech_syllable": 4.9,
    "speech_syllable_unsupervised": 4.9,
    "speech_duration_penalized": 12.4,
}
LONGEST_SECONDS = 30.0
SPECIAL_IDS = 4
_FILLED, _LONGER = 0.9, 1.2


def describe_needs(arguments: Arguments, device: str) -> str:
    """
    A table of what the pre-training of each modality needs.

    Args:
        arguments ([`Arguments`]): Of `evoslm pretrain`; `hardware` says for how many devices of what size.
        device (`str`): Where the matrix rate is measured if none is given.

    Returns:
        `str`: Lines for a terminal.
    """
    hardware, train = arguments.hardware, arguments.pretrain
    precision = hardware.precision
    if precision == "auto":  # a device that somebody names has bf16
        precision = "bf16" if hardware.device_tflops else resolve_precision("auto", device)
    rate = hardware.device_tflops * 1e12 if hardware.device_tflops else matrix_rate(device, precision)
    stage = zero_stage(hardware.deepspeed)
    run = Run(arguments.output_dir, arguments.corpus.own_voices)
    share = math.ceil(train.utterances_per_batch / hardware.num_devices)
    budget = hardware.device_memory_gb * 2**30
    lines = [
        f"{hardware.num_devices} device{'s' * (hardware.num_devices > 1)} of {hardware.device_memory_gb:g} GiB and "
        f"{rate / 1e12:.3g} TFLOP/s in {precision}, {'ZeRO-' + str(stage) if stage else 'no ZeRO'}; "
        f"{train.utterances_per_batch} utterances an update; time at {100 * UTILISATION:.0f} % of the matrix rate.",
        f"{'modality':30}{'parameters':>12}{'tokens an epoch':>17}{'GiB a device':>14}{'a pass':>8}{'hours':>10}",
    ]
    for name in arguments.modalities:
        modality = get_modality(name)
        tokens, vocab_size, is_measured = _corpus_size(arguments, run, modality)
        config = LlamaConfig(vocab_size=vocab_size, **arguments.shape)
        mean = tokens / _utterances(arguments)
        devices = (hardware.num_devices, stage, hardware.gradient_checkpointing)
        passes = hardware.utterances_per_pass or share
        memory = _memory(config, passes, mean, precision, *devices).total
        while passes > 1 and hardware.utterances_per_pass is None and memory > _FILLED * budget:
            passes = math.ceil(passes / 2)
            memory = _memory(config, passes, mean, precision, *devices).total
        count = _utterances(arguments)
        lengths = [round(tokens / count)] * count
        epochs = train.epochs * (1 + train.decay_fraction * (train.train_until == "converged"))
        seconds = estimate_seconds(config, lengths, epochs, rate, hardware.num_devices)
        note = "" if memory <= _FILLED * budget else "  too much: try --deepspeed zero3, --gradient_checkpointing"
        lines.append(
            f"{name:30}{count_parameters(config) / 1e6:>10.1f} M{tokens:>16,.0f}{'' if is_measured else '~'}"
            f"{memory / 2**30:>13.2f}{passes:>8}{seconds * len(arguments.run.training_seeds) / 3600:>10.2f}{note}"
        )
    if train.train_until == "converged":
        lines.append(
            f"Hours are for --epochs {train.epochs:g} and a decay behind them; with --train_until converged most "
            "trainings end before."
        )
    lines.append("'a pass': utterances on a device at once (--utterances_per_pass). ~: reckoned from --max_words.")
    return "\n".join(lines)


def reckon_training_memory(arguments: Arguments, name: str) -> MemoryEstimate:
    """What a modality's training by itself needs on a CPU: a whole batch in a pass, unless it was told otherwise."""
    train, hardware = arguments.pretrain, arguments.hardware
    run = Run(arguments.output_dir, arguments.corpus.own_voices)
    tokens, vocab_size, _ = _corpus_size(arguments, run, get_modality(name))
    config = LlamaConfig(vocab_size=vocab_size, **arguments.shape)
    passes = hardware.utterances_per_pass or train.utterances_per_batch
    precision = "bf16" if hardware.precision == "bf16" else "fp32"
    mean = tokens / _utterances(arguments)
    return _memory(config, passes, mean, precision, 1, 0, hardware.gradient_checkpointing)


def _memory(config: LlamaConfig, utterances: int, mean: float, precision: str, *devices) -> MemoryEstimate:
    """What a device needs whose pass is over so many utterances, some of them longer than the mean."""
    row = min(_LONGER * utterances * mean, utterances * mean * LONGEST_SECONDS / UTTERANCE_SECONDS)
    return estimate_memory(config, math.ceil(row), precision, *devices)


def _utterances(arguments: Arguments) -> int:
    return max(1, round(0.9 * arguments.corpus.max_words * SECONDS_PER_WORD / UTTERANCE_SECONDS))


def _corpus_size(arguments: Arguments, run: Run, modality: Modality) -> tuple[float, int, bool]:
    """Training tokens and vocabulary: the run's own where its tokenizer is finished, else by the words of the text."""
    folder = run.tokenizer(modality.name)
    if read_stage(folder) is not None:
        summary = read_json(folder / SUMMARY_FILE)
        return summary["train_tokens"], summary["vocab_size"], True
    seconds = 0.9 * arguments.corpus.max_words * SECONDS_PER_WORD
    model, units = arguments.model, arguments.units.codebook_size(modality.unit_of)
    rate = TOKENS_PER_SECOND.get(modality.name, modality.frame_rate or FRAME_RATE)
    vocabularies = {
        "text_bpe": model.bpe_vocab_size,
        "phone_bpe": model.bpe_vocab_size,
        "speech_bpe": model.unit_bpe_vocab_size,
        "text_raw": 80,
    }
    vocab_size = vocabularies.get(modality.name, (units if modality.is_speech else 71) + SPECIAL_IDS)
    return seconds * rate, vocab_size, False
