"""Training a plain Llama on packed rows on a CPU, in fp32: the model's own loss and gradients, in less time.

In: a `LlamaForCausalLM` and a packed row. Out: the loss, from which `backward` fills the gradients of its weights.
"""

from ..lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__, {"Layout": ".layout", "can_compute": ".model", "packed_loss": ".model"}
)
