"""Training a plain Llama on packed rows on a CPU, in fp32: the model's own loss and gradients, in less time.

In: a `LlamaForCausalLM` and a packed row. Out: the loss, and the gradients of the weights in their `grad`.
"""

from ..lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__, {"Layout": ".layout", "add_gradients": ".model", "can_compute": ".model", "packed_loss": ".model"}
)
