"""Linear layers by oneDNN, where a processor runs them.

PyTorch takes MKL for products of float32, which leaves half of what some processors can do unused (AVX-512 on AMD's);
oneDNN is in the same package, knows all of them and computes in the same precision.
"""

from contextlib import contextmanager

import torch
import torch.nn.functional as F

# With fewer rows, laying the weights out anew costs more than is gained.
_FEWEST_ROWS = 64


def linear(features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """
    `features @ weight.T + bias`, by oneDNN where it gains.

    Args:
        features (`torch.Tensor` of shape `(..., inputs)`): What goes in.
        weight (`torch.Tensor` of shape `(outputs, inputs)`): The weights.
        bias (`torch.Tensor` of shape `(outputs,)`, *optional*): What is added.

    Returns:
        `torch.Tensor` of shape `(..., outputs)`, without a gradient where oneDNN computes it.
    """
    if _is_for_onednn(features, weight, bias):
        return torch.ops.mkldnn._linear_pointwise(features, weight, bias, "none", [], "")
    return F.linear(features, weight, bias)


@contextmanager
def linear_layers_by_onednn(model: torch.nn.Module):
    """
    Every plain linear layer of a model computed by [`linear`], and then as it was.

    Args:
        model (`torch.nn.Module`): The model.
    """
    # One that has a forward of its own was given it by another library, as for offloading.
    layers = [layer for layer in model.modules() if type(layer) is torch.nn.Linear and "forward" not in vars(layer)]
    try:
        for layer in layers:
            layer.forward = _forward_of(layer)
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward_of(layer: torch.nn.Linear):
    return lambda input: linear(input, layer.weight, layer.bias)


def _is_for_onednn(features, weight, bias) -> bool:
    tensors = (features, weight) if bias is None else (features, weight, bias)
    return (
        _HAS_ONEDNN
        and not torch.is_grad_enabled()
        and features.numel() >= _FEWEST_ROWS * features.shape[-1]
        and all(
            tensor.dtype == torch.float32 and tensor.device.type == "cpu" and tensor.is_contiguous()
            for tensor in tensors
        )
    )


_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
