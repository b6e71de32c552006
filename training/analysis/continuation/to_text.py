"""Outputs to text: text as it is, and phones and units by one and the same channel.

symbols -> by sound and a recogniser (`--transcriber`), as the paper does it; else by the run's own transcribers of
phones and of units, which write the words of its training. Letters without spaces -> the words that they are likeliest
to be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ....datasets_scripts.shards.reading import find_shards
from ....models.modalities import MODALITIES, get_modality
from ....models.pipelines.batches import speak_symbols
from ....models.tokenizers.text import letters_of
from ...external_units.quantizers import is_external, read_quantizer_config
from ...run.folder import MODEL_FOLDER, Run
from .spacing import WordSpacer

AS_IT_IS, SPACED, BY_EAR, BY_SYMBOLS = "as it is", "spaced", "by ear", "by symbols"
CHANNELS = {
    AS_IT_IS: "text as it is",
    SPACED: "letters, cut into the likeliest words of the training",
    BY_EAR: "spoken, and heard by a recogniser",
    BY_SYMBOLS: "read by a CTC transcriber of phones or units, trained on this run",
}
SPECTRAL_ENCODERS = ("mfcc", "log_mel")
"""Those whose units can be heard without a vocoder that was trained."""
PHONE_TRANSCRIBER, UNIT_TRANSCRIBER = "phone_raw", "speech_dedup"


def find_channel(run: Run, modality: str, transcriber: str | None) -> str | None:
    """
    How outputs of a modality become text.

    Args:
        run ([`Run`]): The run.
        modality (`str`): The modality.
        transcriber (`str`, *optional*): A recogniser that hears phones and units.

    Returns:
        `str`: One of `CHANNELS`; `None` of units that nothing brings to text: by ear, of those without a vocoder, by
        symbols, of all but frames in the voices of the run, and of external units, which nothing here makes of a
        prompt.
    """
    own = get_modality(modality)
    if own.is_speech and is_external(run.quantizer(modality)):
        return None
    if own.column == "text":
        return SPACED if own.tokenizer == "text_raw_no_space" else AS_IT_IS
    if transcriber is not None:
        return BY_EAR if not own.is_speech or _has_vocoder(run, modality) else None
    return BY_SYMBOLS if own.unit_of == "frame" and own.voices is None else None


def needed_transcribers(run: Run, modalities: Sequence[str], transcriber: str | None) -> list[str]:
    """The transcribers of the run that these modalities are read by."""
    found = [_transcriber_of(name) for name in modalities if find_channel(run, name, transcriber) == BY_SYMBOLS]
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class TextChannel:
    """
    What brings the outputs of one modality to text.

    Args:
        run ([`Run`]): The run.
        modality (`str`): The modality.
        transcriber (`str`, *optional*): A recogniser by folder or id.
        revision (`str`, *optional*): Its commit.
        device (`str`, *optional*, defaults to `"cpu"`): Where it runs.
    """

    run: Run
    modality: str
    transcriber: str | None = None
    revision: str | None = None
    device: str = "cpu"

    @property
    def kind(self) -> str | None:
        """One of `CHANNELS`."""
        return find_channel(self.run, self.modality, self.transcriber)

    @property
    def inputs(self) -> dict[str, Path]:
        """The stages that it is made of."""
        if self.kind == SPACED:
            return {"words": self.run.utterances()}
        return {"transcriber": self._own_folder} if self.kind == BY_SYMBOLS else {}

    def read(self, alphabet: Any, rows: Sequence[Sequence[str]], repeats: int, seconds: Sequence[float]) -> list[str]:
        """
        Bring symbols to text.

        Args:
            alphabet ([`~evoslm.models.pipelines.alphabets.Alphabet`]): What they are written in.
            rows (`Sequence[Sequence[str]]`): Symbols of each output.
            repeats (`int`): How often the modality writes a phone.
            seconds (`Sequence[float]`): How long a symbol of each lasts on average.

        Returns:
            `list[str]`: The text of each, `""` where there is none.
        """
        if self.kind == AS_IT_IS:
            return [alphabet.join(row).strip() for row in rows]
        if self.kind == SPACED:
            return [self._spacer.space(letters_of("".join(row))) for row in rows]
        if self.kind == BY_SYMBOLS:
            return self._transcribe(rows, repeats)
        texts, kept, sounds = [""] * len(rows), [], []
        for number, (row, length) in enumerate(zip(rows, seconds)):
            audio, rate = speak_symbols(alphabet, row, length) if row else (np.zeros(0, np.float32), 0)
            if len(audio):
                kept.append(number)
                sounds.append((audio, rate))
        if sounds:
            listener = _load_recognizer(self.transcriber, self.revision, self.device)
            heard = listener.transcribe([audio for audio, _ in sounds], [rate for _, rate in sounds])
            for number, text in zip(kept, heard):
                texts[number] = text
        return texts

    def _transcribe(self, rows: Sequence[Sequence[str]], repeats: int) -> list[str]:
        from ....models.transcriber import UnitTranscriber

        reader = UnitTranscriber.from_pretrained(self._own_folder).to(self.device)
        own = get_modality(self.modality)
        if own.is_speech:
            return reader.transcribe([[int(symbol) for symbol in row] for row in rows])
        if own.repeats_tokens:
            rows = [phones_once(row, repeats) for row in rows]
        return reader.transcribe(rows)

    @property
    def _own_folder(self) -> Path:
        return self.run.folder / "transcribers" / _transcriber_of(self.modality) / MODEL_FOLDER

    @cached_property
    def _spacer(self) -> WordSpacer:
        shards = find_shards(self.run.utterances(), ("id", "text"))["train"]
        texts = (text for shard in shards for text in pq.read_table(shard, columns=["text"])["text"].to_pylist())
        return WordSpacer(letters_of(word) for text in texts for word in text.split())


def phones_once(symbols: Sequence[str], repeats: int) -> list[str]:
    """
    Phones that are written several times, each once.

    Args:
        symbols (`Sequence[str]`): Phones, each the same number of times or once a frame.
        repeats (`int`): That number; 1 of frames, whose runs are one phone each.

    Returns:
        `list[str]`: The phones. Of a run of one phone, as many as `repeats` goes into its length, one at least.
    """
    runs = ((symbol, len(list(run))) for symbol, run in groupby(symbols))
    if repeats == 1:
        return [symbol for symbol, _ in runs]
    return [symbol for symbol, length in runs for _ in range(max(1, round(length / repeats)))]


def _has_vocoder(run: Run, modality: str) -> bool:
    if get_modality(modality).unit_of != "frame":
        return False
    if get_modality(modality).voices is None and (run.folder / "vocoder" / "config.json").is_file():
        return True
    return read_quantizer_config(run.quantizer(modality)).encoder in SPECTRAL_ENCODERS


def _transcriber_of(modality: str) -> str:
    return UNIT_TRANSCRIBER if MODALITIES[modality].is_speech else PHONE_TRANSCRIBER


@lru_cache(maxsize=1)
def _load_recognizer(model_id: str, revision: str | None, device: str):
    from ....models.transcriber import Transcriber

    return Transcriber.from_pretrained(model_id, revision, device=device)
