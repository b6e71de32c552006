"""Matrix products in fp32 on a CPU by oneDNN where torch has it, which uses AVX-512 on every processor that has it.

torch's own products go to MKL, which computes with half as wide vectors on processors that are not Intel's.
"""

import torch

_LINEAR = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None


def times_transposed(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """
    `first @ second.T` without a gradient.

    Args:
        first (`torch.Tensor` of shape `(rows, inner)` or `(batch, rows, inner)`): Any strides.
        second (`torch.Tensor` of shape `(columns, inner)` or `(batch, columns, inner)`): Dense, or the transpose of a
            dense matrix. oneDNN takes a thousand times as long for any other.

    Returns:
        `torch.Tensor` of shape `(rows, columns)` or `(batch, rows, columns)`: The product.
    """
    if first.dim() == 3:
        return torch.bmm(first, second.mT)
    if _LINEAR is None:
        return torch.mm(first, second.mT)
    return _LINEAR(first, second, None, "none", [], "")


def weight_gradient(outputs: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """
    `outputs.T @ inputs`: the gradient of a weight matrix.

    Args:
        outputs (`torch.Tensor` of shape `(tokens, out)`): Gradient of a layer's outputs.
        inputs (`torch.Tensor` of shape `(tokens, in)`): The layer's inputs.

    Returns:
        `torch.Tensor` of shape `(out, in)`: The gradient.
    """
    if outputs.shape[-1] <= inputs.shape[-1]:  # the first of a product is copied: let it be the smaller
        return times_transposed(outputs.mT, inputs.mT)
    return times_transposed(inputs.mT, outputs.mT).mT
