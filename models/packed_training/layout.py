"""Where the documents of a packed row lie while it trains.

Lengths -> a row in which long documents are filled up to a multiple of some positions, so that matrices come in few
shapes: for each new one oneDNN compiles a kernel, which takes as long as a product or ten.
"""

from dataclasses import dataclass

import torch

SHORT = 256
"""Documents up to this length are multiplied by heads at once and lie end to end."""
_STEP = 32


@dataclass(frozen=True)
class Layout:
    """
    Args:
        spans (`list[tuple[int, int]]`): Start and end of each document, with the positions that fill it up.
        places (`torch.Tensor` of shape `(tokens,)`): Position in the laid out row of each token of the packed one.
        positions (`int`): Length of the laid out row.
    """

    spans: list[tuple[int, int]]
    places: torch.Tensor
    positions: int

    @classmethod
    def make(cls, lengths: list[int]) -> "Layout":
        """Lay documents of some lengths out, in their order."""
        spans, places, start = [], [], 0
        for length in lengths:
            end = start + (length if length <= SHORT else _up(length, _STEP))
            spans.append((start, end))
            places.append(torch.arange(start, start + length))
            start = end
        # About 16 lengths of a row between one power of two and the next.
        return cls(spans, torch.cat(places), _up(start, max(8, 1 << max(0, start.bit_length() - 5))))

    @classmethod
    def of(cls, documents: torch.Tensor, tokens: int) -> "Layout":
        """The same from the `documents` of [`~models.packed_attention.pack_documents`]."""
        return cls.make((documents < tokens).sum(dim=1).tolist())

    def lay_out(self, values: torch.Tensor, filler: int) -> torch.Tensor:
        """`(tokens,)` -> `(positions,)`."""
        row = values.new_full((self.positions,), filler)
        row[self.places] = values
        return row


def _up(number: int, step: int) -> int:
    return -(-number // step) * step
