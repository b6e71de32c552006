"""A fine-tuned model that answers on texts and recordings.

text, or audio -> units by the quantizer -> contents -> the class with its probabilities, or the entities.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..audio import SAMPLE_RATE, to_speech
from ..pipelines.audio_prompts import cut_edges
from ..speech_units import SpeechUnitModel
from ..speech_units.identity import HASH_KEY, check_same_quantizer, is_external, quantizer_hash
from .adapters import load_finetuned
from .configuration_slu import CLASSIFICATION, SluConfig
from .contents import SPEECH, TEXT, check_input, write_contents
from .inference import classify, encode_prompts, find_entities


class SluPipeline:
    """
    Answers on texts and recordings with a model of `evoslm finetune`.

    Args:
        model (`PreTrainedModel`): For sequence classification, or a causal language model that writes entities.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        config ([`SluConfig`]): What it does.
        quantizer ([`SpeechUnitModel`] or `str`, *optional*): Makes its units; needed for recordings. A folder or an
            id on the Hub is loaded when the first recording comes; a function that makes units is given as
            `load_quantizer` of `evoslm.training.external_units.quantizers` loads it.
        write_text (`Callable[[str], str]`, *optional*): Writes a text as those of the training were written; needed
            for texts. It is `spoken_text` of `evoslm.datasets_scripts.slu` unless a model was trained otherwise.

    Raises:
        `ValueError`: If the quantizer is not the one whose units the model reads.

    Examples:

    ```python
    >>> from evoslm.models.slu import SluPipeline

    >>> pipeline = SluPipeline.from_pretrained("sentiment/seed-0")  # doctest: +SKIP
    >>> pipeline(audio="clip.wav")  # doctest: +SKIP
    {'label': 'positive', 'scores': {'negative': 0.2, 'positive': 0.8}, 'cut': False}
    ```
    """

    def __init__(
        self,
        model,
        tokenizer,
        config: SluConfig,
        quantizer: SpeechUnitModel | str | None = None,
        write_text: Callable[[str], str] | None = None,
    ):
        self.model, self.tokenizer, self.config = model, tokenizer, config
        self._quantizer, self._write_text = quantizer, write_text
        if quantizer is not None and not isinstance(quantizer, str):
            self._check_quantizer(quantizer)

    @property
    def quantizer(self) -> SpeechUnitModel | None:
        """Makes the model's units."""
        if isinstance(self._quantizer, str):
            loaded = _load_quantizer(self._quantizer).to(self.model.device)
            self._check_quantizer(loaded)
            self._quantizer = loaded
        return self._quantizer

    def _check_quantizer(self, quantizer: SpeechUnitModel) -> None:
        own = {HASH_KEY: self.config.unit_quantizer_hash or getattr(self.model.config, HASH_KEY, None)}
        given = {HASH_KEY: quantizer_hash(quantizer), "_name_or_path": quantizer.config._name_or_path}
        check_same_quantizer(own | {"_name_or_path": f"The model of {self.config.task}"}, given)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        base_model: str | Path | None = None,
        quantizer: str | Path | SpeechUnitModel | None = None,
        device: str = "cpu",
        write_text: Callable[[str], str] | None = None,
        revision: str | None = None,
    ) -> "SluPipeline":
        """
        Load a fine-tuned model, with what it needs.

        Args:
            folder (`str` or `Path`): Of an adapter or a whole model, or its id on the Hub.
            base_model (`str` or `Path`, *optional*): Of an adapter, where its base lies; where it was found in
                training when not given.
            quantizer (`str`, `Path` or [`SpeechUnitModel`], *optional*): The folder of the quantizer, or its id on
                the Hub, or as of the class; that of the training, if it is still there, or of the release, when not
                given.
            device (`str`, *optional*, defaults to `"cpu"`): Where models run.
            write_text (`Callable[[str], str]`, *optional*): As of the class.
            revision (`str`, *optional*): Commit, branch or tag of an id.

        Raises:
            `FileNotFoundError`: As [`load_finetuned`].
            `ValueError`: As [`load_finetuned`], or if the quantizer is not the one whose units the model reads.
        """
        model, tokenizer, config = load_finetuned(folder, base_model, revision)
        if quantizer is not None:
            is_folder = isinstance(quantizer, (str, Path))
            makes_units = (_load_quantizer(quantizer) if is_folder else quantizer).to(device)
        else:
            makes_units = config.quantizer
            if makes_units is not None and Path(makes_units).is_absolute() and not Path(makes_units).is_dir():
                makes_units = None  # where the training had it
        return cls(model.to(device), tokenizer, config, makes_units, write_text)

    def __call__(
        self,
        text: str | None = None,
        audio: str | Path | np.ndarray | None = None,
        sampling_rate: int = 16_000,
    ) -> dict[str, Any]:
        """
        Answer on one text or recording.

        Args:
            text (`str`, *optional*): What is said, in any writing.
            audio (`str`, `Path` or `np.ndarray`, *optional*): A file that libsndfile reads, or samples of shape
                `(num_samples,)`, int16 or floating point in [-1, 1].
            sampling_rate (`int`, *optional*, defaults to 16000): Samples a second, of samples.

        Returns:
            `dict`: `label` and `scores` (a probability each), or `entities` as text; and `cut`, whether the end of
            the input was left out because the model reads no more.

        Raises:
            `ValueError`: If not one of both is given, the model does not read it, the file is no audio, there is
                nothing to read in the text, or there is no `write_text` or quantizer, or that of another model.
        """
        if (text is None) == (audio is None):
            raise ValueError("Give either text or audio.")
        kind = TEXT if audio is None else SPEECH
        check_input(self.config.modality, kind, "The model")
        example = self.write(text) if audio is None else self.encode(audio, sampling_rate)
        contents = write_contents(self.config.modality, kind, [example], self.config.collapse)
        window = getattr(self.model.config, "max_position_embeddings", None)
        prompts = encode_prompts(self.tokenizer, self.config, contents, kind, window)
        cut = {"cut": bool(prompts.num_cut)}
        if self.config.kind == CLASSIFICATION:
            scores = dict(zip(self.config.labels, classify(self.model, prompts.ids)[0].tolist()))
            return {"label": max(scores, key=scores.get), "scores": scores} | cut
        (answer,) = find_entities(self.model, self.tokenizer, self.config, prompts.ids)
        return {"entities": answer.text} | cut

    def write(self, text: str) -> str:
        """
        A text as those that the model was trained on are written.

        Args:
            text (`str`): What is said, in any writing.

        Raises:
            `ValueError`: If there is nothing to read in it, or no `write_text`.
        """
        if self._write_text is None:
            raise ValueError(
                "The pipeline does not know how texts were written for the training; give it as write_text, such as "
                "spoken_text of evoslm.datasets_scripts.slu."
            )
        written = self._write_text(text)
        if not written:
            raise ValueError(f"There is nothing to read in the text {text!r}; give words.")
        return written

    def encode(self, audio: str | Path | np.ndarray, sampling_rate: int = 16_000) -> np.ndarray:
        """
        The units of a recording.

        Args:
            audio (`str`, `Path` or `np.ndarray`): As for a call.
            sampling_rate (`int`, *optional*, defaults to 16000): Samples a second, of samples.

        Returns:
            `np.ndarray` of shape `(num_units,)`: uint16.

        Raises:
            `ValueError`: If the file is no audio, or there is no quantizer, or that of another model.
        """
        if self.quantizer is None:
            raise ValueError("The pipeline has no quantizer; give its folder as quantizer (--quantizer).")
        if isinstance(audio, (str, Path)):
            audio, sampling_rate = _read(Path(audio))
        speech = to_speech(np.asarray(audio).reshape(len(audio), -1), sampling_rate)
        if self.config.cut_edges:
            speech = cut_edges(speech, SAMPLE_RATE)
        return encode_audio(self.quantizer, [speech])[0]


@torch.no_grad()
def encode_audio(
    quantizer: SpeechUnitModel, audio: Sequence[np.ndarray], speakers: Sequence[str] | None = None
) -> list[np.ndarray]:
    """
    The units of recordings, of frames or of segments that are found in the sound.

    Args:
        quantizer ([`SpeechUnitModel`]): Makes them.
        audio (`Sequence[np.ndarray]`): Samples of each, of shape `(num_samples,)`, at the quantizer's rate.
        speakers (`Sequence[str]`, *optional*): Of each, where the quantizer needs them.

    Returns:
        `list[np.ndarray]`: uint16.

    Raises:
        `ValueError`: As [`~SpeechUnitModel.units`], and if units are of aligned segments, which a recording has not.
    """
    segments = quantizer.find_segments(audio) if quantizer.config.segment_parts else None
    return quantizer.units(audio, speakers, segments=segments)


def _load_quantizer(source: str | Path) -> SpeechUnitModel:
    if is_external(source):
        raise ValueError(
            f"{source} holds units that a function makes; load it with load_quantizer of "
            "evoslm.training.external_units.quantizers, and give that as quantizer."
        )
    return SpeechUnitModel.from_pretrained(source).eval()


def _read(path: Path) -> tuple[np.ndarray, int]:
    import soundfile

    if not path.is_file():
        raise ValueError(f"There is no recording {path}.")
    try:
        return soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"The recording {path} cannot be read: {error}") from None
