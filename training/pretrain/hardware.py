"""What a training needs and what a device gives: precision, matrix rate, memory and time.

shape + batch + devices + ZeRO stage -> [`estimate_memory`], [`estimate_seconds`] -> `evoslm pretrain --dry_run`.
"""

import ctypes
import os
import statistics
import sys
import time
from dataclasses import dataclass
from functools import cache

import torch
from transformers import LlamaConfig, TrainingArguments
from transformers.utils import strtobool

from ...models.language_model import training_flops
from .deepspeed_config import sum_over_gloo

UTILISATION = 0.4
"""Share of the matrix rate that the estimate of the time assumes."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt's names for them
_MATRIX = {"cpu": 1024, "cuda": 8192}


class ProcessArguments(TrainingArguments):
    """
    Arguments of `Trainer` in a process that may be one of several, which a launcher starts.

    It trains on one GPU, however many it sees: `Trainer` itself would have `nn.DataParallel` cut each batch along its
    rows, and a packed batch has none to cut. On a CPU, DeepSpeed's sums go over gloo.
    """

    def __post_init__(self):
        if self.use_cpu and (self.deepspeed or strtobool(os.environ.get("ACCELERATE_USE_DEEPSPEED", "false"))):
            sum_over_gloo()
        super().__post_init__()

    @property
    def n_gpu(self) -> int:
        """GPUs that this process uses, at most one."""
        return min(super().n_gpu, 1)


def has_bf16(device: str) -> bool:
    """Whether bf16 is computed by the hardware, not emulated (a hundred times slower on a CPU without it)."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def resolve_precision(precision: str, device: str) -> str:
    """
    `"bf16"` or `"fp32"` for an argument that may be `"auto"`: bf16 where a GPU computes it, fp32 on every CPU.

    Raises:
        `ValueError`: If bf16 is asked for and the device would emulate it.
    """
    if precision == "auto":  # processors differ in bf16, and so would what the same seed gives on them
        return "bf16" if device != "cpu" and has_bf16(device) else "fp32"
    if precision == "bf16" and not has_bf16(device):
        raise ValueError(f"--precision bf16 was asked for, but this {device} would emulate it; use fp32 or auto.")
    return precision


def keep_freed_memory() -> None:
    """
    Let this process keep the memory that it frees, where the C library is glibc.

    An update allocates and frees the same tens of megabytes. What is given back to the system comes back a page at a
    time, each of them cleared first.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_MMAP_THRESHOLD, 2**30)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def count_gpus_quickly() -> None:
    """
    Let torch ask CUDA itself whether there are GPUs, as every update of an optimizer does.

    DeepSpeed, once imported, has it look the library of NVIDIA's tools up anew each time, unless the environment says
    otherwise.
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def look_up_optimizers_once() -> None:
    """Let accelerate look up once whether the package of an optimizer is installed, and not in every update."""
    from accelerate import optimizer

    looked_up = getattr(optimizer, "is_lomo_available", None)
    if looked_up is not None and not hasattr(looked_up, "cache_info"):
        optimizer.is_lomo_available = cache(looked_up)


def matrix_rate(device: str, precision: str, repeats: int = 5) -> float:
    """
    The rate of a square matrix product on a device, as it runs now: what utilisation is measured against.

    Args:
        device (`str`): `"cpu"` or `"cuda"`; on a CPU with as many threads as torch has.
        precision (`str`): `"bf16"` or `"fp32"`.
        repeats (`int`, *optional*, defaults to 5): Products that the median is over.

    Returns:
        `float`: FLOP/s.
    """
    size, dtype = _MATRIX[device], torch.bfloat16 if precision == "bf16" else torch.float32
    first, second = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        first @ second
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(times[1:])


@dataclass(frozen=True)
class MemoryEstimate:
    """
    Memory of one device while it trains, in bytes.

    Args:
        weights (`float`): The model, and its 16-bit copy where it trains in bf16 with fp32 weights.
        gradients (`float`): One number a weight.
        optimizer (`float`): AdamW's two numbers a weight, and DeepSpeed's fp32 copy of the weights.
        activations (`float`): What the backward pass needs of the forward pass, the logits and their gradient.
    """

    weights: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def total(self) -> float:
        """All of it; frameworks and fragmentation take some GB more on a GPU."""
        return self.weights + self.gradients + self.optimizer + self.activations


def count_parameters(config: LlamaConfig) -> int:
    """Weights of a model of some shape, without making it."""
    width, layers = config.hidden_size, config.num_hidden_layers
    heads, groups, size = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    attention = 2 * width * heads * size + 2 * width * groups * size
    layer = attention + 3 * width * config.intermediate_size + 2 * width
    embeddings = config.vocab_size * width * (1 if config.tie_word_embeddings else 2)
    return embeddings + layers * layer + width


def estimate_memory(
    config: LlamaConfig,
    tokens: int,
    precision: str,
    world_size: int = 1,
    zero_stage: int = 0,
    gradient_checkpointing: bool = False,
) -> MemoryEstimate:
    """
    Memory that one device needs, after Rajbhandari et al. 2020 (ZeRO) for the states of the model.

    Args:
        config (`LlamaConfig`): The model's shape.
        tokens (`int`): Tokens in one forward and backward pass on one device.
        precision (`str`): `"bf16"` or `"fp32"`.
        world_size (`int`, *optional*, defaults to 1): Devices.
        zero_stage (`int`, *optional*, defaults to 0): 0 (DDP), 1, 2 or 3.
        gradient_checkpointing (`bool`, *optional*, defaults to `False`): Whether layers are computed twice.

    Returns:
        [`MemoryEstimate`]: In bytes.
    """
    parameters = count_parameters(config)
    small = 2 if precision == "bf16" else 4
    if zero_stage:
        # DeepSpeed keeps weights and gradients in the small type, and the optimizer a copy of the weights in fp32.
        weights, gradients, optimizer = small * parameters, small * parameters, 12 * parameters
    else:
        weights = 4 * parameters + (2 * parameters if precision == "bf16" else 0)
        gradients, optimizer = 4 * parameters, 8 * parameters
    optimizer /= world_size if zero_stage >= 1 else 1
    gradients /= world_size if zero_stage >= 2 else 1
    weights /= world_size if zero_stage >= 3 else 1
    width, head = config.hidden_size, config.head_dim
    grouped = (config.num_attention_heads + 2 * config.num_key_value_heads) * head
    # A layer keeps its inputs and norms, queries, keys, values and the attention's output, and three times the
    # feed-forward width with the activation's output.
    layer = 4 * width + 2 * grouped + config.num_attention_heads * head + 4 * config.intermediate_size
    layers = config.num_hidden_layers
    kept = layers * width + layer if gradient_checkpointing else layers * layer
    activations = tokens * kept * small + tokens * config.vocab_size * (small + 8)
    return MemoryEstimate(weights, gradients, optimizer, activations)


def estimate_seconds(
    config: LlamaConfig, lengths: list[int], epochs: float, rate: float, world_size: int = 1
) -> float:
    """
    Time of a training at [`UTILISATION`] of the devices' matrix rate.

    Args:
        config (`LlamaConfig`): The model's shape.
        lengths (`list[int]`): Tokens of the training utterances.
        epochs (`float`): Passes over them.
        rate (`float`): FLOP/s of one device.
        world_size (`int`, *optional*, defaults to 1): Devices.
    """
    return epochs * training_flops(config, count_parameters(config), lengths) / (UTILISATION * rate * world_size)
