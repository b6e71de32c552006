"""Units or phones -> text: a small bidirectional encoder with a CTC head over characters.

symbols, runs of equal ones once -> embeddings -> layers of attention, convolution and feed-forward -> `upsampling`
rows of logits a symbol -> labels (`ctc_search.py`) -> text. Trained by `training/transcriber/training.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from .configuration_unit_transcriber import UnitTranscriberConfig
from .ctc_search import BLANK, Lexicon, greedy_labels, prefix_beam_search, write_as_spoken

PADDING = -1
"""Where the symbols of an utterance have ended, as `SpeechUnitModel` writes it."""
NO_LABEL = -100
"""Where the labels of an utterance have ended."""


@dataclass
class UnitTranscriberOutput(ModelOutput):
    """
    Output of a [`UnitTranscriber`].

    Args:
        loss (`torch.FloatTensor`, *optional*):
            Nats a character, if labels were given: the negative log-likelihood of all texts by the number of their
            characters. Texts that cannot be aligned add nothing.
        logits (`torch.FloatTensor` of shape `(batch_size, num_symbols * upsampling, 1 + num_characters)`):
            Of the blank and of each character, at each step.
        step_mask (`torch.BoolTensor` of shape `(batch_size, num_symbols * upsampling)`):
            Which steps belong to an utterance.
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    step_mask: torch.BoolTensor | None = None


class UnitTranscriber(PreTrainedModel):
    """
    Text of speech units, or of phones.

    The text of an utterance depends on that utterance alone, not on what else is in its batch.

    Args:
        config ([`UnitTranscriberConfig`]): The configuration.

    Examples:

    ```python
    >>> from evoslm import UnitTranscriber

    >>> transcriber = UnitTranscriber.from_pretrained("runs/laptop/transcribers/speech_dedup/model")
    >>> texts = transcriber.transcribe([[87, 405, 405, 41], [17, 942]])
    ```
    """

    config_class = UnitTranscriberConfig
    base_model_prefix = "unit_transcriber"
    main_input_name = "units"

    def __init__(self, config: UnitTranscriberConfig):
        super().__init__(config)
        self.unit_embedding = torch.nn.Embedding(config.num_units, config.hidden_size)
        self.layers = torch.nn.ModuleList([_Layer(config) for _ in range(config.num_hidden_layers)])
        self.norm = torch.nn.LayerNorm(config.hidden_size)
        self.head = torch.nn.Linear(config.hidden_size, config.upsampling * config.num_labels_of_ctc)
        self._ids = {name: index for index, name in enumerate(config.symbols)}
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        if isinstance(module, torch.nn.Embedding):
            torch.nn.init.normal_(module.weight)
        elif isinstance(module, (torch.nn.Linear, torch.nn.Conv1d)):
            # Gains near 1 whatever the width and the kernel.
            torch.nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
            torch.nn.init.zeros_(module.bias)

    def forward(
        self,
        units: torch.LongTensor,
        labels: torch.LongTensor | None = None,
        return_dict: bool | None = None,
    ) -> UnitTranscriberOutput | tuple:
        """
        Logits of a batch that is padded on the right, and the CTC loss.

        Args:
            units (`torch.LongTensor` of shape `(batch_size, num_symbols)`):
                Ids, as [`~UnitTranscriber.read_symbols`] gives them; -1 where an utterance has ended.
            labels (`torch.LongTensor` of shape `(batch_size, num_characters)`, *optional*):
                Labels, as [`~UnitTranscriber.read_text`] gives them; -100 where a text has ended.
            return_dict (`bool`, *optional*):
                Whether to return a [`UnitTranscriberOutput`] (by default) or a tuple.

        Returns:
            [`UnitTranscriberOutput`]
        """
        mask = units != PADDING
        hidden = self.unit_embedding(units.clamp_min(0)) * mask[..., None]
        if self.training and self.config.unit_dropout:
            shown = functional.dropout(torch.ones_like(hidden[..., :1]), self.config.unit_dropout)
            hidden = hidden * shown.sign()
        for layer in self.layers:
            hidden = layer(hidden, mask)
        batch_size, num_symbols = units.shape
        logits = self.head(self.norm(hidden)).view(batch_size, num_symbols * self.config.upsampling, -1)
        step_mask = mask.repeat_interleave(self.config.upsampling, dim=1)
        loss = None if labels is None else self._loss(logits, step_mask, labels)
        output = UnitTranscriberOutput(loss=loss, logits=logits, step_mask=step_mask)
        return output.to_tuple() if return_dict is False else output

    def read_symbols(self, symbols: Sequence) -> list[int]:
        """
        Ids of the symbols of one utterance, as the layers read them.

        Args:
            symbols (`Sequence`): Units, or phones by name or id; at the frame rate or with runs collapsed.

        Returns:
            `list[int]`: Ids, runs of equal ones once where `config.collapse` says so.

        Raises:
            `ValueError`: If one is none of the transcriber's symbols.
        """
        ids = [self._read_symbol(symbol) for symbol in symbols]
        return [first for first, _ in groupby(ids)] if self.config.collapse else ids

    def read_text(self, text: str) -> list[int]:
        """The labels of a text; signs that are none of the characters are left out."""
        characters = self.config.characters
        return [1 + characters.index(character) for character in write_as_spoken(text, characters)]

    @torch.no_grad()
    def transcribe(
        self,
        units: Sequence[Sequence],
        batch_size: int = 32,
        num_beams: int | None = None,
        lexicon: Iterable[str] | None = None,
    ) -> list[str]:
        """
        Write down what was said.

        Args:
            units (`Sequence[Sequence]`):
                Units of each utterance (or of a part of one), or its phones by name or id. An empty one gives "".
            batch_size (`int`, *optional*, defaults to 32):
                Utterances that go through the layers together. It changes no text.
            num_beams (`int`, *optional*):
                1: the likeliest label of each step. More: a search for the likeliest text with so many prefixes.
                `config.beam_width` when not given.
            lexicon (`Iterable[str]`, *optional*):
                The only words that a search may write, each as likely as another; `config.words` when not given, and
                any where it is empty.

        Returns:
            `list[str]`: The texts, in small letters without punctuation.

        Raises:
            `ValueError`: If a symbol is none of the transcriber's, `units` are one utterance, a number is below 1, or
                a lexicon is given without a search.
        """
        num_beams = self.config.beam_width if num_beams is None else num_beams
        for name, value in (("batch_size", batch_size), ("num_beams", num_beams)):
            if value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1.")
        if lexicon and num_beams == 1:
            raise ValueError("A lexicon is for a search; give num_beams, such as 8.")
        allowed = self._make_lexicon(self.config.words if lexicon is None else lexicon) if num_beams > 1 else None
        rows = []
        for index, row in enumerate(units):
            if isinstance(row, str) or np.ndim(row) != 1:
                raise ValueError("Units are one utterance; give a list of utterances, each a list of its units.")
            try:
                rows.append(self.read_symbols(row))
            except ValueError as error:
                raise ValueError(f"Utterance {index}: {error}") from None
        self.eval()
        texts = [""] * len(rows)
        # Those of like length together, so that little is padded.
        order = sorted((index for index, row in enumerate(rows) if row), key=lambda index: len(rows[index]))
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            output = self(pad_rows([rows[index] for index in batch], PADDING).to(self.device))
            steps = output.logits.float().log_softmax(2).cpu().numpy()
            for index, log_probs, length in zip(batch, steps, output.step_mask.sum(1).tolist()):
                texts[index] = self._spell(log_probs[:length], num_beams, allowed)
        return texts

    def _make_lexicon(self, words: Iterable[str]) -> Lexicon | None:
        characters = self.config.characters
        words = [write_as_spoken(word, characters) for word in words]
        return Lexicon(words, characters) if words else None

    def _spell(self, log_probs: np.ndarray, num_beams: int, lexicon: Lexicon | None) -> str:
        if num_beams == 1:
            labels = greedy_labels(log_probs.argmax(1))
        else:
            labels = prefix_beam_search(log_probs, num_beams, lexicon)
        return " ".join("".join(self.config.characters[label - 1] for label in labels).split())

    def _read_symbol(self, symbol) -> int:
        config = self.config
        if isinstance(symbol, str):
            if symbol in self._ids:
                return self._ids[symbol]
            known = (
                f"the phones {', '.join(config.symbols[:3])}, ..." if config.symbols else "units, which are numbers"
            )
            raise ValueError(f"{symbol!r} is no symbol of this transcriber; it reads {known}.")
        if not 0 <= symbol < config.num_units or symbol != int(symbol):
            raise ValueError(
                f"there is no unit {symbol}; the transcriber knows those from 0 to {config.num_units - 1}: use the "
                "one that was trained on this quantizer."
            )
        return int(symbol)

    def _loss(self, logits: torch.Tensor, step_mask: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        lengths = (labels != NO_LABEL).sum(1)
        losses = functional.ctc_loss(
            logits.float().log_softmax(2).transpose(0, 1),
            labels.clamp_min(0),
            step_mask.sum(1),
            lengths,
            blank=BLANK,
            reduction="none",
            zero_infinity=True,
        )
        return losses.sum() / lengths.sum().clamp_min(1)


class _Layer(torch.nn.Module):
    """Attention over the utterance, a convolution, and a feed-forward layer, each added to what goes in."""

    def __init__(self, config: UnitTranscriberConfig):
        super().__init__()
        size, kernel = config.hidden_size, config.conv_kernel_size
        self.num_heads, self.dropout = config.num_attention_heads, config.dropout
        self.conv_norm, self.attention_norm, self.mlp_norm = (torch.nn.LayerNorm(size) for _ in range(3))
        self.conv = torch.nn.Conv1d(size, size, kernel, padding=kernel // 2, groups=size)
        self.conv_out = torch.nn.Linear(size, size)
        self.qkv = torch.nn.Linear(size, 3 * size)
        self.attention_out = torch.nn.Linear(size, size)
        self.mlp_in = torch.nn.Linear(size, config.intermediate_size)
        self.mlp_out = torch.nn.Linear(config.intermediate_size, size)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`(batch_size, num_symbols, hidden_size)` -> the same; nothing is read where the mask is false."""
        for part in (self._convolve, self._attend, self._feed_forward):
            hidden = hidden + functional.dropout(part(hidden, mask), self.dropout, self.training)
        return hidden

    def _convolve(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        # Behind its end an utterance is as silent to a convolution in a batch as it is alone.
        inputs = self.conv_norm(hidden) * mask[..., None]
        return self.conv_out(functional.gelu(self.conv(inputs.transpose(1, 2)).transpose(1, 2)))

    def _attend(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        batch_size, num_symbols, size = hidden.shape
        qkv = self.qkv(self.attention_norm(hidden)).view(batch_size, num_symbols, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None])
        return self.attention_out(attended.transpose(1, 2).reshape(batch_size, num_symbols, size))

    def _feed_forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.mlp_out(functional.gelu(self.mlp_in(self.mlp_norm(hidden))))


def pad_rows(rows: Sequence[Sequence[int]], value: int) -> torch.LongTensor:
    """Rows of any lengths as one tensor, `value` where a row has ended."""
    return pad_sequence([torch.tensor(row, dtype=torch.long) for row in rows], batch_first=True, padding_value=value)


UnitTranscriber.register_for_auto_class()
